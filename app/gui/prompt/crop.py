"""Which part of a reference the model looks at: a frame on the picture, by mouse and keys. The picture stays whole."""

from itertools import product

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPainterPath, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QDialog, QWidget

from mlx_model.request import LEAST_CROP

from ...board.data import Picture
from ...board.picture import Crop
from ..kit.dialog import Buttons, fill_dialog
from ..kit.placing import size_window
from ..kit.theme import theme
from ..kit.widgets import button, describe, label, row

Grip = tuple[int, int]  # the borders held: -1 left or top, 1 right or bottom; (0, 0) holds all of it
Held = tuple[Grip | None, QPointF, QRectF]  # None: a new frame is drawn; where it began; the frame as it was
WHOLE: Grip = (0, 0)
HANDLE, REACH, MARGIN = 10, 12, 14  # logical pixels
STEPS = 100  # of the longer side: what an arrow moves by; with Shift a tenth of it is ten times that
WAYS: dict[int, QPointF] = {
    Qt.Key.Key_Left: QPointF(-1, 0), Qt.Key.Key_Right: QPointF(1, 0),
    Qt.Key.Key_Up: QPointF(0, -1), Qt.Key.Key_Down: QPointF(0, 1),
}  # fmt: skip
HELP = "Arrows move the frame, with Alt or Ctrl its lower right corner, with Shift faster."
SHAPES = Qt.CursorShape
DIAGONALS = {1: SHAPES.SizeFDiagCursor, -1: SHAPES.SizeBDiagCursor}


class CropField(QWidget):
    """The picture with the frame; `box` is in its pixels, always inside it and never below the least size."""

    changed = Signal()

    def __init__(self, pixmap: QPixmap, picture: Picture, box: QRectF):
        super().__init__()
        self.pixmap, self.whole = pixmap, QRectF(0, 0, picture.width, picture.height)
        self.least = min(LEAST_CROP, picture.width, picture.height)
        self.box = box
        self._held: Held | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(QSize(320, 240))
        self._describe()

    @property
    def crop(self) -> Crop:
        """In whole pixels."""
        edges = self.box.left(), self.box.top(), self.box.right(), self.box.bottom()
        return Crop(*(round(edge) for edge in edges))

    def set_box(self, box: QRectF) -> None:
        if box != self.box:
            self.box = box
            self._describe()
            self.changed.emit()
            self.update()

    def _describe(self) -> None:
        crop = self.crop
        across, down = crop.size
        describe(self, "Part of the picture", f"{across} × {down} pixels, from {crop.left}, {crop.top}. {HELP}")

    def move_by(self, by: QPointF) -> None:
        """The frame as it is, as far as the picture goes."""
        box, whole = self.box, self.whole
        x = min(max(box.x() + by.x(), 0.0), whole.width() - box.width())
        y = min(max(box.y() + by.y(), 0.0), whole.height() - box.height())
        self.set_box(QRectF(x, y, box.width(), box.height()))

    def pull(self, was: QRectF, grip: Grip, by: QPointF) -> None:
        """The borders that are held, as far as the picture goes and the least size lets them."""
        box = QRectF(was)
        if grip[0] < 0:
            box.setLeft(min(max(was.left() + by.x(), 0.0), was.right() - self.least))
        if grip[0] > 0:
            box.setRight(max(min(was.right() + by.x(), self.whole.right()), was.left() + self.least))
        if grip[1] < 0:
            box.setTop(min(max(was.top() + by.y(), 0.0), was.bottom() - self.least))
        if grip[1] > 0:
            box.setBottom(max(min(was.bottom() + by.y(), self.whole.bottom()), was.top() + self.least))
        self.set_box(box)

    # Where it is in the widget

    def _scale(self) -> float:
        room = self.rect().adjusted(MARGIN, MARGIN, -MARGIN, -MARGIN)
        return max(1e-6, min(room.width() / self.whole.width(), room.height() / self.whole.height()))

    def _to_widget(self, point: QPointF) -> QPointF:
        return QPointF(self.rect().center()) + (point - self.whole.center()) * self._scale()

    def _place(self, box: QRectF) -> QRectF:
        return QRectF(self._to_widget(box.topLeft()), self._to_widget(box.bottomRight()))

    def _handles(self) -> dict[Grip, QPointF]:
        box = self._place(self.box)
        across, down = box.width() / 2, box.height() / 2
        every = product((-1, 0, 1), repeat=2)
        return {(x, y): box.center() + QPointF(x * across, y * down) for x, y in every if (x, y) != WHOLE}

    def grip_at(self, at: QPointF) -> Grip | None:
        """What a press there would take hold of: a border anywhere along it, a frame inside; None: it draws anew."""
        box = self._place(self.box)
        if not box.adjusted(-REACH, -REACH, REACH, REACH).contains(at):
            return None
        grip = _find_side(at.x(), box.left(), box.right()), _find_side(at.y(), box.top(), box.bottom())
        return None if grip == WHOLE and self.box == self.whole else grip

    def draw(self, was: QRectF, start: QPointF, end: QPointF) -> None:
        """A new frame between two points of the widget, as far as the picture goes; a mere click draws none."""
        if (end - start).manhattanLength() <= REACH:
            self.set_box(was)
            return
        first, last = self._to_picture(start), self._to_picture(end)
        sides = (
            _span(a, b, self.least, length)
            for a, b, length in zip(first.toTuple(), last.toTuple(), self.whole.size().toTuple(), strict=True)
        )
        (left, right), (top, bottom) = sides
        self.set_box(QRectF(left, top, right - left, bottom - top))

    def _to_picture(self, at: QPointF) -> QPointF:
        """The nearest point of the picture."""
        point = (at - QPointF(self.rect().center())) / self._scale() + self.whole.center()
        return QPointF(min(max(point.x(), 0.0), self.whole.width()), min(max(point.y(), 0.0), self.whole.height()))

    # Hands

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._held = self.grip_at(event.position()), event.position(), QRectF(self.box)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._held is None:
            self._show_cursor(event.position())
            return
        grip, start, was = self._held
        by = (event.position() - start) / self._scale()
        if grip is None:
            self.draw(was, start, event.position())
        elif grip == WHOLE:
            self.move_by(was.topLeft() + by - self.box.topLeft())
        else:
            self.pull(was, grip, by)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._held = None

    def _show_cursor(self, at: QPointF) -> None:
        grip = self.grip_at(at)
        if grip is None or grip == WHOLE:
            shape = SHAPES.CrossCursor if grip is None else SHAPES.SizeAllCursor
        elif 0 in grip:
            shape = SHAPES.SizeVerCursor if grip[0] == 0 else SHAPES.SizeHorCursor
        else:
            shape = DIAGONALS[grip[0] * grip[1]]
        self.setCursor(shape)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() not in WAYS:
            super().keyPressEvent(event)
            return
        keys = Qt.KeyboardModifier
        step = max(1.0, max(self.whole.width(), self.whole.height()) / STEPS)
        by = WAYS[event.key()] * (step * (10 if event.modifiers() & keys.ShiftModifier else 1))
        if event.modifiers() & (keys.AltModifier | keys.ControlModifier):
            self.pull(self.box, (1, 1), by)
        else:
            self.move_by(by)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.fillRect(self.rect(), QColor(theme.colours.canvas))
        whole, box = self._place(self.whole), self._place(self.box)
        painter.drawPixmap(whole, self.pixmap, QRectF(self.pixmap.rect()))
        outside = QPainterPath()
        outside.addRect(whole)
        outside.addRect(box)
        painter.fillPath(outside, QColor(0, 0, 0, 150))
        painter.setPen(QPen(Qt.GlobalColor.white, 1.5))
        painter.drawRect(box)
        painter.setBrush(Qt.GlobalColor.white)
        painter.setPen(QPen(QColor(0, 0, 0, 200), 1))
        for at in self._handles().values():
            painter.drawRect(QRectF(at.x() - HANDLE / 2, at.y() - HANDLE / 2, HANDLE, HANDLE))
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QColor(theme.colours.accent))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))


