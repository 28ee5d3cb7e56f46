"""How Self-Flow runs: a class in place of words, the released random sampler or an even one. Called by pipeline.py.

Source: black-forest-labs/Self-Flow sampling.py. Its guidance is off by default; ours leads away from the null class on
all channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING

import mlx.core as mx
import numpy as np

from ..events import Note
from ..geometry import Grid
from . import noise
from .sampler import Progress, Velocity, check_finite, denoise, guided

if TYPE_CHECKING:
    from ..request import Request
    from .pipeline import Pipeline

RANDOM = "sde"  # among ModelSpec.samplers
SDE_STEPS, LAST_STEP = 250, 0.04  # the released sampler's: 249 random steps, then one without noise


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


def ode_times(steps: int) -> np.ndarray:
    """(steps + 1,) from 1 to 0, evenly: for sampler.denoise."""
    return np.linspace(1.0, 0.0, steps + 1)


def sde_times(steps: int = SDE_STEPS) -> np.ndarray:
    """(steps + 1,) from 1 to 0: even down to LAST_STEP, then to the end in one."""
    return np.append(1 - np.linspace(0, 1 - LAST_STEP, steps), 0.0)


def denoise_sde(
    velocity: Callable[[mx.array, int], mx.array],
    latents: mx.array,
    times: np.ndarray,
    noise: Callable[[int], mx.array],
) -> Iterator[Progress]:
    """Euler-Maruyama with diffusion t; the last step is the mean, without noise. Yields after every step, evaluated.

    `velocity(latents, i)` is the model at times[i], `noise(i)` standard normal of the latents' shape. With the score
    of the linear path the drift is (2 - t) times the velocity towards the picture, minus the latents.
    """
    last = len(times) - 2
    for i in range(last + 1):
        t, dt = float(times[i]), float(times[i] - times[i + 1])
        towards = -velocity(latents, i).astype(mx.float32)
        clean = latents + t * towards
        latents = latents + dt * ((2 - t) * towards - latents)
        if i < last:
            latents = latents + math.sqrt(2 * t * dt) * noise(i)
        mx.eval(latents, clean)
        check_finite(latents)
        yield Progress(i, latents, clean)
