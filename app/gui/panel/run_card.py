"""A card over the foot of the picture: why a run failed and what to do."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from mlx_model.errors import Hint

from ..kit.measures import GAP, HAIR, WIDE
from ..kit.widgets import PushButton, describe, icon_button, label
from ..kit.words import in_window

WIDEST = 520


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
