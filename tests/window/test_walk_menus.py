"""Every entry of the menus of right clicks, drags from anything to anything."""

import random
import time

import pytest

from tests.window.driver import Window, middle
from tests.window.walking import PAGES, check_words, come_back, go, keep_busy, leave_dialogs, things

MENU = (
    "[(a.text().replace('&', ''), a.isEnabled(), place(m, m.actionGeometry(a))) for m in [app.activePopupWidget()]"
    " if hasattr(m, 'actionGeometry') for a in m.actions() if a.isVisible() and not a.isSeparator()]"
)
OF_QT = ("Line", "Edit", "entry", "Label", "Plain", "Box", "Field", "MainWindow")  # texts of fields; what has no menu
DRAGS = 7  # on each page
ROWS = "[place(v.viewport(), v.visualRect(v.model().index(r, 0))) for v in [{}] for r in range(v.model().rowCount())]"


def spots(window: Window, page: str) -> list[tuple[int, int]]:
    """Where a right click may show a menu: on one of each class of thing, on each row of the board and of the takes."""
    first = {one["class"]: middle(one["rect"]) for one in reversed(things(window)) if not one["class"].endswith(OF_QT)}
    found = list(first.values())
    if page == "board":
        width, height = window.screen.size
        found += [middle(rect) for rect in window.ask(ROWS.format("grid"))[:3]] + [(width - 60, height - 40)]
    if page == "panel":
        found += [middle(rect) for rect in window.ask(ROWS.format("window.stack.currentWidget().side.takes"))[:2]]
    return found


def list_entries(window: Window) -> list:
    """Words, whether it can be chosen, and place of each entry of the menu that is open."""
    return window.ask(MENU)


def open_menu(window: Window, page: str, at: tuple[int, int]) -> list:
    come_back(window, page)
    window.click(at, button=3)
    return list_entries(window)


def choose_entry(window: Window, text: str, rect: list[int], by_keys: bool) -> None:
    if by_keys:
        usable = [name for name, enabled, _ in list_entries(window) if enabled]
        window.press(*["Down"] * (1 + usable.index(text)), "Return")
    else:
        window.click(middle(rect))
    check_words(window)


def walk_menus(window: Window, page: str, busy: bool, chosen: set[str]) -> None:
    go(window, page)
    for at in spots(window, page):
        if busy:
            keep_busy(window)
            go(window, page)
        while left := [one for one in open_menu(window, page, at) if one[1] and one[0] not in chosen]:
            text, _, rect = left[0]
            print(time.strftime("%X"), page, at, text, flush=True)
            chosen.add(text)
            choose_entry(window, text, rect, by_keys=len(chosen) % 2 == 0)
        leave_dialogs(window)


@pytest.mark.parametrize(("pages", "busy"), [((*reversed(PAGES),), False), (("panel", "board", "queue"), True)])
def test_every_entry_of_every_right_click(in_turn, pages, busy):
    for page in pages:
        chosen = set[str]()
        walk_menus(in_turn, page, busy, chosen)
        assert len(chosen) > 3 or page not in ("board", "panel")


def test_whatever_is_dragged_onto_whatever(in_turn):
    window, draw = in_turn, random.Random(1)
    for page in PAGES:
        for number in range(DRAGS):
            if page in ("board", "panel") and number == 0:
                keep_busy(window)
            come_back(window, page)
            one, other = draw.sample([one for one in things(window) if one["class"] != "entry"], 2)
            print(time.strftime("%X"), page, one["name"], one["rect"], other["name"], other["rect"], flush=True)
            window.drag(middle(one["rect"]), middle(other["rect"]))
            check_words(window)
    leave_dialogs(window)
