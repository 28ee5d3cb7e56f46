"""Every action and button of the window once, in an order drawn by a fixed seed, on every page, with and without a
selection, also during a run; buttons by mouse and by keys.
"""

import random
import time

import pytest

from tests.window.driver import Window, middle
from tests.window.walking import BUTTONS, PAGES, buttons, check_words, come_back, go, keep_busy, leave_dialogs

ENDS = ("Close Window", "Quit Flux Local")
NAMES = {"PgUp": "Page_Up", "PgDown": "Page_Down", "Del": "Delete", "Esc": "Escape", "+": "plus", "-": "minus",
         ",": "comma", ".": "period", "/": "slash"}  # fmt: skip
MOST = 120  # presses of Tab


def key(text: str) -> str:
    """Ctrl+Shift+N as xdotool writes it."""
    *held, last = text.replace("++", "+plus").split("+")
    last = NAMES.get(last, last if len(last) > 1 else last.lower())
    return "+".join([*(one.lower() for one in held), last])


def actions(window: Window) -> list[tuple[str, str]]:
    """Words and key of everything in the menus that can be used now."""
    return [
        (text, keys)
        for text, keys, usable in window.ask(
            "[(a.text(), a.shortcut().toString(), a.isEnabled()) for a in window.actions()]"
        )
        if usable and text not in ENDS
    ]


def do(window: Window, text: str, keys: str) -> None:
    if keys:
        window.press(key(keys))
    else:
        window.choose(text)
    check_words(window)
    leave_dialogs(window)


@pytest.mark.parametrize(
    ("page", "chosen", "busy"),
    [("board", True, False), ("board", False, False), ("cast", False, False), ("models", False, False),
     ("queue", False, False), ("panel", True, False), ("home", False, False), ("loras", False, False),
     ("board", True, True), ("queue", False, True), ("panel", True, True)],
)  # fmt: skip
def test_every_action_of_every_page(in_turn, page, chosen, busy):
    window = in_turn
    go(window, page, chosen)
    names = actions(window)
    random.Random(f"{page} {chosen}").shuffle(names)
    for text, keys in names:
        print(time.strftime("%X"), page, text, keys, flush=True)
        if busy:
            keep_busy(window)
            go(window, page, chosen)
        do(window, text, keys)
        window.press(PAGES[page])
    assert window.process.poll() is None


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("page", PAGES)
def test_every_button_of_every_page(in_turn, page, busy):
    window, pressed, draw = in_turn, set[str](), random.Random(page)
    go(window, page)
    while found := buttons(window, pressed):
        name, rect = draw.choice(found)
        print(time.strftime("%X"), page, name, flush=True)
        pressed.add(name)
        window.click(middle(rect))
        check_words(window)
        leave_dialogs(window)
        if busy:
            keep_busy(window)
            go(window, page)
        come_back(window, page)
    assert len(pressed) > 5


@pytest.mark.parametrize("pages", [("home", "cast", "queue", "panel"), ("board", "loras", "models")])
def test_every_button_by_keys(in_turn, pages):
    for page in pages:
        go(in_turn, page)
        assert len(press_by_keys(in_turn, page)) > 3
        leave_dialogs(in_turn)


def press_by_keys(window: Window, page: str) -> set[str]:
    """Tab leads from one to the next; each is pressed where it is met first."""
    pressed = set[str]()
    for _ in range(MOST):
        window.press("Tab")
        now = window.question("focus") or {"class": "", "name": ""}
        if now["class"].endswith(BUTTONS) and now["name"] not in pressed:
            print(time.strftime("%X"), page, now["name"], flush=True)
            pressed.add(now["name"])
            window.press("space")
            check_words(window)
            come_back(window, page)
    return pressed
