"""The pen beside the words: a language model on this disk writes them out, beside the artist's own."""

import json
from pathlib import Path

from msgspec.structs import replace
from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QWidget

from mlx_model import memory
from mlx_model.errors import FluxLocalError
from mlx_model.events import Event, Stage
from mlx_model.request import Request

from ...base import settings
from ...base.words import say_count, say_stage
from ...board.data import Panel, Scene, new_id
from ...board.drafts import draft_scene, is_same, put_written, use_written, write_beside
from ...board.seen import look, see
from ...board.written import find_written, put_one
from ...engine.jobs import Draft, Job, JobState
from ...models import writers
from ..document.document import Document
from ..document.forecast import PanelModel, find_model
from ..document.panel_part import PanelPart
from ..kit.messages import ask, choose_folder
from ..kit.widgets import OneLine, button, describe, icon_button, set_tone

NAME, HINT = (
    "Write the words out",
    "A language model on this disk makes a long description of few words; your own stay beside it",
)
BUSY = "It is writing"
NOTHING = "No panel of this scene has a few words to write out."
WHAT = (
    "Write Out the Prompt",
    "A language model writes a few words out into a prompt. It has to be on this disk already.",
    "Models has some to add: search for “writer” there. Or choose a folder as Hugging Face keeps it, with config.json, "
    "tokenizer.json and .safetensors files. It is asked for once; your own words stay beside what it writes.",
)
WORDS = 0.75  # of a token of English, in which a writer counts
CHOOSE = "Choose the Folder of a Language Model"
CHOOSE_ONE = "Choose Folder…"
OWN = "Back to My Words", "What was written out stays with the panel, one click away"
WRITTEN = "Use What Was Written Out", "It was made of these words"
OTHERS = "Written out of other words: not used"


