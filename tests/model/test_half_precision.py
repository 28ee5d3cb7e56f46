"""Streams of 3e4 in every transformer: in half precision the velocity stays a number, near the one of float32."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from tests.golden import inp
from tests.model import test_flux1, test_flux2, test_flux3, test_selfflow

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
