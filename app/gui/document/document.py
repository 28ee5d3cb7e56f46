"""The board that the window shows: what every view reads and changes. A view-model: no widgets.

Views read `board`, call `do` with a new board made by app.commands, and redraw on `changed`. Pictures go in with
import_picture and come out with pixmap. Panels are rendered by the engine; what is finished becomes a take of them.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QImage, QPixmap

from mlx_model.errors import FluxLocalError, Hint, Refused, WillNotFit

from ...board import commands
from ...board.data import Board, Panel, Picture, Take, new_id, no_longer
from ...board.history import History
from ...board.naming import anchor, render_order, renumber
from ...board.panel_job import choose_size, further_seed, instruct, name_model, panel_job
from ...board.seen import look
from ...engine.engine import Engine
from ...engine.jobs import Job, JobState
from ...fluxboard.file import COPY_HINT, BoardFile
from ...models import library
from ...models.library import Model
from ..kit.turns import pace
from ..kit.words import in_window, is_in_trash, say_moved
from .forecast import PanelModel, forecast
from .pixmaps import Pixmaps, is_small, read
from .runs import Asked, PanelState, Runs
from .storing import AGAIN, SAVING, Keeping, ReadPicture, Storing, Troubles, in_background, keep_picture, read_picture
from .teaching import Teaching

AUTOSAVE, JOURNAL = 1500, 200  # ms after a change: it is saved (the product promises 2 s); what was typed is noted
READ_ONLY_HINT = "File > Save a Copy makes a board that keeps them."
TOLD = 3  # refusals of many at once
SMALL_MASK = 512 * 512  # pixels: stored within a frame or so, without a thread


class Document(QObject):
    """One open board: its file, its history, its runs."""

    changed = Signal(object, object)  # old board, new board
    dirty_changed = Signal(bool)
    state_changed = Signal(str)  # panel id: its job
    picture_ready = Signal(str)  # sha256: a pixmap that was asked for has come
    preview_read = Signal(int, QImage)  # by read_preview; null where the file can't be read
    message, noted = Signal(str, object), Signal(str, object)  # trouble, news: what happened; what to do, a Hint
    lasting = Signal(str, object)  # the same, of what stays so until `mended` says the words again
    mended = Signal(str)

    def __init__(self, file: BoardFile, engine: Engine, parent: QObject | None = None):
        super().__init__(parent)
        self.file, self.engine, self.history = file, engine, History(file.board)
        self.previews = True
        self.model: str | None = None  # the default model: for panels and boards that name none
        self.watched: str | None = None  # the panel whose view is open: it tells its failures itself
        self._dirty = self._closed = self._told_read_only = False
        self.troubles, self._place = Troubles(self), file.path
        self.troubles.lasting.connect(self.lasting)
        self.troubles.mended.connect(self.mended)
        self._index: tuple[Board | None, dict[str, Panel]] = (None, {})
        self._pixmaps = Pixmaps(self.picture_path, self)
        self._pixmaps.ready.connect(self.picture_ready)
        self._storing = Storing(self)
        self.compose = partial(self._storing.compose, file)
        self._keeping = Keeping(file, self._storing, self.number_of, self)
        self._keeping.made.connect(self._take_made)
        self._keeping.stored.connect(self.troubles.mend)
        self._keeping.refused.connect(self._take_refused)
        self._keeping.broken.connect(self.message)
        self._keeping.settled.connect(self.state_changed)
        self.runs = Runs(engine, self)
        self.runs.panel_changed.connect(self.state_changed)
        self.runs.finished.connect(self._job_finished)
        self._keeping.lost.connect(self.runs.give_up_behind)
        self.teaching = Teaching(self.runs, self.history, self.do, self.save, self.message.emit, self.picture_path)
        self._autosave = QTimer(self, singleShot=True, interval=AUTOSAVE)
        self._autosave.timeout.connect(self.save)
        self._again = QTimer(self, singleShot=True, interval=AGAIN)
        self._again.timeout.connect(self.save)
        self._journal = QTimer(self, singleShot=True, interval=JOURNAL)
        self._journal.timeout.connect(lambda: self.file.note(self.board))

    @property
    def board(self) -> Board:
        return self.history.board

    def panel(self, panel_id: str) -> Panel:
        """A panel of the board, found without looking through all of them. Raises Refused where it is gone."""
        if self._index[0] is not self.board:
            self._index = (self.board, {panel.id: panel for panel in self.board.panels()})
        if panel_id not in self._index[1]:
            raise no_longer("panel")
        return self._index[1][panel_id]

    @property
    def dirty(self) -> bool:
        return self._dirty

    def store_again(self, panel_id: str) -> bool:
        """Try once more to store pictures of the panel that the disk refused; False where there is none."""
        held = any(job.job.panel == panel_id for job, _ in self._keeping.held)
        if held:
            self._keeping.retry()
        return held

    def ensure_saved(self) -> bool:
        """Whether everything is on the disk, after one more attempt where it is not."""
        self._keeping.retry()
        self.settle()
        if self._dirty:
            self.save()
        return not (self._dirty or self._keeping.held or self.file.is_gone)

    def hand_over(self, copy: "Document") -> None:
        """What was not stored, and what is still being made, goes on in a copy of this board."""
        copy.runs.adopt(self.runs)
        for job, data in self._keeping.give_up():
            copy.keep(job, data)

    def look_around(self) -> None:
        """Tell where the board is now, where somebody moved or removed it meanwhile."""
        if self.file.is_gone:
            self.troubles.tell(SAVING, f"{self._place.name} is no longer there.", COPY_HINT)
        else:
            self._tell_moved()

    # Changes

    def do(self, label: str, change: Board | Callable[[Board], Board], merge: str | None = None) -> bool:
        """Make a board, or what `change` makes of the present one, the present one; `label` is what undo calls it.

        Changes with the same `merge` are one step. What a command of the board refuses is told here, and nowhere else;
        False then.
        """
        old = self.board
        try:
            board = change(old) if callable(change) else change
        except Refused as error:
            self.tell(error)
            return False
        if board != old:
            self.history.do(label, board, merge)
            self._now(old)
        return True

    def tell(self, error: FluxLocalError) -> None:
        self.message.emit(error.message, error.hint)

    def undo(self) -> None:
        self.settle()
        if self.history.can_undo:
            old = self.board
            self.history.undo()
            self._now(old)

    def redo(self) -> None:
        self.settle()
        if self.history.can_redo:
            old = self.board
            self.history.redo()
            self._now(old)

    def _now(self, old: Board) -> None:
        if self.board is not old:
            self._set_dirty(True)
            self._journal.start()
            self.changed.emit(old, self.board)

    # The file

    def save(self) -> bool:
        """Write the board; False (and a message) where that failed, which is tried again after the next change.

        A board that is open for reading only is never written; its changes live until it is closed, which is told once.
        """
        self._autosave.stop()
        self._journal.stop()
        if self.file.read_only:
            self._tell_read_only()
            return False
        try:
            self.file.save(self.board)
        except FluxLocalError as error:
            self.troubles.tell(SAVING, error.message, error.hint)
            self._again.start()
            return False
        self.troubles.mend(SAVING)
        self._tell_moved()
        self._set_dirty(False)
        return True

    def _tell_moved(self) -> None:
        """A folder that was moved is followed, which nobody may notice who threw it away."""
        if self.file.path != self._place:
            self._place = self.file.path
            (self.message if is_in_trash(self._place) else self.noted).emit(*say_moved(self._place))

    def _tell_read_only(self) -> None:
        if not self._told_read_only:
            self._told_read_only = True
            self.message.emit(f"{self.file.path.name} is open for reading only: changes are not saved.", READ_ONLY_HINT)

    def close(self, save: bool = True) -> None:
        """Save what is unsaved and let go of the file and the threads; does nothing the second time."""
        if self._closed:
            return
        self._closed = True
        if save:
            self._keeping.retry()
        self._storing.close()
        self._keeping.stop()
        if self._dirty and save:
            self.save()
        for timer in (self._autosave, self._journal, self._again):
            timer.stop()
        self.troubles.end()
        self.runs.detach()
        self._pixmaps.close()
        self.file.close()

    def list_unused_pictures(self) -> list[Path]:
        """Files of pictures that neither the board nor anything that undo or a restore point reaches uses."""
        self.settle()
        self.save()
        return self.file.list_unused_blobs(self.history.boards())

    def move_unused_to_trash(self) -> None:
        """Raises BoardError where the Trash won't take one."""
        self.file.move_unused_to_trash(self.history.boards())

    def _set_dirty(self, dirty: bool) -> None:
        if dirty and not self._autosave.isActive():
            self._autosave.start()
        if dirty != self._dirty:
            self._dirty = dirty
            self.dirty_changed.emit(dirty)

    # Pictures

    def picture_path(self, sha256: str) -> Path:
        """Where the file of a picture of this board is. Raises BoardError where it is missing."""
        return self.file.picture_path(sha256)

    def pixmap(self, sha256: str, max_side: int = 0) -> QPixmap:
        """The picture no larger than `max_side` device pixels (0: as it is).

        Null, or another size, where it is still being decoded: `picture_ready` tells when to ask again.
        """
        return self._pixmaps.get(sha256, max_side)

    def pixmap_now(self, sha256: str, max_side: int = 0) -> QPixmap:
        """The picture, waited for."""
        return self._pixmaps.get_now(sha256, max_side)

    def import_picture(self, source: str | Path | QImage | bytes, name: str = "") -> Picture | None:
        """Take a picture into the board's blobs, as it is; None (and a message) where it is refused."""
        return self._tell_read(read_picture(self.file, source, name))

    def import_pictures(self, sources: Sequence[str | Path | QImage], name: str = "") -> list[Picture]:
        """Those of `sources` that are accepted, read by other threads while the window goes on painting.

        Keys and clicks wait until it is done. The board may have changed when this returns: read it afterwards.
        """
        read = in_background(lambda one: read_picture(self.file, one, name), sources)
        if len(read) < len(sources):
            self.noted.emit(f"Stopped after {len(read)} of {len(sources)} pictures.", "Undo takes them away too.")
        self._tell_read(*read)
        return [taken.picture for taken in read if taken.picture]

    def store(self, pixels: np.ndarray, name: str, then: Callable[[Picture | None], None]) -> None:
        """Keep pixels as put_picture does, by another thread where that takes a while.

        `then` gets the picture, or None where it was refused, which is told.
        """
        task = partial(keep_picture, self.file, pixels, name)
        self._storing.add(task, lambda read: then(self._tell_read(read)), short=pixels.size <= SMALL_MASK)

    def read_preview(self, path: str, number: int) -> None:
        """`preview_read` brings the picture of a file and `number`; another thread reads where that takes a while."""
        self._storing.add(partial(read, path, 0), partial(self.preview_read.emit, number), is_small(path))

    def settle(self) -> None:
        """Wait for the pictures that are being stored: what is asked for next is about them too."""
        self._storing.settle()

    def _tell_read(self, *read: ReadPicture) -> Picture | None:
        for message, hint, good in ReadPicture.list_messages(read):
            (self.noted if good else self.message).emit(message, hint)
        return read[0].picture if read else None

    # Rendering

    def panel_state(self, panel_id: str) -> PanelState:
        """How the panel stands; the state "empty" for one that is gone."""
        try:
            state = self.runs.state(self.panel(panel_id))
        except Refused:
            return PanelState()
        if state.reason:
            state = dataclasses.replace(state, reason=renumber(state.reason, self.board))
        kept = self._keeping.latest(panel_id)
        if state.busy or kept is None:
            return state
        return PanelState("running", kept.step, kept.total, preview=kept.preview, stage="decode")

    def render(self, panel_ids: Iterable[str], anyway: bool = False, count: int = 1) -> None:
        """Put the panels in line, each for `count` takes with other seeds, which from a locked one on count up; what
        can't run fails at once, its reason in its state. One that continues a panel whose picture is about to be
        another one comes once that is there. `anyway`: also what is predicted not to fit this machine's memory."""
        order = map(self.panel, render_order(self.board, panel_ids))
        now = self.runs.line_up(order, Asked(count, anyway), self._gets_take)
        self._submit_all([(panel_id, number, None) for panel_id in now for number in range(count)], anyway)

    def _gets_take(self, panel_id: str) -> bool:
        return self.runs.makes(panel_id) or self._keeping.latest(panel_id) is not None

    def render_outdated(self) -> None:
        """What is out of date, in turn."""
        self.render([one for one in look(self.board).outdated if not self.panel_state(one).busy])

    def cancel(self, panel_id: str) -> None:
        """Cancel the panel's jobs; also dismisses its failure."""
        self.runs.cancel(panel_id)

    def continue_from(self, panel_id: str) -> str:
        """Add a panel behind this one whose first reference is this one's take; its id, "" where that was refused."""
        self.settle()
        new = new_id()
        return new if self.do("Continue from Panel", lambda b: commands.continue_from(b, panel_id, new)) else ""

    def apply_to_all(self, panel_ids: Iterable[str], instruction: str) -> None:
        """Edit the current take of each panel by one instruction; each gets a new take and keeps its own prompt."""
        self._submit_all([(panel_id, 0, instruction) for panel_id in panel_ids])

    def _submit_all(self, wanted: Sequence[tuple[str, int, str | None]], anyway: bool = False) -> None:
        """(panel id, number of several, instruction) each. A model is opened once; of refusals the first are told."""
        find, refused = cache(library.find), 0
        for panel_id, number, instruction in pace(wanted):
            self.settle()
            try:
                self.runs.submit(self._make_job(panel_id, number, instruction, anyway, find))
            except FluxLocalError as error:
                refused += 1
                self._refuse(panel_id, error, refused <= TOLD)
        if refused > TOLD:
            self.message.emit(f"{refused - TOLD} more can't be rendered.", "The panels say why.")

    def _make_job(
        self, panel_id: str, number: int, instruction: str | None, anyway: bool, find: Callable[[str | None], Model]
    ) -> Job:
        panel = instruct(self.panel(panel_id), instruction)
        choice = choose_size(self.board, panel, find(name_model(self.board, panel, self.model)))
        job = panel_job(self.board, panel_id, self.picture_path, choice, seed=further_seed(panel, number),
                        instruction=instruction, compose=self.compose)  # fmt: skip
        needed = forecast(self.board, panel, PanelModel(choice.model))
        if needed.fits is False and not anyway:  # rather than let the machine run out of memory
            raise WillNotFit(needed.text, needed.hint)
        return dataclasses.replace(job, previews=self.previews, anyway=anyway)

    def _refuse(self, panel_id: str, error: FluxLocalError, told: bool) -> None:
        reason = anchor(error.message, self.board)
        self.runs.fail(panel_id, reason, error.hint, isinstance(error, WillNotFit))
        if told and panel_id != self.watched:
            self.message.emit(error.message, error.hint)

    def _job_finished(self, job: JobState) -> None:
        if job.state == "failed" and job.job.panel and job.job.panel != self.watched:
            self.message.emit(f"Panel {self.number_of(job)}: {job.reason}", job.hint)
        elif job.state == "done" and job.result and job.job.panel and not job.job.slot:
            self.keep(job)

    def number_of(self, job: JobState) -> str:
        """What the job's panel is called now; as it was where it is gone."""
        return look(self.board).numbers.get(job.job.panel or "", job.job.label)

    def keep(self, job: JobState, data: bytes | None = None) -> None:
        """The finished picture (`data`, or the job's file) becomes a take in every state that undo and redo reach."""
        self._keeping.keep(job, data)

    def _take_made(self, panel_id: str, take: Take) -> None:
        self.runs.forget(panel_id)
        old, seen = self.board, self.watched in (None, panel_id)  # what changes out of sight is no step to undo
        if (self.history.show_take if seen else self.history.add_take)(panel_id, take):
            self._now(old)
        if not self._gets_take(panel_id):  # else a later picture replaces this one
            for behind, asked in self.runs.take_behind(panel_id).items():
                self.render([behind], asked.anyway, asked.count)

    def _take_refused(self, job: JobState, message: str, hint: Hint) -> None:
        """Told once, and shown at the panel until it is stored."""
        text = f"The picture of panel {self.number_of(job)} is made, but not stored. {message}"
        hint = f"{in_window(hint)} It is held until then."
        if job.job.panel:
            self.runs.fail(job.job.panel, anchor(text, self.board), hint, held=True)
        self.troubles.tell(job.id, text, hint)
