"""What several networks share."""

import mlx.core as mx
import numpy as np
import pytest

from mlx_model.nets.ops import rope_angles, rope_factors, rotate_pairs, split_heads, turn_pairs
from tests.kernels import count_kernels

IDS, AXES = np.random.default_rng(0).integers(0, 60, (33, 4)), (8, 24, 24, 8)


def turn_in_reals(x, cos, sin):
    """The four real products of a rotation."""
    pairs = x.astype(mx.float32).reshape(*x.shape[:-1], -1, 2)
    even, odd = pairs[..., 0], pairs[..., 1]
    turned = mx.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1)
    return turned.reshape(x.shape).astype(x.dtype)


def heads(dtype=mx.float32):
    return split_heads(mx.random.normal((1, 33, 256), key=mx.random.key(1)).astype(dtype), 4)


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16, mx.float16])
def test_rotation_has_the_bits_of_the_real_products(dtype):
    x = heads(dtype)
    turned = rotate_pairs(x, rope_factors(IDS, AXES, 50.0))
    assert turned.dtype == dtype
    assert mx.array_equal(turned, turn_in_reals(x, *rope_angles(IDS, AXES, 50.0)))


def test_rotation_has_the_gradient_of_the_real_products():
    weights, angles = mx.arange(64) / 64, rope_angles(IDS, AXES, 50.0)
    rope = rope_factors(IDS, AXES, 50.0)
    ours = mx.grad(lambda x: (rotate_pairs(x, rope) * weights).sum())(heads())
    wanted = mx.grad(lambda x: (turn_in_reals(x, *angles) * weights).sum())(heads())
    assert mx.allclose(ours, wanted, atol=1e-6, rtol=1e-6)
    assert mx.abs(wanted).max() > 0.1


def test_rotation_is_few_kernels():
    rope, angles = rope_factors(IDS, AXES, 50.0), rope_angles(IDS, AXES, 50.0)
    mx.eval(rope, angles)
    ours = count_kernels(lambda x: turn_pairs(x, rope), heads(mx.bfloat16))
    assert ours <= count_kernels(lambda x: turn_in_reals(x, *angles), heads(mx.bfloat16)) / 3