def _find_side(at: float, low: float, high: float) -> int:
    """-1 or 1 for the nearer of two borders, where it is within reach; else 0."""
    if min(abs(at - low), abs(at - high)) > REACH:
        return 0
    return -1 if abs(at - low) < abs(at - high) else 1


def _span(start: float, end: float, least: float, length: float) -> tuple[float, float]:
    """From the lower to the higher one, at least so long, within 0 to `length`."""
    low, high = min(start, end), max(start, end)
    if high - low < least:
        low, high = (start, start + least) if end >= start else (start - least, start)
    low = min(max(0.0, low), length - least)
    return low, min(max(high, low + least), length)


class CropDialog(QDialog):
    """Asks for the part; `chosen` is it, None for the whole picture."""

    def __init__(self, pixmap: QPixmap, picture: Picture, crop: Crop | None, parent: QWidget):
        super().__init__(parent)
        self.setWindowTitle("Crop Reference")
        box = QRectF(crop.left, crop.top, *crop.size) if crop else QRectF(0, 0, picture.width, picture.height)
        self.field = CropField(pixmap, picture, box)
        self.size_words = label(tone="muted")
        column, foot = fill_dialog(self), Buttons(self, "Crop")
        column.addWidget(self.field, 1)
        words = "Drag over the part that the model is to look at, or pull a border. The picture itself stays whole."
        column.addWidget(label(words, "muted"))
        whole = button("Whole Picture", lambda: self.field.set_box(QRectF(self.field.whole)))
        column.addLayout(row(whole, self.size_words, None, foot))
        self.field.changed.connect(self._show_size)
        self._show_size()
        size_window(self, 720, 620)
        self.field.setFocus()

    @property
    def chosen(self) -> Crop | None:
        crop = self.field.crop
        whole = (round(self.field.whole.width()), round(self.field.whole.height()))
        return None if crop.size == whole else crop

    def _show_size(self) -> None:
        across, down = self.field.crop.size
        self.size_words.setText(f"{across} × {down} pixels")


def cut(pixmap: QPixmap, crop: Crop, picture: Picture) -> QPixmap:
    """The part of a picture, of which `pixmap` may be a smaller copy."""
    across, down = pixmap.width() / picture.width, pixmap.height() / picture.height
    width, height = crop.size
    return pixmap.copy(round(crop.left * across), round(crop.top * down), round(width * across), round(height * down))
