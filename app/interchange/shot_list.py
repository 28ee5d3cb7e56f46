"""The shot list as CSV, for spreadsheets; and back in.

A spreadsheet runs cells that begin with = + - @ as formulas: those get an apostrophe in front, which `load` takes off.
"""

import csv
import io
import re
from pathlib import Path

from mlx_model.errors import RequestError, say_reason
from mlx_model.files import write_new

from ..board.camera import Camera
from ..board.data import Board, Panel, Scene, new_id
from .files import Source, read_document
from .job import Entry, Job, format_timecode
from .values import clean, clean_line, decode, read_camera, read_seconds, read_words

COLUMNS = (
    "panel", "scene", "heading", "shot", "angle", "move", "seconds", "frames", "start", "action", "dialogue", "notes",
    "prompt", "takes",
)  # fmt: skip
OTHERS = {  # what other programs and people call them
    "seconds": ("duration", "length", "time", "sec", "secs", "duration (s)"), "action": ("description", "visual"),
    "dialogue": ("dialog",), "notes": ("note", "comment", "comments", "remarks"), "move": ("movement",),
    "shot": ("shot size", "size"), "angle": ("camera angle",), "heading": ("scene heading", "slugline", "location"),
}  # fmt: skip
UNIT = re.compile(r"([0-9]+(?:[.,][0-9]+)?)\s*(ms|s|sec|secs|seconds?|min|minutes?|f|fr|frames?)\.?", re.IGNORECASE)
CLOCK = re.compile(r"(?:([0-9]{1,2}):)?([0-9]{1,3}):([0-9]{1,2}(?:[.,][0-9]+)?)(?:[:;]([0-9]{2,3}))?")
SHOWN = 8  # names in a note
DEFAULT_RATE = 24
FORMULA = tuple("=+-@\t\r'")


def export(job: Job) -> Path:
    """UTF-8 with a mark, so that Excel shows accents; tabs where the name ends so."""
    table = io.StringIO(newline="")
    writer = csv.writer(table, delimiter="\t" if job.out.suffix.lower() == ".tsv" else ",")
    writer.writerow(COLUMNS)
    writer.writerows([_guard(value) for value in _format_row(job, entry)] for entry in job.walk())
    return write_new(job.out, lambda handle: handle.write(table.getvalue().encode("utf-8-sig")), job.force)


def _format_row(job: Job, entry: Entry) -> list[str]:
    panel = entry.panel
    times = f"{panel.seconds:g}", str(entry.frames), format_timecode(entry.start, job.board.rate)
    words = panel.action, panel.dialogue, panel.notes, panel.prompt or panel.instruction
    place = entry.number, entry.scene_number, entry.scene.heading
    return [*place, panel.camera.shot, panel.camera.angle, panel.camera.move, *times, *words, str(len(panel.takes))]


def _guard(value: str) -> str:
    value = clean(value)
    return f"'{value}" if value.startswith(FORMULA) else value


def _unguard(value: str) -> str:
    return value[1:] if value.startswith("'") and value[1:].startswith(FORMULA) else value


def load(source: Source) -> Board:
    """A board of the rows; a new scene where `scene` or `heading` changes. Columns may be missing or more.

    Raises RequestError for a table without any of our columns, or that is no CSV.
    """
    text = decode(read_document(source.path), source.path.name, source.notes)
    rows = _read_rows(text, source)
    scenes: list[tuple[tuple[str, str], list[Panel]]] = []
    for number, row in enumerate(rows, 2):
        key = clean_line(row.get("scene")), clean_line(row.get("heading"))
        if not scenes or scenes[-1][0] != key:
            scenes.append((key, []))
        scenes[-1][1].append(_read_panel(row, f"Row {number}", source))
    return Board(
        new_id(),
        clean_line(source.path.stem) or "Untitled",
        source.aspect,
        scenes=tuple(Scene(new_id(), heading, tuple(panels)) for (_, heading), panels in scenes),
    )


def _read_rows(text: str, source: Source) -> list[dict[str, str]]:
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), delimiter=_guess_delimiter(text)))
    except csv.Error as error:
        raise RequestError(f"{source.path} is not a table ({say_reason(error)}).", "Save it as CSV again.") from error
    names = _name_columns([clean_line(name).lower() for name in table[0]]) if table else []
    if not set(COLUMNS) & set(names):
        raise RequestError(f"{source.path} has none of a shot list's columns.", f"Name them {', '.join(COLUMNS)}.")
    _note_unused(names, table[1:], source.notes)
    rows = [dict(zip(names, map(_unguard, row), strict=False)) for row in table[1:] if any(row)]
    if not rows:
        raise RequestError(f"{source.path} has no rows.", "Give every panel a row below the names of the columns.")
    return rows


def _name_columns(given: list[str]) -> list[str]:
    """Ours for the first that others call so, where the table has no column of our name."""
    known = {name: next((one for one in given if one in others), "") for name, others in OTHERS.items()}
    ours = {other: name for name, other in known.items() if name not in given}
    return [ours.get(name, name) for name in given]


def _note_unused(names: list[str], rows: list[list[str]], notes: list[str]) -> None:
    """Columns with words in them that no panel has a place for; of two with the same name the last is used."""
    used = {len(names) - 1 - names[::-1].index(name) for name in set(COLUMNS) & set(names)}
    filled = {place for row in rows for place, cell in enumerate(row) if cell.strip()}
    called = dict(enumerate(names))
    left_out = [called.get(place, "")[:40] or f"number {place + 1}" for place in sorted(filled - used)]
    if left_out:
        shown = ", ".join(left_out[:SHOWN]) + (" ..." if len(left_out) > SHOWN else "")
        notes.append(f"Columns that a panel has no place for were left out: {shown}.")


def _guess_delimiter(text: str) -> str:
    """Spreadsheets of countries with a decimal comma separate by semicolons."""
    names = text[: text.find("\n") if "\n" in text else len(text)]
    return max(",;\t", key=names.count)


def _read_panel(row: dict[str, str], where: str, source: Source) -> Panel:
    shot, angle, move = (clean_line(row.get(name)) for name in ("shot", "angle", "move"))
    camera = read_camera(Camera(shot, angle, move), where, source.notes)
    return Panel(new_id(), camera=camera, seconds=_read_length(row, where, source), **read_words(row))


def _read_length(row: dict[str, str], where: str, source: Source) -> float:
    """In seconds: a number, one with its unit, a time on the clock or a timecode; else the number of frames.

    A table does not say its frame rate: that is told where frames count.
    """
    text, frames = (row.get(name, "").strip() for name in ("seconds", "frames"))
    text = text or (f"{frames} f" if frames else "")
    unit, clock = UNIT.fullmatch(text), CLOCK.fullmatch(text)
    counted = (unit and unit[2].lower().startswith("f")) or (clock and clock[4])
    rate = source.fps or DEFAULT_RATE
    if counted:
        source.notes.append(f"A table does not say its frame rate: its frames were read at {rate:g}.")
    if unit:
        sizes = {"f": 1 / rate, "ms": 1 / 1000, "mi": 60, "s": 1}
        size = next(size for name, size in sizes.items() if unit[2].lower().startswith(name))
        return read_seconds(float(unit[1].replace(",", ".")) * size, where, source.notes)
    if clock:
        hours, minutes, seconds, rest = (float((part or "0").replace(",", ".")) for part in clock.groups())
        return read_seconds(3600 * hours + 60 * minutes + seconds + rest / rate, where, source.notes)
    return read_seconds(text, where, source.notes)
