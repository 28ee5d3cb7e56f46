"""The foot of the side: what a run will need, the button that starts it, how far it is, live mode."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from ...base.words import say_duration, say_stage
from ..document.forecast import Forecast
from ..document.runs import PanelState
from ..kit import icons
from ..kit.fields import choice
from ..kit.widgets import PushButton, describe, icon_button, key_text, label, set_tone
from ..kit.words import in_window

COUNTS = (1, 2, 4, 8)


class RenderBar(QWidget):
    """Knows nothing of boards: it is told a forecast and a state, and asks for runs."""

    render_asked = Signal(int)  # how many takes
    cancel_asked = Signal()
    live_toggled = Signal(bool)
    settings_asked = Signal()  # to change what does not fit
    anyway_asked = Signal()  # to run what will not fit, as predicted

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        self.forecast: QLabel = label(tone="muted")
        self.forecast.setWordWrap(True)
        column.addWidget(self.forecast)
        column.addLayout(self._ways_out())
        self.note: QLabel = label(tone="muted")
        self.note.setWordWrap(True)
        self.note.hide()
        column.addWidget(self.note)
        self.stack = QStackedLayout()
        column.addLayout(self.stack)  # first: its first widget would be a window for a moment, and close menus
        self.stack.addWidget(self._idle())
        self.stack.addWidget(self._busy())

    def _ways_out(self) -> QHBoxLayout:
        """What can be done about a run that will not fit."""
        self.change, self.anyway = PushButton("Change Settings"), PushButton("Run Anyway")
        describe(self.change, "Change Settings", "Size, steps and model of this panel")
        describe(
            self.anyway,
            "Run Anyway",
            "The forecast may be wrong. The computer may become slow, or the run fail; the board is safe",
        )
        self.anyway.setProperty("kind", "quiet")
        self.change.clicked.connect(self.settings_asked)
        self.anyway.clicked.connect(self.anyway_asked)
        row = QHBoxLayout()
        row.setSpacing(6)
        for way in (self.change, self.anyway):
            way.hide()
            row.addWidget(way, 1)
        return row

    def _idle(self) -> QWidget:
        page = QWidget()
        row = QHBoxLayout(page)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        self.button = PushButton("Render")
        self.button.setProperty("kind", "primary")
        self.button.setMinimumHeight(36)
        self.button.clicked.connect(lambda: self.render_asked.emit(self.count))
        icons.dress(self.button, "render", "primary")
        describe(self.button, "Render", key_text("Ctrl+Return"))
        self.counts: QComboBox = choice("How many takes", "Variations differ by their seed", lambda _: None)
        for count in COUNTS:
            self.counts.addItem(f"× {count}", count)
        self.counts.setMinimumContentsLength(3)
        self.counts.setFixedSize(66, 36)  # every pixel more is one less for the words on the button
        self.live = icon_button(
            "Live", "live", "Renders while you type or paint; the latest change wins", checkable=True
        )
        self.live.setText(" Live")
        self.live.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.live.setFixedHeight(36)
        self.live.toggled.connect(self.live_toggled)
        self.live.toggled.connect(lambda on: icons.dress(self.live, "live", "on" if on else "normal"))
        row.addWidget(self.button, 1)
        row.addWidget(self.counts)
        row.addWidget(self.live)
        return page

    def _busy(self) -> QWidget:
        page = QWidget()
        row = QHBoxLayout(page)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        words = QVBoxLayout()
        words.setSpacing(4)
        self.progress_text = label()
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("Progress")
        words.addStretch(1)
        words.addWidget(self.progress_text)
        words.addWidget(self.progress)
        words.addStretch(1)
        self.cancel = PushButton("Cancel")
        self.cancel.setMinimumHeight(36)
        describe(self.cancel, "Cancel", "Stops within one step; nothing is lost")
        self.cancel.clicked.connect(self.cancel_asked)
        row.addLayout(words, 1)
        row.addWidget(self.cancel)
        return page

    @property
    def count(self) -> int:
        """How many takes the next run makes."""
        return int(self.counts.currentData())

    def set_forecast(self, forecast: Forecast, refusal: str = "", mild: bool = False) -> None:
        """Say before the run what it needs, or why there can be none; what would do instead is in the same line.

        A `mild` refusal is nothing wrong: the artist has only not come to it yet.
        """
        misfit = forecast.fits is False
        text = f"{forecast.text} {in_window(forecast.hint)}".strip() if misfit or not refusal else refusal
        self.forecast.setText(text)
        self.forecast.setVisible(bool(text))
        self.change.setVisible(misfit)
        self.anyway.setVisible(forecast.predicted)
        set_tone(self.forecast, "danger" if misfit else "warning" if refusal and not mild else "muted")
        can = not misfit and not refusal
        self.button.setEnabled(can)
        describe(self.button, self.button.text(), key_text("Ctrl+Return") if can else text)

    def set_note(self, text: str) -> None:
        """Why a live run can't start yet, "" for nothing."""
        self.note.setText(text)
        self.note.setVisible(bool(text))

    def set_words(self, again: bool, changes: bool) -> None:
        """Name the button by what it does now."""
        self.button.setText("Apply Change" if changes else "Render Again" if again else "Render")
        self.button.setAccessibleName(self.button.text())

    def set_state(self, state: PanelState, live: bool) -> None:
        """Show how far the panel's run is. In live mode the button stays, as runs come and go."""
        busy = state.busy and not live
        had = self.button.hasFocus() or self.cancel.hasFocus()
        self.stack.setCurrentIndex(1 if busy else 0)
        if had:
            (self.cancel if busy else self.button).setFocus(Qt.FocusReason.OtherFocusReason)
        if busy:
            self._show_progress(state)

    def _show_progress(self, state: PanelState) -> None:
        self.progress.setRange(0, state.total if state.step else 0)
        if state.step:
            self.progress.setValue(state.step)
        self.progress_text.setText(words_of(state))
        self.progress.setAccessibleDescription(self.progress_text.text())


def words_of(state: PanelState) -> str:
    """Such as Step 3 of 16 · 12 s left · 2 more."""
    if state.state == "queued":
        text = "Waiting: the queue is paused" if state.paused else "Waiting in the queue"
    elif state.step and state.stage in ("", "denoise"):
        text = f"Step {state.step} of {state.total}"
    else:
        text = say_stage(state.stage or "starting")
    left = say_duration(state.left) if state.left and state.step else ""
    more = f"{state.waiting} more" if state.waiting else ""
    return " · ".join(part for part in (text, f"{left} left" if left else "", more) if part)
