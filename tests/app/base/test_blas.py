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
