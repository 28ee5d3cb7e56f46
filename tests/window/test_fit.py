"""No word is cut and no popup hides a row, whatever the artist's words, at three sizes, dark and light."""

import json
import time

import pytest

from app.board import commands
from app.fluxboard import samples
from tests.window.driver import Screen, middle

WORD = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
TEXT = "Am Hafen, in der Abenddämmerung, während der Nebel über die Kaimauern zieht 🦊🌧️👩‍👩‍👧‍👦"
DIALOGS = ("ctrl+e", "ctrl+comma", "ctrl+shift+b", "ctrl+slash", "ctrl+shift+a", "ctrl+p")
SETTLE = 3.0  # seconds in which a page that has just come is laid out on a busy machine
FIELDS = ("QComboBox", "ChoiceField")


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


@pytest.fixture(params=["900x600 dark", "900x600 light", "1280x800 light", "2560x1440 dark"])
def screen(request):
    """In the place of the one screen of all other tests."""
    width, height = request.param.split()[0].split("x")
    made = Screen((int(width), int(height)))
    yield made
    made.close()


@pytest.fixture
def shown(request, screen, start, tmp_path):
    """The program with the long board, in a window that fills the screen."""
    home, appearance = tmp_path / "home", request.node.callspec.params["screen"].split()[1]
    home.mkdir()
    (home / "settings.json").write_text(json.dumps({"appearance": appearance}))
    return start(write_board(tmp_path / "long.fluxboard"), home)


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
    for key, page in (("ctrl+2", "cast"), ("ctrl+3", "models"), ("ctrl+4", "queue"), ("ctrl+5", "loras")):
        shown.press(key)
        check(shown, page)
    shown.press("ctrl+1")
    shown.click(middle(shown.panel(1)), times=2)
    shown.wait(lambda: shown.ask("window.open_panel_id()"), "the panel")
    shown.type(" @")
    check(shown, "what can be mentioned")
    shown.press("Escape")
    for tab in ("Shot", "Take", "Picture"):
        shown.click(middle(shown.ask(
            f"(lambda bar: [place(bar, bar.tabRect(i)) for i in range(bar.count()) if bar.tabText(i) == {tab!r}][0])"
            "(window.stack.currentWidget().side.tabs)"
        )))  # fmt: skip
        check(shown, f"panel, {tab}")
        if tab == "Shot":
            check_popups(shown, tab)
    shown.click("Mask brush")
    check(shown, "panel with a mask")


def look_at_dialogs_and_menus(shown):
    shown.click(middle(shown.panel(1)))
    for keys in DIALOGS:
        shown.press(keys)
        shown.wait(lambda: shown.ask("app.activeWindow() not in (None, window)"), keys)
        check(shown, keys)
        shown.press("Escape")
        shown.wait(lambda: len(shown.question("windows")) == 1, f"{keys} to close")
    for title in ("File", "Edit", "Board", "Render", "View", "Help"):
        shown.click(shown.find_at(title, "entry"))
        check(shown, title)
        shown.press("Escape", "Escape")
    x, y = shown.screen.size[0] - 60, shown.screen.size[1] - 20
    for point in ((x, y), middle(shown.panel(0))):
        shown.click(point, button=3)
        check(shown, f"the menu at {point}")
        shown.press("Escape")


def test_everything_fits(shown):
    look_at_pages(shown)
    shown.press("Escape", "Escape")
    look_at_dialogs_and_menus(shown)
