"""Array functions, and at the end layers, that two or more model files use.

Axis letters: B batch, L tokens, D width of one head, H heads, h hidden width.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any, NamedTuple, Protocol

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from numpy.typing import ArrayLike

HALF_LIMIT = 65504.0  # the largest float16
HALF_PARTS = 64  # feed-forwards reach 3e5: in float16 they are computed in parts of 1 / 64
EPS = 1e-6  # every LayerNorm and RMSNorm of the FLUX transformers

Rope = mx.array  # cos + i sin of the tokens' positions, (L, D / 2) complex64
Angles = tuple[mx.array, mx.array]  # the cosines and sines alone, (L, D / 2) each
Chain = Sequence[Callable[[mx.array], mx.array]]  # layers by their numbers in the checkpoint, such as img_mlp.0


class Layer(Protocol):
    """A linear layer, convolution, norm or table, packed or not: mlx leaves its own without types."""

    weight: mx.array

    def __call__(self, x: mx.array, /) -> mx.array: ...


class QKV(NamedTuple):
    """Queries, keys and values by heads: (B, H, L, D) each."""

    q: mx.array
    k: mx.array
    v: mx.array


class ModulationOut(NamedTuple):
    """What the conditioning does to one half of a block: (1 or B, 1 or L, h) each."""

    shift: mx.array
    factor: mx.array  # 1 + scale: made here once, rather than in each block
    gate: mx.array


def timestep_features(t: ArrayLike, width: int = 256, scale: float = 1000.0) -> mx.array:
    """Sinusoidal features of times: (n,) floats in [0, 1] -> (n, width) float32, cosines first.

    Computed in float64 on the host: in float32 the angles (up to 4000) lose 3e-4, and the sine of
    MLX's CPU backend loses 4e-5. Source: black-forest-labs/flux2 src/flux2/model.py, timestep_embedding.
    """
    frequencies = np.exp(-math.log(10000.0) * np.arange(width // 2) / (width // 2))
    angles = scale * np.asarray(t, np.float64).reshape(-1, 1) * frequencies
    return mx.array(np.concatenate([np.cos(angles), np.sin(angles)], -1).astype(np.float32))


def rope_angles(ids: np.ndarray, axes: tuple[int, ...], theta: float) -> Angles:
    """Position ids (L, len(axes)) -> (cos, sin), each (L, sum(axes) / 2) float32.

    Source: black-forest-labs/flux2 src/flux2/model.py, rope: one frequency table per axis, concatenated.
    """
    angles = [
        ids[:, i : i + 1].astype(np.float64) / theta ** (np.arange(0, width, 2) / width) for i, width in enumerate(axes)
    ]
    joined = np.concatenate(angles, -1)
    return mx.array(np.cos(joined).astype(np.float32)), mx.array(np.sin(joined).astype(np.float32))


def rope_factors(ids: np.ndarray, axes: tuple[int, ...], theta: float) -> Rope:
    """rope_angles as one complex number for each pair of channels."""
    cos, sin = rope_angles(ids, axes, theta)
    factors: mx.array = cos + 1j * sin
    return factors


def turn_pairs(x: mx.array, rope: Rope) -> mx.array:
    """`rotate_pairs` without its gradient, which what is seen as complex has none of."""
    return (x.astype(mx.float32).view(mx.complex64) * rope).view(mx.float32).astype(x.dtype)


def _turn_back(primals: tuple[mx.array, Rope], cotangent: mx.array, output: mx.array) -> tuple[mx.array, mx.array]:
    rope = primals[1]
    return turn_pairs(cotangent, mx.conjugate(rope)), mx.zeros_like(rope)


_turn: Any = mx.custom_function(turn_pairs)
_turn.vjp(_turn_back)


def rotate_pairs(x: mx.array, rope: Rope) -> mx.array:
    """Rotate adjacent channel pairs (2i, 2i+1) of x (..., L, D), in float32: one product of complex numbers.

    Bit-equal to the four real products, in a third of the kernels.
    """
    turned: mx.array = _turn(x, rope)
    return turned


def rotate_halves(x: mx.array, cos: mx.array, sin: mx.array) -> mx.array:
    """Rotate channels (i, i + D/2) of x (..., L, D) by (L, D/2) angles, in float32: the language models' RoPE."""
    first, second = mx.split(x.astype(mx.float32), 2, axis=-1)
    turned = mx.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return turned.astype(x.dtype)


