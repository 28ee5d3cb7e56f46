"""One picture of the tray: numbered and coloured as the model and the prompt know it."""

from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPixmap,
)
from PySide6.QtWidgets import QWidget

from ...board.seen import Seen
from ..kit import portrait
from ..kit.measures import CORNER, FINE, RADIUS, TEXT
from ..kit.text_field import FloatingField
from ..kit.theme import theme
from ..kit.widgets import as_tip, describe, draw_words, wins_over_menus

PICTURE = QSize(74, 56)
SIZE = QSize(PICTURE.width(), PICTURE.height() + 32)
KEYS = Qt.Key
HANDLED = (
    KEYS.Key_Left, KEYS.Key_Right, KEYS.Key_Up, KEYS.Key_Down, KEYS.Key_Delete, KEYS.Key_Backspace, KEYS.Key_Return,
    KEYS.Key_Enter, KEYS.Key_F2, KEYS.Key_Menu, KEYS.Key_Space, KEYS.Key_Home, KEYS.Key_End,
)  # fmt: skip
LEARNED = "The model draws it by what it was taught: this picture is not shown to it."
NAMED = "There is no picture of it in the cast yet: the model gets its name alone. Give it one under Cast."
DRAG_FROM = 6  # pixels that the mouse moves before it is a drag


