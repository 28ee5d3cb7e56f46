"""The panels that a member of the cast is in, as a strip of small pictures that open them."""

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QListView, QListWidget, QListWidgetItem

from ...board import commands
from ...board.data import Board, Member, Panel, numbers
from ..document.document import Document

ICON = QSize(72, 54)
ROW, COLUMNS = ICON.height() + 26, 3  # height of a row; panels beside each other at the least width


class UsedIn(QListWidget):
    """Return, Space or a double click opens a panel."""

    opened = Signal(str)  # panel id

    def __init__(self, document: Document):
        super().__init__()
        self.document, self._shown = document, None
        self.setAccessibleName("Panels with this member")
        self.setToolTip("Double-click opens the panel")
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setIconSize(ICON)
        self.setGridSize(QSize(ICON.width() + 14, ROW))
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMovement(QListView.Movement.Static)
        self.setMinimumHeight(ROW + 12)
        self.itemActivated.connect(lambda item: self.opened.emit(item.data(Qt.ItemDataRole.UserRole)))

    def show_member(self, member: Member) -> None:
        """The panels with the member; read again only where something of them changed."""
        board = self.document.board
        panels, number = panels_with(board, member), numbers(board)
        pixmaps = [self.document.pixmap(p.take.picture.sha256, 2 * ICON.width()) if p.take else None for p in panels]
        wanted = [(p.id, number[p.id], one.cacheKey() if one else 0) for p, one in zip(panels, pixmaps, strict=True)]
        if wanted == self._shown:
            return
        self._shown = wanted
        self.setMaximumHeight(ROW * -(-max(1, len(panels)) // COLUMNS) + 12)
        self.clear()
        for panel, pixmap in zip(panels, pixmaps, strict=True):
            item = QListWidgetItem(QIcon(pixmap) if pixmap else QIcon(), number[panel.id])
            item.setData(Qt.ItemDataRole.UserRole, panel.id)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, f"Panel {number[panel.id]}")
            item.setToolTip(panel.prompt)
            self.addItem(item)


def panels_with(board: Board, member: Member) -> list[Panel]:
    """The panels that have a picture of the member or mention it."""
    mention = f"@{member.name}".lower()
    return [
        panel
        for panel in board.panels()
        if any(reference.member == member.id for reference in panel.references)
        or (mention in panel.prompt.lower() and member in commands.mentioned(board, panel.prompt))
    ]
