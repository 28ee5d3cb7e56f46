"""The queue page: what runs, what waits, what is over, and why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QPixmap, QShowEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QProgressBar,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from ...base.words import say_count, say_duration, say_left, say_stage
from ...engine.engine import Engine
from ...engine.jobs import JobState
from ..document.pixmaps import read
from ..kit import icons
from ..kit.lazy_column import LazyColumn
from ..kit.measures import TIGHT, WIDE
from ..kit.menus import Entry, offer_menu
from ..kit.theme import theme
from ..kit.turns import OnceATurn
from ..kit.widgets import Empty, OneLine, bar, button, fill_page, icon_button, label, set_tone
from ..kit.words import in_window, model_title

WORKER = {
    "stopped": "", "starting": "Starting the model's process", "ready": "Ready", "busy": "Working",
    "restarting": "The model's process ended and is being started again",
    "failed": "The model's process ended too often: the queue is paused",
}  # fmt: skip
THUMB, ROW = QSize(96, 60), 84  # px: of a picture; the usual height of a row


@dataclass(frozen=True)
class Names:
    """What a job is called: why its picture is not in its board though it is done, "" where it is; what its panel is
    called now; the title of its board where that is not the one that is shown; whether its panel can be shown.
    """

    trouble: Callable[[str], str] = lambda job_id: ""
    number_of: Callable[[JobState], str] = lambda job: job.job.label
    board_of: Callable[[JobState], str] = lambda job: ""
    has_panel: Callable[[JobState], bool] = lambda job: False


class JobRow(QFrame):
    """One job: preview, what it makes, how far it is, and the button that stops or repeats it."""

    cancel = Signal(str)
    again = Signal(str)
    earlier = Signal(str)
    panel_wanted = Signal(str)

    def __init__(self, job: JobState, names: Names):
        super().__init__()
        self.setObjectName("card")
        self.id, self._names, self._job = job.id, names, job
        self._shown: tuple[str | None, int] | None = None
        self.picture = label()
        self.picture.setFixedSize(THUMB)
        self.picture.setObjectName("thumb")
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.title = label(name="subheading")
        self.prompt = OneLine(tone="muted")
        self.words = label(tone="muted", wrap=True)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("Progress")
        self.stop = icon_button("Cancel this job", "close", act=lambda: self.cancel.emit(self.id))
        self.retry = button("Try Again", lambda: self.again.emit(self.id), "again")
        self.next = button("Next", lambda: self.earlier.emit(self.id), kind="quiet")
        self.next.setToolTip("Run this one next")
        self._lay_out()
        self.show_job(job)
        offer_menu(self, lambda _: self.list_entries())

    def list_entries(self) -> list[Entry]:
        """What can be done with it, as its buttons do."""
        panel = Entry("Show Panel", lambda: self.panel_wanted.emit(self.id), self._names.has_panel(self._job))
        acts = ((self.next, "Run Next"), (self.retry, "Try Again"), (self.stop, "Cancel"))
        offered = [Entry(words, one.click, one.isEnabled()) for one, words in acts if not one.isHidden()]
        return [*([panel] if self._job.job.panel else []), *offered]

    def _lay_out(self) -> None:
        words = QVBoxLayout()
        words.setSpacing(TIGHT)
        words.addStretch(1)
        head = QHBoxLayout()
        head.setSpacing(WIDE)
        head.addWidget(self.title)
        head.addWidget(self.prompt, 1)
        words.addLayout(head)
        words.addWidget(self.words)
        words.addWidget(self.progress)
        words.addStretch(1)
        box = QHBoxLayout(self)
        box.setContentsMargins(WIDE, WIDE, WIDE, WIDE)
        box.setSpacing(WIDE)
        box.addWidget(self.picture)
        box.addLayout(words, 1)
        for one in (self.next, self.retry, self.stop):
            box.addWidget(one, 0, Qt.AlignmentFlag.AlignVCenter)

    def show_job(self, job: JobState) -> None:
        """Bring the row up to date."""
        self._job = job
        self.title.setText(f"Panel {self._names.number_of(job)}" if job.job.panel else job.job.label)
        words, board = " ".join((job.job.words or job.job.request.prompt).split()), self._names.board_of(job)
        self.prompt.setText(f"on “{board}” · {words}" if board else words)
        trouble = self._names.trouble(job.id) if job.state == "done" else ""
        self.words.setText(trouble or job_words(job))
        set_tone(self.words, "danger" if trouble or job.state == "failed" else "muted")
        running = job.state == "running"
        self.progress.setVisible(running)
        self.progress.setRange(0, job.total if running and job.total else 0)
        self.progress.setValue(job.step)
        self.stop.setVisible(not job.over)
        self.stop.setEnabled(not job.cancelling)
        self.retry.setVisible(job.state in ("failed", "cancelled") and bool(job.job.panel or job.job.lesson))
        self.next.setVisible(job.state == "waiting")
        self._show_picture(job.preview if job.job.lesson or job.job.draft else job.result or job.preview, job.step)

    def _show_picture(self, path: str | None, step: int) -> None:
        if (path, step) == self._shown:
            return
        pixmap = QPixmap.fromImage(read(path, 2 * THUMB.width())) if path else QPixmap()
        if not pixmap.isNull():
            self._shown = (path, step)
            smooth = Qt.TransformationMode.SmoothTransformation
            self.picture.setPixmap(pixmap.scaled(THUMB, Qt.AspectRatioMode.KeepAspectRatio, smooth))
        elif self._shown is None:  # there is no picture yet: say so by a sign, not by a hole
            self.picture.setPixmap(icons.pixmap("picture", 24, theme.colours.muted))


def job_words(job: JobState) -> str:
    """How a job stands, in one line."""
    if job.state == "running":
        return "Stopping" if job.cancelling else _say_running(job)
    if job.state == "failed":
        return f"{job.reason} {in_window(job.hint)}".strip()
    if job.state == "done" and job.job.lesson:
        return f"{model_title(job.job.request.model)} knows @{job.job.lesson.name} now"
    if job.state == "done" and job.job.draft:
        return f"The words are written out, in {say_duration(job.seconds)}"
    if job.state == "done":
        done = _join(f"Done in {say_duration(job.seconds)}", _say_model(job), f"seed {job.seed}")
        return "\n".join([done, *job.notes])  # such as: a picture was used at a smaller size
    return "Cancelled" if job.state == "cancelled" else _join("Waiting", _say_model(job))


def _say_running(job: JobState) -> str:
    """Such as "Step 2 of 4 · 12 s left · FLUX.2 klein 4B"; while nothing is counted, what it is at."""
    if not job.total:
        return _join(say_stage(job.stage or "starting"), _say_model(job))
    return _join(f"Step {job.step} of {job.total}", say_left(job.left), _say_model(job))


def _say_model(job: JobState) -> str:
    """Words are written by another one than the request's."""
    return "" if job.job.draft else model_title(job.job.request.model)


