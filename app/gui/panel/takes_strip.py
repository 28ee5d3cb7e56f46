"""All takes of a panel in a row: the current one is marked, another is chosen with a click or the arrow keys."""

from functools import partial

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QAction, QColor, QKeyEvent, QKeySequence, QPainter, QPainterPath, QPen, QWheelEvent
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

from ...board import commands
from ...board.data import Panel, Take, numbers
from ..canvas.layers import draw_tag
from ..document import picture_drag
from ..document.document import Document
from ..document.panel_part import PanelPart
from ..kit.theme import theme
from ..kit.widgets import LeftButton, as_tip, draw_words, wins_over_menus
from ..kit.words import model_title

HEIGHT, WORDS = 60, 20  # of a thumbnail, of the line under it
PAD = 5
TAKE = Qt.ItemDataRole.UserRole
COMPARE = "Compare with This Take"
REMOVE = (Qt.Key.Key_Delete, Qt.Key.Key_Backspace)


class TakesStrip(PanelPart, QListWidget):
    """Chooses takes through the document; what else can be done with one is asked for by signals."""

    source_asked = Signal(str)  # take id
    reference_asked = Signal(str)
    compare_asked = Signal(str)
    details_asked = Signal(str)
    reveal_asked = Signal(str)

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document, self.compared = document, ""
        self.setFlow(QListWidget.Flow.LeftToRight)
        self.setWrapping(False)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setDragEnabled(True)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragOnly)
        self.setItemDelegate(_Thumbnails(self))
        self.setFixedHeight(HEIGHT + WORDS + 2 * PAD + 14)
        self.setObjectName("plain")
        self.setAccessibleName("Takes")
        self.setAccessibleDescription("Arrow keys choose, Delete removes, the menu key shows more")
        LeftButton(self)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._open_menu)
        self.currentItemChanged.connect(self._choose)
        document.picture_ready.connect(self._repaint)
        theme.changed.connect(self._repaint)

    def _repaint(self) -> None:
        self.viewport().update()

    def show_panel(self, panel_id: str) -> None:
        self.compared = ""
        super().show_panel(panel_id)

    def refresh(self) -> None:
        panel = self.panel
        if (panel.id, panel.takes, panel.current) == self._shown:
            return
        self._shown = (panel.id, panel.takes, panel.current)
        self.blockSignals(True)
        if [take.id for take in panel.takes] != self._ids():
            self.clear()
            for number, take in enumerate(panel.takes, 1):
                self.addItem(_item(number, take))
        for row, take in enumerate(panel.takes):
            self.item(row).setData(TAKE, take)
            self.item(row).setData(Qt.ItemDataRole.AccessibleTextRole, self._words(row + 1, take, panel))
            self.item(row).setToolTip(as_tip(_hint(row + 1, take)))
        self.setCurrentRow(next((row for row, take in enumerate(panel.takes) if take.id == panel.current), -1))
        self.blockSignals(False)
        if self.currentItem():
            self.scrollToItem(self.currentItem())
        self.viewport().update()

    def _ids(self) -> list[str]:
        return [self.item(row).data(TAKE).id for row in range(self.count())]

    def _words(self, number: int, take: Take, panel: Panel) -> str:
        current = ", current" if take.id == panel.current else ""
        note = f", {take.note}" if take.note else ""
        return f"Take {number}, seed {take.seed}, {model_title(take.model)}{current}{note}"

    def take(self) -> Take | None:
        """The one under the keyboard, which is the current one."""
        return self.currentItem().data(TAKE) if self.currentItem() else None

    def _choose(self, item: QListWidgetItem | None, _before: object) -> None:
        if item and item.data(TAKE).id != self.panel.current:
            choose = partial(commands.choose_take, panel_id=self.panel_id, take_id=item.data(TAKE).id)
            self.document.do("Choose Take", choose, merge=f"choose {self.panel_id}")

    def remove(self, take_id: str) -> None:
        """Take it out of the panel; undo brings it back."""
        self.document.do("Delete Take", lambda board: commands.remove_take(board, self.panel_id, take_id))

    def set_compared(self, take_id: str) -> None:
        """Mark the take that the picture is compared with, "" for none."""
        self.compared = take_id
        self.viewport().update()

    def title(self, take: Take) -> str:
        """A name for the take's file."""
        board = self.document.board
        number = [one.id for one in self.panel.takes].index(take.id) + 1
        return f"{board.title} {numbers(board)[self.panel_id]} take {number}"

    # Input

    def event(self, event: QEvent) -> bool:
        return wins_over_menus(event, REMOVE, [QKeySequence.StandardKey.Copy]) or super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        take = self.take()
        if take and event.key() in REMOVE:
            self.remove(take.id)
        elif take and event.key() == Qt.Key.Key_Menu:
            self._open_menu(self.visualItemRect(self.currentItem()).center())
        elif take and event.matches(QKeySequence.StandardKey.Copy):
            self.copy(take)
        else:
            super().keyPressEvent(event)

    def copy(self, take: Take) -> None:
        """The picture, on the clipboard."""
        picture_drag.copy(self.document, take.picture, self.title(take))

    def wheelEvent(self, event: QWheelEvent) -> None:
        """A wheel that only turns up and down moves the row sideways."""
        delta = event.angleDelta()
        bar = self.horizontalScrollBar()
        bar.setValue(bar.value() - (delta.x() or delta.y()))
        event.accept()

    def startDrag(self, actions: Qt.DropAction) -> None:
        take = self.take()
        if take:
            picture_drag.drag_out(self, self.document, take.picture, self.title(take))

    def _open_menu(self, at: QPoint) -> None:
        item = self.itemAt(at)
        if item:
            self.menu_for(item.data(TAKE)).popup(self.viewport().mapToGlobal(at))

    def menu_for(self, take: Take) -> QMenu:
        """What can be done with a take."""
        menu = QMenu(self)
        menu.aboutToHide.connect(menu.deleteLater)
        for text, act in (
            ("Start from This Take", lambda: self.source_asked.emit(take.id)),
            ("Use as a Reference", lambda: self.reference_asked.emit(take.id)),
            (COMPARE, lambda: self.compare_asked.emit(take.id)),
            ("", None),
            ("Copy Picture", lambda: self.copy(take)),
            ("Details and Note", lambda: self.details_asked.emit(take.id)),
            ("Show File", lambda: self.reveal_asked.emit(take.id)),
            ("", None),
            ("Delete Take", lambda: self.remove(take.id)),
        ):
            if act:
                action = QAction(text, menu)
                action.triggered.connect(act)
                action.setEnabled(text != COMPARE or take.id != self.panel.current)
                menu.addAction(action)
            else:
                menu.addSeparator()
        return menu


