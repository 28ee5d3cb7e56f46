"""What the board view shows: an item view that lays scenes out below each other and paints only what is seen."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QMargins,
    QModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QColor,
    QInputEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QRegion,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractItemView, QStyle, QStyleOptionViewItem, QWidget

from ...board.data import Board
from ..document.document import Document
from ..kit.measures import CHIP, MARGIN
from ..kit.theme import theme
from .layout import Layout, lay_out
from .model import BoardModel, Index
from .paint import BoardDelegate

SMALLEST, LARGEST, USUAL = 130, 620, 230
ACROSS = 5  # cells beside each other, as long as nobody has chosen a size
RING = QMargins(8, 8, 8, 8)  # px around a cell in which its rings are painted
VISIBLE = QAbstractItemView.ScrollHint.EnsureVisible
Flag = QItemSelectionModel.SelectionFlag
STEPS = {"MoveLeft": -1, "MovePrevious": -1, "MoveRight": 1, "MoveNext": 1}


class BoardCells(QAbstractItemView):
    """Panels by scene: where they lie, which are selected, how they are painted. No input."""

    zoomed = Signal(int)  # least width of a cell

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document, self.cell = document, 0  # 0: chosen by the width
        self.layout_ = Layout()
        self._rows = BoardModel(document, self)
        self.setObjectName("plain")
        self.setAccessibleName("Panels of the board")
        self.setFrameShape(self.Shape.NoFrame)
        self.setItemDelegate(BoardDelegate(document, self))
        self.setModel(self._rows)
        self.setSelectionMode(self.SelectionMode.ExtendedSelection)
        self.setEditTriggers(self.EditTrigger.EditKeyPressed)
        self.setDragDropMode(self.DragDropMode.DragDrop)
        self.setVerticalScrollMode(self.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setMouseTracking(True)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.verticalScrollBar().setSingleStep(40)
        self.hovered, self.keyboard = -1, False  # the row under the mouse; whether keys are what is used
        self.anchor: str | None = None  # the panel from which Shift selects
        document.changed.connect(self._follow_board)
        document.picture_ready.connect(self.viewport().update)
        theme.changed.connect(self.viewport().update)

    # What the page asks

    def list_selected(self) -> tuple[str, ...]:
        """Ids of the selected panels in the order of the board."""
        parts = self.selectionModel().selection()  # selectedIndexes asks for the flags of each row
        rows = sorted({row for part in parts.toList() for row in range(part.top(), part.bottom() + 1)})
        return tuple(self.model().rows[row].panel for row in rows if self.model().rows[row].panel)

    def select(self, panel_ids: tuple[str, ...]) -> None:
        """Select these panels and bring the first into view."""
        rows = [self.model().row_of(panel) for panel in panel_ids]
        rows = [row for row in rows if row >= 0]
        self.selectionModel().select(self._join(rows), Flag.ClearAndSelect)
        if rows:
            self.selectionModel().setCurrentIndex(self.model().index(rows[0]), Flag.NoUpdate)
            self.scrollTo(self.model().index(rows[0]))

    def jump_to(self, scene_id: str) -> None:
        """A scene's heading to the top, its first panel chosen."""
        rows = self.model().rows
        row = next((place for place, one in enumerate(rows) if one.scene == scene_id), -1)
        if row >= 0:
            first = rows[row + 1].panel if row + 1 < len(rows) else ""
            self.select((first,) if first else ())
            bar = self.verticalScrollBar()
            bar.setValue(bar.value() + self.visualRect(self.model().index(row)).top() - MARGIN)
            self.setFocus()

    def _join(self, rows: Iterable[int]) -> QItemSelection:
        """These rows, in as few parts as they have gaps: Qt holds each part against each."""
        selection, model, ordered = QItemSelection(), self.model(), sorted(set(rows))
        for _, part in groupby(enumerate(ordered), key=lambda pair: pair[1] - pair[0]):
            run = [row for _, row in part]
            selection.select(model.index(run[0]), model.index(run[-1]))
        return selection

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
        return self.cell or max(USUAL, min(LARGEST, self.viewport().width() // ACROSS - MARGIN))

    def current_panel(self) -> str | None:
        """The panel that the keyboard stands on."""
        index = self.currentIndex()
        return self.model().rows[index.row()].panel or None if index.isValid() else None

    def current_scene(self) -> str:
        """The scene that the keyboard stands in; "" for none."""
        index = self.currentIndex()
        return self.model().rows[index.row()].scene if index.isValid() else ""

    # Layout

    def _follow_board(self, old: Board, new: Board) -> None:
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

    def model(self) -> BoardModel:
        return self._rows

    def setModel(self, model: QAbstractItemModel | None) -> None:
        """When the rows change, the same panels stay selected."""
        assert model is self._rows
        model.modelAboutToBeReset.connect(self._remember)
        super().setModel(model)
        model.modelReset.connect(self._restore)  # after the selection model has dropped everything

    def _remember(self) -> None:
        self._kept = (self.list_selected(), self.current_panel())

    def _restore(self) -> None:
        (kept, current), model = self._kept, self.model()
        rows = (model.row_of(panel) for panel in kept)
        self.selectionModel().select(self._join(row for row in rows if row >= 0), Flag.ClearAndSelect)
        if current and model.row_of(current) >= 0:
            self.selectionModel().setCurrentIndex(model.index(model.row_of(current)), Flag.NoUpdate)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._lay_out()

    def updateGeometries(self) -> None:
        super().updateGeometries()
        bar, page = self.verticalScrollBar(), self.viewport().height()
        bar.setPageStep(page)
        bar.setRange(0, max(0, self.layout_.height - page))

    # What QAbstractItemView asks

    def visualRect(self, index: Index) -> QRect:
        if not index.isValid() or index.row() >= len(self.layout_.rects):
            return QRect()
        return self.layout_.rects[index.row()].translated(0, -self.verticalOffset())

    def indexAt(self, point: QPoint) -> QModelIndex:
        row = self.layout_.at(point + QPoint(0, self.verticalOffset()))
        return self.model().index(row) if row >= 0 else QModelIndex()

    def scrollTo(self, index: Index, hint: QAbstractItemView.ScrollHint = VISIBLE) -> None:
        rect, bar = self.visualRect(index), self.verticalScrollBar()
        if rect.isNull():
            return
        if rect.top() < MARGIN:
            bar.setValue(bar.value() + rect.top() - MARGIN)
        elif rect.bottom() > self.viewport().height() - MARGIN:
            bar.setValue(bar.value() + rect.bottom() - self.viewport().height() + MARGIN)

    def horizontalOffset(self) -> int:
        return 0

    def verticalOffset(self) -> int:
        return self.verticalScrollBar().value()

    def isIndexHidden(self, index: Index) -> bool:
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

    def selectionCommand(self, index: Index, event: QEvent | None = None) -> QItemSelectionModel.SelectionFlag:
        """Shift selects by the order of the board (see extend); Qt would take the rectangle between two cells."""
        return Flag.NoUpdate if self.extends(event) else super().selectionCommand(index, event)

    def extends(self, event: QEvent | None) -> bool:
        kinds = (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonRelease, QEvent.Type.KeyPress)
        shift = Qt.KeyboardModifier.ShiftModifier
        return isinstance(event, QInputEvent) and event.type() in kinds and bool(event.modifiers() & shift)

    def extend(self) -> None:
        """Select from the anchor to the panel that the keyboard stands on."""
        model, here = self.model(), self.currentIndex().row()
        start = model.row_of(self.anchor) if self.anchor else here
        start = here if start < 0 else start
        reach = range(min(start, here), max(start, here) + 1)
        rows = self._join(row for row in reach if model.rows[row].kind == "panel")
        self.selectionModel().select(rows, Flag.ClearAndSelect)

    def setSelection(self, rect: QRect, command: QItemSelectionModel.SelectionFlag) -> None:
        area = rect.normalized().translated(0, self.verticalOffset())
        inside = self.layout_.between(area.top(), area.bottom())
        rows = [row for row in inside if self.layout_.rects[row].intersects(area)]
        panels = self._join(row for row in rows if self.model().rows[row].kind == "panel")
        self.selectionModel().select(panels, command)

    def visualRegionForSelection(self, selection: QItemSelection) -> QRegion:
        """What of it can be seen: nothing else is painted."""
        region, offset = QRegion(), self.verticalOffset()
        for row in self.layout_.between(offset, offset + self.viewport().height()):
            if any(part.top() <= row <= part.bottom() for part in selection.toList()):
                region += self.visualRect(self.model().index(row)).marginsAdded(RING)
        return region

    def viewportSizeHint(self) -> QSize:
        return QSize(720, 480)

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, offset, model = QPainter(self.viewport()), self.verticalOffset(), self.model()
        area = event.rect()
        current = self.currentIndex().row() if self.hasFocus() and self.keyboard else -1
        for row in self.layout_.between(area.top() + offset, area.bottom() + offset):
            rect = self.layout_.rects[row].translated(0, -offset)
            if rect.marginsAdded(RING).intersects(area):
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
        if row == self.hovered:
            option.state |= QStyle.StateFlag.State_MouseOver
        return option

    def marker(self) -> QRect | None:
        """Where something that is dragged over the view would land; None while nothing is."""
        return None

    def _paint_marker(self, painter: QPainter) -> None:
        marker = self.marker()
        if marker is not None:
            painter.setPen(QPen(QColor(theme.colours.accent), 3))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(marker, CHIP, CHIP)

    def currentChanged(self, current: Index, previous: Index) -> None:
        """The ring around the one that has the keys lies outside of it: Qt would leave pieces of it behind."""
        super().currentChanged(current, previous)
        for index in (current, previous):
            self.viewport().update(self.visualRect(index).marginsAdded(RING))

    def dataChanged(self, top: Index, bottom: Index, roles: Sequence[int] = ()) -> None:
        super().dataChanged(top, bottom, roles)
        for row in range(top.row(), min(bottom.row() + 1, top.row() + 8)):
            self.viewport().update(self.visualRect(self.model().index(row)).marginsAdded(RING))
        if bottom.row() - top.row() > 7:
            self.viewport().update()
