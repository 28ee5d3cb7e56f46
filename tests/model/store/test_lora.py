"""Adapters beside dense, packed and rotated layers: what they add, on and off again, and what is refused."""

import json
from itertools import pairwise

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

from converters.quantize import PLANS, encode
from mlx_model.errors import RequestError
from mlx_model.nets import flux1, flux2, flux3
from mlx_model.request import Lora
from mlx_model.store import lora, lora_files, lora_names, weights
from tests.converters.checkpoints import PARAMS, arrays
from tests.converters.checkpoints import save as save_weights
from tests.model.nets.test_flux2 import network, velocity
from tests.model.store.made_loras import kohya, low_rank, peft, random, save

QKV = "double_blocks.1.img_attn.qkv"


def net() -> flux2.Transformer:
    module = flux2.Transformer(PARAMS["transformer"])
    module.load_weights(list(arrays("transformer").items()))
    return module


@pytest.fixture
def model():
    return net()


def matrix(model, name):
    """The matrix that a layer applies, found by asking it."""
    parent, key = weights.locate(model, name)
    return np.array(parent[key](mx.eye(lora.size(getattr(parent[key], "base", parent[key]))[1])).T)


def added(model, name, path, scale=1.0):
    """What a file adds to the matrix of a layer."""
    before = matrix(model, name)
    assert lora.apply(model, "flux2", [Lora(path, scale)])
    return matrix(model, name) - before


def same(a, b):
    return np.allclose(a, b, atol=2e-5)


