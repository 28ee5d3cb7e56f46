"""Drawing pictures for the canvas: sharp at any zoom, over a plain or chequered ground, and side by side."""

from collections.abc import Iterable, Sequence

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QImage, QPainter, QPainterPath, QPen, QPixmap

from ..kit.theme import theme
from ..kit.widgets import draw_words

PIXELS_FROM = 12.0  # screen pixels per picture pixel at which the pixels themselves are shown
CHECKS = 8  # logical pixels of a square
HANDLE, CROSS = 8, 9  # logical pixels: a side, an arm
GROUNDS = ("Neutral", "Dark", "Light", "Checks")


class Smaller:
    """Halved copies of a pixmap: Qt samples four pixels only, which flickers when a picture is shown much smaller."""

    def __init__(self) -> None:
        self._of, self._copies = 0, [QPixmap()]

    def near(self, pixmap: QPixmap, width: float) -> QPixmap:
        """The smallest copy that is at least `width` screen pixels wide."""
        if pixmap.cacheKey() != self._of:
            self._of, self._copies = pixmap.cacheKey(), [pixmap]
        place = 0
        while self._copies[place].width() >= 2 * width and self._copies[place].width() > 2:
            if place + 1 == len(self._copies):
                self._copies.append(_half(self._copies[place]))
            place += 1
        return self._copies[place]


def _half(pixmap: QPixmap) -> QPixmap:
    size = pixmap.size() / 2
    keep, smooth = Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation
    return pixmap.scaled(max(1, size.width()), max(1, size.height()), keep, smooth)


def ground_brush(name: str, neutral: QColor) -> QBrush:
    """What lies under and around the picture."""
    plain = {"Dark": QColor("#141414"), "Light": QColor("#f2f2f2")}
    if name != "Checks":
        return QBrush(plain.get(name, neutral))
    tile = QPixmap(2 * CHECKS, 2 * CHECKS)
    tile.fill(QColor("#9a9a9a"))
    painter = QPainter(tile)
    for at in (0, CHECKS):
        painter.fillRect(at, at, CHECKS, CHECKS, QColor("#6e6e6e"))
    painter.end()
    return QBrush(tile)


def draw_picture(painter: QPainter, pixmap: QPixmap, rect: QRectF, smaller: Smaller, ratio: float) -> None:
    """`pixmap` over `rect`; a picture of another shape is fitted into it. `ratio`: screen per logical pixel."""
    if pixmap.isNull() or rect.isEmpty():
        return
    size = pixmap.size().toSizeF().scaled(rect.size(), Qt.AspectRatioMode.KeepAspectRatio)
    if abs(size.width() - rect.width()) + abs(size.height() - rect.height()) < 0.02 * rect.width():
        target = rect
    else:
        target = QRectF(rect.center() - QPointF(size.width() / 2, size.height() / 2), size)
    zoom = target.width() * ratio / pixmap.width()
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, zoom < PIXELS_FROM)
    shown = smaller.near(pixmap, target.width() * ratio)
    painter.drawPixmap(target, shown, QRectF(shown.rect()))


def draw_split(painter: QPainter, rect: QRectF, x: float, accent: QColor) -> None:
    """The line and handle of the before/after slider at widget coordinate `x`."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(0, 0, 0, 120), 3))
    painter.drawLine(QPointF(x, rect.top()), QPointF(x, rect.bottom()))
    painter.setPen(QPen(Qt.GlobalColor.white, 1.5))
    painter.drawLine(QPointF(x, rect.top()), QPointF(x, rect.bottom()))
    painter.setPen(QPen(QColor(0, 0, 0, 90), 1))
    painter.setBrush(accent)
    middle = QPointF(x, rect.center().y())
    painter.drawEllipse(middle, 13, 13)
    painter.setPen(QPen(Qt.GlobalColor.white, 2, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
    for side in (-1, 1):
        tip = middle + QPointF(side * 7, 0)
        painter.drawLine(tip, tip + QPointF(-side * 3.5, -3.5))
        painter.drawLine(tip, tip + QPointF(-side * 3.5, 3.5))


def draw_tag(painter: QPainter, text: str, corner: QPointF, right: bool = False) -> None:
    """A short word in a dark pill whose upper left (or right) corner is `corner`."""
    metrics = painter.fontMetrics()
    width, height = metrics.horizontalAdvance(text) + 16, metrics.height() + 6
    box = QRectF(corner.x() - (width if right else 0), corner.y(), width, height)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(0, 0, 0, 150))
    painter.drawRoundedRect(box, height / 2, height / 2)
    painter.setPen(Qt.GlobalColor.white)
    draw_words(painter, box, Qt.AlignmentFlag.AlignCenter, text)


def draw_mask(painter: QPainter, overlay: QImage, rect: QRectF) -> None:
    """The tint of the mask over the picture."""
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
    painter.drawImage(rect, overlay, QRectF(overlay.rect()))


def draw_border(painter: QPainter, lines: Sequence[QLineF], rect: QRectF, colour: QColor) -> None:
    """Lines, in shares of the picture, that show on any: the colour within black."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(rect.topLeft())
    painter.scale(rect.width(), rect.height())
    for pen in (QPen(QColor(0, 0, 0, 180), 3.5), QPen(colour, 1.75)):
        pen.setCosmetic(True)
        painter.setPen(pen)
        painter.drawLines(lines)
    painter.restore()


def draw_outline(painter: QPainter, path: QPainterPath) -> None:
    """A thin line that shows on any picture: black with white dashes."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for colour, dashes in ((QColor(0, 0, 0, 180), None), (QColor(255, 255, 255), [4, 4])):
        pen = QPen(colour, 1.25)
        if dashes:
            pen.setDashPattern(dashes)
        painter.setPen(pen)
        painter.drawPath(path)


def draw_handles(painter: QPainter, points: Iterable[QPointF]) -> None:
    """Small squares that show on any picture."""
    painter.setPen(QPen(QColor(0, 0, 0, 200), 1))
    painter.setBrush(Qt.GlobalColor.white)
    for at in points:
        painter.drawRect(QRectF(at.x() - HANDLE / 2, at.y() - HANDLE / 2, HANDLE, HANDLE))


def draw_knob(painter: QPainter, at: QPointF, held: bool = False) -> None:
    """A round handle; one that is held is larger, in the colour of what is chosen."""
    painter.setPen(QPen(QColor(0, 0, 0, 200), 1))
    painter.setBrush(QColor(theme.colours.accent) if held else Qt.GlobalColor.white)
    radius = HANDLE / 2 + (2.5 if held else 0.5)
    painter.drawEllipse(at, radius, radius)


def cross(middle: QPointF) -> QPainterPath:
    """Where the keys are."""
    path = QPainterPath()
    for way in (QPointF(CROSS, 0), QPointF(0, CROSS)):
        path.moveTo(middle - way)
        path.lineTo(middle + way)
    return path


def circle(middle: QPointF, radius: float) -> QPainterPath:
    """A closed circle."""
    path = QPainterPath()
    path.addEllipse(middle, radius, radius)
    return path
