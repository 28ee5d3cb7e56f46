"""Where the artist says what the picture shows or what shall change, rendered with Ctrl+Enter. Under an @ a list opens:
the pictures in the model's order, then the rest of the cast.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPoint, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFont,
    QIcon,
    QKeyEvent,
    QPainter,
    QPixmap,
    QSyntaxHighlighter,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
)
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QWidget

from ...board.data import Board, Picture
from ...board.mentions import Mention, find
from ...board.seen import Seen, names
from ..kit.text_field import BoardText, utf16
from ..kit.theme import theme
from ..kit.widgets import as_line, as_tip

THUMB = 28
ROWS = 7


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
        Choice(member.name, None, member.role, member.colour, member.pictures[0])
        for member in board.cast
        if member.pictures and member.name.casefold() not in here
    ]
    key = typed.casefold()
    return [one for one in listed if one.word.casefold().startswith(key) or str(one.number or "") == typed]


class MentionList(QListWidget):
    """Floats over the window and never takes the keyboard: the text box keeps it and moves the choice."""

    picked = Signal(str)  # word

    def __init__(self, parent: QWidget, thumbnail: Callable[[Picture, int], QPixmap]):
        super().__init__(parent)
        self._thumbnail, self._over = thumbnail, parent
        self.listed: list[Choice] = []
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setIconSize(QSize(THUMB, THUMB))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("Pictures to mention")
        self.setUniformItemSizes(True)
        self.setObjectName("popup")
        self.itemClicked.connect(lambda item: self.picked.emit(item.data(Qt.ItemDataRole.UserRole)))
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

    def step(self, by: int) -> None:
        """Move the choice, round the ends."""
        self.setCurrentRow((self.currentRow() + by) % max(1, self.count()))

    def word(self) -> str:
        """The chosen word."""
        return self.currentItem().data(Qt.ItemDataRole.UserRole) if self.currentItem() else ""

    def _item(self, choice: Choice) -> QListWidgetItem:
        number = f"image {choice.number}" if choice.number else "from the cast"
        parts = [f"@{choice.word}", number, *([choice.role] if choice.role else [])]
        item = QListWidgetItem(self._icon(choice), as_line("  ·  ".join(parts)))
        item.setData(Qt.ItemDataRole.UserRole, choice.word)
        item.setData(Qt.ItemDataRole.AccessibleTextRole, ", ".join(parts))
        return item

    def _icon(self, choice: Choice) -> QIcon:
        side = round(THUMB * self.devicePixelRatioF())
        made = QPixmap(side, side)
        made.fill(QColor(choice.colour))
        picture = self._thumbnail(choice.picture, side) if choice.picture else QPixmap()
        if not picture.isNull():
            painter = QPainter(made)
            inner = made.rect().adjusted(2, 2, -2, -2)
            grown = picture.scaled(inner.size(), Qt.AspectRatioMode.KeepAspectRatioByExpanding)
            painter.drawPixmap(inner, grown, grown.rect().adjusted(0, 0, inner.width() - grown.width(), 0))
            painter.end()
        icon = QIcon(made)
        icon.addPixmap(made, QIcon.Mode.Selected)  # Qt would tint the chosen row's picture
        return icon

    def _place(self, below: QPoint) -> None:
        width = max(220, self.sizeHintForColumn(0) + 24)
        height = self.sizeHintForRow(0) * min(ROWS, self.count()) + 8
        room = self._over.rect()
        x = max(4, min(below.x(), room.width() - width - 4))
        y = below.y() if below.y() + height <= room.height() else below.y() - height - 24
        self.setGeometry(x, max(4, y), width, height)
        self.raise_()


TINT = 70  # alpha of the colour behind the text


class MentionHighlighter(QSyntaxHighlighter):
    """`seen` are the pictures in the model's order; `problem` is what is wrong with the first bad mention, or ""."""

    def __init__(self, document: QTextDocument):
        super().__init__(document)
        self.seen: tuple[Seen, ...] = ()
        theme.changed.connect(self.rehighlight)

    def set_seen(self, seen: Sequence[Seen]) -> None:
        if tuple(seen) != self.seen:
            self.seen = tuple(seen)
            self.rehighlight()

    @property
    def problem(self) -> str:
        text = self.document().toPlainText()
        errors = (mention.error for mention in find(unicodedata.normalize("NFC", text), names(self.seen)))
        return next((error.message for error in errors if error), "")

    def highlightBlock(self, text: str) -> None:
        if unicodedata.is_normalized("NFC", text):
            for mention in find(text, names(self.seen)):
                start, end = utf16(text, mention.at), utf16(text, mention.end)
                if mention.place or mention.error:
                    self.setFormat(start, end - start, self._format(mention))

    def _format(self, mention: Mention) -> QTextCharFormat:
        made = QTextCharFormat()
        if mention.error:
            made.setUnderlineStyle(QTextCharFormat.UnderlineStyle.WaveUnderline)
            made.setUnderlineColor(QColor(theme.colours.danger))
            made.setToolTip(as_tip(mention.error.message))
            return made
        colour = QColor(self.seen[(mention.place or 1) - 1].colour)
        made.setUnderlineStyle(QTextCharFormat.UnderlineStyle.SingleUnderline)
        made.setUnderlineColor(colour)
        colour.setAlpha(TINT)
        made.setBackground(colour)
        made.setFontWeight(QFont.Weight.DemiBold)
        return made


