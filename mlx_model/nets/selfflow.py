"""SiT-XL/2 of Self-Flow: pictures of the 1000 ImageNet classes, with a time of its own for every token if wanted.

Source: black-forest-labs/Self-Flow (model.py); module names are that checkpoint's.
Axis letters: B batch, N tokens, h hidden width, C numbers per token (c p p, as autoencoder.pack makes them).
Times run from 1 (noise) to 0 (picture) like everywhere here; the network itself takes s = 1 - t.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from numpy.typing import ArrayLike

from ..foreign import check_heads
from .ops import (
    Chain,
    LastLayer,
    Layer,
    Walk,
    add_gated,
    attention,
    finish,
    gelu_tanh,
    keep_states,
    modulate,
    run_layers,
    silu,
    split_modulation,
    split_qkv,
    timestep_features,
)

TIME_FEATURES = 256


@dataclass(frozen=True)
class Params:
    """`input_size` counts latents along a side; `num_classes` includes the null class, the last one."""

    input_size: int = 32
    patch_size: int = 2
    latent_channels: int = 4
    hidden_size: int = 1152
    depth: int = 28
    num_heads: int = 16
    mlp_ratio: float = 4.0
    num_classes: int = 1001
    learn_sigma: bool = True

    def __post_init__(self) -> None:
        check_heads(self.hidden_size, self.num_heads)
        if self.patch_size < 1 or self.input_size % self.patch_size:
            raise ValueError(f"{self.input_size} latents a side can't be cut into patches of {self.patch_size}")

    @property
    def in_channels(self) -> int:
        """Numbers per token."""
        return self.latent_channels * self.patch_size**2

    @property
    def side(self) -> int:
        """Tokens along a side."""
        return self.input_size // self.patch_size

    @property
    def null_class(self) -> int:
        return self.num_classes - 1


def position_embedding(p: Params) -> mx.array:
    """(1, N, h): [sin, cos] of the column, then of the row."""
    rows, columns = np.indices((p.side, p.side)).reshape(2, -1)
    frequencies = 10000.0 ** (-np.arange(p.hidden_size // 4) / (p.hidden_size // 4))
    angles = [index[:, None] * frequencies for index in (columns, rows)]
    table = np.concatenate([part for a in angles for part in (np.sin(a), np.cos(a))], axis=-1)
    return mx.array(table.astype(np.float32))[None]


class Attention(nn.Module):
    """(B, N, h) -> (B, N, h)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv: Layer = nn.Linear(width, 3 * width)
        self.proj: Layer = nn.Linear(width, width)

    def __call__(self, x: mx.array) -> mx.array:
        q, k, v = split_qkv(self.qkv(x), self.heads)  # (B, N, 3 h) -> 3 x (B, H, N, D)
        return self.proj(attention(q, k, v))


