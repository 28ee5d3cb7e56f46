"""Before anything imports mlx: torch (if it is here) first, then a fast BLAS, one thread, no C++ compiler runs."""

import contextlib
import gc
import os
import signal
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # bitwise the same from run to run, and spinning threads cost others
os.environ.setdefault("MLX_DISABLE_COMPILE", "1")  # on Linux each kernel would cost a second of g++
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # any test may make a QApplication; none needs a screen
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each of hundreds of processes would compile all of ours again
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
# OpenBLAS loaded before torch changes torch's own products in the last bits.
with contextlib.suppress(ImportError):
    import torch  # noqa: F401

import pytest
from hypothesis import settings

from app.base import blas
from mlx_model.store import folder

sys.dont_write_bytecode = False  # as for the processes above
blas.preload()

settings.register_profile("here", deadline=None)  # a busy machine is no failure
settings.load_profile("here")

# A shell's background jobs are deaf to Ctrl-C, and so would be the commands whose Ctrl-C is tested.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and under nohup they would be deaf to the end of their terminal


@pytest.fixture(scope="session", autouse=True)
def nobody_s_home(tmp_path_factory):
    """Also where a test sets no home of its own, or takes it back before the end, a person's is not touched."""
    os.environ["FLUX_LOCAL_HOME"] = str(tmp_path_factory.mktemp("home"))


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by markers
def pytest_collection_modifyitems(items):
    """Of a test of many cases that is marked first_case the others are sweeps."""
    tried = set()
    for item in items:
        if item.get_closest_marker("first_case"):
            if item.function in tried:
                item.add_marker("sweep")
            tried.add(item.function)


def pytest_collection_finish():
    """Thousands of tests and all that they import stay: no collection of garbage need look through them."""
    gc.collect()
    gc.freeze()


_manifests: list[str] | None = None


@sys.addaudithook
def _notice(event: str, given: tuple) -> None:
    if event == "open" and _manifests is not None and str(given[0]).endswith("model.json"):
        _manifests.append(str(given[0]))


@pytest.fixture
def manifests_read():
    """The paths of model.json in the order in which this process opens them."""
    global _manifests
    folder._manifests.clear()
    _manifests = []
    yield _manifests
    _manifests = None
