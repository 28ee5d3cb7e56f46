"""Live mode: what is changed renders by itself, a small draft of few steps, then the full picture when one pauses."""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

from PySide6.QtCore import QObject, QTimer, Signal

from mlx_model.errors import FluxLocalError
from mlx_model.geometry import Size
from mlx_model.request import Request, demand
from mlx_model.specs import ModelSpec

from ...board.data import new_id
from ...engine.jobs import Job, JobState
from .runs import Runs

PAUSE = 250  # ms without a change before a draft; a hand that types has shorter gaps
REST = 1000  # ms without a change before the full picture
LEAST, SHARE, MOST = 2, 3, 8  # steps of a draft: a third of the full number, within these
AREA = 512 * 512  # pixels of a draft, at most


def choose_steps(full: int) -> int:
    """Of a draft, where the full picture takes so many."""
    return min(full, max(LEAST, min(MOST, full // SHARE)))


def choose_draft_size(full: Size, spec: ModelSpec) -> Size:
    """The same shape in few pixels, in sides that the model makes; a picture of few pixels as it is."""
    factor = math.sqrt(AREA / full.area)
    if factor >= 1:
        return full
    return Size(*(max(spec.min_side, int(side * factor) // spec.size_multiple * spec.size_multiple) for side in full))


def make_draft(full: Request, spec: ModelSpec) -> Request:
    """A checked request with fewer steps and pixels. Its prompt, and references that a model keeps, are those of the
    full picture, so that neither is computed for both. Others go through every step: they are seen smaller too.
    """
    size, seen = choose_draft_size(full.size, spec), full.reference_size
    if full.references and spec.takes_reference_size and not spec.reference_bank and max(spec.reference_pixels) > AREA:
        seen = AREA
    return dataclasses.replace(
        full,
        width=size.width,
        height=size.height,
        steps=choose_steps(demand(full.steps)),
        step_cache=None,
        reference_size=seen,
    )


class Made(NamedTuple):
    """A job, and the row of the model that it is for."""

    job: Job
    spec: ModelSpec


class Live(QObject):
    """Runs `make_job` after each touch, in one slot of the engine's queue: the latest replaces what runs.

    It holds the latest result, which is what is seen; `is_draft` says which kind that is. No draft becomes a take.
    """

    preview = Signal(str)  # path of a step's picture: of a draft, which is newer than what is seen, or of the first
    result = Signal(object)  # JobState that is done
    refused = Signal(str, object)  # message, Hint: why this can't run as it stands; the next change may mend it

    def __init__(self, runs: Runs, make_job: Callable[[], Made], parent: QObject | None = None):
        super().__init__(parent)
        self._runs, self._make_job = runs, make_job
        self._pause = QTimer(self, singleShot=True, interval=PAUSE)
        self._pause.timeout.connect(self._run_draft)
        self._rest = QTimer(self, singleShot=True, interval=REST)
        self._rest.timeout.connect(self._run_full)
        self._job: str | None = None
        self._making = False
        self._drafting = False  # what runs is a draft, with a full picture to come
        self._ahead: Job | None = None  # the full picture of the draft that runs
        self._full: Job | None = None  # of the draft that is seen
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
        """What is seen, for a take; nothing more runs for it. None for a draft, whose full picture becomes the take."""
        seen, self.latest = self.latest, None
        if seen and self.is_draft:
            self._keep_full()
            seen = None
        self.settle()
        return seen

    def _keep_full(self) -> None:
        """In the queue, as any other run of the panel: what is changed from now on doesn't replace it."""
        if self._job and not self._drafting:
            self._runs.engine.release(self._job)
            self._job = None
        elif self._full:
            self._runs.submit(self._full)

    def touch(self) -> None:
        """Something changed."""
        if self.on:
            self._pause.start()
            self._rest.start()

    def _run_draft(self) -> None:
        made = self._make()
        if made is None:
            self._rest.stop()
            return
        job, draft = made.job, make_draft(made.job.request, made.spec)
        self._drafting = draft != job.request
        if not self._drafting:
            self._rest.stop()
        self._ahead = dataclasses.replace(job, id=new_id())
        self._submit(dataclasses.replace(job, request=draft))

    def _run_full(self) -> None:
        """Once the draft is there."""
        if self._job or self._pause.isActive() or self._making:
            return
        if made := self._make():
            self._drafting = False
            self._submit(made.job)

    def _make(self) -> Made | None:
        """Events go on meanwhile, where pictures are put together: what changes then comes behind this."""
        if self._making:
            self.touch()
            return None
        self._making = True
        try:
            made = self._make_job()
        except FluxLocalError as error:
            self.refused.emit(error.message, error.hint)
            return None
        finally:
            self._making = False
        self.refused.emit("", "")
        return made if self.on else None

    def _submit(self, job: Job) -> None:
        job = dataclasses.replace(job, slot=f"live {job.panel}")
        self._job = job.id
        self._runs.submit(job)

    def _event(self, job_id: str, _event: object) -> None:
        state = self._runs.engine.job(job_id)
        if job_id == self._job and state and state.preview and (self._drafting or self.latest is None):
            self.preview.emit(state.preview)

    def _finish(self, job: JobState) -> None:
        if job.id != self._job:
            return
        self._job, self.is_draft = None, self._drafting
        if job.state == "done":
            self.latest, self._full = job, self._ahead
            self.result.emit(job)
            if self.is_draft and not self._rest.isActive():
                self._run_full()
        elif job.state == "failed":
            self._rest.stop()
            self.refused.emit(job.reason, job.hint)