def modulate(x: mx.array, shift: mx.array, factor: mx.array) -> mx.array:
    """LayerNorm without weights, then factor * x + shift; shift and factor are (1 or B, 1 or L, h).

    One fused kernel when a single vector serves all tokens, which is every step of every sampler.
    """
    if shift.shape[:-1] == (1, 1):
        return mx.fast.layer_norm(x, factor[0, 0], shift[0, 0], EPS)
    return mx.fast.layer_norm(x, None, None, EPS) * factor + shift


def on_cpu() -> bool:
    return mx.default_device() == mx.Device(mx.cpu)


def use_power(x: mx.array) -> bool:
    """Whether exponentials are made by `power`: on CPUs `exp` is three times slower; 16 bits are too coarse for e."""
    return x.dtype == mx.float32 and on_cpu()


def with_gradient_of(plain: Callable[..., mx.array]) -> Callable[..., Any]:
    """A function that computes the same as `plain` in another way, and has its gradient and what that keeps."""

    def wrap(fast: Callable[..., mx.array]) -> Any:
        function: Any = mx.custom_function(fast)

        def turn_back(primals: Any, cotangent: mx.array, output: mx.array) -> Any:
            given = primals if isinstance(primals, tuple | list) else (primals,)
            found = mx.vjp(plain, list(given), [cotangent])[1]
            return tuple(found) if isinstance(primals, tuple | list) else found[0]

        function.vjp(turn_back)
        return function

    return wrap


@with_gradient_of(nn.silu)
def _silu_by_power(x: mx.array) -> mx.array:
    return x / (1 + mx.power(math.e, -x))


@with_gradient_of(nn.gelu_approx)
def _gelu_by_power(x: mx.array) -> mx.array:
    u = x + 0.044715 * x * x * x
    return x / (1 + mx.power(math.exp(-math.sqrt(8 / math.pi)), u))


def silu(x: mx.array) -> mx.array:
    """x sigmoid(x)."""
    activated: mx.array = _silu_by_power(x) if use_power(x) else nn.silu(x)
    return activated


def gelu_tanh(x: mx.array) -> mx.array:
    """GELU by its approximation 0.5 x (1 + tanh(u)), which is x sigmoid(2 u)."""
    activated: mx.array = _gelu_by_power(x) if use_power(x) else nn.gelu_approx(x)
    return activated


@partial(mx.compile, shapeless=True)
def _fuse_gate(gate: mx.array, up: mx.array) -> mx.array:
    return gate * mx.sigmoid(gate) * up


@partial(mx.compile, shapeless=True)
def _fuse_add(x: mx.array, gate: mx.array, *parts: mx.array) -> mx.array:
    return x + gate * sum(parts[1:], parts[0])


def silu_times(gate: mx.array, up: mx.array) -> mx.array:
    """silu(gate) up: one kernel on a GPU, the same bits as two."""
    return silu(gate) * up if on_cpu() else _fuse_gate(gate, up)


def add_times(x: mx.array, gate: mx.array, *parts: mx.array) -> mx.array:
    """x + gate (the sum of parts): one kernel on a GPU, the same bits as several."""
    return x + gate * sum(parts[1:], parts[0]) if on_cpu() else _fuse_add(x, gate, *parts)


def add_gated(x: mx.array, gate: mx.array, y: mx.array) -> mx.array:
    """x + gate * y. Streams of FLUX.1 and FLUX.2 outgrow float16 in places: cut to its range, as diffusers does.

    There the sum is made in float32: three times 3e4 would be infinite before x brings it back, and 0 * infinity no
    number.
    """
    if x.dtype != mx.float16:
        return add_times(x, gate, y)
    y = mx.clip(y, -HALF_LIMIT, HALF_LIMIT) if y.dtype == mx.float16 else y  # a product that was too large
    return mx.clip(x + gate.astype(mx.float32) * y, -HALF_LIMIT, HALF_LIMIT).astype(mx.float16)


