"""Tiny checkpoints in the layouts that the converter reads, made without torch."""

import json
from pathlib import Path

import mlx.core as mx
from mlx.utils import tree_flatten
from tokenizers import Tokenizer, models

from mlx_model.nets import autoencoder, flux2, text_qwen3
from mlx_model.store.folder import save_tokenizer, write_manifest
from mlx_model.store.weights import build, save_component

TRANSFORMER = flux2.Params(64, 2, 2, 2, 192, in_channels=16, axes_dim=(8, 8, 8, 8))
TEXT = text_qwen3.Params(64, 128, 4, 2, 16, (2, 4, 6), vocab_size=96)
AUTOENCODER = autoencoder.Params(ch=8, ch_mult=(1, 2), num_res_blocks=1, z_channels=4, groups=4)
PARAMS = {"transformer": TRANSFORMER, "text_encoder": TEXT, "autoencoder": AUTOENCODER}
FAMILIES = {"transformer": "flux2", "text_encoder": "text_qwen3", "autoencoder": "autoencoder"}
WORDS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "a", "cat", "<think>", "</think>"]
TOKENIZER = {
    "tokenizer.json": Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, WORDS[0])).to_str(),
    "tokenizer_config.json": json.dumps({"pad_token": WORDS[0]}),
}


def arrays(role: str) -> dict[str, mx.array]:
    """Random tensors by our names."""
    mx.random.seed(len(role))
    return dict(tree_flatten(build(role, FAMILIES[role], PARAMS[role]).parameters()))


def source_arrays(role: str) -> dict[str, mx.array]:
    """The same by the names and shapes of the source: BFL for the transformer and the autoencoder."""
    own = arrays(role)
    if role == "text_encoder":
        extra = {f"model.layers.{n}.{k}": v for n in (6, 7) for k, v in _layer(own).items()}
        named = {f"model.{name}": array for name, array in own.items()}
        return named | extra | {"model.norm.weight": mx.ones(64), "lm_head.weight": mx.zeros((96, 64))}
    if role == "autoencoder":
        turned = {name: a.transpose(0, 3, 1, 2) if a.ndim == 4 else a for name, a in own.items()}
        return turned | {"bn.num_batches_tracked": mx.array(0)}
    return own


def _layer(own):
    return {name.removeprefix("layers.0."): array for name, array in own.items() if name.startswith("layers.0.")}


def save(file: Path, tensors: dict[str, mx.array]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    mx.save_safetensors(str(file.with_suffix(".safetensors")), {k: mx.contiguous(v) for k, v in tensors.items()})
    return file.with_suffix(".safetensors").rename(file)


def single_file(root: Path, name: str = "flux-2-klein-4b.safetensors") -> Path:
    """A BFL file with text_encoder/, tokenizer/ and ae.safetensors beside it."""
    save(root / "text_encoder" / "model.safetensors", source_arrays("text_encoder"))
    config = {"norm_num_groups": 4}
    save(root / "vae" / "diffusion_pytorch_model.safetensors", source_arrays("autoencoder"))
    (root / "vae" / "config.json").write_text(json.dumps(config))
    (root / "tokenizer").mkdir()
    for file, text in TOKENIZER.items():
        (root / "tokenizer" / file).write_text(text)
    return save(root / name, source_arrays("transformer"))


def converted(root: Path, model: str = "flux2-klein-4b", dtype: str = "float32", **manifest) -> Path:
    """A converted folder, written the way the trainer writes one."""
    root.mkdir(parents=True)
    components = {role: save_component(root, role, FAMILIES[role], PARAMS[role], arrays(role)) for role in PARAMS}
    for file, text in TOKENIZER.items():
        (root.parent / file).write_text(text)
    tokenizer = save_tokenizer(root, [root.parent / file for file in TOKENIZER])
    values = {"source": {"name": "test"}, "licence": "none", "plan": "32bit", "dtype": dtype, **manifest}
    write_manifest(root, model, components, tokenizer, **values)
    return root


def manifest(folder: Path, change=None) -> dict:
    """model.json of a folder, after `change` has edited it."""
    values = json.loads((folder / "model.json").read_text())
    if change:
        change(values)
        (folder / "model.json").write_text(json.dumps(values))
    return values
