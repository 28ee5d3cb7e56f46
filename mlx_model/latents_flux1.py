"""Sizes, position ids and what lies beside the latents of FLUX.1; packing itself is the autoencoder's.

Source: black-forest-labs/flux src/flux/sampling.py (prepare, prepare_kontext, prepare_fill, prepare_control).
Letters: H, W pixels; a token is 16 pixels square.
"""

import math

import mlx.core as mx
import numpy as np

from .autoencoder import pack

REFERENCE_TIME = 1  # Kontext's picture has time coordinate 1, the one being made 0
# (width, height): what Kontext was trained on; a reference is squeezed to the one nearest in shape.
PREFERRED = (
    (672, 1568),
    (688, 1504),
    (720, 1456),
    (752, 1392),
    (800, 1328),
    (832, 1248),
    (880, 1184),
    (944, 1104),
    (1024, 1024),
    (1104, 944),
    (1184, 880),
    (1248, 832),
    (1328, 800),
    (1392, 752),
    (1456, 720),
    (1504, 688),
    (1568, 672),
)

Grid = tuple[int, int]  # rows, columns of tokens


def text_ids(count: int) -> np.ndarray:
    """(count, 3): text has no position."""
    return np.zeros((count, 3), np.int64)


def grid_ids(grid: Grid, time: int = 0) -> np.ndarray:
    """(rows * columns, 3): (time, row, column), row-major."""
    rows, columns = np.indices(grid).reshape(2, -1)
    return np.stack([np.full_like(rows, time), rows, columns], axis=1)


def reference_ids(grids: list[Grid]) -> np.ndarray:
    """Ids of the one reference that Kontext takes, on its own grid; (0, 3) without one."""
    parts = [grid_ids(grid, REFERENCE_TIME) for grid in grids]
    return np.concatenate(parts) if parts else np.zeros((0, 3), np.int64)


def kontext_size(width: int, height: int) -> tuple[int, int]:
    """The preferred (width, height) nearest in shape: a reference is resized to it, and the output defaults to it."""
    return min(PREFERRED, key=lambda size: (abs(width / height - size[0] / size[1]), size))


def area_size(width: int, height: int, area: int = 1024 * 1024, multiple: int = 16) -> tuple[int, int]:
    """(width, height) of about `area` pixels in the shape of width : height, rounded down to `multiple`."""
    shape = width / height
    return tuple(max(multiple, round(math.sqrt(side)) // multiple * multiple) for side in (area * shape, area / shape))


def pack_mask(mask: np.ndarray, patch: int = 8) -> mx.array:
    """(H, W) in [0, 1], 1 = repaint -> (1, H/16 * W/16, 4 * patch * patch) float32, unscaled.

    The pixels of every patch become channels, row-major, at the autoencoder's resolution; these are packed as latents.
    """
    rows, columns = mask.shape[0] // patch, mask.shape[1] // patch
    patches = mask.astype(np.float32).reshape(rows, patch, columns, patch).transpose(0, 2, 1, 3)
    packed = pack(mx.array(patches.reshape(1, rows, columns, patch * patch)))
    return packed.reshape(1, -1, packed.shape[-1])


def erase(images: mx.array, mask: np.ndarray) -> mx.array:
    """Pictures (B, H, W, 3) in [-1, 1], grey where `mask` (H, W) says repaint: what Fill's autoencoder is given."""
    return images * mx.array(1 - mask.astype(np.float32))[None, ..., None]


def fill_channels(masked_latents: mx.array, mask: np.ndarray, patch: int = 8) -> mx.array:
    """Latents of the erased picture (1, N, C) and its mask -> (1, N, C + 4 * patch * patch): Fill's `beside`."""
    return mx.concatenate([masked_latents.astype(mx.float32), pack_mask(mask, patch)], axis=-1)
