"""The instruction under real keys: completion, colours, one step of undo for what is typed."""

import unicodedata

import pytest
from PySide6.QtCore import QMimeData, Qt
from PySide6.QtGui import QInputMethodEvent, QTextCharFormat
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.board import commands
from app.board.data import Source
from app.board.panel_job import panel_job
from app.gui.panel.side import PanelSide
from tests.gui.panel_board import add_member, add_references, add_take

CONTROL, NONE = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.NoModifier


@pytest.fixture
def side(document, ids, qtbot):
    document.do("Empty", commands.set_panel(document.board, ids()[0], prompt=""))
    made = PanelSide(document)
    document.changed.connect(lambda old, new: made.refresh())
    qtbot.addWidget(made)
    made.resize(348, 760)
    made.show()
    made.show_panel(ids()[0])
    made.activateWindow()
    made.text.setFocus()
    qtbot.waitUntil(made.text.hasFocus)
    return made


def prompt(side) -> str:
    return side.panel.prompt


def formats(side) -> dict[str, tuple[str, QTextCharFormat.UnderlineStyle]]:
    """Text -> colour and kind of its underline, of everything that has one."""
    found = {}
    block = side.text.document().firstBlock()
    while block.isValid():
        for part in block.layout().formats():
            text = block.text().encode("utf-16-le")[2 * part.start : 2 * (part.start + part.length)]
            shown = (part.format.underlineColor().name(), part.format.underlineStyle())
            found[text.decode("utf-16-le")] = shown
        block = block.next()
    return found


def offered(side) -> list[str]:
    shown = side.text._list
    return [choice.word for choice in shown.listed] if shown and shown.isVisible() else []


def test_a_name_is_completed_and_coloured_as_in_the_tray(side, document, ids):
    add_references(document, ids()[0], "hat", "robot", "room")
    QTest.keyClicks(side.text, "put @ro")
    assert offered(side) == ["robot", "room"]
    QTest.keyClick(side.text, Qt.Key.Key_Down)
    QTest.keyClick(side.text, Qt.Key.Key_Return)
    assert prompt(side) == "put @room "
    assert offered(side) == []
    colour = formats(side)["@room"][0]
    assert colour == side.tray.tiles[2].seen.colour.lower()
    assert panel_job(document.board, ids()[0], document.picture_path).request.prompt == "put image 3"


def test_tab_picks_too_escape_closes_and_a_click_picks(side, document, ids):
    add_references(document, ids()[0], "hat", "robot")
    QTest.keyClicks(side.text, "@h")
    QTest.keyClick(side.text, Qt.Key.Key_Tab)
    assert prompt(side) == "@hat "
    QTest.keyClicks(side.text, "@r")
    QTest.keyClick(side.text, Qt.Key.Key_Escape)
    assert offered(side) == []
    QTest.keyClicks(side.text, "o")
    shown = side.text._list
    QTest.mouseClick(shown.viewport(), Qt.MouseButton.LeftButton, NONE, shown.visualItemRect(shown.item(0)).center())
    assert prompt(side) == "@hat @robot "


def test_numbers_and_the_start_picture(side, document, ids):
    first = ids()[0]
    take = add_take(document, first, 3)
    document.do("Start", commands.set_panel(document.board, first, source=Source("take")))
    add_references(document, first, "hat")
    QTest.keyClicks(side.text, "@1 wears @2 and")
    job = panel_job(document.board, first, document.picture_path)
    assert job.request.prompt == "image 1 wears image 2 and"
    assert job.request.references[0].sha256 == take.picture.sha256
    assert formats(side)["@2"][0] == side.tray.tiles[1].seen.colour.lower()


def test_a_member_of_the_cast_joins_the_tray_by_being_mentioned(side, document, ids):
    add_member(document, "gull")
    QTest.keyClicks(side.text, "@gu")
    assert offered(side) == ["gull"]
    QTest.keyClick(side.text, Qt.Key.Key_Return)
    assert [(tile.seen.kind, tile.title()) for tile in side.tray.tiles] == [("cast", "gull")]
    assert formats(side)["@gull"][0] == "#7f5fc0"
    document.undo()
    assert side.tray.tiles == []


def test_an_unknown_name_is_underlined_and_explained(side):
    QTest.keyClicks(side.text, "a @nobody there")
    assert formats(side)["@nobody"][1] == QTextCharFormat.UnderlineStyle.WaveUnderline
    assert "@nobody names no picture" in side.text_hint.text()
    assert side.text_hint.property("tone") == "danger"
    for _ in range(20):
        QTest.keyClick(side.text, Qt.Key.Key_Backspace)
    assert side.text_hint.property("tone") == "muted"


def test_colours_stand_right_behind_emoji_and_in_hebrew(side, document, ids):
    add_references(document, ids()[0], "hat")
    side.text.insertPlainText("🦊🤖 @hat 🎩")
    assert list(formats(side)) == ["@hat"]
    side.text.selectAll()
    side.text.insertPlainText("שים @hat כאן")
    assert list(formats(side)) == ["@hat"]
    block = side.text.document().firstBlock()
    assert block.textDirection() == Qt.LayoutDirection.RightToLeft


def test_typing_is_one_step_and_undo_goes_through_the_board(side, document, ids):
    QTest.keyClicks(side.text, "make it night")
    assert prompt(side) == "make it night"
    QTest.keyClick(side.text, "z", CONTROL)
    assert (prompt(side), side.text.text()) == ("", "")
    QTest.keyClick(side.text, "z", CONTROL | Qt.KeyboardModifier.ShiftModifier)
    assert (prompt(side), side.text.text()) == ("make it night", "make it night")


def test_showing_a_panel_changes_nothing(side, document, ids):
    add_references(document, ids()[0], "hat")
    told = []
    document.changed.connect(lambda old, new: told.append(new))
    for panel_id in (ids()[1], ids()[2], ids()[0]):
        side.show_panel(panel_id)
    assert told == []
    assert document.board.panel(ids()[1]).prompt == "a dog in a bar"


def test_the_caret_stays_when_the_text_changes_elsewhere(side, document, ids):
    QTest.keyClicks(side.text, "one two three")
    document.do("Elsewhere", commands.set_panel(document.board, ids()[0], prompt="one 2 three"))
    assert side.text.text() == "one 2 three"
    assert side.text.textCursor().position() == len("one 2")


def test_control_return_renders(side, qtbot):
    with qtbot.waitSignal(side.render_asked):
        QTest.keyClick(side.text, Qt.Key.Key_Return, CONTROL)
    assert side.text.text() == ""


def test_composing_counts_only_what_is_committed(side):
    QApplication.sendEvent(side.text, QInputMethodEvent("ねこ", []))
    assert prompt(side) == ""
    event = QInputMethodEvent("", [])
    event.setCommitString("猫")
    QApplication.sendEvent(side.text, event)
    assert prompt(side) == "猫"


def test_decomposed_names_are_composed_when_pasted(side, document, ids):
    add_references(document, ids()[0], "Café")
    mime = QMimeData()
    mime.setText(unicodedata.normalize("NFD", "@Café sits"))
    side.text.insertFromMimeData(mime)
    assert side.text.text() == "@Café sits"
    assert list(formats(side)) == ["@Café"]


def test_a_double_click_in_the_tray_mentions(side, document, ids):
    add_references(document, ids()[0], "hat")
    QTest.keyClicks(side.text, "put")
    QTest.mouseDClick(side.tray.tiles[0], Qt.MouseButton.LeftButton)
    assert prompt(side) == "put @hat "
