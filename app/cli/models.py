"""flux-local models ..."""

from typing import TYPE_CHECKING, Any

import click

from .options import FILE, bits_option
from .say import Reporter, echo, echo_path, json_option, say_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@click.group()
def models() -> None:
    """List, add, check and remove models.

    \b
    Example:
      flux-local models list
      flux-local models add flux2-klein-4b --bits 8
    """


def _row(name: str) -> Any:
    """Of SPECS, LANGUAGES or HELPERS."""
    from mlx_model.errors import RequestError
    from mlx_model.helpers import HELPERS
    from mlx_model.languages import LANGUAGES
    from mlx_model.specs import SPECS

    known = {**SPECS, **LANGUAGES, **HELPERS}
    if name not in known:
        raise RequestError(f"There is no model called {name}.", f"Known are {', '.join(known)}.")
    return known[name]


def _is_helper(name: str | None) -> bool:
    from mlx_model.helpers import HELPERS

    return name in HELPERS


def _resolve(name: str, resolve_model: "Callable[[str], Path]") -> "Path":
    """The folder of what is called so, whatever it does. Raises NotInstalled and what `resolve_model` does."""
    from app.models import helpers, writers

    if _is_helper(name):
        return helpers.resolve(_row(name))
    return writers.resolve(name) if _is_writer(name) else resolve_model(name)


def _is_writer(name: str | None) -> bool:
    from mlx_model.languages import LANGUAGES

    return name in LANGUAGES


@models.command("list")
@json_option
def list_models(as_json: bool) -> None:
    """Every known model: what it does, its licence, size, memory and whether it is here.

    \b
    Example:
      flux-local models list
    """
    from app.base import blas
    from app.models import helpers, library, writers

    here = blas.machine()
    entries, small = library.catalogue(here) + writers.catalogue(here), helpers.catalogue(here)
    if as_json:
        say_json({"models": entries, "helpers": small})
        return
    for entry in entries + small:
        _say_entry(entry)
        echo()
    echo("Memory and speed are predicted from the model's shapes, not measured.")


def _say_entry(entry: dict[str, Any]) -> None:
    echo(f"  {entry['title']}  [{_state(entry)}]", lead=entry["name"])
    echo("\n".join(_lines(entry)))


def _lines(entry: dict[str, Any]) -> list[str]:
    from app.models.library import best_bits, does_line
    from mlx_model.memory import gib, say_bytes

    bits, most = best_bits(entry), best_bits(entry, "runs")
    fits = f"fits at up to {bits} bits" if bits else "does not fit this machine whole"
    if most and (bits or 0) < most:
        fits += f"; read from the disk while it runs {most} bits need {gib(entry['streamed_bytes'][str(most)])}"
    usual = ("4", "8", "16") if entry["repo"] else ("16",)  # the built-in one is as it is
    peaks = ", ".join(f"{b} bits {gib(entry['memory_bytes'][b])}" for b in usual)
    licence = entry["licence"]
    disk = ", ".join(f"{b} bits {say_bytes(n)}" for b, n in entry["disk_bytes"].items())
    sizes = [f"  download {say_bytes(entry['download_bytes'])}; on disk {disk}"]
    if entry["does"].get("helps"):
        size, needed = say_bytes(entry["download_bytes"]), gib(entry["memory_bytes"]["16"])
        return [
            f"  makes {entry['does']['helps']}. {entry['advice']}",
            f"  {licence['name']}: {licence['summary']}",
            f"  download {size}; memory {needed}",
        ]
    return [
        f"  {does_line(entry['does'])}",
        *([f"  {entry['advice']}"] if entry["advice"] else []),
        f"  licence {licence['name']}{', gated' if licence['gated'] else ''}: {licence['summary']}",
        *(sizes if entry["repo"] else []),  # else it ships with the program
        f"  memory {peaks}: {fits}",
    ]


def _state(entry: dict[str, Any]) -> str:
    from mlx_model.memory import say_bytes

    if not entry["installed"]:
        return "not installed"
    first = entry["installed"][0]
    if first["problem"]:
        return f"unusable: {first['problem']}"
    return "built in" if first["built_in"] else f"installed, {first['plan']}, {say_bytes(first['bytes'])}"


@models.command()
@click.argument("name")
@json_option
def info(name: str, as_json: bool) -> None:
    """All facts about one model.

    \b
    Example:
      flux-local models info flux2-klein-4b
    """
    entry = _find_facts(name)
    if as_json:
        say_json(entry)
        return
    _say_entry(entry)
    echo(f"  licence text {entry['licence']['url']}")
    if entry["steps"]:
        echo(f"  default {entry['size'][0]}x{entry['size'][1]}, {entry['steps']} steps; {_speed(entry)}")
    for model in entry["installed"]:
        echo(f"  at {model['path']}")


def _find_facts(name: str) -> dict[str, Any]:
    from app.base import blas
    from app.models import helpers, library, writers

    row, here = _row(name), blas.machine()
    if _is_helper(name):
        return helpers.facts(row, here)
    if _is_writer(name):
        return writers.facts(row, here)
    return library.facts(row, here, [model for model in library.list_installed() if model.name == name])


def _speed(entry: dict[str, Any]) -> str:
    from app.base.words import say_duration

    seconds = entry["seconds_per_step"]
    return "speed unknown on this chip" if seconds is None else f"about {say_duration(seconds)} a step here (predicted)"


