"""Layers that see the same tokens as one layer: one product makes what each of them makes.

The layers stay what they are, under their names: adapters go on them, files fill them.
"""

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from .ops import can_cut

ARRAYS = ("weight", "scales", "biases")  # of dense and packed layers


def join(layers: Sequence[Any]) -> Any:
    """One layer with the outputs of all, one after the other, its matrix lazy; None where there can't be one.

    So it is with adapters and biases, with packed layers of other bits, and with rotated ones, whose signs may differ.
    """
    first = layers[0]
    if not can_cut(first) or any("bias" in layer or "rotation" in layer for layer in layers):
        return None
    if len({(type(layer), getattr(layer, "bits", 0), getattr(layer, "group_size", 0)) for layer in layers}) > 1:
        return None
    joined: Any = nn.Linear(1, 1, bias=False)
    if type(first) is not nn.Linear:
        joined = type(first)(nn.Linear(first.group_size, 1, bias=False), first.group_size, first.bits)
    for name in filter(first.__contains__, ARRAYS):
        joined[name] = mx.concatenate([layer[name] for layer in layers])
    return joined


class Joined:
    """The layer that `join` makes, anew for each use until `keep` was called. It knows no module: that knows it."""

    def __init__(self) -> None:
        self._kept: tuple[Any, list[Any]] | None = None  # the layer, and the arrays of which it was made

    def find(self, layers: Sequence[Any]) -> Any:
        """As `join`. What was kept serves while the layers hold the same arrays."""
        if self._kept is not None and all(a is b for a, b in zip(_list(layers), self._kept[1], strict=True)):
            return self._kept[0]
        return join(layers)

    def keep(self, layers: Sequence[Any]) -> None:
        """Make the layer, evaluated; the arrays of the layers become views of its own, so that it takes no memory."""
        joined = join(layers)
        if joined is None:
            return
        for name in filter(joined.__contains__, ARRAYS):
            mx.eval(joined[name])
            parts = mx.split(joined[name], len(layers))
            mx.eval(parts)
            for layer, part in zip(layers, parts, strict=True):
                layer[name] = part
        self._kept = joined, _list(layers)


def _list(layers: Sequence[Any]) -> list[Any]:
    return [layer.get(name) for layer in layers for name in ARRAYS]
