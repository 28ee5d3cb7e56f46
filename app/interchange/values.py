"""What other programs' files hold, made into what a board may hold: text, lengths, cameras, pictures as takes.

What had to be changed is noted.
"""

import codecs
import re
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any, TypedDict

import msgspec
import numpy as np

from mlx_model.errors import FluxLocalError, RequestError

from ..board.camera import ANGLES, MOVES, SHOTS, Camera, Frame, keep_inside
from ..board.data import DEFAULT_SECONDS, Panel
from ..board.panel_job import import_take
from ..board.rules import MAX_SECONDS, keep_take
from ..pictures.images import Given, inspect
from .files import Source

LONGEST = 20_000  # characters of one caption; ten times what fits a page
BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
HEAD = 1000  # characters that are looked at
BREAKS = re.compile("\r\n?|[\u2028\u2029\x85]")
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff\U0001fffe\U0001ffff]")
SURROGATES = re.compile("[\ud800-\udfff]")


def clean(text: object, longest: int = LONGEST) -> str:
    r"""Line ends as \n, no control characters, no lone surrogates, at most `longest` characters; "" for no text."""
    if not isinstance(text, str):
        return ""
    text = SURROGATES.sub("\ufffd", UNPRINTABLE.sub("", BREAKS.sub("\n", text)))
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def clean_line(text: object, longest: int = 200) -> str:
    """`clean` on a single line: titles, names, headings."""
    return clean(" ".join(clean(text).split()), longest)


def decode(data: bytes, name: str, notes: list[str]) -> str:
    """UTF-8 or UTF-16, else Windows' Western European with a note. Raises RequestError for no text."""
    encoding = next((encoding for mark, encoding in BOMS if data.startswith(mark)), "") or _guess_encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
        notes.append(f"{name} is not in UTF-8: it was read as Western European. Check the accents.")
    kept = text.rstrip("\0\x1a")
    if text[len(kept) :].startswith("\x1a"):  # the end of a text on old systems, and what they fill a block with
        text = kept
    if "\0" in text:
        raise RequestError(f"{name} is not a text file.", "Export it again as plain text.")
    return text


def _guess_encoding(data: bytes) -> str:
    """Every other byte of a Latin text in UTF-16 is zero; no other text has such bytes."""
    head = data[: 2 * HEAD]
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if len(head) > 2 and zeros.count(0) > 0.7 * len(zeros):
            return encoding
    return "utf-8"


class Words(TypedDict):
    """The texts of a panel."""

    prompt: str
    action: str
    dialogue: str
    notes: str


def read_words(given: Mapping[str, object]) -> Words:
    """Those of a row or object that calls them the same; "" for what is missing; a number is its text."""
    values = (given.get(name) for name in ("prompt", "action", "dialogue", "notes"))
    prompt, action, dialogue, notes = (clean(str(v) if type(v) in (int, float) else v) for v in values)
    return Words(prompt=prompt, action=action, dialogue=dialogue, notes=notes)


def read_number(value: object) -> float | None:
    """A number, or a text that is one; None for anything else, and for what is too large for any use."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value.strip().replace(",", ".")) if isinstance(value, str) else float(value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


def read_seconds(value: object, where: str, notes: list[str], told: object = None) -> float:
    """A length that is longer than nothing and at most an hour; DEFAULT_SECONDS where the file gives none.

    `told`: as the file has it, where it counts in something else.
    """
    if value is None or value == "":
        return DEFAULT_SECONDS
    number = read_number(value)
    if number is not None and 0 < number <= MAX_SECONDS:
        return number
    value = value if told is None else told
    shown = f"{value:.12g}" if isinstance(value, float) else str(value) if len(str(value)) < 40 else "too many digits"
    notes.append(f"{where} has no usable length ({clean_line(shown, 40)}); it got {DEFAULT_SECONDS:g} seconds.")
    return DEFAULT_SECONDS


def read_camera(given: Camera, where: str, notes: list[str]) -> Camera:
    """The words that we know, in any case; others are dropped with a note."""
    return Camera(
        _match_word(given.shot, SHOTS, where, notes),
        _match_word(given.angle, ANGLES, where, notes),
        _match_word(given.move, MOVES, where, notes),
    )


def read_frame(given: Any) -> Frame | None:
    """What the camera sees, as our own timelines keep it; None for anything else."""
    told = [given.get(name) for name in ("x", "y", "width")] if hasattr(given, "get") else []
    numbers = [float(one) for one in told if isinstance(one, int | float) and abs(one) <= 1]
    return keep_inside(*numbers) if len(numbers) == 3 else None


def _match_word(word: str, words: tuple[str, ...], where: str, notes: list[str]) -> str:
    found = next((known for known in words if known.lower() == word.lower()), None)
    if found is None:
        notes.append(f"{where}: the camera's {word[:40]!r} is not one of {', '.join(filter(None, words))}.")
    return found or ""


def add_take(panel: Panel, given: np.ndarray | Given, name: str, source: Source) -> Panel:
    """`panel` with one more take, the current one, of a file or (H, W, 3) uint8 sRGB; it has no request."""
    picture = msgspec.structs.replace(source.put_picture(given), name=clean_line(name, 120))
    return keep_take(panel, import_take(picture), True)


def add_file(panel: Panel, path: Path, source: Source) -> Panel:
    """`panel` with the picture of `path`; without it, and a note, where that can't be used."""
    try:
        return add_take(panel, inspect(path, source.notes), path.name, source)
    except FluxLocalError as error:
        source.notes.append(error.message)
        return panel
