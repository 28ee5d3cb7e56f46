"""A fast BLAS for MLX on Linux, where the wheel brings only the slow reference one (measured: 4.5 against 90 GFLOP/s).

Call preload() before the first import of mlx: afterwards it has no effect.
"""

import contextlib
import ctypes
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlx_model.memory import Machine

LIBRARY = "libopenblas.so.0"
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # what malloc.h calls them
WHOLE, KEPT = 2**25, 2**28  # bytes: from WHOLE on, glibc's own highest, an array is a map of its own and goes at once
_loaded: str | None = None


def preload() -> str | None:
    """Load OpenBLAS for the whole process; its name, or None where there is none (macOS needs none).

    FLUX_LOCAL_BLAS names another library, or switches this off when empty.
    """
    global _loaded
    library = os.environ.get("FLUX_LOCAL_BLAS", LIBRARY)
    if not sys.platform.startswith("linux") or not library or _loaded:
        return _loaded
    if "mlx.core" in sys.modules:
        return None
    try:
        ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return None
    _loaded = library
    return _loaded


def keep_freed() -> None:
    """In a process that draws: have glibc keep memory that was let go for what comes next, up to KEPT of it.

    Else the arrays of each layer are given back to the system, which hands out the next ones in pages of zeros, one
    fault for each: a tenth of an edit with the built-in model. Other C libraries have no such switch.
    """
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(MMAP_THRESHOLD, WHOLE)
        mallopt(TRIM_THRESHOLD, KEPT)


def give_back() -> None:
    """The end of that for what is kept now."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def machine() -> "Machine":
    """This computer as a run will find it: what it can do depends on the BLAS."""
    from mlx_model import memory

    return memory.machine(bool(preload()))
