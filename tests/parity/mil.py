"""Runs a saved Core ML package without a Mac: coremltools reads it back as a MIL program, MLX and numpy evaluate it.

Every value is rounded to the type that the program says it has; sums inside one operation stay in float32, which is
what Apple's chips are free to do.
"""

from pathlib import Path

import mlx.core as mx
import numpy as np
from coremltools.converters.mil.frontend.milproto.load import load
from coremltools.models import MLModel

WEIGHTS = Path("Data", "com.apple.CoreML", "weights")
TYPES = {"fp16": np.float16, "fp32": np.float32}


def read_program(package: Path):
    """The main function of a saved .mlpackage."""
    spec = MLModel(str(package), skip_model_load=True).get_spec()
    return load(spec, spec.specificationVersion, file_weights_dir=str(package / WEIGHTS)).functions["main"]


def evaluate(function, x: np.ndarray, rounded: bool = True) -> np.ndarray:
    """The output for the one input, both (1, c, H, W); not `rounded`: everything in float32."""
    (name,) = function.inputs
    values = {name: x.astype(np.float16) if rounded else x}
    for operation in function.operations:
        given = {key: _value(part, values) for key, part in operation.inputs.items() if part is not None}
        made = OPERATIONS[operation.op_type](operation, **given)
        (out,) = operation.outputs
        kind = TYPES.get(_type(out))
        values[out.name] = made.astype(kind) if kind and rounded else made
    return values[function.outputs[0].name]


def _type(value) -> str:
    return value.dtype.__type_info__().name if hasattr(value.dtype, "__type_info__") else ""


def _value(part, values):
    if isinstance(part, tuple | list):
        return [_value(one, values) for one in part]
    return values.get(part.name, part.val)


def _const(operation, **_):
    return np.asarray(operation.outputs[0].val)


def _conv(_, x, weight, strides, pad, bias=None, **__):
    up, down, left, right = pad
    maps = mx.pad(mx.array(x.astype(np.float32)).transpose(0, 2, 3, 1), [(0, 0), (up, down), (left, right), (0, 0)])
    y = mx.conv2d(maps, mx.array(np.asarray(weight, np.float32).transpose(0, 2, 3, 1)), tuple(int(s) for s in strides))
    y = np.array(y).transpose(0, 3, 1, 2)
    return y if bias is None else y + np.asarray(bias, np.float32)[:, None, None]


def _batch_norm(_, x, mean, variance, gamma, beta, epsilon):
    column = (np.asarray(part, np.float32)[:, None, None] for part in (mean, variance, gamma, beta))
    mean, variance, gamma, beta = column
    return (x.astype(np.float32) - mean) / np.sqrt(variance + epsilon) * gamma + beta


def _pixel_shuffle(_, x, upscale_factor):
    (b, c, h, w), r = x.shape, int(upscale_factor)
    return x.reshape(b, c // r**2, r, r, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(b, c // r**2, h * r, w * r)


def _pixel_unshuffle(_, x, downscale_factor):
    (b, c, h, w), r = x.shape, int(downscale_factor)
    return x.reshape(b, c, h // r, r, w // r, r).transpose(0, 1, 3, 5, 2, 4).reshape(b, c * r**2, h // r, w // r)


def _matmul(_, x, y, transpose_x=False, transpose_y=False):
    x, y = (np.asarray(part, np.float32) for part in (x, y))
    return (x.swapaxes(-1, -2) if transpose_x else x) @ (y.swapaxes(-1, -2) if transpose_y else y)


def _softmax(_, x, axis):
    x = np.exp(x.astype(np.float32) - x.max(axis, keepdims=True))
    return x / x.sum(axis, keepdims=True)


def _slice(_, x, begin, end, begin_mask=None, end_mask=None, **__):
    masks = (np.zeros(x.ndim, bool) if mask is None else mask for mask in (begin_mask, end_mask))
    parts = zip(begin, end, *masks, strict=True)
    return x[tuple(slice(None if no_a else int(a), None if no_b else int(b)) for a, b, no_a, no_b in parts)]


def _slice_of_size(_, x, begin, size):
    parts = zip(begin, size, strict=True)
    return x[tuple(slice(int(a), None if n < 0 else int(a + n)) for a, n in parts)]


def _wide(x):
    return np.asarray(x, np.float32)


OPERATIONS = {
    "const": _const,
    "identity": lambda _, x: x,
    "cast": lambda _, x, dtype: x.astype(np.int32) if str(dtype) == "int32" else x,  # floats: as the result says
    "conv": _conv,
    "batch_norm": _batch_norm,
    "add": lambda _, x, y: _wide(x) + _wide(y),
    "sub": lambda _, x, y: _wide(x) - _wide(y),
    "mul": lambda _, x, y: _wide(x) * _wide(y),
    "relu": lambda _, x: np.maximum(x, 0),
    "silu": lambda _, x: _wide(x) / (1 + np.exp(-_wide(x))),
    "tanh": lambda _, x: np.tanh(_wide(x)),
    "rsqrt": lambda _, x, epsilon: 1 / np.sqrt(_wide(x) + epsilon),
    "reduce_mean": lambda _, x, axes, keep_dims: _wide(x).mean(tuple(axes), keepdims=bool(keep_dims)),
    "reshape": lambda _, x, shape: x.reshape([int(side) for side in shape]),
    "shape": lambda _, x: np.array(x.shape),
    "tile": lambda _, x, reps: np.tile(x, [int(count) for count in reps]),
    "upsample_nearest_neighbor": lambda _, x, **__: x.repeat(2, 2).repeat(2, 3),
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    "matmul": _matmul,
    "softmax": _softmax,
    "slice_by_size": _slice_of_size,
    "slice_by_index": _slice,
}
