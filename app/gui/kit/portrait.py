"""The part of a picture that shows somebody: references often stand small on a plain ground."""

from functools import lru_cache

import numpy as np
from PySide6.QtCore import QRect, QRectF, QSizeF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPixmap, QTransform

from . import icons
from .theme import theme

ALIKE = 14  # of 255: the ground may have noise and a soft shadow
SMALL = 256  # pixels
LOST = 64  # device pixels: the most of the sign for a file that can't be read
AIR, LARGE = 0.08, 0.75  # around the figure, of its longer side; a figure with that share of a side fills the picture


def figure(image: QImage) -> tuple[QRect, QColor | None]:
    """Where the figure stands, with air around it, and the colour of the plain ground.

    The whole picture and None where its corners differ or there is nothing but ground.
    """
    rows = image.convertToFormat(QImage.Format.Format_RGB32)
    pixels = np.frombuffer(rows.constBits(), np.uint8).reshape(rows.height(), rows.bytesPerLine() // 4, 4)
    pixels = pixels[:, : rows.width(), :3].astype(np.int16)
    ground = pixels[0, 0]
    corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]]
    away = np.abs(pixels - ground).max(axis=2) > ALIKE
    if np.abs(corners - ground).max() > ALIKE or not away.any():
        return image.rect(), None
    down, across = np.flatnonzero(away.any(axis=1)), np.flatnonzero(away.any(axis=0))
    box = QRect(int(across[0]), int(down[0]), int(across[-1] - across[0] + 1), int(down[-1] - down[0] + 1))
    colour = QColor(int(ground[2]), int(ground[1]), int(ground[0]))
    if box.width() > LARGE * image.width() and box.height() > LARGE * image.height():
        return image.rect(), colour
    air = round(AIR * max(box.width(), box.height()))
    return box.adjusted(-air, -air, air, air).intersected(image.rect()), colour


@lru_cache(maxsize=256)
def _figure(key: int, pixmap: QPixmap) -> tuple[QRect, QColor | None]:
    """By QPixmap.cacheKey; a pixmap that is kept here shares its pixels with the others. Looked for in a small copy."""
    image = pixmap.toImage()
    if max(image.width(), image.height()) <= SMALL:
        return figure(image)
    part, ground = figure(image.scaled(SMALL, SMALL, Qt.AspectRatioMode.KeepAspectRatio))
    scale = max(image.width(), image.height()) / SMALL
    grown = QTransform.fromScale(scale, scale).mapRect(QRectF(part)).toAlignedRect()
    return (grown.intersected(image.rect()) if ground else image.rect()), ground


def draw_lost(side: int) -> QPixmap:
    """What stands for a picture whose file can't be read: a square, `side` in device pixels."""
    return _draw_lost(side, theme.colours.canvas, theme.colours.warning)


@lru_cache(maxsize=64)
def _draw_lost(side: int, ground: str, colour: str) -> QPixmap:
    made, sign = QPixmap(side, side), min(side // 2, LOST)
    made.fill(QColor(ground))
    painter = QPainter(made)
    painter.drawPixmap((side - sign) // 2, (side - sign) // 2, icons.pixmap("warning", sign, colour))
    painter.end()
    return made


def draw(painter: QPainter, frame: QRectF, pixmap: QPixmap, fill: bool = False) -> None:
    """The figure as large as `frame` holds it, on its own ground.

    A picture without a plain ground is shown whole, or with `fill` cut to the frame.
    """
    part, ground = _figure(pixmap.cacheKey(), pixmap)
    if fill and not ground:
        cover(painter, frame, pixmap, part)
        return
    if ground:
        painter.fillRect(frame, ground)
    _place(painter, frame, pixmap, part, Qt.AspectRatioMode.KeepAspectRatio)


def cover(painter: QPainter, frame: QRectF, pixmap: QPixmap, part: QRect) -> None:
    """`part` of the picture over all of `frame`; the caller clips what stands out."""
    _place(painter, frame, pixmap, part, Qt.AspectRatioMode.KeepAspectRatioByExpanding)


def whole(painter: QPainter, frame: QRectF, pixmap: QPixmap) -> None:
    """All of the picture, in the middle of `frame`."""
    _place(painter, frame, pixmap, pixmap.rect(), Qt.AspectRatioMode.KeepAspectRatio)


def _place(painter: QPainter, frame: QRectF, pixmap: QPixmap, part: QRect, mode: Qt.AspectRatioMode) -> None:
    size = QSizeF(part.size()).scaled(frame.size(), mode)
    target = QRectF(0, 0, size.width(), size.height())
    target.moveCenter(frame.center())
    painter.drawPixmap(target, pixmap, QRectF(part))
