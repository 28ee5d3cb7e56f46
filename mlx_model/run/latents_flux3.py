"""Token layout of FLUX.3: position ids, the canvas of a single reference, the padding of its text.

Source: diffusers 0.42 modular_pipelines/flux3 (before_denoise.py, image_processor.py, encoders.py), which follow
black-forest-labs/flux-3-image-klein src/flux3/pipeline.py. The schedule is sampler.timesteps(steps, MU).
"""

import math
from typing import Literal, NamedTuple

import numpy as np

from .latents import Grid, grid_ids

MU = math.log(6.93)  # a constant shift of the schedule, whatever the size
ROPE_SCALE = 0.5  # of rows and columns
MULTIPLE, MIN_SIDE, MAX_SIDE, MAX_PIXELS = 16, 64, 4096, 4 * 1024 * 1024
PAD_MULTIPLE, PAD_POSITION = 80, 1  # the transformer sees the padding: how long it is belongs to the recipe


def image_ids(grid: Grid, reference: int | None = None) -> np.ndarray:
    """(rows * columns, 4): (0, row / 2, column / 2, 0); reference r, counted from 0, has -(1 + r) at the end."""
    ids = grid_ids(grid).astype(np.float64)
    ids[:, 1:3] *= ROPE_SCALE
    ids[:, 3] = 0 if reference is None else -(1 + reference)
    return ids


def reference_ids(grids: list[Grid]) -> np.ndarray:
    """Ids of all references one after the other: (sum of rows * columns, 4)."""
    parts = [image_ids(grid, number) for number, grid in enumerate(grids)]
    return np.concatenate(parts) if parts else np.zeros((0, 4))


def pad_tokens(ids: list[int], pad_id: int, cap: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens of a prompt -> ids (1, L) int32, real (1, L) bool, positions (L,): L is the next multiple of 80.

    Padding goes right, and all of it stands at position 1, as in training.
    """
    ids = ids[:cap]
    length = min(-(-len(ids) // PAD_MULTIPLE) * PAD_MULTIPLE, cap)
    real = np.arange(length) < len(ids)
    padded = np.array([ids + [pad_id] * (length - len(ids))], np.int32)
    return padded, real[None], np.where(real, np.arange(length), PAD_POSITION)


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

    def fill(self, pixels: np.ndarray) -> np.ndarray:
        """Resized pixels (height, width, 3) -> the canvas, its rims filled with their reflection."""
        right, bottom = self.canvas_width - self.width - self.left, self.canvas_height - self.height - self.top
        mode: Literal["reflect", "symmetric"] = "reflect" if min(self.width, self.height) > MULTIPLE else "symmetric"
        return np.pad(pixels, ((self.top, bottom), (self.left, right), (0, 0)), mode=mode)

    def crop(self, pixels: np.ndarray) -> np.ndarray:
        """The part of a picture of the canvas's size that shows the reference."""
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width]


def reference_canvas(width: int, height: int) -> Canvas:
    """The size of a single reference: at most 4 megapixels once its sides are rounded up to multiples of 16.

    Several references go by latents.reference_size with a cap of one megapixel instead.
    """
    scale = min(1.0, math.sqrt(MAX_PIXELS / (width * height)), MAX_SIDE / max(width, height))
    while True:
        sides = [max(1, round(side * scale)) for side in (width, height)]
        canvas = [min(MAX_SIDE, max(MIN_SIDE, -(-side // MULTIPLE) * MULTIPLE)) for side in sides]
        if canvas[0] * canvas[1] <= MAX_PIXELS:
            return Canvas(*sides, *canvas)
        scale *= 0.995
