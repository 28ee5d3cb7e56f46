"""Pictures that lie on the picture: drawn, and moved, scaled, turned, ordered and taken away by mouse and keys."""

from collections.abc import Sequence

from msgspec.structs import replace
from PySide6.QtCore import QPointF, QRectF, QSizeF, Qt, Signal
from PySide6.QtGui import QImage, QKeyEvent, QPainter, QPainterPath, QPixmap, QTransform

from ...board.picture import Placed
from . import frame, layers
from .frame import Frame, Grip, Pull
from .hand import REACH, REMOVES, WAYS, Hand, Touch
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
    "arrows move it, [ and ] scale, comma and full stop turn, < and > fade, M mirrors, Page Up and Page Down order, "
    "Delete removes"
)
HELP = f"N takes hold of the next placed picture; {KEYS}"


class Arranger(Hand):
    """Holds what is placed on one picture. `committed` tells `placed` after each change: one step to undo."""

    committed = Signal(str, str)  # what was done, for the undo list; changes of the same key are one step
    chosen = Signal()  # another one is held, or it is another one now

    def __init__(self) -> None:
        super().__init__()
        self.placed: tuple[Placed, ...] = ()
        self.ground, self.held = QSizeF(1, 1), -1
        self.sketch, self.sketch_at = QImage(), 0  # what is being painted, and which of `placed` it is
        self._pixmaps: dict[str, QPixmap] = {}
        self._smaller: dict[str, layers.Smaller] = {}
        self._pull: Pull | None = None

    def show_placed(self, placed: Sequence[Placed], ground: QSizeF, pixmaps: dict[str, QPixmap]) -> None:
        """What the board has; what is under way is dropped. `pixmaps`: by sha256, with their transparency."""
        same = len(placed) == len(self.placed) and ground == self.ground
        self.placed, self.ground, self._pixmaps, self._pull = tuple(placed), ground, pixmaps, None
        self._smaller = {key: self._smaller.get(key) or layers.Smaller() for key in pixmaps}
        self.hold(self.held if same else -1)
        self.changed.emit()

    # What is held

    @property
    def one(self) -> Placed | None:
        """The picture that is held."""
        return self.placed[self.held] if 0 <= self.held < len(self.placed) else None

    @property
    def busy(self) -> bool:
        """Something is being dragged."""
        return self._pull is not None

    def hold(self, place: int) -> None:
        """Take hold of one; -1 lets go. What is painted is not moved."""
        good = 0 <= place < len(self.placed) and not self.placed[place].painted
        self.held = place if good else -1
        self.chosen.emit()
        self.changed.emit()

    def hold_next(self, by: int = 1) -> None:
        """The next one that can be held, round and round."""
        able = [place for place, one in enumerate(self.placed) if not one.painted]
        if able:
            at = able.index(self.held) + by if self.held in able else (0 if by > 0 else -1)
            self.hold(able[at % len(able)])

    def change(self, what: str, merge: str = "", **fields: object) -> None:
        """Set fields of the one that is held."""
        if self.one:
            self._put(replace(self.one, **fields), what, merge)

    def turn_held(self, degrees: float) -> None:
        if self.one:
            self._put(frame.turn(self.one, degrees), "Turn Picture", "turn")

    def mirror_held(self) -> None:
        if self.one:
            self.change("Mirror Picture", flipped=not self.one.flipped)

    def remove_held(self) -> None:
        if self.one:
            self.placed = (*self.placed[: self.held], *self.placed[self.held + 1 :])
            self.hold(-1)
            self.committed.emit("Remove Placed Picture", "")

    def order_held(self, by: int) -> None:
        """Over (1) or under (-1) its neighbour."""
        to = self.held + by
        if self.one and 0 <= to < len(self.placed):
            order = list(self.placed)
            order[self.held], order[to] = order[to], order[self.held]
            self.placed, self.held = tuple(order), to
            self.chosen.emit()
            self.changed.emit()
            self.committed.emit("Order Pictures", "")

    def _put(self, one: Placed, what: str = "", merge: str = "") -> None:
        """The held one as it is now; with `what` it is a change of the board."""
        if one == self.one:
            return
        self.placed = (*self.placed[: self.held], one, *self.placed[self.held + 1 :])
        self.chosen.emit()
        self.changed.emit()
        if what:
            self.committed.emit(what, f"{merge} {self.held}" if merge else "")

    # Mouse

    def press(self, touch: Touch) -> None:
        grip = self._grip_at(touch)
        if grip is None:
            self.hold(self._find_at(touch.at))
            grip = "move"
        if self.one:
            self._pull = Pull(self.one, self.ground, grip, touch.at)

    def move(self, touch: Touch) -> None:
        if self._pull:
            self._put(self._pull.drag(touch.at, not touch.shift))

    def release(self) -> None:
        pull, self._pull = self._pull, None
        if pull and self.one and self.one != pull.was:
            words = {"move": "Move Picture", "turn": "Turn Picture"}
            self.committed.emit(words.get(pull.grip, "Scale Picture"), "")

    def cancel(self) -> bool:
        pull, self._pull = self._pull, None
        if pull:
            self._put(pull.was)
        elif self.one:
            self.hold(-1)
        else:
            return False
        return True

    def settle(self) -> None:
        self.release()

    def _grip_at(self, touch: Touch) -> Grip | None:
        return Frame.of(self.one, self.ground).grip_at(touch.at, touch.reach) if self.one else None

    def _find_at(self, point: QPointF) -> int:
        """The uppermost there; -1 for none."""
        under = (place for place, one in enumerate(self.placed)
                 if not one.painted and Frame.of(one, self.ground).holds(point))  # fmt: skip
        return max(under, default=-1)

    def shape_at(self, touch: Touch) -> Qt.CursorShape:
        grip = self._pull.grip if self._pull else self._grip_at(touch)
        if grip is None and self._find_at(touch.at) >= 0:
            grip = "move"
        return CURSORS[grip]

    # Keys

    def press_key(self, event: QKeyEvent) -> bool:
        key, text = event.key(), event.text().lower()
        if event.modifiers() & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier):
            return False
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if text == "n":
            self.hold_next(-1 if shift else 1)
        elif self.one is None:
            return False
        elif key in WAYS:
            self._nudge(WAYS[key] * (STRIDE if shift else STEP))
        elif key in REMOVES:
            self.remove_held()
        elif key in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown):
            self.order_held(1 if key == Qt.Key.Key_PageUp else -1)
        else:
            return self._type(text)
        return True

    def _nudge(self, by: QPointF) -> None:
        longer = max(self.ground.width(), self.ground.height())
        across, down = by.x() * longer / self.ground.width(), by.y() * longer / self.ground.height()
        if self.one:
            self._put(frame.move(self.one, across, down), "Move Picture", "move")

    def _type(self, text: str) -> bool:
        one = self.one
        if one is None:
            return False
        match text:
            case "[" | "]":
                self._put(frame.resize(one, GROWTH if text == "]" else 1 / GROWTH), "Scale Picture", "scale")
            case "," | ".":
                self.turn_held(TURN if text == "." else -TURN)
            case "m":
                self.mirror_held()
            case "<" | ">":
                opacity = min(1.0, max(FADE, one.opacity + (FADE if text == ">" else -FADE)))
                self.change("Change Opacity", "fade", opacity=round(opacity, 2))
            case _:
                return False
        return True

    def describe(self) -> str:
        one = self.one
        if one is None:
            return f"{HELP}. {sum(not other.painted for other in self.placed)} are placed."
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
        for place, one in enumerate(self.placed):
            if place == self.sketch_at and not self.sketch.isNull():
                painter.drawImage(rect, self.sketch)
            else:
                self._draw_one(painter, one, rect, scale, ratio)
        if self.sketch_at >= len(self.placed) and not self.sketch.isNull():
            painter.drawImage(rect, self.sketch)
        painter.restore()

    def _draw_one(self, painter: QPainter, one: Placed, rect: QRectF, scale: float, ratio: float) -> None:
        pixmap = self._pixmaps.get(one.picture.sha256)
        if pixmap is None or pixmap.isNull():
            return
        where = Frame.of(one, self.ground)
        shown = self._smaller[one.picture.sha256].near(pixmap, where.width * scale * ratio)
        painter.save()
        painter.translate(rect.topLeft())
        painter.scale(scale, scale)
        painter.setTransform(where.transform(), True)
        painter.setTransform(QTransform.fromScale(-1 if one.flipped else 1, 1), True)
        painter.setOpacity(one.opacity)
        target = QRectF(-where.width / 2, -where.height / 2, where.width, where.height)
        painter.drawPixmap(target, shown, QRectF(shown.rect()))
        painter.restore()

    def draw(self, painter: QPainter, view: Viewport, hover: QPointF | None) -> None:
        """Frame and handles of what is held."""
        if self.one is None:
            return
        where = Frame.of(self.one, self.ground)
        knob = view.to_widget(where.knob(REACH / view.scale))
        corners = [view.to_widget(point) for point in where.outline()]
        path = QPainterPath(knob)
        path.lineTo((corners[0] + corners[1]) / 2)
        path.addPolygon([*corners, corners[0]])
        layers.draw_outline(painter, path)
        layers.draw_handles(painter, corners)
        layers.draw_knob(painter, knob)
