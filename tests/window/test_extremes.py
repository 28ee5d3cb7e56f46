"""A thousand panels, eight programs at once on one home, and a screen at 200 % with long words."""

import json

import pytest

from app.board.data import new_board
from app.fluxboard.file import BoardFile
from tests.bench.board_speed import large_board
from tests.window.driver import Screen, Window, middle
from tests.window.test_fit import DIALOGS, check, write_board

PANELS, PROGRAMS = 1000, 8
LONGEST = 250.0  # ms of work between two beats of the window: a stutter is seen from 100 on, machines may be slow


@pytest.fixture
def sharp():
    """A screen of 1280 x 800 points at 200 %."""
    made = Screen((2560, 1600))
    made.environment["QT_SCALE_FACTOR"] = "2"
    yield made
    made.close()


def test_at_200_percent_nothing_is_cut(sharp, start, tmp_path):
    shown = start(write_board(tmp_path / "long.fluxboard"), on=sharp)
    assert shown.ask("window.devicePixelRatio()") == 2
    for key, page in (("ctrl+1", "board"), ("ctrl+2", "cast"), ("ctrl+3", "models"), ("ctrl+4", "queue")):
        shown.press(key)
        check(shown, page)
    shown.press("ctrl+1")
    x, y = middle(shown.panel(1))
    shown.click((2 * x, 2 * y), times=2)
    shown.wait(lambda: shown.ask("window.open_panel_id()"), "the panel")
    check(shown, "panel")
    shown.press("ctrl+1")
    for keys in DIALOGS:
        shown.press(keys)
        shown.wait(lambda: len(shown.question("windows")) > 1, keys)
        check(shown, keys)
        shown.press("Escape")
        shown.wait(lambda: len(shown.question("windows")) == 1, f"{keys} to close")


def test_a_thousand_panels_are_scrolled_without_a_stutter(start, tmp_path):
    with BoardFile.create(tmp_path / "long", large_board(PANELS)) as file:
        path = file.path
    shown = start(path)
    shown.click(middle(shown.panel(0)))
    shown.question("longest_wait")
    waits = {}
    for key, times in (("Next", 40), ("End", 1), ("Prior", 40), ("Home", 1), ("Down", 30)):
        for _ in range(times):
            shown.press(key)
        waits[key] = round(shown.question("longest_wait")[1])
        if key == "End":
            assert 0 < shown.panel(PANELS - 1)[1] < shown.screen.size[1]
        if key == "Home":
            assert 0 < shown.panel(0)[1] < shown.screen.size[1]
    assert max(waits.values()) < LONGEST, waits
    assert len(shown.order()) == PANELS


def test_eight_programs_at_once_on_one_home(screen, start, tmp_path):
    home = tmp_path / "home"
    boards = []
    for number in range(PROGRAMS):
        BoardFile.create(tmp_path / f"film {number}", new_board(f"film {number}")).close()
        boards.append(tmp_path / f"film {number}.fluxboard")
    shown: list[Window] = [start(board, home) for board in boards]
    assert [one.ask("board.title") for one in shown] == [board.stem for board in boards]
    for number, one in enumerate(shown):
        one.ask(f"document.do('Title', __import__('msgspec').structs.replace(board, title='mine {number}'))")
    assert [one.ask("document.file.read_only") for one in shown] == [False] * PROGRAMS
    for one in shown:
        one.ask("document.save()")
    assert json.loads((home / "settings.json").read_text())["recent"]
    for number, board in enumerate(boards):
        assert BoardFile.open(board, write=False).board.title == f"mine {number}"
