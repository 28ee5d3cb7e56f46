"""Why a worker died: its log, its exit, and what to tell about it."""

import contextlib
import os
import re
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from mlx_model.errors import SMALLER, tell_device
from mlx_model.events import Failed

from ..base import paths
from ..base.faults import say_plainly

LIMIT = 1_000_000  # bytes of log, then it becomes worker.1.log
TAIL = 20_000
DIED = "The process that runs the model died."
# What C++ says of an exception that nobody caught: libc++abi on macOS, libstdc++ on Linux.
CAUSE = re.compile(r"(?:uncaught exception of type [\w:]+: |what\(\):\s+)(.+)")
AGAIN = "A new one is started. If it happens again, look into the log: {log}"


def log_file() -> Path:
    return paths.home() / "logs" / "worker.log"


def open_log(log: Path) -> tuple[str, int]:
    """Where a new process's words go, and where in that file they will begin.

    Nowhere on a disk that is full or read-only, which is no reason not to paint.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > LIMIT:
            log.replace(log.with_suffix(".1.log"))
        with open(log, "ab") as handle:
            return str(log), handle.tell()
    except OSError:
        return os.devnull, 0


def add_to_log(log: Path, text: str) -> None:
    """Add a line of our own, where there is room for it."""
    with contextlib.suppress(OSError), open(log, "a", encoding="utf-8") as handle:
        handle.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}\n")


def read_tail(log: Path, start: int) -> str:
    """The last that was written since `start`."""
    try:
        with open(log, "rb") as handle:
            handle.seek(max(start, log.stat().st_size - TAIL))
            return handle.read(TAIL).decode("utf-8", "replace")
    except OSError:
        return ""


def explain_death(reason: str, number: int | None, said: str) -> Failed:
    """What to tell. `reason`: why we ended it, or ""; `number`: the signal that ended it or None; `said`: its log."""
    cause = CAUSE.findall(said)
    told = tell_device(cause[-1]) if cause else None
    if told:
        told.message = f"{DIED} {told.message}"
        return Failed.of(told)
    if not reason and number == getattr(signal, "SIGKILL", None):
        return Failed("WorkerDied", f"{DIED} The system ended it, as it does when memory runs out.", SMALLER)
    what = reason or (f"It said: {_short(cause[-1])}" if cause else _exit(number) or _last_line(said))
    return Failed("WorkerDied", f"{DIED} {what}".strip(), AGAIN.format(log=log_file()))


def _exit(number: int | None) -> str:
    if number is None:
        return ""
    try:
        return f"It was ended by {signal.Signals(number).name}."
    except ValueError:
        return f"It was ended by signal {number}."


def _last_line(said: str) -> str:
    """Where Python itself ended it: the error of the traceback."""
    lines = [line for line in said.splitlines() if line.strip()]
    words = say_plainly(lines[-1]) if lines else ""
    return f"It said: {_short(words)}" if words else ""


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


def command_line(*arguments: str) -> list[str]:
    """The command line of `flux-local ARGUMENTS`."""
    if getattr(sys, "frozen", False):  # the command line is a program of its own there, beside the window's
        return [str(Path(sys.executable).with_name("flux-local")), *arguments]
    # -P: a folder called app where the person happens to stand must not be taken for ours.
    return [sys.executable, "-P", "-m", "app", *arguments]


def environment() -> dict[str, str]:
    """The environment for it: this one, with the packages found where this process found them."""
    if getattr(sys, "frozen", False):
        return dict(os.environ)
    here, given = str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{given}" if given else here}
