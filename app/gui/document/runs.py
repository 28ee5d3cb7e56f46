"""What the engine does for the panels of a board: jobs in, panel states out, finished pictures handed on."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QObject, Signal

from mlx_model.errors import Hint

from ...board.data import Board, Panel
from ...board.history import Batch
from ...engine.engine import Engine
from ...engine.jobs import Job, JobState

State = Literal["empty", "queued", "running", "done", "failed"]


@dataclass(frozen=True)
class PanelState:
    """How a panel stands. `left` seconds are predicted; `preview` is a file; reason and hint say what failed."""

    state: State = "empty"
    step: int = 0
    total: int = 0
    left: float | None = None
    preview: str | None = None
    stage: str = ""
    reason: str = ""
    hint: Hint = ""
    job: str | None = None
    misfit: bool = False  # refused before it ran, because of its settings: the same again is no help
    held: bool = False  # its picture is made, and waits for a disk that takes it
    waiting: int = 0  # jobs of this panel that wait behind the running one
    paused: bool = False  # the queue is: what waits goes on waiting

    @property
    def busy(self) -> bool:
        return self.state in ("queued", "running")


@dataclass(frozen=True)
class Asked:
    """What is wanted of a panel: how many takes, and whether also where it is predicted not to fit."""

    count: int = 1
    anyway: bool = False
    batch: Batch | None = None  # what it was asked for with


def gather(label: str, panels: Sequence[str], count: int = 1) -> Batch | None:
    """What is asked for at once; None for a single picture."""
    return Batch(label, frozenset(panels)) if len(panels) * count > 1 else None


class Runs(QObject):
    """Knows which job belongs to which panel of this board, and the last failure of each panel."""

    panel_changed = Signal(str)  # panel id
    finished = Signal(object)  # JobState of a job that was kept
    lacking = Signal(str)  # name of what is wanted and not on this disk: the window offers its download

    def __init__(self, engine: Engine, parent: QObject | None = None):
        super().__init__(parent)
        self.engine = engine
        self._panels: dict[str, str] = {}  # job id -> panel id, "" for a lesson of the cast
        self._jobs: dict[str, list[str]] = {}  # the same the other way round, in the order submitted
        self._failed: dict[str, PanelState] = {}  # panel id -> its last failure
        self._behind: dict[str, tuple[str, Asked]] = {}  # panel id -> the panel whose next picture it waits for
        self._there: tuple[Board | None, set[str]] = None, set()  # the board asked about last, what it has
        self._paused = engine.paused
        engine.happened.connect(self._event)
        engine.finished.connect(self._finish)
        engine.changed.connect(self._tell_pause)

    def submit(self, job: Job) -> None:
        """Put the job of a panel in line; an older failure of the panel is forgotten."""
        if job.panel or job.lesson:
            self._own(job.id, job.panel or "")
        if job.panel:
            self._failed.pop(job.panel, None)
        self.engine.submit(job)
        self._tell(job.panel)

    def makes(self, panel: str) -> bool:
        """Whether a job of the panel is not over that makes a take."""
        jobs = (self.engine.job(job_id) for job_id in self._jobs.get(panel, ()))
        return any(job and not job.over and not job.job.slot for job in jobs)

    def line_up(self, panels: Iterable[Panel], asked: Asked, gets_take: Callable[[str], bool]) -> list[str]:
        """Those that can be rendered now; one that continues a panel named before, or one of which a picture is made,
        waits for that. It is told by take_behind, and given up where there is none.
        """
        now: list[str] = []
        for panel in panels:
            origin = panel.source.panel
            if origin and origin != panel.id and (origin in now or origin in self._behind or gets_take(origin)):
                self._behind[panel.id] = origin, asked
                self._tell(panel.id)
            else:
                now.append(panel.id)
        return now

    def take_behind(self, origin: str) -> dict[str, Asked]:
        """The panels that waited for a picture of this one, and no longer do, with what is wanted of them."""
        ready = {panel: asked for panel, (other, asked) in self._behind.items() if other == origin}
        for panel in ready:
            del self._behind[panel]
        return ready

    def give_up_behind(self, origin: str) -> None:
        """One picture of this panel less: where no other is on its way nothing waits for it."""
        if not self.makes(origin):
            self.drop_behind(origin)

    def drop_behind(self, origin: str) -> None:
        """There will be no picture of this panel: nothing waits for it, nor for those that did."""
        line = [origin]
        for panel in line:  # which grows
            line += self.take_behind(panel)
        for panel in line[1:]:
            self._tell(panel)

    def fail(self, panel: str, reason: str, hint: Hint, misfit: bool = False, held: bool = False) -> bool:
        """Record why a panel could not even be put in line, or its picture not be stored; whether that is new."""
        if not held:
            self.give_up_behind(panel)
        state = PanelState("failed", reason=reason, hint=hint, misfit=misfit, held=held)
        if self._failed.get(panel) == state:
            return False
        self._failed[panel] = state
        self._tell(panel)
        return True

    def has_failed(self, panel: str) -> bool:
        """Whether its last failure still stands."""
        return panel in self._failed

    def forget(self, panel: str) -> None:
        """Forget the panel's failure."""
        if self._failed.pop(panel, None):
            self._tell(panel)

    def cancel(self, panel: str) -> None:
        """Cancel every job of the panel and of those that wait for its picture, and forget its failure."""
        self._failed.pop(panel, None)
        self._behind.pop(panel, None)
        self.drop_behind(panel)
        for job_id in list(self._jobs.get(panel, ())):
            self.engine.cancel(job_id)
        self._tell(panel)

    def state(self, panel: Panel) -> PanelState:
        """Running before queued before failed before what the board itself says."""
        jobs = [self.engine.job(job_id) for job_id in self._jobs.get(panel.id, ())]
        alive = [job for job in jobs if job and not job.over]
        running = next((job for job in alive if job.state == "running"), None)
        if running:
            return _running(running, len(alive) - 1)
        if alive:
            return PanelState("queued", job=alive[0].id, waiting=len(alive) - 1, paused=self.engine.paused)
        if panel.id in self._behind:
            return PanelState("queued", paused=self.engine.paused)
        return self._failed.get(panel.id) or PanelState("done" if panel.take else "empty")

    def busy(self) -> int:
        """How many jobs of this board are not over, or come once others are."""
        return len(self._panels) + len(self._behind)

    def adopt(self, other: "Runs") -> None:
        """The jobs of another board, whose panels are those of this one too."""
        for job_id, panel in other._panels.items():
            self._own(job_id, panel)
        self._behind |= other._behind
        other._panels, other._jobs, other._behind = {}, {}, {}

    def owns(self, board: Board, job: JobState) -> bool:
        """Whether the job is one of this board."""
        if self._there[0] is not board:
            self._there = board, {one.id for one in board.cast} | {one.id for one in board.panels()}
        return (job.job.lesson.member if job.job.lesson else job.job.panel) in self._there[1]

    def detach(self) -> None:
        """Hear no more of the engine: the window shows another board now."""
        self.engine.happened.disconnect(self._event)
        self.engine.finished.disconnect(self._finish)
        self.engine.changed.disconnect(self._tell_pause)

    def _tell_pause(self) -> None:
        """To every panel that waits, once when the queue is paused or goes on."""
        if self._paused != self.engine.paused:
            self._paused = self.engine.paused
            for panel in {*self._panels.values(), *self._behind}:
                self._tell(panel)

    def _event(self, job_id: str, event: object) -> None:
        job = self.engine.job(job_id)
        if job and not job.over:  # the end is told by _finish, once it is known what becomes of it
            self._tell(self._panels.get(job_id))

    def _finish(self, job_id: str) -> None:
        panel, job = self._disown(job_id), self.engine.job(job_id)
        if panel is None:
            return
        if job and job.state == "failed" and panel:
            self._failed[panel] = PanelState("failed", reason=job.reason, hint=job.hint, job=job.id)
        if job:  # else it is forgotten already, as so many ended at once
            self.finished.emit(job)
        if job is None or (job.state != "done" and not job.job.slot):
            self.give_up_behind(panel)
        self._tell(panel)

    def _own(self, job_id: str, panel: str) -> None:
        self._panels[job_id] = panel
        self._jobs.setdefault(panel, []).append(job_id)

    def _disown(self, job_id: str) -> str | None:
        """The panel of a job that is over; None where it is not of this board."""
        panel = self._panels.pop(job_id, None)
        if panel is not None:
            self._jobs[panel].remove(job_id)
            if not self._jobs[panel]:
                del self._jobs[panel]
        return panel

    def _tell(self, panel: str | None) -> None:
        if panel:
            self.panel_changed.emit(panel)


def _running(job: JobState, waiting: int) -> PanelState:
    return PanelState("running", job.step, job.total, job.left, job.preview, job.stage, job=job.id, waiting=waiting)
