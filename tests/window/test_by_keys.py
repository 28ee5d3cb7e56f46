"""No mouse: everything is reached, seen and left by keys, and a story is told by them from first start to export."""

import csv

import pytest

from tests.window.conftest import programs
from tests.window.driver import Window

PAGES = {"home": "ctrl+0", "board": "ctrl+1", "cast": "ctrl+2", "models": "ctrl+3", "queue": "ctrl+4",
         "LoRAs": "ctrl+5"}  # fmt: skip
DIALOGS = ("ctrl+comma", "ctrl+shift+b", "ctrl+slash", "ctrl+shift+a", "ctrl+e", "ctrl+p")
MAIN = {"home": "The Gull Goes Out", "board": "Panels of the board", "cast": "Members of the cast", "models": "Models",
        "queue": "", "LoRAs": "Choose Files…"}  # fmt: skip
MOST = 90
QUIET = "Picture of the animatic"  # it fills its window, and a frame would be part of the film


def walk(window: Window, key: str) -> list[dict]:
    """What has the focus after each press, once round."""
    seen: list[dict] = []
    for _ in range(MOST):
        window.press(key)
        now = window.question("focus")
        assert now, f"{key} leads nowhere after {seen[-1:]}"
        if seen and now["id"] == seen[0]["id"]:
            return seen
        assert now["id"] not in [one["id"] for one in seen], f"{key} never leaves {now}"
        seen.append(now)
    raise AssertionError(f"no end: {[one['name'] for one in seen]}")


def check_walk(window: Window, where: str) -> None:
    there = walk(window, "Tab")
    wanted = {one["id"]: one["name"] or one["class"] for one in window.question("stops")}  # pages fill by and by
    reached = {one["id"]: one["name"] or one["class"] for one in there}
    missing, strange = (sorted(a.items() - b.items()) for a, b in ((wanted, reached), (reached, wanted)))
    assert (missing, strange) == ([], []), where
    assert [one for one in there if not one["name"]] == [], f"{where}: nobody can say what this is"
    back = [one["id"] for one in walk(window, "shift+Tab")]
    at = [one["id"] for one in there].index(back[0])
    assert back == [there[(at - i) % len(there)]["id"] for i in range(len(there))], f"{where}: back is another way"


def check_seen(window: Window, where: str) -> None:
    """What has the focus looks otherwise than when it has not."""
    for _ in range(len(window.question("stops"))):
        window.press("Tab")
        now = window.question("focus")
        with_focus = window.question("look", now["rect"])
        window.press("Tab")
        without = window.question("look", now["rect"])
        window.press("shift+Tab")
        assert with_focus != without or now["name"] == QUIET, f"{where}: {now}"


def act_on(window: Window, name: str, key: str) -> None:
    window.tab_to(name)
    window.press(key)


@pytest.fixture(scope="module")
def window(screen, tmp_path_factory):
    with programs(screen) as start:
        yield start(home=tmp_path_factory.mktemp("home"))


@pytest.mark.parametrize("page", PAGES)
def test_tab_comes_to_everything_of_a_page_and_back(window, page):
    window.press(PAGES[page])
    window.wait(lambda: (window.question("focus") or {}).get("name") == MAIN[page], f"{page} to have the keys")
    check_walk(window, page)
    if page != "models":  # of sixty alike
        check_seen(window, page)


def test_tab_comes_to_everything_of_a_panel_and_back(window):
    window.press("ctrl+1", "Home", "Right", "Return")
    window.wait(lambda: window.ask("window.open_panel_id()"), "the panel")
    check_walk(window, "panel")
    check_seen(window, "panel")
    act_on(window, "Fields of the panel", "Right")
    check_walk(window, "panel, second tab")
    window.press("Escape")
    window.wait(lambda: not window.ask("window.open_panel_id()"), "the board")
    assert window.question("focus")["name"] == MAIN["board"]


@pytest.mark.parametrize("key", DIALOGS)
def test_tab_comes_to_everything_of_a_dialog_and_back_and_escape_closes_it(window, key):
    window.press("ctrl+1")
    window.press(key)
    window.wait(lambda: window.ask("app.activeWindow() not in (None, window)"), key)
    check_walk(window, key)
    check_seen(window, key)
    window.press("Escape")
    window.wait(lambda: len(window.question("windows")) == 1, f"{key} to close")


