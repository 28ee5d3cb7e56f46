"""Home: four stories to play with, the boards of lately with their covers, and a new one."""

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from PySide6.QtCore import QEvent, QObject, QRect, QRectF, QRunnable, Qt, QThreadPool, Signal
from PySide6.QtGui import (
    QColor,
    QEnterEvent,
    QFocusEvent,
    QFont,
    QImage,
    QKeyEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import QAbstractButton, QGridLayout, QVBoxLayout, QWidget

from ...base.words import SHOW_IN_FILES
from ..document.pixmaps import read
from ..kit import portrait
from ..kit.links import show_folder
from ..kit.measures import GAP, HAIR, LARGE, MARGIN, RADIUS, TEXT, WIDE
from ..kit.menus import Entry, offer_menu
from ..kit.theme import font, theme
from ..kit.widgets import as_tip, bar, button, describe, draw_words, label, row, scroll_column

SHAPE = 0.62  # height of a card's picture as a share of its width
LEAST, MOST = 260, 480  # px: of a story's width
STORY, BOARD = 104, 40  # px: what the words of a card take
LARGE_BOARD = 300  # px: a board as wide as a story would be too large
SIDE = 640  # pixels of a cover
DRAWN = "The pictures shown here are drawn; yours are made by the model."


BESIDE = (("new", "New Board"), ("open", "Open…"), ("import_", "Import…"))  # what a right click beside the cards shows


class Story(NamedTuple):
    """`name` is what it is opened by, `needs` the model that plays it well, in words; "" for the built-in one."""

    name: str
    title: str
    words: str
    picture: Path
    needs: str = ""


class Card(QAbstractButton):
    """A picture with words below it, pressed as a whole."""

    elides = True

    def __init__(self, title: str, words: str, note: str, height: int):
        super().__init__()
        self.setText(title)
        self.words, self.note, self.pixmap, self._below = words, note, QPixmap(), height
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        describe(self, title, ". ".join(part for part in (words, note) if part))
        theme.changed.connect(self.update)

    def set_width(self, width: int) -> None:
        self.setFixedSize(width, round(width * SHAPE) + self._below)

    def set_picture(self, image: QImage) -> None:
        self.pixmap = QPixmap.fromImage(image)
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Return presses it too, as everywhere where something is opened."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
        else:
            super().keyPressEvent(event)

    def enterEvent(self, event: QEnterEvent) -> None:
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, colours = QPainter(self), theme.colours
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        frame = QRectF(self.rect()).adjusted(1.5, 1.5, -1.5, -1.5)
        path = QPainterPath()
        path.addRoundedRect(frame, RADIUS, RADIUS)
        painter.fillPath(path, QColor(colours.surface))
        painter.save()
        painter.setClipPath(path)
        picture = QRectF(frame.left(), frame.top(), frame.width(), self.height() - self._below)
        painter.setClipRect(picture, Qt.ClipOperation.IntersectClip)
        painter.fillRect(picture, QColor(colours.canvas))
        if not self.pixmap.isNull():
            self._paint_picture(painter, picture)
        painter.restore()
        line = colours.accent if self.hasFocus() else colours.muted if self.underMouse() else colours.line
        painter.setPen(QPen(QColor(line), 2.5 if self.hasFocus() else 1.5))  # the keys alone are blue
        painter.drawPath(path)
        self._paint_words(
            painter, QRect(WIDE, round(picture.bottom()) + GAP, self.width() - 2 * WIDE, self._below - GAP - WIDE)
        )

    def _paint_picture(self, painter: QPainter, room: QRectF) -> None:
        """A board's cover whole, whatever its shape: nobody knows where faces are. A story's fills the card."""
        if self.words:
            portrait.cover(painter, room, self.pixmap, self._choose_foot(room.height() / room.width()))
        else:
            portrait.whole(painter, room, self.pixmap)

    def _choose_foot(self, shape: float) -> QRect:
        """Of a story's picture, in its pixels, where the frame's height is `shape` times its width: there its figures
        stand, which lost chin or feet.
        """
        whole = self.pixmap.rect()
        over = whole.height() - round(whole.width() * shape)
        return whole.adjusted(0, max(0, over), 0, 0)

    def _paint_words(self, painter: QPainter, room: QRect) -> None:
        colours, end = theme.colours, Qt.TextElideMode.ElideRight
        painter.setFont(font(LARGE if self.words else TEXT, QFont.Weight.DemiBold))
        painter.setPen(QColor(colours.text))
        line = painter.fontMetrics().lineSpacing()
        title = painter.fontMetrics().elidedText(self.text(), end, room.width())
        draw_words(painter, room, Qt.AlignmentFlag.AlignLeft, title)
        painter.setFont(font(TEXT))
        painter.setPen(QColor(colours.muted))
        flags = Qt.AlignmentFlag.AlignLeft | Qt.TextFlag.TextWordWrap
        draw_words(painter, room.adjusted(0, line + HAIR, 0, 0), flags, self.words)
        painter.setPen(QColor(colours.accent if self.words else colours.muted))
        at = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom
        draw_words(painter, room, at, painter.fontMetrics().elidedText(self.note, end, room.width()))


class HomeView(QWidget):
    """`run` starts the action of that name; `list_boards` gives (path, title) of the boards of lately, `find_cover`,
    called in another thread, the file of a board's first picture."""

    story_wanted = Signal(str, bool)  # name; whether from its start, on a new board
    board_wanted = Signal(str)  # path
    removal_wanted = Signal(str)  # path: out of the list; nothing of the board is touched

    def __init__(
        self,
        stories: Sequence[Story],
        run: Callable[[str], None],
        list_boards: Callable[[], Sequence[tuple[str, str]]],
        find_cover: Callable[[str], Path | None],
    ):
        super().__init__()
        self._list_boards, self._find_cover = list_boards, find_cover
        self._covers = _Covers(self)
        self._covers.read.connect(self._show_cover)
        area, column = scroll_column("Home", MARGIN)
        self.stories, self.boards = _Cards(), _Cards()
        self.lately = label("Your boards", name="subheading")
        column.addLayout(row(label("Stories to play", name="subheading"), label(DRAWN, "muted"), None))
        for part in (self.stories, self.lately, self.boards):
            column.addWidget(part)
        column.addStretch(1)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addWidget(_top(run))
        box.addWidget(area, 1)
        for story in stories:
            self._add_story(story)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        offer_menu(self, lambda _: [Entry(words, partial(run, name)) for name, words in BESIDE])

    def _add_story(self, story: Story) -> None:
        card = self.stories.add(story.name, Card(story.title, story.words, f"Best with {story.needs}", STORY))
        card.clicked.connect(lambda *_: self.story_wanted.emit(story.name, False))
        self._covers.ask(story.name, lambda _: story.picture)
        again = Entry("Play Again from the Start", lambda: self.story_wanted.emit(story.name, True))
        offer_menu(card, lambda _: [Entry("Open", card.click), again])

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()

    def refresh(self) -> None:
        """The boards are those of now, and so are their covers."""
        self.boards.clear()
        for path, title in self._list_boards():
            self._add_board(path, title)
        self.lately.setVisible(bool(self.boards.cards))
        self._suit()

    def _add_board(self, path: str, title: str) -> None:
        card = self.boards.add(path, Card(title, "", "", BOARD))
        card.clicked.connect(lambda *_: self.board_wanted.emit(path))
        card.setToolTip(as_tip(path))
        offer_menu(
            card,
            lambda _: [
                Entry("Open", card.click), Entry(SHOW_IN_FILES, lambda: show_folder(Path(path).parent, self)), None,
                Entry("Remove from List", lambda: self._remove(path)),
            ],
        )  # fmt: skip
        self._covers.ask(path, self._find_cover)

    def _remove(self, path: str) -> None:
        self.removal_wanted.emit(path)
        self.refresh()

    def focusInEvent(self, event: QFocusEvent) -> None:
        """The page gives the keys on to the first story: Return does nothing on the list as a whole."""
        super().focusInEvent(event)
        for card in [*self.stories.cards.values()][:1]:
            card.setFocus(event.reason())

    def _show_cover(self, key: str, image: QImage) -> None:
        if card := self.stories.cards.get(key) or self.boards.cards.get(key):
            card.set_picture(image)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._suit()

    def _suit(self) -> None:
        columns, width = divide(self.width() - 2 * MARGIN - WIDE, len(self.stories.cards))  # WIDE: of the scroll bar
        self.stories.suit(columns, width)
        half = 2 if width > LARGE_BOARD else 1
        self.boards.suit(columns * half, (width + MARGIN) // half - MARGIN)


def _top(run: Callable[[str], None]) -> QWidget:
    return bar(
        label("Home", name="heading"), None, button("Import…", lambda: run("import_"), "import"),
        button("Open…", lambda: run("open"), "folder"), button("New Board", lambda: run("new"), "plus", "primary"),
    )  # fmt: skip


class _Cards(QWidget):
    """Cards in rows, as wide as fills them."""

    def __init__(self) -> None:
        super().__init__()
        self.cards: dict[str, Card] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(MARGIN)
        self._grid.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)

    def add(self, key: str, card: Card) -> Card:
        self.cards[key] = card
        return card

    def clear(self) -> None:
        for card in self.cards.values():
            self._grid.removeWidget(card)
            card.hide()
            card.deleteLater()
        self.cards = {}

    def suit(self, columns: int, width: int) -> None:
        for place, card in enumerate(self.cards.values()):
            card.set_width(width)
            self._grid.addWidget(card, *divmod(place, columns))


def divide(room: int, count: int) -> tuple[int, int]:
    """Columns of `room` pixels and their width: no row has one of `count` cards alone where two rows could share."""
    columns = max(1, min(count, (room + MARGIN) // (LEAST + MARGIN)))
    columns = 2 if columns == 3 and count == 4 else columns
    return columns, min(MOST, (room + MARGIN) // columns - MARGIN)


class _Covers(QObject):
    """Reads covers in another thread."""

    read = Signal(str, QImage)

    def ask(self, path: str, find: Callable[[str], Path | None]) -> None:
        QThreadPool.globalInstance().start(_Cover(self, path, find))


class _Cover(QRunnable):
    def __init__(self, covers: _Covers, path: str, find: Callable[[str], Path | None]):
        super().__init__()
        self.covers, self.path, self.find = covers, path, find

    def run(self) -> None:
        picture = self.find(self.path)
        if picture:
            with contextlib.suppress(RuntimeError):  # the window was closed meanwhile
                self.covers.read.emit(self.path, read(str(picture), SIDE))
