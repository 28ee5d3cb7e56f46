"""Times of the worker behind the window, with the built-in model: python -m tests.bench.worker [runs]"""

import os
import signal
import statistics
import sys
import time

from PySide6.QtCore import QCoreApplication, QEventLoop

from app.engine.engine import Engine
from app.engine.jobs import Job
from mlx_model.request import Request

LIMIT = 120  # seconds


def wait(condition) -> float:
    """Let events happen until `condition()`; the seconds it took."""
    start = time.perf_counter()
    while not condition():
        QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 5)
        if time.perf_counter() - start > LIMIT:
            raise TimeoutError
    return time.perf_counter() - start


def job(name: str, steps: int = 16, previews: bool = False) -> Job:
    request = Request("mini", "a beach at night", width=128, height=128, steps=steps, seed=1)
    return Job(name, name, request, "mini", previews=previews)


def measure(number: int) -> dict[str, float]:
    """One fresh engine: everything once."""
    engine, found, moments = Engine(), {}, []
    engine.happened.connect(lambda *_: moments.append(time.perf_counter()))
    engine.start()
    found["worker ready"] = wait(lambda: engine.worker == "ready")
    for name, previews in (("first job", False), ("second job", False), ("with previews", True)):
        engine.submit(job(name.replace(" ", ""), previews=previews))
        found[name] = wait(lambda name=name: engine.job(name.replace(" ", "")).over)
    engine.submit(job("long", steps=200))
    wait(lambda: engine.job("long").step >= 3)
    found["a step"] = statistics.median(b - a for a, b in zip(moments[-3:], moments[-2:], strict=False))
    engine.cancel("long")
    found["cancel"] = wait(lambda: engine.job("long").over)
    engine.submit(job("killed", steps=200))
    wait(lambda: engine.job("killed").step >= 1)
    engine.submit(job("next"))
    os.kill(engine.worker_pid, signal.SIGKILL)
    found["death seen"] = wait(lambda: engine.job("killed").over)
    found["ready again"] = wait(lambda: engine.worker == "busy")
    wait(lambda: engine.job("next").over)
    start = time.perf_counter()
    engine.shutdown()
    found["shutdown"] = time.perf_counter() - start
    return found


def main() -> None:
    application = QCoreApplication([])
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    found = [measure(number) for number in range(runs)]
    for name in found[0]:
        times = sorted(run[name] for run in found)
        times = [1000 * seconds for seconds in times]
        print(f"{name:14} median {statistics.median(times):6.0f} ms, {times[0]:.0f} to {times[-1]:.0f}")
    del application


if __name__ == "__main__":
    main()
