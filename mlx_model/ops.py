"""Array functions that two or more model files use.

Axis letters: B batch, L tokens, D width of one head, H heads, h hidden width.
"""

import math

import mlx.core as mx
import numpy as np

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


def attention(q: mx.array, k: mx.array, v: mx.array, mask=None) -> mx.array:
    """(B, H, L, D) queries on (B, H, M, D) keys -> (B, L, H * D)."""
    # A float scale on purpose: an mx.array one forces an evaluation at every call.
    x = mx.fast.scaled_dot_product_attention(q, k, v, scale=q.shape[-1] ** -0.5, mask=mask)
    return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)


def split_heads(x: mx.array, heads: int) -> mx.array:
    """(B, L, heads * D) -> (B, heads, L, D)."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)
