"""Teaching a member of the cast to a model: the dialog, and how that stands on the cast page."""

from functools import partial
from pathlib import Path

from msgspec.structs import replace
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QPixmap
from PySide6.QtWidgets import (
    QDialog,
    QLabel,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from mlx_model.errors import FluxLocalError, Refused

from ...base.words import say_count, say_stage
from ...board import commands
from ...board.data import Member, Picture, Taught
from ...engine.jobs import JobState, Lesson
from ...models import library, loras
from ...pictures.kinds import FILTER
from ...training import character
from ..board.paint import running_words
from ..document import picture_drag
from ..document.document import Document
from ..document.pixmaps import read
from ..document.runs import PanelState
from ..document.teaching import count_steps, curve_of, set_strength
from ..kit.dialog import Buttons, fill_dialog
from ..kit.fields import StrengthField, WholeField, choice
from ..kit.measures import GAP, ROOM
from ..kit.messages import choose_files, sure
from ..kit.placing import size_window
from ..kit.widgets import (
    OneLineEdit,
    as_title,
    button,
    describe,
    icon_button,
    label,
    order_tabs,
    row,
    scroll_column,
    set_tone,
)
from ..kit.words import in_window, model_title

THUMB = QSize(64, 48)
CURVE = 250  # pixels, the width of the curve and of samples
SAMPLES = ("Samples: before above, now below", "The same words and seeds: before above, now below")
KEPT = ("What the model knows", "The model paints what it knows, and learns it on beside the pictures: so it is kept")
PRIOR = "prior"  # the folder of what it paints, see app/training/prior.py
USED = "Panels that mention it use what was learned in place of its picture."


class Example(QWidget):
    """A picture and what it shows."""

    def __init__(self, document: Document, picture: Picture, caption: str, dialog: "TeachDialog"):
        super().__init__()
        self.picture = picture
        shown = label()
        shown.setFixedSize(THUMB)
        shown.setAlignment(Qt.AlignmentFlag.AlignCenter)
        pixmap = document.pixmap_now(picture.sha256, 2 * THUMB.width())
        if not pixmap.isNull():
            kept = Qt.AspectRatioMode.KeepAspectRatio
            shown.setPixmap(pixmap.scaled(THUMB, kept, Qt.TransformationMode.SmoothTransformation))
        self.caption = OneLineEdit(caption)
        describe(self.caption, f"Caption of {picture.name}", "The name, and what else this picture shows")
        gone = icon_button(f"Leave out {picture.name}", "close", act=lambda: dialog.leave_out(self))
        self.stops = (self.caption, gone)
        box = row(shown, *self.stops)
        box.setContentsMargins(0, 0, 0, 0)
        self.setLayout(box)


class TeachDialog(QDialog):
    """Pictures with their captions, the model, how long; what it takes is said before it starts."""

    def __init__(self, document: Document, member: Member, parent: QWidget | None = None):
        super().__init__(parent)
        self.document, self.member = document, member
        self.setWindowTitle(as_title(f"Teach @{member.name}"))
        self.setAcceptDrops(True)
        self.examples: list[Example] = []
        self.area, self.column = scroll_column("Pictures to learn from", GAP)
        self.column.setContentsMargins(0, 0, GAP, 0)
        self.column.addStretch(1)
        self.model = choice("Model", "Which model learns it", lambda _: self.refresh())
        for one in library.list_installed():
            if not one.problem:
                self.model.addItem(model_title(one.name), one.name)
        self.model.setCurrentIndex(max(0, self.model.findData(document.board.model or document.model)))
        self.steps = WholeField()
        self.steps.setRange(1, 100_000)
        self.steps.setSuffix(" steps")
        describe(self.steps, "Steps", "How long it learns; more is nearer to the pictures, and takes longer")
        self._own_steps = False
        self.steps.valueChanged.connect(self._choose_steps)
        self.told = label(tone="muted", wrap=True)
        self._lay_out()
        self.add(list(member.pictures))

    def _lay_out(self) -> None:
        words = (
            f"From {character.FEWEST} to {character.MOST} pictures a model learns how @{self.member.name} looks, and "
            "draws it wherever a prompt mentions it. Say in each caption what else the picture shows, such as a place."
        )
        buttons = Buttons(self, "Start", self.begin)
        self.start = buttons.main
        box = fill_dialog(self)
        box.addWidget(label(words, "muted", wrap=True))
        box.addWidget(self.area, 1)
        more = button("Add Pictures…", self._add_files, "plus")
        self._stops = (more, self.model, self.steps, self.start)
        choices = row(more, ROOM, self.model, self.steps)
        choices.setStretch(2, 1)
        box.addLayout(choices)
        box.addWidget(self.told)
        box.addWidget(buttons)
        size_window(self, 620, 600)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls() or event.mimeData().hasImage():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        event.acceptProposedAction()
        files = [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
        if files:
            self.add_files(files)
        else:
            self.add(picture_drag.pictures_in(event.mimeData(), self.document))

    def _add_files(self) -> None:
        self.add_files(choose_files(self, "Pictures to Learn From", FILTER))

    def add_files(self, files: list[str]) -> None:
        """Pictures with what lies beside them as their captions."""
        for file in files:
            caption = character.propose_caption(self.member.name, Path(file), [])
            self.add(self.document.import_pictures([file]), caption)

    def add(self, pictures: list[Picture], caption: str = "") -> None:
        """Those that are not there yet."""
        known = {one.picture.sha256 for one in self.examples}
        for picture in pictures:
            if picture.sha256 not in known:
                known.add(picture.sha256)
                made = Example(self.document, picture, caption or self.member.name, self)
                self.examples.append(made)
                self.column.insertWidget(self.column.count() - 1, made)
        order_tabs(*(stop for one in self.examples for stop in one.stops), *self._stops)
        self.refresh()

    def leave_out(self, example: Example) -> None:
        self.examples.remove(example)
        example.setParent(None)
        example.deleteLater()
        self.refresh()

    def refresh(self) -> None:
        """Say what it will take, or why it can't be."""
        if not self._own_steps:
            self.steps.blockSignals(True)
            self.steps.setValue(character.choose_steps(len(self.examples)))
            self.steps.blockSignals(False)
        try:
            folder = library.find(self.model.currentData()).folder
            said = character.forecast(folder, self._lesson())
            self.told.setText(f"{say_count(len(self.examples), 'picture')}. {said}")
        except FluxLocalError as error:
            self.told.setText(f"{error.message} {in_window(error.hint)}".strip())
            set_tone(self.told, "danger")
            self.start.setEnabled(False)
        else:
            set_tone(self.told, "muted")
            self.start.setEnabled(True)

    def _choose_steps(self) -> None:
        self._own_steps = True
        self.refresh()

    def _lesson(self) -> Lesson:
        files = tuple(str(self.document.picture_path(one.picture.sha256)) for one in self.examples)
        captions = tuple(one.caption.text() for one in self.examples)
        return Lesson(self.member.name, files, "", captions, self.steps.value())

    def begin(self) -> None:
        """The member keeps the pictures that were added here; the lesson goes into the queue."""
        known = {picture.sha256 for picture in self.member.pictures}
        new = tuple(one.picture for one in self.examples if one.picture.sha256 not in known)
        pictures = (*self.member.pictures, *new)
        lesson, member = self._lesson(), self.member
        change = partial(commands.set_member, member_id=member.id, pictures=pictures)
        if new and not self.document.do("Add Pictures", change):
            return
        try:
            self.document.teaching.start(
                member.id, lesson.pictures, lesson.captions or (), self.model.currentData(), self.steps.value()
            )
        except (FluxLocalError, Refused) as error:
            self.document.tell(error)
            return
        self.accept()


class Known(QWidget):
    """What a model has learned of a member: how it is used, how strongly it counts, and the button that forgets it."""

    def __init__(self, document: Document, member: Member, taught: Taught):
        super().__init__()
        self.document, self.member_id, self.taught = document, member.id, taught
        said = f"{model_title(taught.model)} knows it as “{taught.word}”"
        there = loras.find(taught.lora) is not None
        hint = USED if there else f"{taught.lora} is not in the library: the picture is shown to the model."
        words = label(f"{said}. {hint}", "muted", wrap=True)
        gone = icon_button(
            f"Forget {taught.lora}", "close", "Its picture is shown to the model again",
            lambda: self.document.teaching.forget(self.member_id, self.taught),
        )  # fmt: skip
        self.strength = StrengthField(f"Strength of {taught.lora}")
        self.strength.show_value(taught.strength)
        self.strength.chosen.connect(self._set_strength)
        self.strength.setVisible(there)
        first = row(words, gone)
        first.setStretch(0, 1)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addLayout(first)
        box.addWidget(self.strength)

    def show_taught(self, taught: Taught) -> None:
        """The same, with another strength."""
        self.taught = taught
        self.strength.show_value(taught.strength)

    def _set_strength(self, strength: float) -> None:
        change = partial(set_strength, member_id=self.member_id, taught=self.taught, strength=strength)
        self.document.do("Change Strength", change, f"taught {self.member_id} {self.taught.lora}")


def name_lesson(member: Member) -> str:
    """What begins one, such as Teach This Prop…"""
    return f"Teach This {member.role.capitalize()}…"


class TaughtBox(QWidget):
    """On the cast page: who knows the member, the lesson that runs, and the button that begins one."""

    def __init__(self, document: Document):
        super().__init__()
        self.document = document
        self.member: Member | None = None
        self.begin = button("Teach This Character…", self.open, "cast")
        self.begin.setToolTip("A model learns how it looks from 5 to 20 pictures")
        self.words = label(tone="muted", wrap=True)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("Progress of the lesson")
        self.stop = button("Stop", self._stop, "stop", "quiet")
        self.go_on = button("Go On", self._go_on, "play")
        self.go_on.setToolTip("The lesson goes on from its last checkpoint")
        self.discard = button("Discard", self._discard, "trash", "quiet")
        self.discard.setToolTip("Throw away what the lesson has learned so far")
        self.curve, self.samples = label(), label()
        self.curve.setAccessibleName("Curve of the loss")
        self.known = QVBoxLayout()
        self._lines: list[Known] = []
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(GAP)
        box.addLayout(self.known)
        box.addWidget(self.words)
        box.addWidget(self.progress)
        box.addLayout(row(self.go_on, self.discard, None))
        box.addLayout(row(self.begin, self.stop, None))
        box.addWidget(self.curve)
        box.addWidget(self.samples)
        document.teaching.changed.connect(lambda _: self._show_lesson())

    def open(self) -> None:
        """The dialog."""
        if self.member:
            dialog = TeachDialog(self.document, self.member, self.window())
            dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            dialog.open()

    def show_member(self, member: Member) -> None:
        """What is known of the member, and its lesson."""
        self.member = member
        self.begin.setText(name_lesson(member))
        if [_key(member.id, one) for one in member.taught] != [_key(one.member_id, one.taught) for one in self._lines]:
            for line in self._lines:
                self.known.removeWidget(line)
                line.deleteLater()
            self._lines = [Known(self.document, member, taught) for taught in member.taught]
            for line in self._lines:
                self.known.addWidget(line)
        for line, taught in zip(self._lines, member.taught, strict=True):
            line.show_taught(taught)
        self._show_lesson()

    def _stop(self) -> None:
        if self.member:
            self.document.teaching.stop(self.member.id)

    def _go_on(self) -> None:
        if self.member:
            self.document.teaching.go_on(self.member.id)

    def _discard(self) -> None:
        if self.member is None:
            return
        text = f"Discard what was learned of @{self.member.name} so far?"
        if sure(self, "Discard Lesson", text, "It can't be brought back.", "Discard"):
            self.document.teaching.discard(self.member.id)

    def _show_lesson(self) -> None:
        state = self.document.teaching.state(self.member.id) if self.member else None
        left = self.document.teaching.left(self.member.id) if self.member else None
        alive = state is not None and not state.over
        self.begin.setVisible(not alive)
        self.stop.setVisible(alive)
        self.words.setVisible(alive or left is not None)
        for one in (self.go_on, self.discard):
            one.setVisible(left is not None and not alive)
        if left and not alive:
            done, steps = count_steps(left.lesson), left.lesson.steps
            self.words.setText(f"{model_title(left.model)} was learning it, and stopped after step {done} of {steps}.")
        self.progress.setVisible(alive and state is not None and state.state == "running")
        if state and alive:
            self.words.setText(_say(state))
            self.progress.setRange(0, state.total)
            self.progress.setValue(state.step)
        _show_file(self.curve, curve_of(state) if state else "")
        painting, picture = state is not None and state.stage == "prior", state.preview or "" if state else ""
        describe(self.samples, *(KEPT if painting else SAMPLES))
        _show_file(self.samples, picture if painting == (Path(picture).parent.name == PRIOR) else "")


def _key(member_id: str, taught: Taught) -> tuple[str, Taught]:
    """Of the line that shows it, whatever the strength."""
    return member_id, replace(taught, strength=1.0)


def _say(state: JobState) -> str:
    if state.state == "waiting":
        return "The lesson waits in the queue."
    if state.cancelling:
        return "Stopping"
    doing = say_stage("prior") if state.stage == "prior" else "Learning"
    return f"{doing}: {running_words(PanelState('running', state.step, state.total, state.left, stage=state.stage))}"


def _show_file(target: QLabel, path: str) -> None:
    """A picture that a run has written, as wide as the page's side; nothing where there is none."""
    pixmap = QPixmap.fromImage(read(path, 0)) if path else QPixmap()
    target.setVisible(not pixmap.isNull())
    if not pixmap.isNull():
        target.setPixmap(pixmap.scaledToWidth(CURVE, Qt.TransformationMode.SmoothTransformation))
