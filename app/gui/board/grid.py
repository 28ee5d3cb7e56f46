"""The grid of the board view: an item view that lays scenes out below each other and paints only what is seen."""

from PySide6.QtCore import QEvent, QItemSelection, QItemSelectionModel, QModelIndex, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QInputEvent, QKeyEvent, QMouseEvent, QPainter, QPen, QRegion, QWheelEvent
from PySide6.QtWidgets import QAbstractItemView, QStyle, QStyleOptionViewItem, QWidget

from ...board.data import Board
from ..document.document import Document
from ..kit.theme import theme
from .drop import Dropping
from .layout import GAP, Layout, lay_out
from .model import ROW, BoardModel
from .paint import BoardDelegate

SMALLEST, LARGEST, USUAL = 130, 620, 230
ACROSS = 5  # cells beside each other, as long as nobody has chosen a size
Flag = QItemSelectionModel.SelectionFlag
STEPS = {"MoveLeft": -1, "MovePrevious": -1, "MoveRight": 1, "MoveNext": 1}


class BoardGrid(QAbstractItemView):
    """Panels by scene. Signals say what the user wants; the page does it."""

    opened = Signal(str)  # panel id: double click or Return
    add_wanted = Signal(str)  # scene id
    peek_wanted = Signal(str)  # panel id: space
    file_dropped = Signal(str)  # path of a board, script or timeline
    zoomed = Signal(int)  # least width of a cell

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document, self.cell = document, 0  # 0: chosen by the width
        self.layout_ = Layout()
        self.dropping = Dropping(self)
        self.setObjectName("plain")
        self.setAccessibleName("Panels of the board")
        self.setFrameShape(self.Shape.NoFrame)
        self.setItemDelegate(BoardDelegate(document, self))
        self.setModel(BoardModel(document, self))
        self.setSelectionMode(self.SelectionMode.ExtendedSelection)
        self.setEditTriggers(self.EditTrigger.EditKeyPressed)
        self.setDragDropMode(self.DragDropMode.DragDrop)
        self.setVerticalScrollMode(self.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self.viewport().setMouseTracking(True)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.verticalScrollBar().setSingleStep(40)
        self._hovered, self._keyboard = -1, False
        self._anchor: str | None = None  # the panel from which Shift selects
        document.changed.connect(self._board_changed)
        document.picture_ready.connect(self.viewport().update)
        theme.changed.connect(self.viewport().update)

    # What the page asks

    def selected(self) -> tuple[str, ...]:
        """Ids of the selected panels in the order of the board."""
        rows = sorted(index.row() for index in self.selectedIndexes())
        return tuple(self.model().rows[row].panel for row in rows if self.model().rows[row].panel)

    def select(self, panel_ids: tuple[str, ...]) -> None:
        """Select these panels and bring the first into view."""
        rows = [self.model().row_of(panel) for panel in panel_ids]
        rows = [row for row in rows if row >= 0]
        selection = QItemSelection()
        for row in rows:
            selection.select(self.model().index(row), self.model().index(row))
        self.selectionModel().select(selection, Flag.ClearAndSelect)
        if rows:
            self.selectionModel().setCurrentIndex(self.model().index(rows[0]), Flag.NoUpdate)
            self.scrollTo(self.model().index(rows[0]))

    def set_cell(self, width: int) -> None:
        """The least width of a cell; what is in the middle of the view stays there."""
        width = max(SMALLEST, min(LARGEST, width))
        if width != self.least:
            share = (self.verticalOffset() + self.viewport().height() / 2) / max(1, self.layout_.height)
            self.cell = width
            self._lay_out()
            middle = share * self.layout_.height - self.viewport().height() / 2
            self.verticalScrollBar().setValue(round(middle))

    @property
    def least(self) -> int:
        """The least width of a cell that counts now."""
        return self.cell or max(USUAL, min(LARGEST, self.viewport().width() // ACROSS - GAP))

    def current_panel(self) -> str | None:
        """The panel that the keyboard stands on."""
        index = self.currentIndex()
        return self.model().rows[index.row()].panel if index.isValid() else None

    # Layout

    def _board_changed(self, old: Board, new: Board) -> None:
        if old.aspect != new.aspect:
            self._lay_out()

    def _lay_out(self) -> None:
        kinds = [row.kind for row in self.model().rows]
        self.layout_ = lay_out(kinds, self.viewport().width(), self.least, self.document.board.aspect)
        self.updateGeometries()
        self.viewport().update()
        self.zoomed.emit(self.least)

    def reset(self) -> None:
        super().reset()
        self._lay_out()

    def setModel(self, model: BoardModel) -> None:
        """When the rows change, the same panels stay selected."""
        model.modelAboutToBeReset.connect(self._remember)
        super().setModel(model)
        model.modelReset.connect(self._restore)  # after the selection model has dropped everything

    def _remember(self) -> None:
        self._kept = (self.selected(), self.current_panel())

    def _restore(self) -> None:
        (kept, current), selection, model = self._kept, QItemSelection(), self.model()
        for row in (model.row_of(panel) for panel in kept):
            if row >= 0:
                selection.select(model.index(row), model.index(row))
        self.selectionModel().select(selection, Flag.ClearAndSelect)
        if current and model.row_of(current) >= 0:
            self.selectionModel().setCurrentIndex(model.index(model.row_of(current)), Flag.NoUpdate)

    def resizeEvent(self, event) -> None:
        super().resizeEvent(event)
        self._lay_out()

    def updateGeometries(self) -> None:
        super().updateGeometries()
        bar, page = self.verticalScrollBar(), self.viewport().height()
        bar.setPageStep(page)
        bar.setRange(0, max(0, self.layout_.height - page))

    # What QAbstractItemView asks

    def visualRect(self, index: QModelIndex) -> QRect:
        if not index.isValid() or index.row() >= len(self.layout_.rects):
            return QRect()
        return self.layout_.rects[index.row()].translated(0, -self.verticalOffset())

    def indexAt(self, point: QPoint) -> QModelIndex:
        row = self.layout_.at(point + QPoint(0, self.verticalOffset()))
        return self.model().index(row) if row >= 0 else QModelIndex()

    def scrollTo(self, index: QModelIndex, hint=QAbstractItemView.ScrollHint.EnsureVisible) -> None:
        rect, bar = self.visualRect(index), self.verticalScrollBar()
        if rect.isNull():
            return
        if rect.top() < GAP:
            bar.setValue(bar.value() + rect.top() - GAP)
        elif rect.bottom() > self.viewport().height() - GAP:
            bar.setValue(bar.value() + rect.bottom() - self.viewport().height() + GAP)

    def horizontalOffset(self) -> int:
        return 0

    def verticalOffset(self) -> int:
        return self.verticalScrollBar().value()

    def isIndexHidden(self, index: QModelIndex) -> bool:
        return False

    def moveCursor(self, action: QAbstractItemView.CursorAction, modifiers: Qt.KeyboardModifier) -> QModelIndex:
        rows, here = self.layout_.rects, self.currentIndex().row()
        if not rows:
            return QModelIndex()
        if here < 0:
            return self.model().index(min(1, len(rows) - 1))
        name = action.name
        if name in STEPS:
            target = here + STEPS[name]
        elif name in ("MoveHome", "MoveEnd"):
            target = 0 if name == "MoveHome" else len(rows) - 1
        else:
            target = self._vertical(here, -1 if name.endswith("Up") else 1, name.startswith("MovePage"))
        target = max(0, min(len(rows) - 1, target))
        if modifiers & Qt.KeyboardModifier.ShiftModifier:
            target = self._panel_row(target, 1 if target >= here else -1, here)
        return self.model().index(target)

    def _panel_row(self, row: int, way: int, otherwise: int) -> int:
        """The row of a panel at `row` or behind it in that direction: Shift goes over headings and places to add."""
        rows = self.model().rows
        while 0 <= row < len(rows) and rows[row].kind != "panel":
            row += way
        return row if 0 <= row < len(rows) else otherwise

    def _vertical(self, here: int, way: int, page: bool) -> int:
        """The row straight above or below; a page: the one about a screen away."""
        rects, start = self.layout_.rects, self.layout_.rects[here]
        least = self.viewport().height() - start.height() if page else 1
        beyond = [row for row in range(len(rects)) if way * (rects[row].top() - start.top()) >= least]
        if not beyond:
            return here if not page else (0 if way < 0 else len(rects) - 1)
        line = min(abs(rects[row].top() - start.top()) for row in beyond)
        same = [row for row in beyond if abs(rects[row].top() - start.top()) == line]
        column = start.center().x() if start.width() < self.viewport().width() // 2 else 0
        return min(same, key=lambda row: abs(rects[row].center().x() - column))

    def selectionCommand(self, index: QModelIndex, event: QEvent | None = None) -> Flag:
        """Shift selects by the order of the board (see _extend); Qt would take the rectangle between two cells."""
        return Flag.NoUpdate if self._extends(event) else super().selectionCommand(index, event)

    def _extends(self, event: QEvent | None) -> bool:
        kinds = (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonRelease, QEvent.Type.KeyPress)
        shift = Qt.KeyboardModifier.ShiftModifier
        return isinstance(event, QInputEvent) and event.type() in kinds and bool(event.modifiers() & shift)

    def _extend(self) -> None:
        """Select from the anchor to the panel that the keyboard stands on."""
        model, here = self.model(), self.currentIndex().row()
        start = model.row_of(self._anchor) if self._anchor else here
        start = here if start < 0 else start
        selection = QItemSelection()
        for row in range(min(start, here), max(start, here) + 1):
            if model.rows[row].kind == "panel":
                selection.select(model.index(row), model.index(row))
        self.selectionModel().select(selection, Flag.ClearAndSelect)

    def setSelection(self, rect: QRect, command: Flag) -> None:
        area = rect.normalized().translated(0, self.verticalOffset())
        selection, model = QItemSelection(), self.model()
        for row in self.layout_.between(area.top(), area.bottom()):
            if model.rows[row].kind == "panel" and self.layout_.rects[row].intersects(area):
                selection.select(model.index(row), model.index(row))
        self.selectionModel().select(selection, command)

    def visualRegionForSelection(self, selection: QItemSelection) -> QRegion:
        region = QRegion()
        for index in selection.indexes():
            region += self.visualRect(index).adjusted(-6, -6, 6, 6)
        return region

    def viewportSizeHint(self) -> QSize:
        return QSize(720, 480)

    # Painting

    def paintEvent(self, event) -> None:
        painter, offset, model = QPainter(self.viewport()), self.verticalOffset(), self.model()
        area = event.rect()
        current = self.currentIndex().row() if self.hasFocus() and self._keyboard else -1
        for row in self.layout_.between(area.top() + offset, area.bottom() + offset):
            rect = self.layout_.rects[row].translated(0, -offset)
            if rect.adjusted(-6, -6, 6, 6).intersects(area):
                self.itemDelegate().paint(painter, self._option(row, rect, current), model.index(row))
        self._paint_marker(painter)
        painter.end()

    def _option(self, row: int, rect: QRect, current: int) -> QStyleOptionViewItem:
        option = QStyleOptionViewItem()
        option.rect = rect
        option.state = QStyle.StateFlag.State_Enabled
        if self.selectionModel().isSelected(self.model().index(row)):
            option.state |= QStyle.StateFlag.State_Selected
        if row == current:
            option.state |= QStyle.StateFlag.State_HasFocus
        if row == self._hovered:
            option.state |= QStyle.StateFlag.State_MouseOver
        return option

    def _paint_marker(self, painter: QPainter) -> None:
        marker = self.dropping.marker()
        if marker is not None:
            painter.setPen(QPen(QColor(theme.colours.accent), 3))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(marker, 3, 3)

    def dataChanged(self, top: QModelIndex, bottom: QModelIndex, roles=()) -> None:
        super().dataChanged(top, bottom, roles)
        for row in range(top.row(), min(bottom.row() + 1, top.row() + 8)):
            self.viewport().update(self.visualRect(self.model().index(row)).adjusted(-6, -6, 6, 6))
        if bottom.row() - top.row() > 7:
            self.viewport().update()

    # Hands

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        row = self.indexAt(event.position().toPoint()).row()
        if row != self._hovered:
            self._hovered = row
            self.viewport().update()

    def leaveEvent(self, event) -> None:
        self._hovered = -1
        self.viewport().update()
        super().leaveEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        index = self.indexAt(event.position().toPoint())
        super().mouseReleaseEvent(event)
        if event.button() == Qt.MouseButton.LeftButton and index.isValid() and index.data(ROW).kind == "add":
            self.add_wanted.emit(index.data(ROW).scene)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        index = self.indexAt(event.position().toPoint())
        if not index.isValid():
            return
        row, below = index.data(ROW), self.visualRect(index).bottom() - event.position().y() < 38
        if row.kind == "heading" or (row.kind == "panel" and below):
            self.edit(index)
        elif row.kind == "panel":
            self.opened.emit(row.panel)

    def focusInEvent(self, event) -> None:
        self._keyboard |= event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)
        super().focusInEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._keyboard = False
        super().mousePressEvent(event)
        self._move_anchor(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        self._keyboard = True
        index, plain = self.currentIndex(), event.modifiers() == Qt.KeyboardModifier.NoModifier
        # A line edit lets Return through to its parents, which must not open the next thing.
        editing = self.state() == self.State.EditingState
        row = index.data(ROW) if index.isValid() and not editing else None
        if row and plain and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._return(index, row)
        elif row and row.panel and plain and event.key() == Qt.Key.Key_Space:
            self.peek_wanted.emit(row.panel)
        elif row and event.key() == Qt.Key.Key_F2:
            self.edit(index)
        else:
            super().keyPressEvent(event)
            self._move_anchor(event)

    def _move_anchor(self, event: QInputEvent) -> None:
        """With Shift the selection reaches from the anchor to where the press led; without, that is the new anchor."""
        if self._extends(event):
            self._extend()
        elif event.modifiers() == Qt.KeyboardModifier.NoModifier:
            self._anchor = self.current_panel()

    def _return(self, index: QModelIndex, row) -> None:
        if row.kind == "panel":
            self.opened.emit(row.panel)
        elif row.kind == "add":
            self.add_wanted.emit(row.scene)
        else:
            self.edit(index)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.set_cell(round(self.least * (1.1 if event.angleDelta().y() > 0 else 1 / 1.1)))
        else:
            super().wheelEvent(event)

    def startDrag(self, actions: Qt.DropAction) -> None:
        self.dropping.start(self.selected())

    def dragEnterEvent(self, event) -> None:
        self.dropping.enter(event)

    def dragMoveEvent(self, event) -> None:
        self.dropping.move(event)

    def dragLeaveEvent(self, event) -> None:
        self.dropping.leave()

    def dropEvent(self, event) -> None:
        self.dropping.drop(event)
