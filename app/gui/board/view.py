"""The board page: the board's title and shape, what can be done with panels, and the grid of them."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QSlider, QStackedLayout, QVBoxLayout, QWidget

from mlx_model.specs import SPECS

from ...base.words import say_count, say_duration
from ...board import commands
from ...board.data import ASPECTS, Board
from ...board.seen import list_out_of_date, list_unknown
from ..document import picture_drag
from ..document.document import Document
from ..kit.fields import ChoiceField
from ..kit.measures import GAP, INSET, MARGIN, WIDE
from ..kit.text_field import follow_letters
from ..kit.turns import OnceATurn
from ..kit.widgets import Empty, OneLine, OneLineEdit, as_action, as_tip, bar, button, describe, icon_button, label, row
from ..kit.words import model_title, say_unknown
from . import drop
from .cells import LARGEST, SMALLEST
from .grid import BoardGrid
from .rail import SceneRail

TITLE, MODEL, ROOMY = 120, (120, 260), 1000  # px: least of the title; most of a model's name; of a bar with everything
MANY = 3  # scenes: from here on the rail helps


class BoardView(QWidget):
    """Title, aspect, render button, zoom, grid. `run` starts the action of that name (see actions.py)."""

    selection_changed = Signal()

    def __init__(self, document: Document, run: Callable[[str], None], cell: int, parent: QWidget | None = None):
        super().__init__(parent)
        self.document, self.run = document, run
        self.grid = BoardGrid(document, self)
        self.grid.cell = cell
        self._show_soon = OnceATurn(self, self._show_selection)
        self.grid.selectionModel().selectionChanged.connect(lambda *_: self._show_selection())
        self.title = follow_letters(OneLineEdit())
        self.title.setProperty("kind", "title")
        self.title.setAccessibleName("Title of the board")
        self.title.editingFinished.connect(self._retitle)
        self.title.returnPressed.connect(self.grid.setFocus)
        self.aspect = ChoiceField()
        self.aspect.setAccessibleName("Shape of the pictures")
        self.aspect.setToolTip("Shape of the pictures")
        self.aspect.activated.connect(self._reshape)
        self.square = button("Use 1:1", self._make_square, kind="quiet")
        self.square.setToolTip("The built-in model has only learned squares: other shapes come out worse. Make it 1:1")
        self.square.setAccessibleDescription(self.square.toolTip())
        self.square.hide()
        self.style_line = follow_letters(OneLineEdit())
        self.style_line.setPlaceholderText("How all panels look, such as: ink and watercolour, soft light")
        describe(self.style_line, "Style of all panels", "These words are added to those of every panel")
        self.style_line.editingFinished.connect(self._restyle)
        self.style_line.returnPressed.connect(self.grid.setFocus)
        self.outdated = button("", document.render_outdated, "again")
        self.unlearned = OneLine(tone="warning")
        self._built_in, self._model, self._name = False, "", ""
        self.count = label(tone="muted")
        self.start = button("Render", lambda: run("render"), "render", "primary")
        self.start.setText(f"Render {say_count(888, 'Panel')}")  # the longest: what stands beside it keeps its place
        self.start.setMinimumWidth(self.start.sizeHint().width())
        self.model = button("", lambda: run("show_models"), "models", "quiet")
        self.zoom = self._slider()
        self.body, self.rail = QWidget(), SceneRail(document)
        self.rail.scene_wanted.connect(self.grid.jump_to)
        self.rail.panel_wanted.connect(self._jump_to_panel)
        self.rail.left.connect(self._leave_rail)
        self.setAcceptDrops(True)
        self._lay_out()
        self._render_key()
        document.changed.connect(self._show)
        document.state_changed.connect(self._show_soon.ask)
        self._show(document.board, document.board)

    def _render_key(self) -> None:
        """The same key as beside a panel's words, for what the button says."""
        keys = QShortcut(QKeySequence("Ctrl+Return"), self, context=Qt.ShortcutContext.WidgetWithChildrenShortcut)
        keys.setAutoRepeat(False)
        keys.activated.connect(self.start.click)

    def _lay_out(self) -> None:
        play = icon_button("Play the animatic", "play", act=lambda: self.run("play"))
        export = icon_button("Export", "export", act=lambda: self.run("export"))
        top = bar(
            self.title,
            self.aspect,
            self.square,
            self.count,
            self.model,
            self.zoom,
            play,
            export,
            self.start,
        )
        if inside := top.layout():  # its letters begin where the pictures do
            inside.setContentsMargins(MARGIN - INSET, WIDE, MARGIN, WIDE)
        self.title.setMinimumWidth(TITLE)
        self.title.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.stack = QStackedLayout(self.body)
        self.stack.addWidget(self.grid)
        self.stack.addWidget(self._empty())
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addWidget(top)
        self.second = row(label("Style", "muted"), self.style_line, self.outdated)
        self.second.setContentsMargins(MARGIN, GAP, MARGIN, GAP)
        box.addLayout(self.second)
        third = row(self.unlearned)
        third.setContentsMargins(MARGIN, 0, MARGIN, GAP)
        box.addLayout(third)
        middle = row(self.rail, self.body, spacing=0)
        middle.setStretchFactor(self.body, 1)
        box.addLayout(middle, 1)

    def put_beside_style(self, *parts: QWidget) -> None:
        """What is told of the whole board while it goes on."""
        for part in parts:
            self.second.addWidget(part)

    def _empty(self) -> Empty:
        return Empty(
            "board",
            "An empty board",
            "Add a panel and say what it shows, drop pictures here, or import a script: its scenes become panels.",
            button("Add Panel", lambda: self.run("add_panel"), "plus", "primary"),
            button("Import Script…", lambda: self.run("import_into"), "import"),
        )

    def _slider(self) -> QWidget:
        box = QWidget()
        slider = QSlider(Qt.Orientation.Horizontal)
        slider.setRange(SMALLEST, LARGEST)
        slider.setValue(self.grid.least)
        slider.setFixedWidth(110)
        slider.setAccessibleName("Size of the panels")
        slider.setToolTip("Size of the panels")
        slider.valueChanged.connect(self.grid.set_cell)
        self.grid.zoomed.connect(slider.setValue)
        box.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        inside = QHBoxLayout(box)
        inside.setContentsMargins(0, 0, GAP, 0)
        inside.addWidget(slider)
        return box

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where the bar has too little room for the title, what can be read or done elsewhere goes."""
        super().resizeEvent(event)
        self.count.setVisible(self.width() >= ROOMY)
        self.zoom.setVisible(self.width() >= ROOMY)
        self._fit_model()
        self._show_rail()

    def _show_rail(self) -> None:
        """Where there are scenes to jump between and there is room; a search that is on stays."""
        many = len(self.document.board.scenes) >= MANY and self.width() >= ROOMY
        self.rail.setVisible(many or bool(self.rail.field.text()) or self.rail.field.hasFocus())

    def _jump_to_panel(self, panel_id: str) -> None:
        self.grid.select((panel_id,))
        self.grid.setFocus()

    def _leave_rail(self) -> None:
        self.grid.setFocus()
        self._show_rail()

    # What is dropped where there is no panel yet

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        self.grid.dropping.enter(event)

    def dropEvent(self, event: QDropEvent) -> None:
        """The grid is hidden while the board is empty; pictures make its first scene."""
        event.acceptProposedAction()
        opened = drop.file_to_open(event.mimeData())
        if opened:
            self.grid.file_dropped.emit(opened)
            return
        pictures = picture_drag.pictures_in(event.mimeData(), self.document)
        if pictures:
            drop.start_with(self.document, pictures)
            self.grid.setFocus()

    def sizeHint(self) -> QSize:
        return QSize(1000, 700)

    def _show(self, old: Board, board: Board) -> None:
        if not self.title.hasFocus():
            self.title.setText(board.title)
            self.title.setCursorPosition(0)
        if not self.style_line.hasFocus():
            self.style_line.setText(board.style)
            self.style_line.setCursorPosition(0)
        self._show_aspect(board)
        self._show_unlearned(board)
        self._show_rail()
        panels = list(board.panels())
        seconds = sum(panel.seconds for panel in panels)
        self.count.setText(f"{say_count(len(panels), 'panel')} · {say_duration(seconds)}" if panels else "")
        self.stack.setCurrentIndex(0 if board.scenes else 1)
        self._show_selection()

    def show_model(self, name: str | None, built_in: bool) -> None:
        """Say what new pictures are made with; the built-in model invites to get a real one."""
        self._built_in, self._name = built_in, name or ""
        self._show_aspect(self.document.board)
        self._show_unlearned(self.document.board)
        self._model = Path(model_title(name)).name  # a model may be a folder
        tip = "Pictures are made by the small built-in model, for trying the app. Click to get a real one."
        others = f"{self._model} makes new pictures. Click for the others."
        self.model.setToolTip(as_tip(tip if built_in else others))
        self.model.setAccessibleName(f"Model: {self._model}")
        self._fit_model()

    def _show_unlearned(self, board: Board) -> None:
        """Before they are rendered: places, such as of an imported script, that come out as others."""
        places = list_unknown(board, SPECS.get(self._name))
        told = say_unknown(places, model_title(self._name, "The built-in model"))
        if told != self.unlearned.text():
            self.unlearned.setText(told)
        self.unlearned.setVisible(bool(told))

    def _fit_model(self) -> None:
        """Its name is whole where there is room."""
        most = MODEL[self.width() >= ROOMY]
        elided = self.model.fontMetrics().elidedText(self._model, Qt.TextElideMode.ElideRight, most)
        self.model.setText(as_action(elided))

    def _show_aspect(self, board: Board) -> None:
        names = [*ASPECTS]
        if board.aspect not in ASPECTS.values():
            names.append(f"{board.aspect[0]}:{board.aspect[1]}")
        if [self.aspect.itemText(i) for i in range(self.aspect.count())] != names:
            self.aspect.clear()
            self.aspect.addItems(names)
        shown = next((name for name, sides in ASPECTS.items() if sides == board.aspect), names[-1])
        self.aspect.setCurrentText(shown)
        self.square.setVisible(self._built_in and board.aspect[0] != board.aspect[1])

    def _show_outdated(self) -> None:
        stale = list_out_of_date(self.document.board)
        count = sum(not self.document.panel_state(panel_id).busy for panel_id in stale)
        words = f"Render {count} Out of Date"
        self.outdated.setText(words)
        tip = "Panels that continue one whose picture is another one now, and what continues those, one after the other"
        describe(self.outdated, words, tip)
        self._offer(self.outdated, count > 0)
        self.outdated.setVisible(count > 0)

    def _offer(self, target: QPushButton, can: bool) -> None:
        """Before a button goes by its own press: Qt would give the keys to what comes next, the line of the style."""
        if not can and target.hasFocus():
            self.grid.setFocus()

    def _restyle(self) -> None:
        style = self.style_line.text().strip()
        self.document.do("Change Style", lambda board: commands.set_board(board, style=style))

    def _retitle(self) -> None:
        title = self.title.text().strip() or "Untitled"
        self.document.do("Rename Board", lambda board: commands.set_board(board, title=title))

    def _reshape(self) -> None:
        sides = ASPECTS.get(self.aspect.currentText())
        if sides:
            self.document.do("Change Shape", lambda board: commands.set_board(board, aspect=sides))

    def _make_square(self) -> None:
        self.document.do("Change Shape", lambda board: commands.set_board(board, aspect=ASPECTS["1:1"]))
        self.aspect.setFocus()

    def _show_selection(self) -> None:
        count = len(self.grid.list_selected())
        ready = wanting(self.document)
        text = f"Render {say_count(count, 'Panel')}" if count else f"Render {len(ready)} New" if ready else "Render"
        self.start.setText(text)
        self.start.setAccessibleName(text)
        self._offer(self.start, bool(count or ready))
        self.start.setEnabled(bool(count or ready))
        self.start.setToolTip(
            "One more take of each selected panel" if count else "Every panel that has words but no picture yet"
        )
        self._show_outdated()
        self.selection_changed.emit()


def wanting(document: Document) -> tuple[str, ...]:
    """The panels that have words but no picture and are not being made."""
    panels = document.board.panels()
    return tuple(p.id for p in panels if p.words.strip() and not p.take and not document.panel_state(p.id).busy)
