"""A transformer whose blocks are shared out over processes, each with its weights on its own machine.

Every process walks through the whole network; a block works only where its weights are. What the blocks hand on goes
from each process to the next, and what the last block made to all. So the numbers are those of one process, and each
holds its share of the blocks. They work one after the other: this brings memory, not speed.

Arrays travel as two messages, what they are and what they hold: where a block didn't work, nobody knows the former.
"""

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from ..errors import RequestError, tell_lost
from .counting import block_of
from .folder import Folder
from .weights import PackedLinear, build, load, locate, unpack_layer

PASSED = {"double_blocks": 2, "single_blocks": 1}  # how many arrays a block takes from the one before, and hands on
KINDS = (mx.float32, mx.float16, mx.bfloat16)
AXES = 4
HINT = "Start all of them again."


def open_shared(folder: Folder, role: str, dtype: mx.Dtype, group: mx.distributed.Group) -> nn.Module:
    """weights.open_component with the blocks that are this process's. Raises LayoutError; RequestError for a network
    that can't be shared."""
    component = folder.components[role]
    module = build(role, component.family, component.params)
    blocks = list_blocks(module)
    owners: dict[str, int] = {}

    def is_wanted(name: str) -> bool:
        if not owners:  # from here on layers are packed as the files are
            owners.update(share_out(module, blocks, group.size()))
        return owners.get(block_of(name, 2), group.rank()) == group.rank()

    if any(name.rpartition(".")[0] not in PASSED for name in blocks) or len(blocks) < group.size():
        words = f"{folder.spec.title} can't be shared by {group.size()} processes."
        raise RequestError(words, "Run it on one machine.")
    load(module, folder.files(role), dtype, is_wanted)
    if folder.is_held_dense(role, dtype.size):
        for name, layer in list(module.named_modules()):
            if isinstance(layer, PackedLinear) and is_wanted(name):
                parent, key = locate(module, name)
                parent[key] = unpack_layer(layer)
    relay = Relay(group, [owners[name] for name in blocks])
    for number, name in enumerate(blocks):
        parent, key = locate(module, name)
        _hook(parent[key], relay, number, PASSED[name.rpartition(".")[0]])
    return module


def list_blocks(module: nn.Module) -> list[str]:
    """Names of a network's blocks, in the order in which they work."""
    arrays: dict[str, mx.array] = dict(tree_flatten(module.parameters()))
    return [block for block in dict.fromkeys(block_of(name, 2) for name in arrays) if block]


def share_out(module: nn.Module, blocks: list[str], count: int) -> dict[str, int]:
    """Which process has which block: neighbours together, as equal in bytes as whole blocks allow, none without."""
    sizes = dict.fromkeys(blocks, 0)
    arrays: dict[str, mx.array] = dict(tree_flatten(module.parameters()))
    for name, array in arrays.items():
        if block := block_of(name, 2):
            sizes[block] += array.nbytes
    ends, whole = accumulate(sizes.values()), sum(sizes.values())
    middles = [end - size / 2 for end, size in zip(ends, sizes.values(), strict=True)]
    shares = [int(middle * count / whole) for middle in middles]
    for number in range(len(blocks)):  # of few blocks, unequal ones
        least, most = count - (len(blocks) - number), (shares[number - 1] + 1 if number else 0)
        shares[number] = min(max(shares[number], least), most)
    return dict(zip(blocks, shares, strict=True))


class Relay:
    """Hands on what blocks make: block `number` is owner `owners[number]`'s."""

    def __init__(self, group: mx.distributed.Group, owners: list[int]) -> None:
        self.group, self.owners, self.rank = group, owners, group.rank()
        self.working = False

    def work(self, number: int, count: int, run: Callable[[], list[mx.array]]) -> list[mx.array] | None:
        """The `count` arrays that block `number` makes; None, for anything, where nobody here looks at them.

        A block that calls itself, as the last one with an adapter does, works once: only the outer call hands on.
        """
        if self.working:
            return run()
        owner, last = self.owners[number], len(self.owners) - 1
        after = owner if number == last else self.owners[number + 1]
        with tell_lost(HINT):
            made = self._make(run) if owner == self.rank else None
            if number == last:
                return self._pass_round(made, owner)
            if made and after != owner:
                for array in made:
                    self._send(array, after)
            if after == self.rank != owner:
                return [self._receive(owner) for _ in range(count)]
        return made

    def _make(self, run: Callable[[], list[mx.array]]) -> list[mx.array]:
        self.working = True
        try:
            made = run()
        finally:
            self.working = False
        mx.eval(made)
        return made

    def _pass_round(self, made: list[mx.array] | None, owner: int) -> list[mx.array]:
        """From the last one, and on from neighbour to neighbour, until everyone has it. One array."""
        count = self.group.size()
        found = made or [self._receive((self.rank - 1) % count)]
        if (after := (self.rank + 1) % count) != owner:
            self._send(found[0], after)
        return found

    def _send(self, array: mx.array, to: int) -> None:
        head = [KINDS.index(array.dtype), *array.shape, *[0] * (AXES - array.ndim)]
        for one in (mx.array(head, mx.int32), array):
            mx.eval(mx.distributed.send(mx.contiguous(one), to, group=self.group))

    def _receive(self, source: int) -> mx.array:
        head = mx.distributed.recv((1 + AXES,), mx.int32, source, group=self.group)
        kind, *shape = map(int, np.array(head))
        array = mx.distributed.recv([side for side in shape if side], KINDS[kind], source, group=self.group)
        mx.eval(array)
        return array


def _hook(block: nn.Module, relay: Relay, number: int, count: int) -> None:
    """Whatever the network calls of the block goes through the relay; its names and layers stay as they are."""
    kind = type(block)

    def call(self: nn.Module, *given: Any) -> Any:
        made = relay.work(number, count, lambda: _list_states(kind.__call__(self, *given)))
        found = list(given[:count]) if made is None else made
        return tuple(found) if count > 1 else found[0]

    def run_last(self: nn.Module, *given: Any) -> Any:
        last: Any = kind
        made = relay.work(number, 1, lambda: [last.run_last(self, *given)])
        return made[0] if made else given[0]

    def run_alone(self: nn.Module, *given: Any) -> Any:
        raise RequestError("Its references can't be kept while it is shared by processes.", "Run it on one machine.")

    methods = {"__call__": call, "run_last": run_last, "run_alone": run_alone}
    own = {name: method for name, method in methods.items() if hasattr(kind, name)}
    block.__class__ = type(f"Shared{kind.__name__}", (kind,), own)


def _list_states(made: Any) -> list[mx.array]:
    return list(made) if isinstance(made, tuple) else [made]
