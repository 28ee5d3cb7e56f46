"""The FLUX.2 transformer in torch, with the names and Params of mlx_model/nets/flux2.py.

Axis letters: B batch, T text tokens, N image tokens, R reference tokens, L = T + N + R, h width, C latent channels.
Token order is [text, image, references].
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from mlx_model.geometry import Grid
from mlx_model.nets.flux2 import TIME_FEATURES, Params
from mlx_model.run.latents import grid_ids, reference_ids, text_ids
from mlx_model.training.joint import clip_ids
from mlx_model.training.patches import Places

from .ops import RMSNorm, attention, merge_heads, rope_angles, rotate_pairs, split_heads

EPS = 1e-6


def timestep_features(times: torch.Tensor) -> torch.Tensor:
    """(B,) in 0..1 -> (B, TIME_FEATURES): cosines, then sines, counted in float64."""
    half = TIME_FEATURES // 2
    frequencies = torch.exp(-math.log(10000.0) * torch.arange(half, dtype=torch.float64) / half)
    angles = 1000.0 * times.double()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], -1).float()


def spread(values: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """(B, 2, w) of two times, and which tokens have the second (B, L) -> (B, L, w)."""
    return torch.where(second[..., None], values[:, 1:], values[:, :1])


def rows(values: torch.Tensor, kept: slice) -> torch.Tensor:
    """Of the tokens `kept`; a single row serves all."""
    return values if values.shape[1] == 1 else values[:, kept]


def modulated(x, shift, scale):
    """Layer norm without weights of its own, then shifted and scaled by the time."""
    return F.layer_norm(x, (x.shape[-1],), None, None, EPS) * (1 + scale) + shift


class QKNorm(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.query_norm, self.key_norm = RMSNorm(width), RMSNorm(width)


class MLPEmbedder(nn.Module):
    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.in_layer, self.out_layer = nn.Linear(width, hidden, bias=False), nn.Linear(hidden, hidden, bias=False)

    def forward(self, x):
        return self.out_layer(F.silu(self.in_layer(x)))


class Modulation(nn.Module):
    """Shift, scale and gate of each part, of what a time makes."""

    def __init__(self, hidden: int, parts: int):
        super().__init__()
        self.lin = nn.Linear(hidden, parts * hidden, bias=False)


class Gated(nn.Module):
    def forward(self, x):
        gate, up = x.chunk(2, -1)
        return F.silu(gate) * up


def feed_forward(p: Params) -> nn.Sequential:
    inner, outer = nn.Linear(p.hidden_size, 2 * p.mlp_width, bias=False), nn.Linear(p.mlp_width, p.hidden_size, False)
    return nn.Sequential(inner, Gated(), outer)


class StreamAttention(nn.Module):
    """The attention layers of one stream of a double block."""

    def __init__(self, p: Params):
        super().__init__()
        self.heads = p.num_heads
        self.qkv = nn.Linear(p.hidden_size, 3 * p.hidden_size, bias=False)
        self.norm = QKNorm(p.hidden_size // p.num_heads)
        self.proj = nn.Linear(p.hidden_size, p.hidden_size, bias=False)

    def qkv_heads(self, x):
        q, k, v = (split_heads(part, self.heads) for part in self.qkv(x).chunk(3, -1))
        return self.norm.query_norm(q), self.norm.key_norm(k), v


class DoubleBlock(nn.Module):
    def __init__(self, p: Params):
        super().__init__()
        self.img_attn, self.txt_attn = StreamAttention(p), StreamAttention(p)
        self.img_mlp, self.txt_mlp = feed_forward(p), feed_forward(p)

    def forward(self, img, txt, img_mod, txt_mod, rope):
        streams = (
            self.txt_attn.qkv_heads(modulated(txt, *txt_mod[:2])),
            self.img_attn.qkv_heads(modulated(img, *img_mod[:2])),
        )
        q, k, v = (torch.cat(parts, 2) for parts in zip(*streams, strict=True))
        seen = merge_heads(attention(rotate_pairs(q, *rope), rotate_pairs(k, *rope), v))
        length = txt.shape[1]
        img = img + img_mod[2] * self.img_attn.proj(seen[:, length:])
        txt = txt + txt_mod[2] * self.txt_attn.proj(seen[:, :length])
        img = img + img_mod[5] * self.img_mlp(modulated(img, img_mod[3], img_mod[4]))
        return img, txt + txt_mod[5] * self.txt_mlp(modulated(txt, txt_mod[3], txt_mod[4]))


class SingleBlock(nn.Module):
    def __init__(self, p: Params):
        super().__init__()
        self.hidden, self.inner, self.heads = p.hidden_size, p.mlp_width, p.num_heads
        self.linear1 = nn.Linear(p.hidden_size, 3 * p.hidden_size + 2 * p.mlp_width, bias=False)
        self.linear2 = nn.Linear(p.hidden_size + p.mlp_width, p.hidden_size, bias=False)
        self.norm = QKNorm(p.hidden_size // p.num_heads)

    def forward(self, x, mod, rope, kept: slice = slice(None)):
        """Of the tokens `kept`: keys and values come from all of them, everything else is made for these alone."""
        y = modulated(x, mod[0], mod[1])
        own, mine = y[:, kept], tuple(table[kept] for table in rope)
        q, kv, mlp = self.linear1.weight.split([self.hidden, 2 * self.hidden, 2 * self.inner])
        q, mlp = F.linear(own, torch.cat([q, mlp])).split([self.hidden, 2 * self.inner], -1)
        k, v = (split_heads(part, self.heads) for part in F.linear(y, kv).chunk(2, -1))
        q, k = self.norm.query_norm(split_heads(q, self.heads)), self.norm.key_norm(k)
        seen = merge_heads(attention(rotate_pairs(q, *mine), rotate_pairs(k, *rope), v))
        gate, up = mlp.chunk(2, -1)
        return x[:, kept] + rows(mod[2], kept) * self.linear2(torch.cat([seen, F.silu(gate) * up], -1))


class LastLayer(nn.Module):
    def __init__(self, p: Params):
        super().__init__()
        self.linear = nn.Linear(p.hidden_size, p.in_channels, bias=False)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(p.hidden_size, 2 * p.hidden_size, bias=False))

    def forward(self, x, steering):
        """`steering`: shift and scale, which its adaLN_modulation makes of the time."""
        return self.linear(modulated(x, *steering))


@lru_cache(maxsize=64)
def rope_tables(p: Params, tokens: int, grids: tuple[Grid, ...] | Places) -> tuple[torch.Tensor, torch.Tensor]:
    """Of `tokens` words, the picture and its references, or a clip's places: (L, D/2) each."""
    ids = [clip_ids(grids)] if isinstance(grids[0], int) else [grid_ids(grids[0]), reference_ids(list(grids[1:]))]
    return rope_angles(torch.from_numpy(np.concatenate([text_ids(tokens), *ids])), p.axes_dim, p.theta)


