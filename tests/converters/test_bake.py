"""Adapters baked into a converted model give what the same adapters give live, and model.json says so."""

import mlx.core as mx
import numpy as np
import pytest

from converters.convert import convert
from mlx_model.errors import LayoutError, RequestError
from mlx_model.request import Lora
from mlx_model.store import lora, weights
from mlx_model.store.folder import open_folder
from tests.converters.checkpoints import manifest, single_file
from tests.model.store.made_loras import low_rank, peft, random, save

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
