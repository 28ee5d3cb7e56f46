"""The exponentials of a training step on a CPU, where MLX's `exp` costs twice as much as its `power`.

Measured on x86-64 (MLX 0.32.4): exp 18 ns a number, power 8.5, a product 0.6; a step is 13 % shorter.
"""

import math

import mlx.core as mx
import mlx.nn as nn

from ..nets import flux2
from ..nets.ops import merge_heads


@mx.custom_function
def sigmoid(x: mx.array) -> mx.array:
    """1 / (1 + e^-x), float32."""
    return 1 / (1 + mx.power(math.e, -x))


@sigmoid.vjp
def _sigmoid_vjp(_, cotangent, out):
    return cotangent * out * (1 - out)


@mx.custom_function
def softmax(scores: mx.array) -> mx.array:
    """Over the last axis, float32."""
    powers = mx.power(math.e, scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@softmax.vjp
def _softmax_vjp(_, cotangent, out):
    weighted = cotangent * out
    return weighted - out * weighted.sum(-1, keepdims=True)


def silu(x: mx.array) -> mx.array:
    return x * sigmoid(x)


def attention(q: mx.array, k: mx.array, v: mx.array) -> mx.array:
    """(B, H, L, D) queries on (B, H, M, D) keys -> (B, L, H * D)."""
    return merge_heads(softmax(q * q.shape[-1] ** -0.5 @ k.transpose(0, 1, 3, 2)) @ v)


def quicken() -> None:
    """Use them in FLUX.2 and the text encoder, for this process, where there is no GPU."""
    if not mx.metal.is_available():
        nn.silu, flux2.attention = silu, attention
