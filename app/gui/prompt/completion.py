"""Under an @ a list opens: the pictures in the model's order, then the rest of the cast. For any field of words."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QObject, QPoint, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QIcon, QKeyEvent, QPainter, QPixmap
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QWidget

from ...board.data import Board, Picture
from ...board.seen import Seen
from ..document.document import Document
from ..kit import portrait
from ..kit.text_field import FloatingField
from ..kit.widgets import as_line

ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
OPEN_MENTION = re.compile(r"(?<![\w@.\\])@([\w-]*)$")
NEAR = QPoint(-8, 4)  # from the caret's foot to the list
THUMB = 28
ROWS = 7
FRAME = 12  # px: above and below the rows


@dataclass(frozen=True)
class Choice:
    """One line: `word` goes behind the @; `number` is the place of a picture that the model sees already."""

    word: str
    number: int | None
    role: str
    colour: str
    picture: Picture | None


def choices(board: Board, seen: Sequence[Seen], typed: str) -> list[Choice]:
    """What `typed` (behind the @) may become. A picture without a name is offered by its number."""
    listed = [
        Choice(one.name or str(place), place, "start" if one.kind == "source" else one.role, one.colour, one.picture)
        for place, one in enumerate(seen, 1)
    ]
    here = {one.name.casefold() for one in seen}
    listed += [
        Choice(member.name, None, member.role, member.colour, member.pictures[0] if member.pictures else None)
        for member in board.cast
        if member.name.casefold() not in here
    ]
    key = typed.casefold()
    return [one for one in listed if one.word.casefold().startswith(key) or str(one.number or "") == typed]


class MentionList(QListWidget):
    """Floats over the window and never takes the keyboard: the text box keeps it and moves the choice."""

    picked = Signal(str)  # word

    def __init__(self, parent: QWidget, document: Document):
        super().__init__(parent)
        self._document, self._over = document, parent
        self.listed: list[Choice] = []
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setIconSize(QSize(THUMB, THUMB))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("Pictures to mention")
        self.setUniformItemSizes(True)
        self.setObjectName("popup")
        self.itemClicked.connect(lambda item: self.picked.emit(item.data(Qt.ItemDataRole.UserRole)))
        document.picture_ready.connect(self._show_pictures)
        self.hide()

    def offer(self, listed: Sequence[Choice], below: QPoint) -> None:
        """Show `listed` under the point `below` of the parent widget, or hide where there is nothing."""
        if list(listed) != self.listed:
            self.listed = list(listed)
            self.clear()
            for choice in listed:
                self.addItem(self._item(choice))
            self.setCurrentRow(0)
        self.setVisible(bool(listed))
        if listed:
            self._place(below)

    def _show_pictures(self, sha256: str) -> None:
        """The one that was read just now."""
        for row, choice in enumerate(self.listed):
            if choice.picture and choice.picture.sha256 == sha256:
                self.item(row).setIcon(self._icon(choice))

    def step(self, by: int) -> None:
        """Move the choice, round the ends."""
        self.setCurrentRow((self.currentRow() + by) % max(1, self.count()))

    def word(self) -> str:
        """The chosen word."""
        return self.currentItem().data(Qt.ItemDataRole.UserRole) if self.currentItem() else ""

    def _item(self, choice: Choice) -> QListWidgetItem:
        number = f"image {choice.number}" if choice.number else "from the cast" if choice.picture else "no picture yet"
        parts = [f"@{choice.word}", number, *([choice.role] if choice.role else [])]
        item = QListWidgetItem(self._icon(choice), as_line("  ·  ".join(parts)))
        item.setData(Qt.ItemDataRole.UserRole, choice.word)
        item.setData(Qt.ItemDataRole.AccessibleTextRole, ", ".join(parts))
        return item

    def _icon(self, choice: Choice) -> QIcon:
        side = round(THUMB * self.devicePixelRatioF())
        made = QPixmap(side, side)
        made.fill(QColor(choice.colour))
        picture = self._document.pixmap(choice.picture.sha256, 4 * side) if choice.picture else QPixmap()
        if not picture.isNull():
            painter = QPainter(made)
            inner = QRectF(made.rect()).adjusted(2, 2, -2, -2)
            painter.setClipRect(inner)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            portrait.draw(painter, inner, picture, fill=True)
            painter.end()
        icon = QIcon(made)
        icon.addPixmap(made, QIcon.Mode.Selected)  # Qt would tint the chosen row's picture
        return icon

    def _place(self, below: QPoint) -> None:
        width = max(220, self.sizeHintForColumn(0) + 24)
        height = self.sizeHintForRow(0) * min(ROWS, self.count()) + FRAME
        room = self._over.rect()
        x = max(4, min(below.x(), room.width() - width - 4))
        y = below.y() if below.y() + height <= room.height() else below.y() - height - 24
        self.setGeometry(x, max(4, y), width, height)
        self.raise_()


class Completer(QObject):
    """Belongs to a field of words, which tells what stands before its caret, and writes what is picked."""

    picked = Signal(str, str)  # word; what of it is typed

    def __init__(self, field: QWidget, document: Document):
        super().__init__(field)
        self._field, self._document, self._board = field, document, Board("")
        self._seen: tuple[Seen, ...] = ()
        self._list: MentionList | None = None
        self._typed, self._spaced = "", False  # whether a space was written behind a word just now

    @property
    def is_open(self) -> bool:
        return self._list is not None and self._list.isVisible()

    def set_context(self, board: Board, seen: Sequence[Seen]) -> None:
        """The pictures that can be mentioned."""
        self._board, self._seen = board, tuple(seen)

    def offer(self, before: str, caret: QPoint) -> None:
        """Open, narrow or close the list: `before` is the line up to the caret, whose foot is at `caret`."""
        typed, self._spaced = OPEN_MENTION.search(before), False
        if not typed or not self._field.hasFocus():
            self.close()
            return
        if self._list is None:
            self._list = MentionList(self._field.window(), self._document)
            self._list.picked.connect(self._pick)
        self._typed = typed[1]
        listed = choices(self._board, self._seen, unicodedata.normalize("NFC", self._typed))
        if len(listed) == 1 and listed[0].word == self._typed:
            listed = []
        self._list.offer(listed, self._field.mapTo(self._field.window(), caret + NEAR))

    def close(self) -> None:
        self._spaced = False
        if self._list:
            self._list.hide()

    def steer(self, key: int) -> bool:
        """Whether the open list took the key, or it is a space that stands there already."""
        if self._spaced and key == Qt.Key.Key_Space:
            self._spaced = False
            return True
        if not self._list or not self.is_open:
            return False
        if key in (Qt.Key.Key_Down, Qt.Key.Key_Up):
            self._list.step(1 if key == Qt.Key.Key_Down else -1)
        elif key in (*ENTER, Qt.Key.Key_Tab):
            self._pick(self._list.word())
        elif key == Qt.Key.Key_Escape:
            self.close()
        else:
            return False
        return True

    def _pick(self, word: str) -> None:
        self.picked.emit(word, self._typed)
        self.close()
        self._spaced = True


class MentionField(FloatingField):
    """One line over the thing that it describes."""

    def __init__(self, over: QWidget, document: Document):
        super().__init__(over)
        self.mentions = Completer(self, document)
        self.mentions.picked.connect(self._complete)
        self.cursorPositionChanged.connect(self._offer)

    def _offer(self) -> None:
        if self.hasSelectedText():
            self.mentions.close()
        else:
            self.mentions.offer(self.text()[: self.cursorPosition()], self.cursorRect().bottomLeft())

    def _complete(self, word: str, typed: str) -> None:
        at = self.cursorPosition()
        self.setSelection(at - len(typed), len(typed))
        self.insert(f"{word} ")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if not self.mentions.steer(event.key()):
            super().keyPressEvent(event)

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab picks from the open list before it moves on."""
        return self.mentions.steer(Qt.Key.Key_Tab) or super().focusNextPrevChild(forward)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self.mentions.close()
        super().focusOutEvent(event)
