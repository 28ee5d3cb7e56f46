"""A board of six panels by one process and by two: python -m tests.bench.board_machines [ROUNDS].

The second is a worker as `board render --machine` starts it through ssh, for which a script stands in; it is on this
machine too. Each has one BLAS thread, loads the model itself, and keeps nothing from one round to the next. Prints
seconds by the clock and of the processor, of the command with all that it starts.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from app.board.data import Board, Panel, Scene, Settings
from app.fluxboard.file import BoardFile
from tests.bench.table import ROOT

PANELS, SETTINGS = 6, Settings(steps=16, width=256, height=256)
SSH = """#!/bin/sh
while [ "$1" != "--" ]; do shift; done
shift 3
exec "{python}" -P -m app "$@"
"""


def make_board(path: Path) -> None:
    panels = tuple(Panel(f"p{number}", f"a fox on hill {number}", settings=SETTINGS) for number in range(PANELS))
    BoardFile.create(path, Board("b", aspect=(1, 1), scenes=(Scene("s", panels=panels),))).close()


def render(folder: Path, count: int) -> tuple[float, float]:
    """Seconds by the clock and of the processor, of one process that renders, or of two."""
    make_board(board := folder / f"{time.monotonic_ns()}.fluxboard")
    machine = ["--machine", "other.local"] if count > 1 else []
    words = ["board", "render", str(board), "--seed", "1", "--no-cache", *machine]
    path = os.pathsep.join([str(folder), os.environ["PATH"]])
    own = {"OPENBLAS_NUM_THREADS": "1", "FLUX_LOCAL_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT), "PATH": path}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "app", *words], env=os.environ | own, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        (script := Path(place) / "ssh").write_text(SSH.format(python=sys.executable))
        script.chmod(0o755)
        render(Path(place), 1)  # what is read from the disk for the first time
        taken = [(render(Path(place), 1), render(Path(place), 2)) for _ in range(rounds)]
    for count, runs in enumerate(zip(*taken, strict=True), 1):
        for what, seconds in zip(("clock", "processor"), zip(*runs, strict=True), strict=True):
            print(f"{count} {what}: {median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f})")
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
