"""The board as a list of rows for the grid: a heading for each scene, its panels, and a place to add one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QAbstractListModel, QByteArray, QMimeData, QModelIndex, QObject, QPersistentModelIndex, Qt

from ...board import commands
from ...board.data import Board, Panel, numbers, scene_numbers
from ...board.seen import find_mask, is_out_of_date, look
from ..document.document import Document
from ..kit.widgets import as_tip

PANELS = "application/x-flux-local-panels"
WORDS = {"empty": "no picture yet", "queued": "waiting", "running": "rendering", "done": "", "failed": "failed"}
OUTDATED = "Out of date"  # made from a picture of another panel that was replaced since
Index = QModelIndex | QPersistentModelIndex  # what Qt's models and views are asked about
ROW = Qt.ItemDataRole.UserRole
_Flag = Qt.ItemFlag
_COMMON = _Flag.ItemIsEnabled | _Flag.ItemIsDropEnabled | _Flag.ItemNeverHasChildren
FLAGS = {
    "heading": _COMMON | _Flag.ItemIsEditable,
    "panel": _COMMON | _Flag.ItemIsSelectable | _Flag.ItemIsDragEnabled | _Flag.ItemIsEditable,
    "add": _COMMON,
}


@dataclass(frozen=True)
class Row:
    kind: Literal["heading", "panel", "add"]
    scene: str
    panel: str = ""
    number: str = ""


class BoardModel(QAbstractListModel):
    """Rows follow the document. Editing a row writes the scene's heading or the panel's caption."""

    def __init__(self, document: Document, parent: QObject | None = None):
        super().__init__(parent)
        self.document = document
        self.rows = _rows(document.board)
        self._place = _places(self.rows)
        document.changed.connect(self._board_changed)
        document.state_changed.connect(self._panel_changed)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        row = self.rows[index.row()]
        match role:
            case Qt.ItemDataRole.UserRole:
                return row
            case Qt.ItemDataRole.EditRole:
                return self._text(row)
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.AccessibleTextRole:
                return self._speak(row)
            case Qt.ItemDataRole.ToolTipRole:
                return as_tip(self.document.panel_state(row.panel).reason) or None if row.panel else None
        return None

    def setData(self, index: Index, value: str, role: int = Qt.ItemDataRole.EditRole) -> bool:
        row = self.rows[index.row()]
        if row.kind == "heading":
            self.document.do("Rename Scene", lambda board: commands.set_scene(board, row.scene, heading=value.strip()))
        elif row.kind == "panel":
            self.document.do("Edit Caption", lambda board: commands.set_panel(board, row.panel, action=value.strip()))
        return True

    def flags(self, index: Index) -> Qt.ItemFlag:
        return FLAGS[self.rows[index.row()].kind] if index.isValid() else Qt.ItemFlag.ItemIsDropEnabled

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        """The panels' ids, in the order of the board."""
        mime = QMimeData()
        ids = [self.rows[index.row()].panel for index in sorted(indexes, key=lambda index: index.row())]
        mime.setData(PANELS, QByteArray("\n".join(ids).encode()))
        return mime

    def panel(self, row: int) -> Panel:
        """The panel of a row of kind "panel"."""
        return self.document.panel(self.rows[row].panel)

    def row_of(self, panel_id: str) -> int:
        """-1 for a panel that is not on the board."""
        return self._place.get(panel_id, -1)

    def place_for(self, row: int) -> tuple[str, int]:
        """(scene id, position in it) of what is put in front of `row`; behind the last row: the end of the board."""
        if row >= len(self.rows):
            scene = self.document.board.scenes[-1]
            return scene.id, len(scene.panels)
        target = self.rows[row]
        first = next(i for i, other in enumerate(self.rows) if other.scene == target.scene)
        return target.scene, max(0, row - first - 1)

    def _text(self, row: Row) -> str:
        if row.kind == "panel":
            return self.document.panel(row.panel).action
        return next(scene.heading for scene in self.document.board.scenes if scene.id == row.scene)

    def _speak(self, row: Row) -> str:
        if row.kind == "heading":
            return f"Scene {row.number} {self._text(row)}".strip()
        if row.kind == "add":
            return "Add a panel"
        panel, state = self.document.panel(row.panel), self.document.panel_state(row.panel)
        parts = [f"Panel {row.number}", caption(panel), "" if state.held else WORDS[state.state], state.reason]
        parts += list_origins(self.document.board, panel)
        parts += ["the queue is paused"] if state.paused else []
        parts += [OUTDATED.lower()] if is_out_of_date(self.document.board, panel) else []
        return ", ".join(part for part in parts if part)

    def _board_changed(self, old: Board, new: Board) -> None:
        rows = _rows(new)
        if rows != self.rows:
            self.beginResetModel()
            self.rows, self._place = rows, _places(rows)
            self.endResetModel()
        elif rows:
            self.dataChanged.emit(self.index(0), self.index(len(rows) - 1))

    def _panel_changed(self, panel_id: str) -> None:
        row = self.row_of(panel_id)
        if row >= 0:
            self.dataChanged.emit(self.index(row), self.index(row))


def caption(panel: Panel) -> str:
    """What stands below the picture: what happens, else the words it is made from."""
    return panel.caption


def list_origins(board: Board, panel: Panel) -> list[str]:
    """Where its picture comes from: the panel that it continues, what a picture is that no model made; whether the next
    one is made under a mask.
    """
    source, take = panel.source, panel.take
    continued = look(board).numbers.get(source.panel or "") if source.kind == "panel" else None
    found = [f"continues {continued}"] if continued else []
    if panel.mask and find_mask(board, panel):
        found.append("masked")
    return [*found, take.note] if take and take.note and not take.request else found


def _rows(board: Board) -> list[Row]:
    number, rows = numbers(board), []
    scenes = scene_numbers(board)
    for scene in board.scenes:
        rows.append(Row("heading", scene.id, "", scenes[scene.id]))
        rows += [Row("panel", scene.id, panel.id, number[panel.id]) for panel in scene.panels]
        rows.append(Row("add", scene.id))
    return rows


def _places(rows: list[Row]) -> dict[str, int]:
    return {row.panel: place for place, row in enumerate(rows) if row.panel}
