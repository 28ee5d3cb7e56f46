"""A box that a hand takes hold of: by its corners and borders it is resized, inside it is moved."""

from itertools import product

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainterPath

Grip = tuple[int, int]  # the borders held: across -1 left, 1 right; down -1 top, 1 bottom; (0, 0) holds all of it
WHOLE: Grip = (0, 0)
CORNER: Grip = (1, 1)  # the lower right one, which a new box is drawn by
SHAPES = Qt.CursorShape
CURSORS: dict[Grip, Qt.CursorShape] = {
    (0, 0): SHAPES.SizeAllCursor, (-1, 0): SHAPES.SizeHorCursor, (1, 0): SHAPES.SizeHorCursor,
    (0, -1): SHAPES.SizeVerCursor, (0, 1): SHAPES.SizeVerCursor, (-1, -1): SHAPES.SizeFDiagCursor,
    (1, 1): SHAPES.SizeFDiagCursor, (1, -1): SHAPES.SizeBDiagCursor, (-1, 1): SHAPES.SizeBDiagCursor,
}  # fmt: skip


def list_handles(box: QRectF) -> dict[Grip, QPointF]:
    """The points that borders and corners are pulled at."""
    middle, across, down = box.center(), box.width() / 2, box.height() / 2
    return {(x, y): middle + QPointF(x * across, y * down) for x, y in product((-1, 0, 1), repeat=2) if (x, y) != WHOLE}


def find_grip(box: QRectF, point: QPointF, reach: float, inside: QPainterPath | QRectF) -> Grip | None:
    """What is taken hold of there: a handle at most `reach` away, `inside` the whole, None elsewhere."""
    away = {grip: (at - point).manhattanLength() for grip, at in list_handles(box).items()}
    nearest = min(away, key=away.__getitem__)
    if away[nearest] <= reach:
        return nearest
    return WHOLE if inside.contains(point) else None


def pull_box(box: QRectF, grip: Grip, by: QPointF) -> QRectF:
    """It with what is held moved; borders may pass each other."""
    if grip == WHOLE:
        return box.translated(by)
    across, down = grip
    left, right = by.x() * (across == -1), by.x() * (across == 1)
    top, bottom = by.y() * (down == -1), by.y() * (down == 1)
    return box.adjusted(left, top, right, bottom).normalized()
