"""The window as a whole: names and keyboard for everything, pages, boards, messages, leaks, quitting."""

import gc
import threading
import weakref
from typing import get_args

import msgspec
import pytest
from PIL import Image
from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QSlider,
    QWidget,
)

from app.base.settings import find_last
from app.base.words import say_count
from app.board import commands
from app.fluxboard import samples
from app.fluxboard.file import BoardFile
from app.gui.kit.theme import theme
from app.gui.panel.stage import Tool
from app.gui.window.main_window import MainWindow
from app.gui.window.session import Session
from app.gui.window.start import begin
from app.models import library

CONTROLS = (
    QAbstractButton, QAbstractItemView, QAbstractSpinBox, QComboBox, QLineEdit, QPlainTextEdit, QProgressBar, QSlider,
)  # fmt: skip
PAGES = ("board", "cast", "models", "queue", "panel")


def controls(root: QWidget) -> list[QWidget]:
    """What a person can act on or should hear of, without the parts that other controls are made of."""
    inner = (QComboBox, QAbstractSpinBox)
    found = [one for one in root.findChildren(QWidget) if isinstance(one, CONTROLS) and one.isVisible()]
    return [one for one in found if not isinstance(one.parentWidget(), inner) and not isinstance(one, QHeaderView)]


def name_of(widget: QWidget) -> str:
    text = widget.text() if isinstance(widget, QAbstractButton) else ""
    return widget.accessibleName() or text


def reached(window: QWidget, qtbot, start: QWidget) -> set[QWidget]:
    """What Tab comes by, starting at `start`."""
    window.window().activateWindow()
    qtbot.waitUntil(window.window().isActiveWindow)
    start.setFocus()
    seen = {QApplication.focusWidget()}
    for _ in range(400):
        here = QApplication.focusWidget()
        assert here is not None, (start, QApplication.activeWindow(), QApplication.activePopupWidget(), len(seen))
        qtbot.keyClick(here, Qt.Key.Key_Tab)
        assert QApplication.focusWidget() is not None, f"focus is lost after {name_of(here)} ({here})"
        if QApplication.focusWidget() in seen:
            break
        seen.add(QApplication.focusWidget())
    return seen


def same_group(one: QAbstractButton, seen: set[QWidget]) -> bool:
    """Of buttons that exclude each other Tab stops at one; arrows go on."""
    if not isinstance(one, QAbstractButton):
        return False
    siblings = one.group().buttons() if one.group() else []
    if one.autoExclusive():
        siblings = [b for b in one.parentWidget().findChildren(QAbstractButton) if b.autoExclusive()]
    return any(other in seen for other in siblings)


def show(window, page: str) -> None:
    if page == "panel":
        window.open_panel(next(window.document.board.panels()).id)
    else:
        window.go(page)


@pytest.fixture
def full(window, picture_file, engine):
    """The window with a cast member, a picture and jobs in every state."""
    document = window.document
    picture = document.import_picture(picture_file())
    window.page("cast").add_pictures([picture], None)
    ids = [panel.id for panel in document.board.panels()]
    document.render(ids)
    engine.fail("Out of memory.", "Use a smaller size.")
    engine.step(1, 4)
    return window


@pytest.mark.first_case
@pytest.mark.parametrize("page", PAGES)
def test_everything_has_a_name_and_is_reached_by_tab(full, qtbot, page):
    show(full, page)
    qtbot.wait(20)
    found = controls(full.centralWidget())
    assert len(found) > 8
    nameless = [one for one in found if not name_of(one)]
    assert nameless == [], [(type(one).__name__, one.objectName(), one.parentWidget()) for one in nameless]
    ring = reached(full, qtbot, full.places["board" if page == "panel" else page])
    wanted = [one for one in found if one.isEnabled() and not isinstance(one, QProgressBar)]
    missed = [one for one in wanted if one not in ring and one.focusProxy() not in ring and not same_group(one, ring)]
    assert missed == [], [(type(one).__name__, name_of(one)) for one in missed]


