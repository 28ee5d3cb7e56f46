"""Live mode: changes render by themselves shortly after they stop, the latest replaces what runs."""

import dataclasses
from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer, Signal

from mlx_model.errors import FluxLocalError

from ...engine.jobs import Job, JobState
from .runs import Runs

PAUSE = 350  # ms without a change; typing at a calm pace has shorter gaps


class Live(QObject):
    """Runs `make_job` after each touch, in one slot of the engine's queue, and holds the latest result."""

    preview = Signal(str)  # path of a step's picture
    result = Signal(object)  # JobState that is done
    refused = Signal(str, object)  # message, Hint: why this can't run as it stands; the next change may mend it

    def __init__(self, runs: Runs, make_job: Callable[[], Job], parent: QObject | None = None):
        super().__init__(parent)
        self._runs, self._make_job = runs, make_job
        self._timer = QTimer(self, singleShot=True, interval=PAUSE)
        self._timer.timeout.connect(self._run)
        self._job: str | None = None
        self.on = False
        self.latest: JobState | None = None
        runs.finished.connect(self._finish)
        runs.engine.happened.connect(self._event)

    def start(self) -> None:
        """Begin with what is there now."""
        self.on = True
        self.touch()

    def stop(self) -> None:
        """Nothing more runs by itself; the last result stays until `forget`."""
        self.on = False
        self._timer.stop()
        if self._job:
            self._runs.engine.cancel(self._job)
            self._job = None

    def forget(self) -> None:
        self.latest = None

    def touch(self) -> None:
        """Something changed."""
        if self.on:
            self._timer.start()

    def _run(self) -> None:
        try:
            job = self._make_job()
        except FluxLocalError as error:
            self.refused.emit(error.message, error.hint)
            return
        self.refused.emit("", "")
        job = dataclasses.replace(job, slot=f"live {job.panel}", previews=True)
        self._job = job.id
        self._runs.submit(job)

    def _event(self, job_id: str, _event: object) -> None:
        state = self._runs.engine.job(job_id)
        if job_id == self._job and state and state.preview:
            self.preview.emit(state.preview)

    def _finish(self, job: JobState) -> None:
        if job.id != self._job:
            return
        self._job = None
        if job.state == "done":
            self.latest = job
            self.result.emit(job)
        elif job.state == "failed":
            self.refused.emit(job.reason, job.hint)
