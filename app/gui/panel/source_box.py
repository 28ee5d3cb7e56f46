"""What a panel starts from: nothing, its own take, or another panel's."""

from collections.abc import Iterable

from PySide6.QtCore import QEvent, QObject, QSignalBlocker, QSize
from PySide6.QtGui import QIcon, QStandardItemModel
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from ...board import commands
from ...board.data import Panel, Source, numbers
from ...board.seen import source_picture
from ..document.document import Document
from ..document.panel_part import PanelPart
from ..kit.fields import choice
from ..kit.widgets import describe, label, set_tone

BLANK, TAKE = Source("blank"), Source("take")


class SourceBox(PanelPart, QWidget):
    """Chooses the source through the document; tells what it means in one line."""

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document = document
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        row = QHBoxLayout()
        row.setSpacing(8)
        self.box = choice(
            "Start from", "What the run changes; without one the picture is made from words", self._choose
        )
        self.box.setIconSize(QSize(36, 22))
        self.box.view().installEventFilter(self)
        self._pictures: dict[int, str] = {}  # row -> sha256
        document.picture_ready.connect(self._follow_picture)
        words = label("Start from", "muted")
        words.setBuddy(self.box)
        row.addWidget(words)
        row.addWidget(self.box, 1)
        column.addLayout(row)
        self.mask_row = QWidget()
        mask = QHBoxLayout(self.mask_row)
        mask.setContentsMargins(0, 0, 0, 0)
        self.mask_words = label(tone="muted")
        self.mask_words.setWordWrap(True)
        mask.addWidget(self.mask_words, 1)
        self.remove_mask = QPushButton("Remove Mask")
        self.remove_mask.setProperty("kind", "quiet")
        describe(self.remove_mask, "Remove mask", "The whole picture may change again")
        self.remove_mask.clicked.connect(self.clear_mask)
        mask.addWidget(self.remove_mask)
        column.addWidget(self.mask_row)

    def refresh(self) -> None:
        panel, board = self.panel, self.document.board
        wanted = (panel.source, panel.mask, [(other.id, other.current) for other in board.panels()])
        if wanted == self._shown:
            return
        self._shown, number = wanted, numbers(board)
        with QSignalBlocker(self.box):
            self.box.clear()
            self.box.addItem("Nothing, from words", BLANK)
            self._pictures = {1: panel.take.picture.sha256} if panel.take else {}
            self.box.addItem("This panel's take", TAKE)
            rows = self.box.model()
            assert isinstance(rows, QStandardItemModel)  # what a combo box makes for itself
            rows.item(1).setEnabled(panel.take is not None)
            for other in self.document.board.panels():
                if other.id != panel.id and (other.take or panel.source.panel == other.id):
                    if other.take:
                        self._pictures[self.box.count()] = other.take.picture.sha256
                    self.box.addItem(f"Panel {number[other.id]}", Source("panel", other.id))
            sources = [self.box.itemData(place) for place in range(self.box.count())]
            self.box.setCurrentIndex(sources.index(panel.source) if panel.source in sources else 0)
        self._show_icons([self.box.currentIndex()])
        self._show_mask(panel)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A thousand panels have a thousand pictures: they are looked for when the list opens."""
        if event.type() == QEvent.Type.Show:
            self._show_icons()
        return super().eventFilter(watched, event)

    def _follow_picture(self, sha256: str) -> None:
        if self.box.view().isVisible():
            self._show_icons()

    def _show_icons(self, rows: Iterable[int] | None = None) -> None:
        for row in self._pictures if rows is None else rows:
            if row in self._pictures:
                self.box.setItemIcon(row, QIcon(self.document.pixmap(self._pictures[row], 96)))

    def _show_mask(self, panel: Panel) -> None:
        """A mask of another size than the start's is not used by the run, and that is said."""
        source = source_picture(self.document.board, panel)
        fits = source and panel.mask and (panel.mask.width, panel.mask.height) == (source.width, source.height)
        self.mask_words.setText("Only the masked part changes" if fits else "The mask fits another picture: not used")
        set_tone(self.mask_words, "muted" if fits else "warning")
        self.mask_row.setVisible(panel.mask is not None)

    def _choose(self, row: int) -> None:
        self.set_source(self.box.itemData(row))

    def set_source(self, source: Source) -> None:
        """Start from something else; the mask goes, for it was painted on the other picture."""
        self.change("Change Start", source=source)

    def clear_mask(self) -> None:
        """Let everything change again."""
        self.document.do("Remove Mask", lambda board: commands.set_mask(board, self.panel_id, None))
