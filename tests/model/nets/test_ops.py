"""What several networks share."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from mlx_model.nets import ops
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


@pytest.mark.parametrize(
    ("ours", "theirs"), [(ops.silu, nn.silu), (ops.gelu_tanh, nn.gelu_approx)], ids=["silu", "gelu"]
)
def test_activations_by_power_are_the_same(ours, theirs):
    x = mx.concatenate([mx.linspace(-200, 200, 4001), mx.array([0.0, 1e4, -1e4])])
    assert not mx.array_equal(ours(x), theirs(x))  # else it is not by power
    assert mx.abs(ours(x) - theirs(x)).max() < 2e-6
    for dtype in (mx.bfloat16, mx.float16):  # e is no number there
        assert mx.array_equal(ours(x.astype(dtype)), theirs(x.astype(dtype)), equal_nan=True)


def test_attention_by_power_is_the_same():
    q, k, v = (mx.random.normal((2, 4, 33, 64), key=mx.random.key(i)) * 4 for i in range(3))
    wanted = ops.merge_heads(mx.fast.scaled_dot_product_attention(q, k, v, scale=64**-0.5))
    assert not mx.array_equal(ops.attention(q, k, v), wanted)
    assert mx.abs(ops.attention(q, k, v) - wanted).max() < 1e-5
    halves = [x.astype(mx.bfloat16) for x in (q, k, v)]
    wanted = ops.merge_heads(mx.fast.scaled_dot_product_attention(*halves, scale=64**-0.5))
    assert mx.array_equal(ops.attention(*halves), wanted)


def test_gradients_go_through_power():
    x = mx.random.normal((1, 2, 9, 16), key=mx.random.key(4))
    assert mx.isfinite(mx.grad(lambda x: (ops.silu(x) + ops.gelu_tanh(x)).sum())(mx.array([-200.0, 0.0, 200.0]))).all()
    fast = lambda x: ops.merge_heads(mx.fast.scaled_dot_product_attention(x, x, nn.silu(x), scale=0.25))  # noqa: E731
    ours = mx.grad(lambda x: ops.attention(x, x, ops.silu(x)).square().sum())(x)
    assert mx.allclose(ours, mx.grad(lambda x: fast(x).square().sum())(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [mx.bfloat16, mx.float16])
def test_what_a_gpu_has_in_one_kernel_has_the_same_bits(monkeypatch, dtype):
    """Compiled here for the CPU."""
    x, gate, y = (mx.random.normal((3, 40), key=mx.random.key(i)).astype(dtype) for i in range(3))
    monkeypatch.setattr(ops, "on_cpu", lambda: False)
    assert mx.array_equal(ops.silu_times(x, y), nn.silu(x) * y)
    assert mx.array_equal(ops.add_times(x, gate, y), x + gate * y)


def test_rotation_is_few_kernels():
    rope, angles = rope_factors(IDS, AXES, 50.0), rope_angles(IDS, AXES, 50.0)
    mx.eval(rope, angles)
    ours = count_kernels(lambda x: turn_pairs(x, rope), heads(mx.bfloat16))
    assert ours <= count_kernels(lambda x: turn_in_reals(x, *angles), heads(mx.bfloat16)) / 3


def test_counting_kernels_leaves_compilation_off():
    """Turned on, each kernel of each later test costs a second of g++. What is compiled is called in Python once."""
    count_kernels(mx.sin, mx.ones(3))
    calls = []
    function = mx.compile(lambda x: calls.append(1) or mx.sin(x))
    for _ in range(2):
        function(mx.ones(3))
    assert len(calls) == 2
