"""Bounding boxes in a FLUX.3 prompt: a caption that cites `<id>` tags, then a JSON list that places them.

A box is [top, left, bottom, right] on a grid of 0..1000 over the picture. A row of a new picture has `bbox`; a row of
an edit says which picture it is `from` and where it was and will be (None: it is removed, or it was not there).
Source: diffusers 0.42 modular_pipelines/flux3/prompt_upsampler.py, after black-forest-labs/flux-3-image-klein
src/flux3/bbox.py.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count

from .errors import RequestError, say_reason

GRID = 1000
ID = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
CITED = re.compile(r"<([A-Za-z][A-Za-z0-9_]*)>")
REFERENCE = re.compile(r"<ref_image_(\d+)>")
LIST = re.compile(r'\[\s*\{\s*"')
PLACES = {"bbox": "bbox", "src_bbox": "source", "tgt_bbox": "target"}  # keys of a row -> fields of a Box
KEYS = {"id", "desc", "from", *PLACES}
EXAMPLE = 'It reads: a dog <dog_1> in a field [{"id": "dog_1", "bbox": [200, 100, 900, 500], "desc": "a black dog"}]'
TARGET = "target"  # the picture being made

Corners = tuple[int, int, int, int]  # top, left, bottom, right


@dataclass(frozen=True)
class Box:
    """One element: `bbox`; or `origin` ("ref_image_1", "target" for something new) with `source` and `target`."""

    id: str
    description: str = ""
    bbox: Corners | None = None
    origin: str = ""
    source: Corners | None = None
    target: Corners | None = None

    def row(self) -> dict:
        """The entry of the list, its keys in the order of training."""
        if self.bbox is not None:
            return {"id": self.id, "bbox": list(self.bbox), "desc": self.description}
        corners = [list(box) if box else None for box in (self.source, self.target)]
        row = {"id": self.id, "from": self.origin, "src_bbox": corners[0], "tgt_bbox": corners[1]}
        return {**row, "desc": self.description}


def on_grid(top: float, left: float, bottom: float, right: float) -> Corners:
    """Fractions of the picture's height and width -> corners on the grid."""
    a, b, c, d = (round(max(0.0, min(1.0, side)) * GRID) for side in (top, left, bottom, right))
    return a, b, c, d


def check_boxes(prompt: str, references: int = 0) -> str:
    """A prompt that may hold a list of boxes, as JSON -> the same with the list checked, in the form of training.

    Raises RequestError: the list can't be read, or a box is not usable.
    """
    return with_boxes(*split_boxes(prompt), references)


def split_boxes(prompt: str) -> tuple[str, list[Box]]:
    """The caption, and the boxes of its list, not yet checked. Raises RequestError where the list can't be read."""
    found = LIST.search(prompt)
    if not found:
        return prompt, []
    try:
        rows, end = json.JSONDecoder().raw_decode(prompt, found.start())
        boxes = [_box(row) for row in rows]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RequestError(f"The list of boxes in the prompt can't be read: {say_reason(error)}.", EXAMPLE) from error
    return f"{prompt[: found.start()].rstrip()} {prompt[end:].strip()}".strip(), boxes


def add_boxes(prompt: str, placed: Iterable[tuple[str, Corners]], edit: bool = False) -> str:
    """The prompt, which may hold boxes, with more: (words, place) of each, cited behind the caption by their words.

    `edit`: there are pictures to work from, in none of which they are. Raises RequestError as split_boxes does.
    """
    (caption, boxes), cited = split_boxes(prompt), []
    taken = {box.id for box in boxes} | set(CITED.findall(caption))
    names = (name for name in map("box_{}".format, count(1)) if name not in taken)
    for (words, corners), name in zip(placed, names, strict=False):
        place = {"origin": TARGET, "target": corners} if edit else {"bbox": corners}
        boxes.append(Box(name, words, **place))
        cited.append(f"{words.rstrip('.,;: ')} <{name}>")
    if not cited:
        return prompt
    caption = caption.rstrip()
    joined = f"{caption} " if not caption or caption[-1] in ".!?…,;:" else f"{caption}. "
    return f"{joined}{', '.join(cited)}. {_list_rows(boxes)}".strip()


def _list_rows(boxes: list[Box]) -> str:
    return json.dumps([box.row() for box in boxes], ensure_ascii=False)


def _box(row: dict) -> Box:
    """A row of the list. Raises ValueError, TypeError, AttributeError for anything else."""
    odd = [key for key in row if key not in KEYS]
    if odd or not isinstance(row.get("id"), str) or not all(isinstance(row.get(k, ""), str) for k in ("desc", "from")):
        raise ValueError(f"a box has an id, a desc and a place, not {odd or row}")
    corners = {name: _corners(row.get(key)) for key, name in PLACES.items()}
    return Box(row["id"], row.get("desc", ""), origin=row.get("from", ""), **corners)


def _corners(values: list | None) -> Corners | None:
    if values is None:
        return None
    if len(values) != 4 or not all(type(value) is int for value in values):
        raise ValueError(f"a place is four whole numbers, not {values}")
    return values[0], values[1], values[2], values[3]


def with_boxes(caption: str, boxes: list[Box], references: int = 0) -> str:
    """The prompt for the text encoder. Without boxes it is the caption. Raises RequestError naming the box."""
    for number in map(int, REFERENCE.findall(caption)):
        if not 1 <= number <= references:
            raise RequestError(f"The prompt cites <ref_image_{number}>, and there are {references} references.")
    if not boxes:
        return caption
    ids = [box.id for box in boxes]
    for box in boxes:
        _check(box, caption, references)
        if ids.count(box.id) > 1:
            raise RequestError(f"Two boxes are called {box.id!r}.", "Give each its own id.")
    return f"{caption.rstrip()} {_list_rows(boxes)}"


def _check(box: Box, caption: str, references: int) -> None:
    if not ID.fullmatch(box.id):
        raise RequestError(f"{box.id!r} can't be the id of a box.", "Use a letter, then letters, digits or _.")
    if f"<{box.id}>" not in caption:
        raise RequestError(f"The prompt does not cite the box {box.id!r}.", f"Write <{box.id}> where it is mentioned.")
    corners = [corner for corner in (box.bbox, box.source, box.target) if corner is not None]
    if not corners or (box.bbox is not None and len(corners) > 1):
        raise RequestError(f"The box {box.id!r} needs either a place, or where it was and where it goes.")
    for corner in corners:
        _check_corners(box.id, corner)
    if box.bbox is None:
        _check_origin(box, references)


def _check_corners(name: str, corners: Corners) -> None:
    top, left, bottom, right = corners
    if not (0 <= top < bottom <= GRID and 0 <= left < right <= GRID):
        raise RequestError(
            f"The box {name!r} has the corners {list(corners)}.", f"Top, left, bottom, right on a grid of 0 to {GRID}."
        )


def _check_origin(box: Box, references: int) -> None:
    known = {TARGET, *(f"ref_image_{number}" for number in range(1, references + 1))}
    if box.origin not in known:
        raise RequestError(f"The box {box.id!r} comes from {box.origin!r}.", f"Use one of: {', '.join(sorted(known))}.")
    if (box.origin == TARGET) == (box.source is not None):
        raise RequestError(f"The box {box.id!r}: only what is in a reference has a former place.")