def dialogs(window):
    from app.gui.kit.messages import ReadingDialog
    from app.gui.pages.animatic import Animatic
    from app.gui.pages.downloads import Consent
    from app.gui.pages.log_in import LogIn
    from app.gui.window.dialogs import BoardSettings, RestoreDialog, Shortcuts
    from app.gui.window.exchange import ExportDialog
    from app.gui.window.settings_dialog import SettingsDialog

    entry = {"title": "X", "licence": {"name": "N", "summary": "s", "url": "https://x", "consent": True, "gated": True}}
    return [
        SettingsDialog(window.session.settings, lambda _: None, window),
        LogIn(window),
        BoardSettings(window.document, window),
        Shortcuts(window.actions_.list_shortcuts(), window),
        RestoreDialog(window.document, window),
        Consent(entry, window, None),
        Animatic(window.document, None, window),
        ExportDialog(window.document, (), window),
        ReadingDialog(20),
    ]


@pytest.mark.first_case
@pytest.mark.parametrize("word", ["mask", "compare", "takes", "render"])
def test_keys_outside_the_menus_are_found_among_the_shortcuts(window, qtbot, word):
    from app.gui.window.dialogs import Shortcuts

    shown = Shortcuts(window.actions_.list_shortcuts(), window)
    qtbot.addWidget(shown)
    shown.search.setText(word)
    table = shown.table
    where = {table.item(place, 0).text() for place in range(table.rowCount()) if not table.isRowHidden(place)}
    assert where & {"Mask", "Picture", "Takes", "Panel"}


def test_dialogs_have_names_and_are_reached_by_tab(full, qtbot):
    for dialog in dialogs(full):
        with qtbot.waitActive(dialog):
            dialog.show()
            dialog.activateWindow()
        found = [one for one in controls(dialog) if one.objectName() != "qt_spinbox_lineedit"]
        assert [one for one in found if not name_of(one)] == [], dialog
        enabled = [one for one in found if one.isEnabled()]
        ring = reached(dialog, qtbot, enabled[0])
        missed = [one for one in enabled if one not in ring and one.focusProxy() not in ring]
        assert missed == [], (dialog, [(type(one).__name__, name_of(one)) for one in missed])
        dialog.close()


def test_what_makes_something_is_done_once_however_long_its_keys_are_held(window):
    going_on = {name for name, action in window.actions_.made.items() if action.autoRepeat()}
    assert going_on == {"undo", "redo", "earlier", "later", "zoom_in", "zoom_out"}


def test_every_action_is_in_a_menu_has_a_slot_and_shortcuts_are_unique(window):
    keys = {}
    for name, action in window.actions_.made.items():
        for shortcut in action.shortcuts():
            assert shortcut.toString() not in keys, (name, keys[shortcut.toString()])
            keys[shortcut.toString()] = name
        row = window.actions_.rows[name]
        assert (row.window is None) != (row.board is None) or name in ("recent", "samples")
    roles = {name: action.menuRole().name for name, action in window.actions_.made.items()}
    assert roles["quit"] == "QuitRole"
    assert roles["settings"] == "PreferencesRole"
    assert roles["about"] == "AboutRole"
    assert {role for name, role in roles.items() if name not in ("quit", "settings", "about")} == {"NoRole"}


def test_actions_follow_selection_history_and_queue(window, engine):
    actions, ids = window.actions_, [panel.id for panel in window.document.board.panels()]
    window.board.grid.select(())
    assert not actions["duplicate"].isEnabled()
    assert not actions["undo"].isEnabled()
    assert not actions["cancel_all"].isEnabled()
    window.board.grid.select(ids[:1])
    assert actions["duplicate"].isEnabled()
    actions["duplicate"].trigger()
    assert actions["undo"].text() == "Undo Duplicate Panel"
    window.document.render(ids[:1])
    assert actions["cancel_all"].isEnabled()
    assert window.places["queue"].text() == "Queue 1"


