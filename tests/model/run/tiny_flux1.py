"""Converted folders of tiny random FLUX.1 models of every kind, made without torch."""

import json
from pathlib import Path

import mlx.core as mx
from mlx.utils import tree_flatten
from tokenizers import Tokenizer, models, pre_tokenizers

from mlx_model.nets import autoencoder, flux1, image_siglip, redux, text_clip, text_t5
from mlx_model.specs import SPECS
from mlx_model.store.folder import save_tokenizer, write_manifest
from mlx_model.store.weights import build, save_component

CHANNELS, WIDTH = 16, 32
WORDS = ["<pad>", "</s>", "a", "cat", "red", "blue", "<|startoftext|>", "<|endoftext|>"]
PARAMS = {
    "text_encoder": text_t5.Params(WIDTH, 8, 48, 1, 2, len(WORDS)),
    "pooled_encoder": text_clip.Params(16, 32, 1, 2, len(WORDS), 20, len(WORDS) - 1),
    "image_encoder": image_siglip.Params(16, 32, 1, 2, 28, 14),
    "image_embedder": redux.Params(16, WIDTH),
    "autoencoder": autoencoder.Params(
        ch=8, ch_mult=(1, 1, 1, 1), num_res_blocks=1, z_channels=4, groups=4, packed_norm=False, quant_convs=False
    ),
}


def transformer(model: str) -> flux1.Params:
    beside = {"erased": CHANNELS + 256, "edges": CHANNELS, "depth": CHANNELS}.get(SPECS[model].pictures, 0)
    sizes = {"context_in_dim": WIDTH, "vec_in_dim": 16, "in_channels": CHANNELS + beside, "out_channels": CHANNELS}
    guidance = SPECS[model].guidance_kind == "embedded"
    return flux1.Params(32, 2, 1, 1, axes_dim=(4, 6, 6), guidance_embed=guidance, **sizes)


def tiny_folder(root: Path, model: str) -> Path:
    """The folder `root` / `model`."""
    spec, folder = SPECS[model], root / model
    folder.mkdir(parents=True)
    families = {"transformer": "flux1", "text_encoder": "text_t5", "autoencoder": "autoencoder"}
    families |= {role: family for role, (family, _) in spec.extras.items()}
    components = {}
    for number, (role, family) in enumerate(families.items()):
        params = transformer(model) if role == "transformer" else PARAMS[role]
        components[role] = save_component(folder, role, family, params, arrays(role, family, params, number))
    tokenizers = tokenizer(folder, root / "t5", "tokenizer", "<pad>")
    tokenizers |= tokenizer(folder, root / "clip", "pooled_tokenizer", "<|endoftext|>")
    write_manifest(folder, model, components, tokenizers, source={}, licence="none", plan="32bit", dtype="float32")
    return folder


def arrays(role, family, params, seed) -> dict[str, mx.array]:
    """Random, with every bias and gate at work."""
    mx.random.seed(seed)
    shapes = tree_flatten(build(role, family, params).parameters())
    return {name: 0.2 * mx.random.normal(x.shape) + (x if x.ndim == 1 else 0) for name, x in shapes}


def tokenizer(folder: Path, place: Path, name: str, padding: str) -> dict:
    place.mkdir(exist_ok=True)
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, "a"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.save(str(place / "tokenizer.json"))
    (place / "tokenizer_config.json").write_text(json.dumps({"pad_token": padding}))
    return save_tokenizer(folder, [place / "tokenizer.json", place / "tokenizer_config.json"], name)
