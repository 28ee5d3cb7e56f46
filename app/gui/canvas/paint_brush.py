"""A rough brush in colour, and its eraser: what they do to a clear sheet on the picture, or to what is placed there."""

from collections.abc import Callable

from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtGui import QColor, QImage, QKeyEvent, QPainter, QPen

from . import layers
from .arranging import Arranger
from .hand import RETURNS, WAYS, Hand, Touch
from .mask_painter import LEAST_PRESSURE
from .viewport import Viewport

STEP, STRIDE = 4, 40  # logical pixels; the second with Shift
GROWTH = 1.15
MOVES = "Arrows move it, with Shift faster. Return puts it down and lifts it. [ and ] change its size."
HELP = f"{MOVES} E erases. With Ctrl a click takes the colour of the picture, I does where the brush is."
Sheet = tuple[int, QImage]  # which of the placed pictures it is, and what is painted on it so far


class PaintBrush(Hand):
    """Paints through `arranger`, which shows it. `committed` comes after each stroke: one step to undo."""

    committed = Signal(str)
    resized = Signal()
    dressed = Signal()  # another colour, or the eraser
    pick_asked = Signal(QPointF)  # the colour that is seen at a point of the picture
    left = Signal()  # by key: no more of the placed picture is to be erased

    def __init__(self, arranger: Arranger, move_point: Callable[[QPointF], QPointF]):
        """`move_point` moves the point that keys lead by logical pixels; where it is in the picture then."""
        super().__init__()
        self.arranger, self._move_point = arranger, move_point
        self.open_sheet: Callable[[bool], Sheet | None] = lambda erase: None
        self.colour, self.radius, self.erasing = QColor("#d94f30"), 8.0, False
        self.rubbing = False  # it erases the placed picture that is held, and paints nothing
        self._before: Sheet | None = None  # while a stroke is under way
        self._last, self._down = QPointF(), False

    @property
    def busy(self) -> bool:
        return self._before is not None

    def set_colour(self, colour: QColor) -> None:
        """Paint with it from now on."""
        self.colour, self.erasing = QColor(colour), False
        self.dressed.emit()
        self.changed.emit()

    def set_erasing(self, on: bool) -> None:
        self.erasing = on
        self.dressed.emit()
        self.changed.emit()

    def press(self, touch: Touch) -> None:
        if touch.alt and not self.rubbing:
            self.pick_asked.emit(touch.at)
            return
        sheet = self.open_sheet(self.erasing)
        if sheet is None:
            return
        self._before = (sheet[0], sheet[1].copy())
        self.arranger.sketch_at, self.arranger.sketch = sheet
        self._last = touch.at
        self._draw_to(touch)

    def move(self, touch: Touch) -> None:
        if self.busy:
            self._draw_to(touch)

    def release(self) -> None:
        self._down = False
        if self.busy:
            self._before = None
            self.committed.emit("Erase Part of Picture" if self.rubbing else "Erase Paint" if self.erasing else "Paint")

    def cancel(self) -> bool:
        before, self._before, self._down = self._before, None, False
        if before:
            self.arranger.sketch_at, self.arranger.sketch = before
            self.changed.emit()
        return before is not None

    def settle(self) -> None:
        if self._down:
            self.release()

    def _draw_to(self, touch: Touch) -> None:
        """On from the last point, as wide as the pressure says."""
        way, scale = self.arranger.find_way_in()
        painter = QPainter(self.arranger.sketch)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.erasing or self.rubbing:
            painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_DestinationOut)
        width = 2 * self.radius * scale * (LEAST_PRESSURE + (1 - LEAST_PRESSURE) * touch.pressure)
        pen = QPen(self.colour, max(1.0, width), Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        if self._last == touch.at:
            painter.drawPoint(way.map(touch.at))
        else:
            painter.drawLine(way.map(self._last), way.map(touch.at))
        painter.end()
        self._last = touch.at
        self.changed.emit()

    def shape_at(self, touch: Touch) -> Qt.CursorShape:
        return Qt.CursorShape.CrossCursor if touch.alt and not self.rubbing else Qt.CursorShape.BlankCursor

    # Keys

    def press_key(self, event: QKeyEvent) -> bool:
        key, text = event.key(), event.text().lower()
        if event.modifiers() & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier):
            return False
        if key in WAYS:
            far = STRIDE if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else STEP
            self.move(Touch(self._move_point(WAYS[key] * far)))
        elif key in RETURNS:
            if not event.isAutoRepeat():
                self._switch()
        elif text in ("[", "]"):
            self.resize(GROWTH if text == "]" else 1 / GROWTH)
        elif text == "e" and self.rubbing:
            self.left.emit()
        elif text == "e":
            self.set_erasing(not self.erasing)
        elif text == "i" and not self.rubbing:
            self.pick_asked.emit(self._move_point(QPointF()))
        else:
            return False
        self.changed.emit()
        return True

    def _switch(self) -> None:
        """Put the brush down, or lift it."""
        if self._down:
            self.release()
            return
        self.press(Touch(self._move_point(QPointF())))
        self._down = self.busy

    def resize(self, factor: float) -> None:
        """Within what makes sense on the picture."""
        longer = max(self.arranger.ground.width(), self.arranger.ground.height())
        self.radius = min(longer / 2, max(0.5, self.radius * factor))
        self.resized.emit()
        self.changed.emit()

    def describe(self) -> str:
        down, one = "Down. " if self._down else "", self.arranger.one
        if self.rubbing:
            return f"{down}Erases {(one and one.picture.name) or 'the placed picture'}. {MOVES} E goes back."
        state = "Erases." if self.erasing else f"Paints with {self.colour.name()}."
        return f"{down}{state} {HELP}"

    def draw(self, painter: QPainter, view: Viewport, hover: QPointF | None) -> None:
        """A ring as large as the brush, and the frame of what it erases."""
        if self.rubbing and self.arranger.one:
            self.arranger.draw_frame(painter, view)
        if hover is not None:
            layers.draw_outline(painter, layers.circle(hover, max(1.5, self.radius * view.scale)))
