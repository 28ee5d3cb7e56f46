"""What nobody does on purpose: far too much text, names without end, faults of ours in the middle of a click."""

import pytest
from PySide6.QtCore import QMimeData
from PySide6.QtWidgets import QToolTip

from app.base import faults
from app.board import commands, rules
from app.board.rules import MAX_TEXT
from app.gui.kit.text_field import BoardText
from app.gui.pages import cast_view
from app.gui.window.start import SAVED, tell_fault
from mlx_model.errors import DiskFull, Refused
from tests.gui.panel_board import add_member, drawn


def test_text_beyond_what_a_board_takes_is_refused_whole_and_said(qtbot, monkeypatch):
    said, box, mime = [], BoardText("Notes"), QMimeData()
    qtbot.addWidget(box)
    monkeypatch.setattr(QToolTip, "showText", lambda at, words, *_: said.append(words))
    mime.setText("x" * MAX_TEXT)
    box.insertFromMimeData(mime)
    box.insertFromMimeData(mime)
    assert len(box.text()) == MAX_TEXT
    assert "100,000 characters" in said[0]
    box.selectAll()
    box.insertFromMimeData(mime)  # in place of what is there it fits
    assert len(said) == 1


def test_a_name_that_makes_a_prompt_too_long_is_refused_and_the_board_can_be_saved(window, monkeypatch):
    monkeypatch.setattr(rules, "MAX_TEXT", 100)
    document = window.document
    member, first = add_member(document, "ab"), next(document.board.panels()).id
    document.do("Edit", commands.set_panel(document.board, first, prompt="@ab " * 25))
    window.go("cast")
    panel = window.page("cast").member
    panel.name.setText("abcdefghijklmnop")
    panel.name.editingFinished.emit()
    assert document.board.member(member.id).name == "ab" == panel.name.text()
    assert window.toasts.hint.text() == "Choose a shorter name."
    assert document.save()


def test_a_cast_has_an_end_and_the_first_pictures_are_taken(window, monkeypatch):
    monkeypatch.setattr(cast_view, "MAX_MEMBERS", 3)
    picture = drawn(window.document, 4)
    window.go("cast")
    window.page("cast").add_pictures([picture] * 5, None)
    assert len({member.name for member in window.document.board.cast}) == 3
    assert "at most 3 members" in window.toasts.title.text()


def test_notes_of_the_cast_undo_with_the_board(window):
    document = window.document
    member = add_member(document, "gull")
    window.go("cast")
    notes = window.page("cast").member.notes
    notes.insertPlainText("tired")
    assert document.board.member(member.id).notes == "tired"
    notes.undo_asked.emit()
    assert (document.board.member(member.id).notes, notes.text()) == ("", "")


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (DiskFull("The disk is full.", "Make room."), "The disk is full.", "Make room."),
        (Refused("A panel can have 10 references.", "Remove one."), "A panel can have 10 references.", "Remove one."),
        (ValueError("x"), faults.WRONG, f"{SAVED} This is a fault in Flux Local."),
        (KeyError("x"), faults.WRONG, f"{SAVED} This is a fault in Flux Local."),
    ],
)
def test_a_fault_is_told_and_the_app_goes_on(error, message, hint, capsys):
    said = []
    tell_fault(lambda *words: said.append(words), type(error), error, None)
    assert said[0][0] == message
    assert said[0][1].startswith(hint)
    assert type(error).__name__ in capsys.readouterr().err
    tell_fault(lambda *words: said.append(words), KeyboardInterrupt, KeyboardInterrupt(), None)
    assert len(said) == 1
