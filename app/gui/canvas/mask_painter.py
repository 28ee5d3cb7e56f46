"""Painting the mask: what brush, rectangle, ellipse and lasso do between press and release, and how it is shown.

The rectangle or ellipse that was drawn last can be taken hold of: pressed inside it moves, at a handle it is resized.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PySide6.QtCore import QLineF, QObject, QPointF, QRect, QRectF, Signal
from PySide6.QtGui import QColor, QImage, QPainterPath, QTransform

from . import mask as masks
from .grips import CORNER, WHOLE, Grip, find_grip, list_handles, pull_box

Tool = Literal["brush", "rectangle", "ellipse", "lasso"]
TINT = QColor("#FF3B6B")
OPACITY = 0.5
LEAST_PRESSURE = 0.1  # of the brush's size, so that a light touch still marks something
Kind = Literal["rectangle", "ellipse"]
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
        return list_handles(self.box)

    def grip_at(self, point: QPointF, reach: float) -> Grip | None:
        """What is taken hold of there; `reach` is how far a handle does, in pixels of the mask."""
        return find_grip(self.box, point, reach, self.path())

    def pull(self, grip: Grip, by: QPointF) -> "Shape":
        """It with what is held moved."""
        return replace(self, box=pull_box(self.box, grip, by))

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


@dataclass
class Pull:
    """A shape that is drawn, moved or resized: as it was, what is held, from where in the mask, and as it is now."""

    was: Shape
    grip: Grip
    start: QPointF
    now: Shape
    name: str  # for the undo list


class MaskPainter(QObject):
    """Holds the mask of one picture. `committed` tells the mask after each gesture or command: one step to undo."""

    changed = Signal(QRect)  # picture pixels to draw again; empty: everything
    committed = Signal(str)  # what was done, for the undo list

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self.tool: Tool = "brush"
        self.erasing, self.radius, self.edge, self.tint = False, 24.0, 0.3, QColor(TINT)
        self._gesture: masks.Stroke | Pull | list[masks.Point] | None = None
        self._drawn: Shape | None = None
        self._last, self._erase, self._scale = (0.0, 0.0), False, 1.0
        self._pixels = np.zeros((0, 0), np.uint32)
        self._border: tuple[np.ndarray, list[QLineF]] | None = None  # of which mask
        self.load(masks.blank((1, 1)))

    @property
    def mask(self) -> np.ndarray:
        """(H, W) uint8, 255 = repaint; smaller than a very large picture."""
        return self._mask

    @property
    def busy(self) -> bool:
        """A gesture is under way."""
        return self._gesture is not None

    @property
    def is_blank(self) -> bool:
        return not self._mask.any()

    @property
    def shape(self) -> Shape | None:
        """What can still be moved and resized: the last rectangle or ellipse, with its tool chosen."""
        shape = self._gesture.now if isinstance(self._gesture, Pull) else self._drawn
        return shape if shape and shape.kind == self.tool else None

    def load(self, mask: np.ndarray, scale: float = 1.0) -> None:
        """Show another mask; a gesture under way is dropped. `scale`: pixels of the mask to one of the picture."""
        self._mask, self._gesture, self._drawn, self._scale = mask, None, None, scale
        self._tint_all()

    def border(self) -> list[QLineF]:
        """Around what is marked, in shares of the picture."""
        if self._border is None or self._border[0] is not self._mask:
            self._border = self._mask, [QLineF(*line) for line in masks.trace_border(self._mask)]
        return self._border[1]

    def let_go(self) -> None:
        """The last shape stays as it is; presses inside it draw again."""
        self._drawn = None
        self.changed.emit(QRect())

    def set_tint(self, colour: QColor) -> None:
        self.tint = QColor(colour)
        self._tint_all()

    def grip_at(self, point: QPointF, reach: float) -> Grip | None:
        """What a press at a picture point would take hold of; `reach` is how far a handle does, in picture pixels."""
        return self.shape.grip_at(point * self._scale, reach * self._scale) if self.shape else None

    def begin(self, point: QPointF, pressure: float = 1.0, erase: bool = False, reach: float = 0.0) -> None:
        """Press at a picture point; `erase` turns the tool round for this gesture."""
        grip = None if erase else self.grip_at(point, reach)
        if grip is not None:
            self.hold(grip, point)
            return
        self._last, self._erase, self._drawn = self._find(point), erase or self.erasing, None
        if self.tool == "brush":
            stroke = self._gesture = masks.Stroke(self._mask, self._erase, self.edge)
            self._stroke_to(stroke, self._last, pressure)
        elif self.tool == "lasso":
            self._gesture = [self._last, self._last]
        else:
            at = point * self._scale
            shape = Shape(self.tool, self._mask, QRectF(at, at), self._erase)
            self._gesture = Pull(shape, CORNER, at, shape, NAMES[self.tool])

    def hold(self, grip: Grip, point: QPointF) -> None:
        """Take hold of the shape there is at a picture point."""
        if self.shape:
            name = "Move mask" if grip == WHOLE else "Resize mask"
            self._gesture = Pull(self.shape, grip, point * self._scale, self.shape, name)

    def move(self, point: QPointF, pressure: float = 1.0) -> None:
        """Drag to a picture point."""
        at = self._find(point)
        if isinstance(self._gesture, masks.Stroke):
            self._stroke_to(self._gesture, at, pressure)
        elif isinstance(self._gesture, Pull):
            self._pull_to(self._gesture, point * self._scale)
        elif self._gesture is not None:
            self._gesture = [*self._gesture, at]
            self.changed.emit(QRect())

    def finish(self) -> None:
        """Release: the gesture becomes part of the mask."""
        gesture, self._gesture = self._gesture, None
        soft = self.edge * self.radius * self._scale  # as far as the brush fades
        if isinstance(gesture, masks.Stroke):
            self._mask, before = gesture.result, self._mask
            if not np.array_equal(self._mask, before):  # its tint is there already
                self.committed.emit("Erase mask" if self._erase else "Paint mask")
        elif isinstance(gesture, Pull):
            shape = None if gesture.now.is_empty else gesture.now
            self._commit(shape.paint(soft) if shape else gesture.now.under, gesture.name)
            self._drawn = shape
        elif gesture:
            self._commit(masks.paint_polygon(self._mask, gesture, self._erase, soft), "Mask a region")

    def cancel(self) -> None:
        """Drop the gesture under way."""
        self.load(self._mask, self._scale)

    def invert(self) -> None:
        self._commit(255 - self._mask, "Invert mask")

    def clear(self) -> None:
        self._commit(np.zeros_like(self._mask), "Clear mask")

    def fill(self) -> None:
        self._commit(np.full_like(self._mask, 255), "Mask everything")

    def feather(self) -> None:
        """Soften all borders by 1 % of the shorter side, at least 2 pixels."""
        self._commit(masks.feather(self._mask, max(2.0, min(self._mask.shape) / 100)), "Feather mask")

    def outline(self) -> QPainterPath:
        """The shape or lasso being drawn, the shape that can be changed, in picture pixels."""
        path = self.shape.path() if self.shape else QPainterPath()
        if isinstance(self._gesture, list):
            path.moveTo(*self._gesture[0])
            for point in self._gesture[1:]:
                path.lineTo(*point)
        return QTransform.fromScale(1 / self._scale, 1 / self._scale).map(path)

    def handles(self) -> list[QPointF]:
        """Where the shape can be pulled, in picture pixels."""
        return [at / self._scale for at in self.shape.handles().values()] if self.shape else []

    def overlay(self) -> QImage:
        """The mask as tint, premultiplied. Valid until the next change."""
        return self._image

    def _find(self, point: QPointF) -> masks.Point:
        """A point of the picture in the mask."""
        return point.x() * self._scale, point.y() * self._scale

    def _stroke_to(self, stroke: masks.Stroke, at: masks.Point, pressure: float) -> None:
        radius = self.radius * self._scale * (LEAST_PRESSURE + (1 - LEAST_PRESSURE) * pressure)
        box = stroke.segment(self._last, at, radius)
        self._last = at
        self._tint(box, stroke.result)

    def _pull_to(self, pull: Pull, at: QPointF) -> None:
        """Shown at once, with a sharp border: the soft one comes with the release."""
        pull.now = pull.was.pull(pull.grip, at - pull.start)
        self._tint_all(pull.now.paint())

    def _commit(self, mask: np.ndarray, what: str) -> None:
        self._drawn = None
        if np.array_equal(mask, self._mask):
            self._tint_all()
            return
        self._mask = mask
        self._tint_all()
        self.committed.emit(what)

    def _tint_all(self, shown: np.ndarray | None = None) -> None:
        """Show a mask, this one's unless another of its size is given."""
        height, width = self._mask.shape
        if self._pixels.shape != self._mask.shape:
            self._pixels = np.zeros((height, width), np.uint32)
        self._image = QImage(self._pixels.data, width, height, 4 * width, QImage.Format.Format_ARGB32_Premultiplied)
        alpha = np.arange(256, dtype=np.uint32) * OPACITY
        parts = (self.tint.red(), self.tint.green(), self.tint.blue())
        red, green, blue = ((alpha * part / 255).astype(np.uint32) for part in parts)
        self._palette = (alpha.astype(np.uint32) << 24) | (red << 16) | (green << 8) | blue
        np.take(self._palette, self._mask if shown is None else shown, out=self._pixels, mode="clip")
        self._tell_changed(QRectF(0, 0, width, height))

    def _tint(self, box: masks.Box, mask: np.ndarray) -> None:
        left, top, right, bottom = box
        part = (slice(top, bottom), slice(left, right))
        self._pixels[part] = self._palette[mask[part]]
        self._tell_changed(QRectF(left, top, right - left, bottom - top))

    def _tell_changed(self, box: QRectF) -> None:
        """A box of the mask, whose pixels may be larger than the picture's."""
        self.changed.emit(QTransform.fromScale(1 / self._scale, 1 / self._scale).mapRect(box).toAlignedRect())
