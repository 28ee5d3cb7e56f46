"""The Redux embedder of FLUX.1: a picture's SigLIP states become text tokens, put after those of T5.

Source: black-forest-labs/flux, src/flux/modules/image_embedders.py. Names are that checkpoint's.
Axis letters: B batch, T text tokens, P patches.
"""

from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn

from .ops import Layer


@dataclass(frozen=True)
class Params:
    redux_dim: int = 1152
    txt_in_features: int = 4096


class ImageEmbedder(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        self.params = p
        self.redux_up: Layer = nn.Linear(p.redux_dim, 3 * p.txt_in_features)
        self.redux_down: Layer = nn.Linear(3 * p.txt_in_features, p.txt_in_features)

    def __call__(self, states: mx.array) -> mx.array:
        """(B, P, redux_dim) -> (B, P, txt_in_features)."""
        return self.redux_down(nn.silu(self.redux_up(states)))


def with_pictures(context: mx.array, pictures: list[mx.array], scales: list[float] | None = None) -> mx.array:
    """T5's tokens (B, T, w), then those of every picture (B, P, w) times its scale."""
    scales = scales or [1.0] * len(pictures)
    return mx.concatenate([context, *(scale * x for scale, x in zip(scales, pictures, strict=True))], axis=1)
