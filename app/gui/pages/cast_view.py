"""The cast page: everybody and everything that prompts can mention, with pictures, name, role and colour."""

from collections import Counter

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QDragEnterEvent,
    QDragMoveEvent,
    QDropEvent,
    QFont,
    QPainter,
    QPainterPath,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QListView,
    QScrollArea,
    QSplitter,
    QStackedLayout,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from ...base.words import say_count
from ...board import commands
from ...board.cast import find_takes
from ...board.data import Board, Member, NamesInUse, Picture, free_colour, free_name, new_id
from ...board.rules import MAX_MEMBERS
from ...pictures.kinds import FILTER
from ..board.model import Index
from ..board.paint import LEFT, draw_ring
from ..document import picture_drag
from ..document.document import Document
from ..kit import portrait
from ..kit.measures import FINE, GAP, MARGIN, RADIUS, TEXT, TIGHT
from ..kit.menus import make_menu
from ..kit.messages import choose_files
from ..kit.theme import font, theme
from ..kit.widgets import Empty, LeftButton, OneLine, bar, button, draw_words, fill_page, label, row
from .cast_member import WIDTH, MemberPanel, accept_pictures, uses
from .teach import name_lesson

MEMBER = Qt.ItemDataRole.UserRole
CARD, WIDEST, WORDS = 188, 400, 56  # pixels: the least and the most width of a card; what stands below its picture
SHAPE = 0.72  # height of a card's picture by its width
PORTRAIT = 2 * WIDEST  # pixels of a picture's longer side, for screens with two pixels a point


class CastModel(QAbstractListModel):
    """The members in order."""

    def __init__(self, document: Document, parent: QObject | None = None):
        super().__init__(parent)
        self.document = document
        document.changed.connect(self._follow_board)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.document.board.cast)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        member = self.document.board.cast[index.row()]
        if role == MEMBER:
            return member
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            count = say_count(len(member.pictures), "picture")
            return f"{member.name}, {member.role}, {count}, {say_uses(self.document.board, member)}"
        return None

    def _follow_board(self, old: Board, new: Board) -> None:
        if [member.id for member in old.cast] != [member.id for member in new.cast]:
            self.beginResetModel()
            self.endResetModel()
        elif new.cast:
            self.dataChanged.emit(self.index(0), self.index(len(new.cast) - 1))


class CastDelegate(QStyledItemDelegate):
    """A card: the first picture, a colour, the name as it is mentioned, the role."""

    def __init__(self, document: Document, cards: "CastList"):
        super().__init__(cards)
        self.document, self.cards = document, cards

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return self.cards.card

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        member, c = index.data(MEMBER), theme.colours
        card = option.rect.adjusted(8, 8, -8, -8)
        box = QRect(card.left(), card.top(), card.width(), card.height() - WORDS)
        painter.save()
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        self._picture(painter, box, member)
        chosen = option.state & QStyle.StateFlag.State_Selected
        draw_ring(painter, box, c.accent if chosen else c.line, 3 if chosen else 1)
        if option.state & QStyle.StateFlag.State_HasFocus:
            draw_ring(painter, box.adjusted(-4, -4, 4, 4), c.accent, 1)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(member.colour))
        painter.drawEllipse(QRectF(box.left() + 2, box.bottom() + 14, 10, 10))
        painter.setFont(font(TEXT, QFont.Weight.DemiBold))
        painter.setPen(QColor(c.text))
        name = QRect(box.left() + 18, box.bottom() + 8, box.width() - 18, 22)
        draw_words(painter, name, LEFT, painter.fontMetrics().elidedText(f"@{member.name}", _RIGHT, name.width()))
        painter.setFont(font(FINE))
        painter.setPen(QColor(c.muted))
        below = f"{member.role} · {say_uses(self.document.board, member)}"
        draw_words(painter, name.translated(0, 20), LEFT, painter.fontMetrics().elidedText(below, _RIGHT, name.width()))
        painter.restore()

    def _picture(self, painter: QPainter, box: QRect, member: Member) -> None:
        path = QPainterPath()
        path.addRoundedRect(QRectF(box), RADIUS, RADIUS)
        painter.fillPath(path, QColor(theme.colours.canvas))
        if not member.pictures:
            painter.setPen(QColor(theme.colours.muted))
            draw_words(painter, box, Qt.AlignmentFlag.AlignCenter, "No picture yet")
            return
        pixmap = self.document.pixmap(member.pictures[0].sha256, PORTRAIT)
        if not pixmap.isNull():
            painter.setClipPath(path)
            portrait.draw(painter, QRectF(box), pixmap)
            painter.setClipping(False)


