"""Import and export: a format, its options, a place; the work runs in a thread and can be stopped."""

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from PySide6.QtCore import QObject, QThread, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from mlx_model.errors import Advice, FluxLocalError, Hint

from ...base import faults
from ...base.words import say_count
from ...interchange import formats
from ...interchange.formats import EXPORTS, FOLDER, FORMATS, Option
from ..document.document import Document
from ..kit.fields import ChoiceField
from ..kit.messages import show_progress
from ..kit.widgets import label, set_tone
from ..kit.words import in_window

T = TypeVar("T")
Options = dict[str, bool | int | str]


class _Stopped(Exception):
    """Raised inside an export whose dialog was cancelled."""


Progress = Callable[[float], None]
Say = Callable[[str, Hint, bool], object]  # what happened, what to do, whether it is good news


@dataclass(frozen=True)
class Task(Generic[T]):
    """Something that takes a while: `work(progress)` makes what `tell` then tells of."""

    title: str
    work: Callable[[Progress], T]
    tell: Callable[[T], object]


class Work(QThread):
    """Runs `work(progress)` in a thread; `progress` raises once stop() was called."""

    moved = Signal(float)
    done = Signal(object)
    failed = Signal(str, object)  # message, Hint

    def __init__(self, work: Callable[[Progress], object], parent: QObject | None = None):
        super().__init__(parent)
        self._work, self._stop = work, threading.Event()

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        try:
            self.done.emit(self._work(self._progress))
        except _Stopped:
            self.failed.emit("", "")
        except FluxLocalError as error:
            self.failed.emit(error.message, error.hint)
        except Exception as error:
            known = faults.tell(error)
            if not known:
                traceback.print_exc()
                known = FluxLocalError(faults.WRONG, f"The board is untouched. {faults.OUR_FAULT}")
            self.failed.emit(known.message, known.hint)

    def _progress(self, share: float) -> None:
        if self._stop.is_set():
            raise _Stopped
        self.moved.emit(share)


def run(task: Task[T], parent: QWidget, say: Say) -> Work:
    """Do the work behind a progress dialog that appears only where it takes longer than half a second."""
    work = Work(task.work, parent)
    dialog = show_progress(parent, task.title)
    work.moved.connect(lambda share: dialog.setValue(round(999 * share)))
    dialog.canceled.connect(work.stop)
    work.done.connect(task.tell)
    work.failed.connect(lambda message, hint: say(message, hint, False) if message else None)
    work.finished.connect(dialog.deleteLater)
    work.finished.connect(work.deleteLater)
    work.start()
    return work


class ExportDialog(QDialog):
    """Which format, which panels, which options. `chosen` gives what export() needs."""

    def __init__(self, document: Document, selected: tuple[str, ...], parent: QWidget | None = None):
        super().__init__(parent)
        self.document, self.selected = document, selected
        self.setWindowTitle("Export")
        self.format = ChoiceField()
        self.format.setAccessibleName("Format")
        for name in EXPORTS:
            self.format.addItem(FORMATS[name].title, name)
        self.only = QCheckBox(f"Only the {say_count(len(selected), 'selected panel')}")
        self.only.setVisible(bool(selected))
        self.note = label(tone="warning", wrap=True)
        self.form = QFormLayout()
        self.form.setVerticalSpacing(10)
        self.form.setHorizontalSpacing(16)
        self.fields: dict[str, QWidget] = {}
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.ok = self.buttons.addButton("Export…", QDialogButtonBox.ButtonRole.AcceptRole)
        self.ok.setProperty("kind", "primary")
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.form.addRow("Format", self.format)
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 20, 24, 20)
        box.setSpacing(14)
        box.addLayout(self.form)
        box.addWidget(self.only)
        box.addWidget(self.note)
        box.addStretch(1)
        box.addWidget(self.buttons)
        self.setMinimumWidth(480)
        self.format.currentIndexChanged.connect(lambda _: self._options())
        self._options()

    @property
    def name(self) -> str:
        return str(self.format.currentData())

    def options(self) -> Options:
        """What is set, by the option's name."""
        return {name: _value(field) for name, field in self.fields.items()}

    def panels(self) -> tuple[str, ...] | None:
        """The chosen panels; None for all."""
        return self.selected if self.selected and self.only.isChecked() else None

    def _options(self) -> None:
        while self.form.rowCount() > 1:  # the format itself stays
            self.form.removeRow(1)
        chosen = FORMATS[self.name]
        self.fields = {option.name: _field(option) for option in chosen.options}
        for option in chosen.options:
            words = option.help[:1].upper() + option.help[1:]
            field = self.fields[option.name]
            field.setAccessibleName(words)
            if isinstance(field, QCheckBox):
                field.setText(words)
                self.form.addRow("", field)
            else:
                field.setToolTip(words)
                self.form.addRow(option.name.capitalize(), field)
        lacks = Advice("install_part", {"name": chosen.extra.name if chosen.extra else ""})
        self.note.setText("" if chosen.available else in_window(lacks))
        self.note.setVisible(not chosen.available)
        set_tone(self.note, "warning")
        self.ok.setEnabled(chosen.available)


