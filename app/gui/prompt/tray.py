"""The pictures the model looks at, numbered in its order: drop, reorder, name, give a role, remove."""

from collections.abc import Callable, Iterable
from functools import partial

from PySide6.QtCore import QEvent, QMimeData, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPaintEvent,
    QPixmap,
    QResizeEvent,
)
from PySide6.QtWidgets import QApplication, QWidget

from mlx_model.errors import Refused

from ...board import commands
from ...board.data import Board, Panel, PanelReference, Picture, Taught
from ...board.panel_job import find_taught, is_known
from ...board.picture import Crop
from ...board.seen import Seen, see
from ..document import picture_drag
from ..document.document import Document
from ..document.forecast import find_model
from ..document.panel_part import PanelPart
from ..kit.measures import RADIUS
from ..kit.theme import theme
from ..kit.widgets import icon_button, wins_over_menus
from .crop import CropDialog, cut
from .mapping import Mapper
from .tile import SIZE, NameField, ReferenceTile

GAP, EMPTY, WORDS = 6, 44, 32  # between tiles; the height of an empty tray; what stands under a tile's picture
STEPS: dict[int, int] = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}
LARGEST = 1024  # pixels of a side, of a copy that is cut or cropped
FAR = 40  # pixels outside the tray where a tile leaves it


