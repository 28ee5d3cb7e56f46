"""What a function makes of its arguments on the GPU, counted from MLX's graph: nothing is computed.

Every primitive is a kernel but those that only look at memory in another way. mx.fast's are one each.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import mlx.core as mx

from mlx_model.nets import flux1, flux2, flux3, ops

VIEWS = {"Broadcast", "Contiguous", "ExpandDims", "Flatten", "Reshape", "Slice", "Split", "Squeeze", "Transpose",
         "Unflatten", "View"}  # fmt: skip
PRODUCTS = {"Matmul", "AddMM", "QuantizedMatmul"}


class Kernel(NamedTuple):
    name: str
    inputs: list[tuple[int, ...]]
    outputs: list[tuple[int, ...]]
    moved: int  # bytes read and written


@contextmanager
def _exportable() -> Iterator[None]:
    """What has a gradient of its own can't be exported; compiled functions would hide their parts."""
    networks, use_power = (flux1, flux2, flux3), ops.use_power
    mx.disable_compile()
    try:
        ops.use_power = lambda x: False  # a CPU's own way
        for network in networks:
            network.rotate_pairs = ops.turn_pairs
        yield
    finally:
        ops.use_power = use_power
        for network in networks:
            network.rotate_pairs = ops.rotate_pairs
        if "MLX_DISABLE_COMPILE" not in os.environ:  # else each later kernel of these tests costs a second of g++
            mx.enable_compile()


def trace(function: Callable[..., Any], *given: mx.array) -> list[Kernel]:
    """The kernels of one call."""
    rows: list[dict] = []
    with _exportable():
        mx.export_function(rows.append, function, *given)
    kernels = []
    for row in rows:
        if row["type"] == "primitive" and row["name"] not in VIEWS:
            arrays = [*row["inputs"], *row["outputs"]]
            moved = sum(mx.zeros(shape, dtype).nbytes for _, shape, dtype in arrays)
            shapes = [[shape for _, shape, _ in row[side]] for side in ("inputs", "outputs")]
            kernels.append(Kernel(row["name"], *shapes, moved))
    return kernels


def count_kernels(function: Callable[..., Any], *given: mx.array) -> int:
    return len(trace(function, *given))
