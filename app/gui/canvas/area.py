"""What the canvas shows: the picture at some zoom, a preview of the next one, what was before, the mask. No input.

Lengths are logical pixels; 100 % is one picture pixel on one pixel of the screen.
"""

from PySide6.QtCore import QPointF, QRect, QRectF, QSizeF, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QWidget

from ..kit.measures import CORNER, LARGE, RADIUS
from ..kit.theme import theme
from ..kit.widgets import draw_words
from . import layers
from .arranging import Arranger
from .hand import Hand
from .mask_painter import MaskPainter
from .viewport import Viewport

NOWHERE = QPointF(-1, -1)
PLACED_SHARE = 0.75  # of the height: what is dropped further down is the picture from then on


class PictureArea(QWidget):
    """Shows `picture` (or a preview of the next one) and, compared, what was before."""

    zoomed = Signal(float)  # screen pixels per picture pixel
    split_moved = Signal(float)  # 0 (all after) to 1 (all before)

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.view, self.painter, self.arranger = Viewport(), MaskPainter(self), Arranger()
        self.hand: Hand | None = None  # the tool that works on the picture, if that is not the mask's
        self.working = False  # it does so now: that is seen rather than a preview
        self.onion, self.onion_opacity, self.caption = QPixmap(), 0.4, ""
        self.picture, self.before, self.preview = QPixmap(), QPixmap(), QPixmap()
        self.masking, self.comparing, self.holding, self.split = False, False, False, 0.5
        self.masked = False  # the next run keeps to the mask, whose border is seen while it isn't painted on
        self.ground, self.tags = "Neutral", ("Before", "After")
        self.hover, self.dropping, self.invitation = NOWHERE, False, ""
        self.placing, self.dropping_at = False, QPointF()  # whether what is dropped can be laid on the picture
        self.by_keys = False  # `hover` is where keys have moved it
        self._shown: tuple[int, int, int] | None = None
        self._smaller = {name: layers.Smaller() for name in ("picture", "before", "preview", "onion")}
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMinimumSize(240, 180)
        self.painter.changed.connect(self._repaint_picture)
        self.arranger.changed.connect(self.update)
        theme.changed.connect(self.update)

    # What is shown

    @property
    def paintable(self) -> bool:
        """Whether a mask can be painted: also while its picture is still on its way, or the stroke would be lost."""
        return self.masking and self.painter.mask.size > 1

    def set_picture(self, picture: QPixmap, width: int, height: int) -> None:
        """The current picture, which has that size also where a smaller copy of it stands in; null for none."""
        if (picture.cacheKey(), width, height) != self._shown:
            self._shown = (picture.cacheKey(), width, height)
            self.picture = picture
            self._set_size(width, height)

    def set_before(self, before: QPixmap) -> None:
        if before.cacheKey() != self.before.cacheKey():
            self.before = before
            self.update()

    def set_preview(self, preview: QPixmap) -> None:
        """The picture in the making, over the current one; a null one takes it away."""
        self.preview = preview
        self.update()

    def set_onion(self, onion: QPixmap, opacity: float) -> None:
        """Another picture that shines through this one; a null one takes it away."""
        if (onion.cacheKey(), opacity) != (self.onion.cacheKey(), self.onion_opacity):
            self.onion, self.onion_opacity = onion, opacity
            self.update()

    def set_caption(self, text: str) -> None:
        """What is shown, where that is not what one would expect."""
        if text != self.caption:
            self.caption = text
            self.update()

    def set_invitation(self, text: str) -> None:
        """What an empty panel says."""
        if text != self.invitation:
            self.invitation = text
            self.update()

    def set_comparing(self, on: bool) -> None:
        self.comparing = on
        self.update()

    def set_holding(self, on: bool) -> None:
        """Show what was before as long as a key or button is held."""
        self.holding = on
        self.update()

    def set_masking(self, on: bool) -> None:
        if not on and self.painter.busy:
            self.painter.cancel()
        self.masking = on
        self.update()

    def set_masked(self, on: bool) -> None:
        if on != self.masked:
            self.masked = on
            self.update()

    def set_split(self, split: float) -> None:
        self.split = min(1.0, max(0.0, split))
        self.split_moved.emit(self.split)
        self.update()

    def set_ground(self, ground: str) -> None:
        self.ground = ground
        self.update()

    # Zoom

    def fit(self) -> None:
        self.view.fit()
        self._show_zoom()

    def actual_size(self) -> None:
        """One picture pixel on one pixel of the screen."""
        self.view.zoom_to(1.0, self._under_mouse())
        self._show_zoom()

    def zoom_by(self, steps: float, at: QPointF | None = None) -> None:
        self.view.step(steps, at)
        self._show_zoom()

    def _set_size(self, width: int, height: int) -> None:
        self.view.set_picture(QSizeF(width, height))
        self._show_zoom()

    def _show_zoom(self) -> None:
        self.zoomed.emit(self.view.zoom)
        self.update()

    def _under_mouse(self) -> QPointF | None:
        return self.hover if self.rect().contains(self.hover.toPoint()) else None

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme.colours.canvas))
        rect = self.view.rect()
        neutral = QColor(theme.colours.surface if self.picture.isNull() else theme.colours.canvas)
        painter.fillRect(rect, layers.ground_brush(self.ground, neutral))
        self._draw_pictures(painter, rect)
        self._draw_onion(painter, rect)
        if self.masking:
            self._draw_mask(painter, rect)
        elif self.masked and not self.holding:
            layers.draw_border(painter, self.painter.border(), rect, self.painter.tint)
        if self.hand and not self.holding:
            seen = self.underMouse() or self.by_keys
            self.hand.draw(painter, self.view, self.hover if seen and self.hover != NOWHERE else None)
        if self.picture.isNull() and self.preview.isNull():
            self._draw_invitation(painter, rect)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if self.hasFocus():
            painter.setPen(QColor(theme.colours.accent))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        if self.dropping:
            self._draw_drop_hint(painter)

    def _draw_pictures(self, painter: QPainter, rect: QRectF) -> None:
        ratio = self.devicePixelRatioF()
        preview = not self.preview.isNull() and not self.working
        after = ("preview", self.preview) if preview else ("picture", self.picture)
        if self.holding and not self.before.isNull():
            layers.draw_picture(painter, self.before, rect, self._smaller["before"], ratio)
            layers.draw_tag(painter, self.tags[0], self._corner(rect))
            return
        layers.draw_picture(painter, after[1], rect, self._smaller[after[0]], ratio)
        if not preview:
            self.arranger.draw_placed(painter, rect, ratio)
            if self.caption and not self.comparing:
                layers.draw_tag(painter, self.caption, self._corner(rect))
        if not self.comparing or self.before.isNull():
            return
        x = self.split_x()
        painter.save()
        painter.setClipRect(QRectF(0, 0, x, self.height()))
        painter.fillRect(rect, layers.ground_brush(self.ground, QColor(theme.colours.canvas)))
        layers.draw_picture(painter, self.before, rect, self._smaller["before"], ratio)
        painter.restore()
        layers.draw_split(painter, rect.intersected(QRectF(self.rect())), x, QColor(0, 0, 0, 150))
        corner = self._corner(rect)
        layers.draw_tag(painter, self.tags[0], corner)
        right = min(rect.right(), self.width()) - 10
        layers.draw_tag(painter, self.tags[1], QPointF(right, corner.y()), right=True)

    def _draw_onion(self, painter: QPainter, rect: QRectF) -> None:
        """Over all pictures, so that lines of both are seen."""
        if not self.onion.isNull() and not self.holding:
            painter.setOpacity(self.onion_opacity)
            layers.draw_picture(painter, self.onion, rect, self._smaller["onion"], self.devicePixelRatioF())
            painter.setOpacity(1.0)

    def colour_at(self, point: QPointF) -> QColor:
        """What is seen at a point of the picture, without the tool's own marks."""
        hand, self.hand = self.hand, None
        at = self.view.to_widget(point).toPoint()
        seen = self.grab(QRect(at.x(), at.y(), 1, 1)).toImage()
        self.hand = hand
        return seen.pixelColor(0, 0)

    def _draw_invitation(self, painter: QPainter, rect: QRectF) -> None:
        """The frame of the picture to come; unless a tool works in it, what to do in an empty panel."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        pen = QPen(QColor(theme.colours.line), 1.5)
        pen.setDashPattern([5, 5])
        painter.setPen(pen)
        painter.drawRoundedRect(rect.adjusted(1, 1, -1, -1), RADIUS, RADIUS)
        if self.hand:
            return
        painter.setPen(QColor(theme.colours.muted))
        font = painter.font()
        font.setPixelSize(LARGE)
        painter.setFont(font)
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        draw_words(painter, rect.adjusted(24, 24, -24, -24), flags, self.invitation)

    def _corner(self, rect: QRectF) -> QPointF:
        return QPointF(max(rect.left(), 0) + 10, max(rect.top(), 0) + 10)

    def _draw_mask(self, painter: QPainter, rect: QRectF) -> None:
        if self.holding or not self.paintable:
            return
        layers.draw_mask(painter, self.painter.overlay(), rect)
        painter.save()
        path = self.painter.outline()
        transform = painter.transform()
        transform.translate(rect.left(), rect.top())
        transform.scale(self.view.scale, self.view.scale)
        layers.draw_outline(painter, transform.map(path))
        layers.draw_handles(painter, [self.view.to_widget(at) for at in self.painter.handles()])
        if self.painter.tool == "brush" and (self.underMouse() or self.by_keys):
            radius = self.painter.radius * self.view.scale
            layers.draw_outline(painter, layers.circle(self.hover, radius))
        elif self.by_keys:
            layers.draw_outline(painter, layers.cross(self.hover))
        painter.restore()

    def places_at(self, at: QPointF) -> bool:
        """Whether what is dropped at a widget point is laid on the picture, rather than becoming it."""
        return self.placing and at.y() < self._drop_border()

    def _drop_border(self) -> float:
        return self.height() * PLACED_SHARE

    def _draw_drop_hint(self, painter: QPainter) -> None:
        """One field, or two where what is dropped can be laid on the picture: the one that is meant is lit."""
        whole = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        fields = [(whole, "Drop to make it this panel's picture", True)]
        if self.placing:
            upper, lower = QRectF(whole), QRectF(whole)
            upper.setBottom(self._drop_border() - 2)
            lower.setTop(self._drop_border() + 2)
            above = self.places_at(self.dropping_at)
            fields = [(upper, "Drop to lay it on this picture", above),
                      (lower, "Drop to make it this panel's picture", not above)]  # fmt: skip
        for field, words, meant in fields:
            accent = QColor(theme.colours.accent)
            painter.setPen(QPen(accent, 3 if meant else 1))
            accent.setAlpha(70 if meant else 24)
            painter.setBrush(accent)
            painter.drawRoundedRect(field, CORNER, CORNER)
            layers.draw_tag(painter, words, self._corner(field))

    def _repaint_picture(self, box: QRect) -> None:
        if box.isEmpty():
            self.update()
            return
        rect = QRectF(self.view.to_widget(QPointF(box.topLeft())), box.size().toSizeF() * self.view.scale)
        reach = int(self.painter.radius * self.view.scale) + 4  # the ring of the brush goes along
        self.update(rect.toAlignedRect().adjusted(-reach, -reach, reach, reach))

    # The slider's place

    def split_x(self) -> float:
        """The widget coordinate of the slider's line."""
        left, right = self._split_range()
        return left + self.split * (right - left)

    def split_to(self, x: float) -> None:
        """Put the line at a widget coordinate."""
        left, right = self._split_range()
        self.set_split((x - left) / max(1.0, right - left))

    def _split_range(self) -> tuple[float, float]:
        """The part of the picture's width that is in view."""
        rect = self.view.rect()
        return max(rect.left(), 0.0), min(rect.right(), float(self.width()))
