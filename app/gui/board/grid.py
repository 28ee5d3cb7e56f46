"""The grid of the board view: what mouse, keys and drops do to the cells."""

from PySide6.QtCore import QEvent, QModelIndex, QPoint, QRect, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QFocusEvent,
    QInputEvent,
    QKeyEvent,
    QMouseEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from ..document.document import Document
from .cells import BoardCells
from .drop import Dropping
from .model import ROW, Row

ARROWS = (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down)


class BoardGrid(BoardCells):
    """Signals say what the user wants; the page does it."""

    opened = Signal(str)  # panel id: double click or Return
    add_wanted = Signal(str)  # scene id
    peek_wanted = Signal(str)  # panel id: space
    file_dropped = Signal(str)  # path of a board, script or timeline
    menu_wanted = Signal(str, QPoint)  # of what: a "panel" (the selected ones), a "heading", the "board"; where

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(document, parent)
        self.dropping = Dropping(self)
        self.dropping.file_dropped.connect(self.file_dropped)

    def marker(self) -> QRect | None:
        return self.dropping.marker()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        row = self.indexAt(event.position().toPoint()).row()
        if row != self.hovered:
            self.hovered = row
            self.viewport().update()

    def leaveEvent(self, event: QEvent) -> None:
        self.hovered = -1
        self.viewport().update()
        super().leaveEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        index = self.indexAt(event.position().toPoint())
        super().mouseReleaseEvent(event)
        if event.button() == Qt.MouseButton.LeftButton and index.isValid() and index.data(ROW).kind == "add":
            self.add_wanted.emit(index.data(ROW).scene)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        index = self.indexAt(event.position().toPoint())
        if not index.isValid() or event.button() != Qt.MouseButton.LeftButton:
            return
        row, below = index.data(ROW), self.visualRect(index).bottom() - event.position().y() < 38
        if row.kind == "heading" or (row.kind == "panel" and below):
            self.edit(index)
        elif row.kind == "panel":
            self.opened.emit(row.panel)

    def focusInEvent(self, event: QFocusEvent) -> None:
        self.keyboard |= event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)
        super().focusInEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.keyboard = False
        super().mousePressEvent(event)
        if event.button() == Qt.MouseButton.LeftButton:
            self._move_anchor(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        unseen, self.keyboard = not self.keyboard and not self.list_selected(), True
        index, plain = self.currentIndex(), event.modifiers() == Qt.KeyboardModifier.NoModifier
        # A line edit lets Return through to its parents, which must not open the next thing.
        editing = self.state() == self.State.EditingState
        row = index.data(ROW) if index.isValid() and not editing else None
        if row and plain and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            None if event.isAutoRepeat() else self._return(index, row)  # one press opens one thing
        elif row and row.panel and plain and event.key() == Qt.Key.Key_Space:
            self.peek_wanted.emit(row.panel)
        elif plain and event.key() == Qt.Key.Key_Escape and not editing and self.list_selected():
            self.clearSelection()
        elif row and event.key() == Qt.Key.Key_F2:
            self.edit(index)
        elif unseen and row and plain and event.key() in ARROWS:
            self.setCurrentIndex(index)  # where the keys stand was not to be seen: it is shown first
            self._move_anchor(event)
        else:
            super().keyPressEvent(event)
            if self.currentIndex() != index:  # Shift alone, as the first of Ctrl+Shift+A, leads nowhere
                self._move_anchor(event)

    def keyboardSearch(self, search: str) -> None:
        """Letters choose no row: Qt went to "Add Panel" from an empty panel, whose row has no words to find."""

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """The menu of what lies there. Beside the panels nothing is chosen any more: a menu of theirs would mislead."""
        by_keys = event.reason() == QContextMenuEvent.Reason.Keyboard
        index = self.currentIndex() if by_keys else self.indexAt(event.pos())
        kind = index.data(ROW).kind if index.isValid() else "board"
        if kind != "panel":
            self.clearSelection()
        at = self.viewport().mapToGlobal(self.visualRect(index).center()) if by_keys else event.globalPos()
        self.menu_wanted.emit("board" if kind == "add" else kind, at)

    def _move_anchor(self, event: QInputEvent) -> None:
        """With Shift the selection reaches from the anchor to where the press led; without, that is the new anchor."""
        if self.extends(event):
            self.extend()
        elif event.modifiers() == Qt.KeyboardModifier.NoModifier:
            self.anchor = self.current_panel()

    def _return(self, index: QModelIndex, row: Row) -> None:
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
        self.hovered = -1  # the mouse moves that follow are the drag's, and another panel comes to lie there
        self.dropping.start(self.list_selected())

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        self.dropping.enter(event)

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        self.dropping.move(event)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self.dropping.leave()

    def dropEvent(self, event: QDropEvent) -> None:
        self.dropping.drop(event)
