"""The onion skin: the panel before shines through the picture, and which one it is stands above it."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QHBoxLayout, QSlider, QWidget

from ...board.data import Panel
from ...board.seen import look
from ..canvas.canvas import Canvas
from ..document.document import Document
from ..document.panel_part import PanelPart
from ..kit.measures import GAP
from ..kit.widgets import describe, icon_button, label

STEPS = 100
FIRST = 40  # percent
NOTHING = "There is no panel before this one"
EMPTY = "The panel before has no picture yet"


class Onion(PanelPart, QWidget):
    """Stands in the row above the picture while the skin is on."""

    closed = Signal()

    def __init__(self, document: Document, canvas: Canvas):
        super().__init__()
        self.document, self.canvas, self.on = document, canvas, False
        self._asked_at = ""  # the panel where it was switched on: there it is said why nothing is seen
        row = QHBoxLayout(self)
        row.setContentsMargins(GAP, 0, 0, 0)
        self.words = label(tone="muted")
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, STEPS)
        self.opacity.setValue(FIRST)
        self.opacity.setFixedWidth(96)
        describe(self.opacity, "Opacity of the onion skin", "How much the panel before is seen")
        self.opacity.valueChanged.connect(lambda _: self.refresh())
        close = icon_button("Take the onion skin off", "close", "O", self.closed.emit)
        parts: tuple[QWidget, ...] = (self.words, self.opacity, close)
        for part in parts:
            row.addWidget(part)
        self.hide()

    def set_on(self, on: bool) -> None:
        self.on, self._asked_at = on, self.panel_id if on else ""
        self.refresh()

    def find_before(self) -> tuple[Panel | None, str]:
        """The panel that would be seen, and why there is none."""
        before = self.document.board.before(self.panel_id)
        if before is None:
            return None, NOTHING
        return (before, "") if before.take else (None, EMPTY)

    def refresh(self) -> None:
        if not self.panel_id:
            return
        before, why_not = self.find_before()
        self._asked_at = self._asked_at if self._asked_at == self.panel_id else ""
        take = before.take if before and self.on else None
        self.canvas.set_onion(self.document.pixmap(take.picture.sha256) if take else QPixmap(), self.share)
        self.words.setText(f"Onion skin: panel {look(self.document.board).numbers[before.id]}" if before else why_not)
        self.opacity.setVisible(before is not None)
        self.setVisible(self.on and (before is not None or bool(self._asked_at)))

    @property
    def share(self) -> float:
        return self.opacity.value() / STEPS
