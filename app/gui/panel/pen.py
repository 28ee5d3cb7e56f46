"""The pen beside the words: a language model on this disk writes them out; undo brings the artist's own back."""

import json
from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from mlx_model import memory
from mlx_model.errors import FluxLocalError
from mlx_model.request import Request

from ...base import settings
from ...base.words import say_count
from ...board import commands
from ...board.data import Scene, new_id
from ...board.drafts import draft_scene, is_same, put_written
from ...board.seen import look, see
from ...engine.jobs import Draft, Job, JobState
from ...models import writers
from ..document.document import Document
from ..document.forecast import PanelModel, find_model
from ..document.panel_part import PanelPart
from ..kit.messages import choose_folder, sure
from ..kit.widgets import describe, icon_button

NAME, HINT = (
    "Write the words out",
    "A language model on this disk makes a long description of few words; undo takes it back",
)
BUSY = "It is writing; cancel it in the queue"
NOTHING = "No panel of this scene has a few words to write out."
WHAT = (
    "Write Out the Prompt",
    "A language model writes a few words out into a prompt. It has to be on this disk already.",
    "Models has some to add: search for “writer” there. Or choose a folder as Hugging Face keeps it, with config.json, "
    "tokenizer.json and .safetensors files. It is asked for once; your own words come back with Undo.",
)
CHOOSE = "Choose the Folder of a Language Model"


class Pen(PanelPart, QObject):
    """Its `button` asks for the words of the panel that is shown; one at a time."""

    def __init__(self, document: Document, parent: QObject | None = None):
        super().__init__(parent)
        self.document, self.button = document, icon_button(NAME, "pen", HINT, self.ask)
        self.model = PanelModel()
        self._job, self._asked, self._tries = "", ("", ""), 0  # the job; its panel and the words then
        self._own: dict[str, tuple[str, str]] = {}  # panel -> the artist's words, and what was made of them
        document.engine.finished.connect(self._finish)

    def refresh(self) -> None:
        self.button.setEnabled(bool(self.panel.words.strip()) and not self._job)
        describe(self.button, NAME, BUSY if self._job else HINT)

    def ask(self) -> None:
        """Put the job in line; the first time a folder is asked for."""
        folder = find_or_ask(self.model, self.document, self.button)
        if folder is None or self._job:
            return
        panel, board = self.panel, self.document.board
        own, written = self._own.get(panel.id, ("", ""))
        words = own if panel.words == written and own else panel.words  # once more, from what the artist wrote
        shown = tuple(
            f"@{one.name} ({one.role})" if one.role else f"@{one.name}" for one in see(board, panel) if one.name
        )
        changes, spec = panel.source.kind != "blank", self.model.spec
        as_json = bool(spec and spec.structured and not changes and settings.load().json_prompts)
        draft = Draft(words, str(folder), shown, changes, self._tries, as_json)
        label = f"Words of panel {look(board).numbers[panel.id]}"
        self._job, self._asked, self._tries = new_id(), (panel.id, panel.words), self._tries + 1
        request = Request(self.document.model or "", prompt=words)
        self.document.engine.submit(
            Job(self._job, label, request, "", slot="write", previews=False, words=words, draft=draft)
        )
        self.refresh()

    def _finish(self, job_id: str) -> None:
        if job_id != self._job:
            return
        self._job, state = "", self.document.engine.job(job_id)
        if state and state.state == "done" and state.result:
            self._use(state, Path(state.result).read_text("utf-8"))
        elif state and state.state == "failed":
            self.document.message.emit(state.reason, state.hint)
        if self.panel_id:
            self.refresh()

    def _use(self, state: JobState, text: str) -> None:
        """In the place of the words, unless they have become others meanwhile."""
        panel_id, before = self._asked
        panel = next((one for one in self.document.board.panels() if one.id == panel_id), None)
        if panel is None or panel.words != before:
            self.document.message.emit("The words have changed meanwhile: what was written out is not used.", "")
            return
        self._own[panel_id] = (state.job.words, text)
        field = panel.words_field
        self.document.do("Write Out Words", lambda board: commands.set_panel(board, panel_id, **{field: text}))


class ScenePen(QObject):
    """Writes the panels of a scene out, one scene at a time; undo takes all of them back."""

    def __init__(self, document: Document, view: QWidget):
        super().__init__(view)  # it goes with the board
        self.document, self.view = document, view
        self._job, self._lines = "", dict[str, str]()  # the job; by panel what it was asked
        document.engine.finished.connect(self._finish)

    def ask(self, scene: Scene) -> None:
        """Put the job in line, where there is something to write out."""
        board, drafted = self.document.board, draft_scene(self.document.board, scene)
        if not drafted.lines or self._job:
            self.document.message.emit(BUSY if self._job else NOTHING, "")
            return
        model = find_model(board, board.panel(next(iter(drafted.lines))), self.document.model)
        folder = find_or_ask(model, self.document, self.view)
        if folder is None:
            return
        self._job, self._lines = new_id(), drafted.lines
        draft = Draft(drafted.about, str(folder), lines=tuple(drafted.lines.values()))
        label, request = f"Words of {len(draft.lines)} panels", Request(self.document.model or "", prompt="scene")
        self.document.engine.submit(Job(self._job, label, request, "", slot="write", previews=False, draft=draft))

    def _finish(self, job_id: str) -> None:
        if job_id != self._job:
            return
        self._job, state = "", self.document.engine.job(job_id)
        if state and state.state == "done" and state.result:
            self._use(json.loads(Path(state.result).read_text("utf-8")))
        elif state and state.state == "failed":
            self.document.message.emit(state.reason, state.hint)

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
    chosen = sure(window, *WHAT, "Choose Folder…") and choose_folder(window, CHOOSE)
    if not chosen:
        return None
    try:
        return writers.choose_writer(Path(chosen), memory.machine().usable)
    except FluxLocalError as error:
        document.tell(error)
        return None
