"""Every control that is no button: of choices each row, sliders, tabs and numbers by keys, words typed into each line.

Also every control and key of the animatic, and drags from anywhere to anywhere on it.
"""

import random
import time

import pytest

from tests.window.driver import Window, middle
from tests.window.test_fit import write_loras
from tests.window.test_keys_and_files import PLAYER
from tests.window.walking import PAGES, check_words, come_back, go, leave_dialogs, things

KEYS = {
    "ChoiceField": ("Down", "Return", "Up"), "StartBox": ("Down", "Return", "Up"),
    "QSlider": ("Right", "Page_Up", "Home", "End", "Left"),
    "WholeField": ("Up", "Down", "ctrl+a", "7", "Return"), "FractionField": ("Up", "Down", "ctrl+a", "7", "Return"),
    "QTabBar": ("Right", "Right", "Right", "Right"), "Edit": ("ctrl+a", "at", "f", "Escape", "ctrl+z"),
    "Text": ("ctrl+a", "at", "f", "Escape", "ctrl+z"), "Box": ("at", "f", "Escape", "ctrl+z"),
    "Field": ("ctrl+a", "at", "f", "Return", "ctrl+z"), "List": ("Down", "End", "Home"), "ListView": ("Down", "End"),
    "Tree": ("Down", "End", "Home"), "Table": ("Down", "End", "Home"), "QTableWidget": ("Down", "End", "Home"),
}  # fmt: skip
ANIMATIC = ("space", "Left", "Right", "comma", "period", "Home", "End", "ctrl+z", "ctrl+shift+z", "b", "e", "plus",
            "minus", "Up", "Down", "Tab", "shift+Tab", "Delete", "Return")  # fmt: skip
DRAGS = 12


def keys_of(one: dict) -> tuple[str, ...]:
    """By the longest end of its class's name."""
    return next((KEYS[end] for end in sorted(KEYS, key=len, reverse=True) if one["class"].endswith(end)), ())


@pytest.mark.parametrize("page", PAGES)
def test_every_field_of_every_page(in_turn, page):
    window, used = in_turn, set[str]()
    write_loras(window.home)
    go(window, page)
    if page == "loras":
        window.click("Use fine for the whole board")
    while left := [one for one in things(window) if keys_of(one) and one["name"] + one["class"] not in used]:
        one = left[0]
        print(time.strftime("%X"), page, one["class"], one["name"], flush=True)
        used.add(one["name"] + one["class"])
        window.click(middle(one["rect"]))
        window.press(*keys_of(one))
        check_words(window)
        leave_dialogs(window)
        come_back(window, page)
    assert used or page in ("home", "queue")  # buttons alone


def open_animatic(window: Window) -> None:
    leave_dialogs(window)
    go(window, "board")
    window.press("ctrl+p")
    window.wait(lambda: window.ask("type(app.activeWindow()).__name__") == "Animatic", "the animatic")


def is_open(window: Window) -> bool:
    return window.ask("any(type(top).__name__ == 'Animatic' and top.isVisible() for top in app.topLevelWidgets())")


@pytest.mark.parametrize("drawing", [False, True])
def test_every_key_and_drag_of_the_animatic(in_turn, drawing):
    window, draw = in_turn, random.Random(f"animatic {drawing}")
    open_animatic(window)
    steps = [("key", key) for key in ANIMATIC * 2] + [("drag", "")] * DRAGS + [("wheel", ""), ("menu", "")] * 3
    draw.shuffle(steps)
    for kind, key in steps:
        if not is_open(window):
            open_animatic(window)
        if drawing and not window.ask(f"{PLAYER}.camera.isChecked()"):
            window.click("Camera")
        print(time.strftime("%X"), kind, key, flush=True)
        window.press(key) if kind == "key" else move(window, kind, draw)
        check_words(window)
    leave_dialogs(window)
    assert window.ask("document.history.can_undo"), "nothing was changed by it all"


def move(window: Window, kind: str, draw: random.Random) -> None:
    """With the mouse, somewhere in the animatic."""
    x, y, width, height = window.ask(f"place({PLAYER})")
    start, end = ((x + draw.randrange(5, width - 5), y + draw.randrange(5, height - 60)) for _ in range(2))
    if kind == "drag":
        window.drag(start, end)
    else:
        window.click(start, button={"wheel": 5, "menu": 3}[kind])
