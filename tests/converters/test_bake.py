"""Adapters baked into a converted model give what the same adapters give live, and model.json says so."""

import mlx.core as mx
import numpy as np
import pytest

from converters.convert import convert
from mlx_model.errors import LayoutError, RequestError
from mlx_model.events import Note
from mlx_model.request import Lora
from mlx_model.store import lora, weights
from mlx_model.store.folder import open_folder
from tests.converters.checkpoints import manifest, single_file
from tests.converters.tiny import TINY, checkpoint
from tests.model.store.made_loras import kohya, low_rank, peft, random, save

LAYER = "double_blocks.1.img_attn.qkv"


@pytest.fixture
def source(tmp_path):
    return single_file(tmp_path / "source")


@pytest.fixture
def loras(tmp_path):
    low = peft("transformer.transformer_blocks.1.attn.to_k", *low_rank(0, 64, 64))
    low |= peft("transformer.norm_out.linear", *low_rank(1, 128, 64))
    kron = {f"{LAYER}.lokr_w1": random(2, 12, 4), f"{LAYER}.lokr_w2": random(3, 16, 16)}
    return (Lora(save(tmp_path / "a.safetensors", low), 0.6), Lora(save(tmp_path / "b.safetensors", kron), -0.4))


def transformer(source, out, **options):
    list(convert(source, out, **options))
    return weights.open_component(open_folder(out), "transformer", mx.float32)


def test_baked_equals_live(source, loras, tmp_path):
    live = transformer(source, tmp_path / "live", plan="32bit")
    baked = transformer(source, tmp_path / "baked", plan="32bit", loras=loras)
    lora.apply(live, "flux2", loras)
    x = mx.random.normal((1, 9, 64), key=mx.random.key(0))
    for name in lora.layer_sizes(baked):
        if lora.layer_sizes(baked)[name][1] == 64:
            pair = [net[0][net[1]](x) for net in (weights.locate(live, name), weights.locate(baked, name))]
            assert mx.allclose(*pair, atol=1e-4), name
    names = [item["name"] for item in manifest(tmp_path / "baked")["source"]["loras"]]
    assert names == ["a.safetensors", "b.safetensors"]
    assert "loras" not in manifest(tmp_path / "live")["source"]


def test_baked_before_packing(source, loras, tmp_path):
    baked = transformer(source, tmp_path / "baked", plan="q8", loras=loras)
    exact = transformer(source, tmp_path / "exact", plan="32bit", loras=loras)
    layer, (parent, key) = baked.double_blocks[1].img_attn.qkv, weights.locate(exact, LAYER)
    matrix = np.array(layer(mx.eye(64)).T)
    assert layer.bits == 8
    assert np.abs(matrix - np.array(parent[key].weight)).max() < 0.01 * np.abs(matrix).max()


def test_refused_before_anything_is_written(source, tmp_path):
    wrong = Lora(save(tmp_path / "x.safetensors", peft("double_blocks.9.img_attn.qkv", *low_rank(0, 192, 64))))
    for given, kind in ((wrong, LayoutError), (Lora(str(tmp_path / "none.safetensors")), RequestError)):
        with pytest.raises(kind):
            list(convert(source, tmp_path / "out", loras=[given]))
        assert not (tmp_path / "out").exists()


@pytest.fixture
def dev(tmp_path):
    """A tiny FLUX.1 dev, as published and converted."""
    file = checkpoint(TINY["flux1-dev"], tmp_path / "flux1-dev")
    list(convert(file, tmp_path / "plain", plan="32bit"))
    return file, open_folder(tmp_path / "plain")


def test_a_control_lora_makes_a_control_model(dev, tmp_path):
    """BFL's form: all layers, biases beside, norms whole, and an entry that is twice as wide."""
    file, plain = dev
    model = weights.open_component(plain, "transformer", mx.float32)
    sizes, tensors = lora.layer_sizes(model), {}
    width = sizes["img_in"][1]
    for number, (name, (outputs, inputs)) in enumerate(sizes.items()):
        down, up = low_rank(number, outputs, 2 * width if name == "img_in" else inputs)
        tensors |= peft(name, down, up) | {f"{name}.lora_B.bias": random(number, outputs)}
    norm = "double_blocks.0.img_attn.norm.query_norm.scale"
    tensors[norm] = random(5, model.double_blocks[0].img_attn.norm.query_norm.scale.size)
    given = Lora(save(tmp_path / "flux1-canny-dev-lora.safetensors", tensors))
    list(convert(file, tmp_path / "canny", plan="32bit", loras=[given]))
    made = open_folder(tmp_path / "canny")
    assert made.spec.name == "flux1-canny-dev"
    canny = weights.open_component(made, "transformer", mx.float32)
    wide = np.pad(np.array(model.img_in.weight), [(0, 0), (0, width)])
    wide += tensors["img_in.lora_B.weight"] @ tensors["img_in.lora_A.weight"]
    assert np.allclose(np.array(canny.img_in.weight), wide, atol=1e-5)
    assert np.allclose(
        np.array(canny.img_in.bias), np.array(model.img_in.bias) + tensors["img_in.lora_B.bias"], atol=1e-6
    )
    assert np.allclose(np.array(canny.double_blocks[0].img_attn.norm.query_norm.scale), tensors[norm])


@pytest.mark.sweep
def test_text_encoders_are_baked_by_kohyas_names(dev, tmp_path):
    """lora_te1 is CLIP, lora_te3 T5; nothing is said to be left out."""
    file, plain = dev
    clip, t5 = (weights.open_component(plain, role, mx.float32) for role in ("pooled_encoder", "text_encoder"))
    first, second = "encoder.layers.0.mlp.fc1", "encoder.block.0.layer.0.SelfAttention.q"
    (a, b), (c, d) = (lora.layer_sizes(net)[name] for net, name in ((clip, first), (t5, second)))
    one, two = low_rank(0, a, b), low_rank(1, c, d)
    tensors = kohya(f"text_model.{first}", *one, prefix="lora_te1_") | kohya(second, *two, prefix="lora_te3_")
    given = Lora(save(tmp_path / "x.safetensors", tensors), 0.5)
    notes = [
        event.text for event in convert(file, tmp_path / "out", plan="32bit", loras=[given]) if isinstance(event, Note)
    ]
    assert not [note for note in notes if "x.safetensors" in note]
    made = open_folder(tmp_path / "out")
    for role, before, name, (down, up) in (("pooled_encoder", clip, first, one), ("text_encoder", t5, second, two)):
        after = weights.open_component(made, role, mx.float32)
        pair = [net[0][net[1]].weight for net in (weights.locate(after, name), weights.locate(before, name))]
        plan_error = 2e-2 if role == "pooled_encoder" else 1e-5  # small encoders are kept at 16 bits in some plans
        assert np.allclose(np.array(pair[0] - pair[1]), 0.5 * up @ down, atol=plan_error)