class ReferenceTile(QWidget):
    """Paints one Seen; tells what the mouse and the keys want of it.

    Its number is 0 where the picture is not shown to the model, which was taught the member.
    """

    drag_began = Signal(object)  # self
    dragged = Signal(QPoint)  # the mouse, in the tray
    drag_ended = Signal()
    menu_wanted = Signal(object, QPoint)  # self, global position
    activated = Signal(object)
    key = Signal(object, int, object)  # self, key, modifiers

    def __init__(self, one: Seen, number: int, pixmap: QPixmap, parent: QWidget):
        super().__init__(parent)
        self.seen, self.number, self.pixmap, self.over_limit = one, number, pixmap, False
        self._pressed: QPoint | None = None
        self._shown: tuple | None = None
        self._dragging = False
        self.setFixedSize(SIZE)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        theme.changed.connect(self.update)
        self._describe()

    @property
    def movable(self) -> bool:
        """Only references have a place that can be changed; the source is first, mentioned members are last."""
        return self.seen.kind == "reference"

    @property
    def reference(self) -> str:
        """The id of the panel's reference; "" for the start and for what is only mentioned."""
        return self.seen.reference or ""

    def show_seen(self, one: Seen, number: int, pixmap: QPixmap, over_limit: bool) -> None:
        if (one, number, over_limit, pixmap.cacheKey()) != self._shown:
            self._shown = (one, number, over_limit, pixmap.cacheKey())
            self.seen, self.number, self.pixmap, self.over_limit = one, number, pixmap, over_limit
            self._describe()
            self.update()

    def title(self) -> str:
        """The word that stands under the picture."""
        if self.seen.kind == "source":
            return "Start"
        return self.seen.name or f"image {self.number}"

    @property
    def _word(self) -> str:
        """What stands in place of the number."""
        return "learned" if self.seen.picture else "by name"

    def _describe(self) -> None:
        role = "depth map" if self.seen.photo else self.seen.role
        role = role or ("picture to start from" if self.seen.kind == "source" else "")
        called = f"Image {self.number}: {self.title()}" if self.number else f"{self.title()}: {self._word}"
        role = f"{role}, cropped" if self.seen.crop else role
        parts = [called, role, "mentioned" if self.seen.kind == "cast" else ""]
        parts.append("more than the model looks at" if self.over_limit else "")
        self.setAccessibleName(", ".join(part for part in parts if part))
        hints = {
            "source": "The picture that is changed. Choose it beside the words.",
            "reference": "Drag to reorder, or Alt with an arrow key. Double-click mentions it. Right-click for more.",
            "cast": "Looked at because the text mentions it.",
        }
        hint = hints[self.seen.kind] if self.number else LEARNED if self.seen.picture else NAMED
        self.setToolTip(as_tip(f"{self.accessibleName()}\n{hint}"))
        self.setAccessibleDescription(hint)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        colour, colours = QColor(self.seen.colour), theme.colours
        frame = QRectF(QPoint(0, 0), PICTURE.toSizeF()).adjusted(1.5, 1.5, -1.5, -1.5)
        self._paint_picture(painter, frame)
        pen = QPen(colour, 2.5)
        if self.seen.kind == "cast":
            pen.setDashPattern([2, 1.5])
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(frame, CORNER, CORNER)
        self._paint_number(painter, colour)
        self._paint_words(painter)
        if self.hasFocus():
            painter.setPen(QPen(QColor(colours.accent), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), RADIUS, RADIUS)
        if self._dragging:
            painter.fillRect(self.rect(), QColor(colours.window).darker(100))

    def _paint_picture(self, painter: QPainter, frame: QRectF) -> None:
        path = QPainterPath()
        path.addRoundedRect(frame, CORNER, CORNER)
        painter.save()
        painter.setClipPath(path)
        painter.fillRect(frame, QColor(theme.colours.raised))
        if not self.pixmap.isNull() and self.seen.kind != "source":
            portrait.draw(painter, frame, self.pixmap, fill=True)
        elif not self.pixmap.isNull():
            portrait.cover(painter, frame, self.pixmap, self.pixmap.rect())
        if self.over_limit:
            painter.setOpacity(0.65)
            painter.fillRect(frame, QColor(theme.colours.raised))
        painter.restore()

    def _paint_number(self, painter: QPainter, colour: QColor) -> None:
        text, font = str(self.number) if self.number else self._word, painter.font()
        font.setBold(True)
        font.setPixelSize(FINE)
        painter.setFont(font)
        box = QRectF(5, 5, max(18, painter.fontMetrics().horizontalAdvance(text) + 9), 18)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.drawRoundedRect(box, RADIUS, RADIUS)
        dark = colour.lightnessF() > 0.55 or colour.green() > 150
        painter.setPen(QColor("#141414") if dark else QColor("#ffffff"))
        draw_words(painter, box, Qt.AlignmentFlag.AlignCenter, text)

    def _paint_words(self, painter: QPainter) -> None:
        font = self.font()
        font.setPixelSize(TEXT)
        font.setWeight(font.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(QColor(theme.colours.text))
        line = QRect(2, PICTURE.height() + 1, SIZE.width() - 4, 16)
        elide, centre = Qt.TextElideMode.ElideMiddle, Qt.AlignmentFlag.AlignCenter
        draw_words(painter, line, centre, painter.fontMetrics().elidedText(self.title(), elide, line.width()))
        font.setPixelSize(FINE)
        font.setWeight(font.Weight.Normal)
        painter.setFont(font)
        painter.setPen(QColor(theme.colours.muted))
        role = "to change" if self.seen.kind == "source" else "depth map" if self.seen.photo else self.seen.role
        text = painter.fontMetrics().elidedText(role, elide, line.width())
        draw_words(painter, line.translated(0, 14), centre, text)

    # Mouse and keys

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._pressed = event.position().toPoint()
        elif event.button() == Qt.MouseButton.RightButton:
            self.menu_wanted.emit(self, event.globalPosition().toPoint())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = event.position().toPoint()
        if self._pressed is None:
            return
        if not self._dragging and (at - self._pressed).manhattanLength() > DRAG_FROM:
            self._dragging = True
            self.drag_began.emit(self)
        if self._dragging:
            self.dragged.emit(self.mapToParent(at))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        dragging, self._dragging, self._pressed = self._dragging, False, None
        if dragging:
            self.drag_ended.emit()
            self.update()

    def stop_dragging(self) -> None:
        """The drag goes on as one between programs."""
        self._dragging, self._pressed = False, None
        self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.activated.emit(self)

    def event(self, event: QEvent) -> bool:
        return wins_over_menus(event, HANDLED, [QKeySequence.StandardKey.Paste]) or super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in HANDLED:
            self.key.emit(self, event.key(), event.modifiers())
        else:
            super().keyPressEvent(event)


FIELD = QSize(120, 28)


class NameField(FloatingField):
    """For the name of a tile's reference."""

    named = Signal(str, str)  # id of the reference, name

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self._id = ""
        describe(self, "Name of the reference", "One word, mentioned with @")
        self.taken.connect(lambda name: self.named.emit(self._id, name) if name else None)

    def open(self, tile: ReferenceTile) -> None:
        """Edit the name of a tile's reference."""
        self._id = tile.reference
        corner = tile.pos() + QPoint((tile.width() - FIELD.width()) // 2, PICTURE.height() - 4)
        self.begin(tile.seen.name, QRect(corner, FIELD))
