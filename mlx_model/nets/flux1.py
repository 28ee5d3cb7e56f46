"""The FLUX.1 transformer: schnell, dev, Krea, Kontext, Fill, Canny and Depth.

Source: black-forest-labs/flux, src/flux/model.py and src/flux/modules/layers.py. Module names are that checkpoint's.
Unlike FLUX.2's every block has its own modulation, every linear layer a bias, and the text comes twice: as tokens,
and pooled into one vector.
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
    StreamAttention,
    add_gated,
    attention,
    modulate,
    rope_angles,
    rotate_pairs,
    split_heads,
)

TIME_FEATURES = 256


@dataclass(frozen=True)
class Params:
    """Sizes of one FLUX.1 transformer; the defaults are those of schnell.

    in_channels over out_channels: what lies beside the latents of every token (Fill 64 + 256, Canny and Depth 64).
    """

    hidden_size: int = 3072
    num_heads: int = 24
    depth: int = 19
    depth_single_blocks: int = 38
    context_in_dim: int = 4096
    vec_in_dim: int = 768
    in_channels: int = 64
    out_channels: int = 64
    axes_dim: tuple[int, ...] = (16, 56, 56)
    theta: float = 10000.0
    mlp_ratio: float = 4.0
    guidance_embed: bool = False

    def __post_init__(self):
        check_heads(self.hidden_size, self.num_heads, self.axes_dim)
        if self.in_channels < self.out_channels:
            raise ValueError(f"{self.in_channels} input channels can't hold the {self.out_channels} latent ones")

    @property
    def mlp_width(self) -> int:
        return int(self.hidden_size * self.mlp_ratio)

    @property
    def latent_channels(self) -> int:
        """Of one token's latents: what noise and the autoencoder have."""
        return self.out_channels


Rope = tuple[mx.array, mx.array]


class Condition(NamedTuple):
    """What stays the same over all steps of one run; made by Transformer.condition."""

    text: mx.array  # (B, T, h)
    vector: mx.array  # (B, h), from the pooled text
    references: mx.array | None  # (B, R, h)
    beside: mx.array | None  # (B, N, in_channels - C)
    rope: Rope  # (L, D/2) each


def feed_forward(p: Params) -> list:
    return [nn.Linear(p.hidden_size, p.mlp_width), nn.GELU("tanh"), nn.Linear(p.mlp_width, p.hidden_size)]


def attend(q, k, v, rope: Rope):
    """Rotate q and k (B, H, L, D), attend -> (B, L, h)."""
    return attention(rotate_pairs(q, *rope), rotate_pairs(k, *rope), v)


class DoubleStreamBlock(nn.Module):
    def __init__(self, p: Params):
        super().__init__()
        self.img_mod, self.txt_mod = (Modulation(p.hidden_size, 6, bias=True) for _ in range(2))
        self.img_attn, self.txt_attn = (StreamAttention(p.hidden_size, p.num_heads, bias=True) for _ in range(2))
        self.img_mlp, self.txt_mlp = feed_forward(p), feed_forward(p)

    def __call__(self, img, txt, activated_vec, rope):
        img_mod, txt_mod = self.img_mod(activated_vec), self.txt_mod(activated_vec)
        of_text = self.txt_attn.heads_of(modulate(txt, *txt_mod[:2]))
        of_image = self.img_attn.heads_of(modulate(img, *img_mod[:2]))
        q, k, v = (mx.concatenate(pair, axis=2) for pair in zip(of_text, of_image, strict=True))
        x = attend(q, k, v, rope)
        length = txt.shape[1]
        return self._after("img", img, x[:, length:], img_mod), self._after("txt", txt, x[:, :length], txt_mod)

    def _after(self, stream, x, attended, mod):
        _, _, gate1, shift2, scale2, gate2 = mod
        x = add_gated(x, gate1, self[f"{stream}_attn"].proj(attended))
        y = modulate(x, shift2, scale2)
        for layer in self[f"{stream}_mlp"]:
            y = layer(y)
        return add_gated(x, gate2, y)


