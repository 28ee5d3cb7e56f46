"""Where the artist says what the picture shows or what shall change: mentions with @, rendered with Ctrl+Enter."""

import re
import unicodedata
from collections.abc import Callable, Sequence

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QPixmap, QTextCursor
from PySide6.QtWidgets import QWidget

from ...board.data import Board, Picture
from ...board.seen import Seen
from ..kit.text_field import BoardText, utf16
from .mentions import MentionHighlighter, MentionList, choices

OPEN_MENTION = re.compile(r"(?<![\w@.\\])@([\w-]*)$")
ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
LEAST, MOST = 92, 190
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
        self.document().documentLayout().documentSizeChanged.connect(lambda _: self._grow())
        self._grow()

    def _grow(self) -> None:
        """As high as its text, between LEAST and MOST pixels."""
        lines = self.document().documentLayout().documentSize().height()  # a plain text layout counts lines
        wanted = round(lines * self.fontMetrics().lineSpacing() + 24)
        self.setFixedHeight(min(MOST, max(LEAST, wanted)))

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
            self.render_asked.emit()
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