def _item(number: int, take: Take) -> QListWidgetItem:
    width = round(HEIGHT * min(2.4, max(0.56, take.picture.width / take.picture.height)))
    item = QListWidgetItem(f"{number}")
    item.setSizeHint(QSize(max(width, 92) + 2 * PAD, HEIGHT + WORDS + 2 * PAD))
    item.setData(TAKE, take)
    return item


def _hint(number: int, take: Take) -> str:
    lines = [f"Take {number} · seed {take.seed} · {model_title(take.model) if take.model else 'imported'}"]
    lines += [take.instruction] if take.instruction else []
    lines += [take.made.replace("T", " ")[:16]]
    return "\n".join([*lines, *([take.note] if take.note else []), "Right-click for what can be done with it"])


class _Thumbnails(QStyledItemDelegate):
    """Paints a take: picture, number and seed; a frame in the accent colour round the current one."""

    def __init__(self, strip: TakesStrip):
        super().__init__(strip)
        self.strip = strip

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        strip, take = self.strip, index.data(TAKE)
        colours = theme.colours
        picture = QRectF(option.rect.adjusted(PAD, PAD, -PAD, -PAD - WORDS))
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        path = QPainterPath()
        path.addRoundedRect(picture, 6, 6)
        painter.setClipPath(path)
        painter.fillPath(path, QColor(colours.raised))
        pixmap = strip.document.pixmap(take.picture.sha256, round(2.5 * HEIGHT * strip.devicePixelRatioF()))
        if not pixmap.isNull():
            size = pixmap.size().toSizeF().scaled(picture.size(), Qt.AspectRatioMode.KeepAspectRatioByExpanding)
            target = QRectF(0, 0, size.width(), size.height())
            target.moveCenter(picture.center())
            painter.drawPixmap(target, pixmap, QRectF(pixmap.rect()))
        painter.setClipping(False)
        current = bool(option.state & QStyle.StateFlag.State_Selected)
        self._frame(painter, picture, current, take.id == strip.compared)
        font = painter.font()
        font.setPixelSize(10)
        font.setBold(current)
        painter.setFont(font)
        draw_tag(painter, str(index.row() + 1), picture.topLeft() + QPointF(4, 4))
        painter.setPen(QColor(colours.text if current else colours.muted))
        words = QRect(option.rect.left(), option.rect.bottom() - WORDS - PAD + 2, option.rect.width(), WORDS)
        text = take.note or take.instruction or (f"seed {take.seed}" if take.request else "imported")
        text = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, words.width() - 4)
        draw_words(painter, words, Qt.AlignmentFlag.AlignCenter, text)
        painter.restore()

    def _frame(self, painter: QPainter, rect: QRectF, current: bool, compared: bool) -> None:
        colours = theme.colours
        if current or compared:
            focus = self.strip.hasFocus() and current
            pen = QPen(QColor(colours.accent if current else colours.warning), 3 if focus else 2)
            pen.setStyle(Qt.PenStyle.SolidLine if current else Qt.PenStyle.DashLine)
            painter.setPen(pen)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(rect.adjusted(-2, -2, 2, 2), 8, 8)
