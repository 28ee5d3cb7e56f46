"""The button that starts a run, how many takes it makes, live mode; while it runs, how far it is; why it failed."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QProgressBar, QStackedLayout, QVBoxLayout, QWidget

from mlx_model.errors import Hint

from ...base.words import say_left, say_stage
from ..document.runs import PanelState
from ..kit import icons
from ..kit.fields import choice
from ..kit.measures import GAP, HAIR, WIDE
from ..kit.widgets import OneLine, PushButton, describe, icon_button, key_text, label
from ..kit.words import in_window

COUNTS = (1, 2, 4, 8)
WIDTH, HEIGHT, BETWEEN = 172, 36, 6  # of the bar, of one of its two rows, between them
WIDEST = 520  # px: of the card


class RenderBar(QWidget):
    """Knows nothing of boards: it is told a state, and asks for runs."""

    render_asked = Signal(int)  # how many takes
    cancel_asked = Signal()
    live_toggled = Signal(bool)

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.setFixedSize(WIDTH, 2 * HEIGHT + BETWEEN)
        self.stack = QStackedLayout(self)
        self.stack.addWidget(self._idle())
        self.stack.addWidget(self._busy())

    def _idle(self) -> QWidget:
        page = QWidget(self)
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(BETWEEN)
        self.button = PushButton("Render")
        self.button.setProperty("kind", "primary")
        self.button.setFixedHeight(HEIGHT)
        self.button.clicked.connect(lambda: self.render_asked.emit(self.count))
        icons.dress(self.button, "render", "primary")
        describe(self.button, "Render", key_text("Ctrl+Return"))
        column.addWidget(self.button)
        column.addLayout(self._options())
        return page

    def _options(self) -> QHBoxLayout:
        self.counts: QComboBox = choice("How many takes", "They differ by their seed", lambda _: None)
        for count in COUNTS:
            self.counts.addItem(f"× {count}", count)
        self.counts.setMinimumContentsLength(3)
        self.counts.setFixedSize(70, HEIGHT)
        self.live = icon_button(
            "Live", "live", "A draft while you type or paint, the full picture when you pause", checkable=True
        )
        self.live.setText(" Live")
        self.live.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.live.setFixedHeight(HEIGHT)
        self.live.toggled.connect(self.live_toggled)
        self.live.toggled.connect(lambda on: icons.dress(self.live, "live", "on" if on else "normal"))
        row = QHBoxLayout()
        row.setSpacing(BETWEEN)
        row.addWidget(self.counts)
        row.addStretch(1)
        row.addWidget(self.live)
        return row

    def _busy(self) -> QWidget:
        page = QWidget(self)
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(BETWEEN)
        self.progress_text = OneLine()
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("Progress")
        self.cancel = PushButton("Cancel")
        self.cancel.setFixedHeight(HEIGHT)
        describe(self.cancel, "Cancel", "Stops within one step; nothing is lost")
        self.cancel.clicked.connect(self.cancel_asked)
        for part in (self.progress_text, self.progress, self.cancel):
            column.addWidget(part)
        return page

    @property
    def count(self) -> int:
        """How many takes the next run makes."""
        return int(self.counts.currentData())

    def set_words(self, text: str, hint: str, usable: bool) -> None:
        """What the button is called now; the hint says what a run needs, or why there can be none."""
        self.button.setText(text)
        self.button.setEnabled(usable)
        describe(self.button, text, f"{key_text('Ctrl+Return')}\n{hint}".strip() if usable else hint)

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
    """Such as Step 3 of 16 · 12 s left, or with others behind it Step 3 of 16 · 2 more."""
    if state.state == "queued":
        text = "Waiting: the queue is paused" if state.paused else "Waiting in the queue"
    elif state.step and state.stage in ("", "denoise"):
        text = f"Step {state.step} of {state.total}"
    else:
        text = say_stage(state.stage or "starting")
    more = f"{state.waiting} more" if state.waiting else say_left(state.left) if state.step else ""
    return " · ".join(part for part in (text, more) if part)


class RunCard(QFrame):
    """Centred at the foot of its parent, which stays as it is; hidden unless there is something to say."""

    acted = Signal()  # the button
    dismissed = Signal()

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self.setObjectName("toast")
        self.setAutoFillBackground(True)
        row = QHBoxLayout(self)
        row.setContentsMargins(WIDE, WIDE, WIDE, WIDE)
        words = QVBoxLayout()
        words.setSpacing(HAIR)
        self.message, self.hint = label(wrap=True), label(tone="muted", wrap=True)
        words.addWidget(self.message)
        words.addWidget(self.hint)
        self.button = PushButton("Try Again")
        self.button.clicked.connect(self.acted)
        self.close_button = icon_button("Dismiss", "close", act=self.dismissed.emit)
        row.addLayout(words, 1)
        row.addWidget(self.button)
        row.addWidget(self.close_button)
        self._over, self._row = parent, row
        self.hide()

    def say(self, message: str, hint: Hint, action: str) -> None:
        """Show a message with a button called `action`."""
        words = in_window(hint)
        self.message.setText(message)
        self.hint.setText(words)
        self.hint.setVisible(bool(words))
        self.button.setText(action)
        describe(self.button, action)
        self.setAccessibleName(f"{message} {words}".strip())
        self.show()
        self.place()

    def place(self) -> None:
        """At the foot of the parent, as wide as fits."""
        room = self._over.rect().adjusted(2 * GAP, 2 * GAP, -2 * GAP, -2 * GAP)
        width = min(WIDEST, room.width())
        height = max(self._row.heightForWidth(width), self.minimumSizeHint().height())
        self.setGeometry(room.left() + (room.width() - width) // 2, room.bottom() - height, width, height)
        self.raise_()