@models.command()
@click.argument("name", required=False)
@bits_option(default=8)
@click.option("--keep-source", is_flag=True, help="Keep the downloaded checkpoint.")
@click.option("--from", "source", type=FILE, metavar="PLACE", help="Use files that are on disk already.")
@click.option("--download-missing", is_flag=True, help="Fetch only what PLACE lacks.")
@click.option("--dry-run", is_flag=True, help="Say what would be read and written, and how long it takes.")
@click.option("--accept-licence", is_flag=True, help="Agree to the licence without being asked.")
@click.option("--yes", is_flag=True, help="Download without being asked.")
@click.option("--force", is_flag=True, help="Replace the installed model.")
@click.option("--writer", is_flag=True, help="Keep FLUX.2's text encoder in full, so that it writes prompts out.")
@json_option
def add(name: str | None, bits: int, **options: Any) -> None:
    """Download a model, or take it from files of another program, and convert it.

    PLACE is ComfyUI's folder, a Hugging Face cache, a folder that mflux or diffusers saved, or one file. Without NAME
    it is told what PLACE holds for which model. Files there are only read; the model that is made stands on its own.

    \b
    Example:
      flux-local models add flux2-klein-4b --bits 8
      flux-local models add --from ~/ComfyUI
      flux-local models add flux1-dev --from ~/ComfyUI --dry-run
      flux-local models add flux3-writer --bits 4
    """
    from .add import add_model, tell_place
    from .add_writer import add_writer

    if name and _is_helper(name):
        from .helper import add_helper

        add_helper(_row(name), options)
    elif name is None:
        tell_place(options["source"], options["as_json"])
    elif _is_writer(name):
        add_writer(_row(name), bits, options)
    else:
        add_model(_row(name), bits, options)


@models.command()
@click.argument("name", required=False)
@json_option
def verify(name: str | None, as_json: bool) -> None:
    """Compare every file of a model, or of all, with its recorded sha256.

    \b
    Example:
      flux-local models verify flux2-klein-4b
    """
    from app.models import helpers, writers
    from app.models.library import list_installed, resolve
    from mlx_model.errors import ModelError
    from mlx_model.store import folder

    if name and (_is_writer(name) or _is_helper(name)):
        echo(f"{helpers.verify(_row(name)) if _is_helper(name) else writers.verify(name)}: good")
        return
    report, damaged = Reporter(as_json), []
    places = [resolve(name)] if name else [model.path for model in list_installed()]
    for path in places:
        try:
            for event in folder.verify(folder.open_folder(path)):
                report(event)
            report.clear()
            if not as_json:
                echo(f"{path}: good")
        except ModelError as error:  # the others are looked at all the same
            if len(places) == 1:
                raise
            damaged.append(path)
            report.say_failure(error)
    if damaged:
        raise ModelError(f"{len(damaged)} of {len(places)} models are damaged.", "Add them again with --force.")


@models.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Don't ask.")
def remove(name: str, yes: bool) -> None:
    """Move a model to the Trash, and delete what was downloaded for it, also where that was cut off.

    \b
    Example:
      flux-local models remove flux2-klein-4b
    """
    from app.base import paths
    from app.base.words import show_plainly
    from app.models import library
    from mlx_model.errors import NotInstalled
    from mlx_model.specs import SPECS

    known = name in SPECS or _is_writer(name) or _is_helper(name)
    places = [paths.downloads() / place for place in (name, f"{name}.rest")] if known else []
    begun = [place for place in places if place.is_dir()]
    try:
        path = _resolve(name, library.find_removable)
    except NotInstalled:
        if not begun:
            raise
        path = None
    if not yes:
        question = f"Move {path} to the Trash?" if path else f"Delete what was downloaded of {name}?"
        click.confirm(show_plainly(question, lines=False), abort=True, err=True)
    if path:
        echo(f"{library.throw_away(path)} is in the Trash.")
    for place in begun:
        _discard(place)


def _discard(folder: "Path") -> None:
    from converters.download import discard
    from mlx_model.memory import say_bytes

    count, rest = discard(folder)
    echo(f"What was downloaded to {folder} is deleted, {say_bytes(count)}.")
    if rest:
        echo(f"Not written by Flux Local, and still there: {', '.join(rest[:5])}.")


@models.command()
@click.argument("name", required=False, metavar="[NAME|FOLDER]", type=FILE)
@click.option("--automatic", is_flag=True, help="Forget which was chosen: whichever is here writes.")
@json_option
def writer(name: str | None, automatic: bool, as_json: bool) -> None:
    """Which language model writes prompts out where none is named; with NAME or FOLDER, which is to from now on.

    FLUX.3 uses its own before it, where that is here. Without a choice a model's own text encoder writes, then any
    other that is here; with none, prompts go to the models as they are.

    \b
    Example:
      flux-local models writer
      flux-local models writer ~/models/Qwen3-4B
      flux-local models writer --automatic
    """
    from .add_writer import choose

    choose(name, automatic, Reporter(as_json))


@models.command()
@click.argument("name", required=False)
def path(name: str | None) -> None:
    """The folder of a model; without a name, of the default one.

    \b
    Example:
      flux-local models path flux2-klein-4b
    """
    from app.models import library

    echo_path(_resolve(name, library.resolve) if name else library.resolve(None))
