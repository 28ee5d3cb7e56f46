"""The Qwen3 text encoder in torch, with the names and Params of mlx_model/nets/text_qwen3.py.

Axis letters: B batch, L tokens, h width, H heads, D head width.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

from mlx_model.nets.text_qwen3 import Params

from .ops import RMSNorm, attention, merge_heads, rope_angles, rotate_halves, split_heads


class Attention(nn.Module):
    def __init__(self, p: Params):
        super().__init__()
        self.heads, self.key_heads = p.num_attention_heads, p.num_key_value_heads
        self.q_proj = nn.Linear(p.hidden_size, self.heads * p.head_dim, bias=False)
        self.k_proj = nn.Linear(p.hidden_size, self.key_heads * p.head_dim, bias=False)
        self.v_proj = nn.Linear(p.hidden_size, self.key_heads * p.head_dim, bias=False)
        self.o_proj = nn.Linear(self.heads * p.head_dim, p.hidden_size, bias=False)
        self.q_norm = RMSNorm(p.head_dim, p.rms_norm_eps, name="weight")
        self.k_norm = RMSNorm(p.head_dim, p.rms_norm_eps, name="weight")

    def forward(self, x, rope, mask):
        q = rotate_halves(self.q_norm(split_heads(self.q_proj(x), self.heads)), *rope)
        k = rotate_halves(self.k_norm(split_heads(self.k_proj(x), self.key_heads)), *rope)
        v = split_heads(self.v_proj(x), self.key_heads)
        shared = self.heads // self.key_heads
        seen = attention(q, k.repeat_interleave(shared, 1), v.repeat_interleave(shared, 1), mask)
        return self.o_proj(merge_heads(seen))


class MLP(nn.Module):
    def __init__(self, p: Params):
        super().__init__()
        self.gate_proj = nn.Linear(p.hidden_size, p.intermediate_size, bias=False)
        self.up_proj = nn.Linear(p.hidden_size, p.intermediate_size, bias=False)
        self.down_proj = nn.Linear(p.intermediate_size, p.hidden_size, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, p: Params):
        super().__init__()
        self.self_attn, self.mlp = Attention(p), MLP(p)
        self.input_layernorm = RMSNorm(p.hidden_size, p.rms_norm_eps, name="weight")
        self.post_attention_layernorm = RMSNorm(p.hidden_size, p.rms_norm_eps, name="weight")

    def forward(self, x, rope, mask):
        x = x + self.self_attn(self.input_layernorm(x), rope, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class TextEncoder(nn.Module):
    def __init__(self, p: Params):
        super().__init__()
        self.params = p
        self.embed_tokens = nn.Embedding(p.vocab_size, p.hidden_size)
        self.layers = nn.ModuleList(Layer(p) for _ in range(max(p.out_layers)))

    def forward(self, ids: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """(B, L) ids and which of them are words -> (B, L, outputs * h)."""
        p, length = self.params, ids.shape[1]
        rope = rope_angles(torch.arange(length)[:, None], (p.head_dim,), p.rope_theta)
        mask = torch.tril(torch.ones(length, length, dtype=torch.bool)) & real[:, None, None, :]
        x, kept = self.embed_tokens(ids), []
        for number, layer in enumerate(self.layers, 1):
            x = layer(x, rope, mask)
            if number in p.out_layers:
                kept.append(x)
        return torch.cat(kept, -1)
