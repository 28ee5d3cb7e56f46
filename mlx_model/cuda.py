"""NVIDIA's graphics cards on Linux, where MLX has its CUDA backend. Nothing here loads MLX: the window must not."""

import functools
import shutil
import subprocess
import sys
from importlib import metadata
from typing import Any, NamedTuple

BACKENDS = ("mlx-cuda-13", "mlx-cuda-12")  # what mlx[cuda13] and mlx[cuda12] bring; either has its own libmlx
DRIVER = "nvidia-smi"
QUESTION = ("--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits")
PATIENCE = 10  # seconds for the driver's answer


class Card(NamedTuple):
    """Bytes of the card's own memory: all, and what is free."""

    name: str
    total: int
    free: int


def find_card() -> Card | None:
    """The first card, which MLX runs on; None without the backend, or where no card answers."""
    loaded = sys.modules.get("mlx.core")
    return _ask_mlx(loaded) if loaded else _ask_driver()


def has_backend() -> bool:
    """Whether MLX was installed with CUDA."""
    return any(_is_installed(name) for name in BACKENDS)


def has_driver() -> bool:
    """Whether this computer has an NVIDIA card, by its driver's program."""
    return shutil.which(DRIVER) is not None


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _ask_mlx(mx: Any) -> Card | None:
    """mlx 0.32.4 tells name and total memory of a card always, what is free where it finds the driver's library."""
    if not mx.cuda.is_available():
        return None
    told = mx.device_info(mx.gpu)
    total = int(told["total_memory"])
    return Card(str(told["device_name"]), total, int(told.get("free_memory", total)))


@functools.cache
def _ask_driver() -> Card | None:
    """What MLX would say, before it is loaded. The driver counts in MiB."""
    if not has_backend() or not has_driver():
        return None
    try:
        said = subprocess.run([DRIVER, *QUESTION], capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
        name, total, free = said.splitlines()[0].rsplit(",", 2)
        return Card(name.strip(), int(total) << 20, int(free) << 20)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
