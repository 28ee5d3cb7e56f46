"""Sizes of pictures: the grid of tokens, and at what size the reference implementations look at a reference.

Sources: black-forest-labs/flux2 src/flux2/sampling.py (cap_pixels, center_crop_to_multiple_of_x); diffusers 0.42
modular_pipelines/flux3 image_processor.py, after black-forest-labs/flux-3-image-klein src/flux3/pipeline.py.
"""

import math
from typing import NamedTuple

from .errors import RequestError

Grid = tuple[int, int]  # rows, columns of tokens
Size = tuple[int, int]  # width, height in pixels

MIN_SIDE, MAX_ASPECT = 64, 8  # of a reference
MULTIPLE, MAX_SIDE, MAX_PIXELS = 16, 4096, 4 * 1024 * 1024  # of FLUX.3's canvas


def reference_size(width: int, height: int, cap: int, multiple: int = 16) -> tuple[int, int, int, int]:
    """(width, height) of a picture -> (resized width, resized height, cropped width, cropped height) in pixels.

    Downscales to at most `cap` pixels, rounding down, then crops the centre to multiples of `multiple`.
    Raises RequestError for a side under 64 px or an aspect ratio over 8, as the reference implementation does.
    """
    if min(width, height) < MIN_SIDE:
        raise RequestError(f"A reference of {width}x{height} is too small.", f"Each side needs {MIN_SIDE} px.")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise RequestError(
            f"A reference of {width}x{height} is too long and thin.",
            f"Crop it: the sides may differ {MAX_ASPECT}-fold at most.",
        )
    factor = min(1.0, math.sqrt(cap / (width * height)))
    width, height = int(width * factor), int(height * factor)
    if min(width, height) < multiple:
        raise RequestError("A reference is too thin after resizing.", "Crop it.")
    return width, height, width // multiple * multiple, height // multiple * multiple


class Canvas(NamedTuple):
    """A single reference is kept whole: resized to (width, height), put at (left, top) of a canvas."""

    width: int
    height: int
    canvas_width: int
    canvas_height: int

    @property
    def left(self) -> int:
        return (self.canvas_width - self.width) // 2

    @property
    def top(self) -> int:
        return (self.canvas_height - self.height) // 2


def reference_canvas(width: int, height: int) -> Canvas:
    """The size of a single reference: at most 4 megapixels once its sides are rounded up to multiples of 16.

    Several references go by reference_size with a cap of one megapixel instead.
    """
    scale = min(1.0, math.sqrt(MAX_PIXELS / (width * height)), MAX_SIDE / max(width, height))
    while True:
        sides = [max(1, round(side * scale)) for side in (width, height)]
        canvas = [min(MAX_SIDE, max(MIN_SIDE, -(-side // MULTIPLE) * MULTIPLE)) for side in sides]
        if canvas[0] * canvas[1] <= MAX_PIXELS:
            return Canvas(*sides, *canvas)
        scale *= 0.995