def _join(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


class QueueView(QWidget):
    """Follows the engine. `again` names the job that is wanted once more."""

    again = Signal(str)
    panel_wanted = Signal(str)  # job id

    def __init__(self, engine: Engine, names: Names = Names(), parent: QWidget | None = None):
        super().__init__(parent)
        self.engine, self._names = engine, names
        self._jobs: dict[str, JobState] = {}  # all of them, in the order shown
        self.state = label(tone="muted")
        self.pause = button("Pause", self._pause, "pause")
        self.cancel_all = button("Cancel All", engine.cancel_all, "stop")
        self.free = button("Free Memory", engine.unload, kind="quiet")
        self.free.setToolTip("Unload the model; the next job loads it again")
        self.body = QWidget()
        self._lay_out()
        engine.changed.connect(OnceATurn(self, self._refresh_shown).ask)
        engine.happened.connect(self._update)
        engine.worker_state.connect(self._worker)
        self.refresh()

    def _lay_out(self) -> None:
        top = bar(label("Queue", name="heading"), self.state, None, self.free, self.pause, self.cancel_all)
        self.column = LazyColumn("Jobs", self._make, ROW, 8)
        self.stack = QStackedLayout(self.body)
        self.stack.addWidget(self.column)
        self.stack.addWidget(
            Empty(
                "queue",
                "Nothing to do",
                "Panels that you render wait here, run one after the other, and become takes of their panels. You can "
                "go on working meanwhile.",
            )
        )
        fill_page(self, top, self.body)

    def refresh(self) -> None:
        """Rows for all jobs: the running one, the waiting ones, then the finished ones, newest first."""
        jobs = leave_last(self.engine.jobs())
        ordered = [job for job in jobs if not job.over] + [job for job in reversed(jobs) if job.over]
        self._jobs = {job.id: job for job in ordered}
        self.column.show_keys(list(self._jobs))
        for job_id, row in self.rows.items():
            row.show_job(self._jobs[job_id])
        self.stack.setCurrentIndex(0 if ordered else 1)
        waiting = sum(job.state == "waiting" for job in ordered)
        alive = any(not job.over for job in ordered)
        self.cancel_all.setEnabled(alive)
        self.state.setText(f"{say_count(waiting, 'job')} waiting" if waiting else "")
        self._show_pause()

    def _refresh_shown(self) -> None:
        if self.isVisible():
            self.refresh()

    def showEvent(self, event: QShowEvent) -> None:
        """Jobs came and went, and panels may have other numbers since."""
        self.refresh()

    @property
    def rows(self) -> dict[str, JobRow]:
        """Those that exist, by their jobs: near what is seen."""
        return {key: row for key, row in self.column.made.items() if isinstance(row, JobRow)}

    def _make(self, job_id: str) -> JobRow:
        row = JobRow(self._jobs[job_id], self._names)
        row.cancel.connect(self.engine.cancel)
        row.again.connect(self._repeat)
        row.panel_wanted.connect(self.panel_wanted)
        row.earlier.connect(lambda job_id: self.engine.move(job_id, 0))
        return row

    def _update(self, job_id: str) -> None:
        job = self.engine.job(job_id)
        if job and job_id in self._jobs:
            self._jobs[job_id] = job
            if row := self.rows.get(job_id):
                row.show_job(job)

    def _repeat(self, job_id: str) -> None:
        job = self.engine.job(job_id)
        if job and (job.job.panel or job.job.lesson):
            self.again.emit(job_id)

    def _pause(self) -> None:
        if self.engine.paused:
            self.engine.resume()
        else:
            self.engine.pause()
        self._show_pause()

    def _show_pause(self) -> None:
        text = "Continue" if self.engine.paused else "Pause"
        if self.pause.text() != text:
            self.pause.setText(text)
            self.pause.setAccessibleName(text)
            self.pause.setToolTip("Start waiting jobs again" if self.engine.paused else "Start no further job")

    def _worker(self, state: str) -> None:
        if state in ("restarting", "failed", "starting"):
            self.state.setText(WORKER[state])
        else:
            self.refresh()


def leave_last(jobs: Sequence[JobState]) -> list[JobState]:
    """Of what live mode makes again and again only what is at work, or the last that is over."""
    alive = {job.job.slot for job in jobs if not job.over}
    last = {job.job.slot: job.id for job in jobs if job.over}
    return [
        job for job in jobs
        if not job.over or not job.job.slot or (job.job.slot not in alive and last[job.job.slot] == job.id)
    ]  # fmt: skip
