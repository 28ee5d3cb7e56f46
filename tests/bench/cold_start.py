"""How soon a command is there, each time in a new process: python -m tests.bench.cold_start [PEERS]

Processor seconds of `--help` beside mflux's, and of the first step of a picture with mini beside what mflux needs to
import the class that draws (it has no model of that size: its own first step comes later). By the clock: medians of
what else people wait for.
"""

import resource
import statistics
import subprocess
import sys
import time

from tests.bench.table import ROOT, find_peer, print_row

RUNS = 7
FIRST_STEP = """
from app.base import blas, paths
blas.preload()
from mlx_model.events import Step
from mlx_model.request import Request
from mlx_model.run.pipeline import Pipeline
run = Pipeline.open(paths.mini()).run(Request("mini", "a panda in the snow"))
next(event for event in run if isinstance(event, Step))
"""
FIRST_CLASS = "import mflux.models.flux2.variants.edit.flux2_klein_edit"
SHOWN = {"python -c pass": ["-c", "pass"]}
SHOWN |= {f"flux-local {words}": ["-m", "app", *words.split()] for words in ("--help", "edit --help", "models list")}


def measure(command: list[str]) -> tuple[float, float]:
    """Medians of seconds by the clock and of the processor; the first run, which reads the files, is not counted."""
    found = [_run(command) for _ in range(RUNS + 1)][1:]
    clock, processor = (statistics.median(one) for one in zip(*found, strict=True))
    return clock, processor


def _run(command: list[str]) -> tuple[float, float]:
    began, before = time.perf_counter(), _used()
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    return time.perf_counter() - began, _used() - before


def _used() -> float:
    """Seconds of the processor, of all processes that have ended here."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    for name, words in SHOWN.items():
        print(f"{name:24} {measure([sys.executable, *words])[0]:.3f} s by the clock", flush=True)
    peer = find_peer(sys.argv[1:])
    helps = [str(peer.with_name("mflux-generate")), "--help"] if peer else None
    compare("--help", ["-m", "app", "--help"], helps, 0.1)
    imports = [str(peer), "-c", FIRST_CLASS] if peer else None
    compare("the first step of mini (mflux: its import)", ["-c", FIRST_STEP], imports, 0.5)


def compare(what: str, ours: list[str], theirs: list[str] | None, bar: float) -> None:
    own = measure([sys.executable, *ours])[1]
    print_row(what, own, measure(theirs)[1] if theirs else None, bar if theirs else None, " s")


if __name__ == "__main__":
    main()
