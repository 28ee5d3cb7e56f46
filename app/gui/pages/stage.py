"""The picture of the animatic: what the camera sees of a panel, its words, and the camera's two frames to draw."""

from collections.abc import Callable

from PySide6.QtCore import QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from ...board.camera import Frame, keep_inside, look_through, propose_way
from ...board.data import Panel
from ..document.document import Document
from ..kit.measures import CHIP, CORNER, HEADING, TEXT
from ..kit.theme import font
from ..kit.widgets import draw_words

ENDS = ("begin", "end")
COLOURS = {"begin": QColor("#6ea8ff"), "end": QColor("#f0b95a")}  # on pictures, in light and dark
CAPTIONS = 52  # as wide as that many times the height of their letters
TINT = 30  # of 255: how strongly a frame has its colour
HANDLE, STEP, GROWTH = 14, 0.01, 1.05  # px of a corner; shares that a key moves and grows by
CORNERS = {True: Qt.CursorShape.SizeFDiagCursor, False: Qt.CursorShape.SizeBDiagCursor}  # whether it falls to the right
WAYS = {Qt.Key.Key_Left: (-1, 0), Qt.Key.Key_Right: (1, 0), Qt.Key.Key_Up: (0, -1), Qt.Key.Key_Down: (0, 1)}
WORDS = "Drag Begin and End; their corners change their size"
KEYS = "B and E choose a frame, arrows move it, plus and minus change its size, Escape ends"


