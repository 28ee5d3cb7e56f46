"""Restore points: earlier states of the board, one of which can be brought back."""

from datetime import UTC, datetime

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from mlx_model.errors import FluxLocalError

from ..document.document import Document
from ..kit.widgets import label

POINT = Qt.ItemDataRole.UserRole


class RestoreDialog(QDialog):
    """Lists the restore points, newest first. Restoring is a step that undo takes back."""

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document = document
        self.setWindowTitle("Restore an Earlier State")
        self.list = QListWidget()
        self.list.setAccessibleName("Earlier states")
        for point in document.file.restore_points():
            item = QListWidgetItem(f"{point.when.astimezone():%A %d %B, %H:%M}   {ago(point.when)}")
            item.setData(POINT, point)
            self.list.addItem(item)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.ok = buttons.addButton("Restore", QDialogButtonBox.ButtonRole.AcceptRole)
        self.ok.setEnabled(self.list.count() > 0)
        buttons.accepted.connect(self.restore)
        buttons.rejected.connect(self.reject)
        self.list.itemActivated.connect(lambda _: self.restore())
        self.list.setCurrentRow(0)
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 20, 24, 20)
        box.setSpacing(12)
        none = "There is none yet: one is kept every few minutes while you work."
        some = "Today's state is kept too, and undo takes you back to it."
        box.addWidget(label(some if self.list.count() else none, "muted", wrap=True))
        box.addWidget(self.list)
        box.addWidget(buttons)
        self.resize(460, 420)

    def restore(self) -> None:
        """Bring the chosen state back."""
        item = self.list.currentItem()
        if item is None:
            return
        try:
            board = self.document.file.restore(item.data(POINT))
        except FluxLocalError as error:
            self.document.message.emit(error.message, error.hint)
            self.reject()
            return
        self.document.do("Restore Earlier State", board)
        self.accept()


def ago(when: datetime, now: datetime | None = None) -> str:
    """Such as "12 minutes ago"."""
    minutes = round(((now or datetime.now(UTC)) - when).total_seconds() / 60)
    if minutes < 1:
        return "just now"
    for count, word in ((minutes // 1440, "day"), (minutes // 60, "hour"), (minutes, "minute")):
        if count:
            return f"{count} {word}{'s' if count > 1 else ''} ago"
    return ""
