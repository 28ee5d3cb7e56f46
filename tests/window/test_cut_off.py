"""No network, and a volume that is pulled out and put back: a clear sentence, nothing lost."""

import copy
import subprocess

import pytest

from app.fluxboard import samples
from app.fluxboard.file import BoardFile


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://nowhere.invalid"])
def test_a_download_without_a_network_says_so_and_can_be_tried_again(screen, start, address):
    cut_off = copy.copy(screen)
    cut_off.environment = {**screen.environment, "HF_ENDPOINT": address}
    window = start(on=cut_off)
    window.press("ctrl+3")
    window.tab_to("Search models")
    window.type("klein 4B")
    window.tab_to("Models")
    window.press("Down", "Home")
    window.tab_to("Download…")
    window.press("Return")
    window.wait(lambda: any("Download" in title for title in window.question("windows")), "the question")
    window.tab_to("Download")
    window.press("Return")
    window.wait(lambda: window.shows(f"{address} can't be reached. Check the connection and try again."), "why not", 90)
    window.wait(lambda: len(window.question("windows")) == 1, "the question to be gone")
    assert not window.shows("Continue")  # nothing has come that could go on
    assert list((window.home / "models").glob("*/*")) == []
    window.tab_to("Download…")


class Volume:
    """A folder at which another one is mounted; `disk` is what would be on the card."""

    def __init__(self, folder):
        self.disk, self.place = folder / "disk", folder / "volume"
        self.disk.mkdir()
        self.place.mkdir()
        if not self.plug():
            pytest.skip("only root may mount")

    def plug(self) -> bool:
        return subprocess.run(["mount", "--bind", self.disk, self.place], capture_output=True).returncode == 0

    def pull(self) -> None:
        subprocess.run(["umount", "-l", self.place], check=True)


@pytest.fixture
def volume(tmp_path):
    made = Volume(tmp_path)
    yield made
    subprocess.run(["umount", "-l", made.place], capture_output=True)


def test_a_board_on_a_volume_that_is_pulled_and_put_back(start, volume):
    board = volume.place / "film.fluxboard"
    samples.create(samples.FIRST, board).close()
    window = start(board)
    count, takes = len(window.order()), window.ask("sum(len(panel.takes) for panel in board.panels())")
    volume.pull()
    window.press("ctrl+shift+n")
    window.wait(lambda: window.shows("film.fluxboard is no longer there."), "what happened")
    window.press("Return")
    window.wait(lambda: window.ask("window.open_panel_id()"), "the new panel")
    window.type("a panda in the snow")
    window.press("ctrl+r")
    window.wait(lambda: window.shows("is made, but not stored"), "the picture to be held", 120)
    assert volume.plug()
    window.press("Escape", "ctrl+shift+n")
    window.wait(lambda: window.ask("window.session.list_unsaved() == []"), "all to be saved")
    window.wait(lambda: not window.shows("is made, but not stored"), "the picture to be stored")
    window.leave("key", "ctrl+q")
    with BoardFile.open(board, write=False) as file:
        panels = list(file.board.panels())
        assert len(panels) == count + 2
        assert sum(len(panel.takes) for panel in panels) == takes + 1
        assert "a panda in the snow" in [panel.words for panel in panels]
        assert file.missing() == 0
