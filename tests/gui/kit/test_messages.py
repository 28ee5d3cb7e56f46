"""Messages below the page: several stay readable, they go with their cause, and none speaks of Python."""

import importlib
import json
import re

import pytest
from PySide6.QtCore import QDir, QPoint, Qt
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel, QMessageBox, QProgressBar

from app.base import faults
from app.gui.kit import messages
from app.gui.kit.messages import MOST, choose_file, choose_files, choose_folder, sure, tell
from app.gui.window.start import tell_fault

PYTHON = re.compile(r"Error\b|Errno|0x|C\+\+|object at|module named|attribute|argument|NoneType|pip ")


def words(window):
    return [one.title.text() for one in window.toasts.shown]


def test_several_messages_stand_below_each_other_and_cover_nothing(window):
    for number in range(3):
        window.say(f"Message {number}", "And what to do.")
    assert words(window) == ["Message 2", "Message 1", "Message 0"]
    assert window.stack.geometry().intersects(window.toasts.geometry()) is False


def where(window, part):
    return part.rect().translated(part.mapTo(window.centralWidget(), QPoint()))


def test_no_message_resizes_the_canvas_or_covers_anything_of_the_panel(window, qtbot):
    window.open_panel(next(window.document.board.panels()).id)
    view = window.page("panel")
    QApplication.processEvents()
    before = view.stage.canvas.size()
    window.say("Exported out.mp4.", good=True)
    QApplication.processEvents()
    over, canvas, free = window.toasts.geometry(), view.stage.canvas, view.stage.strip
    assert canvas.size() == before
    assert window.toasts.isVisible()
    assert where(window, free).contains(over)
    window.resize(window.width() + 100, window.height())
    qtbot.waitUntil(lambda: window.toasts.width() == view.stage.strip.seen.width() > over.width())
    view.stage.move(view.stage.pos() + QPoint(0, 40))  # as a row of tools above it does
    assert where(window, free).contains(window.toasts.geometry())
    window.go("board")
    QApplication.processEvents()
    assert not window.stack.geometry().intersects(window.toasts.geometry())


def test_what_lasts_does_not_stay_over_the_picture_and_is_one_click_away(window):
    window.toasts.say("The disk is full.", lasting=True)
    window.toasts.shown[0]._timer.timeout.emit()
    assert window.toasts.isVisible(), "below the board it covers nothing"
    window.open_panel(next(window.document.board.panels()).id)
    assert (window.toasts.isVisible(), window.toasts.folded.text()) == (False, "1 notice")
    window.say("Saved.", good=True)
    assert [one.said for one in window.toasts.shown if one.isVisible()] == ["Saved."]
    window.toasts.forget()
    assert not window.toasts.isVisible()
    window.toasts.folded.click()
    assert window.toasts.shown[0].isVisible()
    window.toasts.folded.click()
    assert not window.toasts.isVisible()
    window.go("board")
    assert window.toasts.shown[0].isVisible()
    assert not window.toasts.folded.isVisible()
    window.session.mended.emit("The disk is full.")
    assert not window.toasts.isVisible()


def test_of_several_messages_one_stands_above_the_picture_and_the_rail_counts_the_rest(window, qtbot):
    window.open_panel(next(window.document.board.panels()).id)
    view, toasts = window.page("panel"), window.toasts
    for number in range(3):
        window.say(f"Message {number}", "And what to do." * 20 * (number == 1))
    assert [one.said for one in toasts.shown if one.isVisible()] == ["Message 2"]
    assert (toasts.height(), toasts.folded.text()) == (view.stage.strip.height(), "2 notices")
    toasts.drop("Message 2")
    assert toasts.shown[0].line.isVisible()
    assert toasts.folded.text() == "2 notices", "of the long one a line tells not all"
    toasts.folded.click()
    assert all(one.title.isVisible() for one in toasts.shown)
    toasts.folded.click()
    view.stage.bar.tools["place"].setEnabled(True)
    view.stage.set_tool("place")
    assert not toasts.isVisible(), "the tool has the row"
    view.stage.set_tool("move")
    qtbot.waitUntil(lambda: toasts.isVisible() and where(window, view.stage.strip.seen).contains(toasts.geometry()))


def test_a_failure_that_the_open_panel_shows_is_not_told_by_a_message_too(window, engine):
    first, second, *_ = (panel.id for panel in window.document.board.panels())
    window.document.render([first, second])
    for _ in range(2):
        engine.fail("The disk is full.")
    assert len(words(window)) == 2
    window.open_panel(second)
    assert window.page("panel").stage.card.isVisible()
    assert [one.split()[1] for one in words(window)] == [f"{window.document.number_of(engine.jobs()[0])}:"]


def test_what_lasts_is_read_before_it_leaves_the_picture(window):
    window.open_panel(next(window.document.board.panels()).id)
    window.toasts.say("The disk is full.", lasting=True)
    assert window.toasts.isVisible()
    window.toasts.shown[0]._timer.timeout.emit()
    assert not window.toasts.isVisible()
    window.toasts.say("The disk is full.", lasting=True)
    assert window.toasts.isVisible(), "it is said anew"


def test_a_message_said_twice_is_one_and_few_stay(window):
    for number in (*range(9), 5):
        window.say(f"Message {number}")
    assert words(window) == ["Message 5", "Message 8", "Message 7", "Message 6"]
    assert len(words(window)) == MOST


def test_what_lasts_stays_until_it_is_mended(window):
    window.toasts.say("The disk is full.", lasting=True)
    for number in range(9):
        window.say(f"Message {number}")
    assert "The disk is full." in words(window)
    window.session.mended.emit("The disk is full.")
    assert "The disk is full." not in words(window)


