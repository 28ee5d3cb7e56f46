"""All layouts that are recognised, and how the sizes of each network are read from its tensors."""

from collections.abc import Callable
from typing import Any

from . import keys_autoencoder, keys_flux1, keys_flux2, keys_flux3, keys_selfflow, keys_t5_clip, keys_taef, keys_text
from .keys import Layout, Shapes

# The first whose signature is among the keys decides. FLUX.3 comes before the text encoders (its encoder is a Qwen3
# with a vision tower), Self-Flow before the autoencoders (its old names have the newer ones' signature too).
LAYOUTS: tuple[Layout, ...] = (
    *keys_flux2.LAYOUTS,
    *keys_flux1.LAYOUTS,
    *keys_flux3.LAYOUTS,
    *keys_selfflow.LAYOUTS,
    *keys_t5_clip.LAYOUTS,
    *keys_text.LAYOUTS,
    *keys_autoencoder.LAYOUTS,
    *keys_taef.LAYOUTS,
)
# By module of mlx_model. The language models are missing: their sizes also depend on the transformer (keys_text).
SIZES: dict[str, Callable[[Shapes, dict[str, Any]], dict[str, Any]]] = {
    "flux1": keys_flux1.sizes,
    "flux2": keys_flux2.sizes,
    "flux3": keys_flux3.sizes,
    "selfflow": keys_selfflow.sizes,
    "redux": keys_flux1.redux_sizes,
    "text_t5": keys_t5_clip.t5_sizes,
    "text_clip": keys_t5_clip.clip_sizes,
    "image_siglip": keys_t5_clip.siglip_sizes,
    "autoencoder": keys_autoencoder.sizes,
    "tiny_autoencoder": keys_taef.sizes,
}
