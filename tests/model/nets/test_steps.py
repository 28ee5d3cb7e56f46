"""What is left out of a step, or made once for all of them, leaves its velocity as it was."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from mlx_model.nets import flux1, flux2, flux3
from mlx_model.nets.ops import finish, timestep_features
from mlx_model.store.weights import PackedLinear
from tests.bench.bank import made_network
from tests.kernels import trace

TEXT, IMAGE, REFERENCES, WIDTH, CHANNELS, CONTEXT = 5, 12, 10, 128, 16, 24
SIZES = {"hidden_size": WIDTH, "num_heads": 2, "depth": 1, "depth_single_blocks": 2, "context_in_dim": CONTEXT}
AXES = {"in_channels": CHANNELS, "axes_dim": (16, 16, 16, 16)}


def draw(seed, *shape):
    return mx.random.normal(shape, key=mx.random.key(seed))


def build(family, **more):
    if family is flux1:
        params = flux1.Params(**SIZES, in_channels=CHANNELS, out_channels=CHANNELS, vec_in_dim=8, axes_dim=(16, 24, 24))
    else:
        params = family.Params(**SIZES, **AXES, **more)
    return made_network(params, mx.float32, family.Transformer)


def condition(model, seed=2):
    axes = len(model.params.axes_dim)
    ids = np.random.default_rng(0).integers(0, 9, (TEXT + IMAGE + REFERENCES, axes))
    pooled = {"pooled": draw(4, 1, 8)} if isinstance(model, flux1.Transformer) else {}
    made = model.condition(draw(seed, 1, TEXT, CONTEXT), model.rope(ids), draw(3, 1, REFERENCES, CHANNELS), **pooled)
    mx.eval(made)
    return made


LATENTS, TIME = draw(1, 1, IMAGE, CHANNELS), timestep_features([0.7])
FAMILIES = pytest.mark.parametrize("family", [flux1, flux2, flux3], ids=["flux1", "flux2", "flux3"])


def close(a, b):
    return mx.abs(a - b).max() < 1e-5 * mx.abs(b).max()


def run_whole(block, *args):
    """The last block of all tokens, of which the image's are taken afterwards."""
    if isinstance(args[0], list):
        return block(*args)[1]
    x, mod, rope, image, *bank = args
    made = block(x, mod, rope, *bank)
    return (made[0] if isinstance(made, tuple) else made)[:, image]


@FAMILIES
def test_the_last_block_makes_the_image_alone(family, monkeypatch):
    model = build(family)
    ours = model(LATENTS, TIME, condition(model))
    monkeypatch.setattr(type(model.single_blocks[0]), "run_last", run_whole)
    assert close(ours, model(LATENTS, TIME, condition(model)))


@FAMILIES
def test_less_is_multiplied_in_the_last_block(family, monkeypatch):
    model = build(family)
    given = condition(model)

    def count():
        products = [one for one in trace(lambda x: model(x, TIME, given), LATENTS) if one.name in ("Matmul", "AddMM")]
        return sum(one.outputs[0][-2] * one.outputs[0][-1] * one.inputs[0][-1] for one in products)

    ours = count()
    monkeypatch.setattr(type(model.single_blocks[0]), "run_last", run_whole)
    others = (TEXT + REFERENCES) * WIDTH * WIDTH
    saved = 2 + (4 if family is flux1 else 6) + (4 if family is flux1 else 3)  # q and out; into and out of the MLP
    assert count() - ours >= saved * others


@pytest.mark.parametrize("bits", [4, 8])
def test_the_last_block_of_packed_weights(bits, monkeypatch):
    model = build(flux2)
    last = model.single_blocks[-1]
    packed = PackedLinear(last.linear1, 64, bits)
    packed.weight, packed.scales, packed.biases = mx.quantize(last.linear1.weight, group_size=64, bits=bits)
    last.linear1 = packed
    ours = model(LATENTS, TIME, condition(model))
    monkeypatch.setattr(flux2.SingleStreamBlock, "run_last", run_whole)
    assert close(ours, model(LATENTS, TIME, condition(model)))


def test_a_packed_layer_adds_its_bias_in_the_product():
    layer = nn.Linear(128, 64)
    packed = PackedLinear(layer, 64, 8)
    packed.weight, packed.scales, packed.biases = mx.quantize(layer.weight, group_size=64, bits=8)
    x = draw(5, 1, 9, 128)
    names = [one.name for one in trace(packed, x)]
    assert "AddMM" in names
    assert "Matmul" not in names
    assert close(packed(x), x @ mx.dequantize(packed.weight, packed.scales, packed.biases, 64, 8).T + layer.bias)
    assert close(packed.run_rows(x, 8, 24), packed(x)[..., 8:24])


@pytest.mark.parametrize("rows", [9, 900])
def test_a_rotated_layer_turns_what_is_smaller(rows):
    """48 outputs: of 9 rows x is turned, of 900 the matrix; the result is the same."""
    packed = PackedLinear(nn.Linear(128, 48, bias=False), 64, 8)
    packed.weight, packed.scales, packed.biases = mx.quantize(draw(6, 48, 128), group_size=64, bits=8)
    packed.rotation = mx.where(draw(7, 64) > 0, 1.0, -1.0)
    x = draw(8, 1, rows, 128)
    matrix = packed.rotate_back(mx.dequantize(packed.weight, packed.scales, packed.biases, 64, 8))
    assert close(packed(x), x @ matrix.T)
    turned = [one for one in trace(packed, x) if one.name == "Hadamard"]
    assert [one.outputs[0] for one in turned] == [(1, 9, 2, 64) if rows == 9 else (48, 2, 64)]


@FAMILIES
def test_what_a_time_does_is_made_once(family):
    model = build(family)
    given = condition(model)
    steering = model.steer(model.time_vector(TIME, given.vector) if family is flux1 else TIME)
    start = model.begin(LATENTS, steering, given) if family is flux3 else LATENTS
    assert mx.array_equal(finish(model.walk(start, steering, given))[0], model(LATENTS, TIME, given))
    products = [one for one in trace(lambda x: finish(model.walk(x, steering, given))[0], start) if "M" in one.name]
    assert all(one.outputs[0][-2] > 1 for one in products)  # none is of a single row


def test_the_second_prompt_takes_the_references_of_the_first():
    model = build(flux3)
    first, second = condition(model), condition(model, seed=9)
    ids = np.random.default_rng(0).integers(0, 9, (TEXT + IMAGE + REFERENCES, 4))
    shared = model.condition(draw(9, 1, TEXT, CONTEXT), model.rope(ids), draw(3, 1, REFERENCES, CHANNELS), first)
    assert shared.references is first.references
    assert mx.array_equal(model(LATENTS, TIME, shared), model(LATENTS, TIME, second))
