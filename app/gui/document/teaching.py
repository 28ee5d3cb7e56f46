"""Lessons of the cast: members who are taught to a model in the queue, and what becomes of what was learned."""

import contextlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from mlx_model.errors import FluxLocalError, Hint
from mlx_model.request import Request

from ...base import paths
from ...base.words import say_count
from ...board import commands
from ...board.data import Board, Taught, new_id
from ...engine.jobs import Job, JobState, Lesson
from ...models import library, loras
from .runs import Runs

Change = Callable[[Board], Board]
Say = Callable[[str, Hint], object]
CURVE, CACHE = "loss.png", "cache"  # in the folder of a lesson, see app/training/session.py


class Teaching(QObject):
    """Knows the last lesson of each member of this board since it was opened."""

    changed = Signal(str)  # member id

    def __init__(self, runs: Runs, board: Callable[[], Board], do: Callable[[str, Change], bool], say: Say):
        """`board` gives what the board is now, `do` changes it under a name for undo, `say` says what happened."""
        super().__init__(runs)
        self.runs, self._board, self._do, self._say = runs, board, do, say
        self._jobs: dict[str, str] = {}  # member id -> job id
        runs.finished.connect(self._finish)
        runs.engine.happened.connect(self._tell)

    def state(self, member_id: str) -> JobState | None:
        """How the member's last lesson stands."""
        return self.runs.engine.job(self._jobs.get(member_id, ""))

    def start(self, member_id: str, files: Sequence[str], captions: Sequence[str], model: str, steps: int) -> None:
        """Put a lesson in line; `model` by its name. Raises FluxLocalError for a model that is gone, Refused."""
        name, lesson_id = self._board().member(member_id).name, new_id()
        out = paths.home() / "lessons" / f"{name}-{lesson_id}"
        lesson = Lesson(name, tuple(files), str(out), tuple(captions), steps, member=member_id)
        words = f"{say_count(len(files), 'picture')}, {say_count(steps, 'step')}"
        request, folder = Request(model, words), library.resolve(model)
        self._submit(Job(lesson_id, f"Teach @{name}", request, str(folder), words=words, lesson=lesson))

    def again(self, job: Job) -> None:
        """Go on with a lesson that was stopped or failed, from its last checkpoint."""
        self._submit(replace(job, id=new_id()))

    def stop(self, member_id: str) -> None:
        """The last checkpoint is kept: see again."""
        self.runs.engine.cancel(self._jobs.get(member_id, ""))

    def forget(self, member_id: str, taught: Taught) -> None:
        """The member's picture speaks again; the LoRA stays in the library."""
        self._do("Forget What Was Taught", lambda board: _without(board, member_id, taught.model))

    def _submit(self, job: Job) -> None:
        if job.lesson:
            self._jobs[job.lesson.member] = job.id
            self.runs.submit(job)
            self.changed.emit(job.lesson.member)

    def _tell(self, job_id: str, _: object) -> None:
        member = next((member for member, known in self._jobs.items() if known == job_id), None)
        if member:
            self.changed.emit(member)

    def _finish(self, state: JobState) -> None:
        lesson = state.job.lesson
        if lesson is None:
            return
        if state.state == "done" and state.result:
            self._keep(lesson, state)
        elif state.state == "failed":
            self._say(f"@{lesson.name} was not taught: {state.reason}", state.hint)
        elif state.state == "cancelled":
            self._say(f"Teaching @{lesson.name} was stopped.", "Try Again in the queue goes on.")
        self.changed.emit(lesson.member)

    def _keep(self, lesson: Lesson, state: JobState) -> None:
        """Into the library, and to the member where it is still there. The run's folder stays, but for its cache."""
        try:
            lora = loras.add(Path(state.result or "")).stem
        except FluxLocalError as error:
            where = f"It was learned, and is in {state.result}."
            self._say(f"@{lesson.name}: {error.message}", where)
            return
        with contextlib.suppress(OSError):
            shutil.rmtree(Path(lesson.out) / CACHE)
        if any(member.id == lesson.member for member in self._board().cast):
            taught = Taught(state.job.request.model, lora, lesson.name)
            self._do("Teach", partial(_with, member_id=lesson.member, taught=taught))


def curve_of(state: JobState) -> str:
    """The file of a lesson's curve of the loss; it may not be there yet."""
    return str(Path(state.job.lesson.out) / CURVE) if state.job.lesson else ""


def _without(board: Board, member_id: str, model: str) -> Board:
    kept = tuple(one for one in board.member(member_id).taught if one.model != model)
    return commands.set_member(board, member_id, taught=kept)


def _with(board: Board, member_id: str, taught: Taught) -> Board:
    """A model knows a member by its last lesson."""
    kept = _without(board, member_id, taught.model).member(member_id).taught
    return commands.set_member(board, member_id, taught=(*kept, taught))
