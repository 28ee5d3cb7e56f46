"""Runs that start from a picture: what strength or a mask keeps of it; of a region, which tokens are computed.

A region is what the mask repaints with a rim around it. The tokens of the rest are left out of the sequence: the model
sees the picture as a reference. It is approximate. (RegionE, arXiv 2510.25590, keeps their keys and values instead.)
"""

import mlx.core as mx
import numpy as np

from ..events import Note
from ..nets.autoencoder import pack
from .sampler import Repaint, Velocity

RIM = 1 / 16  # of the longer side of the grid: how far around the mask is computed too, at least a token


def mark_cells(mask: np.ndarray, cell: int) -> np.ndarray:
    """A mask (H, W) by cells of `cell` pixels: the most that any pixel in it says.

    Not the mean: what is half repainted keeps a ghost of what was there. Pixels outside the mask come back at the end.
    """
    rows, columns = mask.shape[0] // cell, mask.shape[1] // cell
    largest: np.ndarray = mask.reshape(rows, cell, columns, cell).max(axis=(1, 3))
    return largest


def keep_rest(mask: np.ndarray, source: mx.array, noise: mx.array, cell: int) -> Repaint:
    """What keeps the latents `source` (1, N, C) outside a mask (H, W), of which one latent is `cell` pixels wide."""
    marked = pack(mx.array(mark_cells(mask, cell))[None, ..., None]).reshape(1, -1, 4)
    return Repaint(source, noise, mx.tile(marked, (1, 1, source.shape[-1] // 4)))


def find_region(mask: np.ndarray, multiple: int) -> np.ndarray:
    """Numbers of the tokens, `multiple` pixels wide, under a mask (H, W) and around it, in their order."""
    marked = mark_cells(mask, multiple) > 0
    return np.flatnonzero(widen(marked, max(1, round(RIM * max(marked.shape)))))


def widen(marked: np.ndarray, by: int) -> np.ndarray:
    """(rows, columns) of bool: also what is up to `by` rows and columns away from what is marked."""
    rows, columns = marked.shape
    padded = np.pad(marked, by)
    shifts = [(down, right) for down in range(2 * by + 1) for right in range(2 * by + 1)]
    widened: np.ndarray = np.any([padded[d : d + rows, r : r + columns] for d, r in shifts], axis=0)
    return widened


def tell_region(region: np.ndarray, tokens: int) -> Note:
    """How much is computed."""
    return Note(f"Region: {len(region) / tokens:.0%} of the picture is computed, what is under the mask and around it.")


def limit(velocity: Velocity, region: np.ndarray) -> Velocity:
    """Of all tokens (1, N, C), made of a velocity of those of the region; that of the others is 0: they are kept."""
    index = mx.array(region)

    def run(latents: mx.array, i: int) -> mx.array:
        part = velocity(latents[:, index], i)
        whole = mx.zeros(latents.shape, part.dtype)
        whole[:, index] = part
        return whole

    return run
