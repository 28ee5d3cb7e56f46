"""All layouts that are recognised, and how the sizes of each network are read from its tensors."""

from collections.abc import Callable
from typing import Any

from . import autoencoder, flux1, flux2, flux3, selfflow, t5_clip, taef, text
from .rules import Layout, Shapes

# The first whose signature is among the keys decides. FLUX.3 comes before the text encoders (its encoder is a Qwen3
# with a vision tower), Self-Flow before the autoencoders (its old names have the newer ones' signature too).
LAYOUTS: tuple[Layout, ...] = (
    *flux2.LAYOUTS,
    *flux1.LAYOUTS,
    *flux3.LAYOUTS,
    *selfflow.LAYOUTS,
    *t5_clip.LAYOUTS,
    *text.LAYOUTS,
    *autoencoder.LAYOUTS,
    *taef.LAYOUTS,
)
# By module of mlx_model. The language models are missing: their sizes also depend on the transformer (text.py).
SIZES: dict[str, Callable[[Shapes, dict[str, Any]], dict[str, Any]]] = {
    "flux1": flux1.read_sizes,
    "flux2": flux2.read_sizes,
    "flux3": flux3.read_sizes,
    "selfflow": selfflow.read_sizes,
    "redux": flux1.read_redux_sizes,
    "text_t5": t5_clip.read_t5_sizes,
    "text_clip": t5_clip.read_clip_sizes,
    "image_siglip": t5_clip.read_siglip_sizes,
    "autoencoder": autoencoder.read_sizes,
    "tiny_autoencoder": taef.read_sizes,
}
