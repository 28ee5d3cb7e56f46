"""Layers of an autoencoder in horizontal strips: the same result as over the whole map, in a fraction of the memory.

A convolution's strip takes the rows beside it along, statistics come from the whole map and attention sees all of it,
so that nothing is approximated and no seams can show. Only inputs and outputs of a layer exist at full size; what lies
between (the normalised input, doubled rows, an unfolded copy on a CPU, scores) exists for one strip.
Letters: B batch, H W rows and columns of a map, c channels. Maps are NHWC.
"""

from collections.abc import Callable

import mlx.core as mx
import mlx.nn as nn

STRIP = 2**23  # numbers of the wider map in one strip: 16 MB in half precision


def in_strips(make: Callable[[int, int], mx.array], height: int, row: int) -> mx.array:
    """`make(start, stop)` gives these rows of a result (B, height, ...); `row` says how many numbers a row costs.

    Each strip is finished before the next begins. A map of one strip is left as a graph (training goes through it).
    """
    step = max(2, STRIP // row // 2 * 2)  # even: rows come in pairs where they are doubled
    first = make(0, min(step, height))
    if step >= height:
        return first
    whole = mx.zeros((first.shape[0], height, *first.shape[2:]), first.dtype)
    whole[:, :step] = first
    del first
    mx.eval(whole)
    for start in range(step, height, step):
        whole[:, start : start + step] = make(start, min(start + step, height))
        mx.eval(whole)
    return whole


def statistics(norm: nn.GroupNorm, x: mx.array) -> tuple[mx.array, mx.array]:
    """Mean and variance of each group over the whole map, float32 (B, 1, 1, groups, 1).

    Strips are put together by Chan, Golub and LeVeque's rule (1979): the difference of two large sums would be noise.
    """
    b, height, width, c = x.shape

    def moments(start: int, stop: int) -> mx.array:
        part = x[:, start:stop].astype(mx.float32).reshape(b, stop - start, width, norm.num_groups, -1)
        mean, var = (f(part, (1, 2, 4), keepdims=True) for f in (mx.mean, mx.var))
        return mx.concatenate([mean, var, mx.full(mean.shape, stop - start)], -1)

    step = max(2, STRIP // (width * c))
    found = [moments(start, min(start + step, height)) for start in range(0, height, step)]
    for one in found if len(found) > 1 else ():
        mx.eval(one)
    mean, var, rows = (mx.concatenate(found, 1)[..., i : i + 1] for i in range(3))
    share = rows / height
    whole = mx.sum(share * mean, 1, keepdims=True)
    return whole, mx.sum(share * (var + mx.square(mean - whole)), 1, keepdims=True)


def fit_norm(norm: nn.GroupNorm, x: mx.array) -> Callable[[mx.array], mx.array]:
    """What applies the group norm, with the statistics of all of `x`, to any rows of it. In float32, result as x."""
    mean, var = statistics(norm, x)
    groups = (x.shape[0], 1, 1, norm.num_groups, x.shape[-1] // norm.num_groups)
    rate = mx.rsqrt(var + norm.eps)
    scale, shift = (mx.broadcast_to(a, groups).reshape(x.shape[0], 1, 1, -1) for a in (rate, -mean * rate))
    scale, shift = scale * norm.weight, shift * norm.weight + norm.bias
    return lambda rows: (rows.astype(mx.float32) * scale + shift).astype(x.dtype)
