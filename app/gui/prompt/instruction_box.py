"""Where the artist says what the picture shows or what shall change, rendered with Ctrl+Enter."""

import unicodedata
from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import (
    QColor,
    QDragEnterEvent,
    QDragMoveEvent,
    QDropEvent,
    QFocusEvent,
    QFont,
    QKeyEvent,
    QSyntaxHighlighter,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
)
from PySide6.QtWidgets import QWidget

from ...board.data import Board
from ...board.mentions import Mention, find
from ...board.seen import Seen, names
from ..document import picture_drag
from ..document.document import Document
from ..kit.text_field import BoardText, utf16
from ..kit.theme import theme
from ..kit.widgets import as_tip
from .completion import ENTER, Completer

TINT = 70  # alpha of the colour behind the text


class MentionHighlighter(QSyntaxHighlighter):
    """`seen` are the pictures in the model's order."""

    def __init__(self, document: QTextDocument):
        super().__init__(document)
        self.seen: tuple[Seen, ...] = ()
        self._judged: tuple[str, tuple[Seen, ...], str] = ("", (), "")  # text, what was seen, its problem
        theme.changed.connect(self.rehighlight)

    def set_seen(self, seen: Sequence[Seen]) -> None:
        if tuple(seen) != self.seen:
            self.seen = tuple(seen)
            self.rehighlight()

    @property
    def problem(self) -> str:
        """What is wrong with the first bad mention, or ""."""
        text = self.document().toPlainText()
        if self._judged[:2] != (text, self.seen):
            errors = (mention.error for mention in find(unicodedata.normalize("NFC", text), names(self.seen)))
            self._judged = text, self.seen, next((error.message for error in errors if error), "")
        return self._judged[2]

    def highlightBlock(self, text: str) -> None:
        if not unicodedata.is_normalized("NFC", text):
            return
        read = place = 0
        for mention in find(text, names(self.seen)):
            place += utf16(text[read : mention.at], mention.at - read)
            length = utf16(text[mention.at : mention.end], mention.end - mention.at)
            read = mention.at
            if mention.place or mention.error:
                self.setFormat(place, length, self._format(mention))

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


DESCRIBE = "Describe the picture. Type @ to bring in a character or a reference."
CHANGE = "Say what should change. Type @ to bring in a character or a reference."


class InstructionBox(BoardText):
    """The prompt, with its mentions in the colours of the tray and a list of what can be mentioned."""

    render_asked = Signal()
    pictures_dropped = Signal(object)  # QMimeData

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__("Instruction", "@ mentions a picture, Ctrl+Enter renders", parent)
        self.mentions = Completer(self, document)
        self.mentions.picked.connect(self._complete)
        self.highlighter = MentionHighlighter(self.document())
        self.setPlaceholderText(DESCRIBE)
        self.cursorPositionChanged.connect(self._offer)

    def set_context(self, board: Board, seen: Sequence[Seen], changes: bool) -> None:
        """The pictures that can be mentioned; `changes`: the panel starts from a picture."""
        self.mentions.set_context(board, seen)
        self.highlighter.set_seen(seen)
        self.setPlaceholderText(CHANGE if changes else DESCRIBE)

    def set_text(self, text: str) -> None:
        super().set_text(text)
        if not self.hasFocus():
            self.mentions.close()

    def mention(self, word: str) -> None:
        """Write @word at the caret, with a space in front where a word ends there."""
        before = self._line_before_caret()
        self.textCursor().insertText(f"{' ' if before and not before[-1].isspace() else ''}@{word} ")
        self.mentions.close()

    @property
    def problem(self) -> str:
        """What is wrong with the first mention that names nothing, unless it is still being typed."""
        return "" if self.hasFocus() and self.mentions.is_open else self.highlighter.problem

    # Pictures

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if picture_drag.has_pictures(event.mimeData()):
            event.acceptProposedAction()
        else:
            super().dragEnterEvent(event)

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        if picture_drag.has_pictures(event.mimeData()):
            event.acceptProposedAction()
        else:
            super().dragMoveEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:
        """Words are put in; pictures are to be seen by the model, so they go to the references."""
        if picture_drag.has_pictures(event.mimeData()):
            event.acceptProposedAction()
            self.pictures_dropped.emit(event.mimeData())
        else:
            super().dropEvent(event)

    # Completion

    def _line_before_caret(self) -> str:
        """Read from the block: a cursor that is moved lays out the whole paragraph."""
        cursor = self.textCursor()
        units = cursor.block().text().encode("utf-16-le", "surrogatepass")
        return units[: 2 * cursor.positionInBlock()].decode("utf-16-le", "surrogatepass")

    def _offer(self) -> None:
        if self.textCursor().hasSelection():
            self.mentions.close()
        else:
            self.mentions.offer(self._line_before_caret(), self.viewport().mapTo(self, self.cursorRect().bottomLeft()))

    def _complete(self, word: str, typed: str) -> None:
        cursor = self.textCursor()
        cursor.setPosition(cursor.position() - utf16(typed, len(typed)), QTextCursor.MoveMode.KeepAnchor)
        cursor.insertText(f"{word} ")

    # Input

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if self.mentions.steer(event.key()):
            return
        if event.key() in ENTER and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.mentions.close()
            None if event.isAutoRepeat() else self.render_asked.emit()
        else:
            super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self.mentions.close()
        super().focusOutEvent(event)

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab picks from the open list before it moves on."""
        return self.mentions.steer(Qt.Key.Key_Tab) or super().focusNextPrevChild(forward)