def test_menu_and_button_call_a_render_by_the_same_words(window):
    ids = [panel.id for panel in window.document.board.panels()]
    for chosen in (ids[:1], ids[:2]):
        window.board.grid.select(chosen)
        assert (
            window.actions_["render"].text() == window.board.start.text() == f"Render {say_count(len(chosen), 'Panel')}"
        )
    words = [action.text() for action in window.actions_.made.values()]
    assert not [one for one in words if "generate" in one.lower() or "variation" in one.lower()]


def test_four_takes_are_made_of_every_panel_that_is_selected(window, engine):
    ids = [panel.id for panel in window.document.board.panels()][:3]
    window.document.do("Say", lambda board: commands.set_panel(board, ids[2], prompt="a fox on the beach"))
    window.board.grid.select(ids)
    assert window.actions_["four"].text() == "Render Four Takes of Each"
    window.actions_["four"].trigger()
    asked = [job.panel for job in engine.submitted]
    assert asked == [one for one in ids for _ in range(4)]


def test_undo_covers_cast_and_captions_alike(window, picture_file):
    before = window.document.board
    window.go("cast")
    cast = window.page("cast")
    cast.add_pictures([window.document.import_picture(picture_file("gull.png"))], None)
    cast.member.name.setText("seagull")
    cast.member.name.editingFinished.emit()
    assert window.document.board.cast[0].name == "seagull"
    window.actions_["undo"].trigger()
    assert window.document.board.cast[0].name == "gull"
    window.actions_["undo"].trigger()
    assert window.document.board == before


def test_a_panel_opens_and_the_board_shows_it_again(window, qtbot):
    ids = [panel.id for panel in window.document.board.panels()]
    window.board.grid.opened.emit(ids[1])
    assert window.open_panel_id() == ids[1]
    window.actions_["show_board"].trigger()
    assert window.board.grid.list_selected() == (ids[1],)
    window.board.grid.opened.emit(ids[0])
    window.actions_["show_cast"].trigger()
    window.actions_["show_board"].trigger()
    assert window.board.grid.list_selected() == (ids[0],)
    window.board.grid.opened.emit(ids[2])
    window.document.do("Delete", commands.remove_panels(window.document.board, [ids[2]]))
    assert window.open_panel_id() in (None, ids[1])


class ShownWindows(QObject):
    """Windows that came up; one that is only passing by takes the keys and closes menus."""

    def __init__(self):
        super().__init__()
        self.found = []

    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Show and isinstance(watched, QWidget) and watched.isWindow():
            self.found.append(type(watched).__name__)
        return False


@pytest.mark.sweep
def test_no_page_flashes_a_window_while_it_is_built(window, qtbot, qapp):
    shown = ShownWindows()
    qapp.installEventFilter(shown)
    qtbot.waitUntil(lambda: "panel" in window.pages, timeout=20_000)  # built while nothing happens
    for name in PAGES:
        window._drop_page(name) if name in ("panel", "cast", "models") else None
        window.page(name)
        qapp.processEvents()
    qapp.removeEventFilter(shown)
    assert shown.found == []


def test_a_panel_that_is_opened_before_it_was_built_is_opened_once(window, ids_of, qtbot):
    window.open_panel(ids_of(window)[0])
    page = window.pages["panel"]
    qtbot.waitUntil(lambda: not window._ahead.isActive(), timeout=20_000)
    assert window.pages["panel"] is page is window.stack.currentWidget()


@pytest.mark.sweep
def test_a_new_theme_makes_hidden_pages_anew_and_keeps_what_is_shown(window, ids_of, qtbot):
    for name in ("cast", "models", "panel"):
        window.page(name)
    window.open_panel(ids_of(window)[0])
    shown = window.pages["panel"]
    theme.apply("light")
    assert set(window.pages) == {"board", "queue", "panel"}
    assert window.pages["panel"] is shown
    window.go("board")
    theme.apply("dark")
    qtbot.waitUntil(lambda: "panel" in window.pages, timeout=20_000)
    window.open_panel(ids_of(window)[0])


@pytest.fixture
def ids_of():
    return lambda window: [panel.id for panel in window.document.board.panels()]


