"""Qwen3 text encoder of FLUX.2 klein: hidden states of a few decoder layers, side by side.

Source: transformers models/qwen3/modeling_qwen3.py; which layers: black-forest-labs/flux2 src/flux2/text_encoder.py.
Only the layers that are used exist here: no final norm, no LM head. Names are the checkpoint's without `model.`.
Axis letters: B batch, L tokens, h width, H heads, K key heads, D head width.
"""

from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from .ops import Angles, Layer, attention, rope_angles, rotate_halves, silu_times, split_heads


@dataclass(frozen=True)
class Params:
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    out_layers: tuple[int, ...]  # n: the residual stream after n layers
    vocab_size: int = 151936
    rope_theta: float = 1e6
    rms_norm_eps: float = 1e-6
    qk_norm: bool = True

    def __post_init__(self) -> None:
        if self.num_key_value_heads < 1 or self.num_attention_heads % self.num_key_value_heads or self.head_dim % 2:
            heads = f"{self.num_attention_heads}, {self.num_key_value_heads} of keys, {self.head_dim} channels each"
            raise ValueError(f"these heads can't be: {heads}")

    @property
    def width(self) -> int:
        """Features per token handed to the transformer."""
        return len(self.out_layers) * self.hidden_size


class Attention(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        self.heads, self.key_heads = p.num_attention_heads, p.num_key_value_heads
        self.q_proj: Layer = nn.Linear(p.hidden_size, self.heads * p.head_dim, bias=False)
        self.k_proj: Layer = nn.Linear(p.hidden_size, self.key_heads * p.head_dim, bias=False)
        self.v_proj: Layer = nn.Linear(p.hidden_size, self.key_heads * p.head_dim, bias=False)
        self.o_proj: Layer = nn.Linear(self.heads * p.head_dim, p.hidden_size, bias=False)
        if p.qk_norm:
            self.q_norm: Layer = nn.RMSNorm(p.head_dim, p.rms_norm_eps)
            self.k_norm: Layer = nn.RMSNorm(p.head_dim, p.rms_norm_eps)

    def __call__(self, x: mx.array, rope: Angles, mask: mx.array) -> mx.array:
        q = split_heads(self.q_proj(x), self.heads)  # (B, L, H D) -> (B, H, L, D)
        k = split_heads(self.k_proj(x), self.key_heads)  # (B, L, K D) -> (B, K, L, D), each for H / K queries
        v = split_heads(self.v_proj(x), self.key_heads)
        if "q_norm" in self:
            q, k = self.q_norm(q), self.k_norm(k)
        return self.o_proj(attention(rotate_halves(q, *rope), rotate_halves(k, *rope), v, mask))


class MLP(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        self.gate_proj: Layer = nn.Linear(p.hidden_size, p.intermediate_size, bias=False)
        self.up_proj: Layer = nn.Linear(p.hidden_size, p.intermediate_size, bias=False)
        self.down_proj: Layer = nn.Linear(p.intermediate_size, p.hidden_size, bias=False)

    def __call__(self, x: mx.array) -> mx.array:
        return self.down_proj(silu_times(self.gate_proj(x), self.up_proj(x)))


class DecoderLayer(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        self.self_attn = Attention(p)
        self.mlp = MLP(p)
        self.input_layernorm: Layer = nn.RMSNorm(p.hidden_size, p.rms_norm_eps)
        self.post_attention_layernorm: Layer = nn.RMSNorm(p.hidden_size, p.rms_norm_eps)

    def __call__(self, x: mx.array, rope: Angles, mask: mx.array) -> mx.array:
        x = x + self.self_attn(self.input_layernorm(x), rope, mask)
        return self.skip_attention(x)

    def skip_attention(self, x: mx.array) -> mx.array:
        """What the rest of the layer does."""
        return x + self.mlp(self.post_attention_layernorm(x))


def causal_mask(real: mx.array) -> mx.array:
    """real (B, L) bool -> (B, 1, L, L) bool: earlier or same position, and a real token."""
    length = real.shape[1]
    return mx.tril(mx.ones((length, length), mx.bool_)) & real[:, None, None, :]


class TextEncoder(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        self.params = p
        self.embed_tokens: Layer = nn.Embedding(p.vocab_size, p.hidden_size)
        self.layers = [DecoderLayer(p) for _ in range(max(p.out_layers))]

    def __call__(self, ids: mx.array, real: mx.array, positions: np.ndarray | None = None) -> mx.array:
        """ids (B, L) int, real (B, L) bool (False: padding) -> (B, L, len(out_layers) * h).

        Padding keys are masked; padding queries still see the real tokens, and their rows go to the transformer.
        `positions` (L,): where the tokens stand, if not one after the other (FLUX.3 puts all padding in one place).
        """
        p = self.params
        x, kept = self.embed_tokens(ids), []
        positions = np.arange(ids.shape[1]) if positions is None else positions
        rope = rope_angles(positions[:, None], (p.head_dim,), p.rope_theta)
        mask = causal_mask(real)
        for number, layer in enumerate(self.layers, 1):
            x = layer(x, rope, mask)
            if number in p.out_layers:
                kept.append(x)
        return mx.concatenate(kept, axis=-1)
