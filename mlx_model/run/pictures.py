"""Pictures to arrays and back; the only file here that uses Pillow (its Lanczos filter) and OpenCV (an extra).

Pictures are (H, W, 3) uint8 sRGB; opening files is the application's work.
"""

import mlx.core as mx
import numpy as np
from PIL import Image

from ..errors import Advice, RequestError
from ..geometry import Size

LOW, HIGH = 50, 200  # of the gradient: black-forest-labs/flux src/flux/modules/image_embedders.py, CannyImageEncoder


def resize_and_crop(pixels: np.ndarray, resized: Size, cropped: Size) -> np.ndarray:
    """(H, W, 3) uint8 -> Lanczos to the size `resized`, then the centre of the size `cropped`."""
    return centre(resize(pixels, resized), cropped)


def centre(pixels: np.ndarray, size: Size) -> np.ndarray:
    """The middle of pixels (H, W, ...)."""
    whole = Size.of(pixels)
    left, top = (whole.width - size.width) // 2, (whole.height - size.height) // 2
    return pixels[top : top + size.height, left : left + size.width]


def resize(pixels: np.ndarray, size: Size, filter: str = "lanczos") -> np.ndarray:
    """(H, W, 3) uint8 squeezed to `size`, by Pillow's filter of that name."""
    if Size.of(pixels) == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling[filter.upper()]))


def covering_size(own: Size, size: Size) -> Size:
    """The smallest size of the shape of `own` that covers `size`."""
    factor = max(size.width / own.width, size.height / own.height)
    return Size(*(max(side, round(old * factor)) for old, side in zip(own, size, strict=True)))


def to_signed(pixels: np.ndarray) -> mx.array:
    """uint8 (..., 3) -> float32 in [-1, 1]."""
    return mx.array(pixels.astype(np.float32) / 127.5 - 1)


def to_pixels(images: mx.array) -> np.ndarray:
    """float in [-1, 1] -> uint8, clipped and rounded."""
    return np.array(mx.round(mx.clip(images.astype(mx.float32) * 127.5 + 127.5, 0, 255)).astype(mx.uint8))


def first_picture(images: mx.array) -> np.ndarray:
    """(B, H, W, 3) in [-1, 1] -> (H, W, 3) uint8."""
    return np.asarray(to_pixels(images)[0])


def resize_mask(mask: np.ndarray, size: Size) -> np.ndarray:
    """float32 (H, W) in [0, 1] -> bilinearly to `size`, as float32."""
    scaled = Image.fromarray(mask.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    clipped: np.ndarray = np.clip(np.asarray(scaled), 0, 1)
    return clipped


def canny(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (H, W, 3) uint8, edges white on black, as FLUX.1 Canny was trained.

    Raises RequestError where OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise RequestError("Finding the edges of a photo needs OpenCV.", Advice("draw_edges_yourself")) from error
    return np.repeat(cv2.Canny(np.ascontiguousarray(pixels), LOW, HIGH)[..., None], 3, axis=-1)