class Pen(PanelPart, QObject):
    """Its `button` asks for the words of the panel that is shown; one at a time. While it writes, `stop` cancels.

    `told` says how far it is, else what was written out of which words; `turn` goes from the one to the other.
    """

    def __init__(self, document: Document, parent: QObject | None = None):
        super().__init__(parent)
        self.document, self.button = document, icon_button(NAME, "pen", HINT, self.ask)
        self.stop = icon_button("Stop writing", "close", "Your words stay as they are", self.cancel)
        self.told, self.turn = OneLine(tone="muted"), button("", self.turn_over, kind="quiet")
        self.told.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.model = PanelModel()
        self._job, self._asked, self._tries = "", ("", ""), 0  # the job; its panel and the words then
        document.engine.happened.connect(self._follow)
        document.engine.changed.connect(self._follow_queue)
        document.engine.finished.connect(self._finish)

    def parts(self) -> tuple[QWidget, ...]:
        """In the order of a row, and of Tab."""
        return self.told, self.turn, self.stop, self.button

    def refresh(self) -> None:
        panel = self.panel
        had = self.button.hasFocus() or self.stop.hasFocus()
        self.button.setEnabled(bool(panel.own_words.strip()) and not self._job)
        describe(self.button, NAME, BUSY if self._job else HINT)
        self.stop.setVisible(bool(self._job))
        if had:  # else the keys go to whatever comes next
            (self.stop if self._job else self.button).setFocus()
        self._show_turn(panel)
        self._tell()

    def _show_turn(self, panel: Panel) -> None:
        found = find_written(panel.written, panel.own_words)
        self.turn.setVisible(found is not None and not self._job)
        words, hint = OWN if panel.written_out else WRITTEN
        self.turn.setText(words)
        describe(self.turn, words, hint)

    def _tell(self) -> None:
        """How far the writing is, else which words are used where there are others."""
        panel, job = self.panel, self.document.engine.job(self._job) if self._job else None
        stale = not find_written(panel.written, panel.own_words) and any(
            one.own.strip() not in (panel.prompt.strip(), panel.instruction.strip()) for one in panel.written
        )
        if job:
            far = say_progress(job, self.document.engine.paused)
            text = far if self._asked[0] == panel.id else f"{job.job.label}: {far}"
        elif panel.written_out:
            text = f"Written out of: {' '.join(panel.own_words.split())}"
        else:
            text = OTHERS if stale and panel.own_words.strip() else ""
        self.told.setText(text)
        self.told.setVisible(bool(text))
        set_tone(self.told, "warning" if text == OTHERS else "muted")

    def turn_over(self) -> None:
        """From what was written out to the artist's own words, or back."""
        used = not self.panel.written_out
        what = "Use Written-Out Words" if used else "Back to Own Words"
        self.document.do(what, lambda board: use_written(board, self.panel_id, used))

    def edit(self, text: str) -> bool:
        """Change what was written out, where that is shown; False where it is not."""
        panel = self.panel
        if (one := panel.written_out) is None:
            return False
        written = put_one(panel.written, replace(one, text=text))
        self.change("Edit Written-Out Words", f"written {panel.id}", written=written)
        return True

    def ask(self) -> None:
        """Put the job in line; the first time a folder is asked for."""
        folder = find_or_ask(self.model, self.document, self.button)
        if folder is None or self._job:
            return
        panel, board = self.panel, self.document.board
        shown = tuple(
            f"@{one.name} ({one.role})" if one.role else f"@{one.name}" for one in see(board, panel) if one.name
        )
        changes, spec = panel.source.kind != "blank", self.model.spec
        as_json = bool(spec and spec.structured and not changes and settings.load().json_prompts)
        draft = Draft(panel.own_words, str(folder), shown, changes, self._tries, as_json)
        label = f"Words of panel {look(board).numbers[panel.id]}"
        self._job, self._asked, self._tries = new_id(), (panel.id, panel.own_words), self._tries + 1
        request = Request(self.document.model or "", prompt=panel.own_words)
        self.document.engine.submit(
            Job(self._job, label, request, "", slot="write", previews=False, words=panel.own_words, draft=draft)
        )
        self.refresh()

    def cancel(self) -> None:
        """Within a token, or a piece of the model that is being read."""
        self.document.engine.cancel(self._job)

    def step_back(self) -> bool:
        """Escape: stop writing what this panel says, or what the keys are on to stop; whether there was something."""
        job = self.document.engine.job(self._job)
        if not job or job.cancelling or not (self._asked[0] == self.panel_id or self.stop.hasFocus()):
            return False
        self.cancel()
        return True

    def _follow(self, job_id: str, _: object = None) -> None:
        if self._job and job_id == self._job and self.panel_id:
            self._tell()

    def _follow_queue(self) -> None:
        self._follow(self._job)

    def _finish(self, job_id: str) -> None:
        if job_id != self._job:
            return
        self._job, state = "", self.document.engine.job(job_id)
        if state and state.state == "done" and state.result and not state.cancelling:
            self._use(Path(state.result).read_text("utf-8"))
        elif state and state.state == "failed":
            self.document.message.emit(state.reason, state.hint)
        if self.panel_id:
            self.refresh()

    def _use(self, text: str) -> None:
        """Beside the words, unless they have become others meanwhile."""
        panel_id, before = self._asked
        panel = next((one for one in self.document.board.panels() if one.id == panel_id), None)
        if panel is None or panel.own_words != before:
            self.document.message.emit("The words have changed meanwhile: what was written out is not used.", "")
            return
        self.document.do("Write Out Words", lambda board: write_beside(board, panel_id, text))


def say_progress(job: JobState, paused: bool = False) -> str:
    """How far a writer is, such as Writing · about 25 words so far."""
    if job.state == "waiting":
        return "Waiting: the queue is paused" if paused else "Waiting in the queue"
    if job.cancelling:
        return "Stopping"
    if job.stage != "write":
        return f"Opening the writer{f' · {job.step} %' if job.step else ''}"
    words = round(WORDS * job.step)
    return f"{say_stage(job.stage)} · about {say_count(words, 'word')} so far" if words else say_stage(job.stage)