class MLP(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1: Layer = nn.Linear(width, inner)
        self.fc2: Layer = nn.Linear(inner, width)

    def __call__(self, x: mx.array) -> mx.array:
        return self.fc2(gelu_tanh(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        width = p.hidden_size
        self.attn = Attention(width, p.num_heads)
        self.mlp = MLP(width, int(width * p.mlp_ratio))
        self.adaLN_modulation: Chain = [nn.SiLU(), nn.Linear(width, 6 * width)]

    def __call__(self, x: mx.array, vec: mx.array) -> mx.array:
        """x (B, N, h), vec (B, 1 or N, h) -> (B, N, h)."""
        mod1, mod2 = split_modulation(self.adaLN_modulation[1](vec), 2)
        x = add_gated(x, mod1.gate, self.attn(modulate(x, mod1.shift, mod1.factor)))
        return add_gated(x, mod2.gate, self.mlp(modulate(x, mod2.shift, mod2.factor)))


class PatchEmbedder(nn.Module):
    """(B, N, C) -> (B, N, h); a convolution in the checkpoint."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.proj: Layer = nn.Linear(channels, width)

    def __call__(self, x: mx.array) -> mx.array:
        return self.proj(x)


class TimeEmbedder(nn.Module):
    """Features of a time (..., 256) -> (..., h)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp: Chain = [nn.Linear(TIME_FEATURES, width), nn.SiLU(), nn.Linear(width, width)]

    def __call__(self, x: mx.array) -> mx.array:
        return run_layers(self.mlp, x)


class ClassEmbedder(nn.Module):
    """Class numbers (B,) -> (B, h)."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.embedding_table: Layer = nn.Embedding(classes, width)

    def __call__(self, labels: mx.array) -> mx.array:
        return self.embedding_table(labels)


class Projector(nn.Module):
    """(B, N, h) -> (B, N, h): the head that learns the teacher's features."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear1: Layer = nn.Linear(width, 2 * width)
        self.linear2: Layer = nn.Linear(2 * width, width)

    def __call__(self, x: mx.array) -> mx.array:
        return self.linear2(silu(self.linear1(x)))


class Transformer(nn.Module):
    """Velocity of the latents: called once per step with what `condition` prepared once per run."""

    def __init__(self, p: Params) -> None:
        super().__init__()
        self.params = p
        width = p.hidden_size
        self.pos_embed = position_embedding(p)
        self.x_embedder = PatchEmbedder(p.in_channels, width)
        self.t_embedder = TimeEmbedder(width)
        self.y_embedder = ClassEmbedder(p.num_classes, width)
        self.blocks = [Block(p) for _ in range(p.depth)]
        self.final_layer = LastLayer(width, p.in_channels * (2 if p.learn_sigma else 1), bias=True)
        self.projector = Projector(width)

    @property
    def dtype(self) -> mx.Dtype:
        return self.pos_embed.dtype

    def time_features(self, times: ArrayLike) -> mx.array:
        """Times (n,), or (B, N) for a time per token -> features (n, 256) or (B, N, 256)."""
        times = np.asarray(times, np.float64)
        return timestep_features(1 - times, TIME_FEATURES, scale=1.0).reshape(*times.shape, TIME_FEATURES)

    def condition(self, labels: list[int]) -> mx.array:
        """Class numbers (B,) -> (B, 1, h)."""
        return self.y_embedder(mx.array(labels))[:, None]

    def __call__(self, latents: mx.array, time_features: mx.array, condition: mx.array) -> mx.array:
        """(B, N, C) latents -> (B, N, C) velocity d latents / d t (t = 1 is noise)."""
        return finish(self.walk(latents, time_features, condition))[0]

    def with_states(
        self, latents: mx.array, time_features: mx.array, condition: mx.array
    ) -> tuple[mx.array, list[mx.array]]:
        """The velocity, and the tokens (B, N, h) after every block, lazily: what nobody uses is never made."""
        return keep_states(self.walk(latents, time_features, condition))

    def walk(self, latents: mx.array, time_features: mx.array, condition: mx.array) -> Walk:
        """`__call__`, block by block."""
        x = self.x_embedder(latents.astype(self.dtype)) + self.pos_embed  # (B, N, h)
        time = self.t_embedder(time_features.astype(self.dtype))
        vec = silu((time if time.ndim == 3 else time[:, None]) + condition)  # (B, 1 or N, h)
        last = self.final_layer.steer(vec)
        return Walk(x, self._run_blocks(x, vec), lambda x: self._unpack(self.final_layer(x, last)))

    def _run_blocks(self, x: mx.array, vec: mx.array) -> Iterator[mx.array]:
        for block in self.blocks:
            x = block(x, vec)
            yield x

    def _unpack(self, x: mx.array) -> mx.array:
        """(B, N, p q c) -> (B, N, c p q) of the first half of the channels, with the sign of our direction of time."""
        p = self.params
        x = x.reshape(*x.shape[:2], p.patch_size**2, -1).swapaxes(2, 3)
        return -x[:, :, : p.latent_channels].reshape(*x.shape[:2], p.in_channels)
