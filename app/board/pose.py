"""Stick figures that a pose is drawn of: their joints, ready poses, and what a hand does to them.

A point is (across, down) in heights of the sheet that they stand on, from the middle of its upper edge: on a wider
sheet a figure keeps its shape. A figure's right is its own, so on the left of the sheet where it faces us.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from msgspec.structs import replace

from .picture import Struct

Point = tuple[float, float]
JOINTS = (
    "head", "neck", "right shoulder", "right elbow", "right hand", "left shoulder", "left elbow", "left hand",
    "right hip", "right knee", "right foot", "left hip", "left knee", "left foot",
)  # fmt: skip
HEAD, NECK, HIPS = 0, 1, (8, 11)
PARENTS = {0: 1, 2: 1, 5: 1, 3: 2, 4: 3, 6: 5, 7: 6, 9: 8, 10: 9, 12: 11, 13: 12}  # what each joint hangs on
BONES = ((1, 8), (1, 11), (8, 11), (1, 0), *((b, a) for a, b in PARENTS.items() if a != HEAD))
LEAST, MOST = 0.05, 5.0  # of a figure's height


class Figure(Struct, frozen=True):
    """`joints`: one point for each of JOINTS, in that order; `height`: stretched, however it is bent."""

    joints: tuple[Point, ...]
    height: float = 1.0

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of what is drawn, the head and the thickness of its limbs with it."""
        across, down = zip(*self.joints, strict=True)
        (x, y), head, rim = self.joints[HEAD], self.head, self.thickness
        return (
            min(x - head, min(across) - rim), min(y - head, min(down) - rim),
            max(x + head, max(across) + rim), max(y + head, max(down) + rim),
        )  # fmt: skip

    @property
    def middle(self) -> Point:
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2

    @property
    def head(self) -> float:
        """Its radius."""
        return 0.08 * self.height

    @property
    def thickness(self) -> float:
        """Half the width of a limb."""
        return 0.025 * self.height


def list_hanging(joint: int) -> set[int]:
    """The joint and all that goes along with it."""
    found = {joint}
    for below, above in PARENTS.items():  # which come before what hangs on them
        if above in found or below == joint:
            found.add(below)
    return found


def pull_joint(figure: Figure, joint: int, to: Point, alone: bool = False, keep_length: bool = False) -> Figure:
    """A joint at another point, what hangs on it along with it unless `alone`.

    `keep_length`: its bone is only turned.
    """
    above = PARENTS.get(joint)
    if keep_length and above is not None:
        to = _reach(figure.joints[above], to, math.dist(figure.joints[above], figure.joints[joint]))
    was = figure.joints[joint]
    by, moved = (to[0] - was[0], to[1] - was[1]), {joint} if alone else list_hanging(joint)
    points = ((x + by[0], y + by[1]) if place in moved else (x, y) for place, (x, y) in enumerate(figure.joints))
    return replace(figure, joints=tuple(points))


def _reach(start: Point, towards: Point, length: float) -> Point:
    away = math.dist(start, towards)
    if away < 1e-9:
        return start[0], start[1] + length
    return tuple(a + (b - a) * length / away for a, b in zip(start, towards, strict=True))  # type: ignore[return-value]


def shift(figure: Figure, across: float, down: float) -> Figure:
    """All of it somewhere else."""
    return _change(figure, lambda x, y: (x + across, y + down))


def scale(figure: Figure, factor: float, fixed: Point | None = None) -> Figure:
    """Around a point that stays, its middle unless given; within what can still be taken hold of."""
    x0, y0 = fixed or figure.middle
    height = min(max(LEAST, figure.height * factor), MOST)
    factor = height / figure.height
    larger = _change(figure, lambda x, y: (x0 + (x - x0) * factor, y0 + (y - y0) * factor))
    return replace(larger, height=height)


def turn(figure: Figure, degrees: float) -> Figure:
    """Clockwise, around its middle."""
    x0, y0 = figure.middle
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turned = lambda x, y: (x0 + (x - x0) * cos - (y - y0) * sin, y0 + (x - x0) * sin + (y - y0) * cos)  # noqa: E731
    return _change(figure, turned)


