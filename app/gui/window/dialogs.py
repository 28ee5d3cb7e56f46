"""Settings of one board: its shape, frame rate, the style of all its panels, its model."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QHeaderView,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from mlx_model.errors import FluxLocalError, Refused

from ...base.words import say_count
from ...board import commands
from ...board.data import ASPECTS, Board
from ...board.panel_job import instruct
from ...board.seen import look, see
from ...models import library
from ..document.document import Document
from ..kit.dialog import Buttons, explain, fill_dialog, make_form
from ..kit.fields import ChoiceField, WholeField
from ..kit.placing import size_window
from ..kit.text_field import follow_letters
from ..kit.widgets import OneLineEdit, label
from ..kit.words import model_title
from ..prompt.instruction_box import InstructionBox

MOST_LISTED = 12  # panels
SHAPE = re.compile(r"\s*(\d{1,4})\s*[:x]\s*(\d{1,4})\s*")


class BoardSettings(QDialog):
    """All changes are one step of undo, made when the dialog is agreed to."""

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document, board = document, document.board
        self.setWindowTitle("Board Settings")
        self.title = follow_letters(OneLineEdit(board.title))
        self.aspect = ChoiceField()
        self.aspect.setEditable(True)
        self.aspect.addItems([*ASPECTS])
        name = next((name for name, sides in ASPECTS.items() if sides == board.aspect), None)
        self.aspect.setCurrentText(name or f"{board.aspect[0]}:{board.aspect[1]}")
        self.fps = WholeField()
        self.fps.setRange(1, 240)
        self.fps.setValue(round(board.fps))
        exact = "" if board.fps == round(board.fps) else f" (exactly {board.fps:.3f})"
        self.fps.setSuffix(f" frames a second{exact}")
        self.style_ = QPlainTextEdit(board.style)
        self.style_.setPlaceholderText("Such as: ink and watercolour, warm light, wide lens")
        self.style_.setTabChangesFocus(True)
        self.style_.setFixedHeight(84)
        self.model = self._models(board.model)
        for field, words in (
            (self.title, "Title"),
            (self.aspect, "Shape"),
            (self.fps, "Frame rate"),
            (self.style_, "Style of all panels"),
            (self.model, "Model"),
        ):
            field.setAccessibleName(words)
        self.wrong = label(tone="danger", wrap=True)
        self.wrong.hide()
        self._lay_out()

    def _models(self, chosen: str | None) -> QComboBox:
        box = ChoiceField()
        box.addItem("The default model", None)
        for model in library.list_installed():
            if not model.problem:
                box.addItem(model_title(model.name), model.name)
        if chosen and box.findData(chosen) < 0:
            box.addItem(f"{model_title(chosen)} (not installed)", chosen)
        box.setCurrentIndex(max(0, box.findData(chosen)))
        return box

    def _lay_out(self) -> None:
        form = make_form()
        form.addRow("Title", self.title)
        form.addRow("Shape", self.aspect)
        form.addRow("Frame rate", self.fps)
        words = "Added to the prompt of every panel. @names of the cast work here too."
        form.addRow("Style", explain(self.style_, words))
        form.addRow("Model", self.model)
        box = fill_dialog(self)
        box.addLayout(form)
        box.addWidget(self.wrong)
        box.addWidget(Buttons(self, "OK", self.agree))
        self.setMinimumWidth(500)

    def agree(self) -> None:
        """Change the board and close, or say what is wrong."""
        text = self.aspect.currentText().strip()
        shape = SHAPE.fullmatch(text)
        sides = ASPECTS.get(text) or ((int(shape[1]), int(shape[2])) if shape else (0, 0))
        before = self.document.board.fps
        fps: int | float = self.fps.value()
        fps = before if fps == round(before) else fps
        try:
            board = commands.set_board(
                self.document.board, title=self.title.text().strip() or "Untitled", aspect=sides,
                fps=fps, style=self.style_.toPlainText().strip(), model=self.model.currentData(),
            )  # fmt: skip
        except Refused as error:
            self.wrong.setText(f"{error}")
            self.wrong.show()
            return
        self.document.do("Change Board Settings", board)
        self.accept()


class InstructionDialog(QDialog):
    """Asks for one instruction for these panels, in the same box as a panel has, and says which of them have no picture
    to change. Their pictures differ: what can be mentioned is the start, as @1, and the cast.
    """

    def __init__(self, document: Document, ids: Sequence[str], parent: QWidget):
        super().__init__(parent)
        self.document = document
        first = next(panel for one in ids if (panel := document.panel(one)).take)
        self._panel = msgspec.structs.replace(instruct(first, ""), references=())
        self.setWindowTitle(
            "Apply to All" if len(ids) == len([*document.board.panels()]) else "Apply to Several Panels"
        )
        self.field = InstructionBox(document)
        self.field.setUndoRedoEnabled(True)  # it is no field of the board
        self.field.undo_asked.connect(self.field.undo)
        self.field.redo_asked.connect(self.field.redo)
        self.field.edited.connect(self._show)
        self.field.render_asked.connect(self.accept)
        self.hint = label(tone="danger", wrap=True)
        count = sum(document.panel(one).take is not None for one in ids)
        buttons = Buttons(self, f"Render {say_count(count, 'Panel')}")
        self.ok = buttons.main
        box = fill_dialog(self)
        for part in (label(say_reach(document.board, ids), wrap=True), self.field, self.hint, buttons):
            box.addWidget(part)
        size_window(self, 560, 360)
        self._show("")

    def _show(self, text: str) -> None:
        self.field.set_context(self.document.board, see(self.document.board, self._panel, text), changes=True)
        self.hint.setText(self.field.problem)
        self.ok.setEnabled(bool(text.strip()))

    def ask(self) -> str:
        """What is to be done; "" for nothing."""
        agreed = self.exec() == QDialog.DialogCode.Accepted
        text = self.field.text().strip() if agreed else ""
        self.deleteLater()
        return text


def say_reach(board: Board, ids: Sequence[str]) -> str:
    """Which of the panels an instruction changes, and which it can't."""
    empty = [look(board).numbers[one] for one in ids if not board.panel(one).take]
    every, count = len(ids) == len([*board.panels()]), len(ids) - len(empty)
    which = "the only panel" if every and len(ids) == 1 else f"{'all' if every else 'the'} {count} panels"
    which += " that have a picture" if empty else "" if every else " that are selected"
    listed = ", ".join(empty[:MOST_LISTED]) + (f" and {len(empty) - MOST_LISTED} more" if empty[MOST_LISTED:] else "")
    left = f" Left out, with no picture to change: {listed}." if empty else ""
    return f"Change {which} by one instruction, such as “make it night”.{left}"


