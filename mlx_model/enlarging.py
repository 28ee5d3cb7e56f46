"""How a picture is enlarged: by a model, tile by tile, or by Lanczos alone where it can't. The plan, without networks.

Each tile starts from the plainly enlarged picture with a little noise, of which all tiles share one field; the model
sees the tile and, where it takes several pictures, the whole one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .geometry import MAX_ASPECT, Size
from .specs import ModelSpec

FACTORS = (2, 4)
STRENGTH = 0.35  # the time that a tile starts from: that much of it is noise
OVERLAP = 8  # of neighbours: at least the eighth part of a tile
FEW, MORE = 2, 6  # steps from there on, of models that take few steps and of others
TILE_WORDS = "Make the picture sharp, with clean edges and fine detail. Change nothing else."
PART_WORDS = "Make {} sharp, with clean edges and fine detail. Change nothing else. It is a part of {}."


class Tiles(NamedTuple):
    """All of one size, by where they start; the last of a row or a column may reach beyond the picture."""

    size: Size
    lefts: tuple[int, ...]
    tops: tuple[int, ...]

    @property
    def amount(self) -> int:
        return len(self.lefts) * len(self.tops)


def plan_tiles(size: Size, spec: ModelSpec) -> Tiles:
    """Tiles of the model's own size that cover a picture of `size` pixels, on its grid of tokens."""
    multiple = spec.size_multiple
    tile = Size(*(min(own, -(-side // multiple) * multiple) for own, side in zip(spec.size, size, strict=True)))
    lefts, tops = (_place(side, one, multiple) for side, one in zip(size, tile, strict=True))
    return Tiles(tile, lefts, tops)


def list_places(tiles: Tiles) -> Iterator[tuple[int, int]]:
    """(left, top) of each, row by row."""
    return ((left, top) for top in tiles.tops for left in tiles.lefts)


def _place(length: int, tile: int, multiple: int) -> tuple[int, ...]:
    """Where tiles start so that they lie evenly over `length` pixels."""
    if length <= tile:
        return (0,)
    overlap = tile // OVERLAP
    count = -(-(length - overlap) // (tile - overlap))
    last = -(-(length - tile) // multiple)  # in tokens
    return tuple(round(last * number / (count - 1)) * multiple for number in range(count))


def find_limit(spec: ModelSpec, own: Size) -> str:
    """Why the model can't enlarge a picture of this size by itself, as a sentence; "" where it can."""
    if spec.pictures != "tokens" or not spec.max_references:
        return f"{spec.subject} makes no new detail for a picture that is there: it is enlarged by Lanczos alone."
    if max(own) > MAX_ASPECT * min(own):
        return f"A picture of {own} is too long and thin for {spec.called}: it is enlarged by Lanczos alone."
    return ""


def find_words(spec: ModelSpec) -> str:
    """What the model is asked for where nobody says anything else."""
    if not spec.takes_text:
        return ""
    if sees_whole(spec):
        return PART_WORDS.format(spec.mention.format(1), spec.mention.format(2))
    return TILE_WORDS


def count_steps(spec: ModelSpec) -> int:
    """Of each tile, where nobody says another number."""
    return FEW if spec.steps <= 2 * FEW else MORE


def sees_whole(spec: ModelSpec) -> bool:
    """Whether the model takes the whole picture beside each tile."""
    return (spec.trained_references or spec.max_references) > 1
