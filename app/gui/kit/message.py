"""One message: what happened, what to do, and a button that does it; in as many lines as it needs, or in one."""

from collections.abc import Callable

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from .measures import GAP, HAIR, WIDE
from .widgets import OneLine, button, icon_button, label

READ = 70  # ms of showing for each letter
LEAST = 6000
Offer = tuple[str, Callable[[], None]]


class Message(QFrame):
    """One thing that happened, and what to do about it."""

    gone = Signal()
    read = Signal()  # it lasts, and was shown for the time that reading takes

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("toast")
        self.setAccessibleName("Message")
        self.title, self.hint = label(wrap=True), label(tone="muted", wrap=True)  # plain text: names stand in them
        self._offered: Callable[[], None] | None = None
        self.lasting, self.said, self.was_read = False, "", False
        self.line = OneLine()  # both, where there is no more room
        words = QVBoxLayout()
        words.setSpacing(HAIR)
        for part in (self.title, self.hint, self.line):
            words.addWidget(part)
        self._box = QHBoxLayout(self)
        self.offer = button("", self._accept_offer)
        self._box.addLayout(words, 1)
        self._box.addWidget(self.offer)
        self._box.addWidget(icon_button("Dismiss message", "close", act=self.gone.emit))
        self.shorten(False)
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self._end_reading)

    def show_words(self, text: str, words: str, good: bool, offer: Offer | None, lasting: bool) -> None:
        self._offered, self.lasting, self.said = offer[1] if offer else None, lasting, text
        self.offer.setText(offer[0] if offer else "")
        self.offer.setVisible(offer is not None)
        self.title.setText(text)
        self.hint.setText(words)
        self.line.setText(f"{text} {words}".strip())
        self.setProperty("good", "true" if good else "false")
        self.style().unpolish(self)
        self.style().polish(self)
        self.was_read = False
        self._timer.start(max(LEAST, READ * len(text + words)) * (1 if good else 2))
        self.setAccessibleDescription(f"{text} {words}".strip())

    def shorten(self, short: bool) -> None:
        """All its words in one line, or as many lines as they need."""
        for part in (self.title, self.hint):
            part.setVisible(not short and bool(part.text()))
        self.line.setVisible(short)
        self._box.setContentsMargins(WIDE, 0 if short else GAP, GAP, 0 if short else GAP)

    def fits(self, width: int) -> bool:
        """Whether all its words are seen in a line of this width, which it has to be."""
        self._box.invalidate()
        return self.sizeHint().width() <= width

    def _end_reading(self) -> None:
        self.was_read = True
        (self.read if self.lasting else self.gone).emit()

    def _accept_offer(self) -> None:
        self.gone.emit()
        if self._offered:
            self._offered()
