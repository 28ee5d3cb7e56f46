"""flux-local write, and what --write does for generate and edit."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import click

from app.base import blas
from app.models import library, writers
from mlx_model.errors import RequestError
from mlx_model.memory import machine
from mlx_model.specs import SPECS, ModelSpec

from .options import FILE
from .say import Reporter, echo, json_option, say_json


@click.command()
@click.argument("words")
@click.option(
    "-w",
    "--writer",
    type=FILE,
    metavar="NAME|FOLDER",
    help="One of `models list`, or the folder of a language model that mlx-lm opens; for this once. Where no writer is "
    "here yet, a folder whose words are used is the usual one from then on.",
)
@click.option("-m", "--model", metavar="MODEL", help="What the words are for: FLUX.3 has a writer of its own.")
@click.option("--change", is_flag=True, help="WORDS are an instruction for an edit, not a description.")
@click.option(
    "--as-json", "as_object", is_flag=True, help="As a JSON object, which FLUX.2 reads too; not for a change."
)
@click.option("--reference", "references", multiple=True, metavar="NAME", help="A picture that the edit sees.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="S", help="Another seed, other words.")
@json_option
def write(words: str, writer: str | None, model: str | None, change: bool, **options: Any) -> None:
    """Write WORDS out into the long description that a model wants, with a language model on this disk.

    `models add flux3-writer` adds FLUX.3's own, `models add flux2-klein-4b --writer` keeps FLUX.2's text encoder in
    full. FOLDER has config.json, weights as safetensors and a tokenizer. @mentions stay as they are; an answer that
    loses one is not used.

    \b
    Example:
      flux-local write "a fox in the snow" -m flux3-image-klein
      flux-local write "a fox in the snow" --writer ~/models/Qwen3-4B
      flux-local write "make it night" --change --writer ~/models/Qwen3-4B
    """
    asked = Asked(words, options["references"], change, options["seed"], options["as_object"])
    text = write_out(asked, writer, find_spec(model) if model else None, Reporter(options["as_json"]))
    say_json({"text": text}) if options["as_json"] else echo(text)


class Asked(NamedTuple):
    """What is to be written out; see mlx_model/writing.py."""

    words: str
    references: Sequence[str]
    changes: bool
    seed: int
    as_json: bool = False


def find_spec(name: str | None) -> ModelSpec:
    """Of a model, installed or only known. Raises NotInstalled, RequestError."""
    return SPECS[name] if name in SPECS else library.find(name).folder.spec


def _check_form(asked: Asked, spec: ModelSpec | None) -> None:
    """Raises RequestError where a JSON object is asked for that nobody reads."""
    if asked.as_json and asked.changes:
        raise RequestError("An instruction for an edit is plain words.", "Leave --as-json out.")
    if asked.as_json and spec and not spec.structured:
        raise RequestError(f"{spec.title} reads no JSON.", "FLUX.2 does; leave --as-json out.")


def write_out(asked: Asked, writer: str | None, spec: ModelSpec | None, report: Reporter) -> str:
    """The written-out text. `writer`: a name or a folder, None for the one that writes for `spec`.

    Raises RequestError where it can't be used, NotInstalled, LayoutError, WillNotFit.
    """
    _check_form(asked, spec)
    blas.preload()
    from mlx_model.run.write import Writer

    here = machine().usable
    place = writers.pick(writer, spec, here)
    report.note(f"{place.name} writes the words out.")
    events = Writer.open(place, here).write(*asked)
    try:
        while True:
            report(next(events))
    except StopIteration as end:
        text: str = end.value
        writers.keep_first(writer)
        return text
    finally:
        events.close()
        report.clear()
