"""What `models add` does: licence, room, download, convert."""

import sys
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.base import blas, paths
from app.engine.running import awake
from app.models import library
from mlx_model.errors import LicenceNotAccepted, ModelError, NotInstalled, RequestError, Unreachable
from mlx_model.files import make_folders
from mlx_model.memory import say_bytes
from mlx_model.specs import SPECS, ModelSpec
from mlx_model.store.folder import open_folder

from .folder import gather_model, require_whole, tell_folder, tell_plan
from .say import Reporter, echo, echo_path, say_json

if TYPE_CHECKING:
    from converters.gather import Gathered
    from converters.source import Source


def tell_place(source: str | None, as_json: bool) -> None:
    """What a folder holds for which model. Raises RequestError without one."""
    if source is None:
        raise RequestError("Name a model, or a folder with --from.", f"Known are {', '.join(SPECS)}.")
    blas.preload()
    tell_folder(Path(source), as_json)


def add_model(spec: ModelSpec, bits: int, options: dict[str, Any]) -> None:
    """Install a model at `bits`. Raises RequestError, LicenceNotAccepted, DiskFull and what download and convert do."""
    out, source = paths.models() / spec.name, options["source"]
    _check(spec, out, options["force"] or options["dry_run"])
    if not (options["accept_licence"] or options["dry_run"]):
        _consent(spec)
    if not (source or options["yes"] or options["dry_run"]) and sys.stdin.isatty():
        _ask_download(spec, bits, out)
    report, base, fetched = Reporter(options["as_json"]), _find_base(spec), paths.downloads() / spec.name
    settings = {"bits": bits, "companions": base.path if base else None, "force": options["force"]}
    blas.preload()
    if options["dry_run"] and not source:
        _tell_download(spec, bits, options["as_json"])
        return
    from converters.download import claim, discard, remove_fetched

    if source:
        made = _gather(spec, Path(source), bits, base, options, report)
        if options["dry_run"]:
            tell_plan(made, Path(source), bits, options["as_json"])
            return
        _convert(spec, made.make_source(Path(source)), out, {**settings, "companions": None}, report)
        if _find_rest(spec).is_dir():
            discard(_find_rest(spec))
    else:
        with claim(fetched):
            _convert(spec, _fetch_or_find(spec, fetched, bits, base, report), out, settings, report)
            if not options["keep_source"]:
                _, rest = remove_fetched(fetched)
                if rest:
                    report.note(f"Not downloaded by Flux Local, and still in {fetched}: {', '.join(rest[:5])}.")
    _add_packages(out, report)
    if not options["as_json"]:
        echo_path(out)


def _add_packages(out: Path, report: Reporter) -> None:
    """On a Mac with coremltools, what draws previews on the Neural Engine; without it the model is as good."""
    if sys.platform != "darwin" or not find_spec("coremltools"):
        return
    from converters import coreml

    if coreml.find_network(open_folder(out)):
        try:
            show(coreml.add_packages(out), report)
        except ModelError as error:
            report.note(f"Previews are not drawn by Core ML: {error.message}")


def _gather(
    spec: ModelSpec, place: Path, bits: int, base: library.Installed | None, options: dict[str, Any], report: Reporter
) -> "Gathered":
    """What the model is made of, what is missing fetched where that was asked for. Raises ConvertError."""
    made = gather_model(spec, place, report, *([base.path] if base else []))
    if made.missing and options["download_missing"] and not options["dry_run"]:
        from converters.download import claim, download

        only, rest = made.list_downloads(), _find_rest(spec)
        beside = sum(one.bytes for one in made.chosen.values())
        with claim(rest):
            show(download(spec, rest, consent=True, beside=beside, only=only), report)
        made = gather_model(spec, place, report, rest, *([base.path] if base else []))
    require_whole(made, place, options["download_missing"])
    return made


def _find_rest(spec: ModelSpec) -> Path:
    """Where what a folder lacks is put."""
    return paths.downloads() / f"{spec.name}.rest"


