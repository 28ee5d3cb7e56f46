"""A folder or a table of examples: pictures with captions, edits with what they start from, classes.

    DATA/cat.png  DATA/cat.txt                   a picture and its caption, as kohya's and ai-toolkit's folders
    DATA/12_cat/ ...                             the same, each counted 12 times; "cat" where one has no caption (kohya)
    DATA/control/cat.png                         what the edit in cat.txt starts from; also references/, source/,
                                                 input/; several as control/cat_0.png, cat_1.png or control_2/cat.png
    DATA/207/ ...                                a class of the model that takes classes
    DATA.jsonl, DATA.csv, DATA/metadata.jsonl    a table, its columns under the names that COLUMNS lists

Every fault of a set is found before the first step, and all are told together.
"""

import csv
import io
import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from app.pictures.kinds import ENDINGS
from mlx_model.errors import RequestError
from mlx_model.foreign import parse_json

TABLES = (".jsonl", ".csv", ".tsv")
CAPTIONS = (".txt", ".caption")
COLUMNS = {  # a column of ours -> what others call it: the hub's image folders, musubi-tuner, ai-toolkit, diffusers
    "picture": ("image", "image_path", "file_name", "target", "target_path", "output", "edited_image", "picture"),
    "prompt": ("prompt", "caption", "text", "instruction", "edit_prompt"),
    "references": ("references", "reference", "control", "control_path", "control_image", "source", "source_path",
                   "input", "input_image", "original_image", "conditioning_image"),
    "label": ("label", "class"),
}  # fmt: skip
STARTS = re.compile(r"(references?|controls?|source|input)(_\d+)?", re.IGNORECASE)  # folders of what edits start from
REPEATED = re.compile(r"(\d+)_(.+)")
SHOWN = 1000  # faults in a message
TABLE_LIMIT = 64 * 2**20  # bytes
CAPTION_LIMIT = 100_000
MOST_ROWS = 10_000_000
NO_WORDS, NO_LABEL = "-", 0  # stand in for what is told to be lacking


class Row(NamedTuple):
    """One example, not opened yet; `name` is how messages call it."""

    name: str
    picture: Path
    prompt: str
    label: int | None
    references: tuple[Path, ...]


class Rows(NamedTuple):
    """`faulty` are examples of which a fault is told already, with a stand-in for what they lack.

    They are opened all the same, so that whatever else is wrong with them is told at once.
    """

    rows: list[Row]
    faults: list[str]
    notes: list[str]
    faulty: list[Row]


def read_rows(data: Path, classes: int = 0, words: str = "") -> Rows:
    """What `data` lists, and every fault that is seen without opening a picture. `classes`: those of the model.

    `words` are the caption of pictures in a folder that have none.
    Raises RequestError where it is no set at all.
    """
    if data.is_file() and data.suffix.lower() in TABLES:
        found = _read_table(data, classes)
        if not found.rows and not found.faults:
            raise RequestError(f"{data} lists no examples.", "Give each a line, with its picture and its prompt.")
        return found
    if not data.is_dir():
        what = f"{data} is no folder and no table of examples" if data.exists() else f"There is no {data}"
        raise RequestError(f"{what}.", "Give a folder, a .jsonl or a .csv.")
    tables = [data / f"metadata{ending}" for ending in TABLES if (data / f"metadata{ending}").is_file()]
    found = _read_table(tables[0], classes) if tables else _read_folder(data, classes, words)
    if not found.rows and not found.faults:
        raise RequestError(f"{data} holds no pictures.", "Put pictures in it, each with a .txt of the same name.")
    return found


def tell_faults(data: Path, faults: list[str]) -> None:
    """Raises RequestError with all of them, if there are any."""
    if faults:
        more = f"\n... and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
        raise RequestError(f"{data} has {count}:\n" + "\n".join(faults[:SHOWN]) + more, "Mend them and start again.")


# folders


