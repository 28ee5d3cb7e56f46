"""Self-Flow: a student that sees two noise levels learns the features of its own average, which sees the cleaner one.

Source: Self-Flow (arXiv 2603.06507), algorithm as told in the issues of black-forest-labs/Self-Flow; its training code
is not released. Values: mask ratio 0.25 for pictures, weight 0.8, layers at 0.3 and 0.7 of the depth.
Axis letters: B batch, N image tokens, T text tokens, L all tokens, h width.
"""

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from ..nets import flux2, text_qwen3
from ..nets.ops import Chain, run_layers, timestep_features
from .flow import Batch, TextToFlow

MASK_RATIO, WEIGHT = 0.25, 0.8
STUDENT_LAYER, TEACHER_LAYER = 0.3, 0.7


class Student(TextToFlow):
    """TextToFlow with the small head that predicts the teacher's features; the head is not exported."""

    def __init__(self, text: text_qwen3.Params, transformer: flux2.Params) -> None:
        super().__init__(text, transformer)
        width = transformer.hidden_size
        self.head: Chain = [nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)]

    def predict(self, hidden: mx.array) -> mx.array:
        """(B, N, h) -> (B, N, h)."""
        return run_layers(self.head, hidden)


def layer_at(share: float, blocks: int) -> int:
    """Index of the block at `share` of the depth."""
    return max(0, min(blocks - 1, round(share * blocks) - 1))


def token_times(rng: np.random.Generator, times: np.ndarray, others: np.ndarray, tokens: int) -> np.ndarray:
    """(B, N): the second time on a random MASK_RATIO of the tokens, the first elsewhere."""
    masked = rng.random((len(times), tokens)) < MASK_RATIO
    return np.where(masked, others[:, None], times[:, None])


def self_flow_loss(
    model: Student, teacher: TextToFlow, batch: Batch, others: np.ndarray, rng: np.random.Generator
) -> tuple[mx.array, dict[str, mx.array]]:
    """Velocity loss at two noise levels plus WEIGHT times the distance (minus cosine) to the teacher's features.

    `others` (B,) are second times, drawn independently of batch.times. Text and references go with the first.
    """
    noise = mx.random.normal(batch.latents.shape)
    tokens = batch.latents.shape[1]
    per_token = token_times(rng, batch.times, others, tokens)
    v, states = _run(model, batch, noise, per_token)
    velocity = (batch.weights * (v - (noise - batch.latents)).square().mean(-1)).mean()
    cleaner = np.minimum(batch.times, others)
    _, seen = _run(teacher, batch, noise, np.repeat(cleaner[:, None], tokens, 1))
    blocks = len(states)
    wanted = mx.stop_gradient(seen[layer_at(TEACHER_LAYER, blocks)])
    likeness = cosine(model.predict(states[layer_at(STUDENT_LAYER, blocks)]), wanted)
    loss = velocity - WEIGHT * likeness
    return loss, {f"loss{len(batch.grids) - 1}": velocity, "likeness": likeness}


def cosine(a: mx.array, b: mx.array) -> mx.array:
    """Mean cosine over all tokens."""
    lengths = mx.linalg.norm(a, axis=-1) * mx.linalg.norm(b, axis=-1)
    return ((a * b).sum(-1) / mx.maximum(lengths, 1e-6)).mean()


def _run(model: TextToFlow, batch: Batch, noise: mx.array, times: np.ndarray) -> tuple[mx.array, list[mx.array]]:
    """Velocity and states at per-token `times` (B, N)."""
    condition = model.condition(batch)
    t = mx.array(times.astype(np.float32))[..., None]
    first = batch.times if times.std(1).max() > 0 else times[:, 0]
    features = token_features(times, first, batch.ids.shape[1], condition.rope[0].shape[0])
    return model.transformer.with_states((1 - t) * batch.latents + t * noise, features, condition)


def token_features(times: np.ndarray, first: np.ndarray, text: int, length: int) -> mx.array:
    """FLUX.2's time features (B, L, 256): `times` (B, N) for the picture, `first` (B,) for `text` tokens and others."""
    rest = length - text - times.shape[1]
    every = np.concatenate([_repeat(first, text), times, _repeat(first, rest)], axis=1)
    return timestep_features(every).reshape(*every.shape, -1)


def _repeat(times: np.ndarray, count: int) -> np.ndarray:
    return np.repeat(times[:, None], count, axis=1)
