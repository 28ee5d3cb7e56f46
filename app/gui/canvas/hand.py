"""What a tool is that works on the picture itself, under mouse, pen and keys; the canvas hands everything on to it."""

from dataclasses import dataclass

from PySide6.QtCore import QObject, QPointF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPainter

from .viewport import Viewport

REACH = 9.0  # logical pixels around a handle
WAYS: dict[int, QPointF] = {
    Qt.Key.Key_Left: QPointF(-1, 0), Qt.Key.Key_Right: QPointF(1, 0),
    Qt.Key.Key_Up: QPointF(0, -1), Qt.Key.Key_Down: QPointF(0, 1),
}  # fmt: skip
RETURNS = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
REMOVES = (Qt.Key.Key_Delete, Qt.Key.Key_Backspace)
MODIFIERS = (Qt.Key.Key_Shift, Qt.Key.Key_Control, Qt.Key.Key_Alt, Qt.Key.Key_AltGr, Qt.Key.Key_Meta)


@dataclass(frozen=True)
class Touch:
    """Where a hand is, in pixels of the picture; `reach` is how far a handle takes hold, `pressure` 0 to 1."""

    at: QPointF
    reach: float = REACH
    shift: bool = False
    alt: bool = False  # or Ctrl: window managers of Linux take Alt and a click for themselves
    pressure: float = 1.0


class Hand(QObject):
    """Takes what is done on a canvas. `changed`: it is to be drawn again."""

    changed = Signal()

    def press(self, touch: Touch) -> None:
        raise NotImplementedError

    def move(self, touch: Touch) -> None:
        raise NotImplementedError

    def release(self) -> None:
        raise NotImplementedError

    def cancel(self) -> bool:
        """Escape: drop what is under way or held; whether there was something."""
        raise NotImplementedError

    def press_key(self, event: QKeyEvent) -> bool:
        """Whether the key was one for it."""
        raise NotImplementedError

    def release_key(self, event: QKeyEvent) -> None:
        """A key came up again."""

    def settle(self) -> None:
        """End what is under way, with what it has done so far."""

    def settle_before(self, event: QKeyEvent) -> None:
        """A key that isn't for it, as one of the menus, finds what keys do finished."""

    def draw(self, painter: QPainter, view: Viewport, hover: QPointF | None) -> None:
        """Over the picture, in widget pixels; `hover` is where the mouse is, None outside."""
        raise NotImplementedError

    def shape_at(self, touch: Touch) -> Qt.CursorShape:
        """What the mouse looks like there."""
        raise NotImplementedError

    def describe(self) -> str:
        """What keys do, for who does not see it."""
        raise NotImplementedError
