"""Rows that benches print besides what they say in words; `python -m tests.bench` gathers them in one table.

A row is a line of Markdown: what, ours, the peer's in the same run, the ratio, the bar, whether it is met. Nothing here
fails: a bar that is missed is a number to look at, as on a loaded machine it may be the load's.
"""

import math
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAD = ("bench", "what", "ours", "peer", "ratio", "bar", "")
BEGIN = "| "
Bar = float | tuple[float, float]  # the most that the ratio may be, or the least and the most


def print_row(what: str, ours: float, peer: float | None = None, bar: Bar | None = None, unit: str = "") -> None:
    """`bar` is of ours / peer, or of ours where there is no peer."""
    ratio = ours if peer is None else ours / peer
    of_peer = "" if peer is None else f"{peer:.4g}{unit}"
    shown = "" if peer is None else f"{ratio:.3f}"
    print(BEGIN + " | ".join((what, f"{ours:.4g}{unit}", of_peer, shown, *_judge(ratio, bar))) + " |", flush=True)


def _judge(ratio: float, bar: Bar | None) -> tuple[str, str]:
    """The bar in words, and whether it is met: to three figures, as it is given."""
    if bar is None:
        return "", ""
    least, most = bar if isinstance(bar, tuple) else (-math.inf, bar)
    words = (
        f"{most:g}" if math.isinf(least) else f"{least:g} to {most:g}" if math.isfinite(most) else f"{least:g} or more"
    )
    return words, "met" if least <= round(ratio, 3) <= most else "MISSED"


def say_head() -> str:
    return BEGIN + " | ".join(HEAD) + " |\n" + "|---" * len(HEAD) + "|"


def call(program: str | Path, *words: str) -> str:
    """What a process of its own prints; benches measure in fresh ones. Ends the bench where that fails."""
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([str(program), *words], cwd=ROOT, env=here, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def find_peer(words: list[str]) -> Path | None:
    """The Python of the peers' environment, whose folder is the first of `words`."""
    return Path(words[0]) / "bin" / "python" if words else None
