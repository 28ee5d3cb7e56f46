"""Cheap pictures of a run that is under way, from the estimate of its finished latents, never from the noisy ones.

Where neither the model's own autoencoder costs little beside a step nor the folder has a tiny one (see pipeline.py),
a linear map from the latents of a pixel block to its mean colour shows the run.
Axis letters: z latent channels of a block of 8 x 8 pixels, h w tokens (2 x 2 blocks each).
"""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from ..geometry import Size
from ..nets.autoencoder import AutoEncoder, unpack
from .pictures import first_picture, resize, to_signed

BLOCK, SIDE, PICTURES = 8, 128, 4
DISCS = 150  # of a picture to fit on: from dots to half the picture
RIDGE = 1e-4  # keeps channels that the fitted pictures do not excite from being read as colour


def map_colours(clean: mx.array, colours: mx.array) -> np.ndarray:
    """(1, h, w, 4z) estimate of the finished latents, by the map of fit_colours -> (16h, 16w, 3) uint8."""
    small = first_picture(unpack(clean).astype(mx.float32) @ colours[:-1] + colours[-1])
    return resize(small, Size(small.shape[1] * BLOCK, small.shape[0] * BLOCK))


def fit_colours(autoencoder: AutoEncoder) -> mx.array:
    """(z + 1, 3) float32: latents of a block -> its mean colour in [-1, 1]; the last row is the constant.

    Least squares over drawn pictures that the autoencoder encodes, so that it holds for any autoencoder.
    """
    pictures = np.stack([dead_leaves(seed) for seed in range(PICTURES)])
    latents = unpack(autoencoder.encode(to_signed(pictures))).astype(mx.float32)
    rows = np.array(latents, np.float64).reshape(-1, latents.shape[-1])
    blocks = pictures.reshape(PICTURES, SIDE // BLOCK, BLOCK, SIDE // BLOCK, BLOCK, 3)
    colours = blocks.mean((2, 4)).reshape(-1, 3) / 127.5 - 1
    rows = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
    penalty = RIDGE * len(rows) * np.diag([1.0] * (rows.shape[1] - 1) + [0.0])
    return mx.array(np.linalg.solve(rows.T @ rows + penalty, rows.T @ colours).astype(np.float32))


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
