"""The SigLIP so400m vision tower of FLUX.1 Redux: one state per patch of a picture.

Source: transformers models/siglip/modeling_siglip.py. Names are the checkpoint's without `vision_model.`; its pooling
head serves no FLUX model. Layers are those of CLIP.
Axis letters: B batch, S side of the picture in pixels, P patches, h width.
"""

from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn

from ..foreign import check_heads
from .ops import Layer
from .text_clip import Encoder


@dataclass(frozen=True)
class Params:
    """The defaults are those of google/siglip-so400m-patch14-384."""

    hidden_size: int = 1152
    intermediate_size: int = 4304
    num_hidden_layers: int = 27
    num_attention_heads: int = 16
    image_size: int = 384
    patch_size: int = 14
    layer_norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        check_heads(self.hidden_size, self.num_attention_heads)

    @property
    def width(self) -> int:
        """Features per patch."""
        return self.hidden_size

    @property
    def patches(self) -> int:
        return (self.image_size // self.patch_size) ** 2


class Embeddings(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        self.patch_embedding: Layer = nn.Conv2d(3, p.hidden_size, p.patch_size, stride=p.patch_size)
        self.position_embedding: Layer = nn.Embedding(p.patches, p.hidden_size)

    def __call__(self, images: mx.array) -> mx.array:
        x = self.patch_embedding(images.astype(self.patch_embedding.weight.dtype))  # (B, P / side, side, h)
        x = x.reshape(x.shape[0], -1, x.shape[-1])  # (B, P, h)
        return x + self.position_embedding(mx.arange(x.shape[1]))


class ImageEncoder(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        self.params = p
        self.embeddings = Embeddings(p)
        self.encoder = Encoder(p, nn.gelu_approx)
        self.post_layernorm: Layer = nn.LayerNorm(p.hidden_size, p.layer_norm_eps)

    def __call__(self, images: mx.array) -> mx.array:
        """(B, S, S, 3) in [-1, 1], squeezed to S x S without cropping -> (B, P, h), row-major."""
        return self.post_layernorm(self.encoder(self.embeddings(images)))
