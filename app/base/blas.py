"""A fast BLAS for MLX on Linux, where the wheel brings only the slow reference one (measured: 4.5 against 90 GFLOP/s).

Call preload() before the first import of mlx: afterwards it has no effect.
"""

import ctypes
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlx_model.memory import Machine

LIBRARY = "libopenblas.so.0"
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


def machine() -> "Machine":
    """This computer as a run will find it: what it can do depends on the BLAS."""
    from mlx_model import memory

    return memory.machine(bool(preload()))
