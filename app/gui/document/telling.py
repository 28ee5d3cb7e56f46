"""What was told of a board, and for how long it is so: the window takes a message away when `mended` says its words.

Three kinds. A trouble lasts until it is mended. A claim holds as long as its condition does, which is looked at after
every change. All else is of the moment: it goes by its time, with undo and redo, and when another board is opened.
"""

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from mlx_model.errors import Hint

from ..kit.turns import OnceATurn

Holds = Callable[[], bool]
MOST = 50  # claims; those before have long gone by their time


class Claims(QObject):
    """Words that were said, each as long as it holds."""

    over = Signal(str)  # what was said

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self._said: dict[str, Holds] = {}
        self.review_soon = OnceATurn(self, self.review).ask

    def __contains__(self, text: object) -> bool:
        return text in self._said

    def add(self, text: str, holds: Holds) -> None:
        """Before it is said."""
        self._said.pop(text, None)
        self._said[text] = holds
        for old in list(self._said)[:-MOST]:
            del self._said[old]

    def end(self) -> None:
        """The board is closed: nothing is said of it any more."""
        self._said.clear()

    def review(self) -> None:
        """Something has changed that may end one."""
        for text in [text for text, holds in self._said.items() if not holds()]:
            del self._said[text]
            self.over.emit(text)


SAVING = "saving"  # what goes wrong with it


class Troubles(QObject):
    """What is wrong and stays so for a while: told once, and told to be over. The key is SAVING or a job's id."""

    lasting = Signal(str, object)  # what is wrong; what to do, a Hint
    mended = Signal(str)  # what was wrong

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self.texts: dict[str, str] = {}

    def tell(self, key: str, text: str, hint: Hint) -> None:
        if self.texts.get(key) != text:
            self.mend(key)
            self.texts[key] = text
            self.lasting.emit(text, hint)

    def mend(self, key: str) -> None:
        if text := self.texts.pop(key, ""):
            self.mended.emit(text)

    def end(self) -> None:
        """The board is closed."""
        for key in list(self.texts):
            self.mend(key)
