"""The window's engine without a window: it lives in the main thread, and any other thread can have jobs run by it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QObject, Qt, QTimer, Signal

from mlx_model.errors import FluxLocalError, Hint, RequestError

from ..engine.engine import Engine
from ..engine.jobs import Job, JobState

MOST_WAITING = 100  # jobs
LOOK = 200  # ms between two looks whether the system has asked for the end


@dataclass(frozen=True)
class Made:
    """A finished picture or text: the bytes of its file, PNG or UTF-8, and how it was made."""

    data: bytes
    state: JobState


class JobEnded(FluxLocalError):
    """A job that made no picture: its `reason` is that of the run."""

    exit_code = 5

    def __init__(self, message: str, hint: Hint = "", cancelled: bool = False, asked: bool = False):
        super().__init__(message, hint)
        self.cancelled, self.asked = cancelled, asked  # whether what was asked for can't be done


class Runner(QObject):
    """Runs jobs of other threads; made and living in the thread of the event loop."""

    _submitted = Signal(object, object)  # Job, Future
    _dropped = Signal(str)
    _done = Signal()

    def __init__(self, engine: Engine, parent: QObject | None = None):
        super().__init__(parent)
        self.engine = engine
        self._waiting: dict[str, Future[Made]] = {}
        queued = Qt.ConnectionType.QueuedConnection
        self._submitted.connect(self._submit, queued)
        self._dropped.connect(engine.cancel, queued)
        self._done.connect(self._quit, queued)
        engine.finished.connect(self._finish)

    # from any thread

    def run(self, job: Job) -> Future[Made]:
        """The picture, once it is there; fails with JobEnded, or RequestError where too much waits already."""
        future: Future[Made] = Future()
        self._submitted.emit(job, future)
        return future

    def cancel(self, job_id: str) -> None:
        """Nobody waits for it any more."""
        self._dropped.emit(job_id)

    def quit(self) -> None:
        """End the event loop."""
        self._done.emit()

    # in the loop's thread

    def _submit(self, job: Job, future: Future[Made]) -> None:
        if self.engine.busy() >= MOST_WAITING:
            future.set_exception(RequestError("Too much is waiting already.", "Try again later."))
            return
        self._waiting[job.id] = future
        self.engine.submit(job)

    def _finish(self, job_id: str) -> None:
        future, state = self._waiting.pop(job_id, None), self.engine.job(job_id)
        if future is None:
            return
        try:
            future.set_result(_take(state))
        except (FluxLocalError, OSError) as error:
            future.set_exception(error)

    def _quit(self) -> None:
        if application := QCoreApplication.instance():
            application.quit()


def _take(state: JobState | None) -> Made:
    """Raises JobEnded, OSError."""
    if state is None or state.state == "cancelled":
        raise JobEnded(state.reason if state and state.reason else "It was cancelled.", cancelled=True)
    if state.state != "done" or not state.result:
        raise JobEnded(state.reason or "The run made no picture.", state.hint, asked=state.code == "RequestError")
    return Made(Path(state.result).read_bytes(), state)  # the engine lets old files go


def serve(work: Callable[[Runner], None]) -> None:
    """Run `work(runner)` in a thread beside the engine until it returns, or until the system asks for the end."""
    application = QCoreApplication.instance() or QCoreApplication(["flux-local"])
    engine = Engine()
    runner = Runner(engine)
    failed: list[BaseException] = []

    def work_and_quit() -> None:
        try:
            work(runner)
        except BaseException as error:
            failed.append(error)
        runner.quit()

    before = {number: signal.signal(number, lambda *_: runner.quit()) for number in (signal.SIGINT, signal.SIGTERM)}
    awake = QTimer(interval=LOOK)  # Qt's loop runs no Python, which would never see a signal
    awake.timeout.connect(lambda: None)
    awake.start()
    threading.Thread(target=work_and_quit, daemon=True).start()
    try:
        application.exec()
    finally:
        engine.shutdown()
        for number, handler in before.items():
            signal.signal(number, handler)
    if failed:
        raise failed[0]
