"""Seconds per edit of a model on this machine, measured; the share of the chip's peak, from a table or predicted."""

import dataclasses
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mlx_model import memory
from mlx_model.events import Event, Stage, Step
from mlx_model.geometry import Size
from mlx_model.request import Reference, Request, check, parse_size
from mlx_model.store.folder import open_folder

from ..base import blas
from . import library


def measure(
    model: str | None,
    size: str | None,
    references: int,
    steps: int | None,
    runs: int,
    report: Callable[[Event], None],
) -> dict[str, Any]:
    """Time one edit with loading and `runs` more. Raises FluxLocalError as a run does."""
    fast, folder = blas.preload(), open_folder(library.resolve(model))
    spec = folder.spec
    chosen = parse_size(size, spec) if size else spec.size
    pictures = tuple(_picture(number, spec.size) for number in range(min(references, spec.max_references)))
    request = check(Request(spec.name, "a bench", *chosen, steps, references=pictures), spec)
    here = memory.machine(bool(fast))
    sizes = [spec.size] * len(pictures)
    memory.require(spec, here, chosen, sizes, memory.weigh(folder, here.number_bytes))
    from mlx_model.run.pipeline import Pipeline

    pipeline = Pipeline.open(folder.path)
    timed = [_edit(pipeline, request, number, report) for number in range(runs + 1)]
    flops = memory.step_flops(spec, chosen, sizes)
    return _result(spec.name, request, here, pipeline, timed, flops)


def _picture(number: int, size: Size) -> Reference:
    """Noise is as much work as art."""
    pixels = np.random.default_rng(number).integers(0, 256, (size.height, size.width, 3), dtype=np.uint8)
    return Reference(name=f"noise {number + 1}", pixels=pixels)


def _edit(pipeline: Any, request: Request, number: int, report: Callable[[Event], None]) -> tuple[float, float]:
    """Seconds of a whole edit and of one of its steps."""
    report(Stage("bench", f"edit {number + 1}"))
    seeded = dataclasses.replace(request, prompt=f"{request.prompt} {number}", seed=number)
    start, step = time.perf_counter(), 0.0
    for event in pipeline.run(seeded):
        if isinstance(event, Step):
            step = event.seconds / event.step
            report(event)
    return time.perf_counter() - start, step


def _result(name: str, request: Request, here: memory.Machine, pipeline: Any, timed: list, flops: float) -> dict:
    step = statistics.median(step for _, step in timed[1:])
    reached = flops / step / 1e12 if step else 0.0
    return {
        "model": name,
        "chip": here.chip,
        "backend": "Metal" if here.metal else "CPU",
        "blas": blas.preload(),
        "dtype": getattr(pipeline, "dtype", None),
        "size": [request.width, request.height],
        "references": len(request.references),
        "steps": request.steps,
        "runs": len(timed) - 1,
        "first_seconds": round(timed[0][0], 4),
        "edit_seconds": round(statistics.median(seconds for seconds, _ in timed[1:]), 4),
        "step_seconds": round(step, 5),
        "step_flops": flops,
        "step_tflops": reached,
        "peak_tflops": here.tflops,
        "peak_basis": "table of chips" if here.metal else "predicted from cores",
        "share_of_peak": reached / here.tflops if here.tflops else None,
        "peak_bytes": _peak_bytes(),
    }


def _peak_bytes() -> int:
    """The most memory this process has held; MLX's own count includes what Metal holds."""
    import resource

    import mlx.core as mx

    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return max(resident, mx.get_peak_memory() if mx.metal.is_available() else 0)
