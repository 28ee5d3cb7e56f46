"""The FLUX.1 transformer: schnell, dev, Krea, Kontext, Fill, Canny and Depth.

Source: black-forest-labs/flux, src/flux/model.py and src/flux/modules/layers.py. Module names are that checkpoint's.
Unlike FLUX.2's every block has its own modulation, every linear layer a bias, and the text comes twice: as tokens,
and pooled into one vector.
Axis letters: B batch, T text tokens, N image tokens, R reference tokens, L = T + N + R, h hidden width,
H heads, D head width, C latent channels. Token order is always [text, image, references].
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from ..foreign import check_heads
from .ops import (
    Chain,
    GELUTanh,
    LastLayer,
    Layer,
    MLPEmbedder,
    Modulation,
    ModulationOut,
    QKNorm,
    Rope,
    StreamAttention,
    Walk,
    add_gated,
    attention,
    can_cut,
    finish,
    join_streams,
    modulate,
    rope_factors,
    rotate_pairs,
    run_layers,
    run_rows,
    silu,
    split_heads,
    split_qkv,
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

    def __post_init__(self) -> None:
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


class Condition(NamedTuple):
    """What stays the same over all steps of one run; made by Transformer.condition."""

    text: mx.array  # (B, T, h)
    vector: mx.array  # (B, h), from the pooled text
    references: mx.array | None  # (B, R, h)
    beside: mx.array | None  # (B, N, in_channels - C)
    rope: Rope  # (L, D/2)


def feed_forward(p: Params) -> Chain:
    """(..., h) -> (..., h)."""
    return [nn.Linear(p.hidden_size, p.mlp_width), GELUTanh(), nn.Linear(p.mlp_width, p.hidden_size)]


Pair = tuple[list[ModulationOut], list[ModulationOut]]  # of the image and of the text


class Steering(NamedTuple):
    """What a time, a guidance and the pooled text do to every block, by Transformer.steer; or the conditioning
    (B, 1, h) of which each block makes it itself, by steer_later."""

    double: Sequence[Pair | mx.array]
    single: Sequence[ModulationOut | mx.array]
    last: tuple[mx.array, mx.array]  # shift and 1 + scale


def attend(q: mx.array, k: mx.array, v: mx.array, rope: Rope, asking: slice = slice(None)) -> mx.array:
    """Rotate q and k (B, H, L, D) by their positions, attend -> (B, L, h). `asking`: the tokens that q is of."""
    return attention(rotate_pairs(q, rope[asking]), rotate_pairs(k, rope), v)


class DoubleStreamBlock(nn.Module):
    """Text and image with weights of their own, in one attention over both."""

    def __init__(self, p: Params) -> None:
        super().__init__()
        self.img_mod, self.txt_mod = (Modulation(p.hidden_size, 2, bias=True) for _ in range(2))
        self.img_attn, self.txt_attn = (StreamAttention(p.hidden_size, p.num_heads, bias=True) for _ in range(2))
        self.img_mlp, self.txt_mlp = feed_forward(p), feed_forward(p)

    def steer(self, vec: mx.array) -> Pair:
        """vec (B, 1, h): the conditioning after SiLU."""
        return self.img_mod(vec), self.txt_mod(vec)

    def __call__(self, img: mx.array, txt: mx.array, mods: Pair | mx.array, rope: Rope) -> tuple[mx.array, mx.array]:
        """img (B, N + R, h), txt (B, T, h) -> img, txt."""
        (img_mod1, img_mod2), (txt_mod1, txt_mod2) = self.steer(mods) if isinstance(mods, mx.array) else mods
        img_qkv = self.img_attn.project(modulate(img, img_mod1.shift, img_mod1.factor))  # 3 x (B, H, N + R, D)
        txt_qkv = self.txt_attn.project(modulate(txt, txt_mod1.shift, txt_mod1.factor))  # 3 x (B, H, T, D)
        x = attend(*join_streams(txt_qkv, img_qkv), rope)  # (B, L, h)
        length = txt.shape[1]

        img = add_gated(img, img_mod1.gate, self.img_attn.proj(x[:, length:]))
        img = add_gated(img, img_mod2.gate, run_layers(self.img_mlp, modulate(img, img_mod2.shift, img_mod2.factor)))
        txt = add_gated(txt, txt_mod1.gate, self.txt_attn.proj(x[:, :length]))
        txt = add_gated(txt, txt_mod2.gate, run_layers(self.txt_mlp, modulate(txt, txt_mod2.shift, txt_mod2.factor)))
        return img, txt


class SingleStreamBlock(nn.Module):
    """All tokens in one stream; attention and feed-forward side by side, their first and last layers in one."""

    def __init__(self, p: Params) -> None:
        super().__init__()
        self.params = (p.hidden_size, p.num_heads)
        self.linear1: Layer = nn.Linear(p.hidden_size, 3 * p.hidden_size + p.mlp_width)
        self.linear2: Layer = nn.Linear(p.hidden_size + p.mlp_width, p.hidden_size)
        self.norm = QKNorm(p.hidden_size // p.num_heads)
        self.mlp_act = GELUTanh()
        self.modulation = Modulation(p.hidden_size, 1, bias=True)

    def steer(self, vec: mx.array) -> ModulationOut:
        """vec (B, 1, h): the conditioning after SiLU."""
        return self.modulation(vec)[0]

    def __call__(self, x: mx.array, mod: ModulationOut | mx.array, rope: Rope) -> mx.array:
        """x (B, L, h) -> (B, L, h)."""
        mod = self.steer(mod) if isinstance(mod, mx.array) else mod
        hidden, heads = self.params
        qkv, mlp = mx.split(self.linear1(modulate(x, mod.shift, mod.factor)), [3 * hidden], axis=-1)
        q, k, v = split_qkv(qkv, heads)  # (B, L, 3 h) -> 3 x (B, H, L, D)
        q, k = self.norm(q, k)
        return self._add(x, mod.gate, attend(q, k, v, rope), mlp)

    def run_last(self, x: mx.array, mod: ModulationOut | mx.array, rope: Rope, image: slice) -> mx.array:
        """x (B, L, h) -> the tokens `image` alone, (B, N, h): of the others only keys and values are needed."""
        if not can_cut(self.linear1):
            return self(x, mod, rope)[:, image]
        mod = self.steer(mod) if isinstance(mod, mx.array) else mod
        hidden, heads = self.params
        modulated = modulate(x, mod.shift, mod.factor)
        both = mx.split(run_rows(self.linear1, modulated, hidden, 3 * hidden), 2, axis=-1)
        k, v = (split_heads(part, heads) for part in both)
        own = modulated[:, image]
        q = split_heads(run_rows(self.linear1, own, 0, hidden), heads)
        q, k = self.norm(q, k)
        mlp = run_rows(self.linear1, own, 3 * hidden, None)
        return self._add(x[:, image], mod.gate, attend(q, k, v, rope, image), mlp)

    def _add(self, x: mx.array, gate: mx.array, attended: mx.array, mlp: mx.array) -> mx.array:
        y = mx.concatenate([attended, self.mlp_act(mlp)], axis=-1)  # (B, L, h + mlp)
        return add_gated(x, gate, self.linear2(y))


class Transformer(nn.Module):
    """Velocity of the latents: called once per step with what `condition` prepared once per run."""

    def __init__(self, p: Params) -> None:
        super().__init__()
        self.params = p
        self.img_in: Layer = nn.Linear(p.in_channels, p.hidden_size)
        self.txt_in: Layer = nn.Linear(p.context_in_dim, p.hidden_size)
        self.time_in = MLPEmbedder(TIME_FEATURES, p.hidden_size, bias=True)
        self.vector_in = MLPEmbedder(p.vec_in_dim, p.hidden_size, bias=True)
        if p.guidance_embed:
            self.guidance_in = MLPEmbedder(TIME_FEATURES, p.hidden_size, bias=True)
        self.double_blocks = [DoubleStreamBlock(p) for _ in range(p.depth)]
        self.single_blocks = [SingleStreamBlock(p) for _ in range(p.depth_single_blocks)]
        self.final_layer = LastLayer(p.hidden_size, p.out_channels, bias=True)

    def rope(self, ids: np.ndarray) -> Rope:
        """Position ids (L, 3) -> the tables that `condition` takes."""
        return rope_factors(ids, self.params.axes_dim, self.params.theta)

    def condition(
        self,
        context: mx.array,
        rope: Rope,
        references: mx.array | None = None,
        *,
        pooled: mx.array,
        beside: mx.array | None = None,
    ) -> Condition:
        """Embed text (B, T, context_in_dim), pooled text (B, vec_in_dim) and reference latents (B, R, C), once per run.

        `rope` covers [text, image, references]. `beside` (B, N, in_channels - C) joins the latents of every token:
        Fill's masked picture and mask, Canny's and Depth's control picture.
        """
        embedded = None if references is None else self.img_in(references.astype(self.dtype))
        vector = self.vector_in(pooled.astype(self.dtype))
        beside = None if beside is None else beside.astype(self.dtype)
        return Condition(self.txt_in(context.astype(self.dtype)), vector, embedded, beside, rope)

    def time_vector(
        self, time_features: mx.array, vector: mx.array, guidance_features: mx.array | None = None
    ) -> mx.array:
        """(1 or B, 256) and (B, h) -> SiLU of the conditioning (B, 1, h). Raises ValueError for a guidance left out."""
        vec = self.time_in(time_features.astype(self.dtype)) + vector
        if self.params.guidance_embed:
            if guidance_features is None:
                raise ValueError("This model is told its guidance.")
            vec = vec + self.guidance_in(guidance_features.astype(self.dtype))
        return silu(vec)[:, None]

    def steer(self, vec: mx.array) -> Steering:
        """All that a conditioning (B, 1, h) of `time_vector` does to the blocks. It depends on nothing else."""
        single = [block.steer(vec) for block in self.single_blocks]
        return Steering([block.steer(vec) for block in self.double_blocks], single, self.final_layer.steer(vec))

    def steer_later(self, vec: mx.array) -> Steering:
        """Where blocks are read as they run, each is read once a step: then it also steers."""
        return Steering([vec] * len(self.double_blocks), [vec] * len(self.single_blocks), self.final_layer.steer(vec))

    @property
    def dtype(self) -> mx.Dtype:
        return self.final_layer.linear.weight.dtype

    def __call__(
        self,
        latents: mx.array,
        time_features: mx.array,
        condition: Condition,
        guidance_features: mx.array | None = None,
    ) -> mx.array:
        """(B, N, C) latents at one time -> (B, N, C) velocity d latents / d t (t = 1 is noise)."""
        vec = self.time_vector(time_features, condition.vector, guidance_features)
        return finish(self.walk(latents, self.steer_later(vec), condition))[0]

    def walk(self, latents: mx.array, steering: Steering, condition: Condition) -> Walk:
        """`__call__` for a time whose steering is there."""
        img, count = self._image(latents.astype(self.dtype), condition), latents.shape[1]
        blocks = self._run_blocks(img, count, steering, condition)
        return Walk(img[:, :count], blocks, partial(self.final_layer, steering=steering.last))

    def _run_blocks(self, img: mx.array, count: int, steering: Steering, condition: Condition) -> Iterator[mx.array]:
        """The picture's `count` tokens (B, N, h) after every block."""
        txt, rope = condition.text, condition.rope
        for double, pair in zip(self.double_blocks, steering.double, strict=True):
            img, txt = double(img, txt, pair, rope)
            yield img[:, :count]
        x, image = mx.concatenate([txt, img], axis=1), slice(txt.shape[1], txt.shape[1] + count)
        for single, mod in zip(self.single_blocks[:-1], steering.single[:-1], strict=True):
            x = single(x, mod, rope)  # (B, T + N + R, h)
            yield x[:, image]
        yield self.single_blocks[-1].run_last(x, steering.single[-1], rope, image)

    def _image(self, latents: mx.array, condition: Condition) -> mx.array:
        """(B, N, C) -> the image stream (B, N + R, h)."""
        if condition.beside is not None:
            latents = mx.concatenate([latents, condition.beside], axis=-1)
        img = self.img_in(latents)
        return img if condition.references is None else mx.concatenate([img, condition.references], axis=1)
