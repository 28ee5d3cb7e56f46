"""How Self-Flow runs: a class in place of words, the released random sampler or an even one. Called by pipeline.py.

Source: black-forest-labs/Self-Flow sampling.py. Its guidance is off by default; ours leads away from the null class on
all channels.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import mlx.core as mx
import numpy as np

from ..events import Note
from ..nets.selfflow import denoise_sde, ode_times, sde_times
from . import noise
from .latents import Grid
from .sampler import Velocity, denoise, guided

if TYPE_CHECKING:
    from ..request import Request
    from .pipeline import Pipeline

RANDOM = "sde"  # among ModelSpec.samplers


def encode_text(pipe: Pipeline, label: int | None) -> mx.array:
    """(1, 1, h): the class, or where there is none the null class."""
    return pipe.transformer.condition([pipe.transformer.params.null_class if label is None else label])


def encode_references(pipe: Pipeline, request: Request) -> Generator[Note, None, None]:
    """It takes none."""
    yield from ()


def schedule(pipe: Pipeline, request: Request, tokens: int) -> np.ndarray:
    """(steps + 1,) times from 1 to 0."""
    return sde_times(request.steps) if request.sampler == RANDOM else ode_times(request.steps)


def velocity(pipe: Pipeline, request: Request, grid: Grid, texts: list[mx.array], references, times) -> Velocity:
    """The guided velocity as a function of (latents, step)."""
    model = pipe.transformer
    features = model.time_features(times[:-1])

    def one(condition, latents: mx.array, i: int) -> mx.array:
        return model(latents, features[i : i + 1], condition)

    return guided(one, texts, request.guidance)


def sampler(pipe: Pipeline, request: Request):
    """A function like sampler.denoise; the random one draws fresh noise from the seed in every step."""
    if request.sampler != RANDOM:
        return denoise

    def sample(velocity: Velocity, latents: mx.array, times: np.ndarray, start: int = 0, repaint=None):
        fresh = lambda i: mx.array(noise.normal(request.seed, latents.shape, stream=i + 1))  # noqa: E731
        return denoise_sde(velocity, latents, times, fresh)

    return sample
