"""All layouts that are recognised, and how the sizes of each network are read from its tensors."""

import re
from collections.abc import Callable
from typing import Any

from . import autoencoder, flux1, flux2, flux3, selfflow, t5_clip, taef, text
from .rules import Inferred, Layout, Shapes

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
# What of these sizes depends on which tensors are there, so that a file that was cut off would look like less.
INFERRED: dict[str, tuple[Inferred, ...]] = {
    "flux1": flux1.INFERRED,
    "flux2": flux2.INFERRED,
    "flux3": flux3.INFERRED,
    "selfflow": selfflow.INFERRED,
    "text_t5": t5_clip.T5_INFERRED,
    "text_clip": t5_clip.CLIP_INFERRED,
    "image_siglip": t5_clip.SIGLIP_INFERRED,
    "autoencoder": autoencoder.INFERRED,
    "tiny_autoencoder": taef.INFERRED,
}
# How a config.json names its network, in any of `_class_name`, `model_type` and `architectures`: it may lie beside a
# file of another one.
NAMES: dict[str, str] = {
    "flux1": r"Flux[A-Za-z]*Transformer\w*",
    "flux2": r"Flux2\w*Transformer\w*",
    "flux3": r"Flux3\w*Transformer\w*",
    "selfflow": r"SiT\w*|SelfFlow\w*",
    "redux": r"Redux\w*",
    "text_t5": r"(?i:u?m?t5\w*)",
    "text_clip": r"(?i:clip\w*)",
    "image_siglip": r"(?i:siglip\w*)",
    "text_qwen3": r"(?i:qwen3\w*)",
    "text_mistral3": r"(?i:mistral\w*|pixtral\w*|llama\w*)",
    "autoencoder": r"AutoencoderKL\w*",
    "tiny_autoencoder": r"AutoencoderTiny\w*",
}


def is_about(config: dict[str, Any], family: str) -> bool:
    """Whether a config.json may be that of a network of this family: it says so, or says nothing of that."""
    listed = config.get("architectures")
    names = [config.get("_class_name"), config.get("model_type"), *(listed if isinstance(listed, list) else [])]
    told = [name for name in names if isinstance(name, str)]
    return not told or any(re.fullmatch(NAMES[family], name) for name in told)
