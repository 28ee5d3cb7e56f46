"""Every action of the window once, in an order drawn by a fixed seed, on every page, with and without a selection."""

import random
import time

import pytest

from tests.window.driver import Window, middle

ENDS = ("Close Window", "Quit Flux Local")
NAMES = {"PgUp": "Page_Up", "PgDown": "Page_Down", "Del": "Delete", "Esc": "Escape", "+": "plus", "-": "minus",
         ",": "comma", ".": "period", "/": "slash"}  # fmt: skip


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


def leave_dialogs(window: Window) -> None:
    for _ in range(6):
        if len(window.question("windows")) == 1:
            return
        window.press("Escape")
    raise AssertionError(f"{window.question('windows')} does not go with Esc")


def do(window: Window, text: str, keys: str) -> None:
    if keys:
        window.press(key(keys))
    else:
        window.choose(text)
    leave_dialogs(window)


PAGES = {"board": "ctrl+1", "cast": "ctrl+2", "models": "ctrl+3", "queue": "ctrl+4", "panel": "ctrl+1"}
BUTTONS = ("PushButton", "ToolButton", "CheckBox", "RadioButton")


def go(window: Window, page: str, chosen: bool = True) -> None:
    """To a page; on the board with a panel selected, or with that panel open. What was deleted is made anew."""
    window.press(PAGES[page])
    while page in ("board", "panel") and len(window.order()) < 2:
        window.press("ctrl+shift+n")
    if page in ("board", "panel") and chosen:
        window.click(middle(window.panel(1)), times=2 if page == "panel" else 1)


def keep_busy(window: Window) -> None:
    """Four takes in the queue, where it is empty."""
    if not window.ask("window.session.busy()"):
        go(window, "board")
        window.press("ctrl+alt+r")


@pytest.mark.parametrize(
    ("page", "chosen", "busy"),
    [("board", True, False), ("board", False, False), ("cast", False, False), ("models", False, False),
     ("queue", False, False), ("panel", True, False), ("board", True, True), ("queue", False, True),
     ("panel", True, True)],
)  # fmt: skip
def test_every_action_of_every_page(window, page, chosen, busy):
    go(window, page, chosen)
    names = actions(window)
    random.Random(f"{page} {chosen}").shuffle(names)
    for text, keys in names:
        print(time.strftime("%X"), page, text, keys, flush=True)
        if busy:
            keep_busy(window)
            go(window, page, chosen)
        do(window, text, keys)
        window.press({"cast": "ctrl+2", "models": "ctrl+3", "queue": "ctrl+4"}.get(page, "ctrl+1"))
    assert window.process.poll() is None


def buttons(window: Window, pressed: set[str]) -> list[tuple[str, list[int]]]:
    """What can be pressed and was not yet, by its name or words."""
    width, height = window.screen.size
    found = []
    for one in window.question("widgets"):
        x, y = middle(one["rect"])
        name = one["name"] or one["text"]
        inside = 0 < x < width and 0 < y < height
        if one["enabled"] and inside and name not in pressed and one["class"].endswith(BUTTONS):
            found.append((name, one["rect"]))
    return found


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("page", PAGES)
def test_every_button_of_every_page(window, page, busy):
    pressed: set[str] = set()
    draw = random.Random(page)
    go(window, page)
    while found := buttons(window, pressed):
        name, rect = draw.choice(found)
        print(time.strftime("%X"), page, name, flush=True)
        pressed.add(name)
        window.click(middle(rect))
        leave_dialogs(window)
        if busy:
            keep_busy(window)
        if busy or window.ask("window.open_panel_id() is not None") != (page == "panel"):
            go(window, page)
        elif page != "panel":
            window.press(PAGES[page])
    assert len(pressed) > 5
