"""How Self-Flow runs: a class in place of words, the released random sampler or an even one. Called by pipeline.py.

Source: black-forest-labs/Self-Flow src/sampling.py and sample.py. Guidance is off by default, as there; it leads away
from the null class on all channels, and only while t <= 0.7 (t = 1 is noise). The even sampler ("ode") is ours: theirs
names one and has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

import mlx.core as mx
import numpy as np

from ..events import Note
from ..geometry import Grid
from ..request import demand
from . import noise
from .sampler import Solver, Velocity, euler, guide

if TYPE_CHECKING:
    from ..nets import selfflow
    from ..nets.ops import Walk
    from ..request import Request
    from .pipeline import Pipeline

RANDOM = "sde"  # among ModelSpec.samplers
GUIDED_UNTIL = np.float32(0.7)  # of the released sampler's times, which are in 32 bits
SDE_STEPS, LAST_STEP = 250, 0.04  # the released sampler's: 249 random steps, then one without noise


def encode_text(pipe: Pipeline, label: int | None) -> mx.array:
    """(1, 1, h): the class, or where there is none the null class."""
    condition: mx.array = pipe.transformer.condition([pipe.transformer.params.null_class if label is None else label])
    return condition


def encode_references(pipe: Pipeline, request: Request) -> Generator[Note, None, None]:
    """It takes none."""
    yield from ()


def schedule(pipe: Pipeline, request: Request, tokens: int) -> np.ndarray:
    """(steps + 1,) times from 1 to 0."""
    steps = demand(request.steps)
    return sde_times(steps) if request.sampler == RANDOM else ode_times(steps)


def velocity(
    pipe: Pipeline, request: Request, grid: Grid, texts: list[mx.array], references: None, times: np.ndarray
) -> Velocity:
    """The guided velocity as a function of (latents, step)."""
    model: selfflow.Transformer = pipe.transformer
    features = model.time_features(times[:-1])

    def one(condition: mx.array, latents: mx.array, i: int) -> Walk:
        return model.walk(latents, features[i : i + 1], condition)

    def is_guided(i: int) -> bool:
        return bool(np.float32(times[i]) <= GUIDED_UNTIL)

    return guide(one, texts, demand(request.guidance), is_guided, pipe.step_cache)


def solver(pipe: Pipeline, request: Request, shape: tuple[int, ...]) -> Solver:
    """Euler, or the random one, which draws fresh noise from the seed in every step."""
    if request.sampler != RANDOM:
        return euler
    return euler_maruyama(lambda i: mx.array(noise.normal(request.seed, shape, stream=i + 1)))


def ode_times(steps: int) -> np.ndarray:
    """(steps + 1,) from 1 to 0, evenly."""
    return np.linspace(1.0, 0.0, steps + 1)


def sde_times(steps: int = SDE_STEPS) -> np.ndarray:
    """(steps + 1,) from 1 to 0: even down to LAST_STEP, then to the end in one."""
    return np.append(1 - np.linspace(0, 1 - LAST_STEP, steps), 0.0)


def euler_maruyama(draw: Callable[[int], mx.array]) -> Solver:
    """Euler with diffusion t: `draw(i)` is standard normal of the latents' shape. The last step is the mean.

    With the score of the linear path the drift is (2 - t) times the velocity towards the picture, minus the latents.
    """

    def solver(latents: mx.array, velocity: mx.array, times: np.ndarray, i: int) -> mx.array:
        t, dt = float(times[i]), float(times[i] - times[i + 1])
        latents = latents + dt * ((2 - t) * -velocity - latents)
        return latents if i == len(times) - 2 else latents + math.sqrt(2 * t * dt) * draw(i)

    return solver
