"""The animatic's time as a strip: panels as long as they last, to be dragged at their edges, and the sound below."""

from bisect import bisect_right
from collections.abc import Callable, Sequence

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from ...base.words import say_length
from ...board.data import Panel
from ..document.document import Document
from ..kit import portrait
from ..kit.measures import CHIP, FINE
from ..kit.theme import font, theme
from ..kit.widgets import describe, draw_words

PANELS, SOUND, EDGE = 58, 46, 6  # px: height of the panels, of the sound; how near to an edge takes hold of it
LEAST = 34  # px of a panel, on average: else the strip moves along with what plays
PEAKS = 50  # of the sound, a second
HINT = "Drag a panel's edge to say how long it lasts, the sound to say when it begins. Comma and full stop: by a frame"


class Timing(QWidget):
    """Shows what it is given in `show_panels` and `show_sound`; what is dragged is told and comes back so."""

    sought = Signal(int)  # ms
    lengthened = Signal(str, float)  # panel id, seconds
    shifted = Signal(float)  # seconds at which the sound begins

    def __init__(self, document: Document):
        super().__init__()
        self.document, self.at = document, 0
        self.panels: Sequence[Panel] = ()
        self.ends: Sequence[int] = ()  # ms
        self.numbers: dict[str, str] = {}
        self.peaks: np.ndarray | None = None
        self.start, self.name = 0.0, ""
        self._drag: Callable[[QPointF], None] | None = None
        self._held: tuple[float, float] | None = None  # scale and first ms shown, as long as a hand drags
        self.setMouseTracking(True)
        describe(self, "Timing", HINT)
        self.setToolTip("")  # it would stand in the way; edges tell their length themselves
        document.picture_ready.connect(self.update)
        theme.changed.connect(self.update)
        self.show_sound(None, 0.0, "")

    def show_panels(self, panels: Sequence[Panel], ends: Sequence[int], numbers: dict[str, str]) -> None:
        self.panels, self.ends, self.numbers = panels, ends, numbers
        self.update()

    def show_sound(self, peaks: np.ndarray | None, start: float, name: str) -> None:
        """Where there is one; `peaks` None while it is still read."""
        self.peaks, self.start, self.name = peaks, start, name
        self.setFixedHeight(PANELS + (SOUND if name else 0) + 6)
        self.update()

    def show_time(self, at: int) -> None:
        self.at = at
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(800, self.height())

    # Where things are

    @property
    def total(self) -> int:
        return self.ends[-1] if self.ends else 0

    def _view(self) -> tuple[float, float]:
        """Pixels a ms, and the ms at the left edge."""
        if self._held:
            return self._held
        whole = max(self.width(), LEAST * len(self.panels))
        scale = whole / max(1, self.total)
        room = self.width() / scale
        return scale, min(max(0.0, self.at - room / 2), max(0.0, self.total - room))

    def _x(self, ms: float) -> float:
        scale, first = self._view()
        return (ms - first) * scale

    def _ms(self, x: float) -> int:
        scale, first = self._view()
        return round(min(self.total, max(0.0, x / scale + first)))

    def edge_at(self, at: QPointF) -> int | None:
        """The place of the panel whose end is there."""
        if at.y() > PANELS:
            return None
        near = [(abs(self._x(end) - at.x()), place) for place, end in enumerate(self.ends)]
        return min(near)[1] if near and min(near)[0] <= EDGE else None

    def _begin(self, place: int) -> int:
        return self.ends[place - 1] if place else 0

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHints(QPainter.RenderHint.SmoothPixmapTransform | QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(theme.colours.canvas))
        current = bisect_right(self.ends, self.at)
        for place in range(len(self.panels)):
            rect = QRectF(self._x(self._begin(place)), 2, 0, PANELS - 4)
            rect.setRight(self._x(self.ends[place]))
            if rect.right() >= 0 and rect.left() <= self.width():
                self._paint_panel(painter, rect.adjusted(1, 0, -1, 0), place, place == current)
        if self.name:
            self._paint_sound(painter)
        x = self._x(self.at)
        painter.setPen(QPen(QColor(theme.colours.danger), 2))
        painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))
        painter.end()

    def _paint_panel(self, painter: QPainter, rect: QRectF, place: int, current: bool) -> None:
        panel, colours = self.panels[place], theme.colours
        path = QPainterPath()
        path.addRoundedRect(rect, CHIP, CHIP)
        painter.save()
        painter.setClipPath(path)
        painter.fillRect(rect, QColor(colours.raised))
        if panel.take:
            pixmap = self.document.pixmap(panel.take.picture.sha256, round(160 * self.devicePixelRatioF()))
            wide, high = self.document.board.aspect
            picture = QRectF(rect.left(), rect.top(), max(8.0, rect.height() * wide / high), rect.height())
            while not pixmap.isNull() and picture.left() < min(rect.right(), self.width()):  # as a strip of film
                portrait.cover(painter, picture, pixmap, pixmap.rect())
                picture.translate(picture.width() + 1, 0)
        self._paint_words(painter, rect, panel)
        painter.restore()
        painter.setPen(QPen(QColor(colours.accent if current else colours.line), 2 if current else 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(path)

    def _paint_words(self, painter: QPainter, rect: QRectF, panel: Panel) -> None:
        painter.setFont(font(FINE))
        for text, flag in (
            (self.numbers.get(panel.id, ""), Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft),
            (say_length(panel.seconds), Qt.AlignmentFlag.AlignBottom | Qt.AlignmentFlag.AlignRight),
        ):
            width = painter.fontMetrics().horizontalAdvance(text) + 10
            if width > rect.width() - 4:
                continue
            box = QRectF(rect.left() + 3, rect.top() + 3, width, 17)
            if flag & Qt.AlignmentFlag.AlignBottom:
                box.moveBottomRight(rect.bottomRight() - QPointF(3, 3))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(0, 0, 0, 150))
            painter.drawRoundedRect(box, CHIP, CHIP)
            painter.setPen(QColor(255, 255, 255))
            draw_words(painter, box, Qt.AlignmentFlag.AlignCenter, text)

    def _paint_sound(self, painter: QPainter) -> None:
        colours, top = theme.colours, PANELS + 2
        room = QRectF(0, top, self.width(), SOUND)
        painter.fillRect(room, QColor(colours.surface))
        if self.peaks is not None and len(self.peaks):
            painter.setPen(QPen(QColor(colours.accent), 1))
            for x in range(max(0, int(self._x(1000 * self.start))), self.width()):
                high = self._loudest(x) * (SOUND - 6) / 2
                painter.drawLine(QPointF(x + 0.5, room.center().y() - high - 0.5),
                                 QPointF(x + 0.5, room.center().y() + high + 0.5))  # fmt: skip
        painter.setFont(font(FINE))
        painter.setPen(QColor(colours.text))
        reading = "" if self.peaks is not None else " · reading…"
        flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop
        draw_words(painter, room.adjusted(6, 3, -6, 0), flags, f"{self.name}{reading}")

    def _loudest(self, x: int) -> float:
        """Of the sound under the pixel; 0 where there is none."""
        assert self.peaks is not None
        scale, first = self._view()
        begin, end = ((one / scale + first) / 1000 - self.start for one in (x, x + 1))
        if begin < 0:
            return 0.0
        part = self.peaks[int(begin * PEAKS) : max(int(begin * PEAKS) + 1, int(end * PEAKS))]
        return float(part.max()) if len(part) else 0.0

    # Hands

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        at = event.position()
        edge, self._held = self.edge_at(at), self._view()
        if edge is not None:
            self._drag = self._drag_edge(self.panels[edge], at.x())
        elif self.name and at.y() > PANELS:
            self._drag = self._drag_sound(at.x())
        else:
            self._drag = lambda now: self.sought.emit(self._ms(now.x()))
            self._drag(at)

    def _drag_edge(self, panel: Panel, from_x: float) -> Callable[[QPointF], None]:
        scale, rate = self._view()[0], float(self.document.board.rate)

        def drag(now: QPointF) -> None:
            seconds = panel.seconds + (now.x() - from_x) / scale / 1000
            seconds = max(1, round(seconds * rate)) / rate  # whole frames
            self.lengthened.emit(panel.id, seconds)

        return drag

    def _drag_sound(self, from_x: float) -> Callable[[QPointF], None]:
        start, scale = self.start, self._view()[0]
        return lambda now: self.shifted.emit(round(start + (now.x() - from_x) / scale / 1000, 2))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = event.position()
        if self._drag:
            self._drag(at)
        elif self.edge_at(at) is not None:
            self.setCursor(Qt.CursorShape.SplitHCursor)
        elif self.name and at.y() > PANELS:
            self.setCursor(Qt.CursorShape.OpenHandCursor)
        else:
            self.unsetCursor()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._drag = self._held = None
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self.unsetCursor()
