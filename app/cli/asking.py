"""What is said and asked before a download, and its events, for models and for what writes their prompts."""

import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import click

from app.base import paths
from app.engine.running import awake
from mlx_model.errors import LicenceNotAccepted
from mlx_model.languages import LanguageModel
from mlx_model.memory import say_bytes
from mlx_model.specs import ModelSpec

from .say import Reporter, echo, say_json


def consent(spec: ModelSpec | LanguageModel) -> None:
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


def ask_download(spec: ModelSpec | LanguageModel, bits: int, stays: int, out: Path) -> None:
    """On a terminal: what is fetched, what stays, where, and how much is free."""
    size, later = say_bytes(spec.download_bytes), say_bytes(stays)
    free = say_bytes(paths.free_bytes(paths.models()))
    echo(f"{size} are downloaded, {later} stay in {out} at {bits} bits. {free} are free there.", err=True)
    click.confirm("Download it?", abort=True, err=True)


def tell_download(spec: ModelSpec | LanguageModel, bits: int, written: int, as_json: bool) -> None:
    """What adding would fetch and write."""
    fetched = spec.download_bytes
    free = paths.free_bytes(paths.models())
    if as_json:
        say_json({"model": spec.name, "download_bytes": fetched, "write_bytes": written, "free_bytes": free})
        return
    cached = "; less of what the Hugging Face cache holds"
    echo(f"{spec.title} at {bits} bits: downloads {say_bytes(fetched)}{cached}, writes {say_bytes(written)}.")
    echo(f"{say_bytes(free)} are free. Nothing was asked of the network or written.")


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
