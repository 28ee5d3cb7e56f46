"""The mask as numbers: (H, W) uint8, 255 = repaint, and the ways to change it. Points are (x, y) in picture pixels.

Every change takes the mask as it was when the gesture began, so that overlapping parts of one stroke do not add up.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Point = tuple[float, float]
Box = tuple[int, int, int, int]  # left, top, right, bottom; right and bottom are outside


def blank(size: tuple[int, int]) -> np.ndarray:
    """A mask that marks nothing, for a picture of (width, height)."""
    return np.zeros((size[1], size[0]), np.uint8)


def segment_coverage(shape: Box, start: Point, end: Point, radius: float, edge: float) -> np.ndarray:
    """Coverage 0 to 255 of a round brush moved from `start` to `end`, in the box `shape`.

    It is full within radius (1 - edge) of the segment and falls to 0 at radius as 1 - smoothstep; at edge 0 the fall
    is one pixel wide, so that the border is not jagged.
    """
    left, top, right, bottom = shape
    y, x = np.mgrid[top:bottom, left:right].astype(np.float32) + np.float32(0.5)
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = ((x - start[0]) * dx + (y - start[1]) * dy) / max(dx * dx + dy * dy, 1e-9)
    along = np.clip(along, 0.0, 1.0)
    distance = np.hypot(x - start[0] - along * dx, y - start[1] - along * dy)
    fall = max(edge * radius, 1.0)
    t = np.clip((radius + 0.5 - distance) / fall, 0.0, 1.0)
    covered: np.ndarray = np.rint(255.0 * t * t * (3.0 - 2.0 * t)).astype(np.uint8)
    return covered


def box_of(points: Sequence[Point], radius: float, size: tuple[int, int]) -> Box:
    """The pixels of a picture of (width, height) that lie within `radius` + 1 of `points`."""
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    left, top = int(max(0, min(xs) - radius - 1)), int(max(0, min(ys) - radius - 1))
    right, bottom = int(min(size[0], max(xs) + radius + 2)), int(min(size[1], max(ys) + radius + 2))
    return left, top, max(left, right), max(top, bottom)


FINEST = 1024  # pixels of the longer side in which the border is traced: so fine it is seen, whatever the mask's


def trace_border(mask: np.ndarray) -> list[tuple[float, float, float, float]]:
    """Lines (x, y, x, y), in shares of the picture, between what is marked by half or more and what is not; at the
    picture's edge too."""
    size = [round(side * FINEST / max(mask.shape)) or 1 for side in reversed(mask.shape)]
    marked = np.pad(resize(mask, (size[0], size[1])) > 127, 1)
    across, down = marked[1:, 1:-1] != marked[:-1, 1:-1], (marked[1:-1, 1:] != marked[1:-1, :-1]).T
    level = [(start, y, end, y) for y, start, end in _find_runs(across)]
    upright = [(x, start, x, end) for x, start, end in _find_runs(down)]
    across_by, down_by = 1 / size[0], 1 / size[1]
    return [(a * across_by, b * down_by, c * across_by, d * down_by) for a, b, c, d in (*level, *upright)]


def _find_runs(rows: np.ndarray) -> list[list[int]]:
    """[row, start, end] of each run of True."""
    steps = np.diff(np.pad(rows, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    starts, ends = np.argwhere(steps == 1), np.argwhere(steps == -1)
    found: list[list[int]] = np.column_stack([starts, ends[:, 1]]).tolist()
    return found


class Stroke:
    """One gesture of the brush over `mask`, which is not changed; `result` is the mask with it."""

    def __init__(self, mask: np.ndarray, erase: bool, edge: float):
        self.result, self._base, self._erase, self._edge = mask.copy(), mask, erase, edge
        self._covered = np.zeros_like(mask)

    def segment(self, start: Point, end: Point, radius: float) -> Box:
        """Go on from `start` to `end`; the box that changed."""
        height, width = self._base.shape
        box = box_of((start, end), radius, (width, height))
        part = (slice(box[1], box[3]), slice(box[0], box[2]))
        covered = self._covered[part]
        np.maximum(covered, segment_coverage(box, start, end, radius, self._edge), out=covered)
        self.result[part] = combine(self._base[part], covered, self._erase)
        return box


def combine(mask: np.ndarray, covered: np.ndarray, erase: bool) -> np.ndarray:
    """`mask` with `covered` painted, or taken out."""
    both: np.ndarray = np.maximum(mask, covered)
    if erase:
        both = (mask.astype(np.uint16) * (255 - covered) // 255).astype(np.uint8)
    return both


def paint_polygon(mask: np.ndarray, points: Sequence[Point], erase: bool, soft: float = 0.0) -> np.ndarray:
    """`mask` with the inside of a closed line painted or taken out; fewer than three points change nothing.

    The border fades over `soft` pixels, half of them inside, as of paint_rectangle.
    """
    if len(points) < 3:
        return mask
    drawn = Image.new("L", (mask.shape[1], mask.shape[0]))
    ImageDraw.Draw(drawn).polygon([(x - 0.5, y - 0.5) for x, y in points], fill=255)
    return _paint(mask, np.array(drawn), box_of(points, soft, drawn.size), erase, soft)


def paint_rectangle(mask: np.ndarray, corner: Point, opposite: Point, erase: bool, soft: float = 0.0) -> np.ndarray:
    """`mask` with a rectangle painted or taken out, borders at the nearest whole pixels."""
    (x0, x1), (y0, y1) = sorted((corner[0], opposite[0])), sorted((corner[1], opposite[1]))
    covered = np.zeros_like(mask)
    covered[max(0, round(y0)) : max(0, round(y1)), max(0, round(x0)) : max(0, round(x1))] = 255
    size = mask.shape[1], mask.shape[0]
    return _paint(mask, covered, box_of(((x0, y0), (x1, y1)), soft, size), erase, soft)


def paint_ellipse(mask: np.ndarray, corner: Point, opposite: Point, erase: bool, soft: float = 0.0) -> np.ndarray:
    """`mask` with the ellipse that fills such a rectangle painted or taken out."""
    (x0, x1), (y0, y1) = sorted((corner[0], opposite[0])), sorted((corner[1], opposite[1]))
    drawn = Image.new("L", (mask.shape[1], mask.shape[0]))
    if x1 - x0 >= 1 and y1 - y0 >= 1:
        ImageDraw.Draw(drawn).ellipse((x0, y0, x1 - 1, y1 - 1), fill=255)
    return _paint(mask, np.array(drawn), box_of(((x0, y0), (x1, y1)), soft, drawn.size), erase, soft)


def _paint(mask: np.ndarray, covered: np.ndarray, box: Box, erase: bool, soft: float) -> np.ndarray:
    """`mask` with `covered`, which is nothing outside of `box`, its borders blurred inside that."""
    part = (slice(box[1], box[3]), slice(box[0], box[2]))
    if soft >= 1 and covered[part].size:
        covered[part] = feather(covered[part], soft / 4)  # a Gaussian goes from 2 to 98 % within four times that
    return combine(mask, covered, erase)


def feather(mask: np.ndarray, radius: float) -> np.ndarray:
    """The mask's borders blurred by a Gaussian of `radius` pixels."""
    return np.asarray(Image.fromarray(mask).filter(ImageFilter.GaussianBlur(radius)), dtype=np.uint8)


def resize(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The mask at another (width, height)."""
    if (mask.shape[1], mask.shape[0]) == size:
        return mask
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.BILINEAR), dtype=np.uint8)
