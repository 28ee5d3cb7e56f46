"""What `models add` does: licence, room, download, convert."""

import shutil
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import click

from app.base import blas, paths
from app.engine.running import awake
from app.models import catalogue, library
from mlx_model.errors import LicenceNotAccepted, RequestError
from mlx_model.specs import ModelSpec

from .say import Reporter


def add_model(spec: ModelSpec, bits: int, options: dict[str, Any]) -> None:
    """Install a model at `bits`. Raises RequestError, LicenceNotAccepted, DiskFull and what download and convert do."""
    out, source = paths.models() / spec.name, options["source"]
    _check(spec, out, options["force"])
    if not options["accept_licence"]:
        _consent(spec)
    report, base, fetched = Reporter(options["as_json"]), _find_base(spec), paths.downloads() / spec.name
    settings = {"bits": bits, "companions": base.path if base else None, "force": options["force"]}
    blas.preload()
    if source:
        _convert(spec, Path(source), out, settings, report)
    else:
        from converters.download import claim

        with claim(fetched):
            found = _fetch(spec, fetched, bits, [base.name] if base else [], report)
            _convert(spec, found, out, settings, report)
            if not options["keep_source"]:
                shutil.rmtree(fetched, ignore_errors=True)
    if not options["as_json"]:
        click.echo(out)


def _fetch(spec: ModelSpec, into: Path, bits: int, without: list[str], report: Reporter) -> Path:
    """Download; the folder to convert. Consent was given."""
    from converters.download import download

    room = catalogue.disk_bytes(spec, bits)
    return Path(show(download(spec, into, consent=True, without=without, beside=room), report).path)


def _convert(spec: ModelSpec, source: Path, out: Path, settings: dict[str, Any], report: Reporter) -> None:
    from converters.convert import convert

    out.parent.mkdir(parents=True, exist_ok=True)
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


def _consent(spec: ModelSpec) -> None:
    """Show the licence; ask where it demands consent. Raises LicenceNotAccepted."""
    click.echo(f"{spec.title}: licence {spec.licence.name}, {spec.licence.summary}.\n{spec.licence.url}", err=True)
    if not spec.licence.consent:
        return
    if not sys.stdin.isatty():
        raise LicenceNotAccepted(
            f"The licence of {spec.name} must be agreed to.", "Read it, then add --accept-licence."
        )
    if not click.confirm("Do you agree to this licence?", err=True):
        raise LicenceNotAccepted(f"The licence of {spec.name} was not agreed to.", "Nothing was downloaded.")
