"""Live mode: what is changed renders by itself, a draft of few steps at once, the full picture when one pauses."""

import dataclasses
from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer, Signal

from mlx_model.errors import FluxLocalError

from ...engine.jobs import Job, JobState
from .runs import Runs

PAUSE = 250  # ms without a change before a draft; a hand that types has shorter gaps
REST = 1000  # ms without a change before the full picture
LEAST, SHARE, MOST = 2, 3, 8  # steps of a draft: a third of the full number, within these


def choose_steps(full: int) -> int:
    """Of a draft, where the full picture takes so many."""
    return min(full, max(LEAST, min(MOST, full // SHARE)))


class Live(QObject):
    """Runs `make_job` after each touch, in one slot of the engine's queue: the latest replaces what runs.

    It holds the latest result, which is what is seen; `is_draft` says which kind that is.
    """

    preview = Signal(str)  # path of a step's picture, while there is no result to see
    result = Signal(object)  # JobState that is done
    refused = Signal(str, object)  # message, Hint: why this can't run as it stands; the next change may mend it

    def __init__(self, runs: Runs, make_job: Callable[[], Job], parent: QObject | None = None):
        super().__init__(parent)
        self._runs, self._make_job = runs, make_job
        self._pause = QTimer(self, singleShot=True, interval=PAUSE)
        self._pause.timeout.connect(self._run_draft)
        self._rest = QTimer(self, singleShot=True, interval=REST)
        self._rest.timeout.connect(self._run_full)
        self._job: str | None = None
        self._making = False
        self._drafting = False  # what runs is a draft, with a full picture to come
        self.on = self.is_draft = False
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
        self.settle()

    def settle(self) -> None:
        """What is seen is enough: nothing more runs until the next change."""
        self._pause.stop()
        self._rest.stop()
        job, self._job, self._drafting = self._job, None, False
        if job:
            self._runs.engine.cancel(job)

    def forget(self) -> None:
        self.latest = None

    def keep(self) -> JobState | None:
        """What is seen, for a take; nothing more runs for it."""
        job, self.latest = self.latest, None
        self.settle()
        return job

    def touch(self) -> None:
        """Something changed."""
        if self.on:
            self._pause.start()
            self._rest.start()

    def _run_draft(self) -> None:
        job = self._make()
        if job is None:
            self._rest.stop()
            return
        full = job.request.steps or 0
        steps = choose_steps(full)
        self._drafting = steps < full
        if self._drafting:
            draft = dataclasses.replace(job.request, steps=steps, step_cache=None)
            job = dataclasses.replace(job, request=draft)
        else:
            self._rest.stop()
        self._submit(job)

    def _run_full(self) -> None:
        """Once the draft is there."""
        if self._job or self._pause.isActive() or self._making:
            return
        if job := self._make():
            self._drafting = False
            self._submit(job)

    def _make(self) -> Job | None:
        """Events go on meanwhile, where pictures are put together: what changes then comes behind this."""
        if self._making:
            self.touch()
            return None
        self._making = True
        try:
            job = self._make_job()
        except FluxLocalError as error:
            self.refused.emit(error.message, error.hint)
            return None
        finally:
            self._making = False
        self.refused.emit("", "")
        return job if self.on else None

    def _submit(self, job: Job) -> None:
        job = dataclasses.replace(job, slot=f"live {job.panel}", previews=not self._drafting)
        self._job = job.id
        self._runs.submit(job)

    def _event(self, job_id: str, _event: object) -> None:
        state = self._runs.engine.job(job_id)
        if job_id == self._job and state and state.preview and self.latest is None:
            self.preview.emit(state.preview)

    def _finish(self, job: JobState) -> None:
        if job.id != self._job:
            return
        self._job, self.is_draft = None, self._drafting
        if job.state == "done":
            self.latest = job
            self.result.emit(job)
            if self.is_draft and not self._rest.isActive():
                self._run_full()
        elif job.state == "failed":
            self._rest.stop()
            self.refused.emit(job.reason, job.hint)
