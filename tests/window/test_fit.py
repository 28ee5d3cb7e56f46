"""No word is cut and no popup hides a row, whatever the artist's words, at three sizes, dark and light.

One program for each size; the appearance is changed inside it.
"""

import json
import time

import numpy as np
import pytest
from safetensors.numpy import save_file

from app.board import commands
from app.fluxboard import samples
from app.interchange.formats import EXPORTS
from tests.window.driver import Screen, middle

WORD = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
TEXT = "Am Hafen, in der Abenddämmerung, während der Nebel über die Kaimauern zieht 🦊🌧️👩‍👩‍👧‍👦"
ENTRIES = ("Restore an Earlier State…", "About Flux Local", "Acknowledgements…", "Import…", "Save a Copy…")
DIALOGS = ("ctrl+e", "ctrl+comma", "ctrl+shift+b", "ctrl+slash", "ctrl+shift+a", "ctrl+p", "F1")
PAGES = {"ctrl+0": "home", "ctrl+2": "cast", "ctrl+3": "models", "ctrl+4": "queue", "ctrl+5": "loras"}
SETTLE = 3.0  # seconds in which a page that has just come is laid out on a busy machine
FIELDS = ("QComboBox", "ChoiceField", "StartBox")


def write_board(path):
    """A sample in which everything is long."""
    file = samples.create(samples.FIRST, path)
    board = commands.set_board(file.board, title=f"{TEXT} {WORD}", style="ink and watercolour " * 20)
    board = commands.set_scene(board, board.scenes[0].id, heading=f"INT. {WORD.upper()} {TEXT}")
    first, second, third = list(board.panels())[:3]
    board = commands.set_panel(board, first.id, action=TEXT, dialogue=WORD, notes=TEXT)
    board = commands.set_panel(board, second.id, prompt=f"{WORD} {TEXT * 3}")
    board = commands.set_panel(board, third.id, action=WORD * 3)
    file.save(commands.set_member(board, board.cast[0].id, name=WORD[:40], notes=TEXT * 4))
    file.close()
    return path


@pytest.fixture(params=["900x600", "1280x800", "2560x1440"])
def screen(request):
    """In the place of the one screen of all other tests."""
    width, height = request.param.split("x")
    made = Screen((int(width), int(height)))
    yield made
    made.close()


@pytest.fixture
def shown(screen, start, tmp_path):
    """The program with the long board, in a window that fills the screen."""
    return start(write_board(tmp_path / "long.fluxboard"), write_loras(tmp_path / "home"))


def write_loras(home):
    """A home with two of them, of long names."""
    (home / "loras").mkdir(parents=True)
    for name in ("fine", WORD[:60]):
        weights = {f"transformer_blocks.0.attn.to_q.lora_{side}.weight": np.zeros((4, 4), np.float32) for side in "AB"}
        about = {"ss_tag_frequency": json.dumps({"a": {WORD.lower(): 3, "on a beach": 2}})}
        save_file(weights, home / "loras" / f"{name}.safetensors", about)
    return home


def check(window, what):
    end = time.monotonic() + SETTLE
    while (cut := window.question("cut")) and time.monotonic() < end:
        time.sleep(0.05)
    assert cut == [], what


def check_popups(window, page):
    """Each list of choices that can be seen, opened."""
    for field in window.question("widgets"):
        x, y = middle(field["rect"])
        if field["class"] in FIELDS and field["enabled"] and y < window.screen.size[1]:
            window.click((x, y))
            check(window, f"{page}: {field['name']}")
            window.press("Escape")


