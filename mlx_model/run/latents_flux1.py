"""Position ids and what lies beside the latents of FLUX.1; packing itself is the autoencoder's.

Source: black-forest-labs/flux src/flux/sampling.py (prepare, prepare_kontext, prepare_fill, prepare_control).
Letters: H, W pixels; a token is 16 pixels square.
"""

import mlx.core as mx
import numpy as np

from ..nets.autoencoder import pack

REFERENCE_TIME = 1  # Kontext's picture has time coordinate 1, the one being made 0
Grid = tuple[int, int]  # rows, columns of tokens


def text_ids(count: int) -> np.ndarray:
    """(count, 3): text has no position."""
    return np.zeros((count, 3), np.int64)


def grid_ids(grid: Grid, time: int = 0, left: int = 0) -> np.ndarray:
    """(rows * columns, 3): (time, row, column), row-major, columns counted from `left`."""
    rows, columns = np.indices(grid).reshape(2, -1)
    return np.stack([np.full_like(rows, time), rows, left + columns], axis=1)


def reference_ids(grids: list[Grid]) -> np.ndarray:
    """Ids of Kontext's references: one on its own grid; several side by side, as if they were one wide picture.

    Several go beyond the reference implementation, which takes one.
    """
    lefts = np.cumsum([0, *(columns for _, columns in grids)])
    parts = [grid_ids(grid, REFERENCE_TIME, left) for grid, left in zip(grids, lefts, strict=False)]
    return np.concatenate(parts) if parts else np.zeros((0, 3), np.int64)


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
