"""Where a placed picture lies on the ground, and what a hand can take hold of: corners, the knob that turns, all of it.

Points and lengths are pixels of the ground.
"""

import math
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace
from PySide6.QtCore import QPointF, QRectF, QSizeF
from PySide6.QtGui import QTransform

from ...board.picture import Placed
from ...board.rules import FAR, WIDE

Grip = Literal["move", "turn", "upper left", "upper right", "lower right", "lower left"]
CORNERS: dict[Grip, tuple[int, int]] = {
    "upper left": (-1, -1), "upper right": (1, -1), "lower right": (1, 1), "lower left": (-1, 1),
}  # fmt: skip
KNOB = 3.0  # how far the knob stands off, in widths of a handle
LEAST = 4.0  # pixels of width
SNAP = 15.0  # degrees


@dataclass(frozen=True)
class Frame:
    """The rectangle of a placed picture, `angle` in degrees clockwise."""

    middle: QPointF
    width: float
    height: float
    angle: float

    @classmethod
    def of(cls, one: Placed, ground: QSizeF) -> "Frame":
        width = one.width * ground.width()
        height = width * one.picture.height / max(1, one.picture.width)
        return cls(QPointF(one.x * ground.width(), one.y * ground.height()), width, height, one.angle)

    def transform(self) -> QTransform:
        """From a frame that lies straight around (0, 0) to the ground."""
        return QTransform.fromTranslate(self.middle.x(), self.middle.y()).rotate(self.angle)

    def corner(self, grip: Grip) -> QPointF:
        across, down = CORNERS[grip]
        return self.transform().map(QPointF(across * self.width / 2, down * self.height / 2))

    def outline(self) -> list[QPointF]:
        """Its corners, from the upper left one on clockwise."""
        return [self.corner(grip) for grip in CORNERS]

    def knob(self, reach: float) -> QPointF:
        """The handle that turns: over the middle of the upper edge."""
        return self.transform().map(QPointF(0, -self.height / 2 - KNOB * reach))

    def grip_at(self, point: QPointF, reach: float) -> Grip | None:
        """What is taken hold of there; `reach` is how far a handle does."""
        spots: dict[Grip, QPointF] = {"turn": self.knob(reach), **{grip: self.corner(grip) for grip in CORNERS}}
        nearest = min(spots, key=lambda grip: math.hypot(*(spots[grip] - point).toTuple()))
        if math.hypot(*(spots[nearest] - point).toTuple()) <= reach:
            return nearest
        return "move" if self.holds(point) else None

    def holds(self, point: QPointF) -> bool:
        back, _ = self.transform().inverted()
        at = back.map(point)
        return abs(at.x()) <= self.width / 2 and abs(at.y()) <= self.height / 2


@dataclass(frozen=True)
class Pull:
    """What a drag from `start` makes of a placed picture that was `was`."""

    was: Placed
    ground: QSizeF
    grip: Grip
    start: QPointF

    def drag(self, at: QPointF, plain: bool = True) -> Placed:
        """`plain` False: turns go by SNAP, and the middle stays where it is while a corner is pulled."""
        if self.grip == "move":
            by = at - self.start
            return move(self.was, by.x() / self.ground.width(), by.y() / self.ground.height())
        frame = Frame.of(self.was, self.ground)
        if self.grip == "turn":
            away = at - frame.middle
            angle = math.degrees(math.atan2(away.x(), -away.y()))
            return turn(self.was, (angle if plain else SNAP * round(angle / SNAP)) - self.was.angle)
        return self._scale(frame, at, plain)

    def _scale(self, frame: Frame, at: QPointF, from_corner: bool) -> Placed:
        """In its own shape: as far as the hand went along the diagonal."""
        held = frame.corner(self.grip)
        fixed = frame.middle + frame.middle - held if from_corner else frame.middle
        diagonal = held - fixed
        square = QPointF.dotProduct(diagonal, diagonal)
        along = QPointF.dotProduct(at - self.start + diagonal, diagonal) / max(1e-9, square)
        low, high = LEAST / max(LEAST, frame.width), WIDE / self.was.width
        factor = min(max(along, low), high)
        away = frame.middle - fixed
        x = (fixed.x() + away.x() * factor) / self.ground.width()
        y = (fixed.y() + away.y() * factor) / self.ground.height()
        return replace(self.was, x=_clamp(x), y=_clamp(y), width=self.was.width * factor)


def move(one: Placed, across: float, down: float) -> Placed:
    """By shares of the ground."""
    return replace(one, x=_clamp(one.x + across), y=_clamp(one.y + down))


def keep_part(one: Placed, ground: QSizeF, part: QRectF) -> Placed:
    """How a part of it, in shares of it, lies where it did."""
    where = Frame.of(one, ground)
    across, down = (part.center().x() - 0.5) * where.width, (part.center().y() - 0.5) * where.height
    middle = where.transform().map(QPointF(-across if one.flipped else across, down))
    x, y = _clamp(middle.x() / ground.width()), _clamp(middle.y() / ground.height())
    return replace(one, x=x, y=y, width=one.width * part.width())


def turn(one: Placed, by: float) -> Placed:
    """By degrees, clockwise; the angle stays within half a turn either way."""
    return replace(one, angle=(one.angle + by + 180.0) % 360.0 - 180.0)


def resize(one: Placed, factor: float) -> Placed:
    """Around its middle."""
    return replace(one, width=min(WIDE, max(0.002, one.width * factor)))


def _clamp(share: float) -> float:
    return min(max(share, -FAR), FAR)