def _field(option: Option) -> QWidget:
    if isinstance(option.default, bool):
        tick = QCheckBox()
        tick.setChecked(option.default)
        return tick
    if isinstance(option.default, int):
        return _number_field(option, option.default)
    box = ChoiceField()
    for choice in option.choices:
        box.addItem(choice[:1].upper() + choice[1:], choice)
    box.setCurrentIndex(option.choices.index(option.default))
    return box


def _number_field(option: Option, default: int) -> QSpinBox:
    box = QSpinBox()
    box.lineEdit().setTextMargins(6, 0, 0, 0)
    box.setRange(option.low, option.high)
    box.setValue(default)
    if default == 0:
        box.setSpecialValueText("Automatic")
    return box


def _value(field: QWidget) -> bool | int | str:
    if isinstance(field, QCheckBox):
        return field.isChecked()
    if isinstance(field, QSpinBox):
        return field.value()
    assert isinstance(field, QComboBox)
    return str(field.currentData())


def export(document: Document, selected: tuple[str, ...], parent: QWidget, say: Say) -> None:
    """Ask for format and place, then export; `say(text, hint, good)` tells how it went."""
    dialog = ExportDialog(document, selected, parent)
    agreed = dialog.exec() == QDialog.DialogCode.Accepted
    name, panels, options = dialog.name, dialog.panels(), dialog.options()  # before the next dialog runs its own loop,
    dialog.deleteLater()  # in which this one goes
    if agreed and (out := ask_place(name, document, parent)):
        export_to(document, name, out, panels, options, parent, say)


def ask_place(name: str, document: Document, parent: QWidget) -> str:
    """Ask where an export goes, beside the board unless another place is chosen; "" for nowhere."""
    chosen, folder = FORMATS[name], str(_folder_of(document))
    title = document.board.title.replace("/", "-")
    if chosen.extensions[0] == FOLDER:
        into = QFileDialog.getExistingDirectory(parent, f"Folder for {chosen.title}", folder)
        return str(Path(into) / title) if into else ""
    suggestion = f"{folder}/{title}{chosen.extensions[0]}"
    return QFileDialog.getSaveFileName(parent, f"Export {chosen.title}", suggestion, chosen.filter)[0]


def _folder_of(document: Document) -> Path:
    try:
        return document.file.path.parent
    except FluxLocalError:  # it is gone, which is told elsewhere
        return Path.home()


def export_to(
    document: Document, name: str, out: str, panels: tuple[str, ...] | None, options: Options, parent: QWidget, say: Say
) -> Work:
    """Export without asking."""
    board, path_of = document.board, document.picture_path

    def work(progress: Progress) -> formats.Exported:
        document.file.require_outside(Path(out))
        args = (name, board, path_of, out)
        # mypy can't know that no option of a format is called `panels` or `progress`
        return formats.export_board(*args, panels=panels, progress=progress, **options)  # type: ignore[arg-type]

    def tell(made: formats.Exported) -> None:
        say(f"Exported {made.path.name}.", " ".join(made.notes) or f"In {made.path.parent}.", True)
        target = made.path if made.path.is_dir() else made.path.parent
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(target)))

    return run(Task(f"Exporting {FORMATS[name].title}", work, tell), parent, say)


def ask_timeline(parent: QWidget) -> str:
    """Ask for an edited timeline; "" for none."""
    filters = formats.list_import_filters(formats.TIMELINES)
    return QFileDialog.getOpenFileName(parent, "Import a Timeline onto This Board", "", filters)[0]


def ask_import(parent: QWidget) -> str:
    """Ask for a script, timeline or shot list; "" for none. Folders have a dialog of their own."""
    return QFileDialog.getOpenFileName(parent, "Import", "", formats.list_import_filters())[0]
