"""The fields of a panel: what it means in the story, what it starts from, which LoRAs it is rendered with."""

import contextlib
from collections.abc import Callable, Iterable

from msgspec.structs import replace
from PySide6.QtCore import QPointF, QRectF, QSignalBlocker, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QIcon,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPixmap,
    QShowEvent,
)
from PySide6.QtWidgets import QComboBox, QVBoxLayout, QWidget

from mlx_model.errors import Refused

from ...board.camera import ANGLES, MOVES, SHOT_NAMES, SHOTS
from ...board.data import Adapter, Panel, Picture, Source, numbers
from ...board.panel_job import name_loras
from ...board.seen import source_picture
from ...models import loras
from ..document.document import Document
from ..document.forecast import Library, PanelModel
from ..document.panel_part import PanelPart
from ..kit import portrait
from ..kit.fields import ChoiceField, FractionField, StrengthField, add_row, choice, form
from ..kit.measures import FINE, GAP, HAIR, RADIUS, TIGHT
from ..kit.text_field import BoardText
from ..kit.theme import theme
from ..kit.widgets import OneLine, as_line, describe, draw_words, icon_button, label, row, set_tone
from .branches import name_take
from .starts import TAKE

AS_BOARD = "As the board"
NONE = "No LoRAs"


class LorasField(PanelPart, QWidget):
    """A list to add from, and a row with a strength for each. `model` is what the panel is rendered with."""

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document, self.model, self.library = document, PanelModel(), Library(self)
        self._entries: dict[str, loras.Entry] = {}
        self.library.read.connect(self._take_library)
        self.box = choice("LoRAs", "Small files that teach the model a style, a face or a thing", self._choose)
        self.rows: list[QWidget] = []
        self._read = False  # once, since this was made
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.setSpacing(TIGHT)
        self.column.addWidget(self.box)

    @property
    def used(self) -> tuple[Adapter, ...]:
        return name_loras(self.document.board, self.panel)

    def refresh(self) -> None:
        wanted = (self.panel_id, self.panel.settings.loras, self.document.board.loras, self.model.name)
        if wanted == self._shown:
            return
        self._shown = wanted
        self._fill()
        self._show_rows()
        self.library.ask()

    def _take_library(self, found: list[loras.Entry]) -> None:
        entries = {one.name: one for one in found if not one.problem}
        if entries != self._entries or not self._read:
            self._entries, self._read = entries, True
            with contextlib.suppress(Refused):  # no panel is shown, or it is gone
                self._fill()
                self._show_rows()

    def _show_rows(self) -> None:
        for old in self.rows:
            self.column.removeWidget(old)
            old.deleteLater()
        self.rows = [self._make_row(one, self._entries.get(one.name)) for one in self.used]
        for made in self.rows:
            self.column.addWidget(made)

    def _fill(self) -> None:
        own, used = self.panel.settings.loras, {one.name for one in self.used}
        self.box.clear()
        self.box.addItem(AS_BOARD if own is None else ("Own choice" if own else NONE), None)
        if own is not None:
            self.box.addItem(AS_BOARD, AS_BOARD)
        if own is None or own:
            self.box.addItem(NONE, NONE)
        for name in self._entries:
            if name not in used:
                self.box.addItem(as_line(f"Add {name}"), (name,))
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
        column.setSpacing(HAIR)
        top = row(name, off, spacing=TIGHT)
        top.setStretch(0, 1)
        column.addLayout(top)
        column.addWidget(strength)
        spec = self.model.spec
        if entry is None and self._read:
            note.setText("It is not in the library.")
            set_tone(note, "danger")
        elif entry and spec and entry.names and spec.name not in entry.names:
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


CAPTION = 20  # pixels: the strip at its foot that names it
HINT = "The picture that is changed: click to choose another"


