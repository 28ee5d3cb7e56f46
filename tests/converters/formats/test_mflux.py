"""Folders that mflux saved: read as they are where the plan is the same, unpacked else; the rest refused with a reason.

The folders are made here after mflux 0.24's own; tests/parity/test_mflux.py has folders that it made itself.
"""

import json
import re
import shutil

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from converters.convert import convert
from converters.keys import autoencoder, flux2, flux3
from converters.keys.rules import compile_pattern, fill_pattern, swap_halves
from mlx_model.errors import ConvertError
from mlx_model.request import Lora
from mlx_model.store import lora, weights
from mlx_model.store.folder import open_folder
from tests.converters.checkpoints import TOKENIZER, arrays, source_arrays
from tests.converters.test_comfy_files import draw, made
from tests.converters.tiny import TINY, checkpoint, companions, published
from tests.converters.tiny import weights as ours
from tests.model.store.made_loras import low_rank, peft
from tests.model.store.made_loras import save as save_lora

METADATA = {"quantization_level": "4", "mflux_version": "0.24.0"}


def theirs(rules, ours: dict[str, mx.array]) -> dict[str, mx.array]:
    """Our tensors by mflux's names: the rules backwards, without what only diffusers has."""
    made = {}
    for name, array in ours.items():
        rule, groups = next(
            (r, m.groups()) for r in rules if r.target and (m := compile_pattern(r.target).fullmatch(name))
        )
        array = swap_halves(array) if rule.change == "swap_halves" else array
        array = array[:, 0, 0] if rule.change == "pointwise" else array
        for source, part in zip(rule.sources, mx.split(array, len(rule.sources)), strict=True):
            made[re.sub(r"\.to_out\.0|timestep_embedder\.", _short, fill_pattern(source, groups))] = part
    return made


def _short(found):
    return ".to_out" if "out" in found[0] else ""


def folder(root, bits: int | None, change=None):
    """A folder as mflux saves it; every matrix with rows of whole groups is packed."""
    text = {name.removeprefix("model."): array for name, array in source_arrays("text_encoder").items()}
    text = {**text, "rotary_emb.inv_freq": mx.ones(8)}
    text.pop("lm_head.weight")
    decoder = autoencoder.list_diffusers_rules({f"decoder.up_blocks.{number}.": () for number in range(2)})
    parts = {
        "transformer": theirs(flux2.DIFFUSERS, arrays("transformer")),
        "text_encoder": text,
        "vae": theirs(decoder, arrays("autoencoder")),
    }
    if change:
        change(parts)
    for name, tensors in parts.items():
        save(root / name, pack(tensors, bits) if bits else {k: v.astype(mx.bfloat16) for k, v in tensors.items()})
    (root / "tokenizer").mkdir()
    (root / "vae" / "config.json").write_text('{"norm_num_groups": 4}')
    for file, content in TOKENIZER.items():
        (root / "tokenizer" / file).write_text(content)
    return root


def pack(tensors, bits):
    made = {}
    for name, array in tensors.items():
        made[name] = array.astype(mx.bfloat16)
        if array.ndim == 2 and array.shape[1] % 64 == 0 and name.endswith(".weight"):
            parts = mx.quantize(made[name], 64, bits)
            stem = name.removesuffix("weight")
            made |= {stem + part: value for part, value in zip(("weight", "scales", "biases"), parts, strict=True)}
    return made


def save(directory, tensors):
    directory.mkdir(parents=True)
    tensors = {name: mx.contiguous(array) for name, array in tensors.items()}
    mx.save_safetensors(str(directory / "0.safetensors"), tensors, METADATA)
    index = {"metadata": METADATA, "weight_map": dict.fromkeys(tensors, "0.safetensors")}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))


def opened(source, out, role="transformer", **options):
    list(convert(source, out, **options))
    return weights.open_component(open_folder(out), role, mx.float32)


def matrix(layer):
    return np.array(layer(mx.eye(lora.size(layer)[1])).T)


def packed_rows(name):
    """The joined rows of what mflux's packing makes of one of our matrices; rows don't mix."""
    parts = mx.quantize(arrays("transformer")[name].astype(mx.bfloat16), 64, 4)
    weight, scales, biases = parts
    return np.array(mx.dequantize(weight, scales.astype(mx.float32), biases.astype(mx.float32), 64, 4))


@pytest.mark.first_case
@pytest.mark.parametrize("bits", [None, 4])
def test_dense(tmp_path, bits):
    """Unpacked to 32 bits every matrix is the one that mflux stored, in our order."""
    net = opened(folder(tmp_path / "source", bits), tmp_path / "out", plan="32bit")
    for name, array in arrays("transformer").items():
        parent, key = weights.locate(net, name)
        packed = bits and array.ndim == 2 and array.shape[1] % 64 == 0
        expected = packed_rows(name) if packed else np.array(array.astype(mx.bfloat16).astype(mx.float32))
        assert np.allclose(np.array(parent[key]), expected, atol=1e-6), name