class ScenePen(QObject):
    """Writes the panels of a scene out, one scene at a time; undo takes all of them back.

    `told` says how far it is, `stop` cancels, as Esc does on `view`, the panels of the board.
    """

    def __init__(self, document: Document, view: QWidget):
        super().__init__(view)  # it goes with the board
        self.document, self.view = document, view
        self._job, self._lines, self._begun = "", dict[str, str](), 0  # the job; by panel what it was asked; of these
        self.told = OneLine(tone="muted")
        self.stop = icon_button("Stop writing the scene out", "close", "Esc: its words stay as they are", self.cancel)
        self._keys = [QShortcut(QKeySequence(Qt.Key.Key_Escape), one) for one in (view, self.stop)]
        for keys in self._keys:
            keys.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            keys.activated.connect(self.cancel)
        document.engine.happened.connect(self._follow)
        document.engine.changed.connect(self._tell)
        document.engine.finished.connect(self._finish)
        self._tell()

    def parts(self) -> tuple[QWidget, ...]:
        """In the order of a row, and of Tab."""
        return self.told, self.stop

    def cancel(self) -> None:
        """Within a token, or a piece of the model that is being read."""
        self.document.engine.cancel(self._job)

    def _follow(self, job_id: str, event: Event) -> None:
        if self._job and job_id == self._job:
            self._begun += isinstance(event, Stage) and event.name == "write"
            self._tell()

    def _tell(self) -> None:
        """How far the writing is; nothing while there is none."""
        job = self.document.engine.job(self._job) if self._job else None
        if job is None and self.stop.hasFocus():
            self.view.setFocus()
        for keys in self._keys:
            keys.setEnabled(bool(job and not job.cancelling))
        for part in self.parts():
            part.setVisible(job is not None)
        if job:
            place = f" · {self._begun} of {len(self._lines)}" if self._begun else ""
            self.told.setText(f"{job.job.label}{place} · {say_progress(job, self.document.engine.paused)}")

    def ask(self, scene: Scene) -> None:
        """Put the job in line, where there is something to write out."""
        board, drafted = self.document.board, draft_scene(self.document.board, scene)
        if not drafted.lines or self._job:
            self._tell_why_not(scene)
            return
        model = find_model(board, board.panel(next(iter(drafted.lines))), self.document.model)
        folder = find_or_ask(model, self.document, self.view)
        if folder is None:
            return
        self._job, self._lines, self._begun = new_id(), drafted.lines, 0
        draft = Draft(drafted.about, str(folder), lines=tuple(drafted.lines.values()))
        label, request = f"Words of {len(draft.lines)} panels", Request(self.document.model or "", prompt="scene")
        self.document.engine.submit(Job(self._job, label, request, "", slot="write", previews=False, draft=draft))
        self._tell()

    def _finish(self, job_id: str) -> None:
        if job_id != self._job:
            return
        self._job, state = "", self.document.engine.job(job_id)
        self._tell()
        if state and state.state == "done" and state.result and not state.cancelling:
            self._use(json.loads(Path(state.result).read_text("utf-8")))
        elif state and state.state == "failed":
            self.document.message.emit(state.reason, state.hint)
        self.document.claims.review()

    def _tell_why_not(self, scene: Scene) -> None:
        if self._job:
            self.document.say(BUSY, "", lambda: bool(self._job))
        else:
            self.document.say(NOTHING, "", lambda: self._has_nothing(scene.id))

    def _has_nothing(self, scene_id: str) -> bool:
        board = self.document.board
        return any(not draft_scene(board, one).lines for one in board.scenes if one.id == scene_id)

    def _use(self, made: list[tuple[str, str]]) -> None:
        """One change of the board; what could not be used, or was overtaken by other words, is told."""
        written = {panel_id: text for panel_id, (text, _) in zip(self._lines, made, strict=True)}
        there = {panel.id: panel for panel in self.document.board.panels()}
        fits = [one for one, text in written.items() if text and one in there and is_same(there[one], self._lines[one])]
        if fits:
            self.document.do("Write Out Scene", lambda board: put_written(board, self._lines, written))
        if left := len(written) - len(fits):
            why = next((why for _, why in made if why), "Their words have changed meanwhile.")
            self.document.message.emit(f"{say_count(left, 'panel')} kept the words that were there. {why}", "")


def find_or_ask(model: PanelModel, document: Document, widget: QWidget) -> Path | None:
    """The writer for a model; where none is there a folder is asked for. None where the person has none."""
    if found := writers.find_writer(model.spec):
        return found
    window = widget.window()
    agreed = ask(window, *WHAT, CHOOSE_ONE, "Cancel") == CHOOSE_ONE
    chosen = agreed and choose_folder(window, CHOOSE)
    if not chosen:
        return None
    try:
        return writers.choose_writer(Path(chosen), memory.machine().usable)
    except FluxLocalError as error:
        document.tell(error)
        return None
