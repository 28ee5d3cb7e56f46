"""Pictures that lie on the picture: drawn, and moved, scaled, turned, ordered and taken away by mouse and keys."""

from collections.abc import Sequence

from msgspec.structs import replace
from PySide6.QtCore import QPointF, QRectF, QSizeF, Qt, Signal
from PySide6.QtGui import QImage, QKeyEvent, QPainter, QPainterPath, QPixmap, QTransform

from ...board.picture import Placed
from . import frame, layers
from .frame import Frame, Grip
from .hand import REACH, WAYS, Touch
from .holding import Holder, Pull
from .viewport import Viewport

STEP, STRIDE = 1 / 200, 1 / 20  # of the picture's longer side; the second with Shift
GROWTH, TURN, FADE = 1.05, 5.0, 0.1  # what one key press does
SHAPES = Qt.CursorShape
CURSORS: dict[Grip | None, Qt.CursorShape] = {
    None: SHAPES.ArrowCursor, "move": SHAPES.SizeAllCursor, "turn": SHAPES.PointingHandCursor,
    "upper left": SHAPES.SizeFDiagCursor, "lower right": SHAPES.SizeFDiagCursor,
    "upper right": SHAPES.SizeBDiagCursor, "lower left": SHAPES.SizeBDiagCursor,
}  # fmt: skip
KEYS = (
    "arrows move it, [ and ] scale, comma and full stop turn, < and > fade, M mirrors, E erases parts, Page Up and "
    "Page Down order, Delete removes"
)
HELP = f"N takes hold of the next placed picture; {KEYS}"


