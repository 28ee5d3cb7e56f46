"""Noise is the same on every machine: its bytes are constants here."""

import hashlib
from statistics import NormalDist

import numpy as np
import pytest

from mlx_model.run.noise import normal, normal_from_uniform

HASHES = {
    (0, (64, 32)): "9a729599f0c79a18",
    (1, (4096, 128)): "fa9add702f5c122b",
    (2**64 - 1, (60, 128)): "92e82626d0f9554f",
}


@pytest.mark.parametrize(("seed", "shape"), HASHES)
def test_bytes_are_constant(seed, shape):
    assert hashlib.sha256(normal(seed, shape).tobytes()).hexdigest()[:16] == HASHES[seed, shape]


def test_it_is_normal():
    x = normal(5, (512, 512)).astype(np.float64)
    assert abs(x.mean()) < 0.01
    assert abs(x.std() - 1) < 0.005
    assert abs((x**4).mean() - 3) < 0.05


def test_inverse_distribution():
    p = np.concatenate([np.linspace(0.001, 0.999, 999), [2.0**-54, 1e-12, 1e-5, 1 - 1e-12, 0.075, 0.925, 0.5]])
    exact = np.array([NormalDist().inv_cdf(x) for x in p])
    assert np.abs(normal_from_uniform(p) - exact).max() < 1e-13


def test_a_larger_picture_begins_with_the_smaller_one():
    assert np.array_equal(normal(3, (16, 8)), normal(3, (32, 8))[:16])


def test_seeds_and_streams_differ():
    drawn = [normal(1, (64,)), normal(2, (64,)), normal(1, (64,), stream=1)]
    assert len({x.tobytes() for x in drawn}) == 3
