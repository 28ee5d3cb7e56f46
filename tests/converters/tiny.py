"""Tiny checkpoints of every family in published names, made without torch: what converter tests read."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten
from tokenizers import Tokenizer, models, pre_tokenizers

from mlx_model.nets import (
    autoencoder,
    flux1,
    flux2,
    flux3,
    image_siglip,
    redux,
    text_clip,
    text_mistral3,
    text_qwen3,
    text_t5,
)
from mlx_model.run.tokenize import MISTRAL, TEMPLATES
from mlx_model.specs import SPECS
from mlx_model.store.weights import build
from tests.golden import recipe_weights

VAE = {"ch": 8, "ch_mult": (1, 1, 2, 2), "num_res_blocks": 1, "groups": 4}
FLUX1_VAE = autoencoder.Params(**VAE, z_channels=4, packed_norm=False, quant_convs=False, scale=0.3611, shift=0.1159)
FLUX2_VAE = autoencoder.Params(**VAE, z_channels=4)
T5 = text_t5.Params(48, 8, 96, 2, 4, 64)
CLIP = text_clip.Params(64, 96, 2, 1, 514, 16, 513)
SIGLIP = image_siglip.Params(64, 96, 2, 16, 28)
TINY_FLUX1 = {"context_in_dim": 48, "vec_in_dim": 64, "in_channels": 16, "out_channels": 16, "axes_dim": (4, 14, 14)}


def flux1_params(**changes: Any) -> flux1.Params:
    return flux1.Params(64, 2, 1, 2, **{**TINY_FLUX1, **changes})


@dataclass(frozen=True)
class Tiny:
    """One model: for every role the Params, the module, and the folder of a diffusers checkpoint."""

    model: str
    parts: dict[str, tuple[Any, str, str]]
    tokenizers: tuple[str, ...] = ("tokenizer",)


def _flux1(model: str, **changes: Any) -> Tiny:
    parts = {
        "transformer": (flux1_params(**changes), "flux1", "transformer"),
        "text_encoder": (T5, "text_t5", "text_encoder_2"),
        "pooled_encoder": (CLIP, "text_clip", "text_encoder"),
        "autoencoder": (FLUX1_VAE, "autoencoder", "vae"),
    }
    return Tiny(model, parts, ("tokenizer", "tokenizer_2"))


def _redux() -> Tiny:
    base = _flux1("flux1-redux-dev", guidance_embed=True)
    more = {
        "image_encoder": (SIGLIP, "image_siglip", "image_encoder"),
        "image_embedder": (redux.Params(64, 48), "redux", "image_embedder"),
    }
    return Tiny(base.model, {**base.parts, **more}, base.tokenizers)


def _flux2(model: str, dev: bool = False) -> Tiny:
    transformer = flux2.Params(64, 2, 1, 2, 96, in_channels=16, axes_dim=(8, 8, 8, 8), guidance_embed=dev)
    family, module = ("text_mistral3", text_mistral3) if dev else ("text_qwen3", text_qwen3)
    text = module.Params(32, 64, 4, 2, 8, (1, 2, 3), vocab_size=96)
    parts = {"transformer": (transformer, "flux2", "transformer"), "text_encoder": (text, family, "text_encoder")}
    return Tiny(model, {**parts, "autoencoder": (FLUX2_VAE, "autoencoder", "vae")})


def _flux3(model: str, flow_map: bool) -> Tiny:
    transformer = flux3.Params(
        64, 2, 1, 2, 256, in_channels=16, axes_dim=(8, 8, 8, 8), theta=10000.0, flow_map=flow_map
    )
    text = text_qwen3.Params(32, 64, 4, 2, 8, tuple(range(1, 9)), vocab_size=96, rope_theta=5e6)
    parts = {"transformer": (transformer, "flux3", "transformer"), "text_encoder": (text, "text_qwen3", "text_encoder")}
    return Tiny(model, {**parts, "autoencoder": (FLUX2_VAE, "autoencoder", "vae")})


TINY = {
    tiny.model: tiny
    for tiny in (
        _flux1("flux1-schnell"),
        *(_flux1(f"flux1-{kind}dev", guidance_embed=True) for kind in ("", "krea-", "kontext-")),
        _flux1("flux1-fill-dev", guidance_embed=True, in_channels=16 + 16 + 256),
        *(_flux1(f"flux1-{kind}-dev", guidance_embed=True, in_channels=32) for kind in ("canny", "depth")),
        _redux(),
        _flux2("flux2-dev", dev=True),
        *(_flux2(name) for name in SPECS if name.startswith("flux2-klein")),
        _flux3("flux3-image-klein", True),
        _flux3("flux3-image-klein-base", False),
    )
}


def weights(tiny: Tiny, role: str) -> dict[str, np.ndarray]:
    """By our names and shapes."""
    params, family, _ = tiny.parts[role]
    shapes = {name: tuple(x.shape) for name, x in tree_flatten(build(role, family, params).parameters())}
    return recipe_weights(shapes)


PREFIXES = {"text_qwen3": "model.", "text_mistral3": "language_model.model."}


def published(tiny: Tiny, role: str) -> dict[str, np.ndarray]:
    """The same by the names and shapes of the published file, with what a converter has to drop."""
    own, (params, family, _) = weights(tiny, role), tiny.parts[role]
    turned = {name: x.transpose(0, 3, 1, 2) if x.ndim == 4 else x for name, x in own.items()}
    if family in PREFIXES:
        last = max(params.out_layers)
        more = {f"layers.{last}.{k.removeprefix('layers.0.')}": x for k, x in own.items() if k.startswith("layers.0.")}
        prefix = "model.language_model." if tiny.model.startswith("flux3") else PREFIXES[family]
        named = {prefix + name: x for name, x in {**own, **more}.items()}
        unused = {prefix + "norm.weight": np.ones(params.hidden_size, np.float32)}
        tower = "model.visual.patch_embed.proj" if family == "text_qwen3" else "vision_tower.patch_conv"
        vision = {f"{tower}.weight": np.ones((2, 2), np.float32)}
        return {**named, **unused, **(vision if "language" in prefix else {})}
    if family == "text_clip":
        return {f"text_model.{name}": x for name, x in own.items()}
    if family == "image_siglip":
        return {f"vision_model.{name}": x for name, x in turned.items()} | {
            "vision_model.head.probe": np.ones((1, 1, 4))
        }
    return turned if family == "autoencoder" else own


CONFIGS = {
    "text_clip": {"eos_token_id": 2},
    "autoencoder": {"norm_num_groups": 4},
    "image_siglip": {"image_size": 28},
    "text_mistral3": {"text_config": {"head_dim": 8}},
}
MARKS = (*TEMPLATES["klein"].marks, *MISTRAL)


def save(file: Path, arrays: dict[str, np.ndarray]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: mx.array(np.ascontiguousarray(x, np.float32)) for name, x in arrays.items()}
    mx.save_safetensors(str(file.with_suffix(".safetensors")), tensors)
    return file.with_suffix(".safetensors").rename(file)


def tokenizer(directory: Path, clip: bool) -> None:
    directory.mkdir(parents=True)
    (directory / "tokenizer_config.json").write_text(json.dumps({"pad_token": "<|endoftext|>" if clip else "<pad>"}))
    if clip:
        letters = sorted(pre_tokenizers.ByteLevel.alphabet())
        names = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
        (directory / "vocab.json").write_text(json.dumps({name: number for number, name in enumerate(names)}))
        (directory / "merges.txt").write_text("#version: 0.2\n")
        return
    words = {name: number for number, name in enumerate(["<pad>", "</s>", "<unk>", "a", "cat", *MARKS])}
    Tokenizer(models.WordLevel(words, "<unk>")).save(str(directory / "tokenizer.json"))


def companions(tiny: Tiny, root: Path) -> Path:
    """Everything but the transformer, as diffusers lays it out."""
    for role, (_, family, place) in tiny.parts.items():
        if role != "transformer":
            save(root / place / "model.safetensors", published(tiny, role))
            (root / place / "config.json").write_text(json.dumps(CONFIGS.get(family, {})))
    for name in tiny.tokenizers:
        tokenizer(root / name, clip=len(tiny.tokenizers) > 1 and name == "tokenizer")
    return root


def checkpoint(tiny: Tiny, root: Path) -> Path:
    """A single transformer file under BFL's names, with its companions beside it."""
    companions(tiny, root)
    return save(root / f"{tiny.model}.safetensors", published(tiny, "transformer"))
