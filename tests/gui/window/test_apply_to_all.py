"""One instruction for many panels is written in the box that a panel has: mentions, completion, what is wrong."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from app.gui.window.dialogs import InstructionDialog
from tests.gui.panel_board import add_member, add_take


@pytest.fixture
def asked(qtbot, document, ids):
    """The dialog over all panels, which have pictures; a fox is in the cast."""
    for place, panel in enumerate(ids()):
        add_take(document, panel, place + 1)
    add_member(document, "fox")
    made = InstructionDialog(document, ids(), None)
    qtbot.addWidget(made)
    with qtbot.waitActive(made):
        made.show()
    made.field.setFocus()
    return made


def test_a_member_of_the_cast_is_completed_and_coloured(asked):
    QTest.keyClicks(asked.field, "bring in @f")
    assert [one.word for one in asked.field.mentions._list.listed] == ["fox"]
    QTest.keyClick(asked.field, Qt.Key.Key_Tab)
    assert asked.field.text() == "bring in @fox "
    assert (asked.hint.text(), [one.name for one in asked.field.highlighter.seen][1:]) == ("", ["fox"])


def test_what_nobody_is_called_is_told_and_undo_works(asked):
    assert not asked.ok.isEnabled(), "there is nothing to do yet"
    QTest.keyClicks(asked.field, "bring in @wolf, please")
    assert "wolf" in asked.hint.text()
    assert asked.ok.isEnabled()
    for _ in range(30):
        QTest.keyClick(asked.field, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert asked.field.text() == ""


def test_ctrl_return_agrees(asked, qtbot):
    QTest.keyClicks(asked.field, "make it night")
    with qtbot.waitSignal(asked.accepted):
        QTest.keyClick(asked.field, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
