"""How a row of the board looks: the panel's picture, number, caption and state; the heading; the place to add one."""

from collections.abc import Sequence
from functools import lru_cache

from PySide6.QtCore import QAbstractItemModel, QEvent, QObject, QPoint, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QKeyEvent, QPainter, QPainterPath, QPen, QPixmap
from PySide6.QtWidgets import QLineEdit, QPlainTextEdit, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from ...base.words import say_left, say_length, say_stage
from ...board.data import Member, Panel
from ...board.heading import OWN_NUMBER
from ...board.seen import is_out_of_date, see
from ..document.document import Document
from ..document.pixmaps import read
from ..document.runs import PanelState
from ..kit import icons
from ..kit.measures import CORNER, FINE, GAP, HAIR, LARGE, RADIUS, TEXT, WIDE
from ..kit.theme import font, theme
from ..kit.widgets import draw_words
from .layout import CAPTION, SLIM
from .model import OUTDATED, ROW, Index, Row, caption, list_origins

SELECTED, FOCUS = QStyle.StateFlag.State_Selected, QStyle.StateFlag.State_HasFocus
HOVER = QStyle.StateFlag.State_MouseOver
HELD = "Made, not stored yet"
EMPTY, CONTINUED = "Press Return and say what it shows", "Press Return and say what changes"
MISSING = "Its picture is missing or damaged"
FRAMED = 160  # pixmaps that are kept at the size they are painted in: some three screens of them
CENTRE = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


