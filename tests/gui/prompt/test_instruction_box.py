"""The instruction under real keys: completion, colours, one step of undo for what is typed."""

import unicodedata

import pytest
from PySide6.QtCore import QMimeData, Qt
from PySide6.QtGui import QInputMethodEvent, QTextCharFormat
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.board import commands, seen
from app.board.data import Source
from app.board.panel_job import panel_job
from app.gui.kit.text_field import differing
from tests.gui.panel_board import add_member, add_references, add_take, shown_panel

CONTROL, NONE = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.NoModifier


@pytest.fixture
def view(document, ids, qtbot):
    document.do("Empty", commands.set_panel(document.board, ids()[0], prompt=""))
    made = shown_panel(document, ids()[0], qtbot)
    made.activateWindow()
    qtbot.waitUntil(made.edit.text.hasFocus)
    return made


def prompt(view) -> str:
    return view.panel.prompt


def formats(view) -> dict[str, tuple[str, QTextCharFormat.UnderlineStyle]]:
    """Text -> colour and kind of its underline, of everything that has one."""
    found = {}
    block = view.edit.text.document().firstBlock()
    while block.isValid():
        for part in block.layout().formats():
            text = block.text().encode("utf-16-le")[2 * part.start : 2 * (part.start + part.length)]
            shown = (part.format.underlineColor().name(), part.format.underlineStyle())
            found[text.decode("utf-16-le")] = shown
        block = block.next()
    return found


def offered(view) -> list[str]:
    shown = view.edit.text.mentions._list
    return [choice.word for choice in shown.listed] if shown and shown.isVisible() else []


def test_a_name_is_completed_and_coloured_as_in_the_tray(view, document, ids):
    add_references(document, ids()[0], "hat", "robot", "room")
    QTest.keyClicks(view.edit.text, "put @ro")
    assert offered(view) == ["robot", "room"]
    QTest.keyClick(view.edit.text, Qt.Key.Key_Down)
    QTest.keyClick(view.edit.text, Qt.Key.Key_Return)
    assert prompt(view) == "put @room "
    assert offered(view) == []
    colour = formats(view)["@room"][0]
    assert colour == view.side.tray.tiles[2].seen.colour.lower()
    assert panel_job(document.board, ids()[0], document.picture_path).request.prompt == "put image 3"


def test_tab_picks_too_escape_closes_and_a_click_picks(view, document, ids):
    add_references(document, ids()[0], "hat", "robot")
    QTest.keyClicks(view.edit.text, "@h")
    QTest.keyClick(view.edit.text, Qt.Key.Key_Tab)
    assert prompt(view) == "@hat "
    QTest.keyClicks(view.edit.text, "@r")
    QTest.keyClick(view.edit.text, Qt.Key.Key_Escape)
    assert offered(view) == []
    QTest.keyClicks(view.edit.text, "o")
    shown = view.edit.text.mentions._list
    QTest.mouseClick(shown.viewport(), Qt.MouseButton.LeftButton, NONE, shown.visualItemRect(shown.item(0)).center())
    assert prompt(view) == "@hat @robot "


def test_numbers_and_the_start_picture(view, document, ids):
    first = ids()[0]
    take = add_take(document, first, 3)
    document.do("Start", commands.set_panel(document.board, first, source=Source("take")))
    add_references(document, first, "hat")
    QTest.keyClicks(view.edit.text, "@1 wears @2 and")
    job = panel_job(document.board, first, document.picture_path)
    assert job.request.prompt == "image 1 wears image 2 and"
    assert job.request.references[0].sha256 == take.picture.sha256
    assert formats(view)["@2"][0] == view.side.tray.tiles[1].seen.colour.lower()


def test_the_space_behind_a_completed_name_is_not_typed_twice(view, document, ids):
    add_references(document, ids()[0], "robot")
    box = view.edit.text
    QTest.keyClicks(box, "@ro")
    QTest.keyClick(box, Qt.Key.Key_Tab)
    QTest.keyClicks(box, " in  the bar")
    assert box.toPlainText() == "@robot in  the bar"
    QTest.keyClicks(box, " @ro")
    QTest.keyClick(box, Qt.Key.Key_Return)
    QTest.keyClick(box, Qt.Key.Key_Home)
    QTest.keyClick(box, Qt.Key.Key_Space)
    assert box.toPlainText() == " @robot in  the bar @robot ", "elsewhere it is a space"


def test_a_member_of_the_cast_joins_the_tray_by_being_mentioned(view, document, ids):
    add_member(document, "gull")
    QTest.keyClicks(view.edit.text, "@gu")
    assert offered(view) == ["gull"]
    QTest.keyClick(view.edit.text, Qt.Key.Key_Return)
    assert [(tile.seen.kind, tile.title()) for tile in view.side.tray.tiles] == [("cast", "gull")]
    assert formats(view)["@gull"][0] == "#7f5fc0"
    document.undo()
    assert view.side.tray.tiles == []


