"""Settings of one board: its shape, frame rate, the style of all its panels, its model."""

import re

from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLineEdit,
    QPlainTextEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ...board import commands
from ...board.data import ASPECTS
from ...models import library
from ..document.document import Document
from ..kit.widgets import label
from ..kit.words import model_title

SHAPE = re.compile(r"\s*(\d{1,4})\s*[:x]\s*(\d{1,4})\s*")
RATES = ("24", "25", "30", "48", "50", "60", "12")


class BoardSettings(QDialog):
    """All changes are one step of undo, made when the dialog is agreed to."""

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document, board = document, document.board
        self.setWindowTitle("Board Settings")
        self.title = QLineEdit(board.title)
        self.aspect = QComboBox()
        self.aspect.setEditable(True)
        self.aspect.addItems([*ASPECTS])
        name = next((name for name, sides in ASPECTS.items() if sides == board.aspect), None)
        self.aspect.setCurrentText(name or f"{board.aspect[0]}:{board.aspect[1]}")
        self.fps = QSpinBox()
        self.fps.lineEdit().setTextMargins(6, 0, 0, 0)
        self.fps.setRange(1, 240)
        self.fps.setValue(board.fps)
        self.fps.setSuffix(" frames a second")
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
        box = QComboBox()
        box.addItem("The default model", None)
        for model in library.installed():
            if not model.problem:
                box.addItem(model_title(model.name), model.name)
        if chosen and box.findData(chosen) < 0:
            box.addItem(f"{chosen} (not installed)", chosen)
        box.setCurrentIndex(max(0, box.findData(chosen)))
        return box

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setVerticalSpacing(12)
        form.setHorizontalSpacing(16)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Title", self.title)
        form.addRow("Shape", self.aspect)
        form.addRow("Frame rate", self.fps)
        form.addRow("Style", self.style_)
        form.addRow(
            "", label("Added to the prompt of every panel. @names of the cast work here too.", "muted", wrap=True)
        )
        form.addRow("Model", self.model)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.agree)
        buttons.rejected.connect(self.reject)
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 20, 24, 20)
        box.setSpacing(16)
        box.addLayout(form)
        box.addWidget(self.wrong)
        box.addWidget(buttons)
        self.setMinimumWidth(500)

    def agree(self) -> None:
        """Change the board and close, or say what is wrong."""
        text = self.aspect.currentText().strip()
        shape = SHAPE.fullmatch(text)
        sides = ASPECTS.get(text) or ((int(shape[1]), int(shape[2])) if shape else (0, 0))
        try:
            board = commands.set_board(
                self.document.board, title=self.title.text().strip() or "Untitled", aspect=sides,
                fps=self.fps.value(), style=self.style_.toPlainText().strip(), model=self.model.currentData(),
            )  # fmt: skip
        except ValueError:
            self.wrong.setText("The shape must be two numbers such as 16:9.")
            self.wrong.show()
            return
        self.document.do("Change Board Settings", board)
        self.accept()
