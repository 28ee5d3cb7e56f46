"""Import and export: a format, its options, a place; the work runs in a thread and can be stopped."""

import os
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from PySide6.QtCore import QObject, QThread, QTimer, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFileDialog,
    QSpinBox,
    QWidget,
)

from mlx_model.errors import Advice, FluxLocalError, Hint
from mlx_model.files import number_names

from ...base import faults
from ...interchange import formats
from ...interchange.files import make_safe_name
from ...interchange.formats import EXPORTS, FORMATS, Format, Option
from ..document.document import Document
from ..kit.dialog import Buttons, fill_dialog, make_form, stack
from ..kit.fields import ChoiceField, WholeField
from ..kit.links import open_folder
from ..kit.messages import choose_file, choose_folder, show_progress
from ..kit.widgets import label, order_tabs, set_tone
from ..kit.words import in_window

T = TypeVar("T")
Options = dict[str, bool | int | str]


class Order(NamedTuple):
    """What is to be exported: the format's name, its options, the chosen panels (None for all)."""

    name: str
    options: Options
    panels: tuple[str, ...] | None = None


class Place(NamedTuple):
    """Where a file goes; `replace` once a person agreed that what is there goes for it."""

    path: Path
    replace: bool = False


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
    for over in (dialog.reset, dialog.hide, dialog.deleteLater):  # another dialog's loop puts the last one off, and
        work.finished.connect(over)  # its clock would show it there
    work.finished.connect(work.deleteLater)
    work.start()
    return work


class ExportDialog(QDialog):
    """Which format, which panels, which options."""

    def __init__(self, document: Document, selected: tuple[str, ...], parent: QWidget | None = None):
        super().__init__(parent)
        self.document, self.selected = document, selected
        self.setWindowTitle("Export")
        self.format = ChoiceField()
        self.format.setAccessibleName("Format")
        for name in EXPORTS:
            self.format.addItem(FORMATS[name].title, name)
        more = f"{len(selected)} selected panels" if len(selected) > 1 else "selected panel"
        self.only = QCheckBox(f"Only the {more}")
        self.only.setVisible(bool(selected))
        self.note = label(tone="warning", wrap=True)
        self.form = make_form()
        self.fields: dict[str, QWidget] = {}
        self.buttons = Buttons(self, "Export…")
        self.ok = self.buttons.main
        self.form.addRow("Format", self.format)
        box = fill_dialog(self)
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

    def order(self) -> Order:
        """What is chosen."""
        options = {name: _value(field) for name, field in self.fields.items()}
        return Order(self.name, options, self.selected if self.selected and self.only.isChecked() else None)

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
            else:
                field.setToolTip(words)
                self.form.addRow(option.name.capitalize(), field)
        ticks = [one for one in self.fields.values() if isinstance(one, QCheckBox)]
        others = [one for one in self.fields.values() if not isinstance(one, QCheckBox)]
        if ticks:
            self.form.addRow("", stack(*ticks))
        order_tabs(self.format, *others, *ticks, self.only, self.ok)
        lacks = Advice("install_part", {"name": chosen.extra.name if chosen.extra else ""})
        self.note.setText("" if chosen.available else in_window(lacks))
        self.note.setVisible(not chosen.available)
        set_tone(self.note, "warning")
        self.ok.setEnabled(chosen.available)
        if self.isVisible():
            QTimer.singleShot(0, self, self._fit)  # new fields are shown by then

    def _fit(self) -> None:
        """As high as the options of this format need, no longer those of the one before."""
        self.resize(self.width(), self.sizeHint().height())


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
    box = WholeField()
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
    order = dialog.order()  # before the next dialog runs its own loop, in which this one goes
    dialog.deleteLater()
    if agreed and (place := ask_place(order, document, parent)):
        export_to(document, order, place, parent, say)


def ask_place(order: Order, document: Document, parent: QWidget) -> Place | None:
    """Ask where an export goes, beside the board unless another place is chosen; None for nowhere."""
    chosen, folder = FORMATS[order.name], _folder_of(document)
    panels = sum(1 for _ in document.board.panels()) if order.panels is None else len(order.panels)
    if chosen.makes_folder(panels):
        return ask_new_folder(parent, f"Folder for {chosen.title}", folder / make_safe_name(document.board.title))
    return ask_file(parent, f"Export {chosen.title}", folder, document.board.title, chosen)


def ask_new_folder(parent: QWidget, words: str, suggestion: Path) -> Place | None:
    """Ask for the name of a folder that is made by the export; None for none."""
    free = next(path for path in number_names(suggestion) if not os.path.lexists(path))
    chosen = QFileDialog.getSaveFileName(parent, words, str(free), options=QFileDialog.Option.DontConfirmOverwrite)[0]
    parent.activateWindow()  # as of a file
    return Place(Path(chosen)) if chosen else None


def ask_file(parent: QWidget, words: str, folder: Path, title: str, kind: Format) -> Place | None:
    """Ask for the name of a new file of this kind; None for none.

    Where a file has that very name already, the dialog asks whether it is to be replaced, and gives it only then.
    """
    suggestion = folder / f"{make_safe_name(title)}{kind.extensions[0]}"
    chosen = QFileDialog.getSaveFileName(parent, words, str(suggestion), kind.filter)[0]
    parent.activateWindow()  # two dialogs that close at once leave some window managers without an active window
    if not chosen:
        return None
    path = formats.add_extension(Path(chosen), kind)
    return Place(path, path == Path(chosen) and os.path.lexists(path))


def _folder_of(document: Document) -> Path:
    try:
        return document.file.path.parent
    except FluxLocalError:  # it is gone, which is told elsewhere
        return Path.home()


def export_to(document: Document, order: Order, place: Place, parent: QWidget, say: Say) -> Work:
    """Export without asking."""
    board, path_of = document.board, document.picture_path

    def work(progress: Progress) -> formats.Exported:
        document.file.require_outside(place.path)
        args = (order.name, board, path_of, place.path)
        named = {"panels": order.panels, "force": place.replace, "progress": progress, **order.options}
        return formats.export_board(*args, **named)  # type: ignore[arg-type]  # their types are those of the options

    def tell(made: formats.Exported) -> None:
        say(f"Exported {made.path.name}.", " ".join([f"In {made.path.parent}.", *made.notes]), True)
        open_folder(made.path if made.path.is_dir() else made.path.parent)

    return run(Task(f"Exporting {FORMATS[order.name].title}", work, tell), parent, say)


def ask_timeline(parent: QWidget) -> str:
    """Ask for an edited timeline; "" for none."""
    return choose_file(parent, "Import a Timeline onto This Board", formats.list_import_filters(formats.TIMELINES))


def ask_into(parent: QWidget) -> str:
    """Ask for what is to join the open board; "" for nothing."""
    return choose_file(parent, "Import into This Board", formats.list_import_filters(formats.IMPORTS))


def ask_folder(parent: QWidget) -> str:
    """Ask for a folder of pictures; "" for none."""
    return choose_folder(parent, "Import a Folder of Pictures")


def ask_import(parent: QWidget) -> str:
    """Ask for a script, timeline or shot list; "" for none. Folders have a dialog of their own."""
    return choose_file(parent, "Import", formats.list_import_filters())
