"""Under the picture: change it, or make one from words; from which start, by which words; and the button to render."""

from collections.abc import Callable

from msgspec.structs import replace
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from mlx_model.errors import FluxLocalError
from mlx_model.writing import is_short

from ...base.words import say_count
from ...board import commands
from ...board.data import Source
from ...board.seen import find_mask, look, see
from ...board.take_job import is_repeat
from ...engine.jobs import Job
from ..document.document import Document
from ..document.forecast import Forecast, PanelModel, attempt, forecast
from ..document.panel_part import PanelPart
from ..document.runs import PanelState
from ..kit.measures import GAP
from ..kit.widgets import OneLine, as_action, button, describe, key_text, label, row, set_tone
from ..kit.words import in_window, say_unknown
from ..prompt.instruction_box import InstructionBox
from .boxing import tell_boxes
from .fields import StartBox
from .pen import Pen
from .render_bar import RenderBar
from .starts import Starts, name_start, starts_from_seen

LOW, HIGH = 78, 116  # height of words and start, in px; on a tall screen
TALL = 900  # px: of the window's page
PLACE = 90  # px of width: with less room its sign alone stands for a place
NARROW = 600  # px of width: another start stands in the last row
KEPT_DRAFT = "The picture of this draft in full size and steps is made, and becomes a take"


