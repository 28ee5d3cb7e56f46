"""The step cache: a step whose first block changes its tokens as it did before takes over what the other blocks did.

Source: first-block cache (github.com/chengzeyi/ParaAttention), as in diffusers 0.42 hooks/first_block_cache.py, but for
one thing: only the tokens of the picture are compared, as what references do says little of it. It is approximate.
"""

from typing import TYPE_CHECKING, NamedTuple

import mlx.core as mx
import numpy as np

from ..events import Note
from ..nets.ops import Walk

if TYPE_CHECKING:
    from collections.abc import Iterator


class Kept(NamedTuple):
    """Of the last pass that went through all blocks, (1, N, h) each: what they added to the picture's tokens."""

    first: mx.array  # the first block
    others: mx.array


class StepCache:
    """Of one run: each pass of a guided step is compared with passes of its own prompt. `reused` counts those cut."""

    def __init__(self, threshold: float):
        self.threshold, self.count, self.reused = threshold, 0, 0
        self._kept: dict[int, Kept] = {}

    def shorten(self, number: int, walk: Walk) -> Walk:
        """The walk of pass `number`, which ends after its first block where that is enough."""
        return Walk(walk.entering, self._run(number, walk), walk.leave)

    def tell(self) -> Note:
        """How much was saved."""
        return Note(f"Step cache: {self.reused} of {self.count} passes through the model ended after the first block.")

    def _run(self, number: int, walk: Walk) -> "Iterator[mx.array]":
        first = last = next(walk.blocks)
        yield first
        change, kept = first - walk.entering, self._kept.get(number)
        self.count += 1
        if kept and measure_change(change, kept.first) <= self.threshold:
            self.reused += 1
            yield first + kept.others
            return
        for last in walk.blocks:
            yield last
        self._kept[number] = Kept(change, last - first)
        mx.eval(self._kept[number])


def measure_change(now: mx.array, before: mx.array) -> float:
    """The mean distance of two arrays as a share of the mean size of `before`; NaN where that is 0."""
    now, before = now.astype(mx.float32), before.astype(mx.float32)
    return float(np.array(mx.abs(now - before).mean() / mx.abs(before).mean()))