def look_at_pages(shown):
    check(shown, "board")
    shown.press("ctrl+a")
    check(shown, "board, all selected")
    check_popups(shown, "board")
    for key, page in PAGES.items():
        shown.press(key)
        check(shown, page)
    shown.press("ctrl+f")
    shown.type("gull")
    check(shown, "the board's search")
    shown.press("Escape")
    shown.click(middle(shown.panel(1)), times=2)
    shown.wait(lambda: shown.ask("window.open_panel_id()"), "the panel")
    shown.type(" @")
    check(shown, "what can be mentioned")
    shown.press("Escape")
    check_popups(shown, "panel")
    for tab in ("Shot", "Take", "Pictures"):
        shown.click(middle(shown.ask(
            f"(lambda bar: [place(bar, bar.tabRect(i)) for i in range(bar.count()) if bar.tabText(i) == {tab!r}][0])"
            "(window.stack.currentWidget().side.tabs)"
        )))  # fmt: skip
        check(shown, f"panel, {tab}")
        if tab == "Shot":
            check_popups(shown, tab)
    shown.click("Mask brush")
    check(shown, "panel with a mask")


def look_at_dialog(shown, what, between=None):
    """One that was just asked for; it goes with Escape."""
    shown.wait(lambda: shown.ask("app.activeWindow() not in (None, window)"), what)
    check(shown, what)
    if between:
        between()
    for _ in range(3):
        shown.press("Escape")
        if len(shown.question("windows")) == 1:
            return
    shown.wait(lambda: len(shown.question("windows")) == 1, f"{what} to close")


def look_at_formats(shown):
    for name in EXPORTS[1:]:
        shown.press("Down")
        check(shown, f"export as {name}")


def look_at_dialogs(shown, formats):
    shown.press("ctrl+1")
    shown.click(middle(shown.panel(1)))
    for keys in DIALOGS:
        shown.press(keys)
        look_at_dialog(shown, keys, (lambda: look_at_formats(shown)) if formats and keys == "ctrl+e" else None)
    for words in ENTRIES:
        shown.choose(words)
        look_at_dialog(shown, words)
    shown.press("ctrl+3")
    shown.ask("window.page('models').choose('flux2-klein-9b')")
    check(shown, "a gated model in full")
    for page, words in (
        ("ctrl+2", "Teach This Character…"), ("ctrl+2", "Add Member…"), ("ctrl+3", "Download…"), ("ctrl+3", "Log In…"),
    ):  # fmt: skip
        shown.press(page)
        shown.tab_to(words)
        shown.press("Return")
        look_at_dialog(shown, words)


def look_at_menus(shown):
    shown.press("ctrl+1")
    for title in ("File", "Edit", "Board", "Render", "View", "Help"):
        shown.click(shown.find_at(title, "entry"))
        check(shown, title)
        shown.press("Escape", "Escape")
    x, y = shown.screen.size[0] - 60, shown.screen.size[1] - 20
    for point in ((x, y), middle(shown.panel(0))):
        shown.click(point, button=3)
        check(shown, f"the menu at {point}")
        shown.press("Escape")


def look_at_messages(shown):
    """The first of a session too: it is measured before its labels have their letters."""
    shown.choose("Move Unused Pictures to the Trash…")
    shown.wait(lambda: shown.shows("in use"), "a message")
    check(shown, "a message")
    shown.click("Dismiss message")


def change_appearance(shown, keys):
    """In the settings, by keys."""
    shown.press("ctrl+comma")
    shown.wait(lambda: (shown.question("focus") or {}).get("name") == "Appearance", "the settings")
    shown.press(*keys)
    check(shown, "settings")
    shown.press("Escape")
    shown.wait(lambda: len(shown.question("windows")) == 1, "the settings to close")


def test_everything_fits(shown):
    look_at_messages(shown)
    grounds = set()
    for keys in (("End",), ("Up",)):  # dark is the last of them
        change_appearance(shown, keys)
        grounds.add(shown.ask("window.palette().window().color().name()"))
        look_at_pages(shown)
        shown.press("Escape", "Escape")
        look_at_dialogs(shown, formats=len(grounds) == 1)  # their options are words alone
    look_at_menus(shown)
    assert len(grounds) == 2
