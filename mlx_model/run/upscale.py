"""Enlarging by Swin2SR, tile by tile: neighbours overlap and fade into each other, so that no border shows, and memory
beside the picture itself does not grow with its size.

Source of the preparation: transformers models/swin2sr image_processing. Numbers from 0 to 1, mirrored at the edges up
to whole windows; the further window that it always adds is left out.
"""

import time
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from ..enlarging import list_places, plan_tiles
from ..errors import NotFinite
from ..events import Event, Stage, Step
from ..geometry import Size
from ..helpers import find_enlarger
from ..nets.swin2sr import Params, Swin2SR
from ..specs import ModelSpec
from ..store.published import load_published
from .enlarge import Canvas


def open_upscaler(file: Path, sizes: Mapping[str, Any]) -> Swin2SR:
    """The published checkpoint, strictly; `sizes`: Params. Raises LayoutError naming what does not fit."""
    params = Params(**sizes)
    row = find_enlarger(params.upscale)
    return load_published(Swin2SR(params), file, row.title if row else "Swin2SR")


def upscale(net: Swin2SR, pixels: np.ndarray, row: ModelSpec) -> Generator[Event, None, np.ndarray]:
    """(H, W, 3) uint8 -> (f H, f W, 3) uint8. Yields Stage and a Step after each layer of each tile, which is seconds
    apart on a CPU at most; closing it cancels there.

    Raises NotFinite where a tile comes out as no numbers.
    """
    factor, began, step = net.params.upscale, time.perf_counter(), 0
    size = Size(*(factor * side for side in Size.of(pixels)))
    tiles = plan_tiles(size, row)
    total = tiles.amount * (net.stops + 1)
    canvas = Canvas(tiles, size, pixels)
    yield Stage("enlarge", total=total)
    for left, top in list_places(tiles):
        parts = _enlarge_tile(net, pixels, Size(left, top), tiles.size)
        while isinstance(made := next(parts), mx.array):
            mx.eval(made)
            step += 1
            yield _count(step, total, began)
        canvas.add(made, left, top)
        step += 1
        yield _count(step, total, began)
    return canvas.pixels


def _count(step: int, total: int, began: float) -> Step:
    spent = time.perf_counter() - began
    return Step(step, total, round(spent, 3), round(spent / step * (total - step), 3))


def _enlarge_tile(net: Swin2SR, pixels: np.ndarray, start: Size, size: Size) -> Iterator[mx.array | np.ndarray]:
    """What there is after each layer, unmade, then the part of the enlarged picture from `start` (left, top) on."""
    factor = net.params.upscale
    part = _cut(pixels, *(Size(*(side // factor for side in one)) for one in (start, size)))
    made = np.array((yield from net.run(mx.array(part.astype(np.float32) / 255)[None]))[0])
    if not np.isfinite(made).all():
        raise NotFinite("A part of the picture came out as no numbers.")
    yield np.rint(np.clip(made, 0, 1) * 255).astype(np.uint8)


def _cut(pixels: np.ndarray, start: Size, size: Size) -> np.ndarray:
    """A part of the picture; beyond its edge it is mirrored."""
    (left, top), (width, height) = start, size
    part = pixels[top : top + height, left : left + width]
    lacking = (0, height - part.shape[0]), (0, width - part.shape[1]), (0, 0)
    padded: np.ndarray = np.pad(part, lacking, mode="symmetric")
    return padded