def _read_folder(data: Path, classes: int, words: str) -> Rows:
    found = Rows([], [], [], [])
    starts = [folder for folder in sorted(data.iterdir()) if folder.is_dir() and STARTS.fullmatch(folder.name)]
    for picture in list_files(data, ENDINGS, found.faults):
        inside = picture.relative_to(data)
        if inside.parts[0] in {folder.name for folder in starts}:
            continue
        repeats = REPEATED.fullmatch(inside.parts[0]) if len(inside.parts) > 1 else None
        said = repeats[2].replace("_", " ") if repeats else words
        count = int(repeats[1][:9]) if repeats and not classes else 1
        if len(found.rows) + count > MOST_ROWS:
            raise RequestError(
                f"{data} has more than {MOST_ROWS:,} examples, by the numbers in the names of its folders.",
                "Give folders such as 12_name smaller numbers.",
            )
        before = len(found.faults)
        row = _row_of(picture, str(inside), starts, classes, said, found.faults)
        if len(found.faults) > before:
            found.faulty.append(row)
            continue
        found.rows.extend([row] * count)
        if repeats and not classes:
            _note(found.notes, f"{inside.parts[0]}: each picture counts {repeats[1]} times.")
    return found


def _row_of(picture: Path, name: str, starts: list[Path], classes: int, words: str, faults: list[str]) -> Row:
    label, prompt = None, ""
    references = tuple(path for folder in starts for path in _belonging(folder, picture.stem))
    if starts and not references:
        faults.append(f"{name}: there is no picture of this name in {starts[0].name}")
    if classes:
        label = _parse_label(picture.parent.name, classes)
        if label is None:
            label = NO_LABEL
            faults.append(f"{name}: its folder is no class from 0 to {classes - 1}")
    else:
        prompt = read_caption(picture, name, faults, needed=not words) or words or NO_WORDS
    return Row(name, picture, prompt, label, references)


def read_caption(picture: Path, name: str, faults: list[str], needed: bool = True) -> str | None:
    """What the file beside a picture says; None and a fault where it can't be used, or is `needed` and not there."""
    file = next((picture.with_suffix(end) for end in CAPTIONS if picture.with_suffix(end).is_file()), None)
    if file is None:
        faults.extend([f"{name}: it has no caption {picture.stem}.txt beside it"] if needed else [])
        return None
    try:
        with file.open("rb") as handle:
            text = handle.read(CAPTION_LIMIT + 1).decode("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError):
        faults.append(f"{file.name}: it can't be read as UTF-8 text")
        return None
    if not text or len(text) > CAPTION_LIMIT:
        faults.append(f"{file.name}: it is {'empty' if not text else 'longer than any caption'}")
        return None
    return text


def _belonging(folder: Path, stem: str) -> list[Path]:
    """stem.png, else stem_0.png, stem_1.png ... of a folder, in order."""
    alike = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in ENDINGS and path.is_file()]
    exact = [path for path in alike if path.stem == stem]
    numbered = [
        (int(found[1]), path) for path in alike if (found := re.fullmatch(re.escape(stem) + r"_(\d+)", path.stem))
    ]
    return exact or [path for _, path in sorted(numbered)]


def list_files(data: Path, endings: Collection[str], faults: list[str]) -> Iterator[Path]:
    """Files whose names end so, sorted; hidden ones left out; what is no file (a link to nothing) is a fault."""
    for path in sorted(data.rglob("*")):
        inside = path.relative_to(data)
        if path.suffix.lower() not in endings or path.is_dir() or any(part.startswith(".") for part in inside.parts):
            continue
        if path.is_file():
            yield path
        else:
            faults.append(f"{inside}: it is {'a link to nothing' if path.is_symlink() else 'no file'}")


def _note(notes: list[str], text: str) -> None:
    if text not in notes:
        notes.append(text)


# tables