class Transformer(nn.Module):
    def __init__(self, p: Params):
        super().__init__()
        self.params, hidden = p, p.hidden_size
        self.img_in, self.txt_in = nn.Linear(p.in_channels, hidden, False), nn.Linear(p.context_in_dim, hidden, False)
        self.time_in = MLPEmbedder(TIME_FEATURES, hidden)
        self.double_stream_modulation_img, self.double_stream_modulation_txt = (Modulation(hidden, 6) for _ in "it")
        self.single_stream_modulation = Modulation(hidden, 3)
        self.double_blocks = nn.ModuleList(DoubleBlock(p) for _ in range(p.depth))
        self.single_blocks = nn.ModuleList(SingleBlock(p) for _ in range(p.depth_single_blocks))
        self.final_layer = LastLayer(p)

    def forward(self, noisy, times, text, references, grids: tuple[Grid, ...]) -> torch.Tensor:
        """(B, N, C) at (B,) times, with (B, T, c) features of words and (B, R, C) or None -> (B, N, C) velocities."""
        return self.with_states(noisy, times, text, references, grids)[0]

    def with_states(
        self, noisy, times, text, references, grids: tuple[Grid, ...] | Places, second: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The velocity, and the picture's tokens (B, N, h) after every block.

        Times are (B,), or (B, 2) with the tokens of the picture that have the `second` (B, N) bool.
        """
        rope = rope_tables(self.params, text.shape[1], grids)
        img = self.img_in(noisy if references is None else torch.cat([noisy, references], 1))
        txt, length, count = self.txt_in(text), text.shape[1], noisy.shape[1]
        picture = slice(length, length + count)
        steering = self.steer(times, None if second is None else self._among_all(second, length, img.shape[1]))
        img_mod, txt_mod, mod, last = (steering[name] for name in ("img", "txt", "single", "last"))
        img_mod, txt_mod = [rows(x, slice(length, None)) for x in img_mod], [rows(x, slice(length)) for x in txt_mod]
        states = []
        for block in self.double_blocks:
            img, txt = block(img, txt, img_mod, txt_mod, rope)
            states.append(img[:, :count])
        x = torch.cat([txt, img], 1)
        for block in self.single_blocks[:-1]:
            x = block(x, mod, rope)
            states.append(x[:, picture])
        # The last block makes what is looked at afterwards, and nothing else.
        states.append(self.single_blocks[-1](x, mod, rope, picture))
        return self.final_layer(states[-1], [rows(part, picture) for part in last]), states

    def _among_all(self, second: torch.Tensor, text: int, img: int) -> torch.Tensor:
        """(B, N) of the picture -> (B, L): words and references have the first time."""
        return F.pad(second, (text, img - second.shape[1]))

    def steer(self, times: torch.Tensor, second: torch.Tensor | None) -> dict[str, Sequence[torch.Tensor]]:
        """What times do to all blocks, of one row (B, 1, h) each or, with `second` (B, L), of one for each token."""
        v = F.silu(self.time_in(timestep_features(times.reshape(-1)))).unflatten(0, (len(times), -1))
        layers = {
            "img": self.double_stream_modulation_img.lin,
            "txt": self.double_stream_modulation_txt.lin,
            "single": self.single_stream_modulation.lin,
            "last": self.final_layer.adaLN_modulation[1],
        }
        made = {name: layer(v) for name, layer in layers.items()}
        every = made if second is None else {name: spread(x, second) for name, x in made.items()}
        return {name: x.split(self.params.hidden_size, -1) for name, x in every.items()}
