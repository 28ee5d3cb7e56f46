"""What all dialogs share: their margins, their form, how a field is explained."""

from PySide6.QtWidgets import QApplication, QDialog, QFormLayout, QLayout, QProgressDialog, QVBoxLayout, QWidget

from .measures import MARGIN, ROOM, TIGHT, WIDE
from .widgets import label


def fill_dialog(dialog: QDialog) -> QVBoxLayout:
    """The column that takes its parts, the buttons last."""
    box = QVBoxLayout(dialog)
    box.setContentsMargins(ROOM, ROOM, ROOM, ROOM)
    box.setSpacing(WIDE)
    return box


def close_questions() -> None:
    """Every dialog that waits for an answer, as Esc does: what it is about goes."""
    for one in QApplication.topLevelWidgets():
        if one.isVisible() and one.isModal() and not isinstance(one, QProgressDialog):
            one.close()


def make_form() -> QFormLayout:
    """Labels on the left, fields as wide as there is room."""
    form = QFormLayout()
    form.setVerticalSpacing(WIDE)
    form.setHorizontalSpacing(MARGIN)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return form


def stack(*parts: QWidget | QLayout) -> QVBoxLayout:
    """What belongs closely together, below each other."""
    box = QVBoxLayout()
    box.setSpacing(TIGHT)
    for part in parts:
        if isinstance(part, QLayout):
            box.addLayout(part)
        else:
            box.addWidget(part)
    return box


def explain(field: QWidget | QLayout, words: str) -> QVBoxLayout:
    """A field with what it means below it."""
    return stack(field, label(words, "muted", wrap=True))
