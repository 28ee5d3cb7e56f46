"""The shot list as CSV, for spreadsheets; and back in.

A spreadsheet runs cells that begin with = + - @ as formulas: those get an apostrophe in front, which `load` takes off.
"""

import csv
import io
from pathlib import Path

from mlx_model.errors import RequestError, say_reason
from mlx_model.files import write_new

from ..board.data import Board, Camera, Panel, Scene, new_id
from .files import Source, read_document
from .job import Entry, Job, format_timecode
from .values import clean, clean_line, decode, read_camera, read_seconds, read_words

COLUMNS = (
    "panel", "scene", "heading", "shot", "angle", "move", "seconds", "frames", "start", "action", "dialogue", "notes",
    "prompt", "takes",
)  # fmt: skip
SHOWN = 8  # names in a note
FORMULA = tuple("=+-@\t\r'")


def export(job: Job) -> Path:
    """UTF-8 with a mark, so that Excel shows accents."""
    table = io.StringIO(newline="")
    writer = csv.writer(table)
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
        scenes[-1][1].append(_read_panel(row, f"Row {number}", source.notes))
    return Board(
        new_id(),
        clean_line(source.path.stem) or "Untitled",
        scenes=tuple(Scene(new_id(), heading, tuple(panels)) for (_, heading), panels in scenes),
    )


def _read_rows(text: str, source: Source) -> list[dict[str, str]]:
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), delimiter=_guess_delimiter(text)))
    except csv.Error as error:
        raise RequestError(f"{source.path} is not a table ({say_reason(error)}).", "Save it as CSV again.") from error
    names = [clean_line(name).lower() for name in table[0]] if table else []
    if not set(COLUMNS) & set(names):
        raise RequestError(f"{source.path} has none of a shot list's columns.", f"Name them {', '.join(COLUMNS)}.")
    _note_unused(names, table[1:], source.notes)
    rows = [dict(zip(names, map(_unguard, row), strict=False)) for row in table[1:] if any(row)]
    if not rows:
        raise RequestError(f"{source.path} has no rows.", "Give every panel a row below the names of the columns.")
    return rows


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


def _read_panel(row: dict[str, str], where: str, notes: list[str]) -> Panel:
    shot, angle, move = (clean_line(row.get(name)) for name in ("shot", "angle", "move"))
    camera = read_camera(Camera(shot, angle, move), where, notes)
    return Panel(new_id(), camera=camera, seconds=read_seconds(row.get("seconds"), where, notes), **read_words(row))
