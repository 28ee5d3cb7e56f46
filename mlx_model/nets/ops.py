"""Array functions, and at the end layers, that two or more model files use.

Axis letters: B batch, L tokens, D width of one head, H heads, h hidden width.
"""

import math

import mlx.core as mx
import mlx.nn as nn
import numpy as np

HALF_LIMIT = 65504.0  # the largest float16
HALF_PARTS = 64  # feed-forwards reach 3e5: in float16 they are computed in parts of 1 / 64
EPS = 1e-6  # every LayerNorm and RMSNorm of the FLUX transformers


def timestep_features(t, width: int = 256, scale: float = 1000.0) -> mx.array:
    """Sinusoidal features of times: (n,) floats in [0, 1] -> (n, width) float32, cosines first.

    Computed in float64 on the host: in float32 the angles (up to 4000) lose 3e-4, and the sine of
    MLX's CPU backend loses 4e-5. Source: black-forest-labs/flux2 src/flux2/model.py, timestep_embedding.
    """
    frequencies = np.exp(-math.log(10000.0) * np.arange(width // 2) / (width // 2))
    angles = scale * np.asarray(t, np.float64).reshape(-1, 1) * frequencies
    return mx.array(np.concatenate([np.cos(angles), np.sin(angles)], -1).astype(np.float32))


def rope_angles(ids: np.ndarray, axes: tuple[int, ...], theta: float) -> tuple[mx.array, mx.array]:
    """Position ids (L, len(axes)) -> (cos, sin), each (L, sum(axes) / 2) float32.

    Source: black-forest-labs/flux2 src/flux2/model.py, rope: one frequency table per axis, concatenated.
    """
    angles = [
        ids[:, i : i + 1].astype(np.float64) / theta ** (np.arange(0, width, 2) / width) for i, width in enumerate(axes)
    ]
    joined = np.concatenate(angles, -1)
    return mx.array(np.cos(joined).astype(np.float32)), mx.array(np.sin(joined).astype(np.float32))


def rotate_pairs(x: mx.array, cos: mx.array, sin: mx.array) -> mx.array:
    """Rotate adjacent channel pairs (2i, 2i+1) of x (..., L, D) by (L, D/2) angles, in float32."""
    pairs = x.astype(mx.float32).reshape(*x.shape[:-1], -1, 2)
    even, odd = pairs[..., 0], pairs[..., 1]
    turned = mx.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1)
    return turned.reshape(x.shape).astype(x.dtype)


def rotate_halves(x: mx.array, cos: mx.array, sin: mx.array) -> mx.array:
    """Rotate channels (i, i + D/2) of x (..., L, D) by (L, D/2) angles, in float32: the language models' RoPE."""
    first, second = mx.split(x.astype(mx.float32), 2, axis=-1)
    turned = mx.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return turned.astype(x.dtype)


def modulate(x: mx.array, shift: mx.array, scale: mx.array) -> mx.array:
    """LayerNorm without weights, then (1 + scale) * x + shift; shift and scale are (1 or B, 1 or L, h).

    One fused kernel when a single vector serves all tokens, which is every step of every sampler.
    """
    if shift.shape[:-1] == (1, 1):
        return mx.fast.layer_norm(x, 1 + scale[0, 0], shift[0, 0], EPS)
    return mx.fast.layer_norm(x, None, None, EPS) * (1 + scale) + shift


def add_gated(x: mx.array, gate: mx.array, y: mx.array) -> mx.array:
    """x + gate * y. Streams of FLUX.1 and FLUX.2 outgrow float16 in places: cut to its range, as diffusers does.

    There the sum is made in float32: three times 3e4 would be infinite before x brings it back, and 0 * infinity no
    number.
    """
    if x.dtype != mx.float16:
        return x + gate * y
    y = mx.clip(y, -HALF_LIMIT, HALF_LIMIT) if y.dtype == mx.float16 else y  # a product that was too large
    return mx.clip(x + gate.astype(mx.float32) * y, -HALF_LIMIT, HALF_LIMIT).astype(mx.float16)


def in_parts(x: mx.array) -> mx.array:
    """float16 in parts of 1 / HALF_PARTS, for a linear layer without bias whose result goes to `joined`."""
    return x / HALF_PARTS if x.dtype == mx.float16 else x


def joined(x: mx.array) -> mx.array:
    """Undoes `in_parts`, in float32, which has room for it; what is not float16 is no part and stays as it is."""
    return x.astype(mx.float32) * HALF_PARTS if x.dtype == mx.float16 else x


def attention(q: mx.array, k: mx.array, v: mx.array, mask=None) -> mx.array:
    """(B, H, L, D) queries on (B, H, M, D) keys -> (B, L, H * D)."""
    # A float scale on purpose: an mx.array one forces an evaluation at every call.
    x = mx.fast.scaled_dot_product_attention(q, k, v, scale=q.shape[-1] ** -0.5, mask=mask)
    return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)


