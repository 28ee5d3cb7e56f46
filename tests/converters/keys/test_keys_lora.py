"""The names that LoRA files use agree with the converter's tables, for every layer of the published models.

A checkpoint in diffusers' names in which every row has its own number goes through the converter's rules; the places
of the LoRA names must lead to the same rows.
"""

from importlib import import_module
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from converters.keys.rules import apply
from mlx_model.store.lora_files import rows_of
from mlx_model.store.lora_names import FAMILIES, families_of, places, resolve

LAYOUTS = Path(__file__).parents[2] / "data" / "layouts"
MODELS = {
    "flux1_schnell": "flux1",
    "flux1_dev": "flux1",
    "flux2_dev": "flux2",
    "flux2_klein_4b": "flux2",
    "flux2_klein_9b": "flux2",
    "flux3_klein_base": "flux3",
    "flux3_klein": "flux3",
}


def matrices(name: str) -> dict[str, tuple[int, int]]:
    """Layer -> (outputs, inputs) of a list of shapes, which ends with a line break."""
    pairs = (line.split("\t") for line in (LAYOUTS / f"shapes_{name}.tsv").read_text().splitlines())
    return {
        key.removesuffix(".weight"): tuple(int(n) for n in shape.split("x"))
        for key, shape in pairs
        if key.endswith(".weight") and shape.count("x") == 1
    }


@pytest.mark.parametrize("model", MODELS)
def test_rows_lie_where_the_converter_puts_them(model):
    family = MODELS[model]
    rules = import_module(f"converters.keys.{family}").DIFFUSERS
    numbered, count = {}, 0
    for layer, (outputs, _) in matrices(f"{model}_diffusers").items():
        numbered[layer] = np.arange(count, count + outputs, dtype=np.int32)
        count += outputs
    ours = apply(rules, {f"{layer}.weight": mx.array(rows)[:, None] for layer, rows in numbered.items()})
    sizes = matrices(f"{model}_bfl")
    assert {name.removesuffix(".weight") for name in ours} == set(sizes)
    known = places(family, sizes)
    for layer, rows in numbered.items():
        for name in (layer, f"transformer.{layer}", "lycoris_" + layer.replace(".", "_")):
            place = resolve(name, known)
            start, stop = rows_of(place, *sizes[place.layer])
            expected = np.concatenate(np.split(rows, 2)[::-1]) if place.swapped else rows
            assert np.array_equal(np.array(ours[f"{place.layer}.weight"])[start:stop, 0], expected), name


@pytest.mark.first_case
@pytest.mark.parametrize("model", MODELS)
def test_own_names(model):
    sizes = matrices(f"{model}_bfl")
    known = places(MODELS[model], sizes)
    for layer in sizes:
        for name in (layer, f"diffusion_model.{layer}", "lora_unet_" + layer.replace(".", "_")):
            place = resolve(name, known)
            assert (place.layer, rows_of(place, *sizes[layer])) == (layer, (0, sizes[layer][0]))
            assert FAMILIES[MODELS[model]].title in families_of(name)


def test_underscores_are_never_ambiguous():
    """Two names that differ only in dots and underscores would be one in kohya's files."""
    for model, family in MODELS.items():
        known = places(family, matrices(f"{model}_bfl"))
        dotted = {name: place for name, place in known.items() if "." in name}
        assert all(known[name.replace(".", "_")] == place for name, place in dotted.items())


@pytest.mark.parametrize(("name", "titles"), [
    ("lora_unet_single_blocks_17_modulation_lin", ["FLUX.1"]),
    ("transformer.single_transformer_blocks.3.attn.to_qkv_mlp_proj", ["FLUX.2"]),
    ("diffusion_model.txt_mode_blocks.1.q_proj", ["FLUX.3"]),
    ("diffusion_model.double_blocks.0.img_attn.qkv", ["FLUX.1", "FLUX.2"]),
    ("lora_unet_down_blocks_0_attentions_0_proj_in", []),
])  # fmt: skip
def test_families(name, titles):
    assert families_of(name) == titles
