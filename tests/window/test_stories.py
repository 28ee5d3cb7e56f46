"""The four stories of Home, each played to its end with the built-in model: by mouse or by keys, small and large
screens, dark and light.
"""

import json

import pytest

from app.fluxboard.samples import SAMPLES
from tests.window.driver import Screen, middle

WAYS = {  # story -> (screen, appearance, whether by keys)
    "gull": ((1280, 800), "dark", False),
    "outfit": ((2560, 1440), "light", True),
    "product": ((1280, 800), "light", True),
    "face": ((2560, 1440), "dark", False),
}
MADE = "[bool(panel.take and panel.take.model) for panel in board.panels()]"


@pytest.fixture(params=WAYS)
def way(request):
    size, appearance, by_keys = WAYS[request.param]
    screen = Screen(size)
    yield SAMPLES[request.param], screen, appearance, by_keys
    screen.close()


def test_a_story_is_played_to_its_end(way, start, tmp_path):
    story, screen, appearance, by_keys = way
    (home := tmp_path / "home").mkdir()
    (home / "settings.json").write_text(json.dumps({"appearance": appearance}))
    window = start(home=home, on=screen)
    window.wait(
        lambda: window.ask("window.palette().window().color().lightness() < 128") == (appearance == "dark"), appearance
    )
    before = window.ask("str(document.file.path)")  # the first start has a copy of a story open already
    window.press("ctrl+0")
    open_by_keys(window, story.title) if by_keys else open_by_mouse(window, story.title)
    window.wait(lambda: window.ask("str(document.file.path)") != before, "another board")
    assert window.ask("board.title") == story.title
    count = window.ask("len(list(board.panels()))")
    assert count == sum(len(shots) for _, shots in story.scenes)
    select_all_by_keys(window) if by_keys else select_all_by_mouse(window, count)
    window.wait(lambda: window.selected() == list(range(count)), "all panels to be selected")
    window.press("ctrl+r") if by_keys else window.click(f"Render {count} Panels")
    window.wait(lambda: all(window.ask(MADE)), "a take of the model in every panel", 180)
    window.wait(lambda: not window.ask("window.session.busy()"), "the queue to be empty", 60)
    assert window.question("cut") == []
    window.picture(tmp_path / "story.png")


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
