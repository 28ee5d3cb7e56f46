"""Whole files as trainers write them, every layer of every family adapted: nothing is left out or elsewhere.

The names follow what each program puts before and behind a layer's name; which rows a name of diffusers stands for is
held against the converter's tables in tests/converters/keys/test_keys_lora.py.
"""

import json
import re
from typing import NamedTuple

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from converters.bake import bake
from mlx_model.errors import LayoutError
from mlx_model.nets import flux1, flux2, flux3
from mlx_model.request import Lora
from mlx_model.store import lora, lora_names
from mlx_model.store.lora_files import rows_of
from mlx_model.store.weights import build
from tests.converters.tiny import TINY
from tests.model.store.made_loras import random, save

pytestmark = pytest.mark.sweep

MODELS = {"flux1": "flux1-dev", "flux2": "flux2-dev", "flux3": "flux3-image-klein"}
NETS = {"flux1": flux1, "flux2": flux2, "flux3": flux3}
RANK = 2


class Trainer(NamedTuple):
    prefix: str
    diffusers: bool = False
    flat: bool = False  # underscores for dots in the layer's name
    down: str = "lora_A.weight"
    up: str = "lora_B.weight"
    alpha: bool = False  # a tensor beside each pair
    told: bool = False  # alpha in the header, as PEFT through diffusers


TRAINERS = {
    "kohya, musubi": Trainer("lora_unet_", False, True, "lora_down.weight", "lora_up.weight", True),
    "kohya of diffusers' names": Trainer("lora_unet_", True, True, "lora_down.weight", "lora_up.weight", True),
    "OneTrainer": Trainer("lora_transformer_", True, True, "lora_down.weight", "lora_up.weight", True),
    "OneTrainer, dotted": Trainer("transformer.", True, False, "lora_down.weight", "lora_up.weight", True),
    "OneTrainer, BFL's names": Trainer("diffusion_model.", False, False, "lora_down.weight", "lora_up.weight", True),
    "diffusers": Trainer("transformer.", True, told=True),
    "diffusers, of old": Trainer("transformer.", True, False, "lora.down.weight", "lora.up.weight"),
    "diffusers, older": Trainer("unet.", True, False, "lora_linear_layer.down.weight", "lora_linear_layer.up.weight"),
    "ai-toolkit": Trainer("diffusion_model."),
    "ai-toolkit, FLUX.1; Replicate": Trainer("transformer.", True),
    "ComfyUI": Trainer("diffusion_model.", False, False, "lora_down.weight", "lora_up.weight", True),
    "ComfyUI's whole checkpoints": Trainer("model.diffusion_model."),
    "fal": Trainer("base_model.model."), "fal, diffusers' names": Trainer("base_model.model.", True),
    "PEFT": Trainer("base_model.model.", True, False, "lora_A.default.weight", "lora_B.default.weight"),
    "PEFT of a pipeline": Trainer("base_model.model.transformer.", True),
    "SimpleTuner": Trainer("transformer.", True, alpha=True),
    "LyCORIS": Trainer("lycoris_", True, True, "lora_down.weight", "lora_up.weight", True),
    "BFL": Trainer(""), "bare, diffusers' names": Trainer("", True), "net": Trainer("net."),
    "compiled": Trainer("_orig_mod."), "wrapped": Trainer("module._orig_mod.", True),
    "sharded": Trainer("_fsdp_wrapped_module.", True),
}  # fmt: skip


def net(family):
    mx.random.seed(1)
    return NETS[family].Transformer(TINY[MODELS[family]].parts["transformer"][0])


def list_names(family, sizes, diffusers):
    """(name, place) of every layer, or of every run of rows that diffusers has as a layer of its own."""
    known = lora_names.places(family, sizes)
    if not diffusers:
        return [(layer, known[layer]) for layer in sizes]
    fused = ("to_qkv", "to_added_qkv", "linear1_qkv", "linear1_mlp", "processor", "linear1")
    names = [name for name in known if "." in name or name in ("x_embedder", "context_embedder", "proj_out")]
    return [
        (name, known[name]) for name in names
        if (name not in sizes or name.startswith("txt_mode_blocks")) and not any(f".{end}" in name for end in fused
            if not (end == "to_qkv" and "to_qkv_mlp" in name)) and known[name].layer in sizes
    ]  # fmt: skip


def make(trainer, family, sizes):
    """The tensors of a file, and what it adds to each layer."""
    tensors, added = {}, {layer: np.zeros(size, np.float32) for layer, size in sizes.items()}
    for number, (name, place) in enumerate(list_names(family, sizes, trainer.diffusers)):
        outputs, inputs = sizes[place.layer]
        start, stop = rows_of(place, outputs, inputs)
        down, up = random(2 * number, RANK, inputs), random(2 * number + 1, stop - start, RANK)
        stem = trainer.prefix + (name.replace(".", "_") if trainer.flat else name)
        tensors |= {f"{stem}.{trainer.down}": down, f"{stem}.{trainer.up}": up}
        tensors |= {f"{stem}.alpha": np.float32(1)} if trainer.alpha else {}
        made = up @ down / (RANK if trainer.alpha or trainer.told else 1)
        added[place.layer][start:stop] += np.concatenate(np.split(made, 2)[::-1]) if place.swapped else made
    assert all(array.any() for array in added.values())
    return tensors, added


