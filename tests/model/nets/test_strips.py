"""Strips give what the whole map gives, and cost the memory of a strip."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from mlx_model.nets import autoencoder, strips
from tests.measuring import peak_of_mlx

PARAMS = autoencoder.Params(ch=32, ch_mult=(1, 2, 2), num_res_blocks=1, z_channels=4, groups=8)
MAP = 4 * 32 * 128 * 128  # bytes of a map at full size in float32


@pytest.fixture
def model(monkeypatch):
    mx.random.seed(3)
    made = autoencoder.AutoEncoder(PARAMS)
    for name, x in (("running_mean", mx.random.normal((16,))), ("running_var", mx.random.uniform(0.5, 2, (16,)))):
        made.bn[name] = x
    return made


@pytest.mark.parametrize("rows", [1, 5, 64])  # of 24 x 64 numbers: from two rows at a time to nearly everything
@pytest.mark.parametrize("way", ["encode", "decode"])
def test_strips_are_the_whole(model, monkeypatch, way, rows):
    """Two pictures, sides that no strip divides. What differs is the order of sums in the statistics: 1e-5 of 1."""
    given = mx.random.normal((2, 5, 3, 16)) if way == "decode" else mx.random.uniform(-1, 1, (2, 40, 24, 3))
    whole = getattr(model, way)(given)
    monkeypatch.setattr(strips, "STRIP", rows * 24 * 64)
    assert mx.abs(getattr(model, way)(given) - whole).max().item() < 1e-5 * mx.abs(whole).max().item()


@pytest.mark.parametrize("strip", [2**10, 2**23])
def test_statistics_of_a_map_far_from_zero(monkeypatch, strip):
    """Mean 300, deviation 1: a difference of sums of squares would lose three of seven digits, and strips see one."""
    monkeypatch.setattr(strips, "STRIP", strip)
    x = np.random.default_rng(0).normal(300, 1, (2, 64, 32, 8)).astype(np.float32)
    x[:, 32:] += 5
    exact = x.astype(np.float64).reshape(2, -1, 4, 2)
    mean, var = (f(exact, (1, 3)) for f in (np.mean, np.var))
    found_mean, found_var = strips.statistics(nn.GroupNorm(4, 8), mx.array(x))
    assert np.abs(np.array(found_mean).reshape(2, 4) - mean).max() < 1e-3
    assert np.abs(np.array(found_var).reshape(2, 4) / var - 1).max() < 1e-4


@pytest.mark.sweep
@pytest.mark.parametrize(("way", "maps"), [("encode", 4), ("decode", 5)])
def test_memory_is_that_of_a_few_maps(model, monkeypatch, way, maps):
    """Input, inner map and result of a block (its input has twice the width in the decoder), and strips."""
    monkeypatch.setattr(strips, "STRIP", 2**13)
    given = mx.random.normal((1, 16, 16, 16)) if way == "decode" else mx.random.uniform(-1, 1, (1, 128, 128, 3))
    mx.eval(given, model.parameters())
    assert peak_of_mlx(lambda: mx.eval(getattr(model, way)(given))) < maps * MAP
