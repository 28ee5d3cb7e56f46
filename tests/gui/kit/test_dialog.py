"""Dialogs: where their main button stands, what Return and Esc do."""

from itertools import groupby

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QPixmap
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QDialogButtonBox, QMessageBox, QPushButton

from app.board import commands
from app.board.data import Member, Picture
from app.board.panel_job import import_take
from app.gui.kit import messages
from app.gui.pages.log_in import LogIn
from app.gui.pages.teach import TeachDialog
from app.gui.prompt.crop import CropDialog
from app.gui.window.dialogs import BoardSettings, InstructionDialog, RestoreDialog, Shortcuts
from app.gui.window.exchange import ExportDialog
from app.gui.window.reading import Acknowledgements
from app.gui.window.settings_dialog import SettingsDialog
from tests.house.tree import NAMES, ROOT

PICTURE = Picture("0" * 64, 64, 36)
DIALOGS = {
    "board": lambda window: BoardSettings(window.document, window),
    "settings": lambda window: SettingsDialog(window.session.settings, lambda _: None, window),
    "shortcuts": lambda window: Shortcuts([], window),
    "restore": lambda window: RestoreDialog(window.document, window),
    "export": lambda window: ExportDialog(window.document, (), window),
    "licences": Acknowledgements,
    "log in": LogIn,
    "several": lambda window: InstructionDialog(window.document, fill(window), window),
    "crop": lambda window: CropDialog(QPixmap(64, 36), PICTURE, None, window),
    "teach": lambda window: TeachDialog(window.document, Member("1", "fox"), window),
}


def fill(window):
    """Panels with a picture to change."""
    document = window.document
    ids = [panel.id for panel in document.board.panels()]
    for one in ids:
        document.do("Add", commands.add_take(document.board, one, import_take(PICTURE)))
    return ids


def find_foot(dialog) -> list[QPushButton]:
    """The buttons of a dialog's foot, from left to right."""
    (box,) = dialog.findChildren(QDialogButtonBox)
    shown = [one for one in box.buttons() if one.isVisible()]
    return sorted(shown, key=lambda one: one.mapTo(dialog, one.rect().topLeft()).x())


@pytest.mark.parametrize("name", DIALOGS)
def test_the_main_button_of_a_dialog_stands_at_the_right_end_and_is_lit(window, name):
    dialog = DIALOGS[name](window)
    dialog.open()
    QApplication.processEvents()
    *others, main = find_foot(dialog)
    assert [one.text() for one in others] in ([], ["Cancel"])
    lit = [one for one in dialog.findChildren(QPushButton) if one.isDefault() or one.property("kind") == "primary"]
    assert lit == [main]
    right = main.mapTo(dialog, main.rect().topRight()).x()
    assert dialog.width() - right <= 40
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert (dialog.isVisible(), dialog.result()) == (False, QDialog.DialogCode.Rejected)


@pytest.mark.parametrize("name", [name for name in DIALOGS if name != "licences"])
def test_keys_are_in_the_first_field_and_come_to_the_buttons_last(window, name):
    """Cancel had them: a space in what was typed closed the dialog."""
    dialog = DIALOGS[name](window)
    dialog.open()
    QApplication.processEvents()
    (foot,) = dialog.findChildren(QDialogButtonBox)
    stops = []
    while (now := dialog.focusWidget()) not in stops:
        stops.append(now)
        QTest.keyClick(now, Qt.Key.Key_Tab)
    at_foot = [at for at, _ in groupby(stops, foot.isAncestorOf)]
    assert at_foot in ([False, True], [False, True, False])  # from the field that has them, round the end
    dialog.close()


@pytest.mark.parametrize(
    ("question", "order", "lit"),
    [
        (lambda window: messages.ask(window, "Title", "Go?", "", "Go", "Cancel"), ["Cancel", "Go"], "Go"),
        (lambda window: messages.sure(window, "Title", "Lose it?", "", "Lose"), ["Lose", "Cancel"], "Cancel"),
    ],
)
def test_questions_follow(window, monkeypatch, question, order, lit):
    seen = []

    def look(box):
        box.show()
        QApplication.processEvents()
        seen.append(([one.text() for one in find_foot(box)], box.defaultButton().text()))
        box.hide()

    monkeypatch.setattr(QMessageBox, "exec", look)
    question(window)
    assert seen == [(order, lit)]


def test_an_instruction_for_all_may_mention_whoever_has_no_picture_yet(window, qtbot):
    """As a panel's words may: the model gets the name alone."""
    window.document.do("Add", commands.add_member(window.document.board, Member("1", "panda")))
    dialog = InstructionDialog(window.document, fill(window), window)
    dialog.show()
    dialog.activateWindow()
    qtbot.waitUntil(dialog.field.hasFocus)
    QTest.keyClicks(dialog.field, "@")
    assert [one.word for one in dialog.field.mentions._list.listed] == ["1", "panda"]
    dialog.close()


def test_no_dialog_has_a_foot_of_its_own():
    window = [name for name in NAMES if name.startswith("app/gui")]
    assert [name for name in window if "QDialogButtonBox(" in (ROOT / name).read_text("utf-8")] == []


def test_the_export_dialog_is_as_high_as_its_format_needs(window, qtbot):
    made = ExportDialog(window.document, (), window)
    made.format.setCurrentIndex(made.format.findData("webp"))
    made.show()
    low = made.height()
    made.format.setCurrentIndex(made.format.findData("pdf"))
    qtbot.waitUntil(lambda: made.height() > low)
    made.format.setCurrentIndex(made.format.findData("webp"))
    qtbot.waitUntil(lambda: made.height() == low)


def test_a_title_runs_from_where_its_first_letter_does(window):
    made = BoardSettings(window.document, window)
    for text, way in (("12 שלום Zoo", Qt.LayoutDirection.RightToLeft), ("Zoo שלום", Qt.LayoutDirection.LeftToRight)):
        made.title.setText(text)
        assert made.title.layoutDirection() == way