def test_packed_layers_stay_as_they_are(tmp_path):
    source = folder(tmp_path / "source", 4)
    net = opened(source, tmp_path / "out", plan="q4")
    stored = mx.load(str(source / "transformer" / "0.safetensors"))
    layer = net.double_blocks[1].img_attn.qkv
    joined = mx.concatenate([stored[f"transformer_blocks.1.attn.to_{part}.weight"] for part in "qkv"])
    assert mx.array_equal(layer.weight, joined)
    assert mx.array_equal(net.single_blocks[0].linear2.weight, stored["single_transformer_blocks.0.attn.to_out.weight"])
    assert isinstance(net.final_layer.linear, nn.Linear)  # mflux packs it too, our plan doesn't
    assert (layer.bits, net.txt_in.bits) == (4, 8)


def test_adapters_on_what_mflux_packed(tmp_path):
    """The adapted layer is unpacked, changed and packed anew; the others stay as they are."""
    down, up = low_rank(0, 192, 64)
    path = save_lora(tmp_path / "x.safetensors", peft("double_blocks.1.img_attn.qkv", down, up))
    source = folder(tmp_path / "source", 4)
    plain = opened(source, tmp_path / "plain", plan="q4")
    net = opened(source, tmp_path / "out", plan="q4", loras=[Lora(path, 2.0)])
    assert mx.array_equal(net.single_blocks[0].linear2.weight, plain.single_blocks[0].linear2.weight)
    expected = matrix(plain.double_blocks[1].img_attn.qkv) + 2 * up @ down
    difference = matrix(net.double_blocks[1].img_attn.qkv) - expected
    assert np.linalg.norm(difference) < 0.12 * np.linalg.norm(expected)


def test_another_plan_packs_again(tmp_path):
    net = opened(folder(tmp_path / "source", 4), tmp_path / "out", plan="q8")
    layer, exact = net.double_blocks[0].img_mlp[0], packed_rows("double_blocks.0.img_mlp.0.weight")
    assert layer.bits == 8
    assert np.abs(matrix(layer) - exact).max() < 0.01 * np.abs(exact).max()


@pytest.mark.first_case
@pytest.mark.parametrize("plan", ["q4", "16bit"])
def test_companions(tmp_path, plan):
    source = folder(tmp_path / "source", 4)
    text = opened(source, tmp_path / "out", "text_encoder", plan=plan)
    assert text.params.out_layers == (2, 4, 6)
    decoder = weights.open_component(open_folder(tmp_path / "out"), "autoencoder", mx.float32)
    exact = arrays("autoencoder")
    assert mx.allclose(decoder.decoder.conv_in.weight, exact["decoder.conv_in.weight"], atol=0.01)
    assert decoder.decoder.conv_in.weight.shape == exact["decoder.conv_in.weight"].shape


def strange(parts):
    parts["transformer"] = {"transformer_blocks.0.ff.linear1.weight": mx.zeros((64, 64))}


def test_other_names(tmp_path):
    with pytest.raises(ConvertError, match=r"saved by mflux 0\.24\.0"):
        list(convert(folder(tmp_path / "source", 4, strange), tmp_path / "out"))


@pytest.mark.parametrize("change", [
    lambda stored: stored.pop("proj_out.biases"), lambda stored: stored.update({"proj_out.scales": mx.ones((16, 2))}),
    lambda stored: stored.update({"proj_out.weight": mx.zeros((16, 64))}), lambda stored: stored.pop("proj_out.weight"),
])  # fmt: skip
def test_other_packing(tmp_path, change):
    source = folder(tmp_path / "source", 4)
    file = source / "transformer" / "0.safetensors"
    stored = mx.load(str(file))
    mx.eval(stored)
    change(stored)
    for old in file.parent.iterdir():
        old.unlink()
    file.parent.rmdir()
    save(file.parent, stored)
    with pytest.raises(ConvertError, match=r"proj_out\.weight is packed"):
        list(convert(source, tmp_path / "out"))


@pytest.mark.sweep
@pytest.mark.parametrize("model", ["flux3-image-klein", "flux3-image-klein-base"], ids=["distilled", "undistilled"])
def test_flux3(tmp_path, model):
    """The same latents as from the published form; the encoder's angles are the row's, since mflux keeps no config."""
    tiny = TINY[model]
    plain = checkpoint(tiny, tmp_path / "plain")
    source = companions(tiny, tmp_path / "mflux")
    shutil.rmtree(source / "text_encoder")
    prefix = "model.language_model."
    text = {name.removeprefix(prefix): x for name, x in published(tiny, "text_encoder").items() if prefix in name}
    for place, own in (("transformer", ours(tiny, "transformer")), ("text_encoder", text)):
        tensors = {name: mx.array(np.float32(array)) for name, array in own.items()}
        save(source / place, backwards(tensors) if place == "transformer" else tensors)
    first, second = (draw(made(given, tmp_path / given.name[:3])[0]) for given in (plain, source))
    assert np.array_equal(first, second)
    assert open_folder(tmp_path / "mfl").spec.text["rope_theta"] == 5e6


def backwards(own):
    """FLUX.3's tensors by mflux's names: diffusers' without the list that attn.to_out is there."""
    named = {}
    for name, array in own.items():
        rule, groups = next(
            (r, m.groups()) for r in flux3.DIFFUSERS if r.target and (m := compile_pattern(r.target).fullmatch(name))
        )
        array = swap_halves(array) if rule.change == "swap_halves" else array
        named[fill_pattern(rule.sources[0], groups).replace("to_out.0", "to_out")] = array
    return named
