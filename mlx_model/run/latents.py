"""Sizes, token layout and position ids of FLUX.2: how pictures become a row of tokens.

Source: black-forest-labs/flux2 src/flux2/sampling.py (prc_img, prc_txt, listed_prc_img, cap_pixels,
center_crop_to_multiple_of_x).
"""

import math

import numpy as np

from ..errors import RequestError

REFERENCE_TIME = 10  # reference r has time coordinate 10 + 10 r; the picture being made has 0
MIN_SIDE, MAX_ASPECT = 64, 8

Grid = tuple[int, int]  # rows, columns of tokens


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
