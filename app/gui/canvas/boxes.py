"""Boxes on the picture, each with words for what is to be there: drawn, moved and resized by mouse and keys."""

from typing import Any

from msgspec.structs import replace
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPainterPath

from ...board.regions import LEAST, Region
from ..kit.theme import theme
from . import layers
from .grips import CORNER, CURSORS, WHOLE, find_grip, list_handles, pull_box
from .hand import RETURNS, WAYS, Touch
from .holding import Holder, Pull
from .viewport import Viewport

STEP, STRIDE = 1 / 200, 1 / 20  # of the picture's longer side; the second with Shift
MIDDLE = Region(0.3, 0.3, 0.7, 0.7)
TINT = 40  # of 255: how much a box hides
WORDLESS = "Say what is here"
HELP = (
    "N takes hold of the next box. Arrows move it, with Alt its lower right corner, with Shift faster; Return writes "
    "its words, Delete removes it"
)


class BoxDrawer(Holder[Region]):
    """Boxes of a picture. `words_asked`: the one that is held is to be written into."""

    KIND = "Box"
    words_asked = Signal()
    _again = False  # the press was on the one that was held already

    def frame(self, one: Region) -> QRectF:
        """In pixels of the picture."""
        width, height = self.ground.width(), self.ground.height()
        corner = QPointF(one.left * width, one.top * height)
        return QRectF(corner, QPointF(one.right * width, one.bottom * height))

    def _fit(self, one: Region, box: QRectF, moves: bool = False) -> Region:
        """The box as shares, inside the picture: moved back where all of it `moves`, else cut off."""
        picture = QRectF(QPointF(), self.ground)
        if moves:
            box.moveLeft(min(max(0.0, box.left()), picture.width() - box.width()))
            box.moveTop(min(max(0.0, box.top()), picture.height() - box.height()))
        left, right = _fit_side(box.left() / picture.width(), box.right() / picture.width())
        top, bottom = _fit_side(box.top() / picture.height(), box.bottom() / picture.height())
        return Region(left, top, right, bottom, one.words)

    def set_words(self, words: str) -> None:
        """Of the one that is held."""
        if self.one:
            self.change(replace(self.one, words=words), "Write Box")

    # Mouse

    def grip_at(self, touch: Touch) -> Any:
        if self.one is None or touch.alt:  # which draws another one, also inside
            return None
        box = self.frame(self.one)
        grip = find_grip(box, touch.at, touch.reach, box)
        return None if grip == WHOLE and self.find_at(touch) != self.held else grip

    def find_at(self, touch: Touch) -> int:
        """The smallest, so that one inside another can be had."""
        under = [place for place, one in enumerate(self.items) if self.frame(one).contains(touch.at) and not touch.alt]
        return min(under, key=lambda place: _measure(self.frame(self.items[place])), default=-1)

    def begin(self, touch: Touch) -> Any:
        box = self._fit(MIDDLE, QRectF(touch.at, touch.at))
        self.items = (*self.items, box)
        self.held = len(self.items) - 1
        return CORNER

    def drag(self, one: Region, pull: Pull, touch: Touch) -> Region:
        if len(self.items) > len(pull.was):
            return self._fit(one, QRectF(pull.start, touch.at).normalized())
        return self._fit(one, pull_box(self.frame(one), pull.grip, touch.at - pull.start), pull.grip == WHOLE)

    def press(self, touch: Touch) -> None:
        self._again = self.one is not None and self.find_at(touch) == self.held
        super().press(touch)

    def release(self) -> None:
        """A press without a drag beside all draws nothing; on the one that is held already it writes into it."""
        pull = self._pull
        drawn = pull is not None and len(self.items) > len(pull.was)
        if pull and drawn and self.one == self._fit(MIDDLE, QRectF(pull.start, pull.start)):
            self.cancel()
            self.hold(-1)
            return
        super().release()
        if pull and (drawn or (self._again and pull.grip == WHOLE and self.items == pull.was)):
            self.words_asked.emit()

    def name_pull(self, grip: Any) -> str:
        return "Move Box" if grip == WHOLE else "Resize Box"

    def shape_at(self, touch: Touch) -> Qt.CursorShape:
        grip = self._pull.grip if self._pull else self.grip_at(touch)
        if grip is None:
            return Qt.CursorShape.PointingHandCursor if self.find_at(touch) >= 0 else Qt.CursorShape.CrossCursor
        return CURSORS[grip]

    # Keys

    def place(self) -> None:
        """A new one in the middle, to be written into."""
        self.add(MIDDLE)
        self.words_asked.emit()

    def press_held(self, event: QKeyEvent, shift: bool) -> bool:
        one = self.one
        if one is None:
            return False
        if event.key() in WAYS:
            grip = CORNER if event.modifiers() & Qt.KeyboardModifier.AltModifier else WHOLE
            longer = max(self.ground.width(), self.ground.height())
            by = WAYS[event.key()] * (STRIDE if shift else STEP) * longer
            self.change_by_key(self._fit(one, pull_box(self.frame(one), grip, by), grip == WHOLE), self.name_pull(grip))
        elif event.key() in RETURNS:
            self.settle()
            self.words_asked.emit()
        else:
            return False
        return True

    def describe(self) -> str:
        one = self.one
        if one is None:
            return f"{len(self.items)} boxes. Drag draws one, with Ctrl inside another too. {HELP}."
        place = f"{100 * one.left:.0f} % from the left, {100 * one.top:.0f} % from the top"
        size = f"{100 * (one.right - one.left):.0f} % wide, {100 * (one.bottom - one.top):.0f} % high"
        return f"Box {self.held + 1} of {len(self.items)}, {one.words or 'no words'}, {place}, {size}. {HELP}."

    # Drawing

    def draw(self, painter: QPainter, view: Viewport, hover: QPointF | None) -> None:
        for place, one in enumerate(self.items):
            box = self.frame(one)
            shown = QRectF(view.to_widget(box.topLeft()), view.to_widget(box.bottomRight()))
            tint = QColor(theme.colours.accent)
            tint.setAlpha(TINT if place == self.held else TINT // 3)
            painter.fillRect(shown, tint)
            path = QPainterPath()
            path.addRect(shown)
            layers.draw_outline(painter, path)
            self._draw_words(painter, one, shown)
            if place == self.held:
                layers.draw_handles(painter, list_handles(shown).values())

    def _draw_words(self, painter: QPainter, one: Region, shown: QRectF) -> None:
        words, room = one.words or WORDLESS, round(shown.width()) - 28
        elided = painter.fontMetrics().elidedText(words, Qt.TextElideMode.ElideRight, max(40, room))
        layers.draw_tag(painter, elided, shown.topLeft() + QPointF(6, 6))


def _measure(box: QRectF) -> float:
    return box.width() * box.height()


def _fit_side(low: float, high: float) -> tuple[float, float]:
    """A side from 0 to 1, no shorter than LEAST."""
    low, high = min(max(0.0, low), 1.0), min(max(0.0, high), 1.0)
    if high - low < LEAST:
        low = min(low, 1.0 - LEAST)
        high = low + LEAST
    return low, high
