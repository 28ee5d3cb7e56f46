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


@pytest.mark.parametrize("page", ["board", "cast", "models", "queue", "panel"])
@pytest.mark.parametrize("chosen", [True, False])
def test_every_action_of_every_page(window, page, chosen):
    window.press({"board": "ctrl+1", "cast": "ctrl+2", "models": "ctrl+3", "queue": "ctrl+4", "panel": "ctrl+1"}[page])
    if chosen and page in ("board", "panel"):
        window.click(middle(window.panel(1)))
    if page == "panel":
        window.click(middle(window.panel(1)), times=2)
    names = actions(window)
    random.Random(f"{page} {chosen}").shuffle(names)
    for text, keys in names:
        print(time.strftime("%X"), page, text, keys, flush=True)
        do(window, text, keys)
        window.press({"cast": "ctrl+2", "models": "ctrl+3", "queue": "ctrl+4"}.get(page, "ctrl+1"))
    assert window.process.poll() is None
