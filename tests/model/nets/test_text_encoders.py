"""The Qwen3 and Mistral encoders against golden vectors of transformers."""

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

from mlx_model.nets import text_mistral3, text_qwen3
from tests.golden import array, recipe_weights, vectors

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 64,
}
GOLDEN = vectors("text_encoders_tiny")


def encoder(module, layers=(1, 2, 3)):
    """The recipe counts all four layers and the final norm of the checkpoint, which we don't build."""
    whole = module.TextEncoder(module.Params(**SIZES, out_layers=(1, 2, 3, 4)))
    shapes = {name: tuple(x.shape) for name, x in tree_flatten(whole.parameters())} | {"norm.weight": (32,)}
    model = module.TextEncoder(module.Params(**SIZES, out_layers=layers))
    ours = dict(tree_flatten(model.parameters()))
    model.load_weights([(n, mx.array(w)) for n, w in recipe_weights(shapes).items() if n in ours], strict=True)
    return model


def difference(module, golden):
    out = encoder(module)(mx.array([golden["ids"]]), mx.array([golden["mask"]]).astype(mx.bool_))
    wanted = np.concatenate([array(golden["hidden"][str(n)]) for n in golden["layers"]], axis=-1)
    return np.abs(np.array(out) - wanted).max()


def test_qwen3():
    assert difference(text_qwen3, GOLDEN["qwen3_right_pad"]) < 1e-5


def test_mistral3():
    assert difference(text_mistral3, GOLDEN["mistral_left_pad_sdpa"]) < 1e-5


def test_padding_is_not_looked_at():
    model = encoder(text_qwen3)
    real = mx.array([[True, True, True, False, False]])
    a = model(mx.array([[3, 7, 9, 0, 0]]), real)
    b = model(mx.array([[3, 7, 9, 5, 6]]), real)
    assert mx.abs(a - b)[:, :3].max().item() == 0


def test_only_the_layers_that_are_used_are_built():
    assert len(encoder(text_qwen3, layers=(1, 2)).layers) == 2


def test_mistral_without_padding():
    model = encoder(text_mistral3)
    ids = mx.array([[1, 5, 6, 7, 8]])
    padded = model(mx.array([[11, 11, 1, 5, 6, 7, 8]]), mx.array([[False] * 2 + [True] * 5]))
    assert mx.abs(padded[:, 2:] - model(ids, mx.ones((1, 5), mx.bool_))).max().item() < 1e-6
