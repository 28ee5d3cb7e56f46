"""Pictures to arrays and back; the only file here that uses Pillow (its Lanczos filter) and OpenCV (an extra).

Pictures are (H, W, 3) uint8 sRGB; opening files is the application's work.
"""

from __future__ import annotations

import mlx.core as mx
import numpy as np
from PIL import Image

from ..errors import Advice, RequestError
from ..geometry import Size
from ..nets.autoencoder import AutoEncoder, unpack

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


def keep_tones(made: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """`made` with the mean colours of `plain`, by cells: detail is the one's, colours and light are the other's.

    The idea is StableSR's correction of colours (Wang et al. 2023), which takes wavelets. Sides: multiples of CELL.
    """
    height, width = made.shape[:2]
    cells = height // CELL, CELL, width // CELL, CELL, 3
    off = (plain.astype(np.float32) - made).reshape(cells).mean(axis=(1, 3))
    bands = [Image.fromarray(off[..., band]).resize((width, height), Image.Resampling.BILINEAR) for band in range(3)]
    toned: np.ndarray = made + np.stack([np.asarray(band) for band in bands], axis=2)
    return np.clip(np.round(toned), 0, 255).astype(np.uint8)


def canny(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (H, W, 3) uint8, edges white on black, as FLUX.1 Canny was trained.

    Raises RequestError where OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise RequestError("Finding the edges of a photo needs OpenCV.", Advice("draw_edges_yourself")) from error
    return np.repeat(cv2.Canny(np.ascontiguousarray(pixels), LOW, HIGH)[..., None], 3, axis=-1)


CELL = 16  # pixels a side: keep_tones
BLOCK, SIDE, PICTURES = 8, 128, 4
DISCS = 150  # of a picture to fit on: from dots to half the picture
RIDGE = 1e-4  # keeps channels that the fitted pictures do not excite from being read as colour


def map_colours(clean: mx.array, colours: mx.array, size: Size) -> np.ndarray:
    """(1, h, w, 4z) estimate of the finished latents, by the map of fit_colours -> uint8 picture of this size."""
    return resize(first_picture(unpack(clean).astype(mx.float32) @ colours[:-1] + colours[-1]), size)


def fit_colours(autoencoder: AutoEncoder, patch: int = 1) -> mx.array:
    """(z + 1, 3) float32: latents of a block -> its mean colour in [-1, 1]; the last row is the constant.

    Least squares over made pictures that the autoencoder encodes, so that it holds for any autoencoder: half are like
    photos, half like drawings; `patch` times as large where it sees patch x patch pixels as channels.
    """
    made = np.stack([draw(seed) for seed in range(PICTURES // 2) for draw in (dead_leaves, flat_discs)])
    latents = unpack(autoencoder.encode(to_signed(made.repeat(patch, 1).repeat(patch, 2)))).astype(mx.float32)
    rows = np.array(latents, np.float64).reshape(-1, latents.shape[-1])
    blocks = made.reshape(PICTURES, SIDE // BLOCK, BLOCK, SIDE // BLOCK, BLOCK, 3)
    colours = blocks.mean((2, 4)).reshape(-1, 3) / 127.5 - 1
    rows = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
    penalty = RIDGE * len(rows) * np.diag([1.0] * (rows.shape[1] - 1) + [0.0])
    return mx.array(np.linalg.solve(rows.T @ rows + penalty, rows.T @ colours).astype(np.float32))


def flat_discs(seed: int) -> np.ndarray:
    """(SIDE, SIDE, 3) uint8: large discs of any colour, as drawings have them."""
    rng, (y, x) = np.random.default_rng(seed), np.mgrid[:SIDE, :SIDE]
    picture = np.full((SIDE, SIDE, 3), rng.uniform(0, 255, 3))
    for _ in range(DISCS // 5):
        inside = np.hypot(x - rng.uniform(0, SIDE), y - rng.uniform(0, SIDE)) < rng.uniform(8, SIDE / 2)
        picture[inside] = rng.uniform(0, 255, 3)
    return picture.astype(np.uint8)


def dead_leaves(seed: int) -> np.ndarray:
    """(SIDE, SIDE, 3) uint8: discs of all sizes and colours that cover each other, under uneven light.

    The usual stand-in for a photograph (Lee, Mumford and Huang 2001): its edges and areas are spread like a photo's.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    picture = np.zeros((SIDE, SIDE, 3))
    for _ in range(DISCS):
        radius = min(3 / (rng.random() + 0.02), SIDE / 2)
        inside = np.hypot(x - rng.uniform(0, SIDE), y - rng.uniform(0, SIDE)) < radius
        picture[inside] = rng.uniform(0, 255) + rng.beta(1, 2) * rng.normal(0, 70, 3)
    slope = rng.normal(0, 0.5, 2)
    light = np.exp(slope[0] * (x / SIDE - 0.5) + slope[1] * (y / SIDE - 0.5))
    picture = picture * light[..., None] + rng.normal(0, 4, picture.shape)
    return np.asarray(np.clip(picture, 0, 255), np.uint8)
