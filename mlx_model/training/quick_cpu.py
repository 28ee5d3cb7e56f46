"""The exponentials of a training step on a CPU, where MLX's `exp` costs twice as much as its `power`.

Measured on x86-64 (MLX 0.32.4): exp 18 ns a number, power 8.5, a product 0.6; a step is 13 % shorter.
"""

import math
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from ..nets import flux2
from ..nets.ops import merge_heads


@mx.custom_function
def sigmoid(x: mx.array) -> mx.array:
    """1 / (1 + e^-x), float32."""
    return 1 / (1 + mx.power(math.e, -x))


@sigmoid.vjp
def _sigmoid_vjp(_: mx.array, cotangent: mx.array, out: mx.array) -> mx.array:
    return cotangent * out * (1 - out)


@mx.custom_function
def softmax(scores: mx.array) -> mx.array:
    """Over the last axis, float32."""
    powers = mx.power(math.e, scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@softmax.vjp
def _softmax_vjp(_: mx.array, cotangent: mx.array, out: mx.array) -> mx.array:
    weighted = cotangent * out
    return weighted - out * weighted.sum(-1, keepdims=True)


def silu(x: mx.array) -> mx.array:
    gate: Any = sigmoid(x)
    activated: mx.array = x * gate
    return activated


def attention(q: mx.array, k: mx.array, v: mx.array, mask: None = None) -> mx.array:
    """(B, H, L, D) queries on (B, H, M, D) keys -> (B, L, H * D)."""
    weights: Any = softmax(q * q.shape[-1] ** -0.5 @ k.transpose(0, 1, 3, 2))
    return merge_heads(weights @ v)


def quicken() -> None:
    """Use them in FLUX.2 and the text encoder, for this process, where there is no GPU."""
    if not mx.metal.is_available():
        nn.silu = silu
        flux2.attention = attention  # type: ignore[attr-defined, assignment]  # of FLUX.2 alone, which has no mask
