"""The T5 encoder against golden vectors of transformers; distances; float16."""

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlx_model.nets import text_t5
from tests.golden import array, recipe_weights, vectors

SIZES = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "vocab_size": 64}
GOLDEN = vectors("t5_clip_tiny")["t5_no_mask"]


def encoder() -> text_t5.TextEncoder:
    model = text_t5.TextEncoder(text_t5.Params(**SIZES))
    shapes = {name: tuple(x.shape) for name, x in tree_flatten(model.parameters())}
    model.load_weights([(name, mx.array(x)) for name, x in recipe_weights(shapes).items()], strict=True)
    return model


def difference(model) -> float:
    made = model(mx.array([GOLDEN["ids"]])).astype(mx.float32)
    return float(np.abs(np.array(made) - array(GOLDEN["last"])).max())


def test_last_hidden_state():
    assert difference(encoder()) < 1e-5


# transformers' own bfloat16 run of this network is 0.0235 (rms over 1,536 tokens) from its float32 one; float16 keeps
# three more bits. Not the largest error: of the golden vector's 192 values that is luck (0.08 theirs, 0.11 ours).
BFLOAT16_RMS = 0.0235


@pytest.mark.parametrize(("dtype", "bound"), [(mx.bfloat16, BFLOAT16_RMS), (mx.float16, BFLOAT16_RMS / 8)])
def test_half_precision_is_no_worse_than_the_reference(dtype, bound):
    model = encoder()
    model.set_dtype(dtype)
    made = model(mx.array([GOLDEN["ids"]]))
    assert made.dtype == dtype
    error = np.array(made.astype(mx.float32)) - array(GOLDEN["last"])
    assert np.sqrt((error**2).mean()) < bound


def test_padding_is_attended():
    """As in training; `real` changes nothing."""
    model = encoder()
    a, b = model(mx.array([[3, 7, 1, 0]])), model(mx.array([[3, 7, 1, 5]]))
    assert mx.abs(a - b)[:, :3].max().item() > 1e-3
    assert mx.array_equal(model(mx.array([[3, 7, 1, 0]]), mx.array([[True, True, True, False]])), a)


def test_buckets():
    """Distances 0 to 7 alone, then logarithmic up to 128; later keys in the upper half."""
    row = text_t5.distance_buckets(400, 32, 128)
    assert row[0, :8].tolist() == [0, *range(17, 24)]
    assert row[:8, 0].tolist() == list(range(8))
    assert row[0, [8, 11, 12, 16, 23, 32, 64, 91, 127, 128, 399]].tolist() == (
        [24, 24, 25, 26, 27, 28, 30, 31, 31, 31, 31]
    )
    assert row[[12, 399], 0].tolist() == [9, 15]
    assert row.shape == (400, 400)


@pytest.mark.parametrize("dtype", [mx.bfloat16, mx.float16])
def test_activations_of_30000_do_not_overflow(dtype):
    """Squares, gated products and residuals of such size don't fit into float16; the result stays near float32's."""
    model = encoder()
    model.shared.weight = model.shared.weight * (3e4 / mx.abs(model.shared.weight).max())
    for block in model.encoder.block:
        block.layer[1].DenseReluDense.wi_0.weight *= 200.0
        block.layer[1].DenseReluDense.wi_1.weight *= 200.0
        block.layer[1].DenseReluDense.wo.weight *= 20.0
    ids = mx.array([GOLDEN["ids"]])
    exact = np.array(model(ids))
    gate = model.encoder.block[0].layer[1]
    inner = gate.DenseReluDense(gate.layer_norm(model.shared(ids)), mx.float32)
    assert mx.abs(inner).max().item() > 65504  # float16 alone would have failed
    model.set_dtype(dtype)
    made = np.array(model(ids).astype(mx.float32))
    assert np.isfinite(made).all()
    assert np.abs(made - exact).max() < 0.02 * np.abs(exact).max()


def test_rows_are_scaled_only_where_needed():
    x = mx.array([[4.0, 1e6], [0.5, 0.25]])
    layer = lambda y: y * 2  # noqa: E731
    for dtype in (mx.float16, mx.bfloat16, mx.float32):
        made = text_t5.apply_scaled(layer, x, dtype)
        assert made.dtype == mx.float32
        assert np.allclose(np.array(made), [[8, 2e6], [1, 0.5]], rtol=5e-3)
