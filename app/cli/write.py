"""flux-local write, and what --write does for generate and edit."""

from collections.abc import Sequence
from pathlib import Path

import click

from app.base import blas
from app.models import writers
from mlx_model.errors import RequestError
from mlx_model.memory import machine

from .options import FILE
from .say import Reporter, echo, json_option, say_json


@click.command()
@click.argument("words")
@click.option(
    "-w",
    "--writer",
    type=FILE,
    metavar="FOLDER",
    help="A language model that mlx-lm opens; from then on the usual one.",
)
@click.option("--change", is_flag=True, help="WORDS are an instruction for an edit, not a description.")
@click.option("--reference", "references", multiple=True, metavar="NAME", help="A picture that the edit sees.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="S", help="Another seed, other words.")
@json_option
def write(words: str, writer: str | None, change: bool, references: tuple[str, ...], seed: int, as_json: bool) -> None:
    """Write WORDS out into the long description that a model wants, with a language model on this disk.

    FOLDER has config.json, weights as safetensors and a tokenizer: Qwen3, Mistral, or the text encoder's repository of
    a FLUX.2 model in full. @mentions stay as they are; an answer that loses one is not used.

    \b
    Example:
      flux-local write "a fox in the snow" --writer ~/models/Qwen3-4B
      flux-local write "make it night" --change --writer ~/models/Qwen3-4B
    """
    text = write_out(words, writer, references, change, seed, Reporter(as_json))
    say_json({"text": text}) if as_json else echo(text)


def write_out(
    words: str, folder: str | None, references: Sequence[str], changes: bool, seed: int, report: Reporter
) -> str:
    """The written-out text. Raises RequestError where it can't be used, LayoutError, WillNotFit."""
    blas.preload()
    from mlx_model.run.write import Writer

    here = machine().usable
    place = writers.choose_writer(Path(folder), here) if folder else writers.find_writer()
    if place is None:
        raise RequestError("No writer is chosen yet.", "Name the folder of a language model: --writer FOLDER.")
    events = Writer.open(place, here).write(words, references, changes, seed)
    try:
        while True:
            report(next(events))
    except StopIteration as end:
        text: str = end.value
        return text
    finally:
        events.close()
        report.clear()