class Arranger(Holder[Placed]):
    """Holds what is placed on one picture; what is painted lies there too, but is not held."""

    KIND = "Placed Picture"
    erase_asked = Signal()  # by key: parts of the one that is held

    def __init__(self) -> None:
        super().__init__()
        self.sketch, self.sketch_at = QImage(), 0  # what is being painted, and which of `items` it is
        self._pixmaps: dict[str, QPixmap] = {}
        self._smaller: dict[str, layers.Smaller] = {}

    def show_placed(self, placed: Sequence[Placed], ground: QSizeF, pixmaps: dict[str, QPixmap]) -> None:
        """What the board has; what is under way is dropped. `pixmaps`: by sha256, with their transparency."""
        self._pixmaps = pixmaps
        self._smaller = {key: self._smaller.get(key) or layers.Smaller() for key in pixmaps}
        self.show_items(tuple(placed), ground)

    # What is held

    def can_hold(self, one: Placed) -> bool:
        return not one.painted

    def set_fields(self, what: str, merge: str = "", **fields: object) -> None:
        """Of the one that is held."""
        if self.one:
            self.change(replace(self.one, **fields), what, merge)

    def turn_held(self, degrees: float) -> None:
        if self.one:
            self.change(frame.turn(self.one, degrees), "Turn Picture", "turn")

    def mirror_held(self) -> None:
        if self.one:
            self.set_fields("Mirror Picture", flipped=not self.one.flipped)

    def order_held(self, by: int) -> None:
        """Over (1) or under (-1) its neighbour."""
        to = self.held + by
        if self.one and 0 <= to < len(self.items):
            order = list(self.items)
            order[self.held], order[to] = order[to], order[self.held]
            self.items, self.held = tuple(order), to
            self.chosen.emit()
            self.changed.emit()
            self.committed.emit("Order Pictures", "")

    # Mouse

    def drag(self, one: Placed, pull: Pull, touch: Touch) -> Placed:
        return frame.Pull(one, self.ground, pull.grip, pull.start).drag(touch.at, not touch.shift)

    def name_pull(self, grip: Grip) -> str:
        return {"move": "Move Picture", "turn": "Turn Picture"}.get(grip, "Scale Picture")

    def grip_at(self, touch: Touch) -> Grip | None:
        return Frame.of(self.one, self.ground).grip_at(touch.at, touch.reach) if self.one else None

    def find_at(self, touch: Touch) -> int:
        under = (place for place, one in enumerate(self.items)
                 if self.can_hold(one) and Frame.of(one, self.ground).holds(touch.at))  # fmt: skip
        return max(under, default=-1)

    def shape_at(self, touch: Touch) -> Qt.CursorShape:
        grip = self._pull.grip if self._pull else self.grip_at(touch)
        if grip is None and self.find_at(touch) >= 0:
            grip = "move"
        return CURSORS[grip]

    # Keys

    def press_key(self, event: QKeyEvent) -> bool:
        return not event.modifiers() & Qt.KeyboardModifier.AltModifier and super().press_key(event)

    def press_held(self, event: QKeyEvent, shift: bool) -> bool:
        key = event.key()
        if key in WAYS:
            self._nudge(WAYS[key] * (STRIDE if shift else STEP))
        elif key in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown):
            self.order_held(1 if key == Qt.Key.Key_PageUp else -1)
        else:
            return self._type(event.text().lower())
        return True

    def _nudge(self, by: QPointF) -> None:
        longer = max(self.ground.width(), self.ground.height())
        across, down = by.x() * longer / self.ground.width(), by.y() * longer / self.ground.height()
        if self.one:
            self.change(frame.move(self.one, across, down), "Move Picture", "move")

    def _type(self, text: str) -> bool:
        one = self.one
        if one is None:
            return False
        match text:
            case "[" | "]":
                self.change(frame.resize(one, GROWTH if text == "]" else 1 / GROWTH), "Scale Picture", "scale")
            case "," | ".":
                self.turn_held(TURN if text == "." else -TURN)
            case "m":
                self.mirror_held()
            case "e":
                self.erase_asked.emit()
            case "<" | ">":
                opacity = min(1.0, max(FADE, one.opacity + (FADE if text == ">" else -FADE)))
                self.set_fields("Change Opacity", "fade", opacity=round(opacity, 2))
            case _:
                return False
        return True

    def describe(self) -> str:
        one = self.one
        if one is None:
            return f"{HELP}. {sum(not other.painted for other in self.items)} are placed."
        place = f"{100 * one.x:.0f} % from the left, {100 * one.y:.0f} % from the top, {100 * one.width:.0f} % wide"
        return f"{one.picture.name or 'Picture'} at {place}, turned by {one.angle:.0f} degrees. {HELP}"

    # Drawing

    def draw_placed(self, painter: QPainter, rect: QRectF, ratio: float) -> None:
        """Everything that lies on the picture, which is shown in `rect`; what hangs over its edge is cut off."""
        painter.save()
        painter.setClipRect(rect, Qt.ClipOperation.IntersectClip)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        scale = rect.width() / max(1.0, self.ground.width())
        for place, one in enumerate(self.items):
            painter.save()
            painter.translate(rect.topLeft())
            painter.scale(scale, scale)
            self._draw_one(painter, place, one, scale * ratio)
            painter.restore()
        if self.sketch_at >= len(self.items) and not self.sketch.isNull():
            painter.drawImage(rect, self.sketch)
        painter.restore()

    def _draw_one(self, painter: QPainter, place: int, one: Placed, scale: float) -> None:
        """As it is being painted on or erased, where it is; `scale`: pixels of the screen in one of the ground."""
        where = Frame.of(one, self.ground)
        target = QRectF(-where.width / 2, -where.height / 2, where.width, where.height)
        painter.setTransform(where.transform(), True)
        painter.setTransform(QTransform.fromScale(-1 if one.flipped else 1, 1), True)
        painter.setOpacity(one.opacity)
        pixmap = self._pixmaps.get(one.picture.sha256)
        if place == self.sketch_at and not self.sketch.isNull():
            painter.drawImage(target, self.sketch)
        elif pixmap and not pixmap.isNull():
            shown = self._smaller[one.picture.sha256].near(pixmap, where.width * scale)
            painter.drawPixmap(target, shown, QRectF(shown.rect()))

    def find_way_in(self) -> tuple[QTransform, float]:
        """From the ground to the pixels of the sketch, and how many of them lie along a pixel of the ground."""
        one = self.items[self.sketch_at] if self.sketch_at < len(self.items) else None
        if one is None:
            scale = self.sketch.width() / max(1.0, self.ground.width())
            return QTransform.fromScale(scale, scale), scale
        where = Frame.of(one, self.ground)
        scale = self.sketch.width() / max(1e-6, where.width)
        back, _ = where.transform().inverted()
        upright = back * QTransform.fromScale(-scale if one.flipped else scale, scale)
        return upright * QTransform.fromTranslate(self.sketch.width() / 2, self.sketch.height() / 2), scale

    def draw_frame(self, painter: QPainter, view: Viewport) -> list[QPointF]:
        """Around what is held; its corners on the screen."""
        corners = [view.to_widget(point) for point in Frame.of(self.one, self.ground).outline()] if self.one else []
        path = QPainterPath()
        path.addPolygon([*corners, *corners[:1]])
        layers.draw_outline(painter, path)
        return corners

    def draw(self, painter: QPainter, view: Viewport, hover: QPointF | None) -> None:
        """Frame and handles of what is held."""
        if self.one is None:
            return
        corners = self.draw_frame(painter, view)
        knob = view.to_widget(Frame.of(self.one, self.ground).knob(REACH / view.scale))
        path = QPainterPath(knob)
        path.lineTo((corners[0] + corners[1]) / 2)
        layers.draw_outline(painter, path)
        layers.draw_handles(painter, corners)
        layers.draw_knob(painter, knob)
