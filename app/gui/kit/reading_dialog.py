"""What stands over the window while many pictures are read: how far it is, and a way to stop."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QApplication, QDialog, QProgressBar, QVBoxLayout

from .widgets import button, label, row


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
