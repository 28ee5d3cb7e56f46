"""Sizes of pictures: the grid of tokens, and at what size the reference implementations look at a reference.

Sources: black-forest-labs/flux2 src/flux2/sampling.py (cap_pixels, center_crop_to_multiple_of_x); diffusers 0.42
modular_pipelines/flux3 image_processor.py, after black-forest-labs/flux-3-image-klein src/flux3/pipeline.py.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from .errors import RequestError

if TYPE_CHECKING:
    import numpy as np

Grid = tuple[int, int]  # rows, columns of tokens

MIN_SIDE, MAX_ASPECT = 64, 8  # of a reference
MULTIPLE, MAX_SIDE, MAX_PIXELS = 16, 4096, 4 * 1024 * 1024  # of FLUX.3's canvas


class Size(NamedTuple):
    """Of a picture, in pixels. Equals a plain (width, height); as text 1024x768."""

    width: int
    height: int

    @classmethod
    def of(cls, pixels: np.ndarray) -> Size:
        """Of an array (H, W, ...)."""
        return cls(pixels.shape[1], pixels.shape[0])

    def grid(self, multiple: int) -> Grid:
        """Rows and columns of tokens, `multiple` pixels a side each, of which the last may be half empty."""
        return -(-self.height // multiple), -(-self.width // multiple)

    @property
    def area(self) -> int:
        return self.width * self.height

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


def reference_size(size: Size, cap: int, multiple: int = 16) -> tuple[Size, Size]:
    """The size to which a picture is resized, then that to which it is cropped.

    Downscales to at most `cap` pixels, rounding down, then crops the centre to multiples of `multiple`.
    Raises RequestError for a side under 64 px or an aspect ratio over 8, as the reference implementation does.
    """
    if min(size) < MIN_SIDE:
        raise RequestError(f"A reference of {size} is too small.", f"Each side needs {MIN_SIDE} px.")
    if max(size) > MAX_ASPECT * min(size):
        raise RequestError(
            f"A reference of {size} is too long and thin.",
            f"Crop it: the sides may differ {MAX_ASPECT}-fold at most.",
        )
    factor = min(1.0, math.sqrt(cap / size.area))
    resized = Size(int(size.width * factor), int(size.height * factor))
    if min(resized) < multiple:
        raise RequestError("A reference is too thin after resizing.", "Crop it.")
    return resized, Size(resized.width // multiple * multiple, resized.height // multiple * multiple)


class Canvas(NamedTuple):
    """A single reference is kept whole: resized to `used`, put at (left, top) of a canvas of the size `whole`."""

    used: Size
    whole: Size

    @property
    def left(self) -> int:
        return (self.whole.width - self.used.width) // 2

    @property
    def top(self) -> int:
        return (self.whole.height - self.used.height) // 2


def reference_canvas(size: Size, cap: int = MAX_PIXELS) -> Canvas:
    """The size of a single reference: at most `cap` pixels (64 x 64 or more) once its sides are rounded up to multiples
    of 16. Several references go by reference_size instead.
    """
    cap = min(cap, MAX_PIXELS)
    scale = min(1.0, math.sqrt(cap / size.area), MAX_SIDE / max(size))
    while True:
        used = Size(*(max(1, round(side * scale)) for side in size))
        whole = Size(*(min(MAX_SIDE, max(MIN_SIDE, -(-side // MULTIPLE) * MULTIPLE)) for side in used))
        if whole.area <= cap:
            return Canvas(used, whole)
        scale *= 0.995


def parse_margins(text: str) -> tuple[int, int, int, int]:
    """Pixels to add left, above, right and below. Raises RequestError."""
    sides = [side.strip() for side in text.split(",")]
    if len(sides) != 4 or not all(re.fullmatch(r"[0-9]{1,5}", side) for side in sides):
        hint = "Say how many pixels to add left, above, right and below, such as 0,0,256,0."
        raise RequestError(f"{text!r} are no margins.", hint)
    left, top, right, bottom = map(int, sides)
    return left, top, right, bottom
