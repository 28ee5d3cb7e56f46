"""Boxes that an artist draws on a panel, each with words for what is to be there; models that read boxes are told."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from mlx_model.boxes import Corners, on_grid

from .picture import Struct

LEAST = 0.02  # of a side: what can still be seen and taken hold of


class Region(Struct, frozen=True):
    """`left`, `top`, `right` and `bottom` are shares of the picture's width and height, 0 to 1."""

    left: float
    top: float
    right: float
    bottom: float
    words: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it lies in the picture, upright and large enough."""
        across, down = (self.left, self.right), (self.top, self.bottom)
        return all(low >= 0 and high <= 1 and high - low >= 0.9 * LEAST for low, high in (across, down))

    @property
    def corners(self) -> Corners:
        """As a prompt says them."""
        return on_grid(self.top, self.left, self.bottom, self.right)


def list_worded(regions: Iterable[Region]) -> list[Region]:
    """Those that say something."""
    return [one for one in regions if one.words.strip()]


def replace_words(regions: tuple[Region, ...], change: Callable[[str], str]) -> tuple[Region, ...]:
    """Each with what `change` makes of its words; the same object where that is nothing else."""
    after = tuple(replace(one, words=change(one.words)) for one in regions)
    return regions if after == regions else after