def test_first_run_opens_the_sample_with_one_panel_to_render(qtbot, engine, tmp_path):
    import msgspec

    session = Session(engine)
    session.settings = msgspec.structs.replace(session.settings, folder=str(tmp_path / "boards"))
    window = MainWindow(session)
    qtbot.addWidget(window, before_close_func=lambda _: engine.cancel_all())
    window.show()
    session.stand_by()
    assert session.document.board.title == "The Gull Goes Out"
    assert window.board.start.text() == "Render 1 New"
    assert window.board.model.text() == "Built-in model"
    window.board.model.click()
    assert window.stack.currentWidget() is window.page("models")
    window.board.start.click()
    assert engine.running.job.request.prompt == "a fox on the beach at night"


def test_somebody_new_sees_home_and_the_board_is_not_shown_before(qtbot, engine, tmp_path):
    session = Session(engine)
    session.settings = msgspec.structs.replace(session.settings, folder=str(tmp_path / "boards"))
    window, shown = MainWindow(session), list[QWidget]()
    qtbot.addWidget(window)
    window.stack.currentChanged.connect(lambda place: shown.append(window.stack.widget(place)))
    window.show()
    begin(window, None)
    assert window.stack.currentWidget() is window.pages["home"]
    assert window.board not in shown
    window.run("new")
    assert window.stack.currentWidget() is window.board


def test_the_last_board_is_opened_again(session, qtbot, engine):
    session.open_named(str(session.path))
    path = session.document.file.path
    session.close()
    again = Session(engine)
    again.open(find_last(again.settings))
    assert again.document.file.path == path
    again.close()


def test_a_board_that_is_closed_holds_what_finder_shows_of_it(session):
    session.open_sample("gull")
    path = session.document.file.path
    assert not (path / "QuickLook").exists()
    session.close()
    with Image.open(path / "QuickLook" / "Thumbnail.jpg") as image:
        assert max(image.size) == 512


def test_jobs_of_a_board_that_is_no_longer_shown_still_become_takes(window, session, engine, picture_file):
    first = next(session.document.board.panels()).id
    path = session.document.file.path
    session.document.render([first])
    session.new()
    assert session.document.file.path != path
    engine.done(picture_file())
    with BoardFile.open(path) as file:  # it was closed, so its lock is free
        assert len(file.board.panel(first).takes) == 1


def test_a_new_board_has_the_shape_that_the_model_in_use_knows(window, session, tmp_path):
    script = tmp_path / "day.fountain"
    script.write_text("INT. BAR - DAY\n\nA gull waits.\n", "utf-8")
    for model, shape in ((None, (1, 1)), ("flux2-klein-4b", (16, 9))):  # the built-in one has only learned squares
        session.settings = msgspec.structs.replace(session.settings, model=model)
        for make in (session.new, lambda: session.import_board(str(script))):
            make()
            assert session.document.board.aspect == shape


def test_the_queue_says_which_board_a_panel_is_on(window, session, engine, picture_file):
    title = session.document.board.title
    session.document.render([next(session.document.board.panels()).id])

    def words():
        window.go("queue")
        (row,) = window.queue.rows.values()
        return row.prompt.text()

    assert title not in words()
    session.new()
    assert words().startswith(f"on “{title}” · ")
    engine.done(picture_file())  # the board behind is closed with it
    assert words().startswith(f"on “{title}” · ")


def test_whose_a_job_is_goes_through_the_board_once_for_all_jobs(window, session, monkeypatch):
    first = next(session.document.board.panels()).id
    for _ in range(30):
        session.document.render([first])
    jobs, times, board = session.engine.jobs(), [], type(session.document.board)
    panels = board.panels
    monkeypatch.setattr(board, "panels", lambda self: (times.append(1), panels(self))[1])
    assert {session.board_of(job) for job in jobs} == {""}
    assert len(jobs) >= 30
    assert len(times) <= 2