class SingleStreamBlock(nn.Module):
    def __init__(self, p: Params):
        super().__init__()
        self.params = (p.hidden_size, p.num_heads)
        self.linear1 = nn.Linear(p.hidden_size, 3 * p.hidden_size + p.mlp_width)
        self.linear2 = nn.Linear(p.hidden_size + p.mlp_width, p.hidden_size)
        self.norm = QKNorm(p.hidden_size // p.num_heads)
        self.mlp_act = nn.GELU("tanh")
        self.modulation = Modulation(p.hidden_size, 3, bias=True)

    def __call__(self, x, activated_vec, rope):
        shift, scale, gate = self.modulation(activated_vec)
        hidden, heads = self.params
        qkv, mlp = mx.split(self.linear1(modulate(x, shift, scale)), [3 * hidden], axis=-1)
        q, k, v = (split_heads(part, heads) for part in mx.split(qkv, 3, axis=-1))
        attended = attend(*self.norm(q, k), v, rope)
        return add_gated(x, gate, self.linear2(mx.concatenate([attended, self.mlp_act(mlp)], axis=-1)))


class Transformer(nn.Module):
    """Velocity of the latents: called once per step with what `condition` prepared once per run."""

    def __init__(self, p: Params):
        super().__init__()
        self.params = p
        self.img_in = nn.Linear(p.in_channels, p.hidden_size)
        self.txt_in = nn.Linear(p.context_in_dim, p.hidden_size)
        self.time_in = MLPEmbedder(TIME_FEATURES, p.hidden_size, bias=True)
        self.vector_in = MLPEmbedder(p.vec_in_dim, p.hidden_size, bias=True)
        if p.guidance_embed:
            self.guidance_in = MLPEmbedder(TIME_FEATURES, p.hidden_size, bias=True)
        self.double_blocks = [DoubleStreamBlock(p) for _ in range(p.depth)]
        self.single_blocks = [SingleStreamBlock(p) for _ in range(p.depth_single_blocks)]
        self.final_layer = LastLayer(p.hidden_size, p.out_channels, bias=True)

    def rope(self, ids: np.ndarray) -> Rope:
        """Position ids (L, 3) -> the tables that `condition` takes."""
        return rope_angles(ids, self.params.axes_dim, self.params.theta)

    def condition(self, context, rope: Rope, references=None, *, pooled, beside=None) -> Condition:
        """Embed text (B, T, context_in_dim), pooled text (B, vec_in_dim) and reference latents (B, R, C), once per run.

        `rope` covers [text, image, references]. `beside` (B, N, in_channels - C) joins the latents of every token:
        Fill's masked picture and mask, Canny's and Depth's control picture.
        """
        embedded = None if references is None else self.img_in(references.astype(self.dtype))
        vector = self.vector_in(pooled.astype(self.dtype))
        beside = None if beside is None else beside.astype(self.dtype)
        return Condition(self.txt_in(context.astype(self.dtype)), vector, embedded, beside, rope)

    def time_vector(self, time_features, vector, guidance_features=None):
        """(1 or B, 256) and (B, h) -> SiLU of the conditioning (B, 1, h)."""
        vec = self.time_in(time_features.astype(self.dtype)) + vector
        if self.params.guidance_embed:
            vec = vec + self.guidance_in(guidance_features.astype(self.dtype))
        return nn.silu(vec)[:, None]

    @property
    def dtype(self) -> mx.Dtype:
        return self.final_layer.linear.weight.dtype

    def __call__(self, latents, time_features, condition: Condition, guidance_features=None):
        """(B, N, C) latents at one time -> (B, N, C) velocity d latents / d t (t = 1 is noise)."""
        vec = self.time_vector(time_features, condition.vector, guidance_features)
        img, txt, count = self._image(latents.astype(self.dtype), condition), condition.text, latents.shape[1]
        for block in self.double_blocks:
            img, txt = block(img, txt, vec, condition.rope)
        x, length = mx.concatenate([txt, img], axis=1), txt.shape[1]
        for block in self.single_blocks:
            x = block(x, vec, condition.rope)
        return self.final_layer(x[:, length : length + count], vec)

    def _image(self, latents, condition: Condition):
        """(B, N, C) -> the image stream (B, N + R, h)."""
        if condition.beside is not None:
            latents = mx.concatenate([latents, condition.beside], axis=-1)
        img = self.img_in(latents)
        return img if condition.references is None else mx.concatenate([img, condition.references], axis=1)
