"""Lessons of the cast: members who are taught to a model in the queue, and what becomes of what was learned.

HOME/lessons/NAME-ID/        the run: see app/training/session.py
HOME/lessons/NAME-ID.json    the lesson, from before it waits until the member has what was learned: what a stop, a quit
                             or a crash leaves is gone on with
"""

import contextlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
from PySide6.QtCore import QObject, Signal

from mlx_model import files
from mlx_model.errors import FluxLocalError, Hint
from mlx_model.foreign import parse_json
from mlx_model.request import Request

from ...base import paths
from ...base.words import say_count
from ...board import commands
from ...board.data import Board, Taught, new_id
from ...board.history import History
from ...engine.jobs import Job, JobState, Lesson
from ...models import library, loras
from .runs import Runs

Change = Callable[[Board], Board]
Say = Callable[[str, Hint], object]
CURVE, CACHE, LOG = "loss.png", "cache", "log.jsonl"  # in the folder of a lesson, see app/training/session.py
LESSONS = "lessons"  # in the home
LARGEST = 2**20  # bytes of a note


class Left(msgspec.Struct, frozen=True):
    """A lesson that has not come to its end, and the name of its model."""

    model: str
    lesson: Lesson


class Teaching(QObject):
    """Knows the last lesson of each member of this board since it was opened, and those that were left before."""

    changed = Signal(str)  # member id

    def __init__(
        self,
        runs: Runs,
        history: History,
        do: Callable[[str, Change], bool],
        save: Callable[[], bool],
        say: Say,
        place: Callable[[str], Path],
    ):
        """`history` has the board, `do` changes it under a name for undo, `save` writes it, `say` says what
        happened, `place` gives the file of a picture's sha256."""
        super().__init__(runs)
        self.runs, self._do, self._save, self._say, self._place = runs, do, save, say, place
        self._history = history
        self._jobs: dict[str, str] = {}  # member id -> job id
        self._left: dict[str, Left] | None = None  # by the lesson's folder, the newest last; None: not looked for yet
        runs.finished.connect(self._finish)
        runs.engine.happened.connect(self._tell)

    def state(self, member_id: str) -> JobState | None:
        """How the member's last lesson stands."""
        return self.runs.engine.job(self._jobs.get(member_id, ""))

    def start(self, member_id: str, pictures: Sequence[str], captions: Sequence[str], model: str, steps: int) -> None:
        """Put a lesson in line; `model` by its name.

        Raises FluxLocalError for a model that is gone or a disk that is full, Refused.
        """
        name, lesson_id = self._history.board.member(member_id).name, new_id()
        out = paths.home() / LESSONS / f"{name}-{lesson_id}"
        left = Left(model, Lesson(name, tuple(pictures), str(out), tuple(captions), steps, member=member_id))
        job = _make_job(left)
        _write(left)
        self._find_left()[left.lesson.out] = left
        self._submit(job)

    def left(self, member_id: str) -> Left | None:
        """The member's newest lesson that has not come to its end and is not in the queue."""
        alive = {job.job.lesson.out for job in self.runs.engine.jobs() if job.job.lesson and not job.over}
        mine = [one for one in self._find_left().values() if one.lesson.member == member_id]
        return next((one for one in reversed(mine) if one.lesson.out not in alive), None)

    def go_on(self, member_id: str) -> None:
        """Put the lesson that was left in line again, from its last checkpoint."""
        left = self.left(member_id)
        if left is None:
            return
        try:
            found = tuple(str(self._find_picture(Path(picture))) for picture in left.lesson.pictures)
            self._submit(_make_job(Left(left.model, replace(left.lesson, pictures=found))))
        except FluxLocalError as error:
            self._say(f"@{left.lesson.name}: {error.message}", error.hint)

    def discard(self, member_id: str) -> None:
        """The lesson that was left and all that it made."""
        if left := self.left(member_id):
            self._let_go(left.lesson)
            shutil.rmtree(left.lesson.out, ignore_errors=True)
            self.changed.emit(member_id)

    def again(self, job: Job) -> None:
        """Go on with a lesson that was stopped or failed, from its last checkpoint, unless it is in line already."""
        jobs = [state.job for state in self.runs.engine.jobs() if not state.over]
        if job.lesson and not any(one.lesson and one.lesson.out == job.lesson.out for one in jobs):
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
            self._say(f"Teaching @{lesson.name} was stopped.", "Go On beside the member goes on.")
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
        if any(member.id == lesson.member for member in self._history.board.cast):
            taught = Taught(state.job.request.model, lora, lesson.name)
            self._do("Teach", partial(_with, member_id=lesson.member, taught=taught))
            if not self._save():
                return
        self._let_go(lesson)

    def _find_left(self) -> dict[str, Left]:
        if self._left is None:
            self._left = {left.lesson.out: left for left in _read_left(paths.home() / LESSONS)}
        return self._left

    def _find_picture(self, path: Path) -> Path:
        """Where a picture of the board is now: its folder may have been moved. Raises BoardError where it is gone."""
        return path if path.is_file() else self._place(path.stem)

    def _let_go(self, lesson: Lesson) -> None:
        """The lesson has come to its end."""
        self._find_left().pop(lesson.out, None)
        with contextlib.suppress(OSError):
            _note_of(lesson).unlink(missing_ok=True)


