"""Messages at the foot of the window: what happened and what to do. They never block and never pile up."""

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QAccessible, QAccessibleEvent
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from mlx_model.errors import Hint

from .widgets import button, icon_button, label, row
from .words import in_window

READ = 70  # ms of showing for each letter
LEAST = 6000


class Toasts(QFrame):
    """One message at a time, over the lower edge of `parent`; the same message twice is one."""

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self.setObjectName("toast")
        self.setAccessibleName("Message")
        self.title, self.hint = QLabel(), QLabel()
        for line in (self.title, self.hint):  # names of files stand in them: never read as HTML
            line.setTextFormat(Qt.TextFormat.PlainText)
        self.title.setWordWrap(True)
        self.hint.setWordWrap(True)
        self.hint.setProperty("tone", "muted")
        dismiss = icon_button("Dismiss message", "close", act=self.hide)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self.title)
        words.addWidget(self.hint)
        box = QHBoxLayout(self)
        box.setContentsMargins(14, 10, 8, 10)
        self.offer = button("", self._accept_offer)
        self._offered: Callable[[], None] | None = None
        box.addLayout(words, 1)
        box.addWidget(self.offer)
        box.addWidget(dismiss)
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self.hide)
        self._over = parent
        parent.installEventFilter(self)
        self.hide()

    def say(
        self, text: str, hint: Hint = "", good: bool = False, offer: tuple[str, Callable[[], None]] | None = None
    ) -> None:
        """Show a message; errors stay longer than news. `offer`: the words of a button and what it does."""
        words = in_window(hint)
        self._offered = offer[1] if offer else None
        self.offer.setText(offer[0] if offer else "")
        self.offer.setVisible(offer is not None)
        self.title.setText(text)
        self.hint.setText(words)
        self.hint.setVisible(bool(words))
        self.setProperty("good", "true" if good else "false")
        self.style().unpolish(self)
        self.style().polish(self)
        self._timer.start(max(LEAST, READ * len(text + words)) * (1 if good else 2))
        self.show()
        self._place()
        self.raise_()
        self.setAccessibleDescription(f"{text} {words}".strip())
        QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.Alert))

    def _accept_offer(self) -> None:
        self.hide()
        if self._offered:
            self._offered()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _place(self) -> None:
        room = self._over.rect()
        width = min(620, room.width() - 48)
        height = self.heightForWidth(width)
        self.setGeometry((room.width() - width) // 2, room.height() - height - 20, width, height)


class ReadingDialog(QDialog):
    """Modal, so that nothing that is asked for meanwhile can meet a half-finished drop."""

    stop_asked = Signal()

    def __init__(self, count: int):
        super().__init__(QApplication.activeWindow())
        self.setWindowTitle("Reading Pictures")
        self.setWindowModality(Qt.WindowModality.ApplicationModal)
        self.words, self.bar = label(), QProgressBar()
        self.bar.setRange(0, count if count > 1 else 0)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName("Pictures read")
        self.stop = button("Stop", self.reject)
        self.stop.setVisible(count > 1)  # one thing can't be stopped halfway
        box = QVBoxLayout(self)
        box.setContentsMargins(20, 18, 20, 16)
        box.setSpacing(10)
        box.addWidget(self.words)
        box.addWidget(self.bar)
        box.addLayout(row(None, self.stop))
        self.setMinimumWidth(340)

    def show_done(self, done: int) -> None:
        """How many pictures are read."""
        count = self.bar.maximum()
        self.bar.setValue(done)
        self.words.setText(f"Reading picture {min(done + 1, count)} of {count}" if count else "Reading")

    def reject(self) -> None:
        """Esc and the button: the pictures that are read already stay."""
        self.stop.setEnabled(False)
        self.stop_asked.emit()


def sure(parent: QWidget, title: str, text: str, more: str, go: str, stay: str = "Cancel") -> bool:
    """Whether the button `go` was pressed. Names of files, scenes and people in the words are never read as HTML."""
    box = QMessageBox(QMessageBox.Icon.Question, title, text, parent=parent)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setInformativeText(more)
    yes = box.addButton(go, QMessageBox.ButtonRole.DestructiveRole)
    box.setDefaultButton(box.addButton(stay, QMessageBox.ButtonRole.RejectRole))
    box.exec()
    box.deleteLater()
    return box.clickedButton() is yes
