"""All takes of a panel as a history: each below the one it was made from, called by its words and its time.

The current one is marked; another is chosen with a click or the arrow keys.
"""

from functools import partial

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from ...base.words import say_moment
from ...board import commands
from ...board.data import Panel, Take
from ...board.seen import look
from ..document import picture_drag
from ..document.document import Document
from ..document.panel_part import PanelPart
from ..kit import icons, portrait
from ..kit.measures import CHIP, FINE, RADIUS, TEXT
from ..kit.menus import make_menu
from ..kit.theme import theme
from ..kit.widgets import LeftButton, as_tip, draw_words, wins_over_menus
from .branches import Branch, break_lines, grow, hint_at, name_file, name_take, read_out
from .enlarging import add_enlarging

LEAST = 2  # rows that are always seen
HEIGHT, PICTURE, PAD = 58, QSize(62, 46), 6
LANE, MOST_LANES = 14, 6  # px of a step to the right; deeper ones stand there too
ICON = 18
TAKE = Qt.ItemDataRole.UserRole
EMPTY = "Every picture that is made for this panel is kept here, with the words that made it."
REMOVE = (Qt.Key.Key_Delete, Qt.Key.Key_Backspace)
LETTERS = (Qt.Key.Key_S, Qt.Key.Key_C)


