"""Streams of 3e4 in every transformer: in half precision the velocity stays a number, near the one of float32."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from mlx_model.nets.ops import add_gated
from tests.golden import inp
from tests.model.nets import test_flux1, test_flux2, test_flux3, test_selfflow

SIZE = 3e4


def large(layer, x, size=SIZE):
    """The layer's weights so that its largest output on x is `size`."""
    layer.weight = layer.weight * (size / mx.abs(x @ layer.weight.T).max())


def flux1(model):
    large(model.img_in, inp(0, (1, 12, 16)))
    large(model.txt_in, inp(2, (1, 5, 32)))
    return lambda: test_flux1.velocity(model)


def flux2(model):
    large(model.img_in, inp(0, (1, 12, 16)))
    large(model.txt_in, inp(2, (1, 5, 24)))
    return lambda: mx.array(test_flux2.velocity(model))


def flux3(model):
    large(model.emb_in["image"], inp(0, (1, 12, 16)))
    large(model.txt_in, inp(2, (1, 5, 24)))
    return lambda: test_flux3.velocity(model, None, 0.5, 0.25)


def selfflow(model):
    large(model.x_embedder.proj, inp(0, (1, 16, 16)))
    return lambda: model(inp(0, (1, 16, 16)), model.time_features([0.5]), model.condition([3]))


MODELS = {
    "flux1": (test_flux1.network, flux1),
    "flux2 dev": (lambda: test_flux2.network(True), flux2),
    "flux2 klein": (lambda: test_flux2.network(False), flux2),
    "flux3": (lambda: test_flux3.network(True), flux3),
    "selfflow": (test_selfflow.network, selfflow),
}
HALVES = [(mx.bfloat16, 0.01), (mx.float16, 0.00125)]  # rms of the error over that of the velocity: 8 and 11 bits


def relative(made, exact) -> float:
    error = np.array(made.astype(mx.float32)) - np.array(exact)
    return float(np.sqrt((error**2).mean() / np.square(exact).mean()))


@pytest.mark.parametrize(("dtype", "bound"), HALVES)
@pytest.mark.parametrize("name", MODELS)
def test_streams_of_30000(name, dtype, bound):
    make, prepare = MODELS[name]
    model = make()
    velocity = prepare(model)
    exact = velocity()
    model.set_dtype(dtype)
    made = velocity()
    assert mx.isfinite(made).all().item()
    print(f"{name} {dtype}: {relative(made, exact):.5f}")
    assert relative(made, exact) < bound


@pytest.mark.parametrize(("dtype", "bound"), HALVES)
def test_selfflow_stays_near(dtype, bound):
    """No library has its reference: the bound is that of the FLUX networks, where diffusers loses 0.006 and 0.0008."""
    model = test_selfflow.network()
    velocity = lambda: model(inp(0, (1, 16, 16)), model.time_features([0.5]), model.condition([3]))  # noqa: E731
    exact = velocity()
    model.set_dtype(dtype)
    print(f"selfflow {dtype}: {relative(velocity(), exact):.5f}")
    assert velocity().dtype == dtype
    assert relative(velocity(), exact) < bound


def test_flux2_streams_beyond_float16_stay_finite():
    """Where a residual outgrows float16 it is cut, as diffusers does, and no infinity reaches a norm."""
    model = test_flux2.network(False)
    velocity = flux2(model)
    large(model.txt_in, inp(2, (1, 5, 24)), 6.5e4)
    for block in model.single_blocks:
        block.linear2.weight = block.linear2.weight * 5e4
    for layer in (block.txt_mlp[2] for block in model.double_blocks):
        layer.weight = layer.weight * 5e4
    model.set_dtype(mx.float16)
    assert bool(mx.isfinite(velocity()).all())


def grown(layer, back, rows, inputs, size=2e5):
    """Makes the gate's product on inputs `size` at most, and what comes back from it about as large as it was."""
    gate, up = mx.split(inputs @ layer.weight[rows].T, 2, axis=-1)
    factor = (size / mx.abs(nn.silu(gate) * up).max()).sqrt()
    layer.weight[rows] = layer.weight[rows] * factor
    width = up.shape[-1]
    back.weight[:, -width:] = back.weight[:, -width:] / factor**2