class ReferenceTray(PanelPart, QWidget):
    """Shows what board.seen says of one panel, and changes the panel's references through the document.

    `limit` is how many pictures the panel's model looks at, `subject` what a sentence about the model begins with.
    """

    mention_asked = Signal(str)  # word
    add_menu_wanted = Signal(QPoint)  # where, on the screen
    tile_menu_wanted = Signal(object, QPoint)  # the tile; where, on the screen
    lay_asked = Signal(object)  # QMimeData of what is to be placed on the panel's picture
    pose_asked = Signal(str)  # id of a reference whose figures are to be posed anew
    told = Signal(str)  # what can't be done and why, "" to take it back

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document, self.limit, self.subject = document, 0, ""
        self.tiles: list[ReferenceTile] = []
        self._dragged: ReferenceTile | None = None
        self._gap: int | None = None
        self._dropping = False
        self._parts: dict[tuple[int, Crop], QPixmap] = {}  # what is shown of cropped ones
        self.layer: Callable[[Panel, QPixmap], QPixmap] = lambda _, pixmap: pixmap  # with what lies on it
        self.add_button = icon_button(
            "Add a reference", "plus", "From a file, the clipboard, the cast or a panel", self._open_add_menu
        )
        self.add_button.setParent(self)
        self.add_button.setText("Add pictures, or drop them here")
        self.add_button.setProperty("kind", "button")
        self.name_field, self.mapper = NameField(self), Mapper(document, self.told.emit, self)
        self.name_field.named.connect(self._rename)
        self.setAcceptDrops(True)
        self.setAccessibleName("References")
        document.picture_ready.connect(self._picture_ready)
        theme.changed.connect(self.update)

    @property
    def board(self) -> Board:
        return self.document.board

    def show_panel(self, panel_id: str) -> None:
        if panel_id != self.panel_id:
            self.name_field.hide()
            self.told.emit("")
        super().show_panel(panel_id)

    def refresh(self) -> None:
        """Show the board as it is now; the tile with the focus keeps it, wherever it moved."""
        shown = self.mapper.show(see(self.board, self.panel))
        focused = next((_key(tile.seen) for tile in self.tiles if tile.hasFocus()), None)
        while len(self.tiles) > len(shown):
            self._drop_tile(self.tiles.pop())
        known, number = self._find_known(shown), 0
        for place, one in enumerate(shown):
            number += not is_known(one, known)
            told = 0 if is_known(one, known) else number
            if place == len(self.tiles):
                self.tiles.append(self._new_tile(one, told))
            self.tiles[place].show_seen(one, told, self._pixmap(one), told > self.limit)
        if focused:
            next((tile for tile in self.tiles if _key(tile.seen) == focused), self.add_button).setFocus()
        self._arrange()

    def _find_known(self, shown: tuple[Seen, ...]) -> dict[str, Taught]:
        """Those whom the panel's model draws by what it was taught; its folder is only opened where somebody was."""
        taught = {member.id for member in self.board.cast if member.taught}
        if not any(one.member in taught for one in shown):
            return {}
        model = find_model(self.board, self.panel, self.document.model)
        return find_taught(self.board, shown, model.found.name) if model.found else {}

    def _drop_tile(self, tile: ReferenceTile) -> None:
        tile.hide()
        tile.setParent(None)
        tile.deleteLater()

    def _new_tile(self, one: Seen, number: int) -> ReferenceTile:
        tile = ReferenceTile(one, number, self._pixmap(one), self)
        tile.drag_began.connect(self._begin_drag)
        tile.dragged.connect(self._drag_to)
        tile.drag_ended.connect(self._end_drag)
        tile.menu_wanted.connect(self._open_tile_menu)
        tile.activated.connect(lambda tile: self.mention_asked.emit(tile.seen.name or str(tile.number)))
        tile.key.connect(self._key)
        tile.show()
        return tile

    def _pixmap(self, one: Seen) -> QPixmap:
        """With a crop, the part: of a larger copy, so that it is sharp too."""
        side = round(2 * SIZE.width() * self.devicePixelRatioF())
        if one.picture is None:
            return QPixmap()
        if one.crop is None:
            pixmap = self.document.pixmap(one.picture.sha256, side)
            return self.layer(self.panel, pixmap) if one.kind == "source" else pixmap
        pixmap = self.document.pixmap(one.picture.sha256, LARGEST)
        key = (pixmap.cacheKey(), one.crop)
        if key not in self._parts:
            self._parts = {kept: part for kept, part in self._parts.items() if kept[1] != one.crop}
            self._parts[key] = cut(pixmap, one.crop, one.picture)
        return self._parts[key]

    def _picture_ready(self, sha256: str) -> None:
        for tile in self.tiles:
            if tile.seen.picture and tile.seen.picture.sha256 == sha256:
                tile.pixmap = self._pixmap(tile.seen)
                tile.update()

    # Layout

    def _columns(self) -> int:
        return max(1, (self.width() + GAP) // (SIZE.width() + GAP))

    def _cell(self, place: int) -> QRect:
        row, column = divmod(place, self._columns())
        across = column * (SIZE.width() + GAP)
        if self.layoutDirection() == Qt.LayoutDirection.RightToLeft:
            across = self.width() - across - SIZE.width()
        return QRect(QPoint(across, row * (SIZE.height() + GAP)), SIZE)

    def _arrange(self) -> None:
        for place, tile in enumerate(self.tiles):
            if tile is not self._dragged:
                tile.setGeometry(self._cell(place))
        self._place_add_button()
        self.setMinimumHeight(self._height())

    def _place_add_button(self) -> None:
        """Wide and in words while the tray is empty, one more tile later, gone where the model looks at no more."""
        styles = Qt.ToolButtonStyle
        self.add_button.setToolButtonStyle(styles.ToolButtonIconOnly if self.tiles else styles.ToolButtonTextBesideIcon)
        cell = self._cell(len(self.tiles)).adjusted(0, 0, 0, -WORDS)
        self.add_button.setGeometry(cell if self.tiles else QRect(0, 0, self.width(), EMPTY))
        self.add_button.setVisible(not self.tiles or len(self.tiles) < self.limit)

    def _height(self) -> int:
        if not self.tiles:
            return EMPTY
        last = len(self.tiles) - (1 if self.add_button.isHidden() else 0)
        return self._cell(last).bottom() + 1

    def controls(self) -> list[QWidget]:
        """What takes the keyboard, in its order."""
        return [*self.tiles, *([] if self.add_button.isHidden() else [self.add_button])]

    def sizeHint(self) -> QSize:
        return QSize(4 * (SIZE.width() + GAP) - GAP, self._height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._arrange()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        accent = QColor(theme.colours.accent)
        if self._dropping:
            painter.setPen(accent)
            accent.setAlpha(40)
            painter.setBrush(accent)
            painter.drawRoundedRect(self.rect().adjusted(0, 0, -1, -1), RADIUS, RADIUS)
        if self._gap is not None:
            cell = self._cell(self._gap)
            painter.fillRect(QRect(cell.left() - GAP // 2 - 1, cell.top(), 3, SIZE.height()), QColor(accent.name()))

    # Reorder

    def places(self) -> range:
        """The places in the model of what can be moved."""
        movable = [place for place, tile in enumerate(self.tiles) if tile.movable]
        return range(movable[0], movable[-1] + 1) if movable else range(0)

    def _begin_drag(self, tile: ReferenceTile) -> None:
        self._dragged = tile
        tile.raise_()

    def _drag_to(self, at: QPoint) -> None:
        tile = self._dragged
        if tile is None:
            return
        if not self.rect().adjusted(-FAR, -FAR, FAR, FAR).contains(at):
            self._drag_out(tile)
            return
        if tile.movable:
            tile.move(at - QPoint(SIZE.width() // 2, SIZE.height() // 2))
            self._gap = self._gap_at(at)
            self.update()

    def _gap_at(self, at: QPoint) -> int:
        """In front of which place the tile would land."""
        allowed = self.places()
        row = max(0, at.y() // (SIZE.height() + GAP))
        across = self.width() - at.x() if self.layoutDirection() == Qt.LayoutDirection.RightToLeft else at.x()
        column = min(self._columns(), max(0, round(across / (SIZE.width() + GAP))))
        return min(max(row * self._columns() + column, allowed.start), allowed.stop)

    def _end_drag(self) -> None:
        tile, gap = self._dragged, self._gap
        self._dragged = self._gap = None
        self.update()
        if tile and gap is not None:
            place = self.tiles.index(tile)
            self.move_tile(tile, gap - (1 if gap > place else 0))
        self._arrange()

    def _drag_out(self, tile: ReferenceTile) -> None:
        self._dragged = self._gap = None
        tile.stop_dragging()
        self.update()
        self._arrange()
        if tile.seen.picture:
            picture_drag.drag_out(self, self.document, tile.seen.picture, tile.title(), tile.seen.crop)

    def lay(self, tile: ReferenceTile) -> None:
        """Ask for what a tile shows to be placed on the panel's picture."""
        if tile.seen.picture:
            mime = picture_drag.mime_of(self.document, tile.seen.picture, tile.title(), tile.seen.crop)
            self.lay_asked.emit(mime)

    def move_tile(self, tile: ReferenceTile, place: int) -> None:
        """Put a reference at a place of the model."""
        at = place - self.places().start
        if tile.movable and place in self.places() and place != self.tiles.index(tile):
            move = partial(commands.move_reference, panel_id=self.panel_id, reference_id=tile.reference, at=at)
            tile.setFocus()
            self.document.do("Reorder References", move)

    # Keys and menus

    def _key(self, tile: ReferenceTile, key: int, modifiers: Qt.KeyboardModifier) -> None:
        place, keys = self.tiles.index(tile), Qt.Key
        if key in STEPS and modifiers & Qt.KeyboardModifier.AltModifier:
            self.move_tile(tile, place + STEPS[key])
        elif key in STEPS:
            self._focus(
                place + (STEPS[key] if key in (keys.Key_Left, keys.Key_Right) else STEPS[key] * self._columns())
            )
        elif key in (keys.Key_Home, keys.Key_End):
            self._focus(0 if key == keys.Key_Home else len(self.tiles) - 1)
        elif key in (keys.Key_Delete, keys.Key_Backspace):
            self.remove(tile)
        elif key == keys.Key_F2:
            self.rename(tile)
        elif key == keys.Key_Menu:
            self._open_tile_menu(tile, tile.mapToGlobal(tile.rect().center()))
        else:
            tile.activated.emit(tile)

    def _focus(self, place: int) -> None:
        targets = self.controls()
        targets[min(max(place, 0), len(targets) - 1)].setFocus(Qt.FocusReason.TabFocusReason)

    def event(self, event: QEvent) -> bool:
        return wins_over_menus(event, standard=[QKeySequence.StandardKey.Paste]) or super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Paste):
            self.add_from(QApplication.clipboard().mimeData())
        else:
            super().keyPressEvent(event)

    def _open_add_menu(self) -> None:
        self.add_menu_wanted.emit(self.add_button.mapToGlobal(self.add_button.rect().bottomLeft()))

    def _open_tile_menu(self, tile: ReferenceTile, at: QPoint) -> None:
        tile.setFocus()
        self.tile_menu_wanted.emit(tile, at)

    # Changes

    def add_from(self, mime: QMimeData) -> None:
        """What was dropped or pasted becomes references."""
        self.add_pictures(picture_drag.pictures_in(mime, self.document))

    def add_pictures(self, found: Iterable[Picture]) -> None:
        """Each under a name that says what it is, in the role that is most likely meant."""
        self.add([commands.refer_to(self.board, self.panel, picture) for picture in found])

    def add(self, references: list[PanelReference]) -> None:
        """As many as the model looks at; says so where that is not all of them."""
        board, left_out = self.board, ""
        for reference in references:
            try:
                more = commands.add_reference(board, self.panel_id, reference)
            except Refused as error:
                self.document.tell(error)
                break
            if len(see(more, more.panel(self.panel_id))) > max(self.limit, len(self.tiles)):
                left_out = self.limit_message()
                break
            board = more
        self.told.emit(left_out)
        self.document.do("Add Reference" if len(references) == 1 else "Add References", board)

    def limit_message(self) -> str:
        """How many pictures the model looks at, in words."""
        if not self.limit:
            return f"{self.subject} can't look at pictures. Choose a model that edits."
        pictures = "1 picture" if self.limit == 1 else f"{self.limit} pictures"
        return f"{self.subject} looks at {pictures} at most. Remove one first, or choose another model."

    def remove(self, tile: ReferenceTile) -> None:
        """Take a reference away; the start and what the text mentions are not removed here."""
        if not tile.movable:
            self.told.emit(tile.accessibleDescription())
            return
        place = self.tiles.index(tile)
        remove = partial(commands.remove_reference, panel_id=self.panel_id, reference_id=tile.reference)
        self.told.emit("")
        self.document.do("Remove Reference", remove)
        self._focus(place)

    def rename(self, tile: ReferenceTile) -> None:
        """Open the field for the name; a cast member's name is the cast's."""
        if tile.seen.kind == "reference" and not tile.seen.member:
            self.name_field.open(tile)
        elif tile.seen.member:
            self.told.emit(f"{tile.title()} is named in the cast: change it there.")

    def crop(self, tile: ReferenceTile) -> None:
        """Ask for the part of a reference that the model looks at."""
        one = tile.seen
        if one.picture is None:
            return
        dialog = CropDialog(self.document.pixmap_now(one.picture.sha256, LARGEST), one.picture, one.crop, self)
        if dialog.exec() and dialog.chosen != one.crop:
            self.change_reference(tile.reference, "Crop Reference", crop=dialog.chosen)

    def _rename(self, reference_id: str, name: str) -> None:
        self.change_reference(reference_id, "Rename Reference", name=name)

    def change_reference(self, reference_id: str, label: str, **fields: object) -> None:
        """Set fields of one reference."""
        self.told.emit("")
        self.document.do(label, lambda board: commands.set_reference(board, self.panel_id, reference_id, **fields))

    # Drop

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if picture_drag.has_pictures(event.mimeData()) and event.source() is not self:
            self._dropping = True
            event.acceptProposedAction()
            self.update()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._dropping = False
        self.update()

    def dropEvent(self, event: QDropEvent) -> None:
        self.dragLeaveEvent(QDragLeaveEvent())
        event.acceptProposedAction()
        self.add_from(event.mimeData())


def _key(one: Seen) -> tuple:
    return (one.kind, one.reference, one.member)
