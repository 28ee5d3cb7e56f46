"""Tries a built app: python -m tests.bench.frozen dist/flux-local/flux-local

The command line edits a picture, the worker serves the engine, the window opens without a screen and ends politely.
Nothing of this checkout is used by the app: it runs in a folder of its own, with its own home.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from PySide6.QtCore import QCoreApplication, QEventLoop

from app.engine.engine import Engine, Patience
from app.engine.jobs import Job
from mlx_model.request import Request

EXAMPLE = Path(__file__).resolve().parents[2] / "assets" / "examples" / "dog.png"
LIMIT = 300  # seconds for each trial
OPEN = 30  # seconds that the window stays open


def edit(program: str, work: Path) -> None:
    """The command line makes a picture."""
    words = [program, "edit", str(EXAMPLE), "-p", "make it night", "-o", "night.png"]
    subprocess.run(words, cwd=work, check=True, timeout=LIMIT, capture_output=True)
    with Image.open(work / "night.png") as picture, Image.open(EXAMPLE) as given:
        assert picture.size == given.size


def worker(program: str, work: Path) -> None:
    """The engine runs a job in the app's worker."""
    application = QCoreApplication([])
    engine, end = (
        Engine(None, [program, "worker"], Patience(start=LIMIT), work / "worker.log"),
        time.monotonic() + LIMIT,
    )
    engine.submit(Job("one", "1A", Request("mini", "a beach", width=64, height=64, steps=4), "mini"))
    while not engine.job("one").over and time.monotonic() < end:
        application.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 50)
    state = engine.job("one")
    engine.shutdown()
    assert state.state == "done", f"{state.reason}\n{(work / 'worker.log').read_text()}"


def window(program: str, work: Path) -> None:
    """The window opens, says nothing, and ends with code 0 when it is asked to."""
    with subprocess.Popen([program], cwd=work, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(OPEN)
        assert process.poll() is None, process.stderr.read()
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=LIMIT)[1]
    assert (process.returncode, said) == (0, "")


def main() -> None:
    program = str(Path(sys.argv[1]).absolute())
    os.environ.update(QT_QPA_PLATFORM="offscreen")
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(FLUX_LOCAL_HOME=f"{folder}/home", HOME=folder)
        os.environ.pop("PYTHONPATH", None)
        for trial in (edit, worker, window):
            start = time.perf_counter()
            trial(program, Path(folder))
            print(f"{trial.__name__:8} good, {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