OPEN_MENTION = re.compile(r"(?<![\w@.\\])@([\w-]*)$")
ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
DESCRIBE = "Describe the picture. Type @ to bring in a character or a reference."
CHANGE = "Say what should change. Type @ to bring in a character or a reference."


class InstructionBox(BoardText):
    """The prompt, with its mentions in the colours of the tray and a list of what can be mentioned."""

    render_asked = Signal()

    def __init__(self, thumbnail: Callable[[Picture, int], QPixmap], parent: QWidget | None = None):
        super().__init__("Instruction", "@ mentions a picture, Ctrl+Enter renders", parent)
        self._thumbnail, self._board = thumbnail, Board("")
        self._list: MentionList | None = None
        self._seen: tuple[Seen, ...] = ()
        self.highlighter = MentionHighlighter(self.document())
        self.setPlaceholderText(DESCRIBE)
        self.cursorPositionChanged.connect(self._offer)

    def set_context(self, board: Board, seen: Sequence[Seen], changes: bool) -> None:
        """The pictures that can be mentioned; `changes`: the panel starts from a picture."""
        self._board, self._seen = board, tuple(seen)
        self.highlighter.set_seen(seen)
        self.setPlaceholderText(CHANGE if changes else DESCRIBE)

    def set_text(self, text: str) -> None:
        super().set_text(text)
        if not self.hasFocus():
            self._close_list()

    def mention(self, word: str) -> None:
        """Write @word at the caret, with a space in front where a word ends there."""
        before = self._line_before_caret()
        self.textCursor().insertText(f"{' ' if before and not before[-1].isspace() else ''}@{word} ")
        self._close_list()

    @property
    def problem(self) -> str:
        """What is wrong with the first mention that names nothing, unless it is still being typed."""
        typed = OPEN_MENTION.search(self._line_before_caret()) if self.hasFocus() else None
        return "" if typed and self._list and self._list.isVisible() else self.highlighter.problem

    # Completion

    def _line_before_caret(self) -> str:
        cursor = self.textCursor()
        cursor.movePosition(QTextCursor.MoveOperation.StartOfBlock, QTextCursor.MoveMode.KeepAnchor)
        return cursor.selectedText()

    def _offer(self) -> None:
        """Open, narrow or close the list for the mention that is being typed."""
        typed = OPEN_MENTION.search(self._line_before_caret())
        if not typed or not self.hasFocus() or self.textCursor().hasSelection():
            self._close_list()
            return
        if self._list is None:
            self._list = MentionList(self.window(), self._thumbnail)
            self._list.picked.connect(self._complete)
        listed = choices(self._board, self._seen, unicodedata.normalize("NFC", typed[1]))
        if len(listed) == 1 and listed[0].word == typed[1]:
            listed = []
        corner = self.viewport().mapTo(self.window(), self.cursorRect().bottomLeft() + QPoint(-8, 4))
        self._list.offer(listed, corner)

    def _complete(self, word: str) -> None:
        typed = OPEN_MENTION.search(self._line_before_caret())
        if typed:
            cursor = self.textCursor()
            cursor.setPosition(cursor.position() - utf16(typed[1], len(typed[1])), QTextCursor.MoveMode.KeepAnchor)
            cursor.insertText(f"{word} ")
        self._close_list()

    def _close_list(self) -> None:
        if self._list:
            self._list.hide()

    # Input

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if self._list and self._list.isVisible() and self._steer(self._list, event.key()):
            return
        if event.key() in ENTER and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self._close_list()
            None if event.isAutoRepeat() else self.render_asked.emit()
        else:
            super().keyPressEvent(event)

    def _steer(self, opened: MentionList, key: int) -> bool:
        """Whether the open list took the key."""
        if key in (Qt.Key.Key_Down, Qt.Key.Key_Up):
            opened.step(1 if key == Qt.Key.Key_Down else -1)
        elif key in (*ENTER, Qt.Key.Key_Tab):
            self._complete(opened.word())
        elif key == Qt.Key.Key_Escape:
            self._close_list()
        else:
            return False
        return True

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._close_list()
        super().focusOutEvent(event)

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab picks from the open list before it moves on."""
        if self._list and self._list.isVisible():
            self._complete(self._list.word())
            return True
        return super().focusNextPrevChild(forward)
