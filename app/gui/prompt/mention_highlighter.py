"""Colours the mentions of a prompt as the tray colours its pictures, and underlines those that name none."""

import unicodedata
from collections.abc import Sequence

from PySide6.QtGui import QColor, QFont, QSyntaxHighlighter, QTextCharFormat, QTextDocument

from ...board.mentions import Mention, find
from ...board.seen import Seen, names
from ..kit.text_field import utf16
from ..kit.theme import theme

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
            made.setToolTip(mention.error.message)
            return made
        colour = QColor(self.seen[mention.place - 1].colour)
        made.setUnderlineStyle(QTextCharFormat.UnderlineStyle.SingleUnderline)
        made.setUnderlineColor(colour)
        colour.setAlpha(TINT)
        made.setBackground(colour)
        made.setFontWeight(QFont.Weight.DemiBold)
        return made
