"""The settings: few, each with a word on what it does; changes count at once."""

import msgspec
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from ...base.settings import Settings, boards_folder
from ...models import library
from ..kit.theme import SCHEMES
from ..kit.widgets import button, label, row
from ..kit.words import model_title

AUTOMATIC = "Automatic (the first real model installed)"


class SettingsDialog(QDialog):
    """Edits Settings; `store` is called with the new ones after every change."""

    def __init__(self, settings: Settings, store, parent: QWidget | None = None):
        super().__init__(parent)
        self.settings, self.store = settings, store
        self.setWindowTitle("Settings")
        self.appearance = QComboBox()
        self.appearance.setAccessibleName("Appearance")
        self.appearance.addItems(["As the system", "Light", "Dark"])
        self.appearance.setCurrentIndex(SCHEMES.index(settings.appearance))
        self.model = self._models()
        self.folder = QLineEdit(str(boards_folder(settings)))
        self.folder.setReadOnly(True)
        self.folder.setAccessibleName("Folder of new boards")
        self.previews = _box("Show the picture while it is made", settings.previews)
        self.notifications = _box("Say when a long run has ended", settings.notifications)
        self._lay_out()
        self.appearance.activated.connect(lambda place: self._set(appearance=SCHEMES[place]))
        self.model.activated.connect(lambda _: self._set(model=self.model.currentData()))
        self.previews.toggled.connect(lambda on: self._set(previews=on))
        self.notifications.toggled.connect(lambda on: self._set(notifications=on))

    def _models(self) -> QComboBox:
        box = QComboBox()
        box.setAccessibleName("Model for new panels")
        box.addItem(AUTOMATIC, None)
        for model in library.installed():
            if not model.problem:
                box.addItem(model_title(model.name), model.name)
        box.setCurrentIndex(max(0, box.findData(self.settings.model)))
        return box

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setVerticalSpacing(14)
        form.setHorizontalSpacing(16)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Appearance", self.appearance)
        form.addRow("Model", self.model)
        form.addRow("", label("For panels and boards that don't name one of their own.", "muted", wrap=True))
        form.addRow("New boards", row(self.folder, button("Choose…", self._choose)))
        form.addRow("", label("Everything is saved by itself, at most 2 seconds after a change.", "muted", wrap=True))
        form.addRow("Rendering", self.previews)
        form.addRow("", self.notifications)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.accept)
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 20, 24, 20)
        box.setSpacing(18)
        box.addLayout(form)
        box.addWidget(buttons)
        self.setMinimumWidth(540)

    def _choose(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of New Boards", self.folder.text())
        if folder:
            self.folder.setText(folder)
            self._set(folder=folder)

    def _set(self, **changes) -> None:
        self.settings = msgspec.structs.replace(self.settings, **changes)
        self.store(self.settings)


def _box(text: str, on: bool) -> QCheckBox:
    box = QCheckBox(text)
    box.setChecked(on)
    return box
