"""Quick Look: the picture as large as the window, over everything, gone with the next press of space."""

from PySide6.QtCore import QRect, Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from ...board.data import numbers
from ..document.document import Document
from ..kit.measures import LARGE
from ..kit.theme import font
from ..kit.widgets import draw_words

KEPT = (Qt.FocusReason.PopupFocusReason, Qt.FocusReason.MenuBarFocusReason, Qt.FocusReason.ActiveWindowFocusReason)


class Peek(QWidget):
    """Covers its parent. Left and right go on to the neighbours; Return opens the panel.

    What the menus do meanwhile is about the panel that is seen; another page that takes the keys ends it.
    """

    looked = Signal(str)  # the panel that is shown from now on
    closed = Signal(str)  # the panel that was shown last
    opened = Signal(str)

    def __init__(self, document: Document, panel_id: str, parent: QWidget):
        super().__init__(parent)
        self.document, self.panel_id = document, panel_id
        self.setAccessibleName("Quick Look")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setGeometry(parent.rect())
        document.picture_ready.connect(self.update)
        document.changed.connect(self._follow)
        self._name()
        self.show()
        self.raise_()
        self.setFocus()

    def _name(self) -> None:
        number = numbers(self.document.board).get(self.panel_id, "")
        self.setAccessibleDescription(f"Panel {number}. Space closes, arrows go on, Return opens.")
        self.update()

    def step(self, way: int) -> None:
        """On to the next panel that has a picture."""
        shown = [panel.id for panel in self.document.board.panels() if panel.take or panel.id == self.panel_id]
        place = shown.index(self.panel_id) + way if self.panel_id in shown else 0
        if 0 <= place < len(shown):
            self.panel_id = shown[place]
            self._name()
            self.looked.emit(self.panel_id)

    def _follow(self) -> None:
        if all(panel.id != self.panel_id for panel in self.document.board.panels()):
            self.deleteLater()  # it was deleted
        else:
            self._name()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        if event.reason() not in KEPT:
            self.deleteLater()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Left | Qt.Key.Key_Up:
                self.step(-1)
            case Qt.Key.Key_Right | Qt.Key.Key_Down:
                self.step(1)
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self._close()
                self.opened.emit(self.panel_id)
            case Qt.Key.Key_Space | Qt.Key.Key_Escape:
                self._close()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._close()

    def _close(self) -> None:
        self.closed.emit(self.panel_id)
        self.deleteLater()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.fillRect(self.rect(), QColor(12, 12, 13, 242))
        panel = next((one for one in self.document.board.panels() if one.id == self.panel_id), None)
        room = self.rect().adjusted(32, 32, -32, -64)
        if panel and panel.take:
            pixmap = self.document.pixmap(panel.take.picture.sha256)
            if not pixmap.isNull():
                target = pixmap.size().scaled(room.size(), Qt.AspectRatioMode.KeepAspectRatio)
                corner = room.center() - QRect(0, 0, target.width(), target.height()).center()
                painter.drawPixmap(QRect(corner, target), pixmap)
        painter.setPen(QColor(235, 235, 236))
        painter.setFont(font(LARGE))
        number = numbers(self.document.board).get(self.panel_id, "")
        caption = panel.caption if panel else ""
        foot = QRect(32, self.height() - 56, self.width() - 64, 40)
        shown = painter.fontMetrics().elidedText(f"{number}   {caption}", Qt.TextElideMode.ElideRight, foot.width())
        draw_words(painter, foot, Qt.AlignmentFlag.AlignCenter, shown)
        painter.end()
