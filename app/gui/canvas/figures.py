"""Stick figures on the picture: drawn; moved, scaled, turned, mirrored, bent at their joints by mouse and keys."""

import math
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QPointF, QRectF, QSizeF, Qt
from PySide6.QtGui import QColor, QImage, QKeyEvent, QPainter, QPainterPath, QPen, QTransform

from ...board import pose
from ...board.pose import BONES, HEAD, JOINTS, Figure
from . import layers
from .grips import CURSORS, WHOLE, find_grip, list_handles, pull_box
from .hand import WAYS, Touch
from .holding import Holder, Pull
from .viewport import Viewport

SHEET = QColor("#f4f4f2")
TRUNK, RIGHT, LEFT = QColor("#3b3b40"), QColor("#2f6fde"), QColor("#e8762c")
LONGEST = 1024  # pixels of a side of the picture that is made
STEP, STRIDE = 1 / 200, 1 / 20  # of the sheet's height; the second with Shift
GROWTH, TURN = 1.05, 5.0  # what one key press does
REACH = 1.5  # of a limb's thickness: what is near enough to take hold of it
HELP = (
    "N takes hold of the next figure, J of its next joint. Arrows move what is held, with Alt a joint alone, with "
    "Shift faster; [ and ] scale, comma and full stop turn, M mirrors, Delete removes"
)


