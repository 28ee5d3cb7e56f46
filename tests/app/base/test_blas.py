"""The preload of a fast BLAS."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LINUX = sys.platform.startswith("linux")


def answer(code: str, **variables: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    return done.stdout.strip()


@pytest.mark.skipif(not LINUX, reason="macOS has a fast BLAS")
def test_products_are_right_after_the_preload():
    code = (
        "from app.base import blas; name = blas.preload(); import mlx.core as mx, numpy as np;"
        "a = np.random.default_rng(1).normal(size=(200, 300)).astype('f');"
        "print(name, bool(abs(np.array(mx.array(a) @ mx.array(a.T)) - a @ a.T).max() < 1e-3), blas.preload())"
    )
    name, right, again = answer(code).split()
    assert right == "True"
    assert name == again
    assert name in ("libopenblas.so.0", "None")


@pytest.mark.skipif(not LINUX, reason="macOS has a fast BLAS")
def test_missing_switched_off_and_too_late():
    assert answer("from app.base import blas; print(blas.preload())", FLUX_LOCAL_BLAS="libnothing.so") == "None"
    assert answer("from app.base import blas; print(blas.preload())", FLUX_LOCAL_BLAS="") == "None"
    assert answer("import mlx.core; from app.base import blas; print(blas.preload())") == "None"


GLIBC = LINUX and "glibc" in str(os.confstr("CS_GNU_LIBC_VERSION"))
ARRAYS = """
from app.base import blas
import mlx.core as mx, psutil, resource
def work():
    made = [mx.ones((1024, 1024)) + number for number in range(40)]
    mx.eval(made)
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def held():
    return psutil.Process().memory_info().rss // 2**20
blas.keep_freed()
mx.set_cache_limit(0)
"""


@pytest.mark.skipif(not GLIBC, reason="a switch of glibc's")
def test_memory_that_was_let_go_is_not_fetched_again_page_by_page():
    """Forty arrays of 4 MB, which are 1,024 pages each, made and let go twice more."""
    code = f"{ARRAYS}work(); work(); before = faults(); work(); work(); print(faults() - before)"
    assert int(answer(code)) < 2000


@pytest.mark.skipif(not GLIBC, reason="a switch of glibc's")
def test_what_is_kept_can_be_given_back():
    code = f"{ARRAYS}work(); work(); before = held(); blas.give_back(); print(before - held())"
    assert int(answer(code)) > 100