class BoardDelegate(QStyledItemDelegate):
    """Paints rows of a BoardModel and edits captions and headings in place."""

    def __init__(self, document: Document, parent: QWidget):
        super().__init__(parent)
        self.document = document
        self._seen: dict[str, tuple[Panel, tuple[Member, ...], list[str]]] = {}
        self._framed: dict[tuple[int, int, int, float, bool], QPixmap] = {}
        self._last: dict[str, QPixmap] = {}  # by panel

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row: Row = index.data(ROW)
        painter.save()
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        if row.kind == "heading":
            self._heading(painter, option, row, index.data(Qt.ItemDataRole.EditRole))
        elif row.kind == "add":
            _add(painter, option)
        else:
            self._panel(painter, option, row)
        painter.restore()

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: Index) -> QWidget:
        if index.data(ROW).kind == "heading":
            heading = QLineEdit(parent)
            heading.setPlaceholderText("Where and when, such as INT. BAR - NIGHT")
            heading.setAccessibleName("Scene heading")
            return heading
        editor = QPlainTextEdit(parent)
        editor.setTabChangesFocus(True)
        editor.setPlaceholderText("What happens")
        editor.setAccessibleName("Caption")
        return editor

    def setEditorData(self, editor: QWidget, index: Index) -> None:
        text = index.data(Qt.ItemDataRole.EditRole)
        if isinstance(editor, QPlainTextEdit):
            editor.setPlainText(text)
            editor.selectAll()
        elif isinstance(editor, QLineEdit):
            editor.setText(text)

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: Index) -> None:
        if isinstance(editor, QPlainTextEdit):
            model.setData(index, editor.toPlainText())
        elif isinstance(editor, QLineEdit):
            model.setData(index, editor.text())

    def updateEditorGeometry(self, editor: QWidget, option: QStyleOptionViewItem, index: Index) -> None:
        rect = QRect(option.rect)
        if index.data(ROW).kind == "panel":
            rect.setTop(rect.bottom() - CAPTION + 22)
        else:
            rect.adjust(_find_heading(index.data(ROW)) - GAP, 6, 0, -6)  # its frame and padding stand before
        editor.setGeometry(rect)

    def eventFilter(self, editor: QObject, event: QEvent) -> bool:
        """Return ends the editing of a caption; with Shift or Alt it makes a new line."""
        if isinstance(editor, QPlainTextEdit) and isinstance(event, QKeyEvent) and event.type() == event.Type.KeyPress:
            plain = event.modifiers() == Qt.KeyboardModifier.NoModifier
            if plain and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self.commitData.emit(editor)
                self.closeEditor.emit(editor, QStyledItemDelegate.EndEditHint.NoHint)
                return True
        return super().eventFilter(editor, event)

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return option.rect.size()

    def _heading(self, painter: QPainter, option: QStyleOptionViewItem, row: Row, text: str) -> None:
        c, rect = theme.colours, option.rect.adjusted(0, 6, 0, -6)
        painter.setFont(_heading_font())
        painter.setPen(QColor(c.muted))
        draw_words(painter, rect, LEFT, row.number)
        painter.setPen(QColor(c.text if text else c.muted))
        rect.setLeft(rect.left() + _find_heading(row))
        shown = OWN_NUMBER.sub("", text) or "Untitled scene"  # the number stands in front
        shown = painter.fontMetrics().elidedText(shown, Qt.TextElideMode.ElideRight, rect.width())
        draw_words(painter, rect, LEFT, shown)
        if option.state & FOCUS:
            draw_ring(painter, option.rect.adjusted(-6, 4, 6, -4), c.accent)

    def _panel(self, painter: QPainter, option: QStyleOptionViewItem, row: Row) -> None:
        panel, state = self.document.panel(row.panel), self.document.panel_state(row.panel)
        box = QRect(option.rect)
        box.setHeight(option.rect.height() - CAPTION)
        self._picture(painter, box, panel, state)
        if state.state != "done":
            _status(painter, box, panel, state)
        elif is_out_of_date(self.document.board, panel):
            _chip(painter, box, OUTDATED, theme.colours.warning)
        _border(painter, box, option)
        _below(painter, option.rect.adjusted(0, box.height() + GAP, 0, 0), row, panel, self._colours(panel),
               list_origins(self.document.board, panel))  # fmt: skip

    def _picture(self, painter: QPainter, box: QRect, panel: Panel, state: PanelState) -> None:
        pixmap, ratio = self._pixmap(painter, box, panel, state), painter.device().devicePixelRatioF()
        key = (pixmap.cacheKey(), box.width(), box.height(), ratio, theme.dark)
        if key not in self._framed:
            if len(self._framed) >= FRAMED:
                self._framed.pop(next(iter(self._framed)))
            self._framed[key] = _frame(pixmap, box.size(), ratio)
        painter.drawPixmap(box.topLeft(), self._framed[key])
        if panel.take and self.document.is_lost(panel.take.picture):
            below = box.adjusted(WIDE, 2 * box.height() // 3, -WIDE, -GAP)  # the sign is in the middle
            _words(painter, below, MISSING, theme.colours.text)

    def _colours(self, panel: Panel) -> list[str]:
        """Of the pictures that the model sees besides the source, remembered while panel and cast are the same."""
        board, known = self.document.board, self._seen.get(panel.id)
        if known is None or known[0] is not panel or known[1] is not board.cast:
            colours = [one.colour for one in see(board, panel) if one.kind != "source"]
            known = self._seen[panel.id] = (panel, board.cast, colours)
        return known[2]

    def _pixmap(self, painter: QPainter, box: QRect, panel: Panel, state: PanelState) -> QPixmap:
        """What was seen last stays until its take's picture is read: a panel went blank when it was done."""
        pixmap, last = self._find_pixmap(painter, box, panel, state), self._last.pop(panel.id, QPixmap())
        if pixmap.isNull() and panel.take:
            pixmap = last
        self._last[panel.id] = pixmap
        if len(self._last) > FRAMED:
            self._last.pop(next(iter(self._last)))
        return pixmap

    def _find_pixmap(self, painter: QPainter, box: QRect, panel: Panel, state: PanelState) -> QPixmap:
        if state.state == "running" and state.preview:
            return _preview(state.preview, state.step)
        if panel.take is None:
            return QPixmap()
        side = max(box.width(), box.height()) * painter.device().devicePixelRatioF()
        return self.document.pixmap(panel.take.picture.sha256, _round_up(side))


def _frame(pixmap: QPixmap, size: QSize, ratio: float) -> QPixmap:
    """The picture in its box with round corners, as large as it is painted.

    Made once: scaling and clipping to a path at every frame is most of what scrolling would cost.
    """
    made = QPixmap(size * ratio)
    made.setDevicePixelRatio(ratio)
    made.fill(Qt.GlobalColor.transparent)
    painter, path = QPainter(made), QPainterPath()
    painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
    path.addRoundedRect(QRectF(QRect(QPoint(0, 0), size)), RADIUS, RADIUS)
    painter.fillPath(path, QColor(theme.colours.canvas))
    if not pixmap.isNull():
        target = pixmap.size().scaled(size, Qt.AspectRatioMode.KeepAspectRatio)
        painter.setClipPath(path)
        corner = QPoint((size.width() - target.width()) // 2, (size.height() - target.height()) // 2)
        painter.drawPixmap(QRect(corner, target), pixmap)
    painter.end()
    return made


@lru_cache(maxsize=24)
def _preview(path: str, step: int) -> QPixmap:
    return QPixmap.fromImage(read(path, 0))


@lru_cache(maxsize=32)
def _font(size: int, weight: QFont.Weight) -> QFont:
    return font(size, weight)


def _heading_font() -> QFont:
    return _font(LARGE, QFont.Weight.DemiBold)


def _find_heading(row: Row) -> int:
    """Where the words of a scene's heading begin behind its number, in pixels from the left."""
    return max(24, QFontMetrics(_heading_font()).horizontalAdvance(row.number) + 14)


def _round_up(side: float) -> int:
    """Few sizes, so that zooming does not decode every picture anew at each pixel."""
    return next((size for size in (192, 288, 432, 648, 972) if size >= side), 1458)


def draw_ring(painter: QPainter, rect: QRect, colour: str, width: float = 2) -> None:
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(QColor(colour), width))
    painter.drawRoundedRect(QRectF(rect), RADIUS, RADIUS)


def _border(painter: QPainter, box: QRect, option: QStyleOptionViewItem) -> None:
    """Selected: a thick ring. The one the keyboard stands on: a thin one further out."""
    c = theme.colours
    if option.state & SELECTED:
        draw_ring(painter, box.adjusted(-1, -1, 1, 1), c.accent, 3)
    elif option.state & HOVER:
        draw_ring(painter, box, c.muted, 1)
    else:
        draw_ring(painter, box, c.line, 1)
    if option.state & FOCUS:
        draw_ring(painter, box.adjusted(-5, -5, 5, 5), c.accent, 1)


def _add(painter: QPainter, option: QStyleOptionViewItem) -> None:
    c, box = theme.colours, QRect(option.rect)
    slim = box.height() == SLIM
    box.setHeight(box.height() - (0 if slim else CAPTION))
    lively = option.state & (HOVER | FOCUS)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    pen = QPen(QColor(c.accent if option.state & FOCUS else c.muted if lively else c.line), 1.5)
    pen.setDashPattern([4, 4])
    painter.setPen(pen)
    painter.drawRoundedRect(QRectF(box), RADIUS, RADIUS)
    colour = c.text if lively else c.muted
    _icon(painter, box.translated(-44, 0) if slim else box.translated(0, -11), "plus", colour, 18 if slim else 22)
    painter.setPen(QColor(colour))
    painter.setFont(_font(TEXT, QFont.Weight.Normal))
    draw_words(painter, box.translated(8, 0) if slim else box.translated(0, 16), CENTRE, "Add Panel")


def _icon(painter: QPainter, box: QRect, name: str, colour: str, side: int = 22) -> None:
    ratio = painter.device().devicePixelRatioF()
    drawn = icons.pixmap(name, round(side * ratio), colour)
    painter.drawPixmap(QRectF(box.center().x() - side / 2, box.center().y() - side / 2, side, side), drawn, QRectF())


def _status(painter: QPainter, box: QRect, panel: Panel, state: PanelState) -> None:
    c = theme.colours
    if state.state != "failed" and not panel.take and not state.preview:
        _words(painter, box.adjusted(16, 12, -16, -12), words_of_empty(panel), c.muted)
    if state.state == "running":
        _progress(painter, box, state)
        _chip(painter, box, running_words(state), c.text)
    elif state.state == "queued":
        more = f" ({state.waiting + 1})" if state.waiting else ""
        words, colour = ("Queue paused", c.warning) if state.paused else ("Waiting", c.text)
        _chip(painter, box, f"{words}{more}", colour)
    elif state.held:
        _chip(painter, box, HELD, c.warning)
    elif state.state == "failed" and panel.take:
        _chip(painter, box, f"Failed: {state.reason}", c.danger)
    elif state.state == "failed":
        _icon(painter, box.adjusted(0, 0, 0, -box.height() // 2 + 10), "warning", c.danger)
        _words(painter, box.adjusted(14, box.height() // 3, -14, -8), state.reason, c.danger)


def words_of_empty(panel: Panel) -> str:
    """What stands in the place of its picture."""
    return panel.words or panel.caption or (CONTINUED if panel.source.kind == "panel" else EMPTY)


def running_words(state: PanelState) -> str:
    """Such as "4 of 16, 12 s left"."""
    if not state.total:
        return say_stage(state.stage or "starting")
    return ", ".join(part for part in (f"{state.step} of {state.total}", say_left(state.left)) if part)


def _words(painter: QPainter, box: QRect, text: str, colour: str) -> None:
    painter.setFont(_font(TEXT, QFont.Weight.Normal))
    painter.setPen(QColor(colour))
    metrics = painter.fontMetrics()
    lines = max(1, box.height() // metrics.lineSpacing())
    fitting = _elide(text, metrics, box.width(), lines)
    draw_words(painter, box, CENTRE, fitting)


@lru_cache(maxsize=4096)
def _cut(text: str, family: str, size: int, width: int, lines: int) -> str:
    metrics = QFontMetrics(_font(size, QFont.Weight.Normal))
    words = text.split()
    made: list[str] = []
    while words and len(made) < lines:
        line = words.pop(0)
        while words and metrics.horizontalAdvance(f"{line} {words[0]}") <= width:
            line = f"{line} {words.pop(0)}"
        made.append(line)
    if words:
        made[-1] = f"{made[-1]} {' '.join(words)}"
    return "\n".join(_elide_line(line, metrics, width) for line in made)


def _elide_line(line: str, metrics: QFontMetrics, width: int) -> str:
    """What just fits stays: elidedText counts in fractions, and cut off the ends of lines that others followed."""
    fits = metrics.horizontalAdvance(line) <= width
    return line if fits else metrics.elidedText(line, Qt.TextElideMode.ElideRight, width)


def _elide(text: str, metrics: QFontMetrics, width: int, lines: int, size: int = TEXT) -> str:
    """At most so many lines, the last one with an ellipsis where more would follow."""
    return _cut(text, _font(size, QFont.Weight.Normal).family(), size, width, lines)


def _progress(painter: QPainter, box: QRect, state: PanelState) -> None:
    c = theme.colours
    line = QRectF(box.left() + 8, box.bottom() - 10, box.width() - 16, 4)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(0, 0, 0, 140))
    painter.drawRoundedRect(line, HAIR, HAIR)
    line.setWidth(line.width() * (state.step / state.total if state.total else 0.02))
    painter.setBrush(QColor(c.accent))
    painter.drawRoundedRect(line, HAIR, HAIR)


def _chip(painter: QPainter, box: QRect, text: str, colour: str) -> None:
    """A small plate in the upper left corner; readable over any picture."""
    painter.setFont(_font(FINE, QFont.Weight.Medium))
    metrics = painter.fontMetrics()
    text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, box.width() - 32)
    plate = QRectF(box.left() + 8, box.top() + 8, metrics.horizontalAdvance(text) + 16, metrics.height() + 6)
    ground = QColor(theme.colours.surface)
    ground.setAlpha(235)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ground)
    painter.drawRoundedRect(plate, CORNER, CORNER)
    painter.setPen(QColor(colour))
    draw_words(painter, plate, CENTRE, text)


def _below(
    painter: QPainter, rect: QRect, row: Row, panel: Panel, colours: Sequence[str], origins: Sequence[str]
) -> None:
    painter.setFont(_font(TEXT, QFont.Weight.DemiBold))
    line = painter.fontMetrics().lineSpacing()
    top = QRect(rect.left(), rect.top(), rect.width(), line)
    painter.setPen(QColor(theme.colours.text))
    draw_words(painter, top, LEFT, row.number)
    start = painter.fontMetrics().horizontalAdvance(row.number) + 8
    painter.setFont(_font(FINE, QFont.Weight.Normal))
    painter.setPen(QColor(theme.colours.muted))
    draw_words(painter, top, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, say_length(panel.seconds))
    text = caption(panel) if panel.take or panel.action else ""
    spoken = f"“{panel.dialogue}”" if panel.dialogue else ""
    lines = _elide(f"{text} {spoken}".strip(), painter.fontMetrics(), rect.width(), 2, FINE)
    below = QRect(rect.left(), rect.top() + line + 3, rect.width(), 2 * line)
    draw_words(painter, below, Qt.AlignmentFlag.AlignLeft, lines)
    _facts(painter, top.adjusted(start, 0, -48, 0), panel, colours, origins)


def _facts(painter: QPainter, room: QRect, panel: Panel, colours: Sequence[str], origins: Sequence[str]) -> None:
    """Where the picture comes from and how it is seen; behind it a dot for each reference, which stays whole."""
    camera = panel.camera.shot, panel.camera.angle, panel.camera.move
    metrics, dots = painter.fontMetrics(), 10 * (len(colours) + 1)
    facts = " · ".join(part for part in (*origins, *camera) if part)
    shown = metrics.elidedText(facts, Qt.TextElideMode.ElideRight, max(0, room.width() - dots))
    draw_words(painter, room, LEFT, shown)
    _marks(painter, room, colours, metrics.horizontalAdvance(shown))


def _marks(painter: QPainter, rect: QRect, colours: Sequence[str], after: int) -> None:
    """A dot in the colour of each reference."""
    x = rect.left() + after + (10 if after else 2)
    painter.setPen(Qt.PenStyle.NoPen)
    for colour in colours:
        painter.setBrush(QColor(colour))
        painter.drawEllipse(QPointF(x + 3, rect.center().y() + 1), 3.5, 3.5)
        x += 10