_RIGHT = Qt.TextElideMode.ElideRight


class CastList(QListView):
    """The cards; pictures dropped on one are added to it, dropped beside they become new members."""

    def __init__(self, view: "CastView"):
        super().__init__(view)
        self.view = view
        self.setObjectName("plain")
        self.setAccessibleName("Members of the cast")
        self.setViewMode(self.ViewMode.IconMode)
        self.setResizeMode(self.ResizeMode.Adjust)
        self.setMovement(self.Movement.Static)
        self.setUniformItemSizes(True)
        self.setVerticalScrollMode(self.ScrollMode.ScrollPerPixel)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setFrameShape(self.Shape.NoFrame)
        self.setAcceptDrops(True)
        LeftButton(self)
        self.setViewportMargins(GAP, GAP, GAP, GAP)
        self.card = QSize(CARD, round(SHAPE * (CARD - 16)) + WORDS + 16)

    def suit(self) -> None:
        """Cards as wide as fills the row, no wider than WIDEST."""
        room, count = self.viewport().width() - 24, max(1, self.model().rowCount())
        columns = max(1, min(count, room // CARD))
        width = max(CARD, min(WIDEST, room // columns))
        card = QSize(width, round(SHAPE * (width - 16)) + WORDS + 16)
        if card != self.card:
            self.card = card
            self.scheduleDelayedItemsLayout()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Of the card under the pointer, or by the key of the chosen one."""
        by_key = event.reason() == QContextMenuEvent.Reason.Keyboard
        member = (self.currentIndex() if by_key else self.indexAt(event.pos())).data(MEMBER)
        if member is None:
            return
        self.view.show_member(member.id)
        menu = make_menu(self)
        menu.addAction(name_lesson(member), self.view.member.taught.open)
        menu.addSeparator()
        menu.addAction("Remove from Cast", self.view.member.remove)
        at = self.visualRect(self.currentIndex()).center() if by_key else event.pos()
        menu.popup(self.viewport().mapToGlobal(at))

    def resizeEvent(self, event: QResizeEvent) -> None:
        self.suit()
        super().resizeEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        accept_pictures(event)

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        event.acceptProposedAction()
        member = self.indexAt(event.position().toPoint()).data(MEMBER)
        self.view.add_pictures(picture_drag.pictures_in(event.mimeData(), self.view.document), member)


class CastView(QWidget):
    """Cards on the left, the chosen member on the right."""

    open_panel = Signal(str)  # id: a panel that the member is in

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document = document
        self.model = CastModel(document, self)
        self.list = CastList(self)
        self.list.setModel(self.model)
        self.list.setItemDelegate(CastDelegate(document, self.list))
        self.body = QWidget(self)  # what is built where it stays is dressed once, not again wherever it is moved to
        self.split = QSplitter(self.body)
        self._right = QWidget(self.split)
        self.side = QScrollArea(self._right)
        self.member = MemberPanel(document, self.side.viewport())
        self.member.panels.opened.connect(self.open_panel)
        self.list.selectionModel().currentChanged.connect(lambda now, _: self._choose(now))
        self.model.modelReset.connect(self._keep)
        self._chosen: str | None = None
        self._lay_out()
        document.changed.connect(self._board_changed)
        document.picture_ready.connect(self._repaint)
        theme.changed.connect(self._repaint)
        self._board_changed(document.board, document.board)

    def _repaint(self) -> None:
        self.list.viewport().update()

    def _lay_out(self) -> None:
        add = button("Add Member…", self.choose_files, "plus", "primary")
        add.setToolTip("Choose pictures of somebody or something")
        top = bar(label("Cast", name="heading"), OneLine("Mention anybody in a prompt as @name", "muted"), None, add)
        split, side = self.split, self.side
        split.setHandleWidth(1)
        split.insertWidget(0, self.list)
        side.setWidgetResizable(True)
        side.setFrameShape(QFrame.Shape.NoFrame)
        side.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        side.setMinimumWidth(WIDTH + side.verticalScrollBar().sizeHint().width())
        side.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # it follows what has the focus inside
        side.setWidget(self.member)
        foot = row(None, button("Remove from Cast", self.member.remove, "trash", "quiet"))
        foot.setContentsMargins(MARGIN, TIGHT, MARGIN, GAP)
        column = QVBoxLayout(self._right)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(side, 1)
        column.addLayout(foot)
        split.setStretchFactor(0, 1)
        split.setSizes([800, 320])
        split.setChildrenCollapsible(False)
        self.stack = QStackedLayout(self.body)
        self.stack.addWidget(split)
        self.stack.addWidget(
            Empty(
                "cast",
                "No cast yet",
                "Characters, props, places and styles with a picture of each. Drop pictures here; then write @name in "
                "any prompt, and the model sees them.",
                button("Choose Pictures…", self.choose_files, "picture", "primary"),
            )
        )
        self.setAcceptDrops(True)
        fill_page(self, top, self.body)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        accept_pictures(event)

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        event.acceptProposedAction()
        self.add_pictures(picture_drag.pictures_in(event.mimeData(), self.document), None)

    def choose_files(self) -> None:
        """A file dialog; each picture becomes a member."""
        paths = choose_files(self, "Pictures of the Cast", FILTER)
        self.add_pictures(self.document.import_pictures(paths), None)

    def add_pictures(self, pictures: list[Picture], member: Member | None) -> None:
        """Add to `member`, or make a member of each, named after its file."""
        board = self.document.board
        if member:
            more = (*member.pictures, *pictures)
            self.document.do("Add Picture", lambda now: commands.set_member(now, member.id, pictures=more))
            return
        room = MAX_MEMBERS - len(board.cast)
        if len(pictures) > room:
            full = lambda: len(self.document.board.cast) >= MAX_MEMBERS  # noqa: E731
            self.document.say(f"A cast has at most {MAX_MEMBERS} members.", "The first ones were added.", full)
        members = make_members(pictures[:room], board)
        self.document.do("Add to Cast", lambda now: commands.add_members(now, members))
        if members:
            self.show_member(members[-1].id)

    def show_member(self, member_id: str) -> None:
        """Select a member."""
        ids = [member.id for member in self.document.board.cast]
        if member_id in ids:
            self.list.setCurrentIndex(self.model.index(ids.index(member_id)))

    def _choose(self, index: QModelIndex) -> None:
        member = index.data(MEMBER) if index.isValid() else None
        self._chosen = member.id if member else None
        self.member.show_member(self._chosen)

    def _keep(self) -> None:
        """After members came or went: the same one stays chosen, else the first."""
        ids = [member.id for member in self.document.board.cast]
        place = ids.index(self._chosen) if self._chosen in ids else 0
        if ids:
            self.list.setCurrentIndex(self.model.index(place))
        else:
            self._choose(QModelIndex())

    def _board_changed(self, old: Board, board: Board) -> None:
        self.list.suit()
        self.stack.setCurrentIndex(0 if board.cast else 1)
        if board.cast and not self.list.currentIndex().isValid():
            self.list.setCurrentIndex(self.model.index(0))


def make_members(pictures: list[Picture], board: Board) -> list[Member]:
    """A new member of each picture, named after its file, in a colour that few have; a panel's picture has no name."""
    names, colours = NamesInUse(one.name for one in board.cast), Counter(one.colour for one in board.cast)
    members, numbered = [], find_takes(board)
    for picture in pictures:
        wanted = "character" if picture.sha256 in numbered else picture.name.rsplit(".", 1)[0]
        name, colour = free_name(wanted, names), free_colour(colours)
        names.add(name)
        colours[colour] += 1
        members.append(Member(new_id(), name, "character", colour, (picture,)))
    return members


def say_uses(board: Board, member: Member) -> str:
    """Such as "in 3 panels"."""
    count = uses(board, member)
    return f"in {say_count(count, 'panel')}" if count else "not used yet"