class StartBox(PanelPart, ChoiceField):
    """Chooses the start through the document."""

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document = document
        self._pictures: dict[int, str] = {}  # row -> sha256
        self._picture: Picture | None = None
        self.layer: Callable[[Panel, QPixmap], QPixmap] = lambda _, pixmap: pixmap  # with what lies on it
        describe(self, "Start from", HINT)
        self.setIconSize(QSize(36, 24))
        self.activated.connect(self._choose)
        document.picture_ready.connect(self._follow_picture)

    def refresh(self) -> None:
        panel, board = self.panel, self.document.board
        wanted = (
            panel.source,
            panel.current,
            panel.takes,
            panel.placed,
            [(one.id, one.current) for one in board.panels()],
        )
        if wanted == self._shown:
            return
        self._shown = wanted
        self._picture = source_picture(board, panel)
        with QSignalBlocker(self):
            self.clear()
            self._pictures = {}
            self._add_takes(panel)
            self._add_panels(panel)
            sources = [self.itemData(place) for place in range(self.count())]
            self.setCurrentIndex(sources.index(panel.source) if panel.source in sources else -1)
        describe(self, f"Start from {self.currentText()}", HINT)
        self.update()

    def _add_takes(self, panel: Panel) -> None:
        """What is shown, and what the last try started from."""
        start = panel.find_take(panel.source.take)
        rows = [(panel.take, TAKE), *([(start, panel.source)] if start else [])]
        for take, source in rows:
            if take:
                self._pictures[self.count()] = take.picture.sha256
                shown = " (the picture above)" if source == TAKE else ""
                self.addItem(as_line(f"Take {take.number}: {name_take(take)}{shown}"), source)

    def _add_panels(self, panel: Panel) -> None:
        number = numbers(self.document.board)
        for other in self.document.board.panels():
            if other.id != panel.id and (other.take or panel.source.panel == other.id):
                if other.take:
                    self._pictures[self.count()] = other.take.picture.sha256
                self.addItem(as_line(f"Panel {number[other.id]}"), Source("panel", other.id))

    @property
    def caption(self) -> str:
        """Such as Take 2, or Panel 1A."""
        return self.currentText().partition(":")[0]

    def showPopup(self) -> None:
        """A thousand panels have a thousand pictures: they are looked for when the list opens."""
        self._show_icons(self._pictures)
        super().showPopup()

    def _follow_picture(self, sha256: str) -> None:
        if self.view().isVisible():
            self._show_icons(self._pictures)
        if self._picture and sha256 == self._picture.sha256:
            self.update()

    def _show_icons(self, rows: Iterable[int]) -> None:
        empty = QPixmap(self.iconSize())  # in the place of one that is still read
        empty.fill(Qt.GlobalColor.transparent)
        for place in rows:
            pixmap = self.document.pixmap(self._pictures[place], 96)
            self.setItemIcon(place, QIcon(empty if pixmap.isNull() else pixmap))

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        self.showPopup()

    def _choose(self, row: int) -> None:
        self.set_source(self.itemData(row))

    def set_source(self, source: Source) -> None:
        """Start from something else; the mask goes, for it was painted on the other picture."""
        self.change("Change Start", source=source)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        frame = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        path = QPainterPath()
        path.addRoundedRect(frame, RADIUS, RADIUS)
        painter.setClipPath(path)
        painter.fillPath(path, QColor(theme.colours.raised))
        if self._picture:
            pixmap = self.document.pixmap(self._picture.sha256, round(2 * self.width() * self.devicePixelRatioF()))
            if not pixmap.isNull():
                pixmap = self.layer(self.panel, pixmap)
                portrait.cover(painter, frame, pixmap, pixmap.rect())
        self._paint_caption(painter, frame)
        painter.setClipping(False)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        lit = self.hasFocus() or self.underMouse()
        painter.setPen(QPen(QColor(theme.colours.accent if lit else theme.colours.edge), 2 if self.hasFocus() else 1))
        painter.drawPath(path)

    def _paint_caption(self, painter: QPainter, frame: QRectF) -> None:
        """White on a dark strip: it lies on any picture."""
        strip = QRectF(frame.left(), frame.bottom() - CAPTION, frame.width(), CAPTION)
        painter.fillRect(strip, QColor(0, 0, 0, 170))
        font = painter.font()
        font.setPixelSize(FINE)
        painter.setFont(font)
        painter.setPen(Qt.GlobalColor.white)
        words = strip.adjusted(6, 0, -18, 0)
        text = painter.fontMetrics().elidedText(self.caption, Qt.TextElideMode.ElideRight, round(words.width()))
        draw_words(painter, words, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)
        tip = QPointF(strip.right() - 11, strip.center().y() + 2)
        for side in (-4, 4):
            painter.drawLine(tip, tip + QPointF(side, -4))


TEXTS = (
    ("prompt", "Description", "What the picture shows; a change of the picture leaves it as it is"),
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
        column.setSpacing(GAP)
        layout = form()
        self.camera: dict[str, QComboBox] = {}
        for field, name, values in (("shot", "Shot", SHOTS), ("angle", "Angle", ANGLES), ("move", "Move", MOVES)):
            self.camera[field] = self._camera_box(field, name, values)
            add_row(layout, name, self.camera[field])
        self.seconds = FractionField()
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
        column.addSpacing(TIGHT)
        column.addWidget(words)
        column.addWidget(box)
        return box

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self.panel_id:
            self.refresh()

    def refresh(self) -> None:
        """Once it is seen: a long description is laid out anew for every letter."""
        if not self.isVisible():
            return
        panel = self.panel
        wanted = (panel.id, panel.camera, panel.seconds, *(getattr(panel, field) for field, _, _ in TEXTS))
        if wanted == self._shown:
            return
        self._shown = wanted
        for field, box in self.camera.items():
            value = getattr(panel.camera, field)
            if box.findData(value) < 0:  # from an import
                box.addItem(as_line(value), value)
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