def matrices(module):
    return {
        name: np.array(x) for name, x in tree_flatten(module.parameters()) if name.endswith(".weight") and x.ndim == 2
    }


def write(tmp_path, trainer, family, sizes):
    tensors, added = make(trainer, family, sizes)
    told = {"transformer.r": RANK, "transformer.lora_alpha": 1}
    metadata = {"lora_adapter_metadata": json.dumps(told)} if trainer.told else None
    return save(tmp_path / "x.safetensors", tensors, metadata), added


@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize("title", TRAINERS)
def test_a_whole_file(tmp_path, title, family):
    """Baked into the weights, and live beside them."""
    module = net(family)
    sizes = lora.layer_sizes(module)
    path, added = write(tmp_path, TRAINERS[title], family, sizes)
    before, arrays = matrices(module), dict(tree_flatten(module.parameters()))
    changed = bake(arrays, "transformer", family, module.params, {}, [Lora(path)])
    assert changed == {f"{layer}.weight" for layer in sizes}
    for layer, addition in added.items():
        assert np.abs(np.array(arrays[f"{layer}.weight"]) - before[f"{layer}.weight"] - addition).max() < 2e-5, layer
    notes = []
    lora.apply(module, family, [Lora(path)], notes)
    assert notes == []
    live = {name: layer for name, layer in module.named_modules() if name in sizes}
    for layer, addition in added.items():
        assert np.abs(np.array(live[layer].up @ live[layer].down) - addition).max() < 2e-5, layer


@pytest.mark.parametrize("mark", ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"])
@pytest.mark.parametrize("trainer", ["ai-toolkit", "kohya, musubi"])
def test_blocks_that_were_wrapped_alone(tmp_path, trainer, mark):
    sizes = lora.layer_sizes(net("flux2"))
    tensors, added = make(TRAINERS[trainer], "flux2", sizes)
    sign = "_" if TRAINERS[trainer].flat else "."
    wrapped = {re.sub(r"(blocks[._]\d+[._])", rf"\1{mark}{sign}", name): array for name, array in tensors.items()}
    assert wrapped.keys() != tensors.keys()
    module, notes = net("flux2"), []
    lora.apply(module, "flux2", [Lora(save(tmp_path / "x.safetensors", wrapped))], notes)
    assert notes == []
    live = dict(module.named_modules())
    assert all(np.allclose(live[layer].up @ live[layer].down, x, atol=2e-5) for layer, x in added.items())


ENCODERS = {  # of a tiny model, with what programs put before its layers' names
    "pooled_encoder": ("flux1-dev", ["lora_te1_text_model_", "lora_te_text_model_", "text_encoder.text_model.",
                       "text_encoder_1.text_model.", "text_encoders.clip_l.transformer.text_model.",
                       "clip_l.transformer.text_model.", "base_model.model.text_model."]),
    "text_encoder": ("flux1-dev", ["lora_te2_", "lora_te3_", "text_encoder_2.", "text_encoders.t5xxl.transformer.",
                     "t5xxl.transformer.", "lycoris_te2_"]),
    "qwen3": ("flux2-klein-4b", ["lora_te_model_", "lora_te1_model_", "text_encoder.model.",
              "text_encoders.qwen3_4b.transformer.model.", "qwen3_8b.transformer.model."]),
    "mistral": ("flux2-dev", ["lora_te_language_model_model_", "text_encoder.model.language_model.",
                "text_encoders.mistral3_24b.transformer.model."]),
}  # fmt: skip


@pytest.mark.parametrize(("encoder", "prefix"), [(name, p) for name, (_, list_) in ENCODERS.items() for p in list_])
def test_names_of_text_encoders(encoder, prefix):
    role = encoder if encoder in TINY["flux1-dev"].parts else "text_encoder"
    params, family, _ = TINY[ENCODERS[encoder][0]].parts[role]
    layers = lora.layer_sizes(build(role, family, params))
    known = lora_names.encoder_places(layers)
    assert len(layers) > 10
    for layer in layers:
        name = prefix + (layer.replace(".", "_") if prefix.endswith("_") else layer)
        assert lora_names.resolve_encoder(name, known) == lora_names.Place(layer), name


@pytest.mark.parametrize("family", MODELS)
def test_the_other_families_refuse_it(tmp_path, family):
    path, _ = write(tmp_path, TRAINERS["ai-toolkit"], family, lora.layer_sizes(net(family)))
    for other in MODELS:
        if other != family:
            with pytest.raises(LayoutError, match=r"does not fit|in part|another size|is for"):
                lora.apply(net(other), other, [Lora(path)])
