"""The mask by keys: arrows move the point of the tool, Return presses there and lifts, as a mouse would."""

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QKeyEvent

from .area import NOWHERE, PictureArea
from .grips import CORNER, WHOLE
from .hand import MODIFIERS, RETURNS, WAYS

STEP, STRIDE = 4, 40  # logical pixels; the second with Shift
MINE = (*WAYS, *RETURNS, *MODIFIERS, Qt.Key.Key_Escape, Qt.Key.Key_BracketLeft, Qt.Key.Key_BracketRight)
POINT = "Arrows move the point, with Shift faster."
HINTS = {
    "brush": "Return puts the brush down and lifts it, [ and ] change its size",
    "rectangle": "Return sets a corner, and then the opposite one",
    "ellipse": "Return sets a corner of its frame, and then the opposite one",
    "lasso": "Return begins the line, and closes it",
}
SHAPE = "Arrows move the shape, with Alt its lower right corner, with Shift faster. Return lets go of it."


class MaskKeys:
    """What keys do on an area whose mask is painted."""

    def __init__(self, area: PictureArea):
        self.area, self.painter = area, area.painter
        self._down = False  # Return has pressed
        self._nudge: QPointF | None = None  # how far arrows have moved the shape, in logical pixels
        self._grip = WHOLE

    def press(self, event: QKeyEvent) -> bool:
        """Whether the key was one for the mask."""
        key, modifiers = event.key(), event.modifiers()
        if not self.painter.busy:  # another mask came, or another tool, and took away what was begun
            self._down, self._nudge = False, None
        if not self.area.paintable or modifiers & Qt.KeyboardModifier.ControlModifier:
            return False
        if key in WAYS:
            far = STRIDE if modifiers & Qt.KeyboardModifier.ShiftModifier else STEP
            self._move(WAYS[key] * far, bool(modifiers & Qt.KeyboardModifier.AltModifier))
        elif key in RETURNS:
            if not event.isAutoRepeat():
                self._switch(bool(modifiers & Qt.KeyboardModifier.AltModifier))
        elif key == Qt.Key.Key_Escape and self.painter.busy:
            self._down, self._nudge = False, None
            self.painter.cancel()
        elif key == Qt.Key.Key_Escape and self.painter.shape:
            self.painter.let_go()
        else:
            return False
        self.area.update()
        return True

    def release(self, event: QKeyEvent) -> None:
        """An arrow held is one change of the mask."""
        if self._nudge is not None and event.key() in WAYS and not event.isAutoRepeat():
            self.settle()

    def settle(self) -> None:
        """End what is under way, with what it has done so far."""
        if self._down or self._nudge is not None:
            self._down, self._nudge = False, None
            self.painter.finish()

    def settle_before(self, event: QKeyEvent) -> None:
        """A key that isn't for the mask, as one of the menus, finds it finished."""
        if event.key() not in MINE or event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.settle()

    def describe(self) -> str:
        """What the keys do now, and where the point is, for who does not see it."""
        if self.painter.shape and not self._down:
            return SHAPE
        state = "Down." if self._down else ""
        return f"{POINT} {HINTS[self.painter.tool]}; with Alt it takes away. {state} {self._place()}".strip()

    def _place(self) -> str:
        at, picture = self.area.view.to_picture(self.area.hover), self.area.view.picture
        if self.area.hover == NOWHERE:
            return ""
        across, down = 100 * at.x() / picture.width(), 100 * at.y() / picture.height()
        return f"At {across:.0f} % from the left, {down:.0f} % from the top."

    def _move(self, by: QPointF, corner: bool) -> None:
        if not self._down and self.painter.shape:
            self._move_shape(by, corner)
            return
        move_point(self.area, by)
        if self._down:
            self.painter.move(self._point())

    def _move_shape(self, by: QPointF, corner: bool) -> None:
        grip = CORNER if corner else WHOLE
        if self._nudge is None or grip != self._grip:
            self.settle()
            self._nudge, self._grip = QPointF(), grip
            self.painter.hold(grip, QPointF())
        self._nudge += by
        self.painter.move(self._nudge / self.area.view.scale)

    def _switch(self, erase: bool) -> None:
        """Press, or lift; let go of a shape."""
        if self._down or self.painter.shape:
            self.settle() if self._down else self.painter.let_go()
            return
        move_point(self.area, QPointF())
        self._down = True
        self.painter.begin(self._point(), 1.0, erase)

    def _point(self) -> QPointF:
        return self.area.view.to_picture(self.area.hover)


def move_point(area: PictureArea, by: QPointF) -> None:
    """The point that keys lead, by logical pixels: the picture follows where it would leave what can be seen of it."""
    at = (area.rect().toRectF().center() if area.hover == NOWHERE else area.hover) + by
    picture = area.view.rect()
    at = QPointF(_clamp(at.x(), picture.left(), picture.right()), _clamp(at.y(), picture.top(), picture.bottom()))
    seen = QPointF(_clamp(at.x(), 0, area.width()), _clamp(at.y(), 0, area.height()))
    if seen != at:
        area.view.pan(seen - at)
    area.hover, area.by_keys = seen, True


def _clamp(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
