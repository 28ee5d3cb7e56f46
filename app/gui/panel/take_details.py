"""Everything about the current take: what was asked of which model, with which pictures, and a note."""

from functools import partial

import msgspec
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QApplication, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from mlx_model.errors import FluxLocalError
from mlx_model.request import Request, from_json

from ...base.words import say_duration
from ...board import commands
from ...board.data import Settings, Take
from ...board.panel_job import read_request
from ..document.document import Document
from ..document.panel_part import PanelPart
from ..kit.fields import add_row, form
from ..kit.measures import GAP
from ..kit.text_field import BoardText
from ..kit.widgets import PushButton, describe, label
from ..kit.words import model_title

EMPTY = "Every picture that is made is kept as a take, with all that made it. There is none yet."


class TakeDetails(PanelPart, QWidget):
    """Shows the take and lets its note be written."""

    again_asked = Signal(str)  # take id: its prompt and settings for the panel

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document = document
        self._pointed: tuple[str | None, str] | None = None  # the current take then, and the one pointed at
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GAP)
        self.empty = label(EMPTY, "muted")
        self.empty.setWordWrap(True)
        column.addWidget(self.empty)
        self.body = QWidget()
        column.addWidget(self.body)
        column.addStretch(1)
        self._build()

    def _build(self) -> None:
        column = QVBoxLayout(self.body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GAP)
        self.note = BoardText("Note on this take", "Why it is good, what is wrong with it")
        self.note.setPlaceholderText("A note on this take")
        self.note.setFixedHeight(56)
        self.note.edited.connect(self._write_note)
        self.note.undo_asked.connect(self.document.undo)
        self.note.redo_asked.connect(self.document.redo)
        self.prompt = label()
        self.prompt.setWordWrap(True)
        self.prompt.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = self.form = form()
        self.values: dict[str, QLabel] = {}
        for name in ("Own words", "Model", "Size", "Steps", "Guidance", "Seed", "Pictures", "Mask", "Made", "Took"):
            self.values[name] = label()
            self.values[name].setWordWrap(True)
            self.values[name].setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            add_row(layout, name, self.values[name]).setMinimumHeight(0)
        self.again = PushButton("Use These Settings")
        describe(self.again, "Use these settings", "This take's seed, steps, size and model for the panel")
        self.again.clicked.connect(self._ask_again)
        self.copy = PushButton("Copy Request")
        describe(self.copy, "Copy request", "As JSON, with everything that decides the picture")
        self.copy.clicked.connect(self._copy_request)
        buttons = QHBoxLayout()
        buttons.addWidget(self.again)
        buttons.addWidget(self.copy)
        self.number = label(name="subheading", wrap=True)
        column.addWidget(self.number)
        column.addWidget(self.note)
        column.addWidget(self.prompt)
        column.addLayout(layout)
        column.addLayout(buttons)

    @property
    def take(self) -> Take | None:
        """The current one, or the one that was pointed at since it became that."""
        pointed = next((take for take in self.panel.takes if (self.panel.current, take.id) == self._pointed), None)
        return pointed or self.panel.take

    def point_at(self, take_id: str) -> None:
        """Tell of this take; the panel's picture stays what it is."""
        self._pointed = (self.panel.current, take_id)
        self.refresh()

    def refresh(self) -> None:
        take, takes = self.take, self.panel.takes
        if (self.panel_id, take, takes) == self._shown:
            return
        self._shown = (self.panel_id, take, takes)
        self.empty.setVisible(take is None)
        self.body.setVisible(take is not None)
        if take is None:
            return
        current = " (the panel's picture)" if take.id == self.panel.current else ""
        self.number.setText(f"Take {take.number}{current}")
        self.note.set_text(take.note)
        request = _request(take)
        self.prompt.setText(request.prompt if request else "This picture was imported.")
        for name, value in _facts(take, request).items():
            self.values[name].setText(value)
            self.form.setRowVisible(self.values[name], value != "–")
        for button in (self.again, self.copy):
            button.setEnabled(request is not None)

    def _ask_again(self) -> None:
        if self.take:
            self.again_asked.emit(self.take.id)

    def _copy_request(self) -> None:
        if self.take:
            QApplication.clipboard().setText(self.take.request)

    def _write_note(self, text: str) -> None:
        if self.take:
            note = partial(commands.set_take, panel_id=self.panel_id, take_id=self.take.id, note=text)
            self.document.do("Edit Note", note, merge=f"note {self.take.id}")


def _request(take: Take) -> Request | None:
    try:
        return from_json(take.request)
    except FluxLocalError:
        return None


def _facts(take: Take, request: Request | None) -> dict[str, str]:
    """What stands beside the labels; – where nothing is known."""
    picture = take.picture
    facts = dict.fromkeys(("Own words", "Model", "Steps", "Guidance", "Seed", "Pictures", "Mask", "Took"), "–")
    facts["Size"], facts["Made"] = f"{picture.width} × {picture.height}", take.made.replace("T", " ")[:16]
    if request:
        pictures = [f"{place} {one.name or 'unnamed'}" for place, one in enumerate(request.references, 1)]
        facts |= {
            "Own words": request.own_words or "–",
            "Model": model_title(take.model),
            "Steps": f"{request.steps}{_name_shortcuts(request)}",
            "Guidance": f"{request.guidance:g}" if request.guidance is not None else "–",
            "Seed": str(take.seed),
            "Pictures": ", ".join(pictures) or "none",
            "Mask": "yes" if request.mask else "no",
            "Took": say_duration(take.seconds),
        }
    return facts


def _name_shortcuts(request: Request) -> str:
    """What made the run shorter and the picture a little different."""
    cache = f", step cache {request.step_cache:g}" if request.step_cache else ""
    return f"{cache}, only under the mask" if request.region else cache


def settings_of(take: Take) -> dict[str, object]:
    """How a take was rendered, for a panel's Settings: of its request what those hold but the model and the LoRAs."""
    values, unset = read_request(take), msgspec.structs.asdict(Settings())
    return {name: values.get(name, unset[name]) for name in unset.keys() - {"model", "loras"}}
