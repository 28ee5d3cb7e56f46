"""Adapters beside the layers of a model, dense or packed: y = base(x) + what the adapters add.

The base is never changed: `remove` puts the very same layers back. Strength is a share: at 0 an adapter adds nothing,
at 1 what its file says, in between and beyond in proportion, for every kind alike.
Axis letters: R the ranks of all adapters of a layer together, i its inputs, o its outputs.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn

from ..errors import RequestError
from ..request import MAX_SCALE, Lora
from .folder import sha256_of
from .lora_files import Adapter, Network, Networks, Sizes, read, rows_of
from .lora_kinds import Addition, Change, Kronecker, LowRank, Vector, Whole
from .lora_names import Place
from .weights import PackedLinear, locate

Scaled = tuple[float, Adapter]
Gathered = dict[str, list[Scaled]]  # by layer
KEPT = "_before_loras"  # of a norm: the scales that it had; MLX leaves names with _ alone


class LoraLinear(nn.Module):
    """A linear layer and its adapters. Low ranks are joined: y = base(x) + x down^T up^T, down (R, i), up (o, R)."""

    def __init__(self, base: nn.Module, adapters: list[Scaled], dtype: mx.Dtype):
        super().__init__()
        self.base = base
        self.sizes = size(base)
        changes = [(scale, one.place, one.change) for scale, one in adapters if isinstance(one.change, Change)]
        biases = [self._place(scale * one.bias, place) for scale, place, one in changes if one.bias is not None]
        if biases:
            self.more_bias = sum(biases[1:], biases[0]).astype(dtype)
        found = [(scale, place, one.addition) for scale, place, one in changes if one.addition is not None]
        self._join([(scale, place, one) for scale, place, one in found if isinstance(one, LowRank)], dtype)
        wholes = [self._place(scale * one.difference, place) for scale, place, one in found if isinstance(one, Whole)]
        if wholes:
            self.difference = sum(wholes[1:], wholes[0]).astype(dtype)
        self.kroneckers = [
            KroneckerLinear(scale, one, place, self.sizes, dtype)
            for scale, place, one in found
            if isinstance(one, Kronecker)
        ]
        self.others = tuple(one for one in found if not isinstance(one[2], LowRank | Whole | Kronecker))

    def _join(self, low: list[tuple[float, Place, LowRank]], dtype: mx.Dtype) -> None:
        if low:
            self.down = mx.concatenate([one.down for _, _, one in low]).astype(dtype)
            ups = [self._place(scale * one.up, place) for scale, place, one in low]
            self.up = mx.concatenate(ups, axis=1).astype(dtype)

    def _place(self, values: mx.array, place: Place) -> mx.array:
        return put(values, place, *self.sizes, axis=0)

    def __call__(self, x: mx.array) -> mx.array:
        y: mx.array = self.base(x)
        if "down" in self:
            y = y + (x @ self.down.T) @ self.up.T
        for kronecker in self.kroneckers:
            y = y + kronecker(x)
        if "difference" in self:
            y = y + x @ self.difference.T
        if self.others:
            y = y + x @ self._multiply_out().astype(x.dtype).T
        return y + self.more_bias if "more_bias" in self else y

    def _multiply_out(self) -> mx.array:
        """(o, i) float32: what the kinds add that need a whole matrix, or the layer's own. Made anew at each use."""
        base = read_matrix(self.base)
        deltas = [scale * delta(one, place, *self.sizes, base) for scale, place, one in self.others]
        return sum(deltas[1:], deltas[0])

    @property
    def weight(self) -> mx.array:
        """The base's, which networks ask for their dtype."""
        weight: mx.array = self.base.weight
        return weight


class KroneckerLinear(nn.Module):
    """x (first x second)^T without the product's matrix: (..., bd) -> (..., o)."""

    def __init__(self, scale: float, kron: Kronecker, place: Place, sizes: tuple[int, int], dtype: mx.Dtype):
        super().__init__()
        self.first, self.second = (scale * kron.first).astype(dtype), kron.second.astype(dtype)
        self.target = (place, *sizes)

    def __call__(self, x: mx.array) -> mx.array:
        z = x.reshape(*x.shape[:-1], self.first.shape[1], -1) @ self.second.T  # (..., b, c)
        z = (self.first @ z).reshape(*x.shape[:-1], -1)  # (..., ac)
        return put(z, *self.target, axis=-1)


def put(values: mx.array, place: Place, outputs: int, inputs: int, axis: int) -> mx.array:
    """An adapter's rows along `axis`, in the layer's order and with zeros for the layer's other rows."""
    start, stop = rows_of(place, outputs, inputs)
    values = swap(values, axis) if place.swapped else values
    if (start, stop) == (0, outputs):
        return values
    widths = [(0, 0)] * values.ndim
    widths[axis] = (start, outputs - stop)
    return mx.pad(values, widths)


