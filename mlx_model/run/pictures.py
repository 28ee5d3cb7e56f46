"""Pictures to arrays and back; the only file here that uses Pillow (for its Lanczos filter).

Pictures are (H, W, 3) uint8 sRGB; opening files is the application's work.
"""

import mlx.core as mx
import numpy as np
from PIL import Image


def resize_and_crop(pixels: np.ndarray, resized: tuple[int, int], cropped: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8 -> Lanczos to (width, height) `resized`, then the centre of (width, height) `cropped`."""
    pixels = resize(pixels, resized)
    left, top = (resized[0] - cropped[0]) // 2, (resized[1] - cropped[1]) // 2
    return pixels[top : top + cropped[1], left : left + cropped[0]]


def resize(pixels: np.ndarray, size: tuple[int, int], filter: str = "lanczos") -> np.ndarray:
    """(H, W, 3) uint8 squeezed to (width, height) `size`, by Pillow's filter of that name."""
    if pixels.shape[1::-1] == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling[filter.upper()]))


def cover(pixels: np.ndarray, width: int, height: int):
    """The arguments of resize_and_crop that make `pixels` cover width x height."""
    rows, columns = pixels.shape[:2]
    factor = max(width / columns, height / rows)
    return pixels, (max(width, round(columns * factor)), max(height, round(rows * factor))), (width, height)


def to_signed(pixels: np.ndarray) -> mx.array:
    """uint8 (..., 3) -> float32 in [-1, 1]."""
    return mx.array(pixels.astype(np.float32) / 127.5 - 1)


def to_pixels(images: mx.array) -> np.ndarray:
    """float in [-1, 1] -> uint8, clipped and rounded."""
    return np.array(mx.round(mx.clip(images.astype(mx.float32) * 127.5 + 127.5, 0, 255)).astype(mx.uint8))


def resize_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """float32 (H, W) in [0, 1] -> bilinearly to (width, height) `size`, as float32 (height, width)."""
    return np.clip(np.asarray(Image.fromarray(mask.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)), 0, 1)
