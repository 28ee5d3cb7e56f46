"""Files that other programs have: a folder is looked through, and what it holds for which model can be added.

The looking is `flux-local models add --from FOLDER --json` in a process of its own, as downloads are.
"""

import json
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QProcess, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QListWidget,
    QProgressBar,
    QWidget,
)

from mlx_model.memory import say_bytes
from mlx_model.spec_parts import BITS

from ...base.words import say_count
from ...engine.protocol import command_line
from ..kit.dialog import Buttons, fill_dialog
from ..kit.widgets import as_title, label, row
from .downloads import make_environment

Facts = dict[str, Any]  # of one model, as `models add --from --json` gives them
EXPLAINED = (
    "Files are only read where they lie. What is added stands on its own, so they can be moved or deleted afterwards."
)


class Look(QProcess):
    """One look through a folder."""

    told = Signal(object)  # of dict Qt would sort the keys
    failed = Signal(str)

    def __init__(self, place: str, parent: QObject, program: tuple[str, ...] | None = None):
        super().__init__(parent)
        self.setProcessEnvironment(make_environment())
        self.finished.connect(self._end)
        self.errorOccurred.connect(self._fail)
        self._command = [*(program or command_line()), "models", "add", "--from", place, "--json"]

    def begin(self) -> None:
        self.start(self._command[0], self._command[1:])

    def _end(self) -> None:
        lines = bytes(self.readAllStandardOutput().data()).decode("utf-8", "replace").splitlines()
        values = _read(lines[-1] if lines else "")
        if "models" in values:
            self.told.emit(values)
        else:
            self.failed.emit(f"{values.get('message', 'The folder could not be looked through.')}")

    def _fail(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self.failed.emit("The folder could not be looked through.")


def _read(line: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


class FoundDialog(QDialog):
    """What a folder holds, and which of it to add. After it was accepted `chosen` and `bits` say what."""

    def __init__(self, place: str, installed: set[str], parent: QWidget | None, program: tuple[str, ...] | None = None):
        super().__init__(parent)
        self.place, self.installed = place, installed
        self.chosen: Facts | None = None
        self._found: list[Facts] = []  # by rows
        self.models = QListWidget()
        self.models.setAccessibleName("Models")
        self.models.currentItemChanged.connect(lambda *_: self._show_current())
        self.words = label(f"Looking through {place}", wrap=True)
        self.details = label(tone="muted", wrap=True)
        self.details.setAccessibleName("What it is made of")
        self.notes = label(tone="warning", wrap=True)
        self.progress = QProgressBar()
        self.progress.setRange(0, 0)
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("Looking through the folder")
        self.precision = QComboBox()
        self.precision.setAccessibleName("Precision")
        self._lay_out()
        self.look = Look(place, self, program)
        self.look.told.connect(self.show_found)
        self.look.failed.connect(self._tell_failure)
        self.finished.connect(self._stop_looking)
        self.look.begin()

    @property
    def bits(self) -> int:
        return int(self.precision.currentData())

    def _lay_out(self) -> None:
        self.setWindowTitle(as_title(f"Models in {Path(self.place).name}"))
        for bits in BITS:
            self.precision.addItem(f"{bits} bits", bits)
        self.precision.setCurrentIndex(BITS.index(8))
        self.buttons = Buttons(self, "Add", self._accept)
        self.add = self.buttons.main
        box = fill_dialog(self)
        for widget in (self.words, self.progress, self.models, self.details, self.notes):
            box.addWidget(widget)
        box.addWidget(label(EXPLAINED, "muted", wrap=True))
        box.addLayout(row(self.precision, None, self.buttons))
        self.setMinimumSize(640, 520)
        self.notes.hide()
        self._show_current()

    def show_found(self, found: dict[str, Any]) -> None:
        """The list, those first of which everything is there."""
        self.progress.hide()
        models = [one for one in found["models"] if "transformer" in one["parts"]]
        self.words.setText(_say_found(models, found))
        self._found = sorted(models, key=lambda one: bool(one["missing"]))
        self.models.addItems([f"{facts['title']}: {self._say_state(facts)}" for facts in self._found])
        self.models.setCurrentRow(0)
        problems = "\n".join(found["problems"][:3])
        more = f"\nand {len(found['problems']) - 3} more" if len(found["problems"]) > 3 else ""
        self.notes.setText(f"Can't be used: {problems}{more}")
        self.notes.setVisible(bool(problems))
        self._show_current()

    def _say_state(self, facts: Facts) -> str:
        if facts["name"] in self.installed:
            return "added already"
        if facts["missing"]:
            return f"{' and '.join(role.replace('_', ' ') for role in facts['missing'])} missing"
        return "everything is here" if facts["certain"] else "everything is here, if it is this one"

    def _tell_failure(self, words: str) -> None:
        self.progress.hide()
        self.words.setText(words)

    def _current(self) -> Facts | None:
        row = self.models.currentRow()
        return self._found[row] if 0 <= row < len(self._found) else None

    def _show_current(self) -> None:
        facts = self._current()
        self.add.setEnabled(facts is not None and facts["name"] not in self.installed)
        self.add.setText("Download the Rest and Add" if facts and facts["missing"] else "Add")
        self.details.setText("\n".join(_describe(facts)) if facts else "")

    def _accept(self) -> None:
        self.chosen = self._current()
        self.accept()

    def _stop_looking(self) -> None:
        if self.look.state() != QProcess.ProcessState.NotRunning:
            self.look.blockSignals(True)
            self.look.kill()
            self.look.waitForFinished(2000)


def _say_found(models: list[Facts], found: dict[str, Any]) -> str:
    loras = say_count(len(found["loras"]), "LoRA")
    more = f" {loras} too, which a panel takes under Settings." if found["loras"] else ""
    if not models:
        return f"No transformer of a model that Flux Local runs lies here.{more}"
    return f"{say_count(len(models), 'model')} can be made of what lies here.{more}"


def _describe(facts: Facts) -> list[str]:
    """Part by part: the file, its form, and why this one; then what is missing."""
    lines = []
    for role, part in facts["parts"].items():
        why = f"; {part['why']}" if part["why"] else ""
        lines.append(f"{_say(role)}: {Path(part['file']).name}, {part['form']}, {say_bytes(part['bytes'])}{why}")
    lines += [f"{_say(role)} is missing: {words}" for role, words in facts["missing"].items()]
    if not facts["certain"]:
        lines.append("Models of this size differ in nothing but their names, and its file's name does not say which.")
    return lines


def _say(role: str) -> str:
    words = role.replace("_", " ")
    return f"{words[:1].upper()}{words[1:]}"
