"""The reference bank: what was computed from reference pictures, kept across runs.

A reference is encoded once per (pixels, size). For the KV checkpoints also its K and V in every block are kept: they
depend on the ordered set of references and the weights alone, so one set serves every prompt, seed and panel.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, NamedTuple

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

from ..geometry import Grid

if TYPE_CHECKING:
    from ..store.cache import Cache

LIMIT_BYTES = 4 * 2**30


class References(NamedTuple):
    """Latents (1, R, C) of all references one after the other, and the grid of each."""

    latents: mx.array
    grids: list[Grid]


def fingerprint(pixels: np.ndarray) -> str:
    """sha256 over shape and bytes of a picture."""
    return hashlib.sha256(f"{pixels.shape}{pixels.dtype}".encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()


# What a value is called on the disk, and where; None: it is not kept there.
Shelf = Callable[[Hashable], tuple["Cache", str] | None]


class Kept:
    """Values by key, the least recently used dropped beyond `limit` bytes. `misses` counts what was computed.

    What is not in memory may be on the `shelf`.
    """

    def __init__(self, limit: int = LIMIT_BYTES, shelf: Shelf = lambda key: None):
        self.limit, self.shelf, self.misses = limit, shelf, 0
        self._items: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Any], size: int = 0) -> Any:
        """The value of `key`, arrays in lists or tuples, made, evaluated and kept if it is not there.

        `size`: the bytes that it will have, for which old values go before it is made rather than after.
        """
        if key not in self._items:
            self._drop_beyond(self.limit - size)
            value = self._fetch(key, make)
            self._items[key] = value, sum(array.nbytes for array in _list_arrays(value))
        self._items.move_to_end(key)
        self._drop_beyond(self.limit, keep=1)
        return self._items[key][0]

    def _fetch(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """From the shelf, else made and put there."""
        place = self.shelf(key)
        if place is not None and (value := place[0].get(place[1])) is not None:
            return value
        self.misses += 1
        value = make()
        for array in _list_arrays(value):  # one after the other: what only the earlier ones needed is let go
            mx.eval(array)
        if place is not None:
            place[0].put(place[1], value)
        return value

    @property
    def nbytes(self) -> int:
        return sum(size for _, size in self._items.values())

    def _drop_beyond(self, limit: int, keep: int = 0) -> None:
        while len(self._items) > keep and self.nbytes > limit:
            self._items.popitem(last=False)

    def clear(self) -> None:
        self._items.clear()


def _list_arrays(value: Any) -> list[mx.array]:
    """Of arrays in lists or tuples, or of one array."""
    return list(dict[str, mx.array](tree_flatten(value)).values())