class EditBar(PanelPart, QWidget):
    """Writes a panel's words and start through the document. `model` is what it is rendered with, to be set before."""

    settings_asked = Signal()  # to change what does not fit
    anyway_asked = Signal()  # to run what will not fit, as predicted
    keep_asked, discard_asked = Signal(), Signal()  # the live picture

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document, self.model = document, PanelModel()
        self._note, self._live, self._refusal, self._mild, self._repeats = "", "", "", False, False
        self.starts = Starts()
        self.start, self.text, self.render_bar = StartBox(document), InstructionBox(document), RenderBar()
        self.pen = Pen(document, self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, GAP, 0)
        column.setSpacing(GAP)
        column.addLayout(self._choices())
        column.addLayout(row(self.start, self.text, self.render_bar))
        column.addLayout(self._foot())
        column.addLayout(self._misfit())
        self._set_height(LOW)
        self.text.edited.connect(self._write)
        self.text.cursorPositionChanged.connect(self._show_hint)
        self.text.undo_asked.connect(document.undo)
        self.text.redo_asked.connect(document.redo)

    def _choices(self) -> QHBoxLayout:
        self.to_change = _choice("Change this picture", "brush", "Say what is to be different in it", self._change)
        hint = "Change the picture beside the words, not the one above"
        self.from_other = _choice("Start from another picture", "history", hint, self._start_other)
        self.to_make = _choice("New from words", "render", "Say what is to be seen in a new picture", self._make)
        self.place = button("", self._turn_place, "place", "choice")
        self.place.setCheckable(True)
        self.masked = button("", self.clear_mask, "clear", "choice")
        self.masked.setCheckable(True)
        self._top = row(self.to_change, self.from_other, self.to_make, self.place, self.masked, None, spacing=GAP)
        return self._top

    def _foot(self) -> QHBoxLayout:
        """One line, always there: what helps, what is wrong, what lies on the picture."""
        self.hint = OneLine(tone="muted")
        self.keep = button("Keep as Take", self.keep_asked.emit, kind="quiet")
        self.discard = button("Discard", self.discard_asked.emit, kind="quiet")
        describe(self.discard, "Discard", "The live picture: the take comes back")
        self.remove_placed = button("", self.clear_placed, kind="quiet")
        self.hint.setFixedHeight(self.remove_placed.sizeHint().height())
        self.box_words = OneLine(tone="muted")
        self.remove_boxes = button("Remove Boxes", self.clear_boxes, kind="quiet")
        describe(self.remove_boxes, "Remove boxes", "All that say what is to be where")
        self._last = row(
            self.hint, self.keep, self.discard, *self.pen.parts(), self.box_words, self.remove_boxes,
            self.remove_placed,
        )  # fmt: skip
        for part in (self.hint, self.pen.told):
            self._last.setStretchFactor(part, 1)
        return self._last

    def _misfit(self) -> QHBoxLayout:
        """What can be done about a run that will not fit."""
        self.misfit: QLabel = label(tone="danger", wrap=True)
        self.change_settings = button("Change Settings", self.settings_asked.emit)
        describe(self.change_settings, "Change Settings", "Size, steps and model of this panel")
        self.anyway = button("Run Anyway", self.anyway_asked.emit, kind="quiet")
        describe(
            self.anyway,
            "Run Anyway",
            "The forecast may be wrong. The computer may become slow, or the run fail; the board is safe",
        )
        ways = row(self.misfit, self.change_settings, self.anyway)
        ways.setStretchFactor(self.misfit, 1)
        return ways

    def controls(self) -> list[QWidget]:
        """What takes the keyboard, in its order."""
        bar = self.render_bar
        choices = [self.to_change, self.from_other, self.to_make, self.place, self.masked, self.start, self.text]
        return [*choices, bar.button, bar.counts, bar.live, bar.cancel, self.keep, self.discard, *self.pen.parts(),
                self.remove_boxes, self.remove_placed, self.change_settings, self.anyway]  # fmt: skip

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._set_height(HIGH if self.window().height() >= TALL else LOW)
        if self.width() < NARROW:
            self._last.addWidget(self.from_other)
        else:
            self._top.insertWidget(1, self.from_other)
        if self.panel_id:
            self._show_mask()
            self._show_place()

    def _set_height(self, height: int) -> None:
        self.text.setFixedHeight(height)
        self.start.setFixedSize(height, height)

    # Showing

    def show_panel(self, panel_id: str) -> None:
        self.panel_id, self._note = panel_id, ""
        self.show_live("")
        self.start.show_panel(panel_id)
        self.pen.panel_id = panel_id
        self.refresh()

    def refresh(self) -> None:
        panel, board = self.panel, self.document.board
        changes = panel.source.kind != "blank"
        self.start.refresh()
        self.pen.model = self.model
        self.pen.refresh()
        self.start.setVisible(changes)
        self._show_choice(changes)
        self._show_mask()
        self._show_place()
        self._show_placed()
        self._show_boxes()
        self.text.set_context(board, see(board, panel), changes)
        self.text.set_text(panel.written_out.text if panel.written_out else getattr(panel, panel.words_field))
        self._show_forecast(forecast(board, panel, self.model))

    def _show_choice(self, changes: bool) -> None:
        """Which of the three is done; another start than the picture that is seen is named."""
        board, panel = self.document.board, self.panel
        seen, other = changes and starts_from_seen(board, panel), self.starts.find_other(board, panel)
        if other:
            self.from_other.setText(as_action(f"Start from {name_start(board, panel, other)}"))
            describe(self.from_other, self.from_other.text(), self.from_other.accessibleDescription())
        self.from_other.setVisible(other is not None)
        self.from_other.setChecked(changes and not seen and other is not None)
        self.to_change.setChecked(changes and (seen or other is None))
        self.to_make.setChecked(not changes)
        self.to_change.setEnabled(self.starts.find_seen(board, panel) is not None)

    def _show_place(self) -> None:
        """Where the scene is, as the heading has it: pressed, it is added to the words of a new picture.

        Where there is little room its sign and its hint say so.
        """
        place = look(self.document.board).find_place(self.panel)
        self.place.setVisible(bool(place))
        self.place.setChecked(self.panel.in_place)
        self.place.setText("")  # which has the width of its sign
        others = [one for one in self._list_top() if one.isVisibleTo(self)]
        room = self.width() - GAP - sum(one.sizeHint().width() + GAP for one in others)
        text = self.place.fontMetrics().elidedText(place, Qt.TextElideMode.ElideRight, room)
        self.place.setText(as_action(text) if text == place or room >= PLACE else "")
        describe(
            self.place, f"Place: {place}", "The scene's place is added to the words of this panel. Press to change"
        )

    def _list_top(self) -> list[QWidget]:
        items = [self._top.itemAt(place) for place in range(self._top.count())]
        return [one for item in items if item and (one := item.widget())]

    def _turn_place(self) -> None:
        self.change("Take Place Off" if self.panel.in_place else "Add Place", in_place=not self.panel.in_place)

    def _show_mask(self) -> None:
        """Among the choices of what Render does: lit where the run keeps to it; one that it does not use is said.

        Where there is little room its sign and its hint say so.
        """
        used = find_mask(self.document.board, self.panel) is not None
        words = "Only inside the mask" if used else "The mask is not used"
        why = "The next picture changes only there" if used else "It was painted on another picture"
        self.masked.setVisible(self.panel.mask is not None)
        self.masked.setChecked(used)
        self.masked.setText(words if self.width() >= NARROW else "")
        describe(self.masked, words, f"{why}. Press to remove the mask")

    def _show_placed(self) -> None:
        placed = self.panel.placed
        self.remove_placed.setText(f"Remove {say_count(len(placed), 'Layer')}")
        describe(self.remove_placed, self.remove_placed.text(), "All that is placed and painted on the picture")
        self.remove_placed.setVisible(bool(placed))

    def _show_boxes(self) -> None:
        told, used = tell_boxes(self.panel, self.model)
        self.box_words.setText(told)
        set_tone(self.box_words, "muted" if used else "warning")
        for part in (self.box_words, self.remove_boxes):
            part.setVisible(bool(told))

    def _show_forecast(self, needed: Forecast) -> None:
        """Before the run: what it needs, or why there can be none and what would do instead."""
        misfit = needed.fits is False
        tried = attempt(self.document.board, self.panel, self.model, self.document.picture_path)
        self._refusal, self._mild = self._find_refusal(tried), not self.panel.words.strip()
        self.misfit.setText(f"{needed.text} {in_window(needed.hint)}".strip() if misfit else "")
        self.misfit.setVisible(misfit)
        self.change_settings.setVisible(misfit)
        self.anyway.setVisible(needed.predicted)
        usable = not misfit and not self._refusal
        self._repeats = isinstance(tried, Job) and is_repeat(tried, self.panel)
        words = "Render Again" if self._repeats else "Render"
        self.render_bar.set_words(words, needed.text if usable else self.misfit.text() or self._refusal, usable)
        self._show_hint()

    def _find_refusal(self, tried: Job | FluxLocalError | None) -> str:
        panel, document = self.panel, self.document
        over = sum(one.picture is not None for one in see(document.board, panel)) - self.model.limit
        if self.model.limit and over > 0:  # the line under the pictures says the rest
            return f"{say_count(over, 'picture')} too many."
        if not isinstance(tried, FluxLocalError) or self.text.highlighter.problem:  # a mention is told as such
            return ""
        return f"{tried.message} {in_window(tried.hint)}".strip()

    def tells(self, state: PanelState) -> bool:
        """Whether the line below the words says already why there was no picture."""
        shown = self.text.problem or self.misfit.text() or ("" if self._mild else self._refusal)
        return bool(shown) and (not state.job or state.reason in shown)

    def set_note(self, text: str) -> None:
        """Why a live run can't start yet, "" for nothing."""
        self._note = text
        self._show_hint()

    def show_live(self, words: str, draft: bool = False) -> None:
        """A live picture is seen, of which `words` tell, and may be kept; "" for none. Nothing moves for it."""
        self._live = words
        self.keep.setText(as_action("Keep Full Picture" if draft else "Keep as Take"))
        describe(self.keep, self.keep.text(), KEPT_DRAFT if draft else "The live picture as it is seen")
        if not words and (self.keep.hasFocus() or self.discard.hasFocus()):
            self.text.setFocus()
        for part in (self.keep, self.discard):
            part.setVisible(bool(words))
        self._show_hint()

    def _show_hint(self) -> None:
        problem = self.text.problem
        wrong = problem or self._note or self._refusal
        lacking = self._find_need()
        self.hint.setText(wrong or self._live or lacking or f"@ mentions a picture · {key_text('Ctrl+Return')} renders")
        linked = not wrong and self.from_other.isChecked() and self.panel.source.panel  # as it is meant to be
        calm = not (wrong or lacking) or (self._live and not wrong) or (wrong == self._refusal and self._mild) or linked
        set_tone(self.hint, "danger" if problem else "muted" if calm else "warning")

    def _find_need(self) -> str:
        """That another picture than the one above is changed; that the model knows no such place, wants more words."""
        if self.from_other.isChecked() and self.panel.words.strip() and not self._repeats:
            name = name_start(self.document.board, self.panel, self.panel.source)
            return f"This starts from {name}, not from the picture above"
        spec, words = self.model.spec, self.panel.words
        if place := look(self.document.board).find_unknown(self.panel, spec):
            return say_unknown([place], self.model.subject)
        needed = spec and spec.needs_writer and words.strip() and is_short(words) and not self.panel.written_out
        return f"{self.model.title} makes generic pictures of a few words: the pen writes them out" if needed else ""

    # Changing

    def _write(self, text: str) -> None:
        if self.pen.edit(text):
            return
        field = self.panel.words_field
        self.change("Edit Instruction", f"{field} {self.panel_id}", **{field: text})

    def _change(self) -> None:
        self._start_from("Change This Picture", self.starts.find_seen(self.document.board, self.panel))

    def _start_other(self) -> None:
        self._start_from("Change Start", self.starts.find_other(self.document.board, self.panel))

    def _make(self) -> None:
        self._start_from("New from Words", Source())

    def _start_from(self, what: str, source: Source | None) -> None:
        """A mask that is seen on the picture stays: it is the same part that one goes on with."""
        panel = self.panel
        if source and source != panel.source:
            kept = find_mask(self.document.board, replace(panel, source=source))
            self.starts.leave(panel)
            self.change(what, source=source, mask=kept)
        self.write()

    def write(self) -> None:
        """The keyboard to the words; what is typed takes the place of what is there."""
        self._show_choice(self.panel.source.kind != "blank")  # also of the one that is pressed once more
        self.text.setFocus()
        self.text.selectAll()

    def clear_placed(self) -> None:
        """The picture alone, as it is."""
        self.change("Remove Placed Pictures", placed=())

    def clear_boxes(self) -> None:
        """Nothing says any more what is to be where."""
        self.change("Remove Boxes", boxes=())

    def clear_mask(self) -> None:
        """Let everything change again; the keys go where the button was."""
        if self.masked.hasFocus():
            self.text.setFocus()
        self.document.do("Remove Mask", lambda board: commands.set_mask(board, self.panel_id, None))


def _choice(text: str, icon: str, hint: str, act: Callable[[], object]) -> QPushButton:
    made = button(text, act, icon, "choice")
    made.setCheckable(True)
    describe(made, text, hint)
    return made