def split_heads(x: mx.array, heads: int) -> mx.array:
    """(B, L, heads * D) -> (B, heads, L, D)."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def merge_heads(x: mx.array) -> mx.array:
    """(B, H, L, D) -> (B, L, H * D)."""
    return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)


class RMSNorm(nn.Module):
    """Named `scale` where torch says weight, as BFL's checkpoints do."""

    def __init__(self, width: int):
        super().__init__()
        self.scale = mx.ones((width,))

    def __call__(self, x):
        return mx.fast.rms_norm(x, self.scale, EPS)


class QKNorm(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.query_norm = RMSNorm(width)
        self.key_norm = RMSNorm(width)

    def __call__(self, q, k):
        return self.query_norm(q), self.key_norm(k)


class MLPEmbedder(nn.Module):
    """Features of a time, a guidance or a pooled text (..., width) -> (..., hidden)."""

    def __init__(self, width: int, hidden: int, bias: bool):
        super().__init__()
        self.in_layer = nn.Linear(width, hidden, bias)
        self.out_layer = nn.Linear(hidden, hidden, bias)

    def __call__(self, x):
        return self.out_layer(nn.silu(self.in_layer(x)))


class SiLUGate(nn.Module):
    """(..., 2w) -> (..., w): SiLU of the first half times the second, which passes float16's range: `in_parts`."""

    def __call__(self, x):
        gate, up = mx.split(x, 2, axis=-1)
        return nn.silu(gate) * in_parts(up)


class Modulation(nn.Module):
    """(..., h) -> `count` vectors (..., h): shift, scale, gate, repeated."""

    def __init__(self, hidden: int, count: int, bias: bool):
        super().__init__()
        self.count = count
        self.lin = nn.Linear(hidden, count * hidden, bias)

    def __call__(self, activated_vec):
        return mx.split(self.lin(activated_vec), self.count, axis=-1)


class StreamAttention(nn.Module):
    """Query, key, value and output projection of one stream (text or image) of a double block."""

    def __init__(self, hidden: int, heads: int, bias: bool):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(hidden, 3 * hidden, bias)
        self.norm = QKNorm(hidden // heads)
        self.proj = nn.Linear(hidden, hidden, bias)

    def heads_of(self, x):
        q, k, v = (split_heads(part, self.heads) for part in mx.split(self.qkv(x), 3, axis=-1))
        return *self.norm(q, k), v  # 3 x (B, H, L, D)


class LastLayer(nn.Module):
    """Modulated image tokens (B, N, h) -> (B, N, out)."""

    def __init__(self, hidden: int, out: int, bias: bool):
        super().__init__()
        self.linear = nn.Linear(hidden, out, bias)
        self.adaLN_modulation = [nn.SiLU(), nn.Linear(hidden, 2 * hidden, bias)]

    def __call__(self, x, activated_vec):
        shift, scale = mx.split(self.adaLN_modulation[1](activated_vec), 2, axis=-1)
        return self.linear(modulate(x, shift, scale))