def swap(values: mx.array, axis: int) -> mx.array:
    """The two halves the other way round."""
    first, second = mx.split(values, 2, axis=axis)
    return mx.concatenate([second, first], axis=axis)


def delta(addition: Addition, place: Place, outputs: int, inputs: int, base: mx.array) -> mx.array:
    """What an addition at full strength adds to the matrix (o, i) of its layer, `base`, lazily; float32."""
    start, stop = rows_of(place, outputs, inputs)
    own = base[start:stop]
    return put(addition.matrix(swap(own, 0) if place.swapped else own), place, outputs, inputs, axis=0)


def read_matrix(layer: nn.Module) -> mx.array:
    """(o, i) float32 of a dense or packed layer, lazily."""
    if not isinstance(layer, PackedLinear):
        weight: mx.array = layer.weight
        return weight.astype(mx.float32)
    packed = mx.dequantize(layer.weight, layer.scales, layer.biases, group_size=layer.group_size, bits=layer.bits)
    return layer.rotate_back(packed).astype(mx.float32)


def gather(networks: Networks, loras: Iterable[Lora], notes: list[str], whole: bool = True) -> dict[str, Gathered]:
    """The adapters of all files by role and layer; `whole` as in read. Raises RequestError, LayoutError."""
    found: dict[str, Gathered] = {role: {} for role in networks}
    for lora in loras:
        if not abs(lora.scale) <= MAX_SCALE:  # nan too
            raise RequestError(f"{lora.scale} is no scale for {Path(lora.path).name}.", "Give a number such as 0.8.")
        for role, adapters in read(Path(lora.path), networks, notes, whole).items():
            for adapter in adapters:
                found[role].setdefault(adapter.place.layer, []).append((lora.scale, adapter))
        if lora.sha256 and sha256_of(Path(lora.path).expanduser()) != lora.sha256:
            raise RequestError(f"{lora.path} is not the file that was asked for.", "Put the original back.")
    return found


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


def apply(model: nn.Module, family: str, loras: Iterable[Lora], notes: list[str] | None = None) -> int:
    """Put exactly these adapters on a transformer; earlier ones go. Returns the number of adapted layers.

    The model stays as it was where one of the files can't be used. Call it on the thread that runs the model.
    Raises RequestError (no such file, a scale that is no number), LayoutError (not for this model).
    """
    found = gather({"model": describe(model, family)}, loras, [] if notes is None else notes)["model"]
    attach(model, found)
    return len(found)


def attach(model: nn.Module, adapters: Gathered) -> None:
    """Put what `gather` found on the model, in its dtype; earlier adapters go."""
    remove(model)
    for name, scaled in adapters.items():
        parent, key = locate(model, name)
        if isinstance(scaled[0][1].change, Vector):
            _change_vector(parent[key], scaled)
            continue
        layer = LoraLinear(parent[key], scaled, _dtype(parent[key]))
        mx.eval([value for field, value in layer.parameters().items() if field != "base"])
        mx.eval([array for _, one in scaled if isinstance(one.change, Change) for array in one.change.arrays])
        parent[key] = layer


def _dtype(layer: nn.Module) -> mx.Dtype:
    weight: mx.array = layer.scales if isinstance(layer, PackedLinear) else layer.weight
    return weight.dtype


def _change_vector(norm: nn.Module, scaled: list[Scaled]) -> None:
    """Keeps the norm's own array beside."""
    key = vector_of(norm)
    before: mx.array = norm[key]
    norm[KEPT] = before
    norm[key] = shift_vector(before, scaled)
    mx.eval(norm[key])


def shift_vector(before: mx.array, scaled: list[Scaled]) -> mx.array:
    """A norm's scales with what the files do to them, in their dtype."""
    full = before.astype(mx.float32)
    steps = [scale * one.change.difference(full) for scale, one in scaled if isinstance(one.change, Vector)]
    shifted: mx.array = sum(steps, full)
    return shifted.astype(before.dtype)


def remove(model: nn.Module) -> None:
    """Take all adapters off; the layers are the ones that were there before."""
    for name, layer in model.named_modules():
        if isinstance(layer, LoraLinear):
            parent, key = locate(model, name)
            parent[key] = layer.base
        elif KEPT in layer:
            layer[vector_of(layer)] = layer.pop(KEPT)


def vector_of(norm: nn.Module) -> str:
    """What a norm calls its scales: as BFL or as torch."""
    return "scale" if "scale" in norm else "weight"


def describe(model: nn.Module, family: str) -> Network:
    """What of a network can be adapted, by the checkpoint's names."""
    vectors = {
        name: (vector_of(layer), layer[vector_of(layer)].size)
        for name, layer in model.named_modules()
        if not layer.children() and vector_of(layer) in layer and layer[vector_of(layer)].ndim == 1
    }
    return Network(family, layer_sizes(model), vectors)


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
