"""Every control of every dialog: of those of the menu bar, and of those that buttons and right clicks of a page open;
every entry of the menus that hang on buttons.
"""

import time
from collections.abc import Callable

import pytest

from tests.converters.test_folders import comfy
from tests.converters.tiny import TINY
from tests.window.driver import Window, middle
from tests.window.test_fit import DIALOGS, ENTRIES, write_loras
from tests.window.test_models_from_folder import HAVE, MODEL
from tests.window.test_walk_menus import choose_entry, list_entries, open_menu, spots
from tests.window.walking import BUTTONS, buttons, check_words, come_back, go, leave_dialogs, things

OF_QT = "QFileDialog"


def is_asked(window: Window) -> bool:
    """Whether another window than the one of the pages has the keys."""
    return window.ask("app.activeWindow() not in (None, window)")


def asks(window: Window) -> bool:
    """Whether a dialog of ours has come up, which may still have to get the keys."""
    if window.ask("bool(app.activePopupWidget())") or len(window.question("windows")) == 1:
        return False
    window.wait(lambda: is_asked(window) or len(window.question("windows")) == 1, "the dialog to get the keys")
    return is_asked(window) and not window.ask(f"app.activeWindow().inherits({OF_QT!r})")


def find_control(window: Window, pressed: set[str]) -> dict | None:
    """One of the dialog's that was not used yet."""
    x, y, width, height = window.ask("place(app.activeWindow())")
    for one in things(window):
        across, down = middle(one["rect"])
        inside = x <= across < x + width and y <= down < y + height
        if inside and one["class"].endswith((*BUTTONS, "ChoiceField")) and one["name"] not in pressed:
            return one
    return None


def use(window: Window, one: dict) -> None:
    """A button is pressed; of choices the next is taken. What the dialog asks further is left."""
    window.click(middle(one["rect"]))
    if one["class"].endswith("ChoiceField"):
        window.press("Down", "Return")
    check_words(window)
    while len(window.question("windows")) > 2:
        window.press("Escape")


def walk_dialog(window: Window, words: str, again: Callable[[], object]) -> None:
    """One that is open; left by what was pressed, it is asked for `again`, if it then comes."""
    pressed = set[str]()
    while one := find_control(window, pressed):
        print(time.strftime("%X"), words, one["name"], flush=True)
        pressed.add(one["name"])
        use(window, one)
        if not is_asked(window):
            leave_dialogs(window)
            again()
            if not asks(window):
                break
    leave_dialogs(window)
    assert pressed, words


def open_dialog(window: Window, words: str) -> None:
    leave_dialogs(window)
    go(window, "board")
    window.press(words) if words in DIALOGS else window.choose(words)
    window.wait(lambda: is_asked(window), words)


@pytest.mark.parametrize("words", [(*DIALOGS,), ENTRIES])
def test_every_control_of_every_dialog(in_turn, words):
    for one in words:
        open_dialog(in_turn, one)
        walk_dialog(in_turn, one, lambda one=one: open_dialog(in_turn, one))


def press_again(window: Window, page: str, name: str) -> None:
    """The button of that name, should it still be there."""
    come_back(window, page)
    there = [rect for found, rect in buttons(window, set()) if found == name]
    if there:
        window.click(middle(there[0]))


def walk_entries(window: Window, page: str, name: str) -> None:
    """Those of the menu that hangs on a button, which is open."""
    chosen = set[str]()
    while left := [one for one in list_entries(window) if one[1] and one[0] not in chosen]:
        text, _, rect = left[0]
        print(time.strftime("%X"), page, name, text, flush=True)
        chosen.add(text)
        choose_entry(window, text, rect, by_keys=len(chosen) % 2 == 0)
        leave_dialogs(window)
        press_again(window, page, name)


@pytest.mark.parametrize("page", ["home", "board", "cast", "models", "loras", "panel"])
def test_what_each_button_opens_is_used(in_turn, page):
    window, pressed = in_turn, set[str]()
    write_loras(window.home)
    go(window, page)
    while found := buttons(window, pressed):
        name, rect = found[0]
        pressed.add(name)
        window.click(middle(rect))
        if list_entries(window):
            walk_entries(window, page, name)
        elif asks(window):
            walk_dialog(window, name, lambda name=name: press_again(window, page, name))
        come_back(window, page)
    assert len(pressed) > 5


@pytest.mark.parametrize("page", ["board", "cast", "loras", "panel"])
def test_what_each_right_click_opens_is_used(in_turn, page):
    window, chosen = in_turn, set[str]()
    write_loras(window.home)
    go(window, page)
    for at in spots(window, page):
        while left := [one for one in open_menu(window, page, at) if one[1] and one[0] not in chosen]:
            text, _, rect = left[0]
            chosen.add(text)
            choose_entry(window, text, rect, by_keys=False)
            if asks(window):
                walk_dialog(window, text, lambda at=at, text=text: choose_again(window, page, at, text))
        leave_dialogs(window)


def choose_again(window: Window, page: str, at: tuple[int, int], text: str) -> None:
    there = [rect for name, enabled, rect in open_menu(window, page, at) if enabled and name == text]
    if there:
        choose_entry(window, text, there[0], by_keys=False)


def test_what_a_folder_of_models_opens_is_used(in_turn, tmp_path):
    window, root = in_turn, comfy(tmp_path / "ComfyUI", TINY[MODEL], "flux-2-klein-4b")

    def look() -> None:
        go(window, "models")
        window.click(HAVE)
        window.wait(lambda: is_asked(window), "the folder dialog")
        window.answer(root)
        window.wait(lambda: window.shows("can be made of what lies here"), "the list")

    look()
    walk_dialog(window, HAVE, look)
