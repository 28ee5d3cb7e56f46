"""What `models add` does: licence, room, download, convert."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.base import blas, paths
from app.models import library
from mlx_model.errors import LicenceNotAccepted, ModelError, NotInstalled, RequestError, Unreachable
from mlx_model.files import make_folders
from mlx_model.languages import LanguageModel
from mlx_model.specs import SPECS, ModelSpec
from mlx_model.store.folder import open_folder

from .add_writer import add_missing_writer, find_row, keep_writer
from .asking import ask_download, consent, show, tell_download
from .folder import gather_model, require_whole, tell_folder, tell_plan
from .say import Reporter, echo_path

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
    out, row = paths.models() / spec.name, find_row(spec) if options["writer"] else None
    there = out.exists() and not options["force"]
    if row and (there or not row.weights):  # it has a download of its own
        add_missing_writer(row, bits, options)
        if there:
            return
        row = None
    _check(spec, out, options["force"] or options["dry_run"])
    if not (options["accept_licence"] or options["dry_run"]):
        consent(spec)
    disk = library.disk_bytes(spec, bits) + (row.disk_bytes(bits) if row else 0)
    if not (options["source"] or options["yes"] or options["dry_run"]) and sys.stdin.isatty():
        ask_download(spec, bits, disk, out)
    blas.preload()
    if options["dry_run"] and not options["source"]:
        tell_download(spec, bits, disk, options["as_json"])
        return
    report = Reporter(options["as_json"])
    if options["source"]:
        _make_of_files(spec, out, bits, row, options, report)
    else:
        _make_of_download(spec, out, bits, row, options, report)
    if options["dry_run"]:
        return
    _add_packages(out, report)
    if not options["as_json"]:
        echo_path(out)


def _make_of_files(
    spec: ModelSpec, out: Path, bits: int, row: LanguageModel | None, options: dict[str, Any], report: Reporter
) -> None:
    from converters.download import discard

    place, base = Path(options["source"]), _find_base(spec)
    made = _gather(spec, place, bits, base, options, report)
    if options["dry_run"]:
        tell_plan(made, place, bits, options["as_json"])
        return
    source = made.make_source(place)
    _convert(spec, source, out, {"bits": bits, "companions": None, "force": options["force"]}, report)
    if row:
        keep_writer(row, source, bits, options["force"], report)
    if _find_rest(spec).is_dir():
        discard(_find_rest(spec))


def _make_of_download(
    spec: ModelSpec, out: Path, bits: int, row: LanguageModel | None, options: dict[str, Any], report: Reporter
) -> None:
    from converters.download import claim, remove_fetched

    base, fetched = _find_base(spec), paths.downloads() / spec.name
    settings = {"bits": bits, "companions": base.path if base else None, "force": options["force"]}
    with claim(fetched):
        source = _fetch_or_find(spec, fetched, bits, base, report, row.disk_bytes(bits) if row else 0)
        _convert(spec, source, out, settings, report)
        if row:
            keep_writer(row, source, bits, options["force"], report)
        if not options["keep_source"]:
            _, rest = remove_fetched(fetched)
            if rest:
                report.note(f"Not downloaded by Flux Local, and still in {fetched}: {', '.join(rest[:5])}.")


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
    spec: ModelSpec, into: Path, bits: int, base: library.Installed | None, report: Reporter, beside: int = 0
) -> "Path | Source":
    """The downloaded folder; where the hub can't be had, what the Hugging Face cache holds, if that is all of it."""
    try:
        return _fetch(spec, into, library.disk_bytes(spec, bits) + beside, [base.name] if base else [], report)
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


def _fetch(spec: ModelSpec, into: Path, room: int, without: list[str], report: Reporter) -> Path:
    """Download; the folder to convert. Consent was given; `room`: bytes that what is made of it takes."""
    from converters.download import download

    return Path(show(download(spec, into, consent=True, without=without, beside=room), report).path)


def _convert(spec: ModelSpec, source: "Path | Source", out: Path, settings: dict[str, Any], report: Reporter) -> None:
    from converters.convert import convert

    make_folders(out.parent)
    show(convert(source, out, model=spec.name, **settings), report)


def _find_base(spec: ModelSpec) -> library.Installed | None:
    """The installed model that holds what this one shares with it, where there is one."""
    shared = [part.model for part in spec.further if part.model]
    return next((model for model in library.list_installed() if model.name in shared and not model.problem), None)


def _check(spec: ModelSpec, out: Path, force: bool) -> None:
    if spec.repo is None:
        raise RequestError(f"{spec.name} is built in: there is nothing to add.")
    if out.exists() and not force:
        raise RequestError(f"{spec.name} is installed already, in {out}.", "Replace it with --force.")
