"""Flow matching on FLUX.2: noise levels, the student's loss, and the start of a new network.

x_t = (1 - t) data + t noise; the target is noise - data (Lipman et al. 2210.02747; Esser et al. 2403.03206 for the
logit-normal times). Axis letters: B batch, N image tokens, R reference tokens, T text tokens, C latent channels.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from ..geometry import Grid
from ..nets import flux2, text_qwen3
from ..nets.ops import Chain, Rope, rope_factors, run_layers, timestep_features
from ..run.latents import grid_ids, reference_ids, text_ids


class Batch(NamedTuple):
    """Samples with the same grids; `latents` is clean."""

    ids: mx.array  # (B, T) int32
    real: mx.array  # (B, T) bool
    latents: mx.array  # (B, N, C)
    references: mx.array | None  # (B, R, C)
    grids: tuple[Grid, ...]  # of the picture, then of each reference
    times: np.ndarray  # (B,) in (0, 1)
    weights: mx.array  # (B, N) of the loss


class TextToFlow(nn.Module):
    """Text encoder and transformer, trained together."""

    def __init__(self, text: text_qwen3.Params, transformer: flux2.Params) -> None:
        super().__init__()
        self.text_encoder = text_qwen3.TextEncoder(text)
        self.transformer = flux2.Transformer(transformer)

    def condition(self, batch: Batch) -> flux2.Condition:
        features = self.text_encoder(batch.ids, batch.real)
        rope = rope_tables(self.transformer.params, features.shape[1], batch.grids)
        return self.transformer.condition(features, rope, batch.references)


@lru_cache(maxsize=64)
def rope_tables(params: flux2.Params, tokens: int, grids: tuple[Grid, ...]) -> Rope:
    ids = np.concatenate([text_ids(tokens), grid_ids(grids[0]), reference_ids(list(grids[1:]))])
    tables = rope_factors(ids, params.axes_dim, params.theta)
    mx.eval(tables)
    return tables


def sample_times(rng: np.random.Generator, count: int, shift: float) -> np.ndarray:
    """(count,) logit-normal times, their median moved to sigmoid(shift)."""
    return 1 / (1 + np.exp(-(rng.normal(size=count) + shift)))


def velocity_loss(model: TextToFlow, batch: Batch) -> tuple[mx.array, dict[str, mx.array]]:
    """Mean squared error of the velocity; logged by the number of references."""
    noise = mx.random.normal(batch.latents.shape)
    t = mx.array(batch.times.astype(np.float32))[:, None, None]
    noisy = (1 - t) * batch.latents + t * noise
    v = model.transformer(noisy, timestep_features(batch.times), model.condition(batch))
    loss = (batch.weights * (v - (noise - batch.latents)).square().mean(-1)).mean()
    return loss, {f"loss{len(batch.grids) - 1}": loss}


def initialise(model: TextToFlow, qk_scale: float = 1.5) -> None:
    """Gates near 1, shifts and scales near 0, and a last layer of zeros, without a bias to put them in.

    FLUX.2's modulation has no bias, but its timestep features hold a constant: the cosine of the lowest frequency
    stays above 0.995 for all t. One hidden unit of `time_in` carries it through to the modulation.
    """
    t = model.transformer
    first, out = t.time_in.in_layer.weight, t.time_in.out_layer.weight
    constant = flux2.TIME_FEATURES // 2 - 1
    first[0] = 0.0
    first[0, constant] = 4.0
    out[0] = 0.0
    out[0, 0] = 1.0
    level = 3.93 / (1 + np.exp(-3.93))  # SiLU of SiLU(4): what the modulation sees of that unit
    for modulation in (t.double_stream_modulation_img, t.double_stream_modulation_txt, t.single_stream_modulation):
        weight = 0.1 * modulation.lin.weight
        width = weight.shape[1]
        for gate in range(2, 3 * modulation.count, 3):  # of shift, scale, gate
            weight[gate * width : (gate + 1) * width, 0] = 1.0 / level
        modulation.lin.weight = weight
    t.final_layer.linear.weight = mx.zeros_like(t.final_layer.linear.weight)
    last: Any = t.final_layer.adaLN_modulation[1]
    last.weight = 0.1 * last.weight
    streams = [stream for block in t.double_blocks for stream in (block.img_attn, block.txt_attn)]
    for norm in [part.norm for part in (*t.single_blocks, *streams)]:
        norm.query_norm.scale = qk_scale * norm.query_norm.scale


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
    _, seen = _run(teacher, batch._replace(times=cleaner), noise, np.repeat(cleaner[:, None], tokens, 1))
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
    """Velocity and states at per-token `times` (B, N); text and references go with the batch's."""
    condition = model.condition(batch)
    t = mx.array(times.astype(np.float32))[..., None]
    features = token_features(times, batch.times, batch.ids.shape[1], condition.rope.shape[0])
    return model.transformer.with_states((1 - t) * batch.latents + t * noise, features, condition)


def token_features(times: np.ndarray, first: np.ndarray, text: int, length: int) -> mx.array:
    """FLUX.2's time features (B, L, 256): `times` (B, N) for the picture, `first` (B,) for `text` tokens and others."""
    rest = length - text - times.shape[1]
    every = np.concatenate([_repeat(first, text), times, _repeat(first, rest)], axis=1)
    return timestep_features(every).reshape(*every.shape, -1)


def _repeat(times: np.ndarray, count: int) -> np.ndarray:
    return np.repeat(times[:, None], count, axis=1)
