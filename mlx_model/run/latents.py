"""Token layout and position ids of FLUX.2: how pictures become a row of tokens, and where the picture that is changed
stands on the canvas of the token grid.

Source: black-forest-labs/flux2 src/flux2/sampling.py (prc_img, prc_txt, listed_prc_img).
"""

from typing import NamedTuple

import numpy as np

from ..geometry import Grid, Size
from ..request import Request, demand
from .pictures import centre, covering_size, resize, resize_mask


class Placed(NamedTuple):
    pixels: np.ndarray  # (H, W, 3) uint8, the source; its rims and new ground are continued from its edge
    mask: np.ndarray  # (H, W) float32, 1 = repaint


def place(request: Request, canvas: Size) -> Placed:
    """The first reference and the mask of a checked request on a canvas of that many pixels."""
    pixels, mask = _outpaint(request) if request.outpaint else _fit(request)
    inner = Size.of(pixels)
    left, top = (canvas.width - inner.width) // 2, (canvas.height - inner.height) // 2
    rims = (top, canvas.height - inner.height - top), (left, canvas.width - inner.width - left)
    return Placed(np.pad(pixels, (*rims, (0, 0)), mode="edge"), np.pad(mask, rims, mode="edge"))


def composite(request: Request, pixels: np.ndarray) -> np.ndarray:
    """The made picture (H, W, 3) inside the mask; outside it the source, to the pixel; a soft edge mixes."""
    if not request.repaints:
        return pixels
    source, mask = place(request, request.size)
    mask = mask[..., None]
    mixed: np.ndarray = np.round(source * (1 - mask) + pixels * mask).astype(np.uint8)
    return mixed


def _outpaint(request: Request) -> Placed:
    """The source with new ground around it: all of that is repainted, and of the source what a mask says."""
    left, top, right, bottom = demand(request.outpaint)
    source = demand(request.references[0].pixels)
    inside = np.zeros(source.shape[:2], np.float32) if request.mask is None else demand(request.mask.pixels)
    rims = (top, bottom), (left, right)
    return Placed(np.pad(source, (*rims, (0, 0)), mode="edge"), np.pad(inside, rims, constant_values=1.0))


def _fit(request: Request) -> Placed:
    """The source and its mask scaled alike so that they cover the picture; without a mask all is repainted."""
    source, size = demand(request.references[0].pixels), request.size
    resized = covering_size(Size.of(source), size)
    pixels = centre(resize(source, resized), size)
    if request.mask is None:
        return Placed(pixels, np.ones(pixels.shape[:2], np.float32))
    mask = demand(request.mask.pixels)
    if Size.of(mask) != resized:
        mask = resize_mask(mask, resized)
    return Placed(pixels, centre(mask, size))


REFERENCE_TIME = 10  # reference r has time coordinate 10 + 10 r; the picture being made has 0


def text_ids(count: int) -> np.ndarray:
    """(count, 4): (0, 0, 0, i)."""
    ids = np.zeros((count, 4), np.int64)
    ids[:, 3] = np.arange(count)
    return ids


def grid_ids(grid: Grid, time: int = 0) -> np.ndarray:
    """(rows * columns, 4): (time, row, column, 0), row-major."""
    rows, columns = np.indices(grid).reshape(2, -1)
    return np.stack([np.full_like(rows, time), rows, columns, np.zeros_like(rows)], axis=1)


def reference_ids(grids: list[Grid]) -> np.ndarray:
    """Ids of all references one after the other, each on its own grid: (sum of rows * columns, 4)."""
    parts = [grid_ids(grid, REFERENCE_TIME * (1 + number)) for number, grid in enumerate(grids)]
    return np.concatenate(parts) if parts else np.zeros((0, 4), np.int64)
