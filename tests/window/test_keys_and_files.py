"""Small things of hands: arrows of the animatic, recent boards, dropped photos, live pictures, a board by its path."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from app.board.data import new_board
from app.fluxboard.file import BoardFile
from tests.bench.stories import drop_and_wait, open_panel
from tests.window.driver import ROOT

PLAYER = "[top for top in app.topLevelWidgets() if type(top).__name__ == 'Animatic'][0]"


def test_arrows_step_the_animatic_whatever_has_the_focus(window):
    window.press("ctrl+p")
    window.wait(lambda: any("Animatic" in title for title in window.question("windows")), "the animatic")
    window.press("space")  # it plays at once
    window.wait(lambda: not window.ask(f"{PLAYER}.playing"), "it to stand")
    window.press("Left", "Left", "Left")
    ends = window.ask(f"{PLAYER}.ends")
    window.press("Right")
    assert window.ask(f"{PLAYER}.at") == ends[0]
    window.click("Time")  # the slider has the focus now
    window.press("Home", "Right", "Right")
    assert window.ask(f"{PLAYER}.at") == ends[1]
    window.press("Left")
    assert window.ask(f"{PLAYER}.at") == ends[0]
    window.press("Escape")


def test_recent_boards_have_their_titles(window):
    title = window.ask("board.title")
    window.press("ctrl+n")
    window.wait(lambda: window.ask("board.title") != title, "the new board")
    window.click(window.find_at("File", "entry"))
    window.hands("mousemove", *window.find_at("Open Recent", "entry"))
    window.click(window.find_at(title, "entry"))
    window.wait(lambda: window.ask("board.title") == title, "the board of before")


def test_a_dropped_photo_is_kept_as_it_is(window, tmp_path):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8))
    noise.resize((2000, 1500)).save(tmp_path / "photo.jpg")
    drop_and_wait(window, tmp_path / "photo.jpg")
    kept = window.ask(
        "[str(document.picture_path(p.take.picture.sha256)) for p in board.panels() if p.take and p.take.picture.name"
        " in ('photo', 'photo.jpg')]"
    )
    assert len(kept) == 1
    assert Path(kept[0]).read_bytes() == (tmp_path / "photo.jpg").read_bytes()
    assert kept[0].endswith(".jpg")


def test_a_live_picture_that_is_kept_runs_nothing_again(window):
    open_panel(window)
    takes = "len(next(board.panels()).takes)"
    before = window.ask(takes)
    window.click(window.find_at("Live", "ToolButton"))
    window.wait(lambda: window.shows("Keep as Take"), "a live picture", 120)
    jobs = window.ask("len(document.engine.jobs())")
    window.click("Keep as Take")
    window.wait(lambda: window.ask(takes) == before + 1, "the take")
    time.sleep(2)
    assert window.ask("len(document.engine.jobs())") == jobs
    window.click(window.find_at("Live", "ToolButton"))


def test_the_path_of_a_board_opens_it(screen, tmp_path):
    BoardFile.create(tmp_path / "film.fluxboard", new_board("Night and Fog")).close()
    environment = {**screen.environment, "HOME": str(tmp_path), "FLUX_LOCAL_HOME": str(tmp_path / "home"),
                   "PYTHONPATH": str(ROOT)}  # fmt: skip
    words = [sys.executable, "-P", "-m", "app", "film.fluxboard"]
    with subprocess.Popen(words, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as program:
        look = ["xdotool", "search", "--name", "Night and Fog"]
        end = time.monotonic() + 60
        while subprocess.run(look, env=environment, capture_output=True).returncode and time.monotonic() < end:
            time.sleep(0.2)
        assert program.poll() is None
        subprocess.run([*look, "windowactivate", "--sync"], env=environment, check=True)
        # To whatever has the keyboard: sent to the window itself, the key's release finds no window any more, xdotool
        # dies of that with Ctrl and Q down, and every program after it is quit.
        subprocess.run(["xdotool", "key", "--clearmodifiers", "ctrl+q"], env=environment, check=True)
        assert (program.wait(30), program.stderr.read()) == (0, "")
