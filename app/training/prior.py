"""What a model is to keep while it learns somebody new: pictures that it makes itself before the first step.

They show others, without the new name, and edits of them: learned beside the new ones, they hold the model where it
was (the class-specific prior preservation of DreamBooth, Ruiz et al. 2208.12242).

OUT/prior/0000.png ...        made once, also by a run that is stopped in between
OUT/prior/metadata.jsonl      the table of them, as of any set; written when all are there
"""

import json
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from app.pictures import images
from mlx_model import files
from mlx_model.errors import RequestError
from mlx_model.events import Done, Event, Preview, Stage, Step
from mlx_model.geometry import Size
from mlx_model.held import is_plain
from mlx_model.request import Reference, Request, check
from mlx_model.specs import ModelSpec

if TYPE_CHECKING:
    from mlx_model.run.pipeline import Pipeline

FOLDER, TABLE = "prior", "metadata.jsonl"
SEED = 5000  # of the first picture
WHO = ("a dog", "a woman", "a robot", "a cat", "a man", "a bird", "a child", "a bear", "a fox", "a horse", "a rabbit",
       "a dragon", "a frog", "a lion", "a mouse", "a monkey")  # fmt: skip
WHERE = ("in the snow", "on the beach at sunset", "in the city at night", "in the forest", "in the desert",
         "in the room", "in the park", "in space", "in a bar")  # fmt: skip
EDITS = ("make it night", "add {other}", "move it to the beach", "replace {who} with {other}", "make it sunset",
         "take {who} away", "draw it as a sketch")  # fmt: skip


class Wish(NamedTuple):
    """A picture to be made: from words alone, or by an edit of the picture number `start`."""

    prompt: str
    start: int | None = None


def list_wishes(count: int, about: str, spec: ModelSpec) -> list[Wish]:
    """`count` of them; `about` is whom half of the pictures are of ("a dog"). Models that edit change each one, too.

    Raises RequestError for a model that makes nothing from words alone.
    """
    if not spec.takes_text or spec.needs_picture:
        raise RequestError(
            f"{spec.title} makes nothing from words alone, so it can't show what it knows.",
            "Keep no pictures, or give those of your own.",
        )
    edits = spec.max_references > 0 and spec.pictures == "tokens"
    pairs = list(_pair(about))
    wishes = []
    for number in range(count):
        who, where, edit = pairs[(number // 2 if edits else number) % len(pairs)]
        wishes.append(Wish(edit, number - 1) if edits and number % 2 else Wish(f"{who} {where}"))
    return wishes


def _pair(about: str) -> Iterator[tuple[str, str, str]]:
    """Who, where, and an edit of that picture: all of them differ for a long while."""
    for number in range(len(WHO) * len(WHERE)):
        who = about if about and number % 2 else WHO[number % len(WHO)]
        other = WHO[(5 * number + 3) % len(WHO)]
        edit = EDITS[number % len(EDITS)].format(who=f"the {who.partition(' ')[2] or who}", other=other)
        yield who, WHERE[number % len(WHERE)], edit


def make_prior(pipe: "Pipeline", wishes: list[Wish], size: Size, out: Path) -> Generator[Event, None, Path]:
    """Make what is not there yet, a Preview of each; the table of all. The pipeline has let its networks go then.

    Raises SampleError, DiskFull, RequestError.
    """
    out = out.absolute()
    table = out / FOLDER / TABLE
    if is_plain(table, out):
        return table
    yield Stage("prior", total=len(wishes))
    files.make_folders(table.parent)
    began, rows = time.monotonic(), []
    for number, wish in enumerate(wishes):
        path = _place(table.parent, number)
        if not is_plain(path, out):
            pixels = _paint(pipe, wish, SEED + number, size, table.parent)
            images.save_picture(pixels, path, None, force=True, edited=wish.start is not None, inside=out)
        rows.append(_row(wish, path))
        spent, done = time.monotonic() - began, number + 1
        yield Preview(done, str(path))
        yield Step(done, len(wishes), round(spent, 3), round(spent / done * (len(wishes) - done), 3))
    pipe.unload(*pipe.folder.components)
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    files.write_new(table, lambda stream: stream.write(text.encode()), force=True, inside=out)
    return table


def _place(folder: Path, number: int) -> Path:
    return folder / f"{number:04}.png"


def _row(wish: Wish, path: Path) -> dict[str, str]:
    """Of the table, with names beside it."""
    row = {"image": path.name, "prompt": wish.prompt}
    return row if wish.start is None else row | {"control": _place(path.parent, wish.start).name}


def _paint(pipe: "Pipeline", wish: Wish, seed: int, size: Size, folder: Path) -> np.ndarray:
    """(H, W, 3) uint8."""
    given = () if wish.start is None else (Reference(pixels=images.open_picture(_place(folder, wish.start))),)
    request = Request(pipe.spec.name, wish.prompt, *size, seed=seed, references=given)
    *_, done = pipe.run(check(request, pipe.spec))
    if not isinstance(done, Done) or done.pixels is None:
        raise RequestError("A picture of what the model knows was not made.", "Begin again in a new folder.")
    return done.pixels
