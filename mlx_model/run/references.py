"""The reference bank: what was computed from reference pictures, kept across runs.

A reference is encoded once per (pixels, size). For the KV checkpoints also its K and V in every block are kept: they
depend on the ordered set of references and the weights alone, so one set serves every prompt, seed and panel.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

from ..geometry import Grid

LIMIT_BYTES = 4 * 2**30


class References(NamedTuple):
    """Latents (1, R, C) of all references one after the other, and the grid of each."""

    latents: mx.array
    grids: list[Grid]


def fingerprint(pixels: np.ndarray) -> str:
    """sha256 over shape and bytes of a picture."""
    return hashlib.sha256(f"{pixels.shape}{pixels.dtype}".encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()


class Kept:
    """Values by key, the least recently used dropped beyond `limit` bytes. `misses` counts what was computed."""

    def __init__(self, limit: int = LIMIT_BYTES):
        self.limit, self.misses = limit, 0
        self._items: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value of `key`, arrays in lists or tuples, made, evaluated and kept if it is not there."""
        if key not in self._items:
            self.misses += 1
            value = make()
            mx.eval(value)
            arrays: dict[str, mx.array] = dict(tree_flatten(value))
            self._items[key] = value, sum(array.nbytes for array in arrays.values())
        self._items.move_to_end(key)
        value = self._items[key][0]
        while len(self._items) > 1 and sum(size for _, size in self._items.values()) > self.limit:
            self._items.popitem(last=False)
        return value

    def clear(self) -> None:
        self._items.clear()
