"""Weights are loaded strictly, packed layers compute what dense ones do."""

import threading

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten
from safetensors import safe_open

from mlx_model.errors import LayoutError
from mlx_model.store import weights
from mlx_model.store.folder import open_folder
from mlx_model.store.headers import header
from tests.converters.checkpoints import FAMILIES, PARAMS, arrays, converted, save


@pytest.fixture
def file(tmp_path):
    return save(tmp_path / "x.safetensors", arrays("transformer"))


def net(role="transformer"):
    return weights.build(role, FAMILIES[role], PARAMS[role])


@pytest.mark.parametrize("role", PARAMS)
def test_round_trip(tmp_path, role):
    original = {name: np.array(array) for name, array in arrays(role).items()}
    entry = weights.save_component(tmp_path, role, FAMILIES[role], PARAMS[role], arrays(role), shard_bytes=100_000)
    assert len(entry["files"]) > 1 or role == "autoencoder"
    assert entry["parameters"] == sum(array.size for array in original.values())
    module = net(role)
    weights.load(module, [tmp_path / name for name in entry["files"]], mx.float32)
    for name, array in tree_flatten(module.parameters()):
        assert np.array_equal(np.array(array), original[name]), name


def test_shards_are_sound_and_small(tmp_path):
    """The safetensors library reads them; none is larger than asked, save one with a single larger tensor."""
    entry = weights.save_component(
        tmp_path, "transformer", "flux2", PARAMS["transformer"], arrays("transformer"), shard_bytes=200_000
    )
    for name, facts in entry["files"].items():
        with safe_open(str(tmp_path / name), "np") as opened:
            assert all(opened.get_tensor(key).dtype == np.float32 for key in opened.keys())  # noqa: SIM118
        assert facts["bytes"] < 203_000


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16, mx.float16])
def test_dtype(file, dtype):
    module = net()
    weights.load(module, [file], dtype)
    assert {array.dtype for _, array in tree_flatten(module.parameters())} == {dtype}


def test_statistics_stay_float32(tmp_path):
    module = net("autoencoder")
    weights.load(module, [save(tmp_path / "x.safetensors", arrays("autoencoder"))], mx.bfloat16)
    assert module.bn.running_var.dtype == mx.float32
    assert module.encoder.conv_in.weight.dtype == mx.bfloat16


def test_arrays_may_cross_threads(file):
    module = net()
    weights.load(module, [file], mx.float32)
    result = []
    thread = threading.Thread(target=lambda: result.append(float(module.img_in(mx.ones((1, 16))).sum())))
    thread.start()
    thread.join()
    assert len(result) == 1


@pytest.mark.parametrize(("change", "message"), [
    (lambda a: a.pop("img_in.weight"), r"missing: img_in\.weight"),
    (lambda a: a.update({"img_out.weight": mx.zeros(3)}), r"left over: img_out\.weight"),
    (lambda a: a.update({"img_in.weight": mx.zeros((16, 64))}), r"img_in\.weight \(16, 64\), not \(64, 16\)"),
    (lambda a: a.update({"img_in.weight": mx.zeros((64, 16), mx.int32)}), r"type .*: img_in\.weight"),
    (lambda a: a.update({"img_in.scales": mx.zeros((64, 1))}), r"img_in is packed in a way"),
    (lambda a: a.update({"nothing.scales": mx.zeros((64, 1))}), r"Scales for nothing"),
    (lambda a: a.update({"double_blocks.7.img_mlp.0.scales": mx.zeros((64, 1))}), r"Scales for double_blocks\.7"),
])  # fmt: skip
def test_strict(tmp_path, change, message):
    tensors = arrays("transformer")
    change(tensors)
    file = save(tmp_path / "x.safetensors", tensors)
    with pytest.raises(LayoutError, match=message):
        weights.load(net(), [file], mx.float32)


