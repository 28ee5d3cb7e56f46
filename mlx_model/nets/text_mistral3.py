"""Mistral Small 3 text encoder of FLUX.2 dev: hidden states of three decoder layers, padded on the left.

Source: transformers models/mistral/modeling_mistral.py; layers and prompt: black-forest-labs/flux2
src/flux2/text_encoder.py. The decoder is text_qwen3's without the norm on q and k. Letters as there.
"""

from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from . import text_qwen3
from .ops import Layer, rope_angles
from .text_qwen3 import DecoderLayer, causal_mask


@dataclass(frozen=True)
class Params(text_qwen3.Params):
    vocab_size: int = 131072
    rope_theta: float = 1e9
    rms_norm_eps: float = 1e-5
    qk_norm: bool = False


class TextEncoder(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        self.params = p
        self.embed_tokens: Layer = nn.Embedding(p.vocab_size, p.hidden_size)
        self.layers = [DecoderLayer(p) for _ in range(max(p.out_layers))]

    def __call__(self, ids: mx.array, real: mx.array) -> mx.array:
        """ids (1, L) int, real (1, L) bool, padding first -> (1, L, len(out_layers) * h).

        Padding has no key it may look at, so its rows are one constant: the padding token through the MLPs alone
        (what torch's scaled dot product gives for a row without keys). Real tokens don't see it, and RoPE is
        relative, so they run without it: a short prompt costs what it is long, not L.
        """
        padding = int(np.sum(~np.array(real)))
        p = self.params
        x = self.embed_tokens(ids[:, padding:])
        constant = self.embed_tokens(ids[:, : min(padding, 1)])  # (1, 1, h), or of no rows
        rope = rope_angles(np.arange(x.shape[1])[:, None], (p.head_dim,), p.rope_theta)
        mask, kept = causal_mask(mx.ones(x.shape[:2], mx.bool_)), []
        for number, layer in enumerate(self.layers, 1):
            x = layer(x, rope, mask)
            constant = layer.skip_attention(constant) if padding else constant
            if number in p.out_layers:
                repeated = mx.broadcast_to(constant, (1, padding, constant.shape[-1]))
                kept.append(mx.concatenate([repeated, x], axis=1) if padding else x)
        return mx.concatenate(kept, axis=-1)
