"""Beside the grid: the scenes of the board to jump to, and a field that finds panels by their words."""

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from ...board.data import Board, Panel, numbers, scene_numbers
from ...board.heading import OWN_NUMBER
from ..document.document import Document
from ..kit.measures import GAP, MARGIN
from ..kit.widgets import LeftButton, as_line, as_tip, describe, label

WIDTH = 208
PLACE = Qt.ItemDataRole.UserRole  # (scene id, panel id or "")
MOST = 200  # rows of what is found


class SceneRail(QFrame):
    """Asks to go to a scene or a panel."""

    scene_wanted = Signal(str)  # id
    panel_wanted = Signal(str)  # id
    left = Signal()  # by Esc or Return

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document = document
        self._shown: object = None
        self.setFixedWidth(WIDTH)
        self.field, self.list = QLineEdit(), QListWidget()
        self.field.setPlaceholderText("Find a panel")
        describe(self.field, "Find a panel", "By its caption, description, dialogue, notes or scene")
        self.list.setObjectName("plain")
        self.list.setAccessibleName("Scenes")
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        LeftButton(self.list)
        column = QVBoxLayout(self)
        column.setContentsMargins(MARGIN, GAP, 0, GAP)
        self.nothing = label("No panel has these words.", "muted", wrap=True)
        column.addWidget(self.field)
        column.addWidget(self.nothing)
        column.addWidget(self.list, 1)
        self.field.textChanged.connect(lambda _: self.refresh())
        self.field.returnPressed.connect(self._jump)
        self.field.installEventFilter(self)
        self.list.installEventFilter(self)
        self.list.itemClicked.connect(lambda _: self._go())
        self.list.itemActivated.connect(lambda _: self._jump())
        document.changed.connect(self._follow_board)
        self.refresh()

    def showEvent(self, event: QShowEvent) -> None:
        """While it was hidden it followed nothing."""
        super().showEvent(event)
        self.refresh()

    def _follow_board(self, old: Board, new: Board) -> None:
        if self.isVisible() or self.field.text():
            self.refresh()

    def refresh(self) -> None:
        """The scenes, or with words in the field the panels that have them."""
        board, wanted = self.document.board, self.field.text().strip()
        rows = _find_panels(board, wanted) if wanted else _list_scenes(board)
        if rows == self._shown:
            return
        self._shown = rows
        self.list.clear()
        for text, scene, panel in rows:
            item = QListWidgetItem(as_line(text))
            item.setToolTip(as_tip(text))
            item.setData(PLACE, (scene, panel))
            self.list.addItem(item)
        self.list.setCurrentRow(0 if wanted else -1)
        self.nothing.setVisible(bool(wanted) and not rows)

    def _jump(self) -> None:
        """By Return: what was looked for is found, and the search is over."""
        if self.list.currentItem():
            self._go()
            self._end()

    def _end(self) -> None:
        self.field.clear()
        self.left.emit()

    def _go(self) -> None:
        item = self.list.currentItem()
        scene, panel = item.data(PLACE) if item else ("", "")
        if panel:
            self.panel_wanted.emit(panel)
        elif scene:
            self.scene_wanted.emit(scene)

    def ask(self) -> None:
        """The keyboard to the field."""
        self.show()
        self.refresh()
        self.field.setFocus()
        self.field.selectAll()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The arrows move the choice while one types; Esc ends the search."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
                way = 1 if event.key() == Qt.Key.Key_Down else -1
                self.list.setCurrentRow(min(max(0, self.list.currentRow() + way), self.list.count() - 1))
                return True
            if event.key() == Qt.Key.Key_Escape:
                self._end()
                return True
        return super().eventFilter(watched, event)


def _list_scenes(board: Board) -> list[tuple[str, str, str]]:
    """(words, scene id, "")"""
    number = scene_numbers(board)
    return [
        (f"{number[scene.id]}  {OWN_NUMBER.sub('', scene.heading) or 'Untitled scene'}", scene.id, "")
        for scene in board.scenes
    ]


def _find_panels(board: Board, wanted: str) -> list[tuple[str, str, str]]:
    """(words, scene id, panel id) of those that have all of `wanted` somewhere in their words or are called so."""
    number, key = numbers(board), wanted.casefold()
    found = [
        (f"{number[panel.id]}  {panel.caption}", scene.id, panel.id)
        for scene in board.scenes
        for panel in scene.panels
        if key == number[panel.id].casefold() or key in f"{scene.heading}\n{_words_of(panel)}".casefold()
    ]
    return found[:MOST]


def _words_of(panel: Panel) -> str:
    return "\n".join((panel.action, panel.prompt, panel.instruction, panel.dialogue, panel.notes))
