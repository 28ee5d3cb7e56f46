"""LoRA and LoKr adapters beside the layers of a model, dense or packed: y = base(x) + what the adapters add.

The base is never changed: `remove` puts the very same layers back. Axis letters: R the ranks of all adapters of a
layer together, i its inputs, o its outputs.
"""

import math
import os
from collections.abc import Iterable
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn

from ..errors import RequestError
from ..request import Lora
from .folder import sha256_of
from .lora_files import Adapter, Sizes, read, rows_of
from .weights import PackedLinear, locate

Scaled = tuple[float, Adapter]
Gathered = dict[str, list[Scaled]]  # by layer


class LoraLinear(nn.Module):
    """A linear layer and its adapters. Low ranks are joined: y = base(x) + x down^T up^T, down (R, i), up (o, R)."""

    def __init__(self, base: nn.Module, adapters: list[Scaled], dtype: mx.Dtype):
        super().__init__()
        self.base = base
        outputs, inputs = size(base)
        low = [(scale, adapter) for scale, adapter in adapters if not adapter.kronecker]
        if low:
            self.down = mx.concatenate([adapter.second for _, adapter in low]).astype(dtype)
            ups = [_place(scale * adapter.first, adapter, outputs, inputs, axis=0) for scale, adapter in low]
            self.up = mx.concatenate(ups, axis=1).astype(dtype)
        self.kroneckers = [Kronecker(scale, a, outputs, inputs, dtype) for scale, a in adapters if a.kronecker]

    def __call__(self, x: mx.array) -> mx.array:
        y: mx.array = self.base(x)
        if "down" in self:
            y = y + (x @ self.down.T) @ self.up.T
        for kronecker in self.kroneckers:
            y = y + kronecker(x)
        return y

    @property
    def weight(self) -> mx.array:
        """The base's, which networks ask for their dtype."""
        weight: mx.array = self.base.weight
        return weight


class Kronecker(nn.Module):
    """x (first x second)^T without the product's matrix: (..., bd) -> (..., o)."""

    def __init__(self, scale: float, adapter: Adapter, outputs: int, inputs: int, dtype: mx.Dtype):
        super().__init__()
        self.first, self.second = (scale * adapter.first).astype(dtype), adapter.second.astype(dtype)
        self.adapter_sizes = (adapter, outputs, inputs)

    def __call__(self, x: mx.array) -> mx.array:
        z = x.reshape(*x.shape[:-1], self.first.shape[1], -1) @ self.second.T  # (..., b, c)
        z = (self.first @ z).reshape(*x.shape[:-1], -1)  # (..., ac)
        return _place(z, *self.adapter_sizes, axis=-1)


def _place(values: mx.array, adapter: Adapter, outputs: int, inputs: int, axis: int) -> mx.array:
    """The adapter's rows along `axis`, in the layer's order and with zeros for the layer's other rows."""
    start, stop = rows_of(adapter.place, outputs, inputs)
    if adapter.place.swapped:
        first, second = mx.split(values, 2, axis=axis)
        values = mx.concatenate([second, first], axis=axis)
    if (start, stop) == (0, outputs):
        return values
    widths = [(0, 0)] * values.ndim
    widths[axis] = (start, outputs - stop)
    return mx.pad(values, widths)


def delta(scale: float, adapter: Adapter, outputs: int, inputs: int) -> mx.array:
    """What an adapter adds to the (o, i) matrix of its layer, lazily."""
    product = mx.kron(adapter.first, adapter.second) if adapter.kronecker else adapter.first @ adapter.second
    return _place(scale * product, adapter, outputs, inputs, axis=0)


def gather(family: str, sizes: Sizes, loras: Iterable[Lora]) -> Gathered:
    """The adapters of all files by layer. Raises RequestError, LayoutError."""
    adapters: Gathered = {}
    for lora in loras:
        if not math.isfinite(lora.scale):
            raise RequestError(f"{lora.scale} is no scale for {Path(lora.path).name}.", "Give a number such as 0.8.")
        for adapter in read(Path(lora.path), family, sizes):
            adapters.setdefault(adapter.place.layer, []).append((lora.scale, adapter))
        if lora.sha256 and sha256_of(Path(lora.path).expanduser()) != lora.sha256:
            raise RequestError(f"{lora.path} is not the file that was asked for.", "Put the original back.")
    return adapters


def stamp(loras: Iterable[Lora]) -> tuple:
    """Equal as long as the same files with the same contents are asked for at the same scales.

    A file is told by inode, size and times, not read: the time of its last change of state can't be set back.
    Raises RequestError for a missing file.
    """
    return tuple((lora, *_state(lora.path)) for lora in loras)


def _state(path: str) -> tuple[int, ...]:
    try:
        found = os.stat(Path(path).expanduser())
    except (OSError, ValueError) as error:
        raise RequestError(f"There is no LoRA at {path}.") from error
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def apply(model: nn.Module, family: str, loras: Iterable[Lora]) -> int:
    """Put exactly these adapters on the model; earlier ones go. Returns the number of adapted layers.

    The model stays as it was where one of the files can't be used. Call it on the thread that runs the model.
    Raises RequestError (no such file, a scale that is no number), LayoutError (not for this model).
    """
    adapters = gather(family, layer_sizes(model), loras)
    attach(model, adapters)
    return len(adapters)


def attach(model: nn.Module, adapters: Gathered) -> None:
    """Put what `gather` found on the model, in its dtype; earlier adapters go."""
    remove(model)
    dtype = model.dtype
    for name, scaled in adapters.items():
        parent, key = locate(model, name)
        layer = LoraLinear(parent[key], scaled, dtype)
        mx.eval([value for field, value in layer.parameters().items() if field != "base"])
        parent[key] = layer


def remove(model: nn.Module) -> None:
    """Take all adapters off; the layers are the ones that were there before."""
    for name, layer in model.named_modules():
        if isinstance(layer, LoraLinear):
            parent, key = locate(model, name)
            parent[key] = layer.base


def layer_sizes(model: nn.Module) -> Sizes:
    """(outputs, inputs) of every layer that can be adapted, by the checkpoint's names."""
    layers = {name: layer.base if isinstance(layer, LoraLinear) else layer for name, layer in model.named_modules()}
    bases = {f"{name}.base" for name, layer in model.named_modules() if isinstance(layer, LoraLinear)}
    kinds = (nn.Linear, PackedLinear)
    return {name: size(layer) for name, layer in layers.items() if isinstance(layer, kinds) and name not in bases}


def size(layer: nn.Module) -> tuple[int, int]:
    """(outputs, inputs) of a dense or packed layer."""
    outputs, inputs = layer.weight.shape
    return (outputs, layer.scales.shape[1] * layer.group_size) if isinstance(layer, PackedLinear) else (outputs, inputs)
