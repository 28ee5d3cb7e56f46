"""Messages at the foot of the window: what happened and what to do. They never block and never pile up."""

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QAccessible, QAccessibleEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from . import icons
from .hints import in_window

READ = 70  # ms of showing for each letter
LEAST = 6000


class Toasts(QFrame):
    """One message at a time, over the lower edge of `parent`; the same message twice is one."""

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self.setObjectName("toast")
        self.setAccessibleName("Message")
        self.title, self.hint = QLabel(), QLabel()
        for words in (self.title, self.hint):  # names of files stand in them: never read as HTML
            words.setTextFormat(Qt.TextFormat.PlainText)
        self.title.setWordWrap(True)
        self.hint.setWordWrap(True)
        self.hint.setProperty("tone", "muted")
        dismiss = QToolButton()
        dismiss.setAccessibleName("Dismiss message")
        dismiss.setToolTip("Dismiss")
        icons.dress(dismiss, "close")
        dismiss.clicked.connect(self.hide)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self.title)
        words.addWidget(self.hint)
        box = QHBoxLayout(self)
        box.setContentsMargins(14, 10, 8, 10)
        box.addLayout(words, 1)
        box.addWidget(dismiss)
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self.hide)
        parent.installEventFilter(self)
        self.hide()

    def say(self, text: str, hint: str = "", good: bool = False) -> None:
        """Show a message; errors stay longer than news."""
        hint = in_window(hint)
        self.title.setText(text)
        self.hint.setText(hint)
        self.hint.setVisible(bool(hint))
        self.setProperty("good", "true" if good else "false")
        self.style().unpolish(self)
        self.style().polish(self)
        self._timer.start(max(LEAST, READ * len(text + hint)) * (1 if good else 2))
        self.show()
        self._place()
        self.raise_()
        self.setAccessibleDescription(f"{text} {hint}".strip())
        QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.Alert))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _place(self) -> None:
        room = self.parentWidget().rect()
        width = min(620, room.width() - 48)
        height = self.heightForWidth(width)
        self.setGeometry((room.width() - width) // 2, room.height() - height - 20, width, height)