def _fetch_or_find(
    spec: ModelSpec, into: Path, bits: int, base: library.Installed | None, report: Reporter
) -> "Path | Source":
    """The downloaded folder; where the hub can't be had, what the Hugging Face cache holds, if that is all of it."""
    try:
        return _fetch(spec, into, bits, [base.name] if base else [], report)
    except (Unreachable, LicenceNotAccepted, NotInstalled) as error:
        made = _find_cached(spec, report)
        if made is None:
            raise
        why = "Offline." if isinstance(error, NotInstalled) else error.message
        report.note(f"{why} All of it is in the Hugging Face cache, and is used from there.")
        return made


def _find_cached(spec: ModelSpec, report: Reporter) -> "Source | None":
    from converters.gather import gather
    from converters.hub import find_cache
    from converters.survey import survey

    repos = [spec.repo, *(part.repo for part in spec.further)]
    places = [place for repo in repos if repo and (place := find_cache(repo))]
    made = gather(spec, survey(*places)) if places else None
    return made.make_source(places[0]) if made and not made.missing and made.certain else None


def _tell_download(spec: ModelSpec, bits: int, as_json: bool) -> None:
    """What adding would fetch and write."""
    fetched, written = spec.download_bytes, library.disk_bytes(spec, bits)
    free = paths.free_bytes(paths.models())
    if as_json:
        say_json({"model": spec.name, "download_bytes": fetched, "write_bytes": written, "free_bytes": free})
        return
    cached = "; less of what the Hugging Face cache holds"
    echo(f"{spec.title} at {bits} bits: downloads {say_bytes(fetched)}{cached}, writes {say_bytes(written)}.")
    echo(f"{say_bytes(free)} are free. Nothing was asked of the network or written.")


def _fetch(spec: ModelSpec, into: Path, bits: int, without: list[str], report: Reporter) -> Path:
    """Download; the folder to convert. Consent was given."""
    from converters.download import download

    room = library.disk_bytes(spec, bits)
    return Path(show(download(spec, into, consent=True, without=without, beside=room), report).path)


def _convert(spec: ModelSpec, source: "Path | Source", out: Path, settings: dict[str, Any], report: Reporter) -> None:
    from converters.convert import convert

    make_folders(out.parent)
    show(convert(source, out, model=spec.name, **settings), report)


def _find_base(spec: ModelSpec) -> library.Installed | None:
    """The installed model that holds what this one shares with it, where there is one."""
    shared = [part.model for part in spec.further if part.model]
    return next((model for model in library.list_installed() if model.name in shared and not model.problem), None)


def show(events: Generator, report: Reporter) -> Any:
    """Report all events of a generator and close it, also on Ctrl-C; the last event. A Mac stays awake meanwhile."""
    event = None
    try:
        with awake():
            for event in events:
                report(event)
    finally:
        report.clear()
        events.close()
    return event


def _check(spec: ModelSpec, out: Path, force: bool) -> None:
    if spec.repo is None:
        raise RequestError(f"{spec.name} is built in: there is nothing to add.")
    if out.exists() and not force:
        raise RequestError(f"{spec.name} is installed already, in {out}.", "Replace it with --force.")


def _ask_download(spec: ModelSpec, bits: int, out: Path) -> None:
    """On a terminal: what is fetched, what stays, where, and how much is free."""
    size, later = say_bytes(spec.download_bytes), say_bytes(library.disk_bytes(spec, bits))
    free = say_bytes(paths.free_bytes(paths.models()))
    echo(f"{size} are downloaded, {later} stay in {out} at {bits} bits. {free} are free there.", err=True)
    click.confirm("Download it?", abort=True, err=True)


def _consent(spec: ModelSpec) -> None:
    """Show the licence; ask where it demands consent. Raises LicenceNotAccepted."""
    echo(f"{spec.title}: licence {spec.licence.name}, {spec.licence.summary}.\n{spec.licence.url}", err=True)
    if not spec.licence.consent:
        return
    if not sys.stdin.isatty():
        raise LicenceNotAccepted(
            f"The licence of {spec.name} must be agreed to.", "Read it, then add --accept-licence."
        )
    if not click.confirm("Do you agree to this licence?", err=True):
        raise LicenceNotAccepted(f"The licence of {spec.name} was not agreed to.", "Nothing was downloaded.")
