"""A rectangle or ellipse on the mask while it can still be moved and resized: its box, handles, what lies under it."""

from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import numpy as np
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QPainterPath

from . import mask as masks

Kind = Literal["rectangle", "ellipse"]
Grip = tuple[int, int]  # the borders held: across -1 left, 1 right; down -1 top, 1 bottom; (0, 0) holds all of it
WHOLE: Grip = (0, 0)
CORNER: Grip = (1, 1)  # the lower right one, which a new shape is drawn by
PAINT = {"rectangle": masks.paint_rectangle, "ellipse": masks.paint_ellipse}
NAMES = {"rectangle": "Mask a rectangle", "ellipse": "Mask an ellipse"}


@dataclass(frozen=True, eq=False)
class Shape:
    """`box` is in pixels of the mask, `under` the mask (H, W) without it; `erase`: it takes away."""

    kind: Kind
    under: np.ndarray
    box: QRectF
    erase: bool

    @property
    def is_empty(self) -> bool:
        return self.box.width() < 1 or self.box.height() < 1

    def handles(self) -> dict[Grip, QPointF]:
        """The points that borders and corners are pulled at, in pixels of the mask."""
        middle, across, down = self.box.center(), self.box.width() / 2, self.box.height() / 2
        return {
            (x, y): middle + QPointF(x * across, y * down) for x, y in product((-1, 0, 1), repeat=2) if (x, y) != WHOLE
        }

    def grip_at(self, point: QPointF, reach: float) -> Grip | None:
        """What is taken hold of there: a handle at most `reach` pixels away, inside the whole, None elsewhere."""
        away = {grip: (at - point).manhattanLength() for grip, at in self.handles().items()}
        nearest = min(away, key=away.__getitem__)
        if away[nearest] <= reach:
            return nearest
        return WHOLE if self.path().contains(point) else None

    def pull(self, grip: Grip, by: QPointF) -> "Shape":
        """It with what is held moved; borders may pass each other."""
        if grip == WHOLE:
            return replace(self, box=self.box.translated(by))
        across, down = grip
        left, right = by.x() * (across == -1), by.x() * (across == 1)
        top, bottom = by.y() * (down == -1), by.y() * (down == 1)
        return replace(self, box=self.box.adjusted(left, top, right, bottom).normalized())

    def path(self) -> QPainterPath:
        """Its outline, in pixels of the mask."""
        path = QPainterPath()
        if self.kind == "ellipse":
            path.addEllipse(self.box)
        else:
            path.addRect(self.box)
        return path

    def paint(self, soft: float = 0.0) -> np.ndarray:
        """The mask with it; its border fades over `soft` pixels."""
        corner, opposite = self.box.topLeft().toTuple(), self.box.bottomRight().toTuple()
        return PAINT[self.kind](self.under, corner, opposite, self.erase, soft)
