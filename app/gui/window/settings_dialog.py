"""Settings of the program: what is chosen here is kept at once."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QCheckBox, QComboBox, QDialog, QFileDialog, QWidget

from mlx_model.errors import FluxLocalError
from mlx_model.helpers import HELPERS
from mlx_model.languages import LANGUAGES
from mlx_model.memory import machine

from ...base.settings import Settings, boards_folder
from ...models import helpers, library, writers
from ..kit.dialog import Buttons, explain, fill_dialog, make_form, stack
from ..kit.fields import ChoiceField
from ..kit.messages import choose_folder
from ..kit.theme import SCHEMES
from ..kit.widgets import OneLineEdit, as_line, button, label, row, set_tone
from ..kit.words import in_window, model_title

AUTOMATIC = "Automatic (the first real model installed)"
ANY_WRITER = "Automatic (the model’s own, or whichever is here)"
OTHER_WRITER = "Another folder…"
CHOOSE_WRITER = "Choose the Folder of a Language Model"
NO_WRITER = "No writer is here: the pen asks for one, and prompts go to the models as they are."


class SettingsDialog(QDialog):
    """Edits Settings; `store` is called with the new ones after every change."""

    def __init__(self, settings: Settings, store: Callable[[Settings], object], parent: QWidget | None = None):
        super().__init__(parent)
        self.settings, self.store = settings, store
        self.setWindowTitle("Settings")
        self.appearance = ChoiceField()
        self.appearance.setAccessibleName("Appearance")
        self.appearance.addItems(["As the system", "Light", "Dark"])
        self.appearance.setCurrentIndex(SCHEMES.index(settings.appearance))
        self.model = self._models()
        self.writer, self.writes = ChoiceField(), label("", "muted", wrap=True)
        self.writer.setAccessibleName("Prompt writer")
        self._list_writers()
        self.helpers = label(say_helpers(), "muted", wrap=True)
        self.folder = OneLineEdit(str(boards_folder(settings)))
        self.folder.setReadOnly(True)
        self.folder.setAccessibleName("Folder of new boards")
        self.previews = _box("Show the picture while it is made", settings.previews)
        self.notifications = _box("Say when a long run has ended", settings.notifications)
        self.cache = _box("Keep what is computed for later runs", settings.cache)
        self.forget = button("Delete It", self._clear_cache)
        self.low_memory = _box("Need little memory: read models from the disk while they work", settings.low_memory)
        words = "See a single large picture in full: up to 4 times the work"
        self.full_references = _box(words, settings.full_references)
        self.full_references.setToolTip("With up to 4 megapixels, where it is the only one that is looked at")
        self.json_prompts = _box("Write prompts for FLUX.2 as structured text (JSON)", settings.json_prompts)
        self.json_prompts.setToolTip("A description in parts: scene, subjects, light. Changes stay plain words")
        self._lay_out()
        self.appearance.activated.connect(lambda place: self._set(appearance=SCHEMES[place]))
        self.model.activated.connect(lambda _: self._set(model=self.model.currentData()))
        self.writer.activated.connect(lambda _: self._take_writer())
        self.previews.toggled.connect(lambda on: self._set(previews=on))
        self.cache.toggled.connect(lambda on: self._set(cache=on))
        self.low_memory.toggled.connect(lambda on: self._set(low_memory=on))
        self.json_prompts.toggled.connect(lambda on: self._set(json_prompts=on))
        self.full_references.toggled.connect(lambda on: self._set(full_references=on))
        self.notifications.toggled.connect(lambda on: self._set(notifications=on))

    def _models(self) -> QComboBox:
        box = ChoiceField()
        box.setAccessibleName("Model for new panels")
        box.addItem(AUTOMATIC, None)
        for model in library.list_installed():
            if not model.problem:
                box.addItem(model_title(model.name), model.name)
        box.setCurrentIndex(max(0, box.findData(self.settings.model)))
        return box

    def _list_writers(self) -> None:
        """Those that were added, the folder that is remembered, and which of them writes now."""
        added, chosen = writers.list_added(), writers.read_choice()
        self.writer.clear()
        self.writer.addItem(ANY_WRITER, "")
        for folder in dict.fromkeys((*added, *([chosen] if chosen else []))):
            name = name_writer(folder) + ("" if folder.is_dir() else " (not there now)")
            self.writer.addItem(as_line(name), str(folder))
        self.writer.addItem(OTHER_WRITER, OTHER_WRITER)
        self.writer.setCurrentIndex(max(0, self.writer.findData(str(chosen))))
        self._say_writer(say_writer(writers.find_writer()))

    def _say_writer(self, words: str, tone: str = "muted") -> None:
        self.writes.setText(words)
        set_tone(self.writes, tone)
        self._fit()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._fit()

    def _fit(self) -> None:
        """As high as its lines need: a window's layout does not count those that are wrapped."""
        if inside := self.layout():
            self.setMinimumHeight(inside.totalHeightForWidth(max(self.width(), self.minimumWidth())))

    def _take_writer(self) -> None:
        """What is chosen, or a folder that is asked for; one that can't write is told and not taken."""
        folder, trouble = self.writer.currentData(), ""
        if folder == OTHER_WRITER:
            folder = choose_folder(self, CHOOSE_WRITER) or str(writers.read_choice() or "")
        try:
            if folder:
                writers.choose_writer(Path(folder), machine().usable)
            else:
                writers.forget_choice()
        except FluxLocalError as error:
            trouble = f"{error.message} {in_window(error.hint)}"
        self._list_writers()
        if trouble:
            self._say_writer(trouble, "warning")

    def _lay_out(self) -> None:
        form = make_form()
        form.addRow("Appearance", self.appearance)
        form.addRow("Model", explain(self.model, "For panels and boards that don't name one of their own."))
        folder = row(self.folder, button("Choose…", self._choose))
        form.addRow("Prompt writer", stack(self.writer, self.writes))
        form.addRow("Helpers", self.helpers)
        form.addRow("New boards", explain(folder, "Everything is saved by itself, at most 2 seconds after a change."))
        cache = row(self.cache, self.forget, None)
        boxes = (
            self.previews,
            self.notifications,
            cache,
            self.low_memory,
            self.full_references,
            self.json_prompts,
        )
        form.addRow("Rendering", stack(*boxes))
        box = fill_dialog(self)
        box.addLayout(form)
        box.addWidget(Buttons(self))
        self.setMinimumWidth(620)

    def _clear_cache(self) -> None:
        from ...models.doctor import cache  # which few need, and the window's start does not

        with contextlib.suppress(OSError):
            cache().clear()

    def _choose(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of New Boards", self.folder.text())
        if folder:
            self.folder.setText(folder)
            self._set(folder=folder)

    def _set(self, **changes: object) -> None:
        self.settings = msgspec.structs.replace(self.settings, **changes)
        self.store(self.settings)


def _box(text: str, on: bool) -> QCheckBox:
    box = QCheckBox(text)
    box.setChecked(on)
    return box


def name_writer(folder: Path) -> str:
    """The title of one that was added, else the name of its folder."""
    return LANGUAGES[folder.name].title if folder in writers.list_added() else folder.name


def say_writer(folder: Path | None) -> str:
    """Who writes where a model has no writer of its own."""
    if folder is None:
        return NO_WRITER
    return f"{name_writer(folder)} writes; for FLUX.3 its own writer does, where that is here."


def say_helpers() -> str:
    """Of each small network whether it is here."""
    here = "; ".join(
        f"{row.title}: {'installed' if helpers.is_there(row) else 'not installed'}" for row in HELPERS.values()
    )
    return f"{here}. Without them no depth maps are made of photos and nothing is enlarged quickly. Models has them."
