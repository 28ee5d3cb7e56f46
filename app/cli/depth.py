"""flux-local depth, and what `models add` does for the network that it needs."""

from pathlib import Path
from typing import Any

import click

from app.base import blas, paths
from app.models import depth as maps
from mlx_model.errors import RequestError
from mlx_model.memory import say_bytes
from mlx_model.specs import DEPTH

from .options import FILE
from .say import Reporter, echo, echo_path, json_option, say_json


@click.command()
@click.argument("photo", type=FILE)
@click.option("-o", "--output", type=FILE, metavar="MAP", help="Where the map goes, a PNG.")
@click.option("--force", is_flag=True, help="Overwrite MAP.")
@json_option
def depth(photo: str, output: str | None, force: bool, as_json: bool) -> None:
    """Make a depth map of PHOTO: near is white, far is black, as FLUX.1 Depth takes it.

    Runs with such a model make it by themselves. It needs Depth Anything V2 Small (99 MB, Apache-2.0), once.

    \b
    Example:
      flux-local models add depth-anything-v2-small
      flux-local depth house.jpg -o depth.png
    """
    made = make(Path(photo), Path(output or f"{Path(photo).stem}-depth.png").expanduser(), force, Reporter(as_json))
    say_json({"path": str(made)}) if as_json else echo_path(made)


def make(photo: Path, out: Path, force: bool, report: Reporter) -> Path:
    """Where the map is. Raises NotInstalled, RequestError for what is no picture or no place for one, DiskFull."""
    from PIL import Image

    from app.pictures import inputs
    from mlx_model import files

    maps.resolve()
    if out.suffix.lower() != ".png":
        raise RequestError(f"{out.name} is no name for a map.", "End it in .png.")
    paths.require_free(out)
    blas.preload()
    notes: list[str] = []
    reference = inputs.load_reference(photo, notes)
    for note in notes:
        report.note(note)
    image = Image.fromarray(maps.make_map(inputs.pixels_of(reference)))
    return files.write_new(out.absolute(), lambda handle: image.save(handle, "PNG"), force, given=(photo,))


def add_depth(options: dict[str, Any]) -> None:
    """Download it, or take it from a folder. Raises RequestError, LayoutError and what download does."""
    if maps.is_there() and not options["force"]:
        raise RequestError(f"{DEPTH.name} is installed already, in {maps.folder()}.", "Replace it with --force.")
    if options["dry_run"]:
        what = "reads" if options["source"] else "downloads"
        echo(f"{DEPTH.title}: {what} {say_bytes(DEPTH.download_bytes)} and keeps it in {maps.folder()}.")
        return
    blas.preload()
    if options["source"]:
        maps.install(Path(options["source"]))
    else:
        _fetch(Reporter(options["as_json"]))
    if not options["as_json"]:
        echo_path(maps.folder())


def _fetch(report: Reporter) -> None:
    from converters.download import claim, download, remove_fetched

    from .asking import show

    into = paths.downloads() / DEPTH.name
    with claim(into):
        show(download(DEPTH, into, consent=True), report)
        maps.install(into)
        remove_fetched(into)
