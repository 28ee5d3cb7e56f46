"""The losses of one example through the pipeline that also samples: flow matching, and Self-Flow's two noise levels.

What is trained is called as it is sampled: by run/<family>.velocity. Self-Flow needs a time for each token, which
FLUX.2 and SiT take. Axis letters: N image tokens, C latent channels, h width.
"""

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from ..nets.ops import timestep_features
from ..request import Request, demand
from ..run import flux2, noise
from ..run.pipeline import Pipeline
from ..run.references import Kept
from .adapters import unpack_layers
from .examples import Features
from .flow import (
    MASK_RATIO,
    STUDENT_LAYER,
    TEACHER_LAYER,
    cosine,
    layer_at,
    sample_times,
    token_features,
)

States = tuple[mx.array, list[mx.array]]  # velocity (1, N, C), and the tokens (1, N, h) after every block


class Draw(NamedTuple):
    """What chance decides for one example: the same for the same seed and number, so that a run can be resumed."""

    noise: mx.array  # (1, N, C)
    time: float
    other: float  # Self-Flow's second time, drawn from the same distribution
    masked: np.ndarray  # (N,) bool, the tokens that have it
    dropped: bool  # whether the prompt or the class is left out


class Unkept(Kept):
    """Keeps nothing: weights that change make old values wrong."""

    def get(self, key: Hashable, make: Callable[[], Any], size: int = 0) -> Any:
        """What `make` gives, not evaluated: a gradient may be taken of it."""
        return make()


def draw(seed: int, number: int, shape: tuple[int, ...], shift: float, drop: float) -> Draw:
    """The draw of example `number` of a run; `shift` moves the median time to sigmoid(shift)."""
    rng = np.random.default_rng([31, seed, number])
    first, second = sample_times(rng, 2, shift)
    masked, dropped = rng.random(shape[1]) < MASK_RATIO, bool(rng.random() < drop)
    return Draw(mx.array(noise.normal(seed, shape, stream=number + 1)), first, second, masked, dropped)


def flow_loss(pipe: Pipeline, request: Request, given: Features, drawn: Draw) -> mx.array:
    """Mean squared error of the velocity at one time; a flow map learns the step that goes nowhere."""
    t = float(drawn.time)
    times = np.array([t, t])
    text = _text(pipe, given, drawn)
    velocity = pipe.family.velocity(pipe, request, given.grid, [text], given.references, times)
    v = velocity((1 - t) * given.latents + t * drawn.noise, 0).astype(mx.float32)
    loss: mx.array = (v - (drawn.noise - given.latents)).square().mean()
    return loss


def self_flow_losses(
    pipe: Pipeline,
    request: Request,
    given: Features,
    drawn: Draw,
    head: Callable[[mx.array], mx.array],
    seen: mx.array,
) -> tuple[mx.array, mx.array]:
    """The velocity's error at two noise levels, and the cosine of the student's prediction to `seen` (1, N, h)."""
    times = np.where(drawn.masked, drawn.other, drawn.time)[None]
    v, states = run_per_token(pipe, request, given, drawn, times)
    error = (v.astype(mx.float32) - (drawn.noise - given.latents)).square().mean()
    hidden = states[layer_at(STUDENT_LAYER, len(states))].astype(mx.float32)
    return error, cosine(head(hidden), mx.stop_gradient(seen))


def see_as_teacher(pipe: Pipeline, request: Request, given: Features, drawn: Draw) -> mx.array:
    """The tokens (1, N, h) of the teacher's deeper layer, all at the cleaner of the two times."""
    drawn = drawn._replace(time=min(drawn.time, drawn.other))
    times = np.full((1, len(drawn.masked)), drawn.time)
    _, states = run_per_token(pipe, request, given, drawn, times)
    return states[layer_at(TEACHER_LAYER, len(states))].astype(mx.float32)


def run_per_token(pipe: Pipeline, request: Request, given: Features, drawn: Draw, times: np.ndarray) -> States:
    """Velocity and states at `times` (1, N); text and references go with `drawn.time`."""
    t = mx.array(times.astype(np.float32))[..., None]
    latents = (1 - t) * given.latents + t * drawn.noise
    return RUNS[pipe.spec.family](pipe, request, given, drawn, times, latents)


def _run_flux2(
    pipe: Pipeline, request: Request, given: Features, drawn: Draw, times: np.ndarray, latents: mx.array
) -> States:
    text = _text(pipe, given, drawn)
    (condition,) = flux2.conditions(pipe, request, given.grid, [text], given.references)
    features = token_features(times, np.array([drawn.time]), text.shape[1], condition.rope.shape[0])
    told = timestep_features([demand(request.guidance)]) if pipe.transformer.params.guidance_embed else None
    states: States = pipe.transformer.with_states(latents, features, condition, told)
    return states


def _run_sit(
    pipe: Pipeline, request: Request, given: Features, drawn: Draw, times: np.ndarray, latents: mx.array
) -> States:
    model = pipe.transformer
    states: States = model.with_states(latents, model.time_features(times), _text(pipe, given, drawn))
    return states


RUNS: dict[str, Callable[..., States]] = {"flux2": _run_flux2, "selfflow": _run_sit}


def make_head(model: nn.Module, width: int, seed: int) -> nn.Module:
    """The student's head (1, N, h) -> (1, N, h): the model's own where it has one (SiT), else a new one."""
    own = getattr(model, "projector", None)
    if isinstance(own, nn.Module):
        unpack_layers(own)
        return own
    mx.random.seed(seed)
    return nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))


def _text(pipe: Pipeline, given: Features, drawn: Draw) -> Any:
    """Features of the prompt; of a class they are the transformer's own, and change while it learns."""
    if pipe.spec.takes_text:
        return given.text
    return pipe.family.encode_text(pipe, None if drawn.dropped else given.text)
