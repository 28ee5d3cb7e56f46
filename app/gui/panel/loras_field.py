"""Which LoRAs a panel is rendered with, and how strongly: the board's, or its own."""

from msgspec.structs import replace
from PySide6.QtWidgets import QVBoxLayout, QWidget

from ...board.data import Adapter
from ...board.panel_job import name_loras
from ...models import loras
from ..document.document import Document
from ..document.forecast import PanelModel
from ..document.panel_part import PanelPart
from ..kit.fields import StrengthField, choice
from ..kit.widgets import OneLine, icon_button, label, row, set_tone

AS_BOARD = "As the board"
NONE = "None"


class LorasField(PanelPart, QWidget):
    """A list to add from, and a row with a strength for each. `model` is what the panel is rendered with."""

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document, self.model = document, PanelModel()
        self.box = choice("LoRAs", "Small files that teach the model a style, a face or a thing", self._choose)
        self.rows: list[QWidget] = []
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.setSpacing(4)
        self.column.addWidget(self.box)

    @property
    def used(self) -> tuple[Adapter, ...]:
        return name_loras(self.document.board, self.panel)

    def refresh(self) -> None:
        wanted = (self.panel_id, self.panel.settings.loras, self.document.board.loras, self.model.name)
        if wanted == self._shown:
            return
        self._shown = wanted
        entries = {one.name: one for one in loras.list_loras() if not one.problem}
        self._fill(entries)
        for old in self.rows:
            self.column.removeWidget(old)
            old.deleteLater()
        self.rows = [self._make_row(one, entries.get(one.name)) for one in self.used]
        for made in self.rows:
            self.column.addWidget(made)

    def _fill(self, entries: dict[str, loras.Entry]) -> None:
        own, used = self.panel.settings.loras, {one.name for one in self.used}
        self.box.clear()
        self.box.addItem(AS_BOARD if own is None else ("Own choice" if own else NONE), None)
        if own is not None:
            self.box.addItem(AS_BOARD, AS_BOARD)
        if own is None or own:
            self.box.addItem(NONE, NONE)
        for name in entries:
            if name not in used:
                self.box.addItem(f"Add {name}", (name,))
        self.box.setCurrentIndex(0)

    def _make_row(self, one: Adapter, entry: loras.Entry | None) -> QWidget:
        name, note = OneLine(one.name), label(tone="warning", wrap=True)
        strength = StrengthField(f"Strength of {one.name}")
        strength.show_value(one.strength)
        strength.chosen.connect(lambda value: self._set_strength(one.name, value))
        off = icon_button(f"Take {one.name} off", "close", act=lambda: self._take_off(one.name))
        made = QWidget()
        column = QVBoxLayout(made)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        top = row(name, off, spacing=4)
        top.setStretch(0, 1)
        column.addLayout(top)
        column.addWidget(strength)
        spec = self.model.spec
        if entry is None:
            note.setText("It is not in the library.")
            set_tone(note, "danger")
        elif spec and entry.names and spec.name not in entry.names:
            note.setText(f"It is for {entry.fits[0]}.")
        note.setVisible(bool(note.text()))
        column.addWidget(note)
        return made

    def _choose(self, row: int) -> None:
        wanted = self.box.itemData(row)
        if wanted == AS_BOARD:
            self._set(None)
        elif wanted == NONE:
            self._set(())
        elif wanted:
            self._set((*self.used, Adapter(wanted[0])))

    def _set_strength(self, name: str, strength: float) -> None:
        self._set(tuple(replace(one, strength=strength) if one.name == name else one for one in self.used), name)

    def _take_off(self, name: str) -> None:
        self._set(tuple(one for one in self.used if one.name != name))

    def _set(self, wanted: tuple[Adapter, ...] | None, merge: str = "") -> None:
        settings = replace(self.panel.settings, loras=wanted)
        self.change("Change LoRAs", f"loras {merge} {self.panel_id}" if merge else None, settings=settings)
