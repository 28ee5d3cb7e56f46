"""Going through the window step by step: to a page, over what can be pressed there, back from dialogs."""

import re

from tests.window.driver import Window, middle

SIZES = ((900, 600), (1280, 800), (2560, 1440))
LOOKS = [(size, look) for look in ("dark", "light") for size in SIZES]  # they take turns, test by test
PAGES = {"home": "ctrl+0", "board": "ctrl+1", "cast": "ctrl+2", "models": "ctrl+3", "queue": "ctrl+4",
         "loras": "ctrl+5", "panel": "ctrl+1"}  # fmt: skip
BUTTONS = ("PushButton", "ToolButton", "CheckBox", "RadioButton")
PYTHON = re.compile(
    r"Traceback|\w(Error|Exception)\b|\bNone(?! of)(Type)?\b|object at 0x|[Ee]rrno|\{\w*\}|C\+\+|\w__\w|\bnan\b"
    r"|[0-9a-f]{16}|went wrong"
)


def check_words(window: Window) -> None:
    """Nothing that can be seen speaks as Python does."""
    words = {one[part] for one in window.question("widgets") for part in ("name", "text", "hint")}
    strange = [one for one in words if PYTHON.search(one)]
    assert strange == [], strange


def leave_dialogs(window: Window) -> None:
    """By Esc, with whatever menu is open."""
    for _ in range(6):
        if not window.ask("bool(app.activePopupWidget())") and len(window.question("windows")) == 1:
            return
        window.press("Escape")
    raise AssertionError(f"{window.question('windows')} does not go with Esc")


def go(window: Window, page: str, chosen: bool = True) -> None:
    """To a page; on the board with a panel selected, or with that panel open. What was deleted is made anew."""
    window.press(PAGES[page])
    while page in ("board", "panel") and len(window.order()) < 2:
        window.press("ctrl+shift+n")
    if page in ("board", "panel") and chosen:
        window.click(find_panel(window))
    if page == "panel" and chosen:
        window.press("ctrl+Down")  # on a busy machine a double click is two
        window.wait(lambda: window.ask("window.open_panel_id()"), "the panel")


def find_panel(window: Window) -> tuple[int, int]:
    """The second one; the first where that is out of sight."""
    window.press("Home")
    _, y, _, height = window.ask("place(grid.viewport())")
    points = [middle(window.panel(number)) for number in (1, 0)]
    return next((point for point in points if y < point[1] < y + height), points[-1])


def come_back(window: Window, page: str) -> None:
    """To the page, should the last step have led away from it."""
    leave_dialogs(window)
    if window.ask("window.open_panel_id() is not None") != (page == "panel"):
        go(window, page)
    elif page != "panel":
        window.press(PAGES[page])


def keep_busy(window: Window) -> None:
    """Four takes in the queue, where it is empty."""
    if not window.ask("window.session.busy()"):
        go(window, "board")
        window.press("ctrl+alt+r")


def things(window: Window) -> list[dict]:
    """What lies on the screen and can be used."""
    width, height = window.screen.size
    seen = [(one, middle(one["rect"])) for one in window.question("widgets")]
    return [one for one, (x, y) in seen if one["enabled"] and 0 < x < width and 0 < y < height]


def buttons(window: Window, pressed: set[str]) -> list[tuple[str, list[int]]]:
    """What can be pressed and was not yet, by its name or words."""
    found = [(one["name"] or one["text"], one) for one in things(window) if one["class"].endswith(BUTTONS)]
    return [(name, one["rect"]) for name, one in found if name not in pressed]
