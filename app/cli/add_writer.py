"""What `models add` does for a language model that writes prompts out: licence, room, download, fewer bits.

And how one is kept of what a model is made of.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.base import blas, paths
from app.models import writers
from mlx_model.errors import FluxLocalError, RequestError
from mlx_model.files import make_folders
from mlx_model.languages import LANGUAGES, LanguageModel
from mlx_model.memory import machine
from mlx_model.specs import ModelSpec

from .asking import ask_download, consent, show, tell_download
from .say import Reporter, echo_path, on_command_line, say_json

NONE = "No writer is here: prompts go to the models as they are. flux-local models list says which can be added."
if TYPE_CHECKING:
    from converters.source import Source


def add_writer(row: LanguageModel, bits: int, options: dict[str, Any]) -> None:
    """Install it at `bits`. Raises RequestError, LicenceNotAccepted, DiskFull and what download and make_writer do."""
    out, disk = paths.writers() / row.name, row.disk_bytes(bits)
    _check(row, out, options)
    if not (options["accept_licence"] or options["dry_run"]):
        consent(row)
    if options["dry_run"]:
        tell_download(row, bits, disk, options["as_json"])
        return
    if not options["yes"] and sys.stdin.isatty():
        ask_download(row, bits, disk, out)
    _fetch(row, out, bits, options, Reporter(options["as_json"]))
    if not options["as_json"]:
        echo_path(out)


def _check(row: LanguageModel, out: Path, options: dict[str, Any]) -> None:
    if options["source"]:
        raise RequestError(f"{row.name} is only downloaded.", "A folder on this disk writes as it is: --writer FOLDER.")
    if out.exists() and not (options["force"] or options["dry_run"]):
        raise RequestError(f"{row.name} is installed already, in {out}.", "Replace it with --force.")
    _require_library()


def _require_library() -> None:
    blas.preload()
    from mlx_model.run.write import require_library

    require_library()


def _fetch(row: LanguageModel, out: Path, bits: int, options: dict[str, Any], report: Reporter) -> None:
    from converters.download import claim, download, remove_fetched

    into = paths.downloads() / row.name
    with claim(into):
        fetched = Path(show(download(row, into, consent=True, beside=row.disk_bytes(bits)), report).path)
        _make(row, fetched / row.weights, fetched / row.tokenizer, bits, report)
        if not options["keep_source"]:
            remove_fetched(into)


def _make(row: LanguageModel, weights: Path, tokenizer: Path, bits: int, report: Reporter) -> None:
    from converters.language import make_writer

    out = paths.writers() / row.name
    make_folders(out.parent)
    show(make_writer(row, weights, tokenizer, out, bits), report)


def find_row(spec: ModelSpec) -> LanguageModel:
    """The language model of an image model. Raises RequestError where it has none, or mlx-lm is not installed."""
    if spec.writer not in LANGUAGES:
        known = ", ".join(LANGUAGES)
        raise RequestError(f"{spec.name} has no language model to keep.", f"These write for any model: {known}.")
    _require_library()
    return LANGUAGES[spec.writer]


def add_missing_writer(row: LanguageModel, bits: int, options: dict[str, Any]) -> None:
    """Beside a model, by a download of its own; nothing where it is here. Raises what add_writer does."""
    if (paths.writers() / row.name).exists() and not options["force"]:
        Reporter(options["as_json"]).note(f"{row.title} is here already.")
    else:
        add_writer(row, bits, {**options, "source": None})


def keep_writer(row: LanguageModel, source: "Path | Source", bits: int, force: bool, report: Reporter) -> None:
    """Of what a model was made of, its text encoder in full. Where that can't be, it is told: the model is as good."""
    if (paths.writers() / row.name).exists() and not force:
        report.note(f"{row.title} is here already.")
        return
    found = (source / row.weights, source / row.tokenizer) if isinstance(source, Path) else _find_folders(source)
    try:
        _make(row, *found, bits, report)
    except FluxLocalError as error:
        said = f"{error.message} {on_command_line(error.hint)}".strip()
        report.note(f"No writer was kept. {said} flux-local models add {row.name} downloads one.")


def _find_folders(source: "Source") -> tuple[Path, Path]:
    """Where the text encoder and its tokenizer lie."""
    weights = source.parts["text_encoder"][0].files[0].parent
    return weights, source.tokenizers.text or weights


def choose(name: str | None, automatic: bool, report: Reporter) -> None:
    """Remember which one writes, or forget it; then say which does. Raises what writers.choose_writer does."""
    if name and automatic:
        raise RequestError("A writer is named or chosen automatically, not both.", "Leave one of the two out.")
    if automatic:
        writers.forget_choice()
    elif name:
        writers.choose_writer(writers.resolve(name), machine().usable)
    chosen, found = writers.read_choice(), writers.find_writer()
    if report.as_json:
        say_json({"writer": found and str(found), "chosen": chosen and str(chosen)})
        return
    if chosen not in (None, found):
        report.note(f"{chosen} was chosen and is not there now.")
    echo_path(found) if found else report.note(NONE)
