"""Text fields of the board. The large one: its undo is the board's undo, its text is kept in one form of Unicode."""

import unicodedata
from collections.abc import Callable

from PySide6.QtCore import QMimeData, QPoint, QRect, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QKeySequence, QTextCursor, QTextOption
from PySide6.QtWidgets import QLineEdit, QPlainTextEdit, QToolTip, QWidget

from mlx_model.request import MAX_TEXT

from .widgets import describe


def follow_letters(field: QLineEdit) -> QLineEdit:
    """Its text runs from the right where its first letter does, as Hebrew: mixed with others it is read in order."""

    def turn(text: str) -> None:
        first = next((kind for kind in map(unicodedata.bidirectional, text) if kind in ("L", "R", "AL")), "L")
        right, left = Qt.LayoutDirection.RightToLeft, Qt.LayoutDirection.LeftToRight
        field.setLayoutDirection(left if first == "L" else right)

    field.textChanged.connect(turn)
    turn(field.text())
    return field


class BoardText(QPlainTextEdit):
    """Holds text in form NFC, so that a mention stands where the compiler looks for it. Tab leaves the field."""

    edited = Signal(str)  # by the user, not by set_text
    undo_asked = Signal()
    redo_asked = Signal()

    def __init__(self, name: str, hint: str = "", parent: QWidget | None = None):
        super().__init__(parent)
        self.setUndoRedoEnabled(False)
        self.setTabChangesFocus(True)
        option = QTextOption()
        option.setTextDirection(Qt.LayoutDirection.LayoutDirectionAuto)  # by the first letter of each paragraph
        option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.document().setDefaultTextOption(option)
        describe(self, name, hint)
        self.setToolTip("")
        self._known = ""
        self.textChanged.connect(self._text_changed)

    def text(self) -> str:
        """What is written; while an input method composes, without what it shows."""
        return unicodedata.normalize("NFC", self.toPlainText())

    def set_text(self, text: str) -> None:
        """Show the board's text; only what differs is replaced, and the caret goes there."""
        text, old = unicodedata.normalize("NFC", text), self.toPlainText()
        self._known = text
        if text == old:
            return
        start, end = differing(old, text)
        cursor = self.textCursor()
        cursor.setPosition(utf16(old, start))
        cursor.setPosition(utf16(old, len(old) - end), QTextCursor.MoveMode.KeepAnchor)
        self.blockSignals(True)
        cursor.insertText(text[start : len(text) - end])
        self.blockSignals(False)
        self.setTextCursor(cursor)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Undo):
            self.undo_asked.emit()
        elif event.matches(QKeySequence.StandardKey.Redo):
            self.redo_asked.emit()
        else:
            super().keyPressEvent(event)

    def insertFromMimeData(self, source: QMimeData) -> None:
        """Only text, composed: names copied from Finder come decomposed. More than a board takes is refused whole."""
        text, cursor = unicodedata.normalize("NFC", source.text()), self.textCursor()
        if len(self.text()) - len(cursor.selectedText()) + len(text) > MAX_TEXT:
            words = f"That is too long: a field takes {MAX_TEXT:,} characters. Whole scripts go in by File > Import."
            QToolTip.showText(self.mapToGlobal(self.cursorRect().bottomLeft()), words, self)
            return
        cursor.insertText(text)

    def canInsertFromMimeData(self, source: QMimeData) -> bool:
        return source.hasText() and not source.hasUrls()

    def _text_changed(self) -> None:
        """Qt also says that the text changed where only its colours did."""
        if self.text() != self._known:
            self._known = self.text()
            self.edited.emit(self._known)


def differing(a: str, b: str) -> tuple[int, int]:
    """How many characters two texts share at their start, and how many of the rest at their end."""
    shortest = min(len(a), len(b))
    start = _count_shared(shortest, lambda low, high: a[low:high] == b[low:high])
    rest = shortest - start
    end = _count_shared(rest, lambda low, high: a[len(a) - high : len(a) - low] == b[len(b) - high : len(b) - low])
    return start, end


def _count_shared(most: int, same: Callable[[int, int], bool]) -> int:
    """How many of `most` are the same from 0 on, by halves: a field may hold a hundred thousand."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if same(low, middle) else (low, middle - 1)
    return low


def utf16(text: str, place: int) -> int:
    """Qt counts UTF-16 units, Python characters: an emoji is two of the former."""
    return len(text[:place].encode("utf-16-le", "surrogatepass")) // 2


class FloatingField(QLineEdit):
    """One line over something that it names: Return or leaving the field takes it, Escape doesn't."""

    taken = Signal(str)  # in form NFC, where it was changed
    closed = Signal()  # by a key

    def __init__(self, over: QWidget):
        super().__init__(over)
        self._over, self._before = over, ""
        self.hide()

    def begin(self, text: str, where: QRect) -> None:
        """Edit `text` there, moved so that it is seen."""
        self._before = text
        self.setText(text)
        left, top = self._over.width() - where.width(), self._over.height() - where.height()
        self.setGeometry(QRect(QPoint(min(max(0, where.x()), max(0, left)), min(max(0, where.y()), max(0, top))),
                               where.size()))  # fmt: skip
        self.show()
        self.raise_()
        self.selectAll()
        self.setFocus()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        takes = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if takes or event.key() == Qt.Key.Key_Escape:
            self.close_field(takes)
            self.closed.emit()
        else:
            super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if event.reason() != Qt.FocusReason.PopupFocusReason:
            self.close_field()

    def close_field(self, take: bool = True) -> None:
        """Away with it, its words taken or not."""
        if self.isHidden():
            return
        self.hide()
        words = unicodedata.normalize("NFC", self.text().strip())
        if take and words != self._before:
            self.taken.emit(words)
