"""The T5 v1.1 encoder of FLUX.1: last hidden state of every token, padding included.

Source: transformers models/t5/modeling_t5.py; its call: black-forest-labs/flux src/flux/modules/conditioner.py.
Names are the checkpoint's; the token table is `shared`.
T5's activations outgrow float16: residuals, norms and attention are in float32, and so is the gated product.
Axis letters: B batch, L tokens, h width, H heads, D head width, f width of the feed-forward.
"""

import math
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from .ops import Layer, gelu_tanh, merge_heads, split_heads


@dataclass(frozen=True)
class Params:
    """The defaults are T5-XXL's."""

    d_model: int = 4096
    d_kv: int = 64
    d_ff: int = 10240
    num_layers: int = 24
    num_heads: int = 64
    vocab_size: int = 32128
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    layer_norm_epsilon: float = 1e-6

    def __post_init__(self) -> None:
        single = self.relative_attention_num_buckets // 4
        if single < 1 or self.relative_attention_max_distance <= single:
            distance = f"relative_attention_max_distance can't be {self.relative_attention_max_distance}"
            raise ValueError(f"{distance}, with {self.relative_attention_num_buckets} buckets")

    @property
    def width(self) -> int:
        """Features per token handed to the transformer."""
        return self.d_model


def distance_buckets(length: int, buckets: int, far: int) -> np.ndarray:
    """(length, length) int: the bucket of key position minus query position.

    Half of the buckets are for keys that come later; of each half, half are single distances, and the rest grow
    logarithmically up to `far`.
    """
    distance = np.arange(length)[None, :] - np.arange(length)[:, None]
    half, single = buckets // 2, buckets // 4
    size = np.abs(distance)
    # float32 as the reference: a distance that is exactly a border may fall on either side of it.
    growth = np.log(np.maximum(size, 1).astype(np.float32) / single) / math.log(far / single) * (half - single)
    coarse = np.minimum(single + growth.astype(np.int64), half - 1)
    bucket: np.ndarray = np.where(distance > 0, half, 0) + np.where(size < single, size, coarse)
    return bucket


def apply_scaled(layer: Layer, x: mx.array, dtype: mx.Dtype) -> mx.array:
    """A linear layer without bias on float32 x of any size -> float32.

    In float16 each row is first divided by its largest value, since neither x nor the result may fit.
    """
    if dtype != mx.float16:
        return layer(x.astype(dtype)).astype(mx.float32)
    largest = mx.maximum(mx.abs(x).max(axis=-1, keepdims=True), 1.0)
    return layer((x / largest).astype(dtype)).astype(mx.float32) * largest


class SelfAttention(nn.Module):
    """No scaling of the scores; `bias` (1, H, L, L) by distance stands in for positions."""

    def __init__(self, p: Params, has_bias: bool) -> None:
        super().__init__()
        self.heads, inner = p.num_heads, p.num_heads * p.d_kv
        self.q: Layer = nn.Linear(p.d_model, inner, bias=False)
        self.k: Layer = nn.Linear(p.d_model, inner, bias=False)
        self.v: Layer = nn.Linear(p.d_model, inner, bias=False)
        self.o: Layer = nn.Linear(inner, p.d_model, bias=False)
        if has_bias:
            self.relative_attention_bias: Layer = nn.Embedding(p.relative_attention_num_buckets, p.num_heads)

    def __call__(self, x: mx.array, bias: mx.array, dtype: mx.Dtype) -> mx.array:
        q = split_heads(self.q(x), self.heads).astype(mx.float32)  # (B, L, H D) -> (B, H, L, D)
        k = split_heads(self.k(x), self.heads).astype(mx.float32)
        v = split_heads(self.v(x), self.heads).astype(mx.float32)
        attended = mx.fast.scaled_dot_product_attention(q, k, v, scale=1.0, mask=bias)
        return apply_scaled(self.o, merge_heads(attended), dtype)


class GatedFeedForward(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        self.wi_0: Layer = nn.Linear(p.d_model, p.d_ff, bias=False)
        self.wi_1: Layer = nn.Linear(p.d_model, p.d_ff, bias=False)
        self.wo: Layer = nn.Linear(p.d_ff, p.d_model, bias=False)

    def __call__(self, x: mx.array, dtype: mx.Dtype) -> mx.array:
        gate, up = (layer(x).astype(mx.float32) for layer in (self.wi_0, self.wi_1))
        return apply_scaled(self.wo, gelu_tanh(gate) * up, dtype)


class AttentionLayer(nn.Module):
    def __init__(self, p: Params, has_bias: bool) -> None:
        super().__init__()
        self.SelfAttention = SelfAttention(p, has_bias)
        self.layer_norm: Layer = nn.RMSNorm(p.d_model, p.layer_norm_epsilon)

    def __call__(self, x: mx.array, bias: mx.array, dtype: mx.Dtype) -> mx.array:
        return x + self.SelfAttention(self.layer_norm(x).astype(dtype), bias, dtype)


class FeedForwardLayer(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        self.DenseReluDense = GatedFeedForward(p)
        self.layer_norm: Layer = nn.RMSNorm(p.d_model, p.layer_norm_epsilon)

    def __call__(self, x: mx.array, dtype: mx.Dtype) -> mx.array:
        return x + self.DenseReluDense(self.layer_norm(x).astype(dtype), dtype)


class Block(nn.Module):
    def __init__(self, p: Params, has_bias: bool) -> None:
        super().__init__()
        self.layer: list[Any] = [AttentionLayer(p, has_bias), FeedForwardLayer(p)]

    def __call__(self, x: mx.array, bias: mx.array, dtype: mx.Dtype) -> mx.array:
        attention, feed_forward = self.layer
        x = attention(x, bias, dtype)
        x = feed_forward(x, dtype)
        return x


class Stack(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        self.block = [Block(p, has_bias=number == 0) for number in range(p.num_layers)]
        self.final_layer_norm: Layer = nn.RMSNorm(p.d_model, p.layer_norm_epsilon)


class TextEncoder(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        self.params = p
        self.shared: Layer = nn.Embedding(p.vocab_size, p.d_model)
        self.encoder = Stack(p)

    @property
    def dtype(self) -> mx.Dtype:
        """What the linear layers multiply in: a norm is never packed, so it shows it."""
        return self.encoder.final_layer_norm.weight.dtype

    def __call__(self, ids: mx.array, real: mx.array | None = None) -> mx.array:
        """ids (B, L) int -> (B, L, h). `real` is not looked at: FLUX.1 was trained with padding fully attended."""
        x, bias = self.shared(ids).astype(mx.float32), self.position_bias(ids.shape[1])
        for block in self.encoder.block:
            x = block(x, bias, self.dtype)
        return self.encoder.final_layer_norm(x).astype(self.dtype)

    def position_bias(self, length: int) -> mx.array:
        """(1, H, L, L) float32; the first block's table serves all."""
        p = self.params
        buckets = distance_buckets(length, p.relative_attention_num_buckets, p.relative_attention_max_distance)
        table: Layer = self.encoder.block[0].layer[0].SelfAttention.relative_attention_bias
        return table(mx.array(buckets)).astype(mx.float32).transpose(2, 0, 1)[None]
