"""A picture of a board and how it is used: cut where it is a reference, laid on what an edit starts from."""

from __future__ import annotations

import msgspec


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Immutable, strictly read: an unknown field or a wrong type is an error."""


class Picture(Struct, frozen=True):
    """A picture of the board: sha256 of a file in blobs/, its size upright, and what the file was called."""

    sha256: str
    width: int
    height: int
    name: str = ""


class Crop(Struct, frozen=True):
    """The part of a picture that is used, in its pixels; right and bottom are outside. The file stays as it is."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.right - self.left, self.bottom - self.top

    @property
    def box(self) -> tuple[int, int, int, int]:
        return self.left, self.top, self.right, self.bottom


class Placed(Struct, frozen=True):
    """A picture that lies on another, the ground: a later one of a tuple lies over an earlier.

    `x` and `y`, its middle, are shares of the ground's width and height, so that they hold for a larger copy too;
    `width` is a share of the ground's width, the height follows the picture's shape. `angle`: degrees, clockwise.
    """

    picture: Picture
    x: float = 0.5
    y: float = 0.5
    width: float = 0.5
    angle: float = 0.0
    opacity: float = 1.0
    flipped: bool = False  # left and right
    painted: bool = False  # with the brush, on a sheet as large as the ground