class Poser(Holder[Figure]):
    """Grips are the number of a joint, WHOLE, or a corner."""

    KIND = "Figure"

    def __init__(self) -> None:
        super().__init__()
        self.joint = -1  # that keys move

    def hold(self, place: int) -> None:
        if place != self.held:
            self.joint = -1
        super().hold(place)

    def hold_joint(self, joint: int) -> None:
        """Take hold of one of JOINTS; -1 lets go."""
        self.joint = joint
        self.chosen.emit()
        self.changed.emit()

    def place(self, name: str) -> None:
        """A new figure in one of pose.POSES, beside those that stand there."""
        aside = 0.22 * ((len(self.items) + 1) // 2) * (-1 if len(self.items) % 2 else 1)
        self.add(pose.make_figure(name, (aside, 0.5)))

    def turn_held(self, degrees: float) -> None:
        if self.one:
            self.change(pose.turn(self.one, degrees), "Turn Figure", "turn")

    def mirror_held(self) -> None:
        if self.one:
            self.change(pose.mirror(self.one), "Mirror Figure")

    # Mouse

    def _find(self, point: QPointF) -> QPointF:
        """A point of the picture on the sheet of the figures."""
        inverse, _ = place_sheet(QRectF(QPointF(), self.ground)).inverted()
        return inverse.map(point)

    def _measure(self, length: float) -> float:
        """A length in pixels of the picture in heights of the sheet."""
        return length / max(1.0, self.ground.height())

    def grip_at(self, touch: Touch) -> Any:
        if self.one is None:
            return None
        at, reach = self._find(touch.at), self._measure(touch.reach)
        away = [math.dist(at.toTuple(), joint) for joint in self.one.joints]
        nearest = min(range(len(away)), key=away.__getitem__)
        if away[nearest] <= reach:
            return nearest
        grip = find_grip(frame(self.one), at, reach, QRectF())
        if grip and all(grip):  # the corners alone
            return grip
        return WHOLE if touches(self.one, at, reach) else None

    def find_at(self, touch: Touch) -> int:
        at, reach = self._find(touch.at), self._measure(touch.reach)
        return max((place for place, one in enumerate(self.items) if touches(one, at, reach)), default=-1)

    def press(self, touch: Touch) -> None:
        super().press(touch)
        grip = self._pull.grip if self._pull else None
        self.hold_joint(grip if isinstance(grip, int) else -1)

    def drag(self, one: Figure, pull: Pull, touch: Touch) -> Figure:
        at, start = self._find(touch.at), self._find(pull.start)
        by = at - start
        if isinstance(pull.grip, int):
            x, y = one.joints[pull.grip]
            return pose.pull_joint(one, pull.grip, (x + by.x(), y + by.y()), touch.alt, touch.shift)
        if pull.grip == WHOLE:
            return pose.shift(one, *by.toTuple())
        was, fixed = frame(one), list_handles(frame(one))[(-pull.grip[0], -pull.grip[1])]
        now = pull_box(was, pull.grip, by)
        factor = max(now.width() / was.width(), now.height() / was.height())
        return pose.scale(one, factor, fixed.toTuple())

    def name_pull(self, grip: Any) -> str:
        return "Pose Figure" if isinstance(grip, int) else "Move Figure" if grip == WHOLE else "Scale Figure"

    def shape_at(self, touch: Touch) -> Qt.CursorShape:
        grip = self._pull.grip if self._pull else self.grip_at(touch)
        if isinstance(grip, int):
            return Qt.CursorShape.PointingHandCursor
        if grip is None:
            return CURSORS[WHOLE] if self.find_at(touch) >= 0 else Qt.CursorShape.ArrowCursor
        return CURSORS[grip]

    # Keys

    def cancel(self) -> bool:
        """A joint is let go of before its figure is."""
        if self.joint >= 0 and not self.busy:
            self.hold_joint(-1)
            return True
        return super().cancel()

    def press_held(self, event: QKeyEvent, shift: bool) -> bool:
        key, text, one = event.key(), event.text().lower(), self.one
        if one is None:
            return False
        if key in WAYS:
            by = WAYS[key] * (STRIDE if shift else STEP)
            self._nudge(one, by, bool(event.modifiers() & Qt.KeyboardModifier.AltModifier))
        elif text == "j":
            self.settle()
            before = self.joint if self.joint >= 0 else -1 + shift  # the first one, or the last
            self.hold_joint((before + (-1 if shift else 1)) % len(JOINTS))
        elif text in ("[", "]"):
            self.change_by_key(pose.scale(one, GROWTH if text == "]" else 1 / GROWTH), "Scale Figure")
        elif text in (",", "."):
            self.change_by_key(pose.turn(one, TURN if text == "." else -TURN), "Turn Figure")
        elif text == "m" and not event.isAutoRepeat():
            self.mirror_held()
        else:
            return False
        return True

    def _nudge(self, one: Figure, by: QPointF, alone: bool) -> None:
        if self.joint < 0:
            self.change_by_key(pose.shift(one, *by.toTuple()), "Move Figure")
            return
        x, y = one.joints[self.joint]
        self.change_by_key(pose.pull_joint(one, self.joint, (x + by.x(), y + by.y()), alone), "Pose Figure")

    def describe(self) -> str:
        if self.one is None:
            return f"{len(self.items)} figures stand here. {HELP}."
        x, y = self.one.joints[self.joint] if self.joint >= 0 else self.one.middle
        across = 0.5 + x * self.ground.height() / max(1.0, self.ground.width())
        what = f", {JOINTS[self.joint]}" if self.joint >= 0 else ""
        place = f"{100 * across:.0f} % from the left, {100 * y:.0f} % from the top"
        return f"Figure {self.held + 1} of {len(self.items)}{what}, at {place}. {HELP}."

    # Drawing

    def draw(self, painter: QPainter, view: Viewport, hover: QPointF | None) -> None:
        sheet = place_sheet(view.rect())
        draw_figures(painter, self.items, sheet)
        if self.one is None:
            return
        path, box = QPainterPath(), frame(self.one)
        path.addRect(sheet.mapRect(box))
        layers.draw_outline(painter, path)
        layers.draw_handles(painter, [sheet.map(at) for grip, at in list_handles(box).items() if all(grip)])
        for joint, point in enumerate(self.one.joints):
            layers.draw_knob(painter, sheet.map(QPointF(*point)), joint == self.joint)


def frame(figure: Figure) -> QRectF:
    """What it fills of its sheet."""
    left, top, right, bottom = figure.box
    return QRectF(QPointF(left, top), QPointF(right, bottom))


def touches(figure: Figure, at: QPointF, reach: float) -> bool:
    """Whether a point of the sheet is on its head or one of its limbs."""
    point, near = at.toTuple(), max(reach, REACH * figure.thickness)
    if math.dist(point, figure.joints[HEAD]) <= max(reach, figure.head):
        return True
    return any(_measure_to_bone(point, figure.joints[a], figure.joints[b]) <= near for a, b in BONES)


def _measure_to_bone(point: Sequence[float], a: pose.Point, b: pose.Point) -> float:
    """How far a point is from the line between two."""
    length = math.dist(a, b)
    along = sum((p - s) * (e - s) for p, s, e in zip(point, a, b, strict=True)) / max(1e-9, length * length)
    along = min(1.0, max(0.0, along))
    return math.dist(point, [s + (e - s) * along for s, e in zip(a, b, strict=True)])


def place_sheet(rect: QRectF) -> QTransform:
    """From the sheet of figures to a rectangle that it fills: see board.pose."""
    return QTransform.fromTranslate(rect.center().x(), rect.top()).scale(rect.height(), rect.height())


def draw_figures(painter: QPainter, figures: Sequence[Figure], sheet: QTransform) -> None:
    """Limbs in the colour of their side: blue its own right, which is nearer where it looks to the right."""
    painter.save()
    painter.setTransform(sheet, True)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for figure in figures:
        order = sorted(BONES, key=lambda bone: ("left", "", "right").index(_name_side(bone)))
        for bone in order:
            colour = {"left": LEFT, "right": RIGHT}.get(_name_side(bone), TRUNK)
            painter.setPen(QPen(colour, 2 * figure.thickness, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            painter.drawLine(*(QPointF(*figure.joints[joint]) for joint in bone))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(TRUNK)
        painter.drawEllipse(QPointF(*figure.joints[HEAD]), figure.head, figure.head)
    painter.restore()


def _name_side(bone: tuple[int, int]) -> str:
    """Of a limb's bone; "" for the trunk's."""
    sides = {JOINTS[joint].split()[0] for joint in bone}
    return sides.pop() if len(sides) == 1 and sides <= {"left", "right"} else ""


def draw_pose(figures: Sequence[Figure], ground: QSizeF) -> QImage:
    """The picture for the model, in the shape of `ground`."""
    size = ground.scaled(LONGEST, LONGEST, Qt.AspectRatioMode.KeepAspectRatio).toSize()
    made = QImage(size.width(), size.height(), QImage.Format.Format_RGB32)
    made.fill(SHEET)
    painter = QPainter(made)
    draw_figures(painter, figures, place_sheet(QRectF(made.rect())))
    painter.end()
    return made