FIXED = (  # where, what and by which keys, besides the menus
    ("Board", "Open the panel, add a panel, edit a heading", "Return"),
    ("Board", "Quick Look", "Space"),
    ("Board", "Select more", "Shift or Ctrl and click, or draw a frame"),
    ("Board", "Larger and smaller panels", "Ctrl and the mouse wheel"),
    ("Panel", "Render", "Ctrl+Return"),
    ("Panel", "The panel before, the next one", "Ctrl+[, Ctrl+]"),
    ("Panel", "Stop writing out, lay a tool away, leave the panel", "Esc"),
    ("Picture", "Larger, smaller, whole, its pixels", "+, -, 0, 1"),
    ("Picture", "Compare, show what was before", "C, hold B"),
    ("Picture", "Move it", "Arrows, or Space and drag"),
    ("Mask", "Move the point or the shape; faster", "Arrows; with Shift"),
    ("Mask", "Press and lift, let go of the shape", "Return"),
    ("Mask", "Resize the shape, the brush", "Alt and arrows, [ and ]"),
    ("Mask", "Clear", "Del"),
    ("Takes", "Star, compare, delete", "S, C, Del"),
    ("Animatic", "Play, step, make shorter and longer", "Space, arrows, comma and period"),
)


class Shortcuts(QDialog):
    """A list to search in. Each of `keys` is a menu, words and keys."""

    def __init__(self, keys: Iterable[tuple[str, str, str]], parent: QWidget | None = None):
        super().__init__(parent)
        self.setWindowTitle("Keyboard Shortcuts")
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search")
        self.search.setAccessibleName("Search shortcuts")
        self.search.textChanged.connect(self._filter)
        self.table = QTableWidget(0, 3)
        self.table.setAccessibleName("Shortcuts")
        self.table.setHorizontalHeaderLabels(["Where", "What", "Keys"])
        self.table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.table.setTabKeyNavigation(False)
        self.table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        for line in (*keys, *FIXED):
            self._add(*line)
        self.table.resizeColumnToContents(2)
        box = fill_dialog(self)
        for part in (self.search, self.table, Buttons(self)):
            box.addWidget(part)
        size_window(self, 620, 560)

    def _add(self, *texts: str) -> None:
        place = self.table.rowCount()
        self.table.insertRow(place)
        for column, text in enumerate(texts):
            self.table.setItem(place, column, QTableWidgetItem(text))

    def _filter(self, text: str) -> None:
        for place in range(self.table.rowCount()):
            cells = [self.table.item(place, column) for column in range(3)]
            words = " ".join(cell.text() for cell in cells if cell).lower()
            self.table.setRowHidden(place, text.lower() not in words)


POINT = Qt.ItemDataRole.UserRole


class RestoreDialog(QDialog):
    """Lists the restore points, newest first. Restoring is a step that undo takes back."""

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document = document
        self.setWindowTitle("Restore an Earlier State")
        self.list = QListWidget()
        self.list.setAccessibleName("Earlier states")
        for point in document.file.restore_points():
            item = QListWidgetItem(f"{point.when.astimezone():%A %d %B, %H:%M}   {ago(point.when)}")
            item.setData(POINT, point)
            self.list.addItem(item)
        buttons = Buttons(self, "Restore", self.restore)
        self.ok = buttons.main
        self.ok.setEnabled(self.list.count() > 0)
        self.list.itemActivated.connect(lambda _: self.restore())
        self.list.setCurrentRow(0)
        box = fill_dialog(self)
        none = "There is none yet: one is kept every few minutes while you work."
        some = "Today's state is kept too, and undo takes you back to it."
        box.addWidget(label(some if self.list.count() else none, "muted", wrap=True))
        box.addWidget(self.list)
        box.addWidget(buttons)
        size_window(self, 460, 420)

    def restore(self) -> None:
        """Bring the chosen state back."""
        item = self.list.currentItem()
        if item is None:
            return
        try:
            board = self.document.file.restore(item.data(POINT))
        except FluxLocalError as error:
            self.document.message.emit(error.message, error.hint)
            self.reject()
            return
        self.document.do("Restore Earlier State", board)
        self.accept()


def ago(when: datetime, now: datetime | None = None) -> str:
    """Such as "12 minutes ago"."""
    minutes = round(((now or datetime.now(UTC)) - when).total_seconds() / 60)
    if minutes < 1:
        return "just now"
    for count, word in ((minutes // 1440, "day"), (minutes // 60, "hour"), (minutes, "minute")):
        if count:
            return f"{say_count(count, word)} ago"
    return ""
