"""Jobs, their states, and the queue of them: one runs, others wait, the last finished ones are remembered."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mlx_model.errors import Hint
from mlx_model.events import Cancelled, Done, Event, Failed, Note, Preview, Stage, Step
from mlx_model.request import Request


@dataclass(frozen=True)
class Lesson:
    """A character to be learned from `pictures`, paths of files: `name` calls it. What is made lies in `out`.

    `captions` say what else each picture shows; None: what lies beside it. `steps` None: by the number of pictures;
    `sample_every` None: four times in the run. `member` is that of the cast who is taught.

    So that the model keeps what it knew, it learns beside them from `kept` pictures that it makes first (None: by the
    number of pictures), half of them of `about` ("a dog"), and from the set `prior`, a path; `prior_weight` is theirs.
    """

    name: str
    pictures: tuple[str, ...]
    out: str
    captions: tuple[str, ...] | None = None
    steps: int | None = None
    rank: int = 16
    size: int | None = None
    sample_every: int | None = None
    seed: int = 0
    member: str = ""
    kept: int | None = None
    about: str = ""
    prior: str = ""
    prior_weight: float = 1.0


@dataclass(frozen=True)
class Draft:
    """Words to be written out by the language model in `folder`; see mlx_model/writing.py. The result is a text."""

    words: str
    folder: str
    references: tuple[str, ...] = ()
    changes: bool = False
    seed: int = 0
    as_json: bool = False
    lines: tuple[str, ...] = ()  # of a scene: each is written out, `words` is what they share, the result is JSON


State = Literal["waiting", "running", "done", "failed", "cancelled"]
OVER: tuple[State, ...] = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Job:
    """One picture to make. `request` names its pictures by path and carries no pixels.

    `model` is a model's name or the path of its folder. Of two jobs with the same `slot` the newer replaces the older,
    waiting or running, and stands in front of the queue: somebody is looking at it (live mode).
    """

    id: str
    label: str
    request: Request
    model: str
    panel: str | None = None
    slot: str | None = None
    previews: bool = True
    instruction: str | None = None  # what panel_job was given besides the panel's own prompt
    words: str = ""  # the artist's, as they were when the job was made
    start: str | None = None  # the id of the take that it changes
    origin: object = None  # what whoever made the job will want to know of it; the engine does not look
    lesson: Lesson | None = None  # in place of a picture: the request has the model and the words alone
    draft: Draft | None = None  # in place of a picture, too
    anyway: bool = False  # also where this machine's memory is predicted not to do
    batch: object = None  # what it was asked for with, at once; the engine does not look here either


@dataclass(frozen=True)
class JobState:
    """A job and how far it is.

    `reason` and `hint` say why it failed or was cancelled; `preview` and `result` are files of the job, which go away
    with it: keep a copy.
    """

    job: Job
    state: State = "waiting"
    stage: str = ""  # "text", "references", "denoise", "decode" while it runs
    step: int = 0
    total: int = 0
    left: float | None = None  # seconds, predicted
    cancelling: bool = False  # asked to stop, and will within a step
    preview: str | None = None
    result: str | None = None
    seed: int | None = None
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    code: str = ""  # of the error, see mlx_model/errors.py
    reason: str = ""
    hint: Hint = ""

    @property
    def id(self) -> str:
        return self.job.id

    @property
    def over(self) -> bool:
        return self.state in OVER

    def after(self, event: Event) -> JobState:
        """The state once `event` has happened."""
        change = dataclasses.replace
        match event:
            case Stage():
                counted = {"total": event.total, "step": 0} if event.total else {}
                return change(self, stage=event.name, **counted)
            case Step():
                return change(self, step=event.step, total=event.total, left=event.left)
            case Preview():
                return change(self, preview=event.path)
            case Note():
                return change(self, notes=(*self.notes, event.text))
            case Done():
                return change(self, state="done", result=event.path, seed=event.seed, seconds=event.seconds, left=0.0)
            case Failed():
                return change(self, state="failed", code=event.code, reason=event.message, hint=event.what_to_do)
            case Cancelled():
                return change(self, state="cancelled", reason=event.reason)
        return self


KEPT = 50  # finished jobs that are remembered


class Queue:
    """The order of things: one job runs, others wait, the last finished ones are remembered.

    `waiting` and `finished` are in order, by the job's id: none is looked for among the others.
    """

    def __init__(self, kept: int = KEPT):
        self.waiting: OrderedDict[str, JobState] = OrderedDict()
        self.running: JobState | None = None
        self.finished: OrderedDict[str, JobState] = OrderedDict()
        self.kept = kept
        self._slots: dict[str, str] = {}  # slot -> the last job that was put into it

    def __iter__(self) -> Iterator[JobState]:
        """Running, waiting in order, finished with the newest last."""
        yield from (self.running,) if self.running else ()
        yield from self.waiting.values()
        yield from self.finished.values()

    def find(self, job_id: str) -> JobState | None:
        if self.running and self.running.id == job_id:
            return self.running
        return self.waiting.get(job_id) or self.finished.get(job_id)

    def count_alive(self) -> int:
        """How many jobs are not over."""
        return len(self.waiting) + (self.running is not None)

    def add(self, job: Job) -> list[str]:
        """Put `job` in line; the ids of waiting jobs that it replaced, which are cancelled now.

        Raises ValueError for an id that is known already.
        """
        if self.find(job.id):
            raise ValueError(f"job {job.id} was submitted twice")
        self.waiting[job.id] = JobState(job)
        if not job.slot:
            return []
        self.waiting.move_to_end(job.id, last=False)
        before, self._slots[job.slot] = self._slots.get(job.slot, ""), job.id
        return [before] if self.drop(before, "replaced by a newer one") else []

    def release(self, job_id: str) -> bool:
        """Take a job that is not over out of its slot: no newer one replaces it; False for any other."""
        state = self.find(job_id)
        if state is None or state.over:
            return False
        self._slots.pop(state.job.slot or "", None)
        state = dataclasses.replace(state, job=dataclasses.replace(state.job, slot=None))
        if job_id in self.waiting:
            self.waiting[job_id] = state
        else:
            self.running = state
        return True

    def drop(self, job_id: str, reason: str = "") -> bool:
        """Cancel a waiting job; False where no such job waits."""
        return self.end_waiting(job_id, Cancelled(reason))

    def end_waiting(self, job_id: str, event: Failed | Cancelled) -> bool:
        """End a job that never ran; False where no such job waits."""
        state = self.waiting.pop(job_id, None)
        if state:
            self._finish(state.after(event))
        return state is not None

    def list_alike(self, job: Job) -> Iterator[Job]:
        """The pictures that wait for the model of `job`."""
        waiting = (state.job for state in self.waiting.values())
        return (other for other in waiting if other.model == job.model and not (other.lesson or other.draft))

    def start_next(self) -> Job | None:
        """The first waiting job, running now; None where one runs already or none waits."""
        if self.running or not self.waiting:
            return None
        _, first = self.waiting.popitem(last=False)
        self.running = dataclasses.replace(first, state="running")
        return first.job

    def apply(self, job_id: str, event: Event) -> bool:
        """Let `event` happen to the running job; False for any other job, whose late events mean nothing."""
        if self.running is None or self.running.id != job_id:
            return False
        state = self.running.after(event)
        self.running = None if state.over else state
        if state.over:
            self._finish(state)
        return True

    def cancelling(self) -> None:
        """Mark the running job as asked to stop."""
        if self.running:
            self.running = dataclasses.replace(self.running, cancelling=True)

    def move(self, job_id: str, position: int) -> bool:
        """Put a waiting job at `position` among the waiting; False where no such job waits."""
        if job_id not in self.waiting:
            return False
        others = [other for other in self.waiting if other != job_id]
        self.waiting.move_to_end(job_id)
        for other in others[max(0, position) :]:
            self.waiting.move_to_end(other)
        return True

    def _finish(self, state: JobState) -> None:
        self.finished[state.id] = state
        while len(self.finished) > self.kept:
            self.finished.popitem(last=False)