def mirror(figure: Figure) -> Figure:
    """Left and right, in its place: what its right hand did its left one does."""
    x0 = figure.middle[0]
    joints = {name: (2 * x0 - x, y) for name, (x, y) in zip(JOINTS, figure.joints, strict=True)}
    other = {"right": "left", "left": "right"}
    names = (" ".join(other.get(word, word) for word in name.split()) for name in JOINTS)
    return replace(figure, joints=tuple(joints[name] for name in names))


def _change(figure: Figure, move: Callable[[float, float], Point]) -> Figure:
    return replace(figure, joints=tuple(move(x, y) for x, y in figure.joints))


_STANDING: tuple[Point, ...] = (
    (0, 0.07), (0, 0.18), (-0.11, 0.2), (-0.14, 0.36), (-0.15, 0.51), (0.11, 0.2), (0.14, 0.36), (0.15, 0.51),
    (-0.065, 0.5), (-0.075, 0.73), (-0.08, 0.95), (0.065, 0.5), (0.075, 0.73), (0.08, 0.95),
)  # fmt: skip
_WALKING: tuple[Point, ...] = (
    (0.03, 0.07), (0.01, 0.18), (-0.01, 0.2), (-0.09, 0.34), (-0.13, 0.48), (0.03, 0.2), (0.1, 0.34), (0.2, 0.45),
    (-0.02, 0.5), (0.1, 0.7), (0.14, 0.94), (0.02, 0.5), (-0.04, 0.73), (-0.2, 0.91),
)  # fmt: skip
_RUNNING: tuple[Point, ...] = (
    (0.14, 0.1), (0.1, 0.21), (0.08, 0.23), (0.17, 0.36), (0.29, 0.28), (0.12, 0.24), (-0.03, 0.32), (-0.05, 0.46),
    (-0.02, 0.52), (-0.06, 0.75), (-0.29, 0.78), (0.02, 0.52), (0.21, 0.62), (0.18, 0.86),
)  # fmt: skip
_SITTING: tuple[Point, ...] = (
    (0, 0.28), (-0.02, 0.39), (-0.04, 0.41), (0.01, 0.56), (0.15, 0.61), (0, 0.41), (0.06, 0.55), (0.2, 0.59),
    (-0.05, 0.71), (0.17, 0.7), (0.18, 0.93), (-0.01, 0.7), (0.22, 0.68), (0.25, 0.91),
)  # fmt: skip
_KNEELING: tuple[Point, ...] = (
    (0.02, 0.27), (0, 0.38), (-0.02, 0.4), (-0.05, 0.56), (0.07, 0.66), (0.02, 0.4), (0.08, 0.54), (0.2, 0.63),
    (-0.03, 0.7), (-0.01, 0.93), (-0.23, 0.94), (0.02, 0.7), (0.22, 0.71), (0.21, 0.94),
)  # fmt: skip
_ARMS_UP: tuple[Point, ...] = (
    *_STANDING[:2], (-0.11, 0.19), (-0.2, 0.07), (-0.22, -0.08), (0.11, 0.19), (0.2, 0.07), (0.22, -0.08),
    *_STANDING[8:],
)  # fmt: skip
_POINTING: tuple[Point, ...] = (*_STANDING[:5], (0.11, 0.2), (0.26, 0.19), (0.41, 0.17), *_STANDING[8:])
POSES: dict[str, Figure] = {
    "Standing": Figure(_STANDING), "Walking": Figure(_WALKING), "Running": Figure(_RUNNING),
    "Sitting": Figure(_SITTING), "Kneeling": Figure(_KNEELING), "Lying": turn(Figure(_STANDING), 90),
    "Pointing": Figure(_POINTING), "Arms up": Figure(_ARMS_UP),
}  # fmt: skip


def make_figure(pose: str, middle: Point = (0.0, 0.5), height: float = 0.8) -> Figure:
    """A new one in one of POSES, `height` high where it stands upright."""
    figure = scale(POSES[pose], height)
    x, y = figure.middle
    return shift(figure, middle[0] - x, middle[1] - y)
