"""The FLUX.2 transformer: dev (32B), klein 4B and 9B, klein KV, and the built-in mini.

Source: black-forest-labs/flux2, src/flux2/model.py. Module names are that checkpoint's: its files need no table.
Axis letters: B batch, T text tokens, N image tokens, R reference tokens, L = T + N + R, h hidden width,
H heads, D head width, C latent channels. Token order is always [text, image, references].
"""

from dataclasses import dataclass
from typing import NamedTuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from ..sizes import check_heads
from .ops import (
    LastLayer,
    MLPEmbedder,
    Modulation,
    QKNorm,
    SiLUGate,
    StreamAttention,
    add_gated,
    attention,
    in_parts,
    joined,
    modulate,
    rope_angles,
    rotate_pairs,
    split_heads,
    timestep_features,
)

TIME_FEATURES = 256


@dataclass(frozen=True)
class Params:
    """Sizes of one FLUX.2 transformer; the defaults are the ones that all published checkpoints share."""

    hidden_size: int
    num_heads: int
    depth: int
    depth_single_blocks: int
    context_in_dim: int
    in_channels: int = 128
    axes_dim: tuple[int, ...] = (32, 32, 32, 32)
    theta: float = 2000.0
    mlp_ratio: float = 3.0
    guidance_embed: bool = False

    def __post_init__(self):
        check_heads(self.hidden_size, self.num_heads, self.axes_dim)

    @property
    def mlp_width(self) -> int:
        return int(self.hidden_size * self.mlp_ratio)


Rope = tuple[mx.array, mx.array]
Bank = list[tuple[mx.array, mx.array]]  # K and V of the reference tokens, (B, H, R, D) each, one pair per block


class Condition(NamedTuple):
    """What stays the same over all steps of one run; made by Transformer.condition."""

    text: mx.array  # (B, T, h)
    references: mx.array | None  # (B, R, h), None where there are none or where a bank stands in for them
    bank: Bank | None
    rope: Rope  # (L, D/2) each, without the references where a bank is used


def feed_forward(p: Params) -> list:
    return [
        nn.Linear(p.hidden_size, 2 * p.mlp_width, bias=False),
        SiLUGate(),
        nn.Linear(p.mlp_width, p.hidden_size, bias=False),
    ]


def rows(vec, start: int, stop: int | None = None):
    """The conditioning of tokens start..stop; a single row serves all tokens."""
    return vec if vec.shape[1] == 1 else vec[:, start:stop]


def attend(q, k, v, rope: Rope, bank=None):
    """Rotate q and k, attend; -> (B, L, h) and the rotated (k, v). Keys of a bank are already rotated."""
    q, k = rotate_pairs(q, *rope), rotate_pairs(k, *rope)
    if bank is None:
        return attention(q, k, v), (k, v)
    keys, values = (mx.concatenate([own, kept], axis=2) for own, kept in zip((k, v), bank, strict=True))
    return attention(q, keys, values), (k, v)


class DoubleStreamBlock(nn.Module):
    def __init__(self, p: Params):
        super().__init__()
        self.img_attn, self.txt_attn = (StreamAttention(p.hidden_size, p.num_heads, bias=False) for _ in range(2))
        self.img_mlp, self.txt_mlp = feed_forward(p), feed_forward(p)

    def __call__(self, img, txt, img_mod, txt_mod, rope, bank=None):
        q, k, v = self.img_attn.heads_of(modulate(img, *img_mod[:2]))
        if txt is None:  # references alone, for the bank
            x, kv = attend(q, k, v, rope)
            return self._after("img", img, x, img_mod), None, kv
        joint = zip(self.txt_attn.heads_of(modulate(txt, *txt_mod[:2])), (q, k, v), strict=True)
        q, k, v = (mx.concatenate(pair, axis=2) for pair in joint)
        x, kv = attend(q, k, v, rope, bank)
        length = txt.shape[1]
        img = self._after("img", img, x[:, length:], img_mod)
        return img, self._after("txt", txt, x[:, :length], txt_mod), kv

    def _after(self, stream, x, attended, mod):
        _, _, gate1, shift2, scale2, gate2 = mod
        x = add_gated(x, gate1, self[f"{stream}_attn"].proj(attended))
        y = modulate(x, shift2, scale2)
        for layer in self[f"{stream}_mlp"]:
            y = layer(y)
        return add_gated(x, gate2, joined(y))


