"""Logging in to the hub: a token that is pasted, and where it is kept is said."""

from PySide6.QtWidgets import QDialog, QLineEdit, QWidget

from mlx_model.errors import RequestError

from ...models import access
from ..kit.dialog import Buttons, fill_dialog
from ..kit.links import open_page
from ..kit.widgets import OneLineEdit, button, describe, label, row
from ..kit.words import in_window

WHY = (
    "Some models are only for people who have agreed to their licence on their page. Hugging Face knows you by a "
    "token: make one there (the right to read is enough) and paste it here."
)
WHERE = "It is kept in this computer's keychain and sent to Hugging Face alone."
KEPT, FOR_NOW = "Logged in.", "Logged in until Flux Local is closed: this computer has no keychain that could keep it."


class LogIn(QDialog):
    """Asks for a token; `said` is what to tell afterwards."""

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self.said = ""
        self.setWindowTitle("Log In to Hugging Face")
        self.field = OneLineEdit()
        self.field.setEchoMode(QLineEdit.EchoMode.Password)
        self.field.setPlaceholderText("hf_…")
        describe(self.field, "Token", "Begins with hf_")
        self.wrong = label(tone="danger", wrap=True)
        self.wrong.hide()
        page = button("Make a Token…", lambda: open_page(access.PAGE, self), "key")
        buttons = Buttons(self, "Log In", self.agree)
        self.ok = buttons.main
        self._box = box = fill_dialog(self)
        box.addWidget(label(WHY, wrap=True))
        box.addLayout(row(page, None))
        for part in (self.field, self.wrong, label(WHERE, "muted", wrap=True), buttons):
            box.addWidget(part)
        self.setMinimumWidth(460)
        self.field.setFocus()

    def agree(self) -> None:
        """Keep the token and close, or say what is wrong with it."""
        try:
            kept = access.keep_token(self.field.text())
        except RequestError as error:
            self.wrong.setText(f"{error.message} {in_window(error.hint)}")
            self.wrong.show()
            self._make_room()
            self.field.setFocus()
            return
        self.said = KEPT if kept else FOR_NOW
        self.accept()

    def _make_room(self) -> None:
        """A window does not grow by itself when wrapped words are added: those above would be cut."""
        self._box.activate()
        self.resize(self.width(), max(self.height(), self._box.totalHeightForWidth(self.width())))
