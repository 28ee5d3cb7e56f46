"""What one call of a network asks of a GPU, from MLX's graph alone: nothing is computed, no weight is read.

A network is built with lazy weights and called in a trace, its weights among the arguments, as equal constants would
be merged. What Metal has as one kernel (norms, attention, activations that are compiled, unpacking) is a stand-in here,
for CPUs have it in parts. Every primitive is a kernel but those that only look at memory in another way; a reshape of
what was transposed is a copy. Needs nothing but MLX, for it is also run where mflux is.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

VIEWS = {"Broadcast", "Contiguous", "CustomTransforms", "Depends", "ExpandDims", "Flatten", "Full", "Slice", "Split"}
VIEWS |= {"Squeeze", "StopGradient", "Transpose", "Unflatten", "View"}
RESHAPES = {"Reshape", "Flatten"}
PRODUCTS = {"Matmul", "AddMM"}
FUSED = {"Abs", "Add", "AsType", "Broadcast", "Clip", "Divide", "Exp", "Maximum", "Minimum", "Multiply", "Negative"}
FUSED |= {"Power", "Select", "Sigmoid", "Square", "Sqrt", "Rsqrt", "Subtract", "Tanh", "silu", "gelu", "gate", "add"}
LARGE = 512  # rows from which a quantised product is slower than one with the unpacked matrix

Array = tuple[str, tuple[int, ...], Any]  # its name, shape and type


@dataclass
class Kernel:
    name: str
    inputs: list[Array]
    outputs: list[Array]
    parts: tuple[str, ...] = ()

    @property
    def moved(self) -> int:
        return sum(math.prod(shape) * dtype.size for _, shape, dtype in {*self.inputs, *self.outputs})


@dataclass
class Step:
    """Kernels of a step, eager and with all fused that mx.compile may fuse."""

    kernels: list[Kernel] = field(default_factory=list)
    fused: list[Kernel] = field(default_factory=list)

    def summarise(self) -> dict[str, Any]:
        """Numbers for a table: TFLOP, shares of float32, kernels and GB that all but products and attention move."""
        work = [(kernel, count_operations(kernel)) for kernel in self.kernels]
        products = {kernel.name: 0.0 for kernel, _ in work}
        floats = 0.0
        for kernel, count in work:
            products[kernel.name] += count
            floats += count * any(dtype == mx.float32 for _, _, dtype in kernel.inputs)
        total = sum(products.values())
        large = [k for k in self.kernels if k.name == "quantized" and math.prod(k.inputs[0][1][:-1]) >= LARGE]
        return {
            "tflop": total / 1e12,
            "float32": floats / max(total, 1),
            "large_quantised": len(large),
            "kernels": len(self.kernels),
            "compiled": len(self.fused),
            "gb": sum(map(_count_moved, self.kernels)) / 1e9,
            "gb_compiled": sum(map(_count_moved, self.fused)) / 1e9,
            "names": dict(Counter(kernel.name for kernel in self.kernels).most_common(12)),
        }


def _count_moved(kernel: Kernel) -> int:
    return 0 if kernel.name in (*PRODUCTS, "attention", "quantized") else kernel.moved


def count_operations(kernel: Kernel) -> float:
    """2 M N K of a product, 4 B H L M D of an attention."""
    shapes = [shape for _, shape, _ in kernel.inputs]
    if kernel.name in PRODUCTS:
        left = shapes[1] if kernel.name == "AddMM" and len(shapes[0]) < len(shapes[1]) else shapes[0]
        inner = shapes[0][-1] if kernel.name == "Matmul" else _find_inner(kernel)
        return 2.0 * math.prod(kernel.outputs[0][1]) * (inner or left[-1])
    if kernel.name == "quantized":
        return 2.0 * math.prod(kernel.outputs[0][1]) * shapes[0][-1]
    if kernel.name == "attention":
        q, k = shapes[:2]
        return 4.0 * math.prod(q) * k[-2]
    return 0.0


def _find_inner(kernel: Kernel) -> int:
    """K of an AddMM, whose inputs are (a, b, c)."""
    return kernel.inputs[0][1][-1]


# tracing


def trace(network: nn.Module, function: Callable[..., mx.array], *given: mx.array) -> Step:
    """The step that `function(*given)` makes with the network."""
    weights = tree_flatten(network.parameters())
    made = [mx.zeros(array.shape, array.dtype) for _, array in weights]

    def call(*arrays: mx.array) -> mx.array:
        network.load_weights([(name, array) for (name, _), array in zip(weights, arrays, strict=False)], strict=False)
        return function(*arrays[len(weights) :])

    rows: list[dict] = []
    with stand_in():
        mx.export_function(rows.append, call, *made, *given)
    return read_rows(rows)


def read_rows(rows: list[dict]) -> Step:
    turned: set[str] = set()  # arrays whose memory is not in their order
    views: list[Kernel] = []
    kernels: list[Kernel] = []
    for row in rows:
        if row["type"] != "primitive":
            continue
        kernel = Kernel(_name(row), row["inputs"], row["outputs"])
        if kernel.name in {*VIEWS, *RESHAPES} and not _copies(kernel, turned):
            views.append(kernel)
        else:
            kernels.append(kernel)
    return Step(kernels, fuse(kernels, views))


def _name(row: dict) -> str:
    if row["name"] != "CustomKernel":
        return str(row["name"])
    return str(row["arguments"][0]).removeprefix("custom_kernel_").split("_")[0]


def _copies(kernel: Kernel, turned: set[str]) -> bool:
    """Whether a reshape has to copy; notes which arrays are turned."""
    source, shape, _ = kernel.inputs[0]
    if kernel.name == "Transpose":
        turned.update(name for name, _, _ in kernel.outputs)
    elif source in turned and kernel.name in RESHAPES:
        return kernel.name == "Reshape" or len([side for side in shape if side > 1]) > len(kernel.outputs[0][1])
    elif source in turned:
        turned.update(name for name, _, _ in kernel.outputs)
    return False


def fuse(kernels: list[Kernel], views: list[Kernel]) -> list[Kernel]:
    """Elementwise kernels joined with the one that alone uses them, of the same shape, as mx.compile does it.

    A bound in favour of what is compiled: MLX stops at some depth and number of arrays.
    """
    users: dict[str, list[Kernel]] = {}
    for kernel in (*kernels, *views):
        for name, _, _ in kernel.inputs:
            users.setdefault(name, []).append(kernel)
    made = {name: kernel for kernel in kernels for name, _, _ in kernel.outputs}
    left = {id(kernel): kernel for kernel in kernels}
    for kernel in reversed(kernels):  # consumers first, so that they have grown by the time they are looked at
        if id(kernel) not in left or kernel.name not in FUSED:
            continue
        while (found := _find_fusable(kernel, made, users, left)) is not None:
            own = {name for name, _, _ in found.outputs}
            kernel.inputs = [one for one in kernel.inputs if one[0] not in own] + found.inputs
            for name, _, _ in found.inputs:
                users[name] = [kernel if user is found else user for user in users[name]]
            del left[id(found)]
    return list(left.values())


def _find_fusable(kernel: Kernel, made: dict, users: dict, left: dict) -> Kernel | None:
    for name, shape, _ in kernel.inputs:
        found = made.get(name)
        if found is None or id(found) not in left or found.name not in FUSED:
            continue
        if shape == kernel.outputs[0][1] and all(user is kernel for user in users[name]):
            return found
    return None


# what Metal has in one kernel


def _stand_for(name: str, *inputs: mx.array, shape: tuple[int, ...], dtype: mx.Dtype) -> mx.array:
    kernel = mx.fast.metal_kernel(name=name, input_names=[f"i{n}" for n in range(len(inputs))], output_names=["o"], source="o[0] = 0;")  # fmt: skip  # noqa: E501
    made: mx.array = kernel(
        inputs=list(inputs), grid=(1, 1, 1), threadgroup=(1, 1, 1), output_shapes=[shape], output_dtypes=[dtype]
    )[0]
    return made


def like_first(name: str) -> Callable[..., mx.array]:
    def stand(x: mx.array, *others: Any, **more: Any) -> mx.array:
        arrays = [one for one in (*others, *more.values()) if isinstance(one, mx.array)]
        return _stand_for(name, x, *arrays, shape=x.shape, dtype=x.dtype)

    return stand


def _attend(q: mx.array, k: mx.array, v: mx.array, **more: Any) -> mx.array:
    return _stand_for("attention", q, k, v, shape=q.shape, dtype=mx.result_type(q.dtype, k.dtype))


def _unpack(weight: mx.array, scales: mx.array, biases: mx.array, group_size: int = 64, bits: int = 4, **more: Any):
    shape = (*weight.shape[:-1], weight.shape[-1] * 32 // bits)
    return _stand_for("unpacking", weight, scales, biases, shape=shape, dtype=scales.dtype)


def _multiply_packed(x: mx.array, weight: mx.array, scales: mx.array, biases: mx.array, **more: Any) -> mx.array:
    return _stand_for("quantized", x, weight, scales, biases, shape=(*x.shape[:-1], weight.shape[0]), dtype=x.dtype)


STAND_INS: list[tuple[Any, str, Callable[..., mx.array]]] = [
    (mx.fast, "layer_norm", like_first("layernorm")),
    (mx.fast, "rms_norm", like_first("rmsnorm")),
    (mx.fast, "scaled_dot_product_attention", _attend),
    (mx, "dequantize", _unpack),
    (mx, "quantized_matmul", _multiply_packed),
    (mx, "hadamard_transform", like_first("hadamard")),
    (nn, "silu", like_first("silu")),
    (nn, "gelu_approx", like_first("gelu")),
]


@contextmanager
def stand_in() -> Iterator[None]:
    kept = [(holder, name, getattr(holder, name)) for holder, name, _ in STAND_INS]
    mx.disable_compile()
    try:
        for holder, name, function in STAND_INS:
            setattr(holder, name, function)
        yield
    finally:
        for holder, name, function in kept:
            setattr(holder, name, function)
        mx.enable_compile()
