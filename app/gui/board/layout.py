"""Where the cells of the board view lie: headings across the whole width, below each the panels of its scene."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from PySide6.QtCore import QPoint, QRect

from ..kit.measures import GAP, MARGIN

HEADING, CAPTION, SLIM = 44, 62, 40
TALLEST = 1.25  # height of a picture box by its width: upright pictures are shown smaller, not endless


@dataclass
class Layout:
    """Rectangles by row, and the height of everything. Rows go from left to right, then down."""

    rects: list[QRect] = field(default_factory=list)
    height: int = 0
    tops: list[int] = field(default_factory=list)
    columns: int = 1
    tallest: int = 0  # height of the tallest row: the first and the last may be slim

    def between(self, top: int, bottom: int) -> range:
        """The rows that a strip from `top` to `bottom` may touch."""
        if not self.rects:
            return range(0)
        return range(bisect_left(self.tops, top - self.tallest - MARGIN), bisect_right(self.tops, bottom))

    def at(self, point: QPoint) -> int:
        """The row under `point`, or -1."""
        return next((row for row in self.between(point.y(), point.y()) if self.rects[row].contains(point)), -1)


def picture_height(width: int, aspect: tuple[int, int]) -> int:
    """Of the box that a picture of this aspect is shown in."""
    return round(min(width * aspect[1] / aspect[0], width * TALLEST))


def lay_out(kinds: Sequence[str], width: int, cell: int, aspect: tuple[int, int]) -> Layout:
    """Rows of a view `width` pixels wide; `kinds` are "heading", "panel" or "add".

    Cells are at least `cell` wide and share what is left of the width. A place to add a panel that would begin a line
    of its own is slim: full lines of panels are the rule on a long board.
    """
    inner = max(cell, width - 2 * MARGIN)
    columns = max(1, (inner + MARGIN) // (cell + MARGIN))
    side = (inner - MARGIN * (columns - 1)) // columns
    height = picture_height(side, aspect) + CAPTION
    made, y, column = Layout(columns=columns), GAP, 0
    for kind in kinds:
        if kind == "heading":
            y += height + MARGIN if column else 0
            made.rects.append(QRect(MARGIN, y, inner, HEADING))
            y, column = y + HEADING, 0
            continue
        if kind == "add" and not column and made.rects and len(made.rects) > 1 and made.rects[-1].height() == height:
            made.rects.append(QRect(MARGIN, y - GAP, side, SLIM))
            y += SLIM + GAP
            continue
        made.rects.append(QRect(MARGIN + column * (side + MARGIN), y, side, height))
        column += 1
        if column == columns:
            y, column = y + height + MARGIN, 0
    made.height = y + (height + MARGIN if column else 0) + MARGIN
    made.tops = [rect.top() for rect in made.rects]
    made.tallest = max((rect.height() for rect in made.rects), default=0)
    return made