class SingleStreamBlock(nn.Module):
    def __init__(self, p: Params):
        super().__init__()
        self.params = (p.hidden_size, p.num_heads)
        self.linear1 = nn.Linear(p.hidden_size, 3 * p.hidden_size + 2 * p.mlp_width, bias=False)
        self.linear2 = nn.Linear(p.hidden_size + p.mlp_width, p.hidden_size, bias=False)
        self.norm = QKNorm(p.hidden_size // p.num_heads)
        self.mlp_act = SiLUGate()

    def __call__(self, x, mod, rope, bank=None):
        shift, scale, gate = mod
        hidden, heads = self.params
        qkv, mlp = mx.split(self.linear1(modulate(x, shift, scale)), [3 * hidden], axis=-1)
        q, k, v = (split_heads(part, heads) for part in mx.split(qkv, 3, axis=-1))
        attended, kv = attend(*self.norm(q, k), v, rope, bank)
        y = self.linear2(mx.concatenate([in_parts(attended), self.mlp_act(mlp)], axis=-1))
        return add_gated(x, gate, joined(y)), kv


class Transformer(nn.Module):
    """Velocity of the latents: called once per step with what `condition` prepared once per run."""

    def __init__(self, p: Params):
        super().__init__()
        self.params = p
        self.img_in = nn.Linear(p.in_channels, p.hidden_size, bias=False)
        self.txt_in = nn.Linear(p.context_in_dim, p.hidden_size, bias=False)
        self.time_in = MLPEmbedder(TIME_FEATURES, p.hidden_size, bias=False)
        if p.guidance_embed:
            self.guidance_in = MLPEmbedder(TIME_FEATURES, p.hidden_size, bias=False)
        self.double_stream_modulation_img = Modulation(p.hidden_size, 6, bias=False)
        self.double_stream_modulation_txt = Modulation(p.hidden_size, 6, bias=False)
        self.single_stream_modulation = Modulation(p.hidden_size, 3, bias=False)
        self.double_blocks = [DoubleStreamBlock(p) for _ in range(p.depth)]
        self.single_blocks = [SingleStreamBlock(p) for _ in range(p.depth_single_blocks)]
        self.final_layer = LastLayer(p.hidden_size, p.in_channels, bias=False)

    def rope(self, ids: np.ndarray) -> Rope:
        """Position ids (L, 4) -> the tables that `condition` takes."""
        return rope_angles(ids, self.params.axes_dim, self.params.theta)

    def condition(self, context, rope: Rope, references=None, bank: Bank | None = None) -> Condition:
        """Embed text (B, T, context_in_dim) and reference latents (B, R, C), once per run.

        `rope` covers [text, image, references], or [text, image] where a bank stands in for the references.
        """
        embedded = None if references is None else self.img_in(references)
        return Condition(self.txt_in(context), embedded, bank, rope)

    def time_vector(self, time_features, guidance_features=None):
        """(1 or B, 256), or (B, L, 256) for a time per token -> SiLU of the conditioning (B, 1 or L, h)."""
        vec = self.time_in(time_features.astype(self.dtype))
        if self.params.guidance_embed:
            vec = vec + self.guidance_in(guidance_features.astype(self.dtype))
        return nn.silu(vec if vec.ndim == 3 else vec[:, None])

    @property
    def dtype(self) -> mx.Dtype:
        return self.final_layer.linear.weight.dtype

    def __call__(self, latents, time_features, condition: Condition, guidance_features=None):
        """(B, N, C) latents at one time -> (B, N, C) velocity d latents / d t (t = 1 is noise)."""
        return self.with_states(latents, time_features, condition, guidance_features)[0]

    def with_states(self, latents, time_features, condition: Condition, guidance_features=None):
        """The velocity, and the image tokens (B, N, h) after every block, which Self-Flow compares."""
        vec = self.time_vector(time_features, guidance_features)
        img, count = self.img_in(latents.astype(self.dtype)), latents.shape[1]
        if condition.references is not None:
            img = mx.concatenate([img, condition.references], axis=1)
        length = condition.text.shape[1]
        _, states = self._blocks(img, condition.text, vec, condition.rope, condition.bank)
        states = [state[:, :count] for state in states]
        return self.final_layer(states[-1], rows(vec, length, length + count)), states

    def reference_bank(self, references, rope: Rope) -> Bank:
        """K and V of reference latents (B, R, C) for the KV checkpoints: references see only themselves, at t = 0.

        They depend on the references and nothing else, so one bank serves every prompt, seed, step and size.
        (BFL and diffusers compute the same values inside the first step of every picture.)
        """
        vec = self.time_vector(timestep_features([0.0]))
        return self._blocks(self.img_in(references.astype(self.dtype)), None, vec, rope, None)[0]

    def _blocks(self, img, txt, vec, rope, bank):
        """K and V (rotated) and the image stream after every block. All lazy: what nobody uses is never kept."""
        length = 0 if txt is None else txt.shape[1]
        img_mod = self.double_stream_modulation_img(rows(vec, length))
        txt_mod = self.double_stream_modulation_txt(rows(vec, 0, length))
        single_mod = self.single_stream_modulation(vec)
        kept, made, states = iter(bank or ()), [], []
        for block in self.double_blocks:
            img, txt, kv = block(img, txt, img_mod, txt_mod, rope, next(kept, None))
            made.append(kv)
            states.append(img)
        x = img if txt is None else mx.concatenate([txt, img], axis=1)
        for block in self.single_blocks:
            x, kv = block(x, single_mod, rope, next(kept, None))
            made.append(kv)
            states.append(x[:, length:])
        return made, states
