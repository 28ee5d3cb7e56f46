"""SiT-XL/2 of Self-Flow: pictures of the 1000 ImageNet classes, with a time of its own for every token if wanted.

Source: black-forest-labs/Self-Flow (model.py); module names are that checkpoint's.
Axis letters: B batch, N tokens, h hidden width, C numbers per token (c p p, as autoencoder.pack makes them).
Times run from 1 (noise) to 0 (picture) like everywhere here; the network itself takes s = 1 - t.
"""

from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from ..sizes import check_heads
from .ops import add_gated, attention, modulate, split_heads, timestep_features

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

    def __post_init__(self):
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


class Named(nn.Module):
    """A group of layers by the names that the checkpoint has for them."""

    def __init__(self, **layers):
        super().__init__()
        for name, layer in layers.items():
            self[name] = layer


class Attention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def __call__(self, x):
        return self.proj(attention(*(split_heads(y, self.heads) for y in mx.split(self.qkv(x), 3, axis=-1))))


class Block(nn.Module):
    def __init__(self, p: Params):
        super().__init__()
        width = p.hidden_size
        self.attn = Attention(width, p.num_heads)
        inner = int(width * p.mlp_ratio)
        self.mlp = Named(fc1=nn.Linear(width, inner), fc2=nn.Linear(inner, width))
        self.adaLN_modulation = [nn.SiLU(), nn.Linear(width, 6 * width)]

    def __call__(self, x, activated):
        shift1, scale1, gate1, shift2, scale2, gate2 = mx.split(self.adaLN_modulation[1](activated), 6, axis=-1)
        x = add_gated(x, gate1, self.attn(modulate(x, shift1, scale1)))
        hidden = nn.gelu_approx(self.mlp.fc1(modulate(x, shift2, scale2)))
        return add_gated(x, gate2, self.mlp.fc2(hidden))


class LastLayer(nn.Module):
    def __init__(self, p: Params):
        super().__init__()
        outputs = p.in_channels * (2 if p.learn_sigma else 1)
        self.linear = nn.Linear(p.hidden_size, outputs)
        self.adaLN_modulation = [nn.SiLU(), nn.Linear(p.hidden_size, 2 * p.hidden_size)]

    def __call__(self, x, activated):
        shift, scale = mx.split(self.adaLN_modulation[1](activated), 2, axis=-1)
        return self.linear(modulate(x, shift, scale))


class Transformer(nn.Module):
    """Velocity of the latents: called once per step with what `condition` prepared once per run."""

    def __init__(self, p: Params):
        super().__init__()
        self.params = p
        width = p.hidden_size
        self.pos_embed = position_embedding(p)
        self.x_embedder = Named(proj=nn.Linear(p.in_channels, width))
        self.t_embedder = Named(mlp=[nn.Linear(TIME_FEATURES, width), nn.SiLU(), nn.Linear(width, width)])
        self.y_embedder = Named(embedding_table=nn.Embedding(p.num_classes, width))
        self.blocks = [Block(p) for _ in range(p.depth)]
        self.final_layer = LastLayer(p)
        self.projector = Named(linear1=nn.Linear(width, 2 * width), linear2=nn.Linear(2 * width, width))

    @property
    def dtype(self) -> mx.Dtype:
        return self.pos_embed.dtype

    def time_features(self, times) -> mx.array:
        """Times (n,), or (B, N) for a time per token -> features (n, 256) or (B, N, 256)."""
        times = np.asarray(times, np.float64)
        return timestep_features(1 - times, TIME_FEATURES, scale=1.0).reshape(*times.shape, TIME_FEATURES)

    def condition(self, labels) -> mx.array:
        """Class numbers (B,) -> (B, 1, h)."""
        return self.y_embedder.embedding_table(mx.array(labels))[:, None]

    def __call__(self, latents, time_features, condition):
        """(B, N, C) latents -> (B, N, C) velocity d latents / d t (t = 1 is noise)."""
        return self.with_states(latents, time_features, condition)[0]

    def with_states(self, latents, time_features, condition):
        """The velocity, and the tokens (B, N, h) after every block, lazily: what nobody uses is never made."""
        x = self.x_embedder.proj(latents.astype(self.dtype)) + self.pos_embed
        activated, states = nn.silu(self._time(time_features) + condition), []
        for block in self.blocks:
            x = block(x, activated)
            states.append(x)
        return self._unpack(self.final_layer(x, activated)), states

    def project(self, state):
        """The head that learns the teacher's features, on the tokens after a block."""
        return self.projector.linear2(nn.silu(self.projector.linear1(state)))

    def _time(self, features):
        x = features.astype(self.dtype)
        for layer in self.t_embedder.mlp:
            x = layer(x)
        return x if x.ndim == 3 else x[:, None]

    def _unpack(self, x):
        """(B, N, p q c) -> (B, N, c p q) of the first half of the channels, with the sign of our direction of time."""
        p = self.params
        x = x.reshape(*x.shape[:2], p.patch_size**2, -1).swapaxes(2, 3)
        return -x[:, :, : p.latent_channels].reshape(*x.shape[:2], p.in_channels)
