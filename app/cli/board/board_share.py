"""board export and import: which way a file takes."""

import os
from pathlib import Path
from typing import Any

import click

from app.base.files import numbered
from app.fluxboard import archive
from app.fluxboard.file import BOARD, SUFFIX
from mlx_model.errors import RequestError
from mlx_model.events import Done

from ..say import Reporter
from .edit import new_place, open_board

ZIP = "zip"


def export_file(path: str, options: dict[str, Any], as_json: bool) -> None:
    """board export"""
    report, out = Reporter(as_json), Path(options["output"]).expanduser()
    with open_board(path, write=False, report=report) as file:
        _check_place(out, file.path)
        if (options["name"] or out.suffix.lower().removeprefix(".")) == ZIP:
            if options["panels"] or options["pairs"]:
                raise RequestError("A zip is the whole board.", "Leave --panels and --option out.")
            written = archive.export_zip(file, _zip_name(out), options["force"])
        else:
            from .share import exported

            written = exported(file, out, options, report)
    report(Done(0.0, str(written))) if as_json else click.echo(written)


def _check_place(out: Path, board: Path) -> None:
    """Raises RequestError for what is no name, and for places inside the board itself."""
    whole = Path(os.path.realpath(out))
    if not whole.name:
        raise RequestError(f"{out} is no name to export to.", "Give the name of a file or folder with -o.")
    if Path(os.path.realpath(board)) in (whole, *whole.parents):
        raise RequestError(f"{out} is inside the board.", "Export it to another place.")


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
        from .share import imported

        file = imported(path, out, name, report)
    with file:
        report(Done(0.0, str(file.path))) if as_json else click.echo(file.path)


def _free(path: Path) -> Path:
    return next(candidate for candidate in numbered(path) if not candidate.exists())