class Stage(QWidget):
    """While `drawing`, the whole picture with the frames that the camera sees first and last."""

    framed = Signal(str, object)  # "begin" or "end", Frame
    left = Signal()  # Escape while drawing

    def __init__(self, document: Document):
        super().__init__()
        self.document, self.number, self.captions, self.share = document, "", True, 0.0
        self.panel: Panel | None = None
        self.drawing, self.chosen = False, "end"
        self._drag: Callable[[QPointF], Frame] | None = None
        self.setMinimumSize(480, 200)
        self.setAccessibleName("Picture of the animatic")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # first: Space plays, and presses no button
        self.setMouseTracking(True)
        document.picture_ready.connect(self.update)

    def show_panel(self, panel: Panel, number: str, share: float) -> None:
        """`share` of the panel's time has passed."""
        self.panel, self.number, self.share = panel, number, share
        self.setAccessibleDescription(f"Panel {number}: {panel.action} {panel.dialogue}".strip())
        self.update()

    def draw_camera(self, on: bool) -> None:
        """Show the two frames, to be moved and scaled."""
        self.drawing = on
        self.setAccessibleName("Camera, what it sees first and last" if on else "Picture of the animatic")
        self.setToolTip(KEYS if on else "")
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(960, 480)

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHints(QPainter.RenderHint.SmoothPixmapTransform | QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(0, 0, 0))
        if self.panel:
            frame = self._frame()
            self._draw_seen(painter, frame, self.panel)
            if self.drawing:
                self._draw_words(painter, frame, WORDS)
                self._draw_frames(painter)
            elif self.captions:
                self._draw_caption(painter, frame, self.panel)
        painter.end()

    def _frame(self) -> QRect:
        wide, high = self.document.board.aspect
        scale = min(self.width() / wide, self.height() / high)
        size = (round(wide * scale), round(high * scale))
        return QRect((self.width() - size[0]) // 2, (self.height() - size[1]) // 2, *size)

    def _draw_seen(self, painter: QPainter, frame: QRect, panel: Panel) -> None:
        """The part that the camera sees fills the frame."""
        seen = Frame() if self.drawing else look_through(panel.camera, self.share)
        painter.save()
        painter.setClipRect(frame)
        painter.translate(frame.center())
        painter.scale(1 / seen.width, 1 / seen.width)
        painter.translate(-frame.left() - seen.x * frame.width(), -frame.top() - seen.y * frame.height())
        self._draw_picture(painter, frame, panel)
        painter.restore()

    def _draw_picture(self, painter: QPainter, frame: QRect, panel: Panel) -> None:
        if panel.take is None:
            painter.fillRect(frame, QColor(42, 42, 44))
            painter.setPen(QColor(160, 160, 165))
            painter.setFont(font(HEADING))
            draw_words(painter, frame, Qt.AlignmentFlag.AlignCenter, f"{self.number}\nno picture yet")
            return
        pixmap = self.document.pixmap(panel.take.picture.sha256)
        if not pixmap.isNull():
            target = pixmap.size().scaled(frame.size(), Qt.AspectRatioMode.KeepAspectRatio)
            corner = frame.center() - QRect(0, 0, target.width(), target.height()).center()
            painter.drawPixmap(QRect(corner, target), pixmap)

    def _draw_caption(self, painter: QPainter, frame: QRect, panel: Panel) -> None:
        text = f"“{panel.dialogue}”" if panel.dialogue else panel.action
        if text:
            self._draw_words(painter, frame, text)

    def _draw_words(self, painter: QPainter, frame: QRect, text: str) -> None:
        painter.setFont(font(max(TEXT, frame.width() // CAPTIONS)))
        inner = frame.adjusted(40, 0, -40, -24)
        flags = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignBottom | Qt.TextFlag.TextWordWrap
        box = painter.boundingRect(inner, flags, text).adjusted(-14, -6, 14, 6)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(0, 0, 0, 165))
        painter.drawRoundedRect(box, CORNER, CORNER)
        painter.setPen(QColor(255, 255, 255))
        draw_words(painter, inner, flags, text)

    def _draw_frames(self, painter: QPainter) -> None:
        painter.setFont(font(TEXT))
        for name in sorted(ENDS, key=lambda name: name == self.chosen):  # the chosen one on top
            rect, colour = self.place(name), COLOURS[name]
            line = Qt.PenStyle.SolidLine if name == "begin" else Qt.PenStyle.DashLine
            painter.setPen(QPen(colour, 3 if name == self.chosen else 1.5, line))
            painter.setBrush(QColor(colour.red(), colour.green(), colour.blue(), TINT))
            painter.drawRect(rect)
            painter.setPen(QPen(colour, 1))
            painter.setBrush(colour if name == self.chosen else QColor(20, 20, 22))
            for corner in _corners(rect):
                painter.drawRect(QRectF(corner - QPointF(4, 4), corner + QPointF(4, 4)))
            box = self.place_name(name)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour)
            painter.drawRoundedRect(box, CHIP, CHIP)
            painter.setPen(QColor(20, 20, 22))
            draw_words(painter, box, Qt.AlignmentFlag.AlignCenter, name.capitalize())

    def place_name(self, name: str) -> QRectF:
        """Where the word of a frame stands, in the widget: they lie beside each other also where the frames don't."""
        rect, high = self.place(name), name == "begin"
        width = QFontMetricsF(font(TEXT)).horizontalAdvance(name.capitalize()) + 14
        return QRectF(rect.left() + 8, rect.top() + 8 if high else rect.bottom() - 30, width, 22)

    def place(self, name: str) -> QRectF:
        """Where the frame `name` stands, in the widget."""
        assert self.panel
        frame, seen = QRectF(self._frame()), self._find_seen(name)
        width, height = seen.width * frame.width(), seen.width * frame.height()
        left, top = frame.left() + seen.x * frame.width(), frame.top() + seen.y * frame.height()
        return QRectF(left - width / 2, top - height / 2, width, height)

    def _find_seen(self, name: str) -> Frame:
        assert self.panel
        return propose_way(self.panel.camera)[ENDS.index(name)]

    # Hands

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if self.drawing and self.panel and event.button() == Qt.MouseButton.LeftButton:
            self._drag = self._take_hold(event.position())
            self.update()
        else:
            super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._drag:
            self.framed.emit(self.chosen, self._drag(event.position()))
        elif self.drawing and self.panel:
            self.setCursor(self._shape_at(event.position()))
        else:
            self.unsetCursor()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._drag = None

    def _shape_at(self, at: QPointF) -> Qt.CursorShape:
        name, corner = self.find_at(at)
        if not name:
            return Qt.CursorShape.ArrowCursor
        away = at - self.place(name).center()
        falls = away.x() * away.y() > 0
        return CORNERS[falls] if corner else Qt.CursorShape.SizeAllCursor

    def find_at(self, at: QPointF) -> tuple[str, bool]:
        """The frame that a hand takes hold of there, and whether by a corner, which scales it; "" for none.

        By its corners or its word, the chosen one's first; inside of both the smaller.
        """
        first = sorted(ENDS, key=lambda name: name != self.chosen)
        for name in first:
            if any(_is_near(at, corner) for corner in _corners(self.place(name))):
                return name, True
        words = [name for name in first if self.place_name(name).contains(at)]
        inside = sorted((name for name in first if self.place(name).contains(at)), key=lambda n: self.place(n).width())
        return next(iter(words + inside), ""), False

    def _take_hold(self, at: QPointF) -> Callable[[QPointF], Frame] | None:
        """What a drag from there does: a corner scales the frame, its inside moves it."""
        name, corner = self.find_at(at)
        if not name:
            return None
        self.chosen = name
        middle, seen, frame = self.place(name).center(), self._find_seen(name), QRectF(self._frame())
        if corner:
            reach = max(1.0, abs(at.x() - middle.x()))
            return lambda now: keep_inside(seen.x, seen.y, seen.width * abs(now.x() - middle.x()) / reach)
        return lambda now: keep_inside(
            seen.x + (now.x() - at.x()) / frame.width(), seen.y + (now.y() - at.y()) / frame.height(), seen.width
        )

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """While drawing: the frames by keys."""
        if not self.drawing or self.panel is None:
            return super().keyPressEvent(event)
        seen, key = self._find_seen(self.chosen), Qt.Key(event.key())
        if key in WAYS:
            x, y = WAYS[key]
            self.framed.emit(self.chosen, keep_inside(seen.x + x * STEP, seen.y + y * STEP, seen.width))
        elif event.text() in ("+", "=", "-"):
            growth = 1 / GROWTH if event.text() == "-" else GROWTH
            self.framed.emit(self.chosen, keep_inside(seen.x, seen.y, seen.width * growth))
        elif event.text().lower() in ("b", "e"):
            self.chosen = ENDS["be".index(event.text().lower())]
            self.update()
        elif key == Qt.Key.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)


def _corners(rect: QRectF) -> tuple[QPointF, ...]:
    return rect.topLeft(), rect.topRight(), rect.bottomLeft(), rect.bottomRight()


def _is_near(at: QPointF, corner: QPointF) -> bool:
    return (at - corner).manhattanLength() < HANDLE
