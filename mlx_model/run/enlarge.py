"""Enlarging by a model: tile after tile, each a short run from the plainly enlarged picture.

Neighbours share the noise where they overlap, see the same whole picture, keep the tones of what is enlarged, and fade
into each other, so that no border shows. Only one tile is in the works at a time: the memory beside the picture itself
does not grow with its size. What is done of a picture is kept on the disk, so that one that was stopped goes on.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import mlx.core as mx
import numpy as np

from ..enlarging import Tiles, find_limit, list_places, plan_tiles, sees_whole
from ..events import Done, Event, Loaded, Note, Preview, Stage, Step
from ..geometry import Size
from ..request import Reference, Request, check, demand
from ..store.cache import name_entry
from . import noise
from .pictures import keep_tones, resize
from .references import fingerprint

if TYPE_CHECKING:
    from .pipeline import Pipeline

MARGIN = 8  # pixels of the source around a tile, for Lanczos to reach into
SHOWN = 1024  # pixels a side of a preview
MOST = 200  # steps of the schedule that a start is looked for on


def enlarge(pipe: Pipeline, request: Request, previews: bool = False) -> Generator[Event, None, None]:
    """Yields Loaded, Stage, Note, Step, Preview (after each tile) and at last Done; closing it cancels within a step.

    `request.enlarge` says how many times. Raises what Pipeline.run raises.
    """
    began = time.perf_counter()
    request = check(request, pipe.spec)
    source = demand(request.references[0].pixels)
    if limit := find_limit(pipe.spec, Size.of(source)):
        yield Note(limit)
        pixels = resize(source, request.size)
    else:
        pixels = yield from _Run(pipe, request, source).make(previews)
    yield Done(time.perf_counter() - began, seed=request.seed, pixels=pixels)


class _Run:
    """The tiles of one picture; `source` is it, (H, W, 3) uint8, before it is enlarged."""

    def __init__(self, pipe: Pipeline, request: Request, source: np.ndarray):
        self.pipe, self.request, self.source, self.digest = pipe, request, source, fingerprint(source)
        self.tiles = plan_tiles(request.size, pipe.spec)
        self.part = self._cut()
        self.total = self.tiles.amount * demand(request.steps)
        self.ran, self.began = 0, time.perf_counter()  # steps that took time, since

    def _cut(self) -> Request:
        """The request for one tile, with places for its pictures, which have no pixels yet."""
        spec, tile = self.pipe.spec, self.tiles.size
        references = tuple(Reference(name=name) for name in ("tile", "whole")[: 1 + sees_whole(spec)])
        part = replace(self.request, enlarge=None, references=references, width=tile.width, height=tile.height)
        return _shorten(self.pipe, check(replace(part, strength=None), spec), self.request)

    def make(self, previews: bool) -> Generator[Event, None, np.ndarray]:
        """The enlarged picture."""
        tiles, found = self.tiles, 0
        canvas = Canvas(tiles, self.request.size, self.source)
        yield Note(f"{_say_tiles(tiles.amount)} of {tiles.size}.")
        yield Stage("denoise", total=self.total)
        for number, (left, top) in enumerate(list_places(tiles)):
            plain = cut(self.source, Size(left, top), tiles.size, demand(self.request.enlarge))
            pixels = self._recall((left, top))
            found += pixels is not None
            if pixels is None:
                pixels = yield from self._make_one(plain, (left, top), number)
                self._keep((left, top), pixels)
            canvas.add(keep_tones(pixels, plain), left, top)
            if previews and number + 1 < tiles.amount:
                yield Preview(number + 1, pixels=canvas.seen)
        if found:
            yield Note(f"{_say_tiles(found)} had been made before.")
        return canvas.pixels

    def _make_one(self, plain: np.ndarray, place: tuple[int, int], number: int) -> Generator[Event, None, np.ndarray]:
        """One tile; of its events those that mean something for the whole picture."""
        shown = zip(self.part.references, (plain, self.source), strict=False)
        references = tuple(replace(one, pixels=pixels) for one, pixels in shown)
        self.pipe.given_noise = share_noise(self.request.seed, place, self.part.size, self.pipe)
        try:
            with closing(self.pipe.run(replace(self.part, references=references))) as events:
                for event in events:
                    if isinstance(event, Done):
                        return demand(event.pixels)
                    if isinstance(event, Step):
                        yield self._count(number * event.total + event.step)
                    elif isinstance(event, Loaded) and not self.ran:
                        yield event
        finally:
            self.pipe.given_noise = None
        raise RuntimeError("A run ended without a picture.")

    def _count(self, step: int) -> Step:
        """That this step of all is done."""
        self.ran += 1
        spent = time.perf_counter() - self.began
        return Step(step, self.total, round(spent, 3), round(spent / self.ran * (self.total - step), 3))

    def _recall(self, place: tuple[int, int]) -> np.ndarray | None:
        """A tile that a run before this one has finished: (H, W, 3) uint8."""
        kept = None if self.pipe.cache is None else self.pipe.cache.get(self._name(place))
        return None if kept is None else np.array(kept).astype(np.uint8)

    def _keep(self, place: tuple[int, int], pixels: np.ndarray) -> None:
        if self.pipe.cache is not None:  # float16 has every whole number up to 2048
            self.pipe.cache.put(self._name(place), mx.array(pixels.astype(np.float16)))

    def _name(self, place: tuple[int, int]) -> str:
        """What a finished tile is called on the disk: by all that decides it."""
        loras = tuple((lora.sha256 or lora.path, lora.scale) for lora in self.part.loras)
        part = replace(self.part, loras=()).to_json()
        key = ("tile", self.digest, self.request.enlarge, place, part, loras)
        return name_entry(self.pipe.folder, self.pipe.folder.components, self.pipe.dtype, key)


def _say_tiles(count: int) -> str:
    return "1 tile" if count == 1 else f"{count} tiles"


def _shorten(pipe: Pipeline, part: Request, request: Request) -> Request:
    """`part` with as many steps as the schedule needs to have the wanted number left at the wanted time.

    A model of four steps has its last one start at 0.7, which would paint another picture.
    """
    left, strength = demand(request.steps), demand(request.strength)
    rows, columns = pipe.grid(part)

    def miss(steps: int) -> float:
        times = pipe.family.schedule(pipe, replace(part, steps=steps), rows * columns)
        return abs(float(times[steps - left]) - strength)

    steps = min(range(left, MOST + 1), key=miss)
    return replace(part, steps=steps, strength=(left - 0.5) / steps, seed=request.seed)


def share_noise(seed: int, place: tuple[int, int], size: Size, pipe: Pipeline) -> np.ndarray:
    """(N, C) of the tile at `place` (left, top): each row of tokens of the whole picture has a stream of its own."""
    side = pipe.spec.size_multiple
    left, top = (start // side for start in place)
    rows, columns = size.grid(side)
    drawn = [noise.normal(seed, (left + columns, pipe.channels), 1 + top + row)[left:] for row in range(rows)]
    return np.concatenate(drawn)


def cut(source: np.ndarray, start: Size, size: Size, factor: int) -> np.ndarray:
    """The part of the plainly enlarged picture that begins at `start` (left, top); beyond it its edge goes on."""
    whole = Size.of(source)
    first = [max(0, at // factor - MARGIN) for at in start]
    end = [min(side, -(-(at + long) // factor) + MARGIN) for side, at, long in zip(whole, start, size, strict=True)]
    part = source[first[1] : end[1], first[0] : end[0]]
    large = resize(part, Size(part.shape[1] * factor, part.shape[0] * factor))
    left, top = (at - from_ * factor for at, from_ in zip(start, first, strict=True))
    found = large[top : top + size.height, left : left + size.width]
    lacking = (0, size.height - found.shape[0]), (0, size.width - found.shape[1]), (0, 0)
    padded: np.ndarray = np.pad(found, lacking, mode="edge")
    return padded


class Canvas:
    """The picture that tiles fade into: along a row first, then the row into those above."""

    def __init__(self, tiles: Tiles, size: Size, source: np.ndarray):
        self.tiles, self.size = tiles, size
        shown = min(1.0, SHOWN / max(size))
        self.seen = resize(source, Size(*(max(1, round(side * shown)) for side in size))).copy()  # a preview
        canvas = Size(tiles.lefts[-1] + tiles.size.width, tiles.tops[-1] + tiles.size.height)
        self._whole = np.zeros((canvas.height, canvas.width, 3), np.uint8)
        self._row = np.zeros((tiles.size.height, canvas.width, 3), np.uint8)
        self._end = Size(0, 0)  # how far there is something

    def add(self, pixels: np.ndarray, left: int, top: int) -> None:
        """A tile at (left, top); they come row by row."""
        self._show(pixels, left, top)
        if left == 0:
            self._end = Size(0, self._end.height)
        _fade(self._row, pixels, left, self._end.width, axis=1)
        self._end = Size(left + pixels.shape[1], self._end.height)
        if left == self.tiles.lefts[-1]:
            _fade(self._whole, self._row, top, self._end.height, axis=0)
            self._end = Size(self._end.width, top + pixels.shape[0])

    def _show(self, pixels: np.ndarray, left: int, top: int) -> None:
        """In the preview, without fading."""
        shown, inside = min(1.0, SHOWN / max(self.size)), pixels[: self.size.height - top, : self.size.width - left]
        at = round(left * shown), round(top * shown)
        room = self.seen[at[1] :, at[0] :]
        small = resize(inside, Size(*(max(1, round(side * shown)) for side in Size.of(inside))))
        small = small[: room.shape[0], : room.shape[1]]
        room[: small.shape[0], : small.shape[1]] = small

    @property
    def pixels(self) -> np.ndarray:
        whole: np.ndarray = self._whole[: self.size.height, : self.size.width]
        return whole


def _fade(canvas: np.ndarray, pixels: np.ndarray, start: int, end: int, axis: int) -> None:
    """Put `pixels` onto the canvas from `start` on; up to `end` something is there already, and gives way evenly."""
    overlap, onto = max(0, end - start), [slice(None)] * 3
    onto[axis] = slice(start, start + pixels.shape[axis])
    share = np.ones(pixels.shape[axis], np.float32)
    share[:overlap] = (np.arange(overlap, dtype=np.float32) + 0.5) / max(1, overlap)
    share = share.reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
    below = canvas[tuple(onto)]
    canvas[tuple(onto)] = np.round(below + share * (pixels.astype(np.float32) - below)).astype(np.uint8)
