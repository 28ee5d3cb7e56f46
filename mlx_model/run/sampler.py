"""Schedules, and denoise(), the only sampling loop: what differs is the solver, which makes one step.

Times run from 1 (noise) to 0 (picture); a transformer's output is the velocity d x / d t.
"""

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import mlx.core as mx
import numpy as np

from ..errors import Advice, NotFinite
from ..nets.ops import Walk, finish

if TYPE_CHECKING:
    from .step_cache import StepCache

# black-forest-labs/flux2 src/flux2/sampling.py, compute_empirical_mu: two lines fitted at 10 and at 200 steps.
SLOPE_10, OFFSET_10 = 8.73809524e-05, 1.89833333
SLOPE_200, OFFSET_200 = 0.00016927, 0.45666666
FLAT = 1e-5  # latents that vary less than this are no picture
LONG = 4300  # tokens from which the 200-step line holds for any number of steps: a jump, in the reference too


def empirical_mu(tokens: int, steps: int) -> float:
    """The shift of FLUX.2's schedule for a picture of `tokens` tokens in `steps` steps."""
    at_200 = SLOPE_200 * tokens + OFFSET_200
    if tokens > LONG:
        return at_200
    slope = (at_200 - (SLOPE_10 * tokens + OFFSET_10)) / 190
    return slope * steps + at_200 - 200 * slope


def linear_mu(tokens: int) -> float:
    """The shift of FLUX.1's schedule (all but schnell, which has 0): 0.5 at 256 tokens, 1.15 at 4096, on a line.

    Source: black-forest-labs/flux src/flux/sampling.py, get_lin_function. References don't count as tokens.
    """
    return 0.5 + (1.15 - 0.5) * (tokens - 256) / (4096 - 256)


def timesteps(steps: int, mu: float) -> np.ndarray:
    """(steps + 1,) float64 from 1 to 0, shifted by mu: t' = e^mu / (e^mu + 1/t - 1)."""
    t = np.linspace(1, 0, steps + 1)
    with np.errstate(divide="ignore"):
        return math.exp(mu) / (math.exp(mu) + 1 / t - 1)


def start_step(steps: int, strength: float | None) -> int:
    """How many of `steps` are skipped so that `strength` (0 keep .. 1 repaint) of them remain, at least one."""
    return 0 if strength is None else min(steps - 1, int(steps - min(steps * strength, steps)))


Velocity = Callable[[mx.array, int], mx.array]  # (latents (1, N, C), step) -> d latents / d t


def guide(
    one: Callable[[Any, mx.array, int], Walk],
    conditions: list,
    scale: float,
    is_guided: Callable[[int], bool] = lambda i: True,
    cache: "StepCache | None" = None,
) -> Velocity:
    """The velocity from `one(condition, latents, step)`: with a second condition away from that one, scale times.

    Both go side by side, so that weights that are read from the disk are read once a step.
    `is_guided(step)`: whether that step is; another one follows the first condition alone.
    """

    def velocity(latents: mx.array, i: int) -> mx.array:
        used = conditions if is_guided(i) else conditions[:1]
        walks = [one(condition, latents, i) for condition in used]
        if cache:
            walks = [cache.shorten(number, walk) for number, walk in enumerate(walks)]
        towards, *away = finish(*walks)
        return away[0] + scale * (towards - away[0]) if away else towards

    return velocity


class Repaint(NamedTuple):
    """Keeps everything outside a mask: `source`, `noise` and `mask` are (1, N, C), 1 = repaint.

    Source: diffusers pipelines/flux2/pipeline_flux2_klein_inpaint.py.
    """

    source: mx.array
    noise: mx.array
    mask: mx.array

    def blend(self, latents: mx.array, t: float) -> mx.array:
        kept = (1 - t) * self.source + t * self.noise
        return (1 - self.mask) * kept + self.mask * latents


# (latents (1, N, C), their velocity, times, step) -> the latents at times[step + 1]
Solver = Callable[[mx.array, mx.array, np.ndarray, int], mx.array]


def euler(latents: mx.array, velocity: mx.array, times: np.ndarray, i: int) -> mx.array:
    """Straight on: a Solver."""
    return latents + float(times[i + 1] - times[i]) * velocity


class Progress(NamedTuple):
    step: int  # the one just done, from 0
    latents: mx.array  # (1, N, C) float32
    clean: mx.array  # the estimate of the finished latents


def denoise(
    velocity: Velocity,
    latents: mx.array,
    times: np.ndarray,
    start: int = 0,
    repaint: Repaint | None = None,
    solver: Solver = euler,
) -> Iterator[Progress]:
    """From times[start] to times[-1]; yields after every step, evaluated, so closing it cancels within a step.

    `velocity(latents, i)` is the guided model at times[i]; latents stay float32. Raises NotFinite as soon as a step
    leaves numbers that are no picture.
    """
    for i in range(start, len(times) - 1):
        v = velocity(latents, i).astype(mx.float32)
        clean = latents - float(times[i]) * v
        latents = solver(latents, v, times, i)
        if repaint is not None:
            latents = repaint.blend(latents, float(times[i + 1]))
        mx.eval(latents, clean)
        check_finite(latents)
        yield Progress(i, latents, clean)


def check_finite(latents: mx.array) -> None:
    """Raises NotFinite for NaN, infinity or a constant: what a failed run on a GPU can leave without an error."""
    spread = float(np.array(latents.astype(mx.float32).std()))
    if not math.isfinite(spread) or spread < FLAT:
        raise NotFinite(
            "The run produced no picture: its numbers are not finite or all equal.",
            Advice("try_other_numbers"),
        )
