"""The convolutional autoencoder against golden vectors, and the packing of its latents."""

import dataclasses

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlx.utils import tree_flatten

from mlx_model.nets import autoencoder
from tests.golden import inp, recipe_weights, vectors

PARAMS = autoencoder.Params(ch=32, ch_mult=(1, 2), num_res_blocks=1, z_channels=4)
GOLDEN = vectors("flux2_ae_tiny")


def network() -> autoencoder.AutoEncoder:
    """Convolutions of the recipe are (out, in, kh, kw)."""
    model = autoencoder.AutoEncoder(PARAMS)
    shapes = {
        name: (x.shape[0], x.shape[3], x.shape[1], x.shape[2]) if x.ndim == 4 else tuple(x.shape)
        for name, x in tree_flatten(model.parameters())
    }
    weights = recipe_weights(shapes)
    model.load_weights([(n, mx.array(w.transpose(0, 2, 3, 1) if w.ndim == 4 else w)) for n, w in weights.items()])
    return model


def test_encode():
    images = mx.clip(inp(0, (1, 3, 16, 16)), -1, 1).transpose(0, 2, 3, 1)
    latents = np.array(network().encode(images)).transpose(0, 3, 1, 2)
    assert np.abs(latents - GOLDEN["encode"]).max() < 1e-5


def test_decode():
    images = network().decode(inp(1, (1, 16, 4, 4)).transpose(0, 2, 3, 1))
    assert np.abs(np.array(images).transpose(0, 3, 1, 2) - GOLDEN["decode"]).max() < 1e-5


@given(st.integers(1, 2), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def test_unpack_undoes_pack(batch, rows, columns, channels):
    shape = (batch, 2 * rows, 2 * columns, channels)
    x = mx.arange(batch * 4 * rows * columns * channels).reshape(shape)
    packed = autoencoder.pack(x)
    assert packed.shape == (batch, rows, columns, 4 * channels)
    assert mx.array_equal(autoencoder.unpack(packed), x)


def test_packed_channel_order():
    """channel = c * 4 + dy * 2 + dx"""
    x = mx.arange(8).reshape(1, 2, 2, 2)  # y, x, c
    assert autoencoder.pack(x)[0, 0, 0].tolist() == [0, 2, 4, 6, 1, 3, 5, 7]


def test_statistics_are_used_both_ways():
    model = network()
    z = mx.random.normal((1, 2, 2, 16))
    normalised = (z - model.bn.running_mean) / model.bn.deviation()
    assert mx.abs(normalised * model.bn.deviation() + model.bn.running_mean - z).max().item() < 1e-5


def test_pixels_as_channels():
    """The same network, given 2 x 2 pixels as channels, serves a picture of twice the side."""
    params = dataclasses.replace(PARAMS, pixel_patch=2)
    model = autoencoder.AutoEncoder(params)
    images = mx.random.uniform(-1, 1, (1, 32, 48, 3))
    latents = model.encode(images)
    assert latents.shape == (1, 4, 6, 16)
    assert model.decode(latents).shape == images.shape
    assert model.encoder.conv_in.weight.shape == (32, 3, 3, 12)


def test_side_of_packing():
    """A pixel's channel is (c * s + dy) * s + dx, for any side s."""
    x = mx.arange(3 * 3 * 2).reshape(1, 3, 3, 2)
    assert autoencoder.pack(x, 3)[0, 0, 0].tolist() == [*range(0, 18, 2), *range(1, 18, 2)]
    assert mx.array_equal(autoencoder.unpack(autoencoder.pack(x, 3), 3), x)
    assert autoencoder.pack(x, 1) is x


def test_impossible_patches():
    with pytest.raises(ValueError, match="0 at a time"):
        dataclasses.replace(PARAMS, pixel_patch=0)
