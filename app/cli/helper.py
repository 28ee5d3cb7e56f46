"""Networks that draw nothing of their own, on the command line: what they make, and how they are added."""

from contextlib import closing
from pathlib import Path
from typing import Any

from app.base import blas, paths
from app.models import helpers
from mlx_model.errors import RequestError
from mlx_model.memory import say_bytes
from mlx_model.specs import ModelSpec

from .say import Reporter, echo, echo_path


def make(row: ModelSpec, photo: str, out: str, options: dict[str, Any], report: Reporter) -> None:
    """A depth map, or a larger picture. Raises NotInstalled, RequestError for no picture or no place, DiskFull."""
    from app.engine.running import Output, awake, help_and_save, load_mlx
    from app.pictures import images, inputs
    from mlx_model import files
    from mlx_model.events import Done
    from mlx_model.request import Request

    helpers.resolve(row)
    place = Path(out).expanduser().absolute()
    images.format_of(place)
    paths.require_free(place)
    files.check_writable(place)
    notes: list[str] = []
    reference = inputs.load_reference(photo, notes)
    for note in notes:
        report.note(note)
    request = helpers.prepare(Request(row.name, references=(reference,), enlarge=row.transformer.get("upscale")))
    load_mlx()
    output = Output(place, force=options["force"], metadata=options.get("metadata", True), given=(photo,))
    with awake(), closing(help_and_save(request, output)) as events:
        for event in events:
            report(event)
            if isinstance(event, Done) and not report.as_json:
                report.clear()
                echo_path(event.path)


def repeat(options: dict[str, Any], default_name: str, report: Reporter) -> bool:
    """Make anew what no model has painted, a depth map or a quickly enlarged picture; False where one has."""
    from app.pictures import images, inputs
    from mlx_model.helpers import HELPERS

    recorded = images.read_request(options["again"])
    if options["model"] or recorded.model not in HELPERS:
        return False
    made = inputs.reload(recorded, Path(options["again"]).absolute(), [])
    make(HELPERS[recorded.model], made.references[0].path, options["output"] or default_name, options, report)
    return True


def add_helper(row: ModelSpec, options: dict[str, Any]) -> None:
    """Download it, or take it from a folder. Raises RequestError, LayoutError and what download does."""
    if helpers.is_there(row) and not options["force"]:
        raise RequestError(f"{row.name} is installed already, in {helpers.folder(row)}.", "Replace it with --force.")
    if options["dry_run"]:
        what = "reads" if options["source"] else "downloads"
        echo(f"{row.title}: {what} {say_bytes(row.download_bytes)} and keeps it in {helpers.folder(row)}.")
        return
    blas.preload()
    if options["source"]:
        helpers.install(row, Path(options["source"]))
    else:
        _fetch(row, Reporter(options["as_json"]))
    if not options["as_json"]:
        echo_path(helpers.folder(row))


def _fetch(row: ModelSpec, report: Reporter) -> None:
    from converters.download import claim, download, remove_fetched

    from .asking import show

    into = paths.downloads() / row.name
    with claim(into):
        show(download(row, into, consent=True), report)
        helpers.install(row, into)
        remove_fetched(into)
