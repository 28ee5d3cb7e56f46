"""q, k and v by one product: the numbers of three, no memory of its own, and never of weights that are gone."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlx_model.nets import flux3
from mlx_model.nets.joined import Joined, join
from mlx_model.nets.ops import timestep_features
from mlx_model.store.streamed import stream
from mlx_model.store.weights import PackedLinear, build, load, save_component
from tests.bench.bank import made_network
from tests.kernels import count_kernels
from tests.measuring import held_by_mlx

SIZES = flux3.Params(64, 2, 1, 2, 24, in_channels=16, axes_dim=(8, 8, 8, 8), flow_map=True)
PACKED = {"group_size": 64, "bits": 8}


def draw(seed, *shape):
    return mx.random.normal(shape, key=mx.random.key(seed))


def made(packed, seed=0, bits=8, bias=False):
    layer = nn.Linear(64, 64, bias=bias)
    layer.weight = draw(seed, 64, 64)
    if not packed:
        return layer
    found = PackedLinear(layer, 64, bits)
    found.weight, found.scales, found.biases = mx.quantize(layer.weight, group_size=64, bits=bits)
    return found


@pytest.mark.parametrize("packed", [False, True], ids=["dense", "packed"])
def test_one_layer_makes_what_each_makes(packed):
    layers, x = [made(packed, seed) for seed in range(3)], draw(9, 1, 7, 64)
    joined = join(layers)
    apart = mx.concatenate([layer(x) for layer in layers], axis=-1)
    assert mx.abs(joined(x) - apart).max() < 1e-4
    if packed:
        assert joined.bits == 8


def rotated():
    layer = made(True)
    layer.rotation = mx.ones((64,))
    return layer


@pytest.mark.parametrize(
    "other",
    [made(False, bias=True), made(True), rotated(), made(True, bits=4), nn.Sequential(made(False))],
    ids=["bias", "packed beside dense", "rotated", "other bits", "adapter"],
)
def test_what_differs_stays_apart(other):
    first = made(isinstance(other, PackedLinear) and (other.bits == 4 or "rotation" in other))
    assert join([first, first, other]) is None
    assert join([other, first, first]) is None
    assert join([first, first, first]) is not None


@pytest.mark.first_case
@pytest.mark.parametrize("packed", [False, True], ids=["dense", "packed"])
def test_what_is_kept_takes_no_memory(packed):
    layers, joined = [made(packed, seed) for seed in range(3)], Joined()
    mx.eval([layer.parameters() for layer in layers])
    weights = [np.array(layer.weight) for layer in layers]
    more, _ = held_by_mlx(lambda: joined.keep(layers))
    assert more <= 1000
    assert all(np.array_equal(layer.weight, weight) for layer, weight in zip(layers, weights, strict=True))
    assert joined.find(layers) is joined.find(layers)


def test_what_was_kept_of_other_weights_is_not_used():
    layers, joined = [made(False, seed) for seed in range(3)], Joined()
    joined.keep(layers)
    layers[1].weight = draw(8, 64, 64)
    assert mx.array_equal(joined.find(layers).weight[64:128], layers[1].weight)
    packed = [made(True, seed) for seed in range(3)]
    joined.keep(packed)
    packed[2].scales = packed[2].scales * 2
    assert mx.array_equal(joined.find(packed).scales[128:], packed[2].scales)


def network():
    return made_network(SIZES, mx.float32, flux3.Transformer)


def velocity(model):
    ids = np.random.default_rng(0).integers(0, 9, (5 + 12 + 6, 4))
    given = model.condition(draw(2, 1, 5, 24), model.rope(ids), draw(3, 1, 6, 16))
    return model(draw(1, 1, 12, 16), timestep_features([0.7]), given, timestep_features([0.5]))


def test_a_network_draws_the_same_with_what_is_kept():
    model = network()
    anew = velocity(model)
    model.join()
    assert mx.array_equal(velocity(model), anew)


def test_a_block_makes_two_kernels_less(monkeypatch):
    block, x = network().single_blocks[0], draw(1, 1, 12, 64)
    given = [flux3.ModulationOut(*(mx.ones((1, 1, 64)) for _ in range(3)))]
    run = lambda x: block([x], given, mx.ones((12, 16), mx.complex64))[0]  # noqa: E731
    block.join()
    joined = count_kernels(run, x)
    monkeypatch.setattr(Joined, "find", lambda *_: None)
    assert count_kernels(run, x) == joined + 2


def test_an_adapter_on_one_of_them_counts_and_leaves_the_others():
    model = network()
    model.join()
    plain, layer = velocity(model), model.single_blocks[0].v_proj
    model.single_blocks[0].v_proj = nn.Sequential(layer)
    assert mx.abs(velocity(model) - plain).max() < 1e-5
    model.single_blocks[0].v_proj = nn.Sequential(layer, lambda y: 2 * y)
    assert mx.abs(velocity(model) - plain).max() > 1e-4
    model.single_blocks[0].v_proj = layer
    assert mx.array_equal(velocity(model), plain)


def test_read_from_the_disk_it_draws_the_same_bits(tmp_path):
    weights = dict(tree_flatten(network().parameters()))
    entry = save_component(tmp_path, "transformer", "flux3", SIZES, weights)
    files = [tmp_path / name for name in entry["files"]]
    whole, streamed = (build("transformer", "flux3", SIZES) for _ in range(2))
    load(whole, files, mx.float32)
    whole.join()
    stream(streamed, files, mx.float32)
    assert mx.array_equal(velocity(whole), velocity(streamed))