def test_flux2_gates_beyond_float16_stay_near():
    """The products inside feed-forwards pass 65504 where their sums and the streams do not."""
    model = test_flux2.network(False)
    hidden = model.params.hidden_size
    inputs = inp(3, (1, 16, hidden))
    for block in model.double_blocks:
        for mlp in (block.img_mlp, block.txt_mlp):
            grown(mlp[0], mlp[2], slice(0, None), inputs)
    for block in model.single_blocks:
        grown(block.linear1, block.linear2, slice(3 * hidden, None), inputs)
    exact = mx.array(test_flux2.velocity(model))
    model.set_dtype(mx.float16)
    assert relative(mx.array(test_flux2.velocity(model)), exact) < 0.002


@pytest.mark.parametrize("stream", ["img_mlp", "txt_mlp"])
@pytest.mark.parametrize("name", ["flux1", "flux2 klein"])
def test_double_blocks_beyond_float16_stay_finite(name, stream):
    model = MODELS[name][0]()
    velocity = MODELS[name][1](model)
    for block in model.double_blocks:
        block[stream][2].weight = block[stream][2].weight * 2e5
    model.set_dtype(mx.float16)
    assert bool(mx.isfinite(velocity()).all())


def grown_dense(inner, outer, rows, inputs):
    """Makes what the activation inside a feed-forward gives 3e4 at most, and what comes back as large as it was."""
    factor = SIZE / mx.abs(inputs @ inner.weight[rows].T + inner.bias[rows]).max()
    inner.weight[rows], inner.bias[rows] = inner.weight[rows] * factor, inner.bias[rows] * factor
    width = inner.weight[rows].shape[0]
    outer.weight[:, -width:] = outer.weight[:, -width:] / factor


def test_flux1_activations_of_30000_stay_near():
    """Its GELU cubes them: 3e4 and its attention's results of 3e4 are no trouble in float16."""
    model = test_flux1.network()
    hidden = model.params.hidden_size
    inputs = inp(3, (1, 16, hidden))
    for block in model.double_blocks:
        for attention, mlp in ((block.img_attn, block.img_mlp), (block.txt_attn, block.txt_mlp)):
            grown_dense(mlp[0], mlp[2], slice(0, None), inputs)
            values = slice(2 * hidden, None)
            factor = SIZE / mx.abs(inputs @ attention.qkv.weight[values].T).max()
            attention.qkv.weight[values] = attention.qkv.weight[values] * factor
            attention.qkv.bias[values] = attention.qkv.bias[values] * factor
            attention.proj.weight = attention.proj.weight / factor
    for block in model.single_blocks:
        grown_dense(block.linear1, block.linear2, slice(3 * hidden, None), inputs)
    exact = test_flux1.velocity(model)
    model.set_dtype(mx.float16)
    assert relative(test_flux1.velocity(model), exact) < 0.002


def half(*values):
    return mx.array(values, mx.float16)


def test_a_gate_does_not_overflow():
    """What is added may pass 65504 where the sum does not; a closed gate keeps out what was too large."""
    assert add_gated(half(6e4), half(3), half(-3e4)).tolist() == [-30000]
    assert add_gated(half(5), half(0), half(float("inf"))).tolist() == [5]
    assert add_gated(half(-6e4), half(-1), half(float("inf"))).tolist() == [-65504]
    assert add_gated(half(0), half(4), half(3e4)).dtype == mx.float16


def first_flux1(model):
    return model.img_in, model.double_blocks[0].img_attn.proj, model.double_blocks[0].img_mod.lin


def first_selfflow(model):
    return model.x_embedder.proj, model.blocks[0].attn.proj, model.blocks[0].adaLN_modulation[1]


@pytest.mark.parametrize(("name", "first"), [("flux1", first_flux1), ("selfflow", first_selfflow)])
def test_gated_products_beyond_float16_stay_near(name, first):
    """Gates of 2 to 3 on products of 3e4, which are beyond the range where their sum with the stream is not."""
    model = MODELS[name][0]()
    velocity = MODELS[name][1](model)
    entry, projection, modulation = first(model)
    hidden = projection.weight.shape[0]
    entry.weight, entry.bias = entry.weight / 10, mx.full((hidden,), -5e4)
    projection.bias = projection.bias * 0 + SIZE
    gate = slice(2 * hidden, 3 * hidden)
    modulation.weight[gate], modulation.bias[gate] = mx.zeros((hidden, hidden)), 2 + mx.arange(hidden) / hidden
    exact = velocity()
    model.set_dtype(mx.float16)
    assert relative(velocity(), exact) < 0.005
