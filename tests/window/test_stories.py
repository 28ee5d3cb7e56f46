"""The four stories of Home, each played to its end with the built-in model: by mouse and by keys, on small and large
screens, dark and light. FLUX_LOCAL_PICTURES names a folder for what was seen.
"""

import json
import os
from pathlib import Path

import pytest

from app.fluxboard.samples import SAMPLES
from tests.window.driver import Screen, middle

SMALL, LARGE = (1280, 800), (2560, 1440)
MOUSE, KEYS = False, True
WAYS = (  # story, whether by keys, screen, appearance: each story on both screens, and dark and light
    ("gull", MOUSE, SMALL, "dark"), ("gull", KEYS, LARGE, "light"),
    ("outfit", MOUSE, LARGE, "light"), ("outfit", KEYS, SMALL, "dark"),
    ("product", MOUSE, SMALL, "light"), ("product", KEYS, LARGE, "dark"),
    ("face", MOUSE, LARGE, "dark"), ("face", KEYS, SMALL, "light"),
)  # fmt: skip
LAST = "list(board.panels())[-1].id"
MADE = "[bool(panel.take and panel.take.model) for panel in board.panels()]"


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0]} by {'keys' if way[1] else 'mouse'}")
def way(request):
    name, by_keys, size, appearance = request.param
    screen = Screen(size)
    yield SAMPLES[name], screen, appearance, by_keys
    screen.close()


@pytest.fixture
def look(way, tmp_path):
    """A function that keeps what is seen, and says that all of it fits."""
    story, *_, by_keys = way
    folder = Path(os.environ.get("FLUX_LOCAL_PICTURES", tmp_path))

    def keep(window, name):
        window.picture(folder / f"{story.title} {'keys' if by_keys else 'mouse'} {name}.png")
        assert window.question("cut") == []

    return keep


def test_a_story_is_played_to_its_end(way, look, start, tmp_path):
    story, screen, appearance, by_keys = way
    (home := tmp_path / "home").mkdir()
    (home / "settings.json").write_text(json.dumps({"appearance": appearance}))
    window = start(home=home, on=screen)
    window.wait(
        lambda: window.ask("window.palette().window().color().lightness() < 128") == (appearance == "dark"), appearance
    )
    window.press("ctrl+0") if by_keys else window.click(window.find_at("Home", "ToolButton"))
    look(window, "1 home")
    open_by_keys(window, story.title) if by_keys else open_by_mouse(window, story.title)
    window.wait(lambda: window.ask("window.stack.currentWidget() is window.board"), "the board")
    window.wait(lambda: window.ask("board.title") == story.title, "the story")  # of the first, a copy is open already
    count = window.ask("len(list(board.panels()))")
    assert count == sum(len(shots) for _, shots in story.scenes)
    look(window, "2 board")
    select_all_by_keys(window) if by_keys else select_all_by_mouse(window, count)
    window.wait(lambda: window.selected() == list(range(count)), "all panels to be selected")
    window.press("ctrl+r") if by_keys else window.click(f"Render {count} Panels")
    window.wait(lambda: all(window.ask(MADE)), "a take of the model in every panel", 180)
    window.wait(lambda: not window.ask("window.session.busy()"), "the queue to be empty", 60)
    look(window, "3 rendered")
    open_last_by_keys(window) if by_keys else open_last_by_mouse(window, count)
    window.wait(lambda: window.ask(f"window.open_panel_id() == {LAST}"), "the last panel")
    window.wait(lambda: not window.ask("window.stack.currentWidget().stage.canvas.picture.isNull()"), "its picture")
    look(window, "4 last")
    window.press("Escape") if by_keys else window.click("Back to the board")
    window.wait(lambda: not window.ask("window.open_panel_id()"), "the board")


def open_last_by_keys(window):
    """Where the board ends stands what adds a panel or a scene."""
    last = window.ask("len(list(board.panels())) - 1")
    window.press("End")
    while window.selected() != [last]:
        window.press("Left")
    window.press("Return")


def open_last_by_mouse(window, count):
    window.click(middle(window.panel(count - 1)), times=2)


def open_by_keys(window, title):
    window.tab_to(title)
    window.press("Return")


def open_by_mouse(window, title):
    """A board of that title may lie below, among those of lately."""
    window.find(title, "Card")
    cards = [one for one in window.question("widgets") if one["text"] == title and one["class"] == "Card"]
    window.click(middle(min(cards, key=lambda one: one["rect"][1])["rect"]))


def select_all_by_keys(window):
    window.press("ctrl+a")


def select_all_by_mouse(window, count):
    window.click(middle(window.panel(0)))
    if window.panel(count - 1)[1] > window.screen.size[1] // 2:
        window.click(middle(window.panel(1)), button=5, times=30)  # the wheel, to the end
        window.wait(lambda: window.ask("grid.verticalScrollBar().value() == grid.verticalScrollBar().maximum()"), "it")
    window.click(middle(window.panel(count - 1)), keys="shift")
