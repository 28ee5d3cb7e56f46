"""A column of cards of which only those near what is seen exist: a library of 500 would be 6,000 widgets, and all of
them take part whenever the window is dressed, laid out or made active.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QScrollArea, QWidget

from .measures import MARGIN

FEW = 4  # cards that are made at once; the others come one in each turn of the event loop
FAR = 3  # heights of the view: a card further away than that goes


class LazyColumn(QScrollArea):
    """`make` gives the card of a key; `usual` is the height in pixels that a card is taken to have until it is there.

    `made` are the cards that exist, by their keys, which are in the order of the column.
    """

    def __init__(self, name: str, make: Callable[[str], QWidget], usual: int, spacing: int):
        super().__init__()
        self._make, self._usual, self._spacing = make, usual, spacing
        self._keys: tuple[str, ...] = ()
        self._heights: dict[str, int] = {}
        self._tops: dict[str, int] = {}  # of the cards that exist and of the others
        self._cards: dict[str, QWidget] = {}
        self._inside = QWidget()
        self._inside.setObjectName("plain")
        self._inside.installEventFilter(self)
        self.setWidget(self._inside)
        self.setWidgetResizable(True)
        self.setAccessibleName(name)
        self._turn = QTimer(self, singleShot=True, interval=0)
        self._turn.timeout.connect(self._go_on)
        self.verticalScrollBar().valueChanged.connect(lambda _: self._turn.start())

    @property
    def made(self) -> dict[str, QWidget]:
        return {key: self._cards[key] for key in self._keys if key in self._cards}

    def show_keys(self, keys: Sequence[str]) -> None:
        """These cards, in this order; those that exist stay."""
        if tuple(keys) == self._keys:
            return
        self._keys = tuple(keys)
        for gone in self._cards.keys() - set(keys):
            self._drop(gone)
        self._place()
        for _ in range(FEW):
            self._make_next()
        self._turn.start()

    def forget(self) -> None:
        """All cards are to be made anew."""
        for key in list(self._cards):
            self._drop(key)
        self._keys, self._heights = (), {}

    def _go_on(self) -> None:
        if self._make_next():
            self._turn.start()
        else:
            self._drop_far()

    def _make_next(self) -> bool:
        """Make one card that is missing near what is seen; False where none is."""
        key = next((key for key in self._near(1) if key not in self._cards), None)
        if key is None:
            return False
        card = self._cards[key] = self._make(key)
        card.setParent(self._inside)
        card.show()
        self._put_into_tab_order(key)
        self._place()
        return True

    def _drop_far(self) -> None:
        near = set(self._near(FAR))
        for key in [key for key in self._cards if key not in near]:
            if not self._cards[key].isAncestorOf(self.focusWidget() or self):
                self._drop(key)

    def _drop(self, key: str) -> None:
        card = self._cards.pop(key)
        card.hide()
        card.deleteLater()

    def _near(self, views: int) -> Iterator[str]:
        """The keys of what is seen and of so many heights of the view above and below, what is seen first."""
        page, top = max(self.viewport().height(), self._usual), self.verticalScrollBar().value()
        seen = [self._list_between(top, top + page), self._list_between(top - views * page, top + (views + 1) * page)]
        yield from seen[0]
        yield from seen[1]

    def _list_between(self, top: int, bottom: int) -> list[str]:
        ends = [*list(self._tops.values())[1:], self._inside.minimumHeight()]
        places = zip(self._tops.items(), ends, strict=False)
        return [key for (key, start), end in places if end > top and start < bottom]

    # Where they lie

    def _place(self) -> None:
        """By their heights; what is seen stays where it is while others above get theirs."""
        bar = self.verticalScrollBar()
        seen = next(iter(self._list_between(bar.value(), bar.value() + 1)), "") if bar.value() else ""
        before = self._find_top(seen)
        self._lay_out()
        if seen and self._find_top(seen) != before:
            bar.setValue(bar.value() + self._find_top(seen) - before)

    def _find_top(self, key: str) -> int:
        return self._tops.get(key, 0)

    def _lay_out(self) -> None:
        y, width = MARGIN, self.viewport().width() - 2 * MARGIN
        self._tops = {}
        for key in self._keys:
            card = self._cards.get(key)
            if card:
                self._heights[key] = _height_of(card, width)
                card.setGeometry(MARGIN, y, width, self._heights[key])
            self._tops[key] = y
            y += self._heights.get(key, self._usual) + self._spacing
        self._inside.setFixedHeight(y - self._spacing + MARGIN)

    def _put_into_tab_order(self, key: str) -> None:
        """Tab goes through the cards by their places, whichever was made first."""
        place = self._keys.index(key)
        before = next((self._cards[one] for one in reversed(self._keys[:place]) if one in self._cards), None)
        fields = [*(_list_fields(before)[-1:] if before else ()), *_list_fields(self._cards[key])]
        for first, second in pairwise(fields):
            self.setTabOrder(first, second)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A card asks for another height."""
        if watched is self._inside and event.type() == QEvent.Type.LayoutRequest:
            self._place()
        return super().eventFilter(watched, event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()
        self._turn.start()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._place()
        self._turn.start()


def _height_of(card: QWidget, width: int) -> int:
    layout = card.layout()
    if layout and layout.hasHeightForWidth():
        return layout.totalHeightForWidth(width)
    return card.sizeHint().height()


def _list_fields(card: QWidget) -> list[QWidget]:
    """What Tab stops at, in the card's own order."""
    return [one for one in card.findChildren(QWidget) if one.focusPolicy() & Qt.FocusPolicy.TabFocus]