def to_parts(x: mx.array) -> mx.array:
    """float16 in parts of 1 / HALF_PARTS, for a linear layer without bias whose result goes to `from_parts`."""
    return x / HALF_PARTS if x.dtype == mx.float16 else x


def from_parts(x: mx.array) -> mx.array:
    """Undoes `to_parts`, in float32, which has room for it; what is not float16 is no part and stays as it is."""
    return x.astype(mx.float32) * HALF_PARTS if x.dtype == mx.float16 else x


def attention(q: mx.array, k: mx.array, v: mx.array, mask: mx.array | None = None) -> mx.array:
    """softmax(q k^T / sqrt(D)) v: (B, H, L, D) queries on (B, H, M, D) keys -> (B, L, H * D)."""
    if mask is None and use_power(q):
        return merge_heads(_attend_by_power(q, k, v))
    return merge_heads(_attend(q, k, v, mask))


def _attend(q: mx.array, k: mx.array, v: mx.array, mask: mx.array | None = None) -> mx.array:
    # A float scale on purpose: an mx.array one forces an evaluation at every call.
    return mx.fast.scaled_dot_product_attention(q, k, v, scale=q.shape[-1] ** -0.5, mask=mask)


@with_gradient_of(_attend)
def _attend_by_power(q: mx.array, k: mx.array, v: mx.array) -> mx.array:
    """What CPUs have no kernel for: divided by the sum of the weights after the product, which is smaller."""
    scores = (q * q.shape[-1] ** -0.5) @ k.swapaxes(-1, -2)  # (B, H, L, M)
    weights = mx.power(math.e, scores - scores.max(axis=-1, keepdims=True))
    return (weights @ v) / weights.sum(axis=-1, keepdims=True)


def split_heads(x: mx.array, heads: int) -> mx.array:
    """(B, L, heads * D) -> (B, heads, L, D)."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def merge_heads(x: mx.array) -> mx.array:
    """(B, H, L, D) -> (B, L, H * D)."""
    return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)


def split_qkv(qkv: mx.array, heads: int) -> QKV:
    """What one layer makes of all three: (B, L, 3 H D) -> 3 x (B, H, L, D)."""
    return QKV(*(split_heads(part, heads) for part in mx.split(qkv, 3, axis=-1)))


def join_streams(first: QKV, second: QKV) -> QKV:
    """The tokens of two streams in one row, of which each sees all: 2 x (B, H, L_i, D) -> (B, H, L_1 + L_2, D)."""
    return QKV(*(mx.concatenate([a, b], axis=2) for a, b in zip(first, second, strict=True)))


def split_modulation(x: mx.array, count: int) -> list[ModulationOut]:
    """(..., 3 count h), which is `count` times shift, scale and gate (..., h), in this order -> `count` ModulationOut.

    So in black-forest-labs/flux src/flux/modules/layers.py, Modulation, flux2 src/flux2/model.py, and the adaLN of DiT.
    diffusers has (scale, shift) in its last layer: the tables of keys swap them.
    """
    parts = mx.split(x, 3 * count, axis=-1)
    return [ModulationOut(parts[i], 1 + parts[i + 1], parts[i + 2]) for i in range(0, len(parts), 3)]


def run_layers(layers: Chain, x: mx.array) -> mx.array:
    """One after the other."""
    for layer in layers:
        x = layer(x)
    return x


class Walk(NamedTuple):
    """A network at work, block by block. All tokens are those of the picture alone, (B, N, h)."""

    entering: mx.array  # as the first block gets them
    blocks: Iterator[mx.array]  # after each block, when asked for
    leave: Callable[[mx.array], mx.array]  # from what is behind the last block to the result


def finish(*walks: Walk) -> list[mx.array]:
    """The results of networks that go side by side, each block of all before the next: its weights are needed once."""
    states = [walk.entering for walk in walks]
    for after in zip_longest(*(walk.blocks for walk in walks)):
        states = [old if new is None else new for old, new in zip(states, after, strict=True)]
    return [walk.leave(state) for walk, state in zip(walks, states, strict=True)]


def keep_states(walk: Walk) -> tuple[mx.array, list[mx.array]]:
    """The result, and the tokens after every block."""
    states = list(walk.blocks)
    return walk.leave(states[-1]), states


class RMSNorm(nn.Module):
    """Named `scale` where torch says weight, as BFL's checkpoints do."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = mx.ones((width,))

    def __call__(self, x: mx.array) -> mx.array:
        return mx.fast.rms_norm(x, self.scale, EPS)


