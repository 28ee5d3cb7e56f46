"""Questions before something is lost: buttons say what they do, Esc and Return leave things as they are."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QWidget


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
