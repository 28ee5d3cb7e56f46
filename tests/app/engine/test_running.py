"""What holds for every run, the command line's and the worker's."""

from pathlib import Path

import mlx.core as mx
import pytest

from app.engine import running

MINI = Path(__file__).parents[3] / "assets" / "mini"


@pytest.fixture
def unlimited():
    before = mx.set_cache_limit(2**40)
    yield
    mx.set_cache_limit(before)


def test_freed_buffers_are_kept_up_to_a_limit(unlimited):
    """On Metal MLX would keep all of them, and a run would take more than its forecast says."""
    running.open_pipeline(MINI, None)
    assert mx.set_cache_limit(2**40) == running.CACHE
