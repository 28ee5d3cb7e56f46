"""What a piece of work takes: memory counted above what is held before it, whatever ran earlier in this process."""

import gc
import tracemalloc
from collections.abc import Callable

import mlx.core as mx

Work = Callable[[], object]


def peak_of_mlx(work: Work) -> int:
    """Bytes of MLX's memory. Dead models of earlier tests go first: freed meanwhile, they would hide as much."""
    mx.synchronize()
    gc.collect()
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    work()
    mx.synchronize()
    return mx.get_peak_memory() - before


def peak_of_python(work: Work) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
