"""The FLUX.2 transformer: dev (32B), klein 4B and 9B, klein KV, and the built-in mini.

Source: black-forest-labs/flux2, src/flux2/model.py. Module names are that checkpoint's: its files need no table.
Axis letters: B batch, T text tokens, N image tokens, R reference tokens, L = T + N + R, h hidden width,
H heads, D head width, C latent channels. Token order is always [text, image, references].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from ..foreign import check_heads
from .ops import (
    QKV,
    Chain,
    LastLayer,
    Layer,
    MLPEmbedder,
    Modulation,
    ModulationOut,
    QKNorm,
    Rope,
    SiLUGate,
    StreamAttention,
    Walk,
    add_gated,
    attention,
    can_cut,
    finish,
    from_parts,
    join_streams,
    keep_states,
    modulate,
    rope_factors,
    rotate_pairs,
    run_layers,
    run_rows,
    silu,
    split_heads,
    split_qkv,
    timestep_features,
    to_parts,
)

TIME_FEATURES = 256
ALL = slice(None)


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

    def __post_init__(self) -> None:
        check_heads(self.hidden_size, self.num_heads, self.axes_dim)

    @property
    def mlp_width(self) -> int:
        return int(self.hidden_size * self.mlp_ratio)


KeysValues = tuple[mx.array, mx.array]  # of some tokens in one block, (B, H, R, D) each; keys rotated
Bank = list[KeysValues]  # of the reference tokens, one pair per block


class Condition(NamedTuple):
    """What stays the same over all steps of one run; made by Transformer.condition."""

    text: mx.array  # (B, T, h)
    references: mx.array | None  # (B, R, h), None where there are none or where a bank stands in for them
    bank: Bank | None
    rope: Rope  # (L, D/2), without the references where a bank is used


class Steering(NamedTuple):
    """What a time, and a guidance, do to all blocks; made by Transformer.steer."""

    img: list[ModulationOut]
    txt: list[ModulationOut]
    single: ModulationOut
    last: tuple[mx.array, mx.array]  # shift and 1 + scale


def own_memory(kv: KeysValues) -> KeysValues:
    """The same, not as views: V is one of the whole output of a layer, which is nine times as large."""
    return mx.contiguous(kv[0]), mx.contiguous(kv[1])


def feed_forward(p: Params) -> Chain:
    """(..., h) -> (..., h), in parts: `from_parts` undoes it."""
    return [
        nn.Linear(p.hidden_size, 2 * p.mlp_width, bias=False),
        SiLUGate(),
        nn.Linear(p.mlp_width, p.hidden_size, bias=False),
    ]


def rows(vec: mx.array, start: int, stop: int | None = None) -> mx.array:
    """The conditioning (B, 1 or L, h) of tokens start..stop; a single row serves all tokens."""
    return vec if vec.shape[1] == 1 else vec[:, start:stop]


def _find_image(latents: mx.array, condition: Condition) -> slice:
    """The image tokens among [text, image, references]."""
    length = condition.text.shape[1]
    return slice(length, length + latents.shape[1])


def attend(
    q: mx.array, k: mx.array, v: mx.array, rope: Rope, bank: KeysValues | None = None, asking: slice = ALL
) -> tuple[mx.array, KeysValues]:
    """Rotate q and k (B, H, L, D) by their positions, attend -> (B, L, h), and the rotated k with v.

    Keys of a bank are already rotated: they come after those of the tokens themselves. `asking`: the tokens that q is
    of, where it isn't of all.
    """
    q, k = rotate_pairs(q, rope[asking]), rotate_pairs(k, rope)
    if bank is None:
        return attention(q, k, v), (k, v)
    keys, values = mx.concatenate([k, bank[0]], axis=2), mx.concatenate([v, bank[1]], axis=2)  # (B, H, L + R, D)
    return attention(q, keys, values), (k, v)


class DoubleStreamBlock(nn.Module):
    """Text and image with weights of their own, in one attention over both. All blocks share one modulation."""

    def __init__(self, p: Params) -> None:
        super().__init__()
        self.img_attn, self.txt_attn = (StreamAttention(p.hidden_size, p.num_heads, bias=False) for _ in range(2))
        self.img_mlp, self.txt_mlp = feed_forward(p), feed_forward(p)

    def __call__(
        self,
        img: mx.array,
        txt: mx.array,
        img_mods: list[ModulationOut],
        txt_mods: list[ModulationOut],
        rope: Rope,
        bank: KeysValues | None = None,
    ) -> tuple[mx.array, mx.array]:
        """img (B, N + R, h), txt (B, T, h) -> img, txt."""
        img_qkv = self._project(self.img_attn, img, img_mods)  # 3 x (B, H, N + R, D)
        txt_qkv = self._project(self.txt_attn, txt, txt_mods)  # 3 x (B, H, T, D)
        x, _ = attend(*join_streams(txt_qkv, img_qkv), rope, bank)  # (B, L, h)
        length = txt.shape[1]
        img = self._add(img, self.img_attn, self.img_mlp, x[:, length:], img_mods)
        txt = self._add(txt, self.txt_attn, self.txt_mlp, x[:, :length], txt_mods)
        return img, txt

    def run_alone(self, img: mx.array, mods: list[ModulationOut], rope: Rope) -> tuple[mx.array, KeysValues]:
        """References that see only each other, (B, R, h) -> the same, and their keys and values."""
        x, kv = attend(*self._project(self.img_attn, img, mods), rope)
        return self._add(img, self.img_attn, self.img_mlp, x, mods), own_memory(kv)

    def _project(self, attn: StreamAttention, x: mx.array, mods: list[ModulationOut]) -> QKV:
        return attn.project(modulate(x, mods[0].shift, mods[0].factor))

    def _add(
        self, x: mx.array, attn: StreamAttention, mlp: Chain, attended: mx.array, mods: list[ModulationOut]
    ) -> mx.array:
        """x + gate * attention, then + gate * feed-forward; all (B, L_i, h)."""
        of_attention, of_mlp = mods
        x = add_gated(x, of_attention.gate, attn.proj(attended))
        y = run_layers(mlp, modulate(x, of_mlp.shift, of_mlp.factor))
        return add_gated(x, of_mlp.gate, from_parts(y))


class SingleStreamBlock(nn.Module):
    """All tokens in one stream; attention and feed-forward side by side, their first and last layers in one."""

    def __init__(self, p: Params) -> None:
        super().__init__()
        self.params = (p.hidden_size, p.num_heads)
        self.linear1: Layer = nn.Linear(p.hidden_size, 3 * p.hidden_size + 2 * p.mlp_width, bias=False)
        self.linear2: Layer = nn.Linear(p.hidden_size + p.mlp_width, p.hidden_size, bias=False)
        self.norm = QKNorm(p.hidden_size // p.num_heads)
        self.mlp_act = SiLUGate()

    def __call__(self, x: mx.array, mod: ModulationOut, rope: Rope, bank: KeysValues | None = None) -> mx.array:
        """x (B, L, h) -> x."""
        return self._run(x, mod, rope, bank)[0]

    def run_alone(self, x: mx.array, mod: ModulationOut, rope: Rope) -> tuple[mx.array, KeysValues]:
        """References that see only each other, (B, R, h) -> the same, and their keys and values."""
        x, kv = self._run(x, mod, rope)
        return x, own_memory(kv)

    def _run(
        self, x: mx.array, mod: ModulationOut, rope: Rope, bank: KeysValues | None = None
    ) -> tuple[mx.array, KeysValues]:
        hidden, heads = self.params
        qkv, mlp = mx.split(self.linear1(modulate(x, mod.shift, mod.factor)), [3 * hidden], axis=-1)
        q, k, v = split_qkv(qkv, heads)  # (B, L, 3 h) -> 3 x (B, H, L, D)
        q, k = self.norm(q, k)
        attended, kv = attend(q, k, v, rope, bank)
        return self._add(x, mod.gate, attended, mlp), kv

    def run_last(
        self, x: mx.array, mod: ModulationOut, rope: Rope, image: slice, bank: KeysValues | None = None
    ) -> mx.array:
        """x (B, L, h) -> the tokens `image` alone, (B, N, h): of the others only keys and values are needed."""
        if not can_cut(self.linear1):
            return self(x, mod, rope, bank)[:, image]
        hidden, heads = self.params
        modulated = modulate(x, mod.shift, mod.factor)
        k, v = (
            split_heads(part, heads)
            for part in mx.split(run_rows(self.linear1, modulated, hidden, 3 * hidden), 2, axis=-1)
        )
        own = modulated[:, image]
        q = split_heads(run_rows(self.linear1, own, 0, hidden), heads)
        q, k = self.norm(q, k)
        attended, _ = attend(q, k, v, rope, bank, image)
        mlp = run_rows(self.linear1, own, 3 * hidden, None)
        return self._add(x[:, image], rows(mod.gate, image.start, image.stop), attended, mlp)

    def _add(self, x: mx.array, gate: mx.array, attended: mx.array, mlp: mx.array) -> mx.array:
        y = self.linear2(mx.concatenate([to_parts(attended), self.mlp_act(mlp)], axis=-1))  # (B, L, h + mlp) -> h
        return add_gated(x, gate, from_parts(y))


class Transformer(nn.Module):
    """Velocity of the latents: called once per step with what `condition` prepared once per run."""

    def __init__(self, p: Params) -> None:
        super().__init__()
        self.params = p
        self.img_in: Layer = nn.Linear(p.in_channels, p.hidden_size, bias=False)
        self.txt_in: Layer = nn.Linear(p.context_in_dim, p.hidden_size, bias=False)
        self.time_in = MLPEmbedder(TIME_FEATURES, p.hidden_size, bias=False)
        if p.guidance_embed:
            self.guidance_in = MLPEmbedder(TIME_FEATURES, p.hidden_size, bias=False)
        self.double_stream_modulation_img = Modulation(p.hidden_size, 2, bias=False)
        self.double_stream_modulation_txt = Modulation(p.hidden_size, 2, bias=False)
        self.single_stream_modulation = Modulation(p.hidden_size, 1, bias=False)
        self.double_blocks = [DoubleStreamBlock(p) for _ in range(p.depth)]
        self.single_blocks = [SingleStreamBlock(p) for _ in range(p.depth_single_blocks)]
        self.final_layer = LastLayer(p.hidden_size, p.in_channels, bias=False)

    def rope(self, ids: np.ndarray) -> Rope:
        """Position ids (L, 4) -> the tables that `condition` takes."""
        return rope_factors(ids, self.params.axes_dim, self.params.theta)

    def condition(
        self, context: mx.array, rope: Rope, references: mx.array | None = None, bank: Bank | None = None
    ) -> Condition:
        """Embed text (B, T, context_in_dim) and reference latents (B, R, C), once per run.

        `rope` covers [text, image, references], or [text, image] where a bank stands in for the references.
        """
        embedded = None if references is None else self.img_in(references)
        return Condition(self.txt_in(context), embedded, bank, rope)

    def time_vector(self, time_features: mx.array, guidance_features: mx.array | None = None) -> mx.array:
        """(1 or B, 256), or (B, L, 256) for a time per token -> SiLU of the conditioning (B, 1 or L, h).

        Raises ValueError for a guidance left out.
        """
        vec = self.time_in(time_features.astype(self.dtype))
        if self.params.guidance_embed:
            if guidance_features is None:
                raise ValueError("This model is told its guidance.")
            vec = vec + self.guidance_in(guidance_features.astype(self.dtype))
        activated = silu(vec)
        return activated if vec.ndim == 3 else activated[:, None]

    def steer(
        self,
        time_features: mx.array,
        guidance_features: mx.array | None = None,
        image: slice = ALL,
    ) -> Steering:
        """All that a time does to the blocks; what is given: as in time_vector. It depends on nothing else.

        `image`: which tokens are those of the picture, where each has a time of its own.
        """
        vec = self.time_vector(time_features, guidance_features)
        img_mods = self.double_stream_modulation_img(rows(vec, image.start))
        txt_mods = self.double_stream_modulation_txt(rows(vec, 0, image.start))
        (single,) = self.single_stream_modulation(vec)
        return Steering(img_mods, txt_mods, single, self.final_layer.steer(rows(vec, image.start, image.stop)))

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
        return finish(self._start(latents, time_features, condition, guidance_features))[0]

    def with_states(
        self,
        latents: mx.array,
        time_features: mx.array,
        condition: Condition,
        guidance_features: mx.array | None = None,
    ) -> tuple[mx.array, list[mx.array]]:
        """The velocity, and the image tokens (B, N, h) after every block, lazily: what nobody uses is never kept."""
        return keep_states(self._start(latents, time_features, condition, guidance_features))

    def _start(
        self, latents: mx.array, time_features: mx.array, condition: Condition, guidance_features: mx.array | None
    ) -> Walk:
        image = _find_image(latents, condition)
        return self.walk(latents, self.steer(time_features, guidance_features, image), condition)

    def walk(self, latents: mx.array, steering: Steering, condition: Condition) -> Walk:
        """`__call__` for a time whose steering is there."""
        img, image = self._image(latents, condition), _find_image(latents, condition)
        blocks = self._run_blocks(img, image, steering, condition)
        return Walk(img[:, : latents.shape[1]], blocks, partial(self.final_layer, steering=steering.last))

    def _run_blocks(self, img: mx.array, image: slice, steering: Steering, condition: Condition) -> Iterator[mx.array]:
        """The image tokens (B, N, h) after every block; `image`: where they are among all."""
        txt, rope, kept = condition.text, condition.rope, iter(condition.bank or ())
        for double in self.double_blocks:
            img, txt = double(img, txt, steering.img, steering.txt, rope, next(kept, None))
            yield img[:, : image.stop - image.start]
        x = mx.concatenate([txt, img], axis=1)  # (B, T + N + R, h)
        for single in self.single_blocks[:-1]:
            x = single(x, steering.single, rope, next(kept, None))
            yield x[:, image]
        for single in self.single_blocks[-1:]:
            yield single.run_last(x, steering.single, rope, image, next(kept, None))

    def _image(self, latents: mx.array, condition: Condition) -> mx.array:
        """(B, N, C) -> the image stream (B, N + R, h)."""
        img = self.img_in(latents.astype(self.dtype))
        return img if condition.references is None else mx.concatenate([img, condition.references], axis=1)

    def bank_bytes(self, tokens: int) -> int:
        """What the bank of as many reference tokens takes."""
        p = self.params
        return 2 * tokens * p.hidden_size * (p.depth + p.depth_single_blocks) * self.dtype.size

    def reference_bank(self, references: mx.array, rope: Rope) -> Bank:
        """K and V of reference latents (B, R, C) for the KV checkpoints: references see only themselves, at t = 0.

        They depend on the references and nothing else, so one bank serves every prompt, seed, step and size.
        (BFL and diffusers compute the same values inside the first step of every picture.) Each pair is lazy and has
        memory of its own: evaluated in order, no block but the last one's layers are held.
        """
        vec = self.time_vector(timestep_features([0.0]))
        x, bank = self.img_in(references.astype(self.dtype)), []
        mods, (mod,) = self.double_stream_modulation_img(vec), self.single_stream_modulation(vec)
        for double in self.double_blocks:
            x, kv = double.run_alone(x, mods, rope)
            bank.append(kv)
        for single in self.single_blocks:
            x, kv = single.run_alone(x, mod, rope)
            bank.append(kv)
        return bank
