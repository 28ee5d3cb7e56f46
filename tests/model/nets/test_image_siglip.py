"""The SigLIP vision tower: shapes, patch order, and a forward pass written out in numpy."""

import math

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlx_model.nets import image_siglip
from tests.golden import inp, recipe_weights

PARAMS = image_siglip.Params(24, 40, 2, 3, image_size=12, patch_size=5)
# 12 px are two patches of 5 and a rest that nobody looks at, as 384 px are 27 of 14.


def tower() -> tuple[image_siglip.ImageEncoder, dict[str, np.ndarray]]:
    model = image_siglip.ImageEncoder(PARAMS)
    weights = recipe_weights({name: tuple(x.shape) for name, x in tree_flatten(model.parameters())})
    model.load_weights([(name, mx.array(x)) for name, x in weights.items()], strict=True)
    return model, weights


def norm(x, w, name):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + PARAMS.layer_norm_eps)
    return x * w[name + ".weight"] + w[name + ".bias"]


def linear(x, w, name):
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def layer(x, w, name):
    y = norm(x, w, name + "layer_norm1")
    heads = [linear(y, w, f"{name}self_attn.{part}_proj").reshape(len(x), 3, 8).transpose(1, 0, 2) for part in "qkv"]
    scores = heads[0] @ heads[1].transpose(0, 2, 1) / math.sqrt(8)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    attended = (scores / scores.sum(-1, keepdims=True)) @ heads[2]
    x = x + linear(attended.transpose(1, 0, 2).reshape(len(x), -1), w, name + "self_attn.out_proj")
    y = linear(norm(x, w, name + "layer_norm2"), w, name + "mlp.fc1")
    y = 0.5 * y * (1 + np.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y**3)))
    return x + linear(y, w, name + "mlp.fc2")


def by_hand(image, w):
    patches = [image[5 * r : 5 * r + 5, 5 * c : 5 * c + 5].reshape(-1) for r in range(2) for c in range(2)]
    kernel = w["embeddings.patch_embedding.weight"].reshape(24, -1)
    x = np.stack(patches) @ kernel.T + w["embeddings.patch_embedding.bias"]
    x = x + w["embeddings.position_embedding.weight"]
    for number in range(2):
        x = layer(x, w, f"encoder.layers.{number}.")
    return norm(x, w, "post_layernorm")


def test_forward():
    model, weights = tower()
    images = inp(0, (2, 12, 12, 3))
    made = np.array(model(images))
    assert made.shape == (2, PARAMS.patches, 24)
    for number in range(2):
        exact = {name: x.astype(np.float64) for name, x in weights.items()}
        assert np.abs(made[number] - by_hand(np.array(images[number], np.float64), exact)).max() < 1e-5


@pytest.mark.parametrize(("dtype", "bound"), [(mx.bfloat16, 0.1), (mx.float16, 0.01)])
def test_half_precision_stays_near(dtype, bound):
    model, _ = tower()
    images = inp(0, (1, 12, 12, 3))
    exact = model(images)
    model.set_dtype(dtype)
    made = model(images)
    assert made.dtype == dtype
    assert mx.abs(made.astype(mx.float32) - exact).max().item() < bound


def test_published_sizes():
    assert image_siglip.Params().patches == 729
    assert image_siglip.Params().width == 1152
