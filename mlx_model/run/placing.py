"""Where the picture that is changed stands on the canvas of the token grid, and what of it is repainted.

The canvas is a whole number of tokens; the picture asked for is its middle.
"""

from typing import NamedTuple

import numpy as np

from ..geometry import Size
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


def mark_cells(mask: np.ndarray, cell: int) -> np.ndarray:
    """A mask (H, W) by cells of `cell` pixels: the most that any pixel in it says.

    Not the mean: what is half repainted keeps a ghost of what was there. Pixels outside the mask come back at the end.
    """
    rows, columns = mask.shape[0] // cell, mask.shape[1] // cell
    largest: np.ndarray = mask.reshape(rows, cell, columns, cell).max(axis=(1, 3))
    return largest


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
