"""Rows of a data set as what the trainer takes: opened, checked against the model, put into buckets."""

import hashlib
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from app.base.words import say_count
from app.pictures import images, inputs
from mlx_model.errors import FluxLocalError
from mlx_model.events import Event, Note, Stage, Step
from mlx_model.geometry import Size
from mlx_model.request import Reference, Request, check
from mlx_model.specs import ModelSpec
from mlx_model.training.examples import Example, Source, choose_bucket

from .dataset import Row, Rows, is_file, tell_faults

T = TypeVar("T")


def open_examples(data: Path, found: Rows, spec: ModelSpec, area: int | None) -> Generator[Event, None, list[Source]]:
    """Every example that was `found` in `data`, for a model; `area` in pixels is that of its buckets.

    Opens each picture once, to find what can't be used. Raises RequestError with all faults together.
    """
    yield Stage("verify", data.name, len(found.rows))
    sources: list[Source] = []
    faults, opened = list(found.faults), dict[Row, Source | None]()  # a row may count several times
    for number, row in enumerate(found.rows, 1):
        if row not in opened:
            opened[row] = _open_row(row, spec, area, faults)
        if source := opened[row]:
            sources.append(source)
        yield Step(number, len(found.rows), 0.0, 0.0)
    for row in found.faulty:
        _examine(row, spec, area, faults, missing=True)
    tell_faults(data, faults)
    for text in (*found.notes, _say_buckets(sources)):
        yield Note(text)
    return sources


def _open_row(row: Row, spec: ModelSpec, area: int | None, faults: list[str]) -> Source | None:
    """The source of a row, or all its faults."""
    before, size = len(faults), _examine(row, spec, area, faults)
    if len(faults) > before:
        return None
    return Source(row.name, _key(row, size), row.prompt, row.label, size, partial(open_example, row, spec, area))


def _examine(row: Row, spec: ModelSpec, area: int | None, faults: list[str], missing: bool = False) -> Size:
    """The bucket of a row; everything that is wrong with it joins the faults, each picture by itself.

    `missing`: which of its files are not there is told already.
    """

    def look(act: Callable[[], T]) -> T | None:
        try:
            return act()
        except FluxLocalError as error:
            faults.append(f"{row.name}: {error.message}")
            return None

    def open_(path: Path, act: Callable[[], T]) -> T | None:
        return None if missing and not is_file(path) else look(act)

    pixels = open_(row.picture, partial(images.open_picture, row.picture))
    pixels = np.broadcast_to(np.uint8(0), (spec.size.height, spec.size.width, 3)) if pixels is None else pixels
    opened = [open_(path, partial(inputs.load_reference, path, [])) for path in row.references]
    request = _make_example(row, pixels, tuple(one or Reference() for one in opened), spec, area).request
    look(partial(check, request, spec))
    return request.size


def open_example(row: Row, spec: ModelSpec, area: int | None) -> Example:
    """The pictures of a row, in its bucket. Raises RequestError for one that can't be used."""
    references = tuple(inputs.load_reference(path, []) for path in row.references)
    return _make_example(row, images.open_picture(row.picture), references, spec, area)


def _make_example(
    row: Row, pixels: np.ndarray, references: tuple[Reference, ...], spec: ModelSpec, area: int | None
) -> Example:
    width, height = choose_size(Size.of(pixels), spec, area)
    return Example(Request(spec.name, row.prompt, width, height, references=references, label=row.label), pixels)


def choose_size(own: Size, spec: ModelSpec, area: int | None) -> Size:
    """The bucket of a picture, or the only size that the model knows."""
    if spec.min_side == spec.size.width and spec.max_pixels == spec.size.area:
        return spec.size  # positions are part of its weights
    return choose_bucket(own, area or spec.size.area, spec.size_multiple)


def _key(row: Row, size: Size) -> str:
    """What the files of a row hold, and the size that is made of them."""
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (row.picture, *row.references)]
    return f"{size} {' '.join(sums)}"


def _say_buckets(sources: list[Source]) -> str:
    sizes = [source.size for source in sources]
    counts = sorted(((sizes.count(size), size) for size in set(sizes)), reverse=True)
    shown = ", ".join(f"{count} at {size}" for count, size in counts[:6])
    return f"{say_count(len(sources), 'example')}: {shown}{' ...' if len(counts) > 6 else ''}."
