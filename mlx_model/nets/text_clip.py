"""The CLIP-L text encoder of FLUX.1: one vector for the whole prompt.

Source: transformers models/clip/modeling_clip.py. Names are the checkpoint's without `text_model.`; the projection
into the space shared with pictures serves no FLUX model.
Axis letters: B batch, L tokens, h width, H heads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import mlx.core as mx
import mlx.nn as nn

from ..foreign import check_heads
from .ops import Layer, attention, split_heads


@dataclass(frozen=True)
class Params:
    """The defaults are those of openai/clip-vit-large-patch14."""

    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    vocab_size: int = 49408
    max_position_embeddings: int = 77
    eos_token_id: int = 49407
    layer_norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        check_heads(self.hidden_size, self.num_attention_heads)
        if not 0 <= self.eos_token_id < self.vocab_size:
            raise ValueError(f"eos_token_id can't be {self.eos_token_id}, with {self.vocab_size} tokens")

    @property
    def width(self) -> int:
        """Features of the pooled vector."""
        return self.hidden_size


class Sizes(Protocol):
    """What CLIP's and SigLIP's Params share."""

    @property
    def hidden_size(self) -> int: ...
    @property
    def intermediate_size(self) -> int: ...
    @property
    def num_hidden_layers(self) -> int: ...
    @property
    def num_attention_heads(self) -> int: ...
    @property
    def layer_norm_eps(self) -> float: ...


Activation = Callable[[mx.array], mx.array]


class Embeddings(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        self.token_embedding: Layer = nn.Embedding(p.vocab_size, p.hidden_size)
        self.position_embedding: Layer = nn.Embedding(p.max_position_embeddings, p.hidden_size)

    def __call__(self, ids: mx.array) -> mx.array:
        return self.token_embedding(ids) + self.position_embedding(mx.arange(ids.shape[1]))


class Attention(nn.Module):
    """Also SigLIP's."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj: Layer = nn.Linear(hidden, hidden)
        self.k_proj: Layer = nn.Linear(hidden, hidden)
        self.v_proj: Layer = nn.Linear(hidden, hidden)
        self.out_proj: Layer = nn.Linear(hidden, hidden)

    def __call__(self, x: mx.array, mask: mx.array | None = None) -> mx.array:
        q = split_heads(self.q_proj(x), self.heads)  # (B, L, h) -> (B, H, L, D)
        k = split_heads(self.k_proj(x), self.heads)
        v = split_heads(self.v_proj(x), self.heads)
        return self.out_proj(attention(q, k, v, mask))


class MLP(nn.Module):
    def __init__(self, hidden: int, intermediate: int, activation: Activation) -> None:
        super().__init__()
        self.activation = activation
        self.fc1: Layer = nn.Linear(hidden, intermediate)
        self.fc2: Layer = nn.Linear(intermediate, hidden)

    def __call__(self, x: mx.array) -> mx.array:
        return self.fc2(self.activation(self.fc1(x)))


class EncoderLayer(nn.Module):
    def __init__(self, p: Sizes, activation: Activation) -> None:
        super().__init__()
        self.self_attn = Attention(p.hidden_size, p.num_attention_heads)
        self.mlp = MLP(p.hidden_size, p.intermediate_size, activation)
        self.layer_norm1: Layer = nn.LayerNorm(p.hidden_size, p.layer_norm_eps)
        self.layer_norm2: Layer = nn.LayerNorm(p.hidden_size, p.layer_norm_eps)

    def __call__(self, x: mx.array, mask: mx.array | None = None) -> mx.array:
        x = x + self.self_attn(self.layer_norm1(x), mask)
        return x + self.mlp(self.layer_norm2(x))


class Encoder(nn.Module):
    def __init__(self, p: Sizes, activation: Activation) -> None:
        super().__init__()
        self.layers = [EncoderLayer(p, activation) for _ in range(p.num_hidden_layers)]

    def __call__(self, x: mx.array, mask: mx.array | None = None) -> mx.array:
        for layer in self.layers:
            x = layer(x, mask)
        return x


def quick_gelu(x: mx.array) -> mx.array:
    return x * mx.sigmoid(1.702 * x)


class TextEncoder(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        self.params = p
        self.embeddings = Embeddings(p)
        self.encoder = Encoder(p, quick_gelu)
        self.final_layer_norm: Layer = nn.LayerNorm(p.hidden_size, p.layer_norm_eps)

    def encode(self, ids: mx.array) -> mx.array:
        """ids (B, L) int -> (B, L, h) after the final norm."""
        mask = mx.tril(mx.ones((ids.shape[1], ids.shape[1]), mx.bool_))
        return self.final_layer_norm(self.encoder(self.embeddings(ids), mask))

    def __call__(self, ids: mx.array, real: mx.array | None = None) -> mx.array:
        """ids (B, L) int -> (B, h): the state at the first end token, which sees the whole prompt and no padding."""
        ends = (ids == self.params.eos_token_id).argmax(axis=1)
        return self.encode(ids)[mx.arange(ids.shape[0]), ends]