def test_an_unknown_name_is_underlined_and_explained(view):
    QTest.keyClicks(view.edit.text, "a @nobody there")
    assert formats(view)["@nobody"][1] == QTextCharFormat.UnderlineStyle.WaveUnderline
    assert "@nobody names no picture" in view.edit.hint.text()
    assert view.edit.hint.property("tone") == "danger"
    for _ in range(20):
        QTest.keyClick(view.edit.text, Qt.Key.Key_Backspace)
    assert view.edit.hint.property("tone") == "muted"


def test_colours_stand_right_behind_emoji_and_in_hebrew(view, document, ids):
    add_references(document, ids()[0], "hat")
    view.edit.text.insertPlainText("🦊🤖 @hat 🎩")
    assert list(formats(view)) == ["@hat"]
    view.edit.text.selectAll()
    view.edit.text.insertPlainText("שים @hat כאן")
    assert list(formats(view)) == ["@hat"]
    block = view.edit.text.document().firstBlock()
    assert block.textDirection() == Qt.LayoutDirection.RightToLeft


def test_typing_is_one_step_and_undo_goes_through_the_board(view, document, ids):
    QTest.keyClicks(view.edit.text, "make it night")
    assert prompt(view) == "make it night"
    QTest.keyClick(view.edit.text, "z", CONTROL)
    assert (prompt(view), view.edit.text.text()) == ("", "")
    QTest.keyClick(view.edit.text, "z", CONTROL | Qt.KeyboardModifier.ShiftModifier)
    assert (prompt(view), view.edit.text.text()) == ("make it night", "make it night")


def test_showing_a_panel_changes_nothing(view, document, ids):
    add_references(document, ids()[0], "hat")
    told = []
    document.changed.connect(lambda old, new: told.append(new))
    for panel_id in (ids()[1], ids()[2], ids()[0]):
        view.show_panel(panel_id)
    assert told == []
    assert document.board.panel(ids()[1]).prompt == "a dog in a bar"


def test_the_caret_stays_when_the_text_changes_elsewhere(view, document, ids):
    QTest.keyClicks(view.edit.text, "one two three")
    document.do("Elsewhere", commands.set_panel(document.board, ids()[0], prompt="one 2 three"))
    assert view.edit.text.text() == "one 2 three"
    assert view.edit.text.textCursor().position() == len("one 2")


def test_control_return_renders(view, engine):
    QTest.keyClicks(view.edit.text, "a gull")
    QTest.keyClick(view.edit.text, Qt.Key.Key_Return, CONTROL)
    assert [job.request.prompt for job in engine.submitted] == ["a gull"]
    assert view.edit.text.text() == "a gull"


def test_composing_counts_only_what_is_committed(view):
    QApplication.sendEvent(view.edit.text, QInputMethodEvent("ねこ", []))
    assert prompt(view) == ""
    event = QInputMethodEvent("", [])
    event.setCommitString("猫")
    QApplication.sendEvent(view.edit.text, event)
    assert prompt(view) == "猫"


def test_decomposed_names_are_composed_when_pasted(view, document, ids):
    add_references(document, ids()[0], "Café")
    mime = QMimeData()
    mime.setText(unicodedata.normalize("NFD", "@Café sits"))
    view.edit.text.insertFromMimeData(mime)
    assert view.edit.text.text() == "@Café sits"
    assert list(formats(view)) == ["@Café"]


def test_a_double_click_in_the_tray_mentions(view, document, ids):
    add_references(document, ids()[0], "hat")
    QTest.keyClicks(view.edit.text, "put")
    QTest.mouseDClick(view.side.tray.tiles[0], Qt.MouseButton.LeftButton)
    assert prompt(view) == "put @hat "


@pytest.mark.parametrize(
    ("old", "new"), [("", "a"), ("aaa", "aa"), ("the gull", "the grey gull"), ("abcabc", "abcXabc"), ("ab", "cd")]
)
def test_what_differs_between_two_texts_is_all_that_is_replaced(old, new):
    start, end = differing(old, new)
    assert old[:start] + new[start : len(new) - end] + old[len(old) - end :] == new
    assert start + end == min(len(old), len(new)) or old[start] != new[start]
    assert start + end == min(len(old), len(new)) or old[-1 - end] != new[-1 - end]


def test_a_letter_is_looked_at_once_for_what_it_mentions(view, monkeypatch):
    """By ten parts of the page it was, each going through all of a long text."""
    looked, really = [], seen.Sight._find_mentioned
    monkeypatch.setattr(seen.Sight, "_find_mentioned", lambda *of: looked.append(of[1]) or really(*of))
    QTest.keyClicks(view.edit.text, "a")
    assert [text.strip() for text in looked] == ["a"]


def test_a_description_that_is_not_seen_is_not_laid_out_for_every_letter(view, qtbot):
    field = view.side.shot.texts["prompt"]
    QTest.keyClicks(view.edit.text, "a gull")
    assert field.text() == ""
    view.side.tabs.setCurrentIndex(1)
    qtbot.waitUntil(field.isVisible)
    assert field.text() == "a gull"