class TakesTree(PanelPart, QListWidget):
    """Chooses takes through the document; what else can be done with one is asked for by signals."""

    source_asked = Signal(str)  # take id
    placed_asked = Signal(str)  # back to what lay on the picture that it was made from
    reference_asked = Signal(str)
    cast_asked = Signal(str)
    save_asked = Signal(str)
    compare_asked = Signal(str)
    details_asked = Signal(str)
    reveal_asked = Signal(str)

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document, self.compared, self.start, self.hovered = document, "", "", -1
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setDragEnabled(True)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragOnly)
        self.setUniformItemSizes(True)
        self.setItemDelegate(_Rows(self))
        self.setMinimumHeight(LEAST * HEIGHT)
        self.setObjectName("plain")
        self.setMouseTracking(True)
        self.setAccessibleName("Takes")
        self.setAccessibleDescription("Arrow keys choose, S stars, C compares, Delete removes, the menu key shows more")
        LeftButton(self)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._open_menu)
        self.currentItemChanged.connect(self._choose)
        document.picture_ready.connect(self._repaint)
        theme.changed.connect(self._repaint)

    def _repaint(self) -> None:
        self.viewport().update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Whole rows alone: none is cut in the middle of its letters."""
        super().resizeEvent(event)
        self.setViewportMargins(0, 0, 0, self.contentsRect().height() % HEIGHT)
        if self.currentItem():
            self.scrollToItem(self.currentItem())

    def show_panel(self, panel_id: str) -> None:
        self.compared = ""
        super().show_panel(panel_id)

    def refresh(self) -> None:
        panel, start = self.panel, look(self.document.board).find_start(self.panel)
        makers = look(self.document.board).number_makers(panel)
        if (panel.id, panel.takes, panel.current, start, makers) == self._shown:
            return
        self._shown = (panel.id, panel.takes, panel.current, start, makers)
        self.start = start.id if start else ""
        self.blockSignals(True)
        branches = grow(panel.takes, makers)
        if [branch.take.id for branch in branches] != self._ids():
            self.clear()
            self.addItems([str(branch.number) for branch in branches])
        for row, branch in enumerate(branches):
            self._fill(self.item(row), branch, panel)
        self.setCurrentRow(next((row for row, one in enumerate(branches) if one.take.id == panel.current), -1))
        self.blockSignals(False)
        if self.currentItem():
            self.scrollToItem(self.currentItem())
        self._repaint()

    def _ids(self) -> list[str]:
        return [self.item(row).data(TAKE).take.id for row in range(self.count())]

    def _fill(self, item: QListWidgetItem, branch: Branch, panel: Panel) -> None:
        words = read_out(branch, panel)
        if (item.data(TAKE), item.data(Qt.ItemDataRole.AccessibleTextRole)) == (branch, words):
            return
        item.setData(TAKE, branch)
        item.setData(Qt.ItemDataRole.AccessibleTextRole, words)
        item.setToolTip(as_tip(hint_at(branch)))

    def branch(self) -> Branch | None:
        """The one under the keyboard, which is the current one."""
        found: Branch | None = self.currentItem().data(TAKE) if self.currentItem() else None
        return found

    def _choose(self, item: QListWidgetItem | None, _before: object) -> None:
        if item and item.data(TAKE).take.id != self.panel.current:
            choose = partial(commands.turn_to_take, panel_id=self.panel_id, take_id=item.data(TAKE).take.id)
            self.document.do("Choose Take", choose, merge=f"choose {self.panel_id}")

    def remove(self, take_id: str) -> None:
        """Take it out of the panel; undo brings it back."""
        self.document.do("Delete Take", lambda board: commands.remove_take(board, self.panel_id, take_id))

    def star(self, take: Take) -> None:
        """Mark it as a good one, or no longer."""
        change = partial(commands.set_take, panel_id=self.panel_id, take_id=take.id, star=not take.star)
        self.document.do("Remove Star" if take.star else "Star Take", change)

    def compare(self, take: Take) -> None:
        """Ask to see it beside the current one, or no longer."""
        self.compare_asked.emit("" if take.id == self.compared else take.id)

    def set_compared(self, take_id: str) -> None:
        """Mark the take that the picture is compared with, "" for none."""
        self.compared = take_id
        self._repaint()

    def title(self, take: Take) -> str:
        """A name for the take's file."""
        return name_file(self.document.board, self.panel, take)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self.count():
            painter = QPainter(self.viewport())
            painter.setPen(QColor(theme.colours.muted))
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            draw_words(painter, self.viewport().rect().adjusted(16, 0, -16, 0), flags, EMPTY)

    # Input

    def event(self, event: QEvent) -> bool:
        keys = (*REMOVE, *LETTERS)
        return wins_over_menus(event, keys, [QKeySequence.StandardKey.Copy]) or super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        branch = self.branch()
        if branch is None:
            super().keyPressEvent(event)
        elif event.key() in REMOVE:
            self.remove(branch.take.id)
        elif event.key() == Qt.Key.Key_Menu:
            self._open_menu(self.visualItemRect(self.currentItem()).center())
        elif event.matches(QKeySequence.StandardKey.Copy):
            self.copy(branch.take)
        elif event.key() in LETTERS:
            (self.star if event.key() == Qt.Key.Key_S else self.compare)(branch.take)
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """The two marks at the end of a row do something with it and leave the choice alone."""
        item = self.itemAt(event.position().toPoint())
        spots = spots_of(self.visualItemRect(item)) if item else {}
        hit = next((name for name, rect in spots.items() if rect.contains(event.position().toPoint())), "")
        if not hit or event.button() != Qt.MouseButton.LeftButton:
            super().mousePressEvent(event)
        elif item:
            (self.star if hit == "star" else self.compare)(item.data(TAKE).take)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._hover(self.indexAt(event.position().toPoint()).row())
        super().mouseMoveEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self._hover(-1)
        super().leaveEvent(event)

    def _hover(self, row: int) -> None:
        if row != self.hovered:
            self.hovered = row
            self._repaint()

    def copy(self, take: Take) -> None:
        """The picture, on the clipboard."""
        picture_drag.copy(self.document, take.picture, self.title(take))

    def startDrag(self, actions: Qt.DropAction) -> None:
        if branch := self.branch():
            picture_drag.drag_out(self, self.document, branch.take.picture, self.title(branch.take))

    def _open_menu(self, at: QPoint) -> None:
        item = self.itemAt(at)
        if item:
            menu = self.menu_for(item.data(TAKE).take)
            beside = QPoint(-menu.sizeHint().width(), self.visualItemRect(item).top())  # the take is looked at
            menu.popup(self.viewport().mapToGlobal(beside))

    def menu_for(self, take: Take) -> QMenu:
        """What can be done with a take."""
        menu = make_menu(self)
        menu.addAction("Start from This Take", partial(self.source_asked.emit, take.id))
        self.add_commands(menu, take)
        return menu

    def add_commands(self, menu: QMenu, take: Take) -> None:
        """The same for a menu of the picture, which has its own way to start from it."""
        if take.placed:
            menu.addAction("Edit What Was Placed", partial(self.placed_asked.emit, take.id))
        compare = menu.addAction("Compare with This Take", partial(self.compare_asked.emit, take.id))
        compare.setVisible(take.id != self.panel.current)
        menu.addAction("Take the Star Off" if take.star else "Star", partial(self.star, take))
        menu.addSeparator()
        menu.addAction("Use as Reference", partial(self.reference_asked.emit, take.id))
        menu.addAction("Add to Cast…", partial(self.cast_asked.emit, take.id))
        add_enlarging(menu.addMenu("Enlarge"), self.document, self.panel, take)
        menu.addAction("Save Picture As…", partial(self.save_asked.emit, take.id))
        menu.addAction("Copy Picture", partial(self.copy, take))
        menu.addSeparator()
        menu.addAction("Details and Note", partial(self.details_asked.emit, take.id))
        menu.addAction("Show File", partial(self.reveal_asked.emit, take.id))
        menu.addSeparator()
        menu.addAction("Delete Take", partial(self.remove, take.id))


def spots_of(row: QRect) -> dict[str, QRect]:
    """Where the marks of a row stand that can be clicked."""
    star = QRect(row.right() - ICON - PAD, row.top() + PAD, ICON, ICON)
    return {"star": star, "compare": star.translated(0, HEIGHT - ICON - 2 * PAD)}


