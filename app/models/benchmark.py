"""What this machine reaches: seconds of an edit and of its steps, memory, and the share of the chip's peak, from a
table or predicted; each repetition in a process of its own, where nothing of the one before is left.
"""

import dataclasses
import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import numpy as np

from mlx_model import fitting
from mlx_model.events import Step
from mlx_model.geometry import Size
from mlx_model.request import Reference, Request, check, parse_size
from mlx_model.speed import step_flops
from mlx_model.store.folder import Folder, open_folder

from ..base import blas
from . import library

SLOWER = 1.05  # from here on it is told that the last repetition took longer than the first
Facts = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Task:
    """The edit that is timed; None: the model's own."""

    model: str | None = None
    size: str | None = None
    references: int = 1
    steps: int | None = None
    low_memory: bool = False

    def open(self) -> tuple[Folder, Request]:
        """Its model and its request. Raises FluxLocalError as a run does, also where it won't fit."""
        folder = open_folder(library.resolve(self.model))
        spec, here = folder.spec, blas.machine()
        chosen = parse_size(self.size, spec) if self.size else spec.size
        pictures = tuple(_picture(number, spec.size) for number in range(min(self.references, spec.max_references)))
        request = check(Request(spec.name, "a bench", *chosen, self.steps, references=pictures), spec)
        weights = fitting.weigh(folder, here.number_bytes)
        seen = [spec.size] * len(pictures)
        fitting.require(fitting.Wanted(spec, request.size, seen, weights, self.low_memory), here)
        return folder, request


def _picture(number: int, size: Size) -> Reference:
    """Noise is as much work as art."""
    pixels = np.random.default_rng(number).integers(0, 256, (size.height, size.width, 3), dtype=np.uint8)
    return Reference(name=f"noise {number + 1}", pixels=pixels)


def measure(task: Task) -> Facts:
    """One repetition, in this process: an edit with loading, then one with another prompt and seed."""
    fast = blas.preload()
    blas.keep_freed()
    folder, request = task.open()
    from mlx_model.run.pipeline import Pipeline

    pipeline = Pipeline.open(folder.path)
    pipeline.low_memory = task.low_memory
    (first, _), (edit, step) = (_edit(pipeline, request, number) for number in range(2))
    found = {"first_seconds": first, "edit_seconds": edit, "step_seconds": step, "peak_bytes": _peak_bytes()}
    return found | {"dtype": pipeline.dtype, "blas": fast, "streamed": sorted(pipeline.streamed)}


def _edit(pipeline: Any, request: Request, number: int) -> tuple[float, float]:
    """Seconds of a whole edit and of one of its steps."""
    seeded = dataclasses.replace(request, prompt=f"{request.prompt} {number}", seed=number)
    start, step = time.perf_counter(), 0.0
    for event in pipeline.run(seeded):
        if isinstance(event, Step):
            step = event.seconds / event.step
    return time.perf_counter() - start, step


def _peak_bytes() -> int:
    """The most memory this process has held; MLX's own count includes what Metal holds, a card's is apart."""
    import resource

    import mlx.core as mx

    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    if mx.cuda.is_available():
        return int(mx.get_peak_memory())
    return max(resident, mx.get_peak_memory() if mx.metal.is_available() else 0)


def sum_up(task: Task, found: Sequence[Facts], load: float) -> Facts:
    """Medians of the repetitions, with what the machine is; `load`: how many programs worked before the first."""
    folder, request = task.open()
    spec, here = folder.spec, blas.machine()
    flops = step_flops(spec, request.size, [spec.size] * len(request.references))
    times = {key: statistics.median(one[key] for one in found) for key in ("first_seconds", "edit_seconds")}
    step = statistics.median(one["step_seconds"] for one in found)
    reached = flops / step / 1e12 if step else 0.0
    return {
        "model": spec.name,
        "plan": folder.plan,
        "chip": here.chip,
        "memory_bytes": here.total,
        "system": platform.platform(),
        "versions": {name: metadata.version(name) for name in ("mlx", "flux-local-studio")},
        "backend": here.backend,
        **{key: found[0][key] for key in ("blas", "dtype", "streamed")},
        "size": [request.width, request.height],
        "references": len(request.references),
        "steps": request.steps,
        "runs": len(found),
        **{key: round(value, 4) for key, value in times.items()},
        "step_seconds": round(step, 5),
        "step_flops": flops,
        "step_tflops": reached,
        "peak_tflops": here.tflops,
        "peak_basis": "table of chips" if here.gpu else "predicted from cores",
        "share_of_peak": reached / here.tflops if here.tflops else None,
        "peak_bytes": max(one["peak_bytes"] for one in found),
        "load_before": round(load, 2),
        "slower": round(found[-1]["step_seconds"] / found[0]["step_seconds"], 3) if found[0]["step_seconds"] else None,
        "each": [{key: one[key] for key in ("first_seconds", "edit_seconds", "step_seconds")} for one in found],
    }


def load() -> float:
    """How many programs have been working lately."""
    return os.getloadavg()[0]