def test_a_board_behind_is_shown_again_with_its_history(session, engine):
    session.open_named(str(session.path))
    document = session.document
    document.render([next(document.board.panels()).id])
    session.new()
    session.open(document.file.path)
    assert session.document is document


def test_what_was_recovered_is_told(session, window, tmp_path):
    from app.board.data import new_board

    file = BoardFile.create(tmp_path / "crash", new_board("Crash"))
    path = file.path
    file.note(commands.set_board(file.board, title="After the crash"))
    file._lock._descriptor and __import__("os").close(file._lock._descriptor)  # as if the process had died
    assert session.open(path)
    assert session.document.board.title == "After the crash"
    assert window.toasts.isVisible()
    assert window.toasts.title.text()


def test_messages_show_what_to_do_and_go_away(window, qtbot):
    window.say("It failed.", "Try again.")
    assert window.toasts.isVisible()
    assert window.toasts.hint.text() == "Try again."
    assert window.toasts.accessibleDescription() == "It failed. Try again."
    assert window.centralWidget().rect().contains(window.toasts.geometry())


def test_quitting_with_jobs_asks(window, engine, monkeypatch):
    window.document.render([next(window.document.board.panels()).id])
    monkeypatch.setattr(window.commands, "sure_to_quit", lambda busy: False)
    assert not window.close()
    monkeypatch.setattr(window.commands, "sure_to_quit", lambda busy: busy == 1)
    assert window.close()
    assert engine.stopped == 1


def test_the_end_of_a_long_run_is_told_where_the_window_is_not_in_front(window, engine, picture_file, monkeypatch):
    told = []
    monkeypatch.setattr(window.commands, "notify", lambda *words: told.append(words))
    monkeypatch.setattr(window, "isActiveWindow", lambda: False)
    first = next(window.document.board.panels()).id
    window.document.render([first])
    engine.done(picture_file())
    assert told == []
    window.document.render([first])
    window._busy_since.stop()  # as if its time had passed
    engine.done(picture_file())
    assert len(told) == 1


def test_dark_and_light_change_everything_at_once(window, qtbot):
    from app.gui.kit.theme import DARK, LIGHT, theme

    theme.apply("light")
    assert theme.colours is LIGHT
    light = window.grab().toImage().pixelColor(640, 600).lightness()
    theme.apply("dark")
    assert theme.colours is DARK
    assert window.grab().toImage().pixelColor(640, 600).lightness() < light - 100


def contrast(one: str, other: str) -> float:
    """WCAG 2: (L1 + 0.05) / (L2 + 0.05)."""
    from PySide6.QtGui import QColor

    def luminance(name: str) -> float:
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in QColor(name).getRgbF()[:3]]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_words_can_be_read_on_every_ground():
    from app.gui.kit.theme import DARK, LIGHT

    for c in (DARK, LIGHT):
        for ground in (c.window, c.surface, c.canvas, c.raised, c.selection):
            assert contrast(c.text, ground) >= 7, (c, ground)
        for ground in (c.window, c.surface, c.canvas):
            for words in (c.muted, c.danger, c.warning, c.good):
                assert contrast(words, ground) >= 4.5, (words, ground)
        assert contrast(c.on_accent, c.accent) >= 4.5
        assert contrast(c.accent, c.window) >= 3


def collected(reference) -> bool:
    for _ in range(4):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        QCoreApplication.processEvents()
        gc.collect()
    return reference() is None


def test_boards_opened_and_closed_four_times_leave_nothing(window, session):
    """Everything that belongs to a board goes with it: pages, document, pixmaps, connections."""
    session.open(session.path)
    window.go("cast")
    pages, documents, counts = [], [], []
    for _ in range(4):
        session.new()
        pages.append(weakref.ref(window.board))
        documents.append(weakref.ref(session.document))
        window.go("cast")
        window.open_panel(next(session.document.board.panels()).id)
        session.open(session.path)
        collected(lambda: None)
        counts.append(len(QApplication.allWidgets()))
    assert counts[-1] <= counts[1] + 2, counts
    assert sum(ref() is not None for ref in documents) <= 1
    assert sum(ref() is not None for ref in pages) <= 1


