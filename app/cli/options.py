"""The options that generate and edit share."""

import math
import os
from collections.abc import Callable
from typing import Any

import click

from mlx_model.spec_parts import BITS, DTYPES

from .say import json_option


class _File(click.Path):
    """A path, ~ being the home folder also where no shell has said so (`--option=~/x`, quotes, scripts).

    Whether it can be used is told by whoever uses it. An empty one never is. `-o=x` is taken as `-o x`.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(param, click.Option):
            value = value.removeprefix("=")
        if not value:
            self.fail("The name is empty.", param, ctx)
        return super().convert(os.path.expanduser(value), param, ctx)


FILE = _File(readable=False, path_type=str)


class Number(click.FloatRange):
    """A range has no place for what is no number: nan is neither below nor above it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        return number if math.isfinite(number) else self.fail(f"{value} is not a number.", param, ctx)


SEEN = (
    "At how many pixels each reference is looked at: 1048576, on request up to 4194304 of one, 3 to 4 times the work."
)
MODEL: Any = click.option("-m", "--model", metavar="MODEL", help="A model's name or the folder of a converted one.")
OUTPUT: Any = click.option(
    "-o", "--output", type=FILE, metavar="OUT", help="Where the picture goes: png, jpg, webp, tiff, avif."
)


def _options() -> list[Callable]:
    option: Any = click.option
    return [
        MODEL,
        OUTPUT,
        option("--size", metavar="WxH|W:H", help="Size in pixels, or a shape such as 16:9."),
        option("--steps", type=int, metavar="N", help="Sampling steps; the model's own number if not given."),
        option("--guidance", type=float, metavar="G", help="How closely to follow the prompt."),
        option("--seed", type=int, metavar="S", help="The same seed gives the same picture; random if not given."),
        option("--count", type=click.IntRange(1, 1000), default=1, metavar="N", help="Pictures, at seeds S, S+1, ..."),
        option("--negative", metavar="TEXT", help="What to avoid (base models)."),
        lora_option(help="A LoRA and how strongly it counts; may be repeated. `none` takes a recorded one off."),
        option("--again", type=FILE, metavar="OUT.png", help="Redo a saved picture; other options change it."),
        option("--preview", type=FILE, metavar="DIR", help="Save a picture after each step but the last into DIR."),
        option("--noise", type=FILE, metavar="FILE", help="Start from this noise (.safetensors, tensor `noise`)."),
        option("--save-latents", type=FILE, metavar="FILE", help="Also save the final latents (.safetensors)."),
        option("--write", is_flag=True, help="Write the prompt out first, with a language model on this disk."),
        option("--writer", type=FILE, metavar="NAME|FOLDER", help="The same with this one; see `flux-local write`."),
        option("--as-json", "as_object", is_flag=True, help="Write it out as a JSON object, which FLUX.2 reads too."),
        option("--reference-size", type=int, metavar="PIXELS", help=SEEN),
        step_cache_option(),
        *_saving(),
    ]


def _saving() -> list[Callable]:
    option: Any = click.option
    return [
        option("--dtype", type=click.Choice(DTYPES), help="Number format of the run."),
        cache_option(),
        low_memory_option(),
        option("--metadata/--no-metadata", default=True, help="Embed the request (the AI mark always is)."),
        option("--force", is_flag=True, help="Overwrite an existing output instead of numbering."),
        json_option,
    ]


def enlarge_options(command: Callable) -> Callable:
    """Add those of the shared options that enlarging takes."""
    option: Any = click.option
    own = [
        option("--steps", type=int, metavar="N", help="Steps of each tile; a few if not given."),
        option("--guidance", type=float, metavar="G", help="How closely to follow the words."),
        option("--seed", type=int, default=0, show_default=True, metavar="S", help="Another seed, other detail."),
        lora_option(help="A LoRA and how strongly it counts; may be repeated."),
    ]
    for one in reversed([MODEL, OUTPUT, *own, *_saving()]):
        command = one(command)
    return command


def run_options(command: Callable) -> Callable:
    """Add the shared options to a command."""
    for option in reversed(_options()):
        command = option(command)
    return command


def cache_option() -> Callable:
    """--cache and --no-cache."""
    words = "Keep what is computed of prompts and pictures on this disk, so that later runs are shorter."
    return click.option("--cache/--no-cache", default=True, help=words)


def low_memory_option() -> Callable:
    """--low-memory."""
    words = "Need little memory: read the weights from the disk as they are used, as is done where a model won't fit."
    return click.option("--low-memory", is_flag=True, help=words)


def step_cache_option() -> Callable:
    """--step-cache."""
    words = (
        "Skip most of a step that is like one before; 0.1 saves a third or more of many steps. The picture comes out a "
        "little different; 0, the default, is off."
    )
    return click.option("--step-cache", type=Number(0, 1), metavar="THRESHOLD", help=words)


def region_option() -> Callable:
    """--region and --no-region."""
    words = "With a mask: compute only what lies under it and a rim around it. Quicker where it is small; approximate."
    return click.option("--region/--no-region", default=None, help=words)


def lora_option(help: str) -> Callable:
    """--lora, any number of times."""
    return click.option("--lora", "loras", multiple=True, metavar="PATH|NAME[:SCALE]", help=help)


def bits_option(default: int) -> Callable:
    """--bits with the numbers that converters.quantize can make, as an int."""
    choice = click.Choice((*BITS, 32))
    return click.option("--bits", type=choice, default=default, show_default=True, help="Bits a weight.")
