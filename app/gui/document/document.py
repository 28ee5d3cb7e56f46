"""The board that the window shows: what every view reads and changes. A view-model: no widgets.

Views read `board`, call `do` with a new board made by app.commands, and redraw on `changed`. Pictures go in with
import_picture and come out with pixmap. Panels are rendered by the engine; what is finished becomes a take of them.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from pathlib import Path

from msgspec.structs import replace
from PySide6.QtCore import QObject, Signal

from mlx_model.errors import FluxLocalError, Hint, Refused, WillNotFit

from ...board import commands
from ...board.data import Take, new_id
from ...board.history import Batch
from ...board.naming import anchor, render_order, renumber
from ...board.panel_job import choose_size, further_seed, instruct, name_model, panel_job
from ...board.seen import look
from ...engine.engine import Engine
from ...engine.jobs import Job, JobState
from ...fluxboard.file import BoardFile
from ...models import library
from ...models.library import Model
from ..kit.turns import pace
from ..kit.words import in_window
from .forecast import PanelModel, forecast
from .open_board import OpenBoard
from .runs import Asked, PanelState, Runs, gather
from .storing import Keeping
from .teaching import Teaching

TOLD = 3  # refusals of many at once


class Document(OpenBoard):
    """One open board and what the engine does for it."""

    state_changed = Signal(str)  # panel id: its job

    def __init__(self, file: BoardFile, engine: Engine, parent: QObject | None = None):
        super().__init__(file, parent)
        self.engine = engine
        self.previews = True
        self.model: str | None = None  # the default model: for panels and boards that name none
        self._watched: str | None = None
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
        self._asked: dict[str, tuple[object, ...]] = {}  # by panel: what its last failure was asked with
        self.changed.connect(self.review)
        self.state_changed.connect(self.claims.review_soon)
        self.teaching = Teaching(self.runs, self.history, self.do, self.save, self.message.emit, self.picture_path)

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

    def close(self, save: bool = True) -> None:
        """See OpenBoard; what the disk refused so far is tried once more."""
        if self._closed:
            return
        if save:
            self._keeping.retry()
        self._storing.close()
        self._keeping.stop()
        super().close(save)
        self.runs.detach()

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
        order = render_order(self.board, panel_ids)
        self._line_up(order, Asked(count, anyway, gather("Render", order, count)))

    def _line_up(self, order: Iterable[str], asked: Asked) -> None:
        now = self.runs.line_up(map(self.panel, order), asked, self._gets_take)
        self._submit_all([(panel_id, number, None) for panel_id in now for number in range(asked.count)], asked)

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
        ids = list(panel_ids)
        self._submit_all([(one, 0, instruction) for one in ids], Asked(batch=gather("Apply to All", ids)))

    def _submit_all(self, wanted: Sequence[tuple[str, int, str | None]], asked: Asked) -> None:
        """(panel id, number of several, instruction) each. A model is opened once; of refusals the first are told."""
        find, refused = cache(library.find), list[str]()
        for panel_id, number, instruction in pace(wanted):
            self.settle()
            try:
                self.runs.submit(self._make_job(panel_id, number, instruction, asked, find))
            except FluxLocalError as error:
                refused.append(panel_id)
                self._refuse(panel_id, error, len(refused) <= TOLD)
        if len(refused) > TOLD:
            more = f"{len(refused) - TOLD} more can't be rendered."
            self.say(more, "The panels say why.", lambda: any(map(self.runs.has_failed, refused[TOLD:])))

    def _make_job(
        self, panel_id: str, number: int, instruction: str | None, asked: Asked, find: Callable[[str | None], Model]
    ) -> Job:
        panel = instruct(self.panel(panel_id), instruction)
        choice = choose_size(self.board, panel, find(name_model(self.board, panel, self.model)))
        job = panel_job(self.board, panel_id, self.picture_path, choice, seed=further_seed(panel, number),
                        instruction=instruction, compose=self.compose)  # fmt: skip
        needed = forecast(self.board, panel, PanelModel(choice.model))
        if needed.fits is False and not asked.anyway:  # rather than let the machine run out of memory
            raise WillNotFit(needed.text, needed.hint)
        return dataclasses.replace(job, previews=self.previews, anyway=asked.anyway, batch=asked.batch)

    def _refuse(self, panel_id: str, error: FluxLocalError, told: bool) -> None:
        reason = anchor(error.message, self.board)
        self.runs.fail(panel_id, reason, error.hint, isinstance(error, WillNotFit))
        self._note_asked(panel_id)
        if told and panel_id != self.watched:
            self._say_failed(panel_id, error.message, error.hint)

    def _say_failed(self, panel_id: str, text: str, hint: Hint) -> None:
        """As long as the failure stands at the panel, under the number that it is told with."""
        number = look(self.board).numbers.get(panel_id)
        self.say(text, hint, partial(self._fails_as, panel_id, number))

    def _fails_as(self, panel_id: str, number: str | None) -> bool:
        there = look(self.board).numbers.get(panel_id) == number is not None
        return there and panel_id != self.watched and self.runs.has_failed(panel_id)

    @property
    def watched(self) -> str | None:
        """The panel whose view is open: it tells its failures itself."""
        return self._watched

    @watched.setter
    def watched(self, panel_id: str | None) -> None:
        self._watched = panel_id
        self.claims.review()

    def _note_asked(self, panel_id: str) -> None:
        if panel_id in look(self.board).panels:
            self._asked[panel_id] = self._ask_of(panel_id)

    def _ask_of(self, panel_id: str) -> tuple[object, ...]:
        """What a run of the panel is made by: where that is another one now, the last failure says nothing of it."""
        board, panel = self.board, self.panel(panel_id)
        own = replace(panel, takes=(), current=None, action="", dialogue="", notes="", seconds=0.0)
        model, start = name_model(board, panel, self.model), look(board).find_start(panel)
        return own, start and start.id, model, board.cast, board.style, board.loras, board.aspect

    def review(self, *_: object) -> None:
        """Forget the failures of panels that would be made in another way now, or are gone."""
        there = look(self.board).panels if self._asked else {}
        for panel_id, asked in list(self._asked.items()):
            if panel_id not in there or self._ask_of(panel_id) != asked:
                del self._asked[panel_id]
                self.runs.forget(panel_id)
        self.claims.review()

    def forget_refusals(self) -> None:
        """What was refused, for want of a model perhaps: one has come."""
        for panel_id in [one for one in self._asked if not self.panel_state(one).job]:
            del self._asked[panel_id]
            self.runs.forget(panel_id)

    def _job_finished(self, job: JobState) -> None:
        panel_id = job.job.panel or ""
        if job.state == "failed" and panel_id:
            self._note_asked(panel_id)
            if panel_id != self.watched:
                self._say_failed(panel_id, f"Panel {self.number_of(job)}: {job.reason}", job.hint)
        elif job.state == "done" and job.result and job.job.panel and not job.job.slot:
            self.keep(job)

    def number_of(self, job: JobState) -> str:
        """What the job's panel is called now; as it was where it is gone."""
        return look(self.board).numbers.get(job.job.panel or "", job.job.label)

    def is_at(self, path: Path) -> bool:
        """Whether this is the board of that folder; one that is gone is of none."""
        try:
            return self.file.path == path
        except FluxLocalError:
            return False

    def keep(self, job: JobState, data: bytes | None = None) -> None:
        """The finished picture (`data`, or the job's file) becomes a take in every state that undo and redo reach."""
        self._keeping.keep(job, data)

    def _take_made(self, job: Job, take: Take) -> None:
        """What changes out of sight is no step to undo, unless it was asked for together with what is seen."""
        old, panel_id, batch = self.board, job.panel or "", job.batch if isinstance(job.batch, Batch) else None
        self.runs.forget(panel_id)
        mine = {panel_id, *(batch.panels if batch else ())}
        if self.watched is None or self.watched in mine or self.history.began(batch):
            there = self.history.show_take(panel_id, take, batch)
        else:
            there = self.history.add_take(panel_id, take)
        if there:
            self._now(old)
        if not self._gets_take(panel_id):  # else a later picture replaces this one
            for behind, asked in self.runs.take_behind(panel_id).items():
                self._line_up([behind], asked)

    def _take_refused(self, job: JobState, message: str, hint: Hint) -> None:
        """Told once, and shown at the panel until it is stored."""
        text = f"The picture of panel {self.number_of(job)} is made, but not stored. {message}"
        hint = f"{in_window(hint)} It is held until then."
        if job.job.panel:
            self._asked.pop(job.job.panel, None)
            self.runs.fail(job.job.panel, anchor(text, self.board), hint, held=True)
        self.troubles.tell(job.id, text, hint)
