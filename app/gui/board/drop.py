"""Drag and drop on the board: panels are moved, pictures from outside become panels or references, takes go out."""

import atexit
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QByteArray, QMimeData, QObject, QPoint, QRect, Qt, QUrl, Signal
from PySide6.QtGui import QDrag, QDragEnterEvent, QDragMoveEvent, QDropEvent

from mlx_model.files import make_scratch_folder, remove_scratch_folder

from ...base.paths import SUFFIX
from ...board import commands
from ...board.data import Board, Panel, Picture, new_id, numbers
from ...board.panel_job import import_take
from ...interchange.formats import FORMATS, IMPORTS
from ..document import picture_drag
from ..document.document import Document
from ..document.picture_drag import pictures_in
from ..kit.measures import MARGIN
from .cells import BoardCells
from .model import PANELS

# A dropped .txt may be anything; File > Import reads it as a script.
DOCUMENTS = {SUFFIX, ".zip", *(end for name in IMPORTS for end in FORMATS[name].extensions if end not in ("", ".txt"))}
EDGE = 40  # pixels from the edge of the view where dragging scrolls


class Dropping(QObject):
    """What is being dragged over the cells of the board, and where it would land."""

    file_dropped = Signal(str)  # path of a board, script or timeline

    def __init__(self, grid: BoardCells):
        super().__init__(grid)
        self.grid, self.document = grid, grid.document
        self._row, self._onto = -1, False
        self._folder: Path | None = None

    def start(self, panel_ids: tuple[str, ...]) -> None:
        """Drag panels: inside the app they move, outside they are the files of their takes."""
        if not panel_ids:
            return
        drag = QDrag(self.grid)
        drag.setMimeData(self.mime(panel_ids))
        take = self.document.board.panel(panel_ids[0]).take
        if take:
            drag.setPixmap(self.document.pixmap_now(take.picture.sha256, 160))
        drag.exec(Qt.DropAction.MoveAction | Qt.DropAction.CopyAction, Qt.DropAction.MoveAction)
        self.leave()

    def mime(self, panel_ids: tuple[str, ...]) -> QMimeData:
        """Ids for this window; for other programs files with names that say what they are."""
        mime = QMimeData()
        mime.setData(PANELS, QByteArray("\n".join(panel_ids).encode()))
        if self._folder:
            remove_scratch_folder(self._folder)
        self._folder = make_scratch_folder()
        atexit.register(remove_scratch_folder, self._folder)
        files = copies(self.document, panel_ids, self._folder)
        mime.setUrls([QUrl.fromLocalFile(str(path)) for path in files])
        return mime

    def enter(self, event: QDragEnterEvent) -> None:
        mime = event.mimeData()
        if mime.hasFormat(PANELS) or mime.hasUrls() or mime.hasImage():
            event.acceptProposedAction()

    def move(self, event: QDragMoveEvent) -> None:
        point, bar = event.position().toPoint(), self.grid.verticalScrollBar()
        if point.y() < EDGE or point.y() > self.grid.viewport().height() - EDGE:
            bar.setValue(bar.value() + (-12 if point.y() < EDGE else 12))
        self._row, self._onto = self.target(point, inside=event.mimeData().hasFormat(PANELS))
        event.acceptProposedAction()
        self.grid.viewport().update()

    def leave(self) -> None:
        self._row = -1
        self.grid.viewport().update()

    def target(self, point: QPoint, inside: bool) -> tuple[int, bool]:
        """(row, onto): put in front of that row, or with `onto` into that panel."""
        index = self.grid.indexAt(point)
        if not index.isValid():
            return self._nearest(point), False
        row, rect = index.row(), self.grid.visualRect(index)
        kind = self.grid.model().rows[row].kind
        if kind == "heading":
            return row + 1, False
        if kind == "add":
            return row, False
        share = (point.x() - rect.left()) / rect.width()
        if not inside and 0.25 < share < 0.75:
            return row, True
        return row + (share >= 0.5), False

    def _nearest(self, point: QPoint) -> int:
        """The row behind the gap that `point` lies in."""
        y = point.y() + self.grid.verticalOffset()
        for row, rect in enumerate(self.grid.layout_.rects):
            if rect.bottom() >= y and rect.right() >= point.x() and self.grid.model().rows[row].kind != "heading":
                return row
        return len(self.grid.model().rows) - 1

    def marker(self) -> QRect | None:
        """Where to paint that something would land; None while nothing is dragged."""
        if self._row < 0:
            return None
        rect = self.grid.visualRect(self.grid.model().index(self._row))
        if self._onto:
            return rect.adjusted(-3, -3, 3, 3)
        return QRect(rect.left() - MARGIN // 2 - 1, rect.top(), 2, rect.height())

    def drop(self, event: QDropEvent) -> None:
        row, onto = self._row, self._onto
        self.leave()
        mime, document = event.mimeData(), self.document
        event.acceptProposedAction()
        if mime.hasFormat(PANELS):
            event.setDropAction(Qt.DropAction.MoveAction)
            self.grid.select(move(document, panels_in(mime, document.board), *self.grid.model().place_for(row)))
            return
        document_file = file_to_open(mime)
        if document_file:
            self.file_dropped.emit(document_file)
            return
        panel, (scene, at) = self.grid.model().rows[row].panel, self.grid.model().place_for(row)
        pictures = pictures_in(mime, document)
        if onto and not document.panel(panel).takes:
            picture_drag.fill_panel(document, panel, pictures)
        elif onto:
            add_references(document, panel, pictures)
        elif pictures:
            self.grid.select(add_pictures(document, scene, at, pictures))


def panels_in(mime: QMimeData, board: Board) -> tuple[str, ...]:
    """The panels of this board among the ids that `mime` has, whoever wrote them, in the order of the board."""
    ids = set(bytes(mime.data(PANELS).data()).decode("utf-8", "replace").split("\n"))
    return tuple(panel.id for panel in board.panels() if panel.id in ids)


def file_to_open(mime: QMimeData) -> str:
    """The board, script or timeline that is dropped, which is opened rather than put into a panel; "" for none."""
    files = [url.toLocalFile() for url in mime.urls() if url.isLocalFile()]
    return next((file for file in files if Path(file).suffix.lower() in DOCUMENTS), "")


def move(document: Document, ids: tuple[str, ...], scene: str, at: int) -> tuple[str, ...]:
    """Move panels in front of what is position `at` of a scene now; their ids."""
    board = document.board
    panels = next(one.panels for one in board.scenes if one.id == scene)
    moved = set(ids)
    at -= sum(panel.id in moved for panel in panels[:at])
    if ids:
        label = "Move Panel" if len(ids) == 1 else "Move Panels"
        document.do(label, lambda board: commands.move_panels(board, ids, scene, at))
    return ids


def add_pictures(document: Document, scene: str, at: int, pictures: list[Picture]) -> tuple[str, ...]:
    """A new panel for each picture, with it as its first take, in front of position `at`; the new ids."""
    return _add(document, pictures, lambda board, panels: _insert(board, scene, at, panels))


def start_with(document: Document, pictures: list[Picture]) -> tuple[str, ...]:
    """Pictures for a board without scenes: one step of undo takes scene and panels away; the new ids."""

    def change(board: Board, panels: list[Panel]) -> Board:
        board = commands.add_scene(board)
        empty = board.scenes[-1]
        return _insert(board, empty.id, len(empty.panels), panels)

    return _add(document, pictures, change)


def _add(document: Document, pictures: list[Picture], change: Callable[[Board, list[Panel]], Board]) -> tuple[str, ...]:
    """The ids of the panels that `change` put into the board, none where that was refused."""
    takes = [import_take(picture) for picture in pictures]
    panels = [Panel(new_id(), takes=(take,), current=take.id) for take in takes]
    label = "Add Picture" if len(panels) == 1 else "Add Pictures"
    return tuple(panel.id for panel in panels) if document.do(label, lambda board: change(board, panels)) else ()


def _insert(board: Board, scene: str, at: int, panels: list[Panel]) -> Board:
    for offset, panel in enumerate(panels):
        board = commands.add_panel(board, scene, at + offset, panel)
    return board


def add_references(document: Document, panel_id: str, pictures: list[Picture]) -> None:
    """The pictures become the panel's next references, as far as there is room."""
    step = new_id()
    for picture in pictures:
        if not document.do("Add Reference", partial(_refer, panel_id=panel_id, picture=picture), merge=step):
            break


def _refer(board: Board, panel_id: str, picture: Picture) -> Board:
    return commands.add_reference(board, panel_id, commands.refer_to(board, board.panel(panel_id), picture))


def copies(document: Document, panel_ids: tuple[str, ...], folder: Path) -> list[Path]:
    """Copies of the current takes in `folder`, named after board and panel."""
    number, made = numbers(document.board), []
    for panel_id in panel_ids:
        take = document.board.panel(panel_id).take
        if take:
            title = re.sub(r"[^\w. -]", "_", document.board.title).strip() or "Board"
            kept = document.picture_path(take.picture.sha256)
            made.append(picture_drag.write_clean(kept, folder / f"{title} {number[panel_id]}"))
    return made