class QKNorm(nn.Module):
    """Of each head's queries and keys (B, H, L, D)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query_norm = RMSNorm(width)
        self.key_norm = RMSNorm(width)

    def __call__(self, q: mx.array, k: mx.array) -> tuple[mx.array, mx.array]:
        return self.query_norm(q), self.key_norm(k)


class MLPEmbedder(nn.Module):
    """Features of a time, a guidance or a pooled text (..., width) -> (..., hidden)."""

    def __init__(self, width: int, hidden: int, bias: bool) -> None:
        super().__init__()
        self.in_layer: Layer = nn.Linear(width, hidden, bias)
        self.out_layer: Layer = nn.Linear(hidden, hidden, bias)

    def __call__(self, x: mx.array) -> mx.array:
        return self.out_layer(silu(self.in_layer(x)))


class SiLUGate(nn.Module):
    """(..., 2w) -> (..., w): SiLU of the first half times the second, which passes float16's range: `to_parts`."""

    def __call__(self, x: mx.array) -> mx.array:
        gate, up = mx.split(x, 2, axis=-1)
        return silu_times(gate, to_parts(up))


class GELUTanh(nn.Module):
    def __call__(self, x: mx.array) -> mx.array:
        return gelu_tanh(x)


class Modulation(nn.Module):
    """The conditioning after SiLU (..., h) -> shift, scale and gate `count` times, (..., h) each."""

    def __init__(self, hidden: int, count: int, bias: bool) -> None:
        super().__init__()
        self.count = count
        self.lin: Layer = nn.Linear(hidden, 3 * count * hidden, bias)

    def __call__(self, vec: mx.array) -> list[ModulationOut]:
        return split_modulation(self.lin(vec), self.count)


def run_rows(layer: Any, x: mx.array, start: int, stop: int | None) -> mx.array:
    """Some of a layer's outputs, (..., i) -> (..., stop - start); whether they can be had alone: `can_cut`."""
    if type(layer) is not nn.Linear:
        y: mx.array = layer.run_rows(x, start, stop)
        return y
    matrix = layer.weight[start:stop].T
    return mx.addmm(layer.bias[start:stop], x, matrix) if "bias" in layer else x @ matrix


def can_cut(layer: Any) -> bool:
    """Whether `run_rows` takes it: dense and packed layers, but none with adapters."""
    return type(layer) is nn.Linear or hasattr(layer, "run_rows")


class StreamAttention(nn.Module):
    """Query, key, value and output projection of one stream (text or image) of a double block."""

    def __init__(self, hidden: int, heads: int, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv: Layer = nn.Linear(hidden, 3 * hidden, bias)
        self.norm = QKNorm(hidden // heads)
        self.proj: Layer = nn.Linear(hidden, hidden, bias)

    def project(self, x: mx.array) -> QKV:
        """(B, L, h) -> 3 x (B, H, L, D), queries and keys normed."""
        q, k, v = split_qkv(self.qkv(x), self.heads)
        return QKV(*self.norm(q, k), v)


class LastLayer(nn.Module):
    """Image tokens (B, N, h) and what `steer` makes of the conditioning after SiLU (B, 1 or N, h) -> (B, N, out)."""

    def __init__(self, hidden: int, out: int, bias: bool) -> None:
        super().__init__()
        self.linear: Layer = nn.Linear(hidden, out, bias)
        self.adaLN_modulation: Chain = [nn.SiLU(), nn.Linear(hidden, 2 * hidden, bias)]

    def steer(self, vec: mx.array) -> tuple[mx.array, mx.array]:
        """Shift and 1 + scale (B, 1 or N, h)."""
        shift, scale = mx.split(self.adaLN_modulation[1](vec), 2, axis=-1)
        return shift, 1 + scale

    def __call__(self, x: mx.array, steering: tuple[mx.array, mx.array]) -> mx.array:
        return self.linear(modulate(x, *steering))
