"""board export and import of other programs' formats, see app/interchange."""

import os
import time
from pathlib import Path
from typing import Any

from app.base.paths import SUFFIX
from app.board import naming
from app.board.data import Board, new_id
from app.fluxboard import archive
from app.fluxboard.file import BOARD, BoardFile
from app.interchange import formats
from app.interchange.edited import apply_edit
from app.interchange.joined import join_boards
from app.models import library
from mlx_model.errors import RequestError
from mlx_model.events import Done, Stage
from mlx_model.files import number_names

from ..say import Reporter, echo, echo_path, say_json
from .edit import new_place, open_board

YES, NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")


def _export(file: BoardFile, out: Path, options: dict[str, Any], report: Reporter) -> Path:
    """Where it was written. Raises RequestError."""
    name = options["name"] or _by_ending(out)
    panels = naming.select(file.board, options["panels"]) if options["panels"] else None
    values, began = _values(name, options["pairs"]), time.monotonic()
    report(Stage("write", out.name))
    try:
        done = formats.export_board(
            name, file.board, file.picture_path, out, panels=panels, force=options["force"],
            progress=lambda share: report.share(began, share), **values,
        )  # fmt: skip
    finally:
        report.clear()
    for note in done.notes:
        report.note(note)
    return done.path


def _by_ending(out: Path) -> str:
    ending = out.suffix.lower()
    for name in formats.EXPORTS:
        if ending and ending in formats.FORMATS[name].extensions:
            return name
    raise RequestError(f"{out.name} does not say which format.", f"Choose with -f: {', '.join(formats.EXPORTS)}, zip.")


def _values(name: str, pairs: tuple[str, ...]) -> dict[str, bool | int | str]:
    """NAME=VALUE as what the format's options are; an unknown name is for the format to refuse."""
    if name not in formats.EXPORTS:
        raise RequestError(f"{name} is no format to export.", f"Choose {', '.join(formats.EXPORTS)} or zip.")
    known = {option.name: option for option in formats.FORMATS[name].options}
    values: dict[str, bool | int | str] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise RequestError(f"{pair!r} is not NAME=VALUE.", "Say for example -O columns=3.")
        values[key] = _value(key, text, known[key].default if key in known else "")
    return values


def _value(key: str, text: str, like: bool | int | str) -> bool | int | str:
    if isinstance(like, bool):
        if text.lower() not in YES + NO:
            raise RequestError(f"{key}={text} is neither yes nor no.")
        return text.lower() in YES
    if isinstance(like, int):
        if not text.isdecimal() or len(text) > 9:
            raise RequestError(f"{key}={text} is not a number.")
        return int(text)
    return text


def list_formats(as_json: bool) -> None:
    """What export --formats prints."""
    if as_json:
        zipped = {"name": ZIP, "title": "The board itself", "endings": [".zip"], "export": True, "import": True}
        say_json({"formats": [*map(_plain, formats.FORMATS), {**zipped, "options": {}}]})
        return
    for name, format in formats.FORMATS.items():
        ways = " and ".join(way for way, there in (("export", format.export), ("import", format.load)) if there)
        endings = " ".join(ending or "(a folder)" for ending in format.extensions)
        echo(f"{name:10} {endings:22} {format.title}: {ways}")
        for option in format.options:
            echo(f"{'':10} -O {option.name}={option.default}  {option.help}")
    echo(f"{ZIP:10} {'.zip':22} The board itself with its takes: export and import")


def _plain(name: str) -> dict[str, Any]:
    format = formats.FORMATS[name]
    ways = {"export": bool(format.export), "import": bool(format.load)}
    options = {option.name: option.default for option in format.options}
    return {"name": name, "title": format.title, "endings": list(format.extensions), **ways, "options": options}


def _import(path: Path, out: Path, name: str | None, report: Reporter) -> BoardFile:
    """A new package with what the format gives; nothing is left where it gives nothing."""
    if name is None:
        formats.guess(path)  # refuse before anything is made
    notes: list[str] = []

    def fill(file: BoardFile) -> None:
        made = formats.import_board(path, file.put_picture, name, aspect=library.choose_aspect())
        file.save(made.board)
        notes.extend(made.notes)

    file = BoardFile.create(out, Board(new_id()), fill)
    for note in notes:
        report.note(note)
    return file


def import_into(source: str, board: str, name: str | None, as_json: bool) -> None:
    """board import --into"""
    path, report = Path(source).expanduser(), Reporter(as_json)
    with open_board(board, report=report) as file:
        made = formats.import_board(path, file.put_picture, name, file.board.fps)
        joined, notes = join_boards(file.board, made.board)
        file.save(joined)
        for note in (*made.notes, *notes):
            report.note(note)
        report(Done(0.0, str(file.path))) if as_json else echo_path(file.path)


def import_onto(source: str, board: str, name: str | None, as_json: bool) -> None:
    """board import --onto"""
    path, report = Path(source).expanduser(), Reporter(as_json)
    with open_board(board, report=report) as file:
        edit = formats.import_timeline(path, file.put_picture, file.board.fps, name)
        changed, notes = apply_edit(file.board, edit)
        file.save(changed)
        for note in notes:
            report.note(note)
        report(Done(0.0, str(file.path))) if as_json else echo_path(file.path)


ZIP = "zip"


def export_file(path: str, options: dict[str, Any], as_json: bool) -> None:
    """board export"""
    report, out = Reporter(as_json), Path(options["output"]).expanduser()
    with open_board(path, write=False, report=report) as file:
        _check_place(out, file)
        if (options["name"] or out.suffix.lower().removeprefix(".")) == ZIP:
            if options["panels"] or options["pairs"]:
                raise RequestError("A zip is the whole board.", "Leave --panels and --option out.")
            written = archive.export_zip(file, _zip_name(out), options["force"])
        else:
            written = _export(file, out, options, report)
    report(Done(0.0, str(written))) if as_json else echo_path(written)


def _check_place(out: Path, file: BoardFile) -> None:
    """Raises RequestError for what is no name, and for places inside the board itself."""
    if not Path(os.path.realpath(out)).name:
        raise RequestError(f"{out} is no name to export to.", "Give the name of a file or folder with -o.")
    file.require_outside(out)


def _zip_name(out: Path) -> Path:
    return out if out.suffix.lower() == f".{ZIP}" else out.with_name(f"{out.name}.{ZIP}")


def import_file(source: str, output: str | None, name: str | None, as_json: bool) -> None:
    """board import"""
    path, report = Path(source).expanduser(), Reporter(as_json)
    out = new_place(output) if output else _free(Path.cwd() / f"{path.stem}{SUFFIX}")
    if os.path.isfile(path / BOARD):
        raise RequestError(f"{path} is a board already.", f"flux-local board show {path}")
    if (name or path.suffix.lower().removeprefix(".")) == ZIP:
        file = archive.import_zip(path, out)
    else:
        file = _import(path, out, name, report)
    with file:
        report(Done(0.0, str(file.path))) if as_json else echo_path(file.path)


def _free(path: Path) -> Path:
    return next(candidate for candidate in number_names(path) if not candidate.exists())