def test_packed_without_scales(tmp_path):
    tensors = arrays("transformer")
    tensors["img_in.weight"] = mx.zeros((64, 16), mx.uint32)
    with pytest.raises(LayoutError, match="type"):
        weights.load(net(), [save(tmp_path / "x.safetensors", tensors)], mx.float32)


def test_one_name_in_two_files(file, tmp_path):
    other = save(tmp_path / "y.safetensors", {"img_in.weight": mx.zeros((64, 16))})
    with pytest.raises(LayoutError, match=r"in two files: img_in\.weight"):
        weights.load(net(), [file, other], mx.float32)


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
@pytest.mark.parametrize("group_size", [32, 64, 128])
def test_packed_linear(tmp_path, bits, group_size):
    """Bits and group size follow from the shapes; many rows and few rows give the product of the unpacked matrix."""
    dense = nn.Linear(256, 48)
    parts = dict(zip(("weight", "scales", "biases"), mx.quantize(dense.weight, group_size, bits), strict=True))
    file = save(tmp_path / "x.safetensors", {**{f"0.{k}": v for k, v in parts.items()}, "0.bias": dense.bias})
    box = [nn.Linear(256, 48)]
    holder = nn.Module()
    holder.layers = box
    entries = {f"layers.{name}": shape for name, (_, shape) in header(file).items()}
    weights.fit(holder, entries)
    layer = holder.layers[0]
    assert isinstance(layer, weights.PackedLinear)
    assert (layer.bits, layer.group_size) == (bits, group_size)
    for name, value in {**parts, "bias": dense.bias}.items():
        layer[name] = value
    unpacked = mx.dequantize(*parts.values(), group_size=group_size, bits=bits)
    for rows in (1, 700):
        x = mx.random.normal((1, rows, 256))
        assert mx.allclose(layer(x), x @ unpacked.T + dense.bias, atol=1e-4)


def test_few_rows_on_a_gpu(monkeypatch):
    """The path that Apple GPUs take for few rows gives the same product."""
    layer = weights.PackedLinear(nn.Linear(64, 32), 64, 8)
    layer.weight, layer.scales, layer.biases = mx.quantize(mx.random.normal((32, 64)), 64, 8)
    x = mx.random.normal((3, 64))
    dense = layer(x)
    monkeypatch.setattr(weights, "dense_is_better", lambda rows: rows >= weights.DENSE_ROWS)
    monkeypatch.setattr(mx, "dequantize", None)
    assert mx.allclose(layer(x), dense, atol=1e-4)


def test_packed_embedding(tmp_path):
    tensors = arrays("text_encoder")
    table = tensors.pop("embed_tokens.weight")
    packed = mx.quantize(table, 64, 8)
    tensors |= dict(zip(("embed_tokens.weight", "embed_tokens.scales", "embed_tokens.biases"), packed, strict=True))
    module = net("text_encoder")
    weights.load(module, [save(tmp_path / "x.safetensors", tensors)], mx.float32)
    ids = mx.array([[0, 5, 95], [1, 1, 2]])
    assert mx.allclose(module.embed_tokens(ids), table[ids], atol=0.02)
    assert module.embed_tokens(ids).shape == (2, 3, 64)


def test_open_component(tmp_path):
    folder = open_folder(converted(tmp_path / "model"))
    assert weights.open_component(folder, "autoencoder", mx.float32).params == PARAMS["autoencoder"]


@pytest.mark.parametrize("params", [{"hidden_size": 5}, {"no": 1}, {**vars(PARAMS["transformer"]), "num_heads": 0}])
def test_impossible_sizes(params):
    with pytest.raises(LayoutError, match="transformer"):
        weights.build("transformer", "flux2", params)


def test_saving_is_strict(tmp_path):
    tensors = arrays("transformer")
    tensors.pop("img_in.weight")
    with pytest.raises(LayoutError, match=r"img_in\.weight"):
        weights.save_component(tmp_path, "transformer", "flux2", PARAMS["transformer"], tensors)
    assert not list(tmp_path.iterdir())
