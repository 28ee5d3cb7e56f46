"""What a panel means in the story: shot, angle, move, duration, action, dialogue, notes."""

from msgspec.structs import replace
from PySide6.QtCore import QSignalBlocker
from PySide6.QtWidgets import QComboBox, QVBoxLayout, QWidget

from ...board.data import ANGLES, MOVES, SHOT_NAMES, SHOTS
from ..document.document import Document
from ..document.panel_part import PanelPart
from ..kit.fields import FractionField, add_row, choice, form
from ..kit.text_field import BoardText
from ..kit.widgets import describe, label

TEXTS = (
    ("action", "Action", "What happens in the panel"),
    ("dialogue", "Dialogue", "Who says what"),
    ("notes", "Notes", "For you and your team; the model does not read them"),
)
LONGEST = 3600.0


class ShotFields(PanelPart, QWidget):
    """Fields of one panel; every change goes through the document."""

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document = document
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        layout = form()
        self.camera: dict[str, QComboBox] = {}
        for field, name, values in (("shot", "Shot", SHOTS), ("angle", "Angle", ANGLES), ("move", "Move", MOVES)):
            self.camera[field] = self._camera_box(field, name, values)
            add_row(layout, name, self.camera[field])
        self.seconds = FractionField()
        self.seconds.lineEdit().setTextMargins(6, 0, 0, 0)
        self.seconds.setRange(0.1, LONGEST)
        self.seconds.setSingleStep(0.5)
        self.seconds.setDecimals(1)
        self.seconds.setSuffix(" s")
        self.seconds.setKeyboardTracking(False)
        describe(self.seconds, "Duration", "How long the panel stands in the animatic")
        self.seconds.valueChanged.connect(lambda value: self._set("Duration", seconds=round(value, 3)))
        add_row(layout, "Duration", self.seconds)
        column.addLayout(layout)
        self.texts = {field: self._text(column, field, name, hint) for field, name, hint in TEXTS}
        column.addStretch(1)

    def _camera_box(self, field: str, name: str, values: tuple[str, ...]) -> QComboBox:
        box = choice(name, "Of the camera; for the shot list and the exports", lambda row: self._set_camera(field, row))
        for value in values:
            label = SHOT_NAMES.get(value) or value.capitalize() or "–"
            box.addItem(f"{value}  {label}" if field == "shot" and value not in ("", "INSERT") else label, value)
        return box

    def _text(self, column: QVBoxLayout, field: str, name: str, hint: str) -> BoardText:
        box = BoardText(name, hint)
        box.setPlaceholderText(hint)
        box.setMinimumHeight(64)
        box.setMaximumHeight(140)
        box.edited.connect(lambda text: self._set(name, **{field: text}))
        box.undo_asked.connect(self.document.undo)
        box.redo_asked.connect(self.document.redo)
        words = label(name, "muted")
        words.setBuddy(box)
        column.addSpacing(4)
        column.addWidget(words)
        column.addWidget(box)
        return box

    def refresh(self) -> None:
        panel = self.panel
        wanted = (panel.id, panel.camera, panel.seconds, panel.action, panel.dialogue, panel.notes)
        if wanted == self._shown:
            return
        self._shown = wanted
        for field, box in self.camera.items():
            value = getattr(panel.camera, field)
            if box.findData(value) < 0:  # from an import
                box.addItem(value, value)
            box.setCurrentIndex(box.findData(value))
        with QSignalBlocker(self.seconds):
            self.seconds.setValue(panel.seconds)
        for field, text in self.texts.items():
            text.set_text(getattr(panel, field))

    def _set_camera(self, field: str, row: int) -> None:
        value = self.camera[field].itemData(row)
        self._set("Camera", camera=replace(self.panel.camera, **{field: value}))

    def _set(self, what: str, **fields: object) -> None:
        """Typing in one field, or turning one wheel, is one step to undo."""
        self.change(f"Edit {what}", f"{what} {self.panel_id}", **fields)
