"""What a piece of work takes: memory counted above what is held before it, whatever ran earlier in this process."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import mlx.core as mx

T = TypeVar("T")
Work = Callable[[], object]


@contextmanager
def exact_memory() -> Iterator[None]:
    """No cache of MLX: a buffer out of it may be larger than what is asked for, by what ran before, and counts whole.

    Dead models of earlier tests go first: freed meanwhile, they would hide as much.
    """
    mx.synchronize()
    gc.collect()
    limit = mx.set_cache_limit(0)
    mx.clear_cache()
    try:
        yield
    finally:
        mx.set_cache_limit(limit)


def peak_of_mlx(work: Work) -> int:
    """Bytes of MLX's memory."""
    with exact_memory():
        mx.reset_peak_memory()
        before = mx.get_active_memory()
        work()
        mx.synchronize()
        return mx.get_peak_memory() - before


def held_by_mlx(work: Callable[[], T]) -> tuple[int, T]:
    """Bytes of MLX's memory that stay for as long as the result does, and the result."""
    with exact_memory():
        before = mx.get_active_memory()
        result = work()
        mx.synchronize()
        gc.collect()
        return mx.get_active_memory() - before, result


def peak_of_python(work: Work) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