def take_every_tool(window):
    window.open_panel(next(window.session.document.board.panels()).id)
    for tool in get_args(Tool):
        window.stack.currentWidget().stage.set_tool(tool)
        QCoreApplication.processEvents()


def look_at_everything(window):
    window.go("board")
    for action in window.findChildren(QAction):
        if action.text() in ("Quick Look", "Play Animatic"):
            action.trigger()
            QCoreApplication.processEvents()


@pytest.mark.parametrize("work", [take_every_tool, look_at_everything])
def test_a_board_that_was_worked_on_goes_whole(window, session, work):
    session.new()
    document = weakref.ref(session.document)
    work(window)
    session.open(session.path)
    assert collected(document)


@pytest.mark.sweep
def test_windows_opened_and_closed_four_times_leave_no_widgets(qtbot, qapp, tmp_path):
    import msgspec

    from tests.app.fake_engine import FakeEngine

    counts = []
    for number in range(4):
        session = Session(FakeEngine())
        session.settings = msgspec.structs.replace(session.settings, folder=str(tmp_path / str(number)))
        window = MainWindow(session)
        window.show()
        session.new()
        window.close()
        window.deleteLater()
        del window, session
        collected(lambda: None)
        counts.append(len(qapp.allWidgets()))
    assert counts[-1] <= counts[1], counts


def test_typing_reads_no_models_and_a_change_of_the_default_is_shown(window, monkeypatch):
    from app.gui.window.settings_dialog import SettingsDialog

    window.open_panel(next(window.document.board.panels()).id)
    looked, inspect = [], library.inspect
    monkeypatch.setattr(library, "inspect", lambda *given, **more: looked.append(given) or inspect(*given, **more))
    for text in ("a gull", "a gull at sea"):
        window.pages["panel"].edit.text.setPlainText(text)
    assert looked == []
    assert window.board.model.text() == "Built-in model"
    dialog = SettingsDialog(window.session.settings, window.commands.store_settings, window)
    looked.clear()
    dialog._set(notifications=False)
    assert looked == [], "no other model was chosen"
    dialog._set(model="flux2-klein-4b")
    assert window.board.model.text() == "FLUX.2 klein 4B"


def test_new_pressed_twice_is_one_board_until_something_is_done_to_it(window, session):
    window.run("new")
    first = session.document
    window.go("queue")
    window.run("new")
    assert (session.document, window.stack.currentWidget()) == (first, window.board)
    window.run("add_panel")
    window.run("new")
    assert session.document is not first


def test_boards_come_from_the_disk_in_another_thread(window, session, monkeypatch):
    """A sample's pictures are looked through and written: the window stood still for that."""
    threads, create = [], samples.create
    monkeypatch.setattr(samples, "create", lambda *of: threads.append(threading.current_thread()) or create(*of))
    assert session.open_sample("gull")
    assert threading.main_thread() not in threads
    assert len(threads) == 1


TYPED = {"Alt+Left": "earlier", "Alt+Right": "later", "Ctrl+K": "continue_from", "Ctrl+Shift+N": "add_panel",
         "Ctrl+Alt+N": "add_scene", "Ctrl+Shift+A": "apply_to_all", "F2": "rename",
         "Ctrl+Down": "open_panel"}  # fmt: skip


@pytest.mark.parametrize("keys", TYPED)
def test_a_field_that_is_written_in_keeps_the_keys_of_panels(window, keys):
    ran: list[str] = []
    window.actions_[TYPED[keys]].triggered.connect(lambda: ran.append(keys))
    window.board.grid.select((list(window.document.board.panels())[1].id,))
    window.board.rail.show()
    for field in (window.board.title, window.board.style_line, window.board.rail.field):
        field.setFocus()
        press(field, keys)
    assert ran == []
    window.board.grid.setFocus()
    press(window.board.grid, keys)
    assert ran == [keys]


def press(widget, keys):
    held = QKeySequence(keys)[0]
    QTest.keyClick(widget, held.key(), held.keyboardModifiers())
