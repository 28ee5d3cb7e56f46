"""What this machine is, what fits, what is wrong and how to mend it."""

import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Any

from mlx_model import cuda, memory
from mlx_model.errors import Advice, Hint
from mlx_model.specs import SPECS
from mlx_model.store.cache import Cache

from ..base import blas, faults, paths
from .library import ADD_ONE, best_bits, catalogue, list_installed

LOW_DISK = 20 * 2**30
PACKAGES = (
    "mlx",
    "numpy",
    "pillow",
    "pi-heif",
    "safetensors",
    "tokenizers",
    "huggingface-hub",
    "send2trash",
)
EXTRAS = ("coremltools",)  # told, but no fault where they are missing


def examine() -> dict[str, Any]:
    """All findings as one dict ready for JSON but for "problems", a list of {"what", "mend"}: mend is a Hint."""
    library = blas.preload()
    here = memory.machine(bool(library))
    backend, mlx_error = _backend()
    return {
        "machine": {
            "chip": here.chip,
            "cores": here.cores,
            "system": platform.platform(),
            "memory_bytes": here.total,
            "memory_available_bytes": here.available,
            "tflops": here.tflops,
            "tflops_basis": "table of chips" if here.gpu else "cores, predicted",
        },
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in (*PACKAGES, *EXTRAS)},
        "backend": backend,
        "blas": library,
        "previews": "Core ML" if sys.platform == "darwin" and _version("coremltools") else "MLX",
        "home": str(paths.home()),
        "free_bytes": paths.free_bytes(paths.home()),
        "cache": {"path": str(paths.cache()), "bytes": cache().measure().bytes, "limit_bytes": cache().limit},
        "installed": [
            {"name": m.name, "path": str(m.path), "bytes": m.bytes, "problem": m.problem} for m in list_installed()
        ],
        "fits": {entry["name"]: best_bits(entry) for entry in catalogue(here)},
        "runs": {entry["name"]: best_bits(entry, "runs") for entry in catalogue(here)},
        "problems": list(_problems(here, library, backend, mlx_error)),
    }


def cache() -> Cache:
    """What was computed of prompts and pictures."""
    return Cache(paths.cache())


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _backend() -> tuple[str | None, str]:
    """What MLX computes on, and why it does not where it can't be imported."""
    try:
        import mlx.core as mx

        return ("Metal" if mx.metal.is_available() else "CUDA" if mx.cuda.is_available() else "CPU"), ""
    except Exception as error:  # a broken binary raises what it likes
        return None, str(error)


def _problems(
    here: memory.Machine, library: str | None, backend: str | None, mlx_error: str
) -> Iterator[dict[str, Hint]]:
    if backend is None:
        why = faults.say_plainly(mlx_error)
        yield _problem(f"MLX can't be loaded. {why}".strip(), "Install Flux Local again.")
    yield from _card_problems(backend)
    if here.metal and backend == "CPU":
        yield _problem("MLX does not see the GPU.", "Use a Python for arm64, and macOS 14 or newer.")
    if sys.platform == "darwin" and platform.machine() != "arm64":
        yield _problem("This Python is not for Apple silicon.", "Install a Python for arm64; Intel Macs can't run MLX.")
    if sys.platform.startswith("linux") and library is None and backend == "CPU":
        yield _problem("No OpenBLAS: runs are 5 to 20 times slower.", "sudo apt-get install libopenblas0-pthread")
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        yield _problem(f"Python {platform.python_version()} is not supported.", "Use Python 3.11, 3.12 or 3.13.")
    for name in PACKAGES:
        if _version(name) is None:
            yield _problem(f"The package {name} is missing.", "Install Flux Local again with pip.")
    yield from _storage_problems()


def _card_problems(backend: str | None) -> Iterator[dict[str, Hint]]:
    """Of an NVIDIA card that is there and not used."""
    if backend == "CPU" and cuda.has_backend():
        yield _problem("MLX does not see the NVIDIA card.", "Install NVIDIA's driver, 580 or newer for CUDA 13.")
    elif backend == "CPU" and cuda.has_driver():
        what = "This computer has an NVIDIA card, which this installation does not use."
        yield _problem(what, "Make an environment for it: python3 -m bundle.nvidia .venv-nvidia")


def _storage_problems() -> Iterator[dict[str, Hint]]:
    home = paths.home()
    if paths.free_bytes(home) < LOW_DISK:
        yield _problem(f"Little room: {memory.say_bytes(paths.free_bytes(home))} free for models.", "Free some space.")
    if not os.access(paths.existing_parent(home), os.W_OK):
        yield _problem(f"{home} can't be written.", "Change its permissions, or set FLUX_LOCAL_HOME.")
    for model in list_installed():
        if model.problem:
            again = Advice("add_model_again", {"name": model.name, "path": str(model.path)})
            mend = again if model.name in SPECS else f"Remove {model.path}"
            yield _problem(f"The model {model.name} can't be used: {model.problem}", mend)
    if not list_installed():
        yield _problem("No model is installed.", ADD_ONE)


def _problem(what: str, mend: Hint) -> dict[str, Hint]:
    return {"what": what, "mend": mend}
