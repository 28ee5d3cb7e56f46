"""The field that opens over a reference's name."""

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import QLineEdit, QWidget

from ..kit.buttons import describe
from .tile import PICTURE, ReferenceTile

WIDTH, HEIGHT = 120, 28


class NameField(QLineEdit):
    """Return or leaving the field takes the name, Escape doesn't."""

    named = Signal(str, str)  # id of the reference, name

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self._tile: ReferenceTile | None = None
        describe(self, "Name of the reference", "One word, mentioned with @")
        self.hide()

    def open(self, tile: ReferenceTile) -> None:
        """Edit the name of a tile's reference."""
        self._tile, self._id, self._before = tile, tile.seen.reference, tile.seen.name
        self.setText(self._before)
        corner = tile.pos() + QPoint((tile.width() - WIDTH) // 2, PICTURE.height() - 4)
        room = max(0, self.parentWidget().width() - WIDTH)
        self.setGeometry(min(max(0, corner.x()), room), corner.y(), WIDTH, HEIGHT)
        self.show()
        self.raise_()
        self.selectAll()
        self.setFocus()

    def keyPressEvent(self, event) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self._close(take=False)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._close(take=True)
        else:
            super().keyPressEvent(event)

    def focusOutEvent(self, event) -> None:
        super().focusOutEvent(event)
        if event.reason() != Qt.FocusReason.PopupFocusReason:
            self._close(take=True)

    def _close(self, take: bool) -> None:
        tile, self._tile = self._tile, None
        if tile is None:
            return
        self.hide()
        name = self.text().strip()
        if take and name and name != self._before:
            self.named.emit(self._id, name)