def count_steps(lesson: Lesson) -> int:
    """How far a lesson has come, by its log."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, IndexError):
        *_, last = (Path(lesson.out) / LOG).read_bytes().splitlines()
        return int(parse_json(last)["step"])
    return 0


def _note_of(lesson: Lesson) -> Path:
    out = Path(lesson.out)
    return out.with_name(f"{out.name}.json")


def _write(left: Left) -> None:
    """Raises DiskFull, RequestError."""
    note = _note_of(left.lesson)
    try:
        files.make_folders(note.parent)
    except OSError as error:
        raise files.explain(error, note.parent) from error
    files.write_new(note, lambda stream: stream.write(msgspec.json.encode(left)), force=True)


def _read_left(folder: Path) -> list[Left]:
    """The lessons that are noted there, the newest last; what is damaged or speaks of another folder is passed over."""
    found = []
    for note in sorted(folder.glob("*.json"), key=_read_time):
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            left = msgspec.json.decode(note.read_bytes()[:LARGEST], type=Left)
            found += [left] if _note_of(left.lesson) == note else []
    return found


def _read_time(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _make_job(left: Left) -> Job:
    """Raises FluxLocalError for a model that is gone."""
    lesson, folder = left.lesson, library.resolve(left.model)
    words = f"{say_count(len(lesson.pictures), 'picture')}, {say_count(lesson.steps or 0, 'step')}"
    return Job(new_id(), f"Teach @{lesson.name}", Request(left.model, words), str(folder), words=words, lesson=lesson)


def curve_of(state: JobState) -> str:
    """The file of a lesson's curve of the loss; it may not be there yet."""
    return str(Path(state.job.lesson.out) / CURVE) if state.job.lesson else ""


def set_strength(board: Board, member_id: str, taught: Taught, strength: float) -> Board:
    """How strongly what was learned counts, where it stands among what others have."""
    known = board.member(member_id).taught
    changed = tuple(msgspec.structs.replace(one, strength=strength) if one == taught else one for one in known)
    return commands.set_member(board, member_id, taught=changed)


def _without(board: Board, member_id: str, model: str) -> Board:
    kept = tuple(one for one in board.member(member_id).taught if one.model != model)
    return commands.set_member(board, member_id, taught=kept)


def _with(board: Board, member_id: str, taught: Taught) -> Board:
    """A model knows a member by its last lesson."""
    kept = _without(board, member_id, taught.model).member(member_id).taught
    return commands.set_member(board, member_id, taught=(*kept, taught))