class _Rows(QStyledItemDelegate):
    """Paints a take: lines from what it was made from, picture, words, time; the current one is lit."""

    def __init__(self, tree: TakesTree):
        super().__init__(tree)
        self.tree = tree

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(PICTURE.width(), HEIGHT)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        branch: Branch = index.data(TAKE)
        row, current = option.rect, bool(option.state & QStyle.StateFlag.State_Selected)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        self._paint_ground(painter, row, current, index.row() == self.tree.hovered)
        self._paint_lines(painter, row, branch)
        left = row.left() + PAD + LANE * min(branch.depth, MOST_LANES)
        picture = QRectF(left, row.top() + (HEIGHT - PICTURE.height()) / 2, PICTURE.width(), PICTURE.height())
        self._paint_picture(painter, picture, branch.take)
        words = QRect(round(picture.right()) + 10, row.top() + 6, 0, HEIGHT - 12)
        words.setRight(row.right() - ICON - 2 * PAD)
        self._paint_words(painter, words, branch, current)
        self._paint_marks(painter, row, branch.take, current, index.row() == self.tree.hovered)
        painter.restore()

    def _paint_ground(self, painter: QPainter, row: QRect, current: bool, hovered: bool) -> None:
        if current or hovered:
            colours = theme.colours
            painter.setPen(QPen(QColor(colours.accent), 2) if current and self.tree.hasFocus() else Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.selection if current else colours.raised))
            painter.drawRoundedRect(QRectF(row).adjusted(1, 1, -1, -1), RADIUS, RADIUS)

    def _paint_lines(self, painter: QPainter, row: QRect, branch: Branch) -> None:
        """Down past the takes of the same start, and to the right into this one."""
        painter.setPen(QPen(QColor(theme.colours.muted), 1.5))
        middle = row.center().y()
        for step, goes_on in enumerate(branch.lanes[:MOST_LANES]):
            x = row.left() + PAD + LANE * step + LANE // 2
            own = step == min(branch.depth, MOST_LANES) - 1
            if own or goes_on:
                painter.drawLine(x, row.top(), x, row.bottom() if goes_on else middle)
            if own:
                painter.drawLine(x, middle, x + LANE // 2, middle)

    def _paint_picture(self, painter: QPainter, frame: QRectF, take: Take) -> None:
        tree = self.tree
        path = QPainterPath()
        path.addRoundedRect(frame, CHIP, CHIP)
        painter.save()
        painter.setClipPath(path)
        painter.fillPath(path, QColor(theme.colours.canvas))
        pixmap = tree.document.pixmap(take.picture.sha256, round(2.5 * PICTURE.width() * tree.devicePixelRatioF()))
        if not pixmap.isNull():
            portrait.cover(painter, frame, pixmap, pixmap.rect())
        painter.restore()
        if take.id == tree.compared:
            pen = QPen(QColor(theme.colours.warning), 2, Qt.PenStyle.DashLine)
            painter.setPen(pen)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(frame, CHIP, CHIP)

    def _paint_words(self, painter: QPainter, room: QRect, branch: Branch, current: bool) -> None:
        take, colours = branch.take, theme.colours
        font = painter.font()
        font.setPixelSize(TEXT)
        font.setBold(current)
        painter.setFont(font)
        painter.setPen(QColor(colours.text))
        metrics, left = painter.fontMetrics(), Qt.AlignmentFlag.AlignLeft
        for place, line in enumerate(break_lines(name_take(take), metrics, room.width())):
            draw_words(painter, room.translated(0, place * metrics.height()), left, line)
        font.setPixelSize(FINE)
        font.setBold(False)
        painter.setFont(font)
        painter.setPen(QColor(colours.text if current else colours.muted))
        start = "  ·  start" if take.id == self.tree.start and take.id != self.tree.panel.current else ""
        maker = f"  ·  from {branch.maker}" if branch.maker else ""
        text = f"{branch.number}  ·  {say_moment(take.made)}{maker}{start}"
        text = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, room.width())
        draw_words(painter, room, left | Qt.AlignmentFlag.AlignBottom, text)

    def _paint_marks(self, painter: QPainter, row: QRect, take: Take, current: bool, hovered: bool) -> None:
        """A star that was given always; what can be done, where the mouse is."""
        colours, ratio = theme.colours, self.tree.devicePixelRatioF()
        spots, compared = spots_of(row), take.id == self.tree.compared
        shown = {"star": ("star_on" if take.star else "star", take.star or hovered),
                 "compare": ("compare", compared or (hovered and not current))}  # fmt: skip
        for name, (icon, visible) in shown.items():
            if visible:
                lit = colours.warning if (name == "star" and take.star) or (name == "compare" and compared) else ""
                pixmap = icons.pixmap(icon, round(ICON * ratio), lit or colours.muted)
                painter.drawPixmap(QRectF(spots[name]), pixmap, QRectF(pixmap.rect()))