def test_the_offer_to_undo_goes_when_undo_would_take_back_something_else(window):
    first, second, *_ = (panel.id for panel in window.document.board.panels())
    window.board.grid.select((first,))
    window.run("delete")
    assert words(window) == ["1 panel deleted."]
    window.document.undo()
    assert words(window) == []
    window.board.grid.select((second,))
    window.run("delete")
    window.run("add_scene")
    assert words(window) == []


def test_words_of_a_moment_go_with_undo_and_with_another_board(window):
    window.toasts.say("The disk is full.", lasting=True)
    window.run("add_panel")
    window.say("A panel was added.", good=True)
    window.document.say("It holds.", "", lambda: True)
    window.run("undo")
    assert words(window) == ["It holds.", "The disk is full."]
    window.say("This board cannot.")
    window.session.new()
    assert words(window) == ["The disk is full."]


def test_an_empty_clipboard_and_panels_without_pictures_are_told_until_it_is_otherwise(window, picture_file):
    clipboard = QGuiApplication.clipboard()
    clipboard.clear()
    window.run("paste")
    assert words(window) == ["There is no picture on the clipboard."]
    clipboard.setImage(QImage(str(picture_file())))
    assert words(window) == []
    window.run("apply_to_all")
    assert words(window) == ["None of these panels has a picture to change yet."]
    window.run("render")
    window.session.engine.done(picture_file())
    assert words(window) == []


def raised(code):
    try:
        eval(code, {"json": json, "importlib": importlib})
    except Exception as error:
        return error
    return None


@pytest.mark.first_case
@pytest.mark.parametrize(
    "code",
    [
        "None.board", "importlib.import_module('no_such_part')", "json.loads('{')['x']", "int('x' * 9)", "{}['key']",
        "open('/no/such/folder/file')", "(lambda a: a)()", "bytes(2**62)", "object() < object()", "[][3]",
        "(_ for _ in ()).throw(RuntimeError('Internal C++ object (Panel) already deleted.'))",
        "(_ for _ in ()).throw(OSError(28, 'No space left on device', '/disk/file'))",
    ],
)  # fmt: skip
def test_no_fault_speaks_of_python(window, code, capsys):
    error = raised(code)
    tell_fault(window.say, type(error), error, error.__traceback__)
    said = f"{window.toasts.title.text()} {window.toasts.hint.text()}"
    assert said.strip()
    assert not PYTHON.search(said), said


def test_what_a_library_says_for_people_is_kept():
    assert faults.say_plainly("The file is not a font.") == "The file is not a font."
    assert faults.say_plainly("ModuleNotFoundError: No module named 'x'") == faults.MISSING


def test_a_question_has_a_sign_of_our_own(window, monkeypatch):
    seen = []

    def look(box):
        seen.append((box.icon(), box.iconPixmap().deviceIndependentSize().width()))

    monkeypatch.setattr(QMessageBox, "exec", look)
    sure(window, "Title", "Sure?", "", "Yes")
    tell(window, "Title", "Oh.", "")
    assert seen == [(QMessageBox.Icon.NoIcon, 40)] * 2


def test_a_word_without_an_end_is_broken_in_a_question(window, monkeypatch):
    seen = []

    def look(box):
        box.show()
        for part in (one for one in box.findChildren(QLabel) if one.text()):
            needed = part.fontMetrics().boundingRect(part.rect(), Qt.TextFlag.TextWordWrap, part.text())
            seen.append(needed.width() <= part.width() <= box.width() <= 800)

    monkeypatch.setattr(QMessageBox, "exec", look)
    sure(window, "Quit", "Rendering " + "A" * 400, "B" * 400, "Quit Anyway")
    assert seen == [True, True]


def test_dialogs_for_files_begin_at_home_and_then_where_the_last_file_was(window, tmp_path, monkeypatch):
    begun, given = [], tmp_path / "given"
    given.mkdir()
    monkeypatch.setitem(messages._lately, "folder", "")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *of, **_: (begun.append(of[2]) or str(given / "a"), ""))
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *of, **_: (begun.append(of[2]) or [], ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *of, **_: begun.append(of[2]) or "")
    choose_folder(window, "Folder")  # nothing is chosen
    choose_file(window, "File", "")
    choose_files(window, "Files", "")
    given.rmdir()
    choose_folder(window, "Folder")
    home = QDir.homePath()
    assert begun == [home, home, str(given), home]


def test_a_second_return_does_not_stop_the_reading(window, qtbot):
    shown = messages.ReadingDialog(3)
    qtbot.addWidget(shown)
    shown.show()
    qtbot.waitUntil(shown.isActiveWindow)
    with qtbot.assertNotEmitted(shown.stop_asked):
        QTest.keyClick(shown.focusWidget(), Qt.Key.Key_Return)


def test_how_far_something_is_has_a_name_and_no_key_but_escape_ends_it(window, qtbot):
    shown = messages.show_progress(window, "Exporting Animated GIF")
    shown.forceShow()
    qtbot.waitUntil(shown.isActiveWindow)
    assert shown.windowTitle() == "Exporting Animated GIF"
    bar = shown.findChild(QProgressBar)
    assert not bar.isTextVisible()
    assert (shown.width() >= 340, bar.height() >= bar.sizeHint().height()) == (True, True)
    QTest.keyClick(shown, Qt.Key.Key_Return)
    QTest.keyClick(shown.focusWidget() or shown, Qt.Key.Key_Space)
    assert not shown.wasCanceled(), "a second Return was meant for the dialog before"
    QTest.keyClick(shown.windowHandle(), Qt.Key.Key_Escape)
    assert shown.wasCanceled()
