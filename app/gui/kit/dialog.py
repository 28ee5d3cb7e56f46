"""What all dialogs share: their margins, their form, how a field is explained, their buttons.

The main button stands at the right end, is the only lit one and what Return does; Esc leaves. Where something would be
lost, staying is the main one (messages.sure). Questions and Qt's own dialogs follow: the order is the style's (icons).
"""

from collections.abc import Callable

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLayout,
    QProgressDialog,
    QVBoxLayout,
    QWidget,
)

from .measures import MARGIN, ROOM, TIGHT, WIDE
from .widgets import label


def fill_dialog(dialog: QDialog) -> QVBoxLayout:
    """The column that takes its parts, the buttons last."""
    box = QVBoxLayout(dialog)
    box.setContentsMargins(ROOM, ROOM, ROOM, ROOM)
    box.setSpacing(WIDE)
    return box


class Buttons(QDialogButtonBox):
    """The foot of a dialog: `main`, called `go`, does `act` (agrees unless given), Cancel leaves. Without `go` there is
    nothing to agree to, and the main one closes.
    """

    def __init__(self, dialog: QDialog, go: str = "", act: Callable[[], object] | None = None):
        super().__init__()  # the layout gives it its parent, after the fields: in that order keys go through a dialog
        role = QDialogButtonBox.ButtonRole
        if go:
            self.addButton("Cancel", role.RejectRole)
        self.main = self.addButton(go or "Close", role.AcceptRole if go else role.RejectRole)
        self.accepted.connect(act or dialog.accept)
        self.rejected.connect(dialog.reject)

    def event(self, event: QEvent) -> bool:
        """A button without a dialog can't be its default."""
        done = super().event(event)
        if event.type() == QEvent.Type.ParentChange:
            self.main.setDefault(True)
        return done


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
