"""The CLIP text encoder against golden vectors of transformers."""

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlx_model.nets import text_clip
from tests.golden import array, recipe_weights, vectors

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 64,
    "max_position_embeddings": 8,
    "eos_token_id": 58,
}
GOLDEN = vectors("t5_clip_tiny")["clip"]


def encoder(vocab: int = 64) -> text_clip.TextEncoder:
    model = text_clip.TextEncoder(text_clip.Params(**{**SIZES, "vocab_size": vocab}))
    shapes = {name: tuple(x.shape) for name, x in tree_flatten(model.parameters())}
    model.load_weights([(name, mx.array(x)) for name, x in recipe_weights(shapes).items()], strict=True)
    return model


def difference(made, wanted) -> float:
    return float(np.abs(np.array(made.astype(mx.float32)) - array(wanted)).max())


def test_hidden_and_pooled():
    model, ids = encoder(), mx.array([GOLDEN["ids"]])
    assert difference(model.encode(ids), GOLDEN["last"]) < 1e-5
    assert difference(model(ids), GOLDEN["pooled"]) < 1e-5


@pytest.mark.parametrize(("dtype", "bound"), [(mx.bfloat16, 0.08), (mx.float16, 0.01)])
def test_half_precision_stays_near(dtype, bound):
    model = encoder()
    model.set_dtype(dtype)
    made = model(mx.array([GOLDEN["ids"]]))
    assert made.dtype == dtype
    assert difference(made, GOLDEN["pooled"]) < bound


def test_the_first_end_token_counts_and_what_follows_does_not():
    model = encoder()
    a, b = model(mx.array([[57, 4, 58, 58, 58]])), model(mx.array([[57, 4, 58, 9, 58]]))
    assert mx.abs(a - b).max().item() < 1e-6
    assert mx.abs(a - model(mx.array([[57, 4, 9, 58, 58]]))).max().item() > 1e-3


def test_rows_of_a_batch_end_where_they_end():
    model = encoder()
    both = model(mx.array([[57, 4, 58, 58], [57, 4, 9, 58]]))
    assert mx.abs(both[0] - model(mx.array([[57, 4, 58, 58]]))[0]).max().item() < 1e-6
    assert mx.abs(both[1] - model(mx.array([[57, 4, 9, 58]]))[0]).max().item() < 1e-6


def test_quick_gelu_of_large_numbers():
    x = mx.array([3e4, -3e4, 6e4]).astype(mx.float16)
    assert text_clip.quick_gelu(x).tolist() == [x[0].item(), 0.0, x[2].item()]
