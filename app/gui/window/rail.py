"""The rail on the left: the places of the window, messages that were read and still hold, the settings."""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QToolButton, QVBoxLayout

from ...base.words import say_count
from ..kit.measures import GAP, WIDE
from ..kit.widgets import icon_button

PLACES = (
    ("home", "Home"),
    ("board", "Board"),
    ("cast", "Cast"),
    ("loras", "LoRAs"),
    ("models", "Models"),
    ("queue", "Queue"),
)
WIDTH, SIDE = 80, (64, 58)  # px: its own, and of a place


class Rail(QFrame):
    """`go` is called with the name of a place that was pressed, and whether that has the keys."""

    def __init__(self, go: Callable[[str, bool], None], settings: Callable[[], None], folded: QToolButton):
        super().__init__()
        self.setObjectName("rail")
        self.setFixedWidth(WIDTH)
        self._go = go
        self.places = {name: self._add_place(name, text) for name, text in PLACES}
        self._lay_out(folded, icon_button("Settings", "settings", act=settings))

    def _lay_out(self, folded: QToolButton, gear: QToolButton) -> None:
        """The places at the top, the rest at the foot."""
        column = QVBoxLayout(self)
        column.setContentsMargins(GAP, WIDE, GAP, WIDE)
        column.setSpacing(GAP)
        for place in self.places.values():
            column.addWidget(place)
        column.addStretch(1)
        column.addWidget(_shape(folded))
        column.addWidget(gear, 0, Qt.AlignmentFlag.AlignHCenter)

    def _add_place(self, name: str, text: str) -> QToolButton:
        made = icon_button(text, name, act=lambda: self._go(name, made.hasFocus()), checkable=True, side=24)
        made.setText(text)
        made.setAutoExclusive(True)
        made.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # arrows lead to the others
        made.toggled.connect(lambda on: made.setFocusPolicy(Qt.FocusPolicy.TabFocus if on else Qt.FocusPolicy.NoFocus))
        return _shape(made)

    def count_jobs(self, count: int) -> None:
        """Beside the name of the queue."""
        place = self.places["queue"]
        place.setText(f"Queue {count}" if count else "Queue")
        place.setAccessibleName(f"Queue, {say_count(count, 'job')}" if count else "Queue")


def _shape(place: QToolButton) -> QToolButton:
    """Its icon above its words, as high as its neighbours."""
    place.setObjectName("place")
    place.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
    place.setFixedSize(*SIDE)
    return place
