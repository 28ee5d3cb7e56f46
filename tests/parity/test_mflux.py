"""Folders that mflux itself saves: every tensor is the one of the diffusers form, packed by the same MLX.

mflux's requirements are older than ours, so it runs in an environment of its own, whose Python FLUX_LOCAL_MFLUX names:
pip install "mlx[cpu]" "transformers>=5.5" safetensors huggingface-hub tqdm toml platformdirs filelock piexif pyyaml
regex opencv-python-headless matplotlib pillow, and then pip install --no-deps mflux==0.24.0
"""

import os
import subprocess
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from converters.keys import flux2 as flux2_keys
from converters.keys import flux3 as flux3_keys
from converters.keys.rules import apply, compile_pattern, fill_pattern, swap_halves
from converters.parts import open_parts
from mlx_model.nets import flux2, flux3, text_qwen3
from mlx_model.store.weights import build
from tests.golden import recipe_weights

PYTHON = os.environ.get("FLUX_LOCAL_MFLUX", "")
pytestmark = [pytest.mark.parity, pytest.mark.skipif(not PYTHON, reason="FLUX_LOCAL_MFLUX names no Python with mflux")]
ROPE = {"axes_dim": (16, 16, 16, 16)}
PARTS = {
    "flux3": ("transformer", flux3.Params(128, 2, 2, 3, 128, in_channels=64, flow_map=True, theta=1e4, **ROPE)),
    "flux3-base": ("transformer", flux3.Params(128, 2, 2, 3, 128, in_channels=64, theta=1e4, **ROPE)),
    "flux2": ("transformer", flux2.Params(128, 2, 2, 3, 128, in_channels=64, **ROPE)),
    "qwen3": ("text_encoder", text_qwen3.Params(128, 192, 4, 2, 64, (1, 2, 3), vocab_size=96)),
}
SAVE = """
import sys, mlx.core as mx, mlx.nn as nn
from mflux.models.common.weights.mapping.weight_mapper import WeightMapper
from mflux.models.common.weights.saving.model_saver import ModelSaver
from mflux.models.flux2.model.flux2_text_encoder.qwen3_text_encoder import Qwen3TextEncoder
from mflux.models.flux2.model.flux2_transformer.transformer import Flux2Transformer
from mflux.models.flux2.weights.flux2_weight_definition import Flux2KleinWeightDefinition as Definition
from mflux.models.flux2.weights.flux2_weight_mapping import Flux2WeightMapping
from mflux.models.flux3.model.flux3_transformer.flux3_transformer import Flux3Transformer
from mflux.models.flux3.weights.flux3_weight_mapping import Flux3WeightMapping
name, source, out, bits = sys.argv[1:]
sizes = dict(in_channels=64, num_layers=2, num_single_layers=3, attention_head_dim=64, num_attention_heads=2,
             joint_attention_dim=128, axes_dims_rope=(16, 16, 16, 16))
mapping, make = {
    "flux3": (Flux3WeightMapping.get_transformer_mapping(), lambda: Flux3Transformer(**sizes)),
    "flux3-base": (Flux3WeightMapping.get_base_transformer_mapping(),
                   lambda: Flux3Transformer(**sizes, flow_map=False)),
    "flux2": (Flux2WeightMapping.get_transformer_mapping(), lambda: Flux2Transformer(**sizes)),
    "qwen3": (Flux2WeightMapping.get_text_encoder_mapping(), lambda: Qwen3TextEncoder(
        vocab_size=96, hidden_size=128, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=192, head_dim=64)),
}[name]
model, weights = make(), mx.load(source)
model.update(WeightMapper.apply_mapping(weights, mapping, num_blocks=3, num_layers=3), strict=False)
if int(bits):
    nn.quantize(model, class_predicate=Definition.quantization_predicate, group_size=64, bits=int(bits))
ModelSaver._save_weights(out, int(bits) or None, model, "part")
"""


def make(name):
    """(ours, as diffusers names it), in bfloat16 as checkpoints are."""
    role, params = PARTS[name]
    family = {"qwen3": "text_qwen3"}.get(name, name.split("-")[0])
    shapes = {key: tuple(x.shape) for key, x in tree_flatten(build(role, family, params).parameters())}
    ours = {key: mx.array(np.float32(x)).astype(mx.bfloat16) for key, x in recipe_weights(shapes).items()}
    if name == "qwen3":
        return ours, {f"model.{key}": x for key, x in ours.items()}
    return ours, name_back((flux2_keys if name == "flux2" else flux3_keys).DIFFUSERS, ours)


def name_back(rules, ours):
    made = {}
    for name, array in ours.items():
        rule, groups = next(
            (r, m.groups()) for r in rules if r.target and (m := compile_pattern(r.target).fullmatch(name))
        )
        array = swap_halves(array) if rule.change == "swap_halves" else array
        for source, part in zip(rule.sources, mx.split(array, len(rule.sources)), strict=True):
            made[fill_pattern(source, groups)] = part
    return made


def pack(array, bits):
    parts = mx.quantize(array, 64, bits)
    return mx.dequantize(parts[0], *(part.astype(mx.float32) for part in parts[1:]), group_size=64, bits=bits)


@pytest.mark.parametrize("bits", [0, 3, 4, 5, 6, 8])
@pytest.mark.parametrize("name", PARTS)
def test_what_mflux_saves(tmp_path, name, bits):
    ours, theirs = make(name)
    source = tmp_path / "diffusers.safetensors"
    mx.save_safetensors(str(source), theirs)
    subprocess.run([PYTHON, "-c", SAVE, name, str(source), str(tmp_path), str(bits)], check=True, timeout=300)
    part = open_parts(tmp_path / "part")
    assert part.stored is not None
    found = apply(part.layout.rules({key: shape for key, (_, shape) in part.entries.items()}), part.load_arrays(Path()))
    assert set(found) == set(ours)
    packed = {key.removesuffix("scales") for key in part.stored if key.endswith(".scales")}
    assert bool(packed) == bool(bits)
    for key, array in ours.items():
        whole = bits and array.ndim == 2
        exact = pack(array, bits) if whole else array.astype(mx.float32)
        assert mx.array_equal(found[key].astype(mx.float32), exact), key