FORMS = {
    "BFL": lambda d, u: peft(QKV, d, u),
    "ComfyUI": lambda d, u: peft(f"diffusion_model.{QKV}", d, u),
    "ComfyUI's checkpoints": lambda d, u: peft(f"model.diffusion_model.{QKV}", d, u),
    "PEFT": lambda d, u: peft(f"base_model.model.{QKV}", d, u, ".default.weight"),
    "kohya": lambda d, u: kohya(QKV, d, u),
    "ai-toolkit, down and up": lambda d, u: {
        f"diffusion_model.{QKV}.lora_down.weight": d, f"diffusion_model.{QKV}.lora_up.weight": u
    },
    "old diffusers": lambda d, u: {f"transformer.{QKV}.lora.down.weight": d, f"transformer.{QKV}.lora.up.weight": u},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_forms(model, tmp_path, form):
    down, up = low_rank(0, 192, 64)
    path = save(tmp_path / "x.safetensors", FORMS[form](down, up))
    assert same(added(model, QKV, path, 0.5), 0.5 * up @ down)


@pytest.mark.parametrize(
    "prefix", ["transformer.", "base_model.model.transformer.", "", "lycoris_", "lora_transformer_"]
)
def test_separate_q_k_v_become_one(model, tmp_path, prefix):
    """Three adapters of different ranks in diffusers' names; k may be missing."""
    parts = {part: low_rank(number, 64, 64, rank=number + 2) for number, part in enumerate("qkv")}
    tensors = {}
    for part, (down, up) in parts.items():
        layer = f"transformer_blocks.1.attn.to_{part}"
        flat = prefix.endswith("_")
        tensors |= kohya(layer, down, up, prefix=prefix) if flat else peft(prefix + layer, down, up)
    expected = np.concatenate([up @ down for down, up in parts.values()])
    assert same(added(model, QKV, save(tmp_path / "x.safetensors", tensors)), expected)
    lora.remove(model)
    tensors = {name: array for name, array in tensors.items() if "to_k" not in name}
    expected[64:128] = 0
    assert same(added(model, QKV, save(tmp_path / "y.safetensors", tensors)), expected)


def test_final_modulation_of_diffusers_is_turned(model, tmp_path):
    down, up = low_rank(0, 128, 64)
    path = save(tmp_path / "x.safetensors", peft("transformer.norm_out.linear", down, up))
    expected = np.concatenate([up[64:], up[:64]]) @ down
    assert same(added(model, "final_layer.adaLN_modulation.1", path), expected)


@pytest.mark.parametrize(("alpha", "factor"), [(None, 1), (4, 1), (1.0, 0.25), (8, 2)])
def test_alpha(model, tmp_path, alpha, factor):
    down, up = low_rank(0, 192, 64, rank=4)
    path = save(tmp_path / "x.safetensors", kohya(QKV, down, up, alpha))
    assert same(added(model, QKV, path), factor * up @ down)


@pytest.mark.parametrize(("config", "factor"), [
    ({"r": 4, "lora_alpha": 8}, 2), ({"r": 4, "lora_alpha": 8, "use_rslora": True}, 4), ({}, 1),
    ({"r": 4, "lora_alpha": 8, "alpha_pattern": {"img_attn.qkv": 2}}, 0.5),
    ({"r": 4, "lora_alpha": 8, "alpha_pattern": {"qkv2": 2}}, 2),
])  # fmt: skip
@pytest.mark.parametrize("where", ["metadata", "beside"])
def test_peft_settings(model, tmp_path, config, factor, where):
    down, up = low_rank(0, 192, 64, rank=4)
    tensors = peft(f"transformer.{QKV}", down, up)
    if where == "beside":
        (tmp_path / "adapter_config.json").write_text(json.dumps(config))
        path = save(tmp_path / "adapter_model.safetensors", tensors)
    else:
        told = {f"transformer.{key}": value for key, value in config.items()}
        path = save(tmp_path / "x.safetensors", tensors, {"lora_adapter_metadata": json.dumps(told)})
    assert same(added(model, QKV, path), factor * up @ down)


@pytest.mark.parametrize(("first", "second"), [
    ({"w1": (12, 4)}, {"w2": (16, 16)}),
    ({"w1": (12, 4)}, {"w2_a": (16, 3), "w2_b": (3, 16)}),
    ({"w1_a": (12, 2), "w1_b": (2, 4)}, {"w2": (16, 16)}),
    ({"w1_a": (12, 2), "w1_b": (2, 4)}, {"w2_a": (16, 3), "w2_b": (3, 16)}),
])  # fmt: skip
@pytest.mark.parametrize("alpha", [None, 6.0])
def test_lokr(model, tmp_path, first, second, alpha):
    shapes = first | second
    made = {part: random(seed, *shape) for seed, (part, shape) in enumerate(shapes.items())}
    w1, w2 = (made[n] if n in made else made[f"{n}_a"] @ made[f"{n}_b"] for n in ("w1", "w2"))
    rank = 3 if "w2_b" in made else 2 if "w1_b" in made else None
    factor = alpha / rank if alpha and rank else 1
    tensors = {f"diffusion_model.{QKV}.lokr_{part}": array for part, array in made.items()}
    tensors |= {f"diffusion_model.{QKV}.alpha": np.float32(alpha)} if alpha else {}
    path = save(tmp_path / "x.safetensors", tensors)
    assert same(added(model, QKV, path, 0.5), 0.5 * factor * np.kron(w1, w2))


def test_lokr_of_one_part_of_a_fused_layer(model, tmp_path):
    w1, w2 = random(0, 4, 8), random(1, 16, 8)
    stem = "lycoris_transformer_blocks_1_attn_to_v"
    path = save(tmp_path / "x.safetensors", {f"{stem}.lokr_w1": w1, f"{stem}.lokr_w2": w2})
    expected = np.zeros((192, 64), np.float32)
    expected[128:] = np.kron(w1, w2)
    assert same(added(model, QKV, path), expected)


def test_several_at_once_and_the_last_call_counts(model, tmp_path):
    (d1, u1), (d2, u2) = low_rank(0, 192, 64), low_rank(5, 192, 64, rank=8)
    first = Lora(save(tmp_path / "a.safetensors", FORMS["BFL"](d1, u1)), 0.7)
    second = Lora(save(tmp_path / "b.safetensors", FORMS["kohya"](d2, u2)), -1.5)
    before = matrix(model, QKV)
    assert lora.apply(model, "flux2", [first, second]) == 1
    assert same(matrix(model, QKV) - before, 0.7 * u1 @ d1 - 1.5 * u2 @ d2)
    lora.apply(model, "flux2", [second])
    assert same(matrix(model, QKV) - before, -1.5 * u2 @ d2)
    lora.apply(model, "flux2", [])
    assert np.array_equal(matrix(model, QKV), before)


def every_layer(model, seed=0):
    """An adapter on each layer of a model, in BFL's names."""
    return {
        name: array
        for number, (layer, (outputs, inputs)) in enumerate(lora.layer_sizes(model).items())
        for name, array in peft(layer, *low_rank(seed + number, outputs, inputs)).items()
    }


def test_every_layer_and_the_base_stays_untouched(tmp_path):
    """With adapters on all layers a run differs; without them it is the same to the bit again, with the same arrays."""
    model = network(True)
    modules = dict(model.named_modules())
    values = {name: np.array(array) for name, array in tree_flatten(model.parameters())}
    before = velocity(model)
    count = lora.apply(model, "flux2", [Lora(save(tmp_path / "x.safetensors", every_layer(model)), 0.3)])
    assert count == len(lora.layer_sizes(model)) == len([m for m in modules.values() if isinstance(m, nn.Linear)])
    adapted = velocity(model)
    assert np.abs(adapted - before).max() > 0.01
    lora.remove(model)
    assert {name: id(m) for name, m in model.named_modules()} == {name: id(m) for name, m in modules.items()}
    after = dict(tree_flatten(model.parameters()))
    assert all(np.array_equal(values[name], np.array(after[name])) for name in values)
    assert np.array_equal(velocity(model), before)


def test_live_equals_baked(tmp_path):
    """The velocity with adapters is that of the matrices with the products added."""
    live, baked = network(False), network(False)
    tensors = every_layer(live)
    lora.apply(live, "flux2", [Lora(save(tmp_path / "x.safetensors", tensors), 0.3)])
    for name in lora.layer_sizes(baked):
        parent, key = weights.locate(baked, name)
        parent[key].weight += 0.3 * mx.array(tensors[f"{name}.lora_B.weight"] @ tensors[f"{name}.lora_A.weight"])
    assert np.abs(velocity(live) - velocity(baked)).max() < 1e-4


@pytest.mark.parametrize("plan", ["q8", "q4", "q4r"])
def test_on_packed_layers(model, tmp_path, plan):
    """The adapters are added in full precision to what the packed layers give."""
    encoded = [encode(name, array, PLANS[plan]) for name, array in arrays("transformer").items()]
    parts = {name: value() if callable(value) else value for group in encoded for name, value in group.items()}
    weights.load(model, [save_weights(tmp_path / "model.safetensors", parts)], mx.float32)
    assert isinstance(model.double_blocks[1].img_attn.qkv, weights.PackedLinear)
    down, up = low_rank(0, 192, 64)
    packed = np.array(model.double_blocks[1].img_attn.qkv.weight)
    assert same(added(model, QKV, save(tmp_path / "x.safetensors", FORMS["BFL"](down, up))), up @ down)
    lora.remove(model)
    assert np.array_equal(np.array(model.double_blocks[1].img_attn.qkv.weight), packed)


def test_a_bad_second_file_changes_nothing(model, tmp_path):
    down, up = low_rank(0, 192, 64)
    good = Lora(save(tmp_path / "a.safetensors", FORMS["BFL"](down, up)))
    lora.apply(model, "flux2", [good])
    before = matrix(model, QKV)
    with pytest.raises(RequestError, match="no LoRA at"):
        lora.apply(model, "flux2", [Lora(good.path, 3.0), Lora(str(tmp_path / "b.safetensors"))])
    assert np.array_equal(matrix(model, QKV), before)


@pytest.mark.parametrize("scale", [float("nan"), float("inf")])
def test_scales_are_numbers(model, tmp_path, scale):
    with pytest.raises(RequestError, match="no scale"):
        lora.apply(model, "flux2", [Lora(str(tmp_path / "x.safetensors"), scale)])


@pytest.mark.parametrize("dtype", [mx.bfloat16, mx.float16])
def test_half_precision(model, tmp_path, dtype):
    model.set_dtype(dtype)
    down, up = low_rank(0, 192, 64)
    lora.apply(model, "flux2", [Lora(save(tmp_path / "x.safetensors", FORMS["BFL"](down, up)))])
    layer = model.double_blocks[1].img_attn.qkv
    assert layer(mx.ones((1, 64), dtype)).dtype == layer.down.dtype == layer.up.dtype == layer.weight.dtype == dtype


FAMILIES = {
    "flux1": lambda: flux1.Transformer(
        flux1.Params(64, 2, 2, 2, 32, 48, 16, 16, axes_dim=(8, 12, 12), guidance_embed=True)
    ),
    "flux2": net,
    "flux3": lambda: flux3.Transformer(
        flux3.Params(64, 2, 2, 2, 32, in_channels=16, axes_dim=(8, 8, 8, 8), flow_map=True)
    ),
}


@pytest.mark.sweep
@pytest.mark.parametrize("family", FAMILIES)
def test_every_published_name_of_every_layer(tmp_path, family):
    """Each name of each layer, with and without underscores, adds to its own rows and nowhere else."""
    model = FAMILIES[family]()
    sizes = lora.layer_sizes(model)
    known = lora_names.places(family, sizes)
    for name, place in known.items():
        outputs, inputs = sizes[place.layer]
        start, stop = lora_files.rows_of(place, outputs, inputs)
        down, up = low_rank(0, stop - start, inputs, rank=1)
        form = peft(f"transformer.{name}", down, up) if "." in name else kohya(name, down, up)
        assert lora.apply(model, family, [Lora(save(tmp_path / "x.safetensors", form))]) == 1
        layer = dict(model.named_modules())[place.layer]
        product = np.array(layer.up @ layer.down)
        expected = up @ down
        if place.swapped:
            expected = np.concatenate(np.split(expected, 2)[::-1])
        assert same(product[start:stop], expected)
        assert not product[:start].any()
        assert not product[stop:].any()
    others = [(place, n) for n, place in known.items() if n not in (place.layer, place.layer.replace(".", "_"))]
    for layer, (outputs, inputs) in sizes.items():  # diffusers' names fill every layer's rows
        found = {lora_files.rows_of(place, outputs, inputs) for place, _ in others if place.layer == layer}
        wider = {run for run in found for other in found - {run} if run[0] <= other[0] and other[1] <= run[1]}
        runs = sorted(found - wider)  # a name for several of the others together is one more
        assert (runs[0][0], runs[-1][1]) == (0, outputs), layer
        assert all(stop == start for (_, stop), (start, _) in pairwise(runs)), layer