def test_tab_goes_through_a_lesson_s_dialog_as_it_lies(window):
    window.press("ctrl+2")
    act_on(window, "Teach This Character…", "Return")
    window.wait(lambda: window.ask("app.activeWindow() not in (None, window)"), "the dialog")
    check_walk(window, "teach")
    names = [one["name"] for one in walk(window, "Tab")]
    start = names.index("Caption of gull")
    assert [*names[start:], *names[:start]][:5] == [
        "Caption of gull", "Leave out gull", "Add Pictures…", "Model", "Steps"
    ]  # fmt: skip
    window.press("Escape")
    window.wait(lambda: len(window.question("windows")) == 1, "it to close")


def test_arrows_lead_from_place_to_place_and_from_colour_to_colour(window):
    window.press("ctrl+1")
    window.tab_to("Board")
    for place in ("Cast", "LoRAs", "Models", "Queue"):
        window.press("Down")
        window.wait(lambda place=place: window.question("focus")["name"] == place, place)
    assert window.ask("window.stack.currentWidget() is window.queue")
    window.press("ctrl+2")
    before = window.ask("board.cast[0].colour")
    act_on(window, "Colour blue", "Right")
    window.wait(lambda: window.ask("board.cast[0].colour") != before, "another colour")
    window.press("ctrl+z")


def test_a_story_without_a_mouse(start, tmp_path):
    window = start()
    title = window.ask("board.title")
    window.press("ctrl+n")
    window.wait(lambda: window.ask("board.title") != title, "the new board")
    window.press("Home", "Right", "Return")  # the heading of the first scene, the place to add a panel
    window.wait(lambda: window.ask("window.open_panel_id()"), "the first panel")
    window.type("a panda in the snow at night")
    window.wait(lambda: window.order() == ["a panda in the snow at night"], "the words")
    act_on(window, "Render", "Return")
    window.wait(lambda: window.ask("len(next(board.panels()).takes)") == 1, "the picture", 120)
    window.press("Escape", "ctrl+k")
    window.wait(lambda: len(window.order()) == 2, "the panel that continues it")
    window.type("make it sunset")
    window.press("ctrl+r")
    window.wait(lambda: window.ask("[len(panel.takes) for panel in board.panels()]") == [1, 1], "its picture", 120)
    window.press("Escape", "ctrl+e")
    window.wait(lambda: "Export" in window.question("windows"), "the export dialog")
    window.press("End", "Up", "Up")
    window.wait(lambda: "Shot list (CSV)" in str(window.question("focus")), "the format")
    window.press("Return")
    window.wait(lambda: len(window.question("windows")) > 1 and "Export" not in window.question("windows"), "where to")
    window.answer(tmp_path / "shots.csv")
    window.wait(lambda: window.shows("Exported shots.csv."), "the list")
    rows = list(csv.DictReader((tmp_path / "shots.csv").read_text("utf-8-sig").splitlines()))
    assert [(row["panel"], row["takes"]) for row in rows] == [("1A", "1"), ("1B", "1")]


def test_a_mask_without_a_mouse(start):
    window = start()
    window.press("Home", "Right", "Return")
    window.wait(lambda: window.ask("window.open_panel_id()"), "the first panel")
    mask = "next(board.panels()).mask"
    act_on(window, "Look", "Right")
    window.press("Right", "Right")
    window.wait(lambda: window.ask("window.stack.currentWidget().stage.tool == 'rectangle'"), "the rectangle")
    act_on(window, "Picture", "Return")
    window.press(*["shift+Right"] * 3, *["shift+Down"] * 3, "Return")
    window.wait(lambda: window.ask(f"{mask} is not None"), "the mask")
    before = window.ask(f"{mask}.sha256")
    window.press("alt+Right")
    window.wait(lambda: window.ask(f"{mask}.sha256") != before, "a wider mask")
    window.press("Escape")
    assert window.ask("window.stack.currentWidget().stage.tool") == "rectangle", "Esc lets go of the rectangle first"
    window.press("Escape", "Escape")
    window.wait(lambda: not window.ask("window.open_panel_id()"), "the board")