def _read_table(table: Path, classes: int) -> Rows:
    if table.stat().st_size > TABLE_LIMIT:
        raise RequestError(f"{table} is larger than any table of examples.", "Split it.")
    try:
        text = table.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(f"{table} can't be read as UTF-8 text.", "Save it again as UTF-8.") from error
    found = Rows([], [], [], [])
    for number, entry in _entries(table, text, found.faults):
        before = len(found.faults)
        row = _parse_row(table, f"line {number}", entry, classes, found)
        (found.faulty if len(found.faults) > before else found.rows).append(row)
    return found


def _entries(table: Path, text: str, faults: list[str]) -> Iterable[tuple[int, dict[str, Any]]]:
    """(line, columns) of every row."""
    if table.suffix.lower() != ".jsonl":
        reader = csv.DictReader(io.StringIO(text), delimiter="\t" if table.suffix.lower() == ".tsv" else ",")
        try:
            yield from ((reader.line_num, {k: v for k, v in entry.items() if k}) for entry in reader)
        except csv.Error:  # such as a cell without an end
            faults.append(f"{table.name} line {reader.line_num}: it is no line of a table")
        return
    for number, line in enumerate(text.splitlines(), 1):
        try:
            entry = parse_json(line) if line.strip() else None
        except ValueError:
            entry = False
        if isinstance(entry, dict):
            yield number, entry
        elif entry is not None:
            faults.append(f"{table.name} line {number}: it is no JSON object")


def _parse_row(table: Path, line: str, entry: dict[str, Any], classes: int, found: Rows) -> Row:
    where = f"{table.name} {line}"
    values = {ours: _column(entry, names) for ours, names in COLUMNS.items()}
    for name in sorted(set(entry) - {name for names in COLUMNS.values() for name in names}):
        if not _is_numbered(name):
            _note(found.notes, f"{table.name}: the column {name} is not used.")
    pictures, words = _paths(table, values["picture"]), values["prompt"]
    if len(pictures) != 1:
        found.faults.append(f"{where}: it names no picture; columns for it are {', '.join(COLUMNS['picture'][:3])} ...")
    label, prompt = _parse_label(values["label"], classes) if classes else None, ""
    if classes and label is None:
        label = NO_LABEL
        found.faults.append(f"{where}: it has no label from 0 to {classes - 1}")
    if not classes:
        prompt = words.strip() if isinstance(words, str) else ""
    if not classes and not 0 < len(prompt) <= CAPTION_LIMIT:
        prompt = NO_WORDS
        found.faults.append(f"{where}: it has no prompt; columns for it are {', '.join(COLUMNS['prompt'][:3])} ...")
    further = [value for name, value in sorted(entry.items()) if _is_numbered(name)]
    references = [path for value in (values["references"], *further) for path in _paths(table, value)]
    missing = [path for path in (*pictures, *references) if not is_file(path)]
    found.faults.extend(f"{where}: there is no file {path}" for path in missing)
    picture = pictures[0] if pictures else Path()
    return Row(f"{where} ({picture.name})", picture, prompt, label, tuple(references))


def _column(entry: dict[str, Any], names: Iterable[str]) -> Any:
    return next((entry[name] for name in names if entry.get(name) not in (None, "", [])), None)


def _is_numbered(name: str) -> bool:
    """control_path_0, reference_2 ..."""
    stem, _, number = name.rpartition("_")
    return number.isdigit() and stem in COLUMNS["references"]


def _paths(table: Path, value: Any) -> list[Path]:
    """One path, a list of them, or several in one cell with | between; relative ones start beside the table."""
    texts = value if isinstance(value, list) else str(value).split("|") if value else []
    return [table.parent / Path(str(text).strip()).expanduser() for text in texts if str(text).strip()]


def is_file(path: Path) -> bool:
    """Whether there is one, whatever the name."""
    try:
        return os.path.isfile(path)
    except ValueError:  # a zero byte in the name
        return False


def _parse_label(value: Any, classes: int) -> int | None:
    found = re.match(r"(\d{1,6})(?!\d)", str(value).strip())
    return int(found[1]) if found and int(found[1]) < classes else None
