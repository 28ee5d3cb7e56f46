"""Takes: choosing, comparing, deleting, copying, dragging out."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.gui.document import picture_drag
from app.gui.panel.takes_strip import TakesStrip
from tests.gui.panel_board import add_take

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


@pytest.fixture
def strip(document, ids, qtbot):
    made = TakesStrip(document)
    made.show_panel(ids()[0])
    document.changed.connect(lambda old, new: made.refresh())
    qtbot.addWidget(made)
    made.resize(600, made.height())
    for number in (1, 2, 3):
        add_take(document, ids()[0], number)
    made.show()
    return made


def current(strip) -> int:
    return [take.id for take in strip.panel.takes].index(strip.panel.current) + 1


def test_a_click_and_the_arrows_choose(strip, document):
    assert (strip.count(), current(strip), strip.currentRow()) == (3, 3, 2)
    QTest.mouseClick(strip.viewport(), LEFT, NONE, strip.visualItemRect(strip.item(0)).center())
    assert current(strip) == 1
    QTest.keyClick(strip, Qt.Key.Key_Right)
    assert current(strip) == 2
    document.undo()
    assert (current(strip), strip.currentRow()) == (3, 2)


def test_refreshing_chooses_nothing(strip, document):
    told = []
    document.changed.connect(lambda old, new: told.append(new))
    strip.refresh()
    strip.show_panel(strip.panel_id)
    assert told == []


def test_delete_is_undone(strip, document):
    QTest.keyClick(strip, Qt.Key.Key_Delete)
    assert (len(strip.panel.takes), current(strip)) == (2, 2)
    document.undo()
    assert (len(strip.panel.takes), current(strip)) == (3, 3)


def test_what_is_asked_for_by_menu(strip, qtbot):
    take = strip.panel.takes[0]
    actions = {action.text(): action for action in strip.menu_for(take).findChildren(QAction) if action.text()}
    for text, signal in (
        ("Start from This Take", strip.source_asked),
        ("Use as a Reference", strip.reference_asked),
        ("Compare with This Take", strip.compare_asked),
        ("Details and Note", strip.details_asked),
        ("Show File", strip.reveal_asked),
    ):
        with qtbot.waitSignal(signal) as told:
            actions[text].trigger()
        assert told.args == [take.id]


def test_copy_and_drag_carry_pixels_a_named_file_and_the_hash(strip, document):
    QTest.keyClick(strip, "c", Qt.KeyboardModifier.ControlModifier)
    mime, take = QApplication.clipboard().mimeData(), strip.panel.takes[2]
    assert QApplication.clipboard().image().width() == 192
    assert bytes(mime.data(picture_drag.PICTURE).data()).decode() == take.picture.sha256
    (url,) = mime.urls()
    assert url.fileName() == "Harbour 1A take 3.png"
    with open(url.toLocalFile(), "rb") as copied:
        assert copied.read() == document.picture_path(take.picture.sha256).read_bytes()


def test_it_reads_out_takes(strip):
    read = [strip.item(row).data(Qt.ItemDataRole.AccessibleTextRole) for row in range(3)]
    assert read[0] == "Take 1, seed 1, Built-in model"
    assert read[2] == "Take 3, seed 3, Built-in model, current"
