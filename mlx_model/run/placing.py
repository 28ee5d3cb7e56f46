"""Where the picture that is changed stands on the canvas of the token grid, and what of it is repainted.

The canvas is a whole number of tokens; the picture asked for is its middle.
"""

from typing import NamedTuple

import numpy as np

from ..request import Request
from .pictures import cover, resize_and_crop, resize_mask


class Placed(NamedTuple):
    pixels: np.ndarray  # (H, W, 3) uint8, the source; its rims and new ground are continued from its edge
    mask: np.ndarray  # (H, W) float32, 1 = repaint


def place(request: Request, width: int, height: int) -> Placed:
    """The first reference and the mask of a checked request on a canvas of width x height pixels."""
    inner = request.width, request.height
    pixels, mask = _outpainted(request) if request.outpaint else _fitted(request, *inner)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    rims = (top, height - inner[1] - top), (left, width - inner[0] - left)
    return Placed(np.pad(pixels, (*rims, (0, 0)), mode="edge"), np.pad(mask, rims, mode="edge"))


def centre(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """The middle width x height of a canvas."""
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]


def composite(request: Request, pixels: np.ndarray) -> np.ndarray:
    """The made picture (H, W, 3) inside the mask; outside it the source, to the pixel; a soft edge mixes."""
    if request.mask is None and request.outpaint is None:
        return pixels
    source, mask = place(request, request.width, request.height)
    mask = mask[..., None]
    return np.round(source * (1 - mask) + pixels * mask).astype(np.uint8)


def touched(mask: np.ndarray, cell: int) -> np.ndarray:
    """A mask (H, W) by cells of `cell` pixels: the most that any pixel in it says.

    Not the mean: what is half repainted keeps a ghost of what was there. Pixels outside the mask come back at the end.
    """
    rows, columns = mask.shape[0] // cell, mask.shape[1] // cell
    return mask.reshape(rows, cell, columns, cell).max(axis=(1, 3))


def _outpainted(request: Request) -> Placed:
    """The source with new ground around it: all of that is repainted, and of the source what a mask says."""
    left, top, right, bottom = request.outpaint
    source = request.references[0].pixels
    inside = np.zeros(source.shape[:2], np.float32) if request.mask is None else request.mask.pixels
    rims = (top, bottom), (left, right)
    return Placed(np.pad(source, (*rims, (0, 0)), mode="edge"), np.pad(inside, rims, constant_values=1.0))


def _fitted(request: Request, width: int, height: int) -> Placed:
    """The source and its mask scaled alike so that they cover width x height; without a mask all is repainted."""
    source = request.references[0].pixels
    pixels, resized, cropped = cover(source, width, height)
    if request.mask is None:
        return Placed(resize_and_crop(pixels, resized, cropped), np.ones((height, width), np.float32))
    mask = request.mask.pixels
    if mask.shape != (resized[1], resized[0]):
        mask = resize_mask(mask, resized)
    left, top = (resized[0] - width) // 2, (resized[1] - height) // 2
    return Placed(resize_and_crop(pixels, resized, cropped), mask[top : top + height, left : left + width])
