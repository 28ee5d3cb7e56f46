"""Which part of a picture a widget shows: zoom, centre, and the way from points of one to points of the other.

Lengths are logical pixels; 100 % is one picture pixel on one pixel of the screen.
"""

import math

from PySide6.QtCore import QPointF, QRectF, QSizeF

MAX_ZOOM = 32.0  # screen pixels of a picture pixel
MARGIN = 16.0  # logical pixels around a fitted picture
STEP = 1.25


class Viewport:
    """`zoom` is screen pixels per picture pixel; `centre` is the picture point in the middle of the widget.

    While `fitted`, the picture fills the widget and follows its size.
    """

    def __init__(self) -> None:
        self.picture, self.widget, self.ratio = QSizeF(1, 1), QSizeF(1, 1), 1.0
        self.zoom, self.centre, self.fitted = 1.0, QPointF(0.5, 0.5), True

    @property
    def scale(self) -> float:
        """Logical pixels per picture pixel."""
        return self.zoom / self.ratio

    @property
    def fit_zoom(self) -> float:
        """The zoom at which the whole picture just fits."""
        across = max(1.0, self.widget.width() - 2 * MARGIN) / max(1.0, self.picture.width())
        down = max(1.0, self.widget.height() - 2 * MARGIN) / max(1.0, self.picture.height())
        return min(across, down) * self.ratio

    def set_widget(self, size: QSizeF, ratio: float) -> None:
        """The widget's size and its screen's pixels per logical pixel."""
        self.widget, self.ratio = QSizeF(size), ratio
        self._settle()

    def set_picture(self, size: QSizeF) -> None:
        """Another picture: the same part stays in view where the shape is the same, else it is fitted again."""
        old, self.picture = self.picture, QSizeF(size)
        growth = size.width() / max(1.0, old.width())
        if abs(old.height() * growth - size.height()) > 1.5:
            self.fitted = True
        self.zoom /= growth
        self.centre *= growth
        self._settle()

    def fit(self) -> None:
        """Show the whole picture, and keep doing so when the widget's size changes."""
        self.fitted = True
        self._settle()

    def zoom_to(self, zoom: float, at: QPointF | None = None) -> None:
        """Zoom, keeping the picture point under the widget point `at` (None: the middle) where it is."""
        at = self._middle() if at is None else at
        fixed = self.to_picture(at)
        self.fitted = False
        self.zoom = min(MAX_ZOOM, max(min(self.fit_zoom, self.ratio) / 4, zoom))
        self.centre = fixed - (at - self._middle()) / self.scale
        self._settle()

    def step(self, steps: float, at: QPointF | None = None) -> None:
        """Zoom by STEP to the power of `steps`, which may be fractional."""
        self.zoom_to(self.zoom * math.pow(STEP, steps), at)

    def pan(self, by: QPointF) -> None:
        """Move the picture by logical pixels."""
        self.fitted = False
        self.centre -= by / self.scale
        self._settle()

    def to_picture(self, point: QPointF) -> QPointF:
        """A widget point in picture pixels; may lie outside the picture."""
        return self.centre + (point - self._middle()) / self.scale

    def to_widget(self, point: QPointF) -> QPointF:
        """Reverses to_picture."""
        return self._middle() + (point - self.centre) * self.scale

    def rect(self) -> QRectF:
        """Where the whole picture lies in the widget."""
        return QRectF(self.to_widget(QPointF(0, 0)), self.picture * self.scale)

    def _middle(self) -> QPointF:
        return QPointF(self.widget.width() / 2, self.widget.height() / 2)

    def _settle(self) -> None:
        """Fitted: centred and as large as fits. Else: some of the picture always stays in view."""
        if self.fitted:
            self.zoom = self.fit_zoom
            self.centre = QPointF(self.picture.width() / 2, self.picture.height() / 2)
            return
        x = min(max(self.centre.x(), 0.0), self.picture.width())
        y = min(max(self.centre.y(), 0.0), self.picture.height())
        self.centre = QPointF(x, y)
