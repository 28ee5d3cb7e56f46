"""The model to begin with on this computer, as a card, and its time and memory in words."""

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPainterPath, QPaintEvent, QPixmap
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from mlx_model import memory

from ...base import paths
from ...models import library
from ..document.pixmaps import read
from ..kit import portrait
from ..kit.measures import MARGIN, RADIUS, TIGHT, WIDE
from ..kit.widgets import button, describe, label, row
from ..kit.words import model_title
from .model_card import say_time

LARGE, SMALL = QSize(150, 112), QSize(110, 82)  # px: of the sample
SAMPLE = paths.ASSETS / "samples" / "gull_1c.png"


class Sample(QWidget):
    """A picture with round corners."""

    def __init__(self, path: str, size: QSize):
        super().__init__()
        self.setFixedSize(size)
        self.pixmap = QPixmap.fromImage(read(path, 2 * size.width()))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, path = QPainter(self), QPainterPath()
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        path.addRoundedRect(QRectF(self.rect()), RADIUS, RADIUS)
        painter.setClipPath(path)
        if not self.pixmap.isNull():
            portrait.cover(painter, QRectF(self.rect()), self.pixmap, self.pixmap.rect())
        painter.end()


class BestCard(QFrame):
    """The model to begin with on this computer: what it is like, and one button."""

    def __init__(self, entry: dict[str, Any], default: str | None, act: Callable[[], None]):
        super().__init__()
        self.setObjectName("card")
        self.entry = entry
        drawn = self.sample = Sample(str(SAMPLE), LARGE)
        describe(drawn, "Sample picture", "Drawn, to show what such a model is for: it makes its own")
        self._words = words = QVBoxLayout()
        words.setSpacing(TIGHT)
        words.addWidget(label("Best for this computer", "muted"))
        words.addWidget(label(model_title(entry["name"]), name="heading"))
        words.addWidget(label(say_facts(entry), wrap=True))
        self.note = label("The picture is drawn, to show what it is for.", "muted", wrap=True)
        words.addWidget(self.note)
        words.addStretch(1)
        self.button = button(self._say_act(default), act, "download" if self._is_wanted() else "check", "primary")
        self.button.setEnabled(self._is_wanted() or entry["name"] != default)
        self._box = box = row(drawn, spacing=MARGIN)
        box.setContentsMargins(WIDE, WIDE, MARGIN, WIDE)
        box.addLayout(words, 1)
        box.addWidget(self.button, 0, Qt.AlignmentFlag.AlignVCenter)
        self.setLayout(box)

    def suit(self, narrow: bool) -> None:
        """Where there is little room its picture is small and its button stands below the words."""
        self.sample.setFixedSize(SMALL if narrow else LARGE)
        self.note.setVisible(not narrow)
        if narrow:
            self._words.addWidget(self.button, 0, Qt.AlignmentFlag.AlignLeft)
        else:
            self._box.addWidget(self.button, 0, Qt.AlignmentFlag.AlignVCenter)

    def _is_wanted(self) -> bool:
        return not self.entry["installed"] and self.entry["repo"] is not None

    def _say_act(self, default: str | None) -> str:
        if self._is_wanted():
            return "Download…"
        return "In Use" if self.entry["name"] == default else "Use for New Panels"


def say_facts(entry: dict[str, Any]) -> str:
    """Seconds, where this chip is known, memory, download."""
    took = say_time(entry)
    parts = [f"{took} for a picture (predicted)"] if took else []
    parts += [f"{say_memory(entry)} of memory"]
    parts += [f"{memory.say_bytes(entry['download_bytes'])} to download" if entry["repo"] else "nothing to download"]
    text = " · ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def say_memory(entry: dict[str, Any]) -> str:
    """What a run takes at 8 bits, or at as many as fit; of the built-in model at the 16 that it comes with."""
    bits = str(min(8 if entry["repo"] else 16, library.best_bits(entry, "runs") or 4))
    return memory.gib(entry["memory_bytes" if entry["fits"][bits] else "streamed_bytes"][bits])
