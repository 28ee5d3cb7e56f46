"""flux-local train"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from .options import FILE, Number
from .say import Reporter, echo, echo_path, json_option, say_json

RATES = {"lora": 1e-4, "all": 1e-5}

Command = TypeVar("Command", bound=Callable[..., Any])


def prior_options(kept: int | None, says: str) -> Callable[[Command], Command]:
    """What the model is to keep. `kept` pictures of its own, or what `says`."""
    options = (
        click.option(
            "--keep", "kept", type=click.IntRange(0, 10_000), default=kept, metavar="N",
            help=f"Pictures that the model makes first and goes on learning, to keep what it knew; {says}.",
        ),
        click.option("--about", default="", metavar="WORDS", help="Whom half of those show, such as: a dog"),
        click.option("--prior-data", "prior", type=FILE, metavar="DATA", help="Examples of yours that it is to keep."),
        click.option(
            "--prior-weight", type=Number(0, 100, min_open=True), default=1.0, show_default=True,
            help="Of what it is to keep, beside 1 for what it learns.",
        ),
    )  # fmt: skip

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@click.command()
@click.argument("data", type=FILE)
@click.option("-m", "--model", metavar="MODEL", help="A model's name or folder; the default model if not given.")
@click.option(
    "-o", "--output", type=FILE, required=True, metavar="DIR", help="The run's folder; the result goes there."
)
@click.option("--lora", is_flag=True, help="Train a LoRA beside the weights in place of all weights.")
@click.option("--rank", type=click.IntRange(1, 512), default=16, show_default=True, help="Of the LoRA.")
@click.option("--alpha", type=Number(0, min_open=True), help="Of the LoRA; its rank if not given.")
@click.option("--targets", default="blocks", show_default=True, help="blocks, attention, or names with * and commas.")
@click.option("--self-flow", is_flag=True, help="Also learn from its own average, which sees less noise.")
@click.option("--steps", type=click.IntRange(1, 10_000_000), default=1000, show_default=True, help="How long to learn.")
@click.option("--rate", type=Number(0, 1, min_open=True), help="1e-4 for a LoRA, 1e-5 for all weights.")
@click.option("--batch", type=click.IntRange(1, 4096), default=1, show_default=True, help="Examples of one step.")
@click.option(
    "--optimizer", type=click.Choice(["adamw", "muon"]), default="adamw", show_default=True, help="How weights move."
)
@click.option("--ema", type=Number(0, 1, max_open=True), help="Average that is kept; 0.99, with Self-Flow 0.999.")
@click.option("--size", type=click.IntRange(64, 4096), metavar="SIDE", help="Of a square of the pictures' area.")
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of all chance in the run."
)
@click.option(
    "--sample-every", type=click.IntRange(0), default=250, show_default=True, metavar="N", help="0: no samples."
)
@prior_options(0, "none if not given")
@click.option("--gradient-checkpoints", is_flag=True, help="Less memory, more time; chosen by itself where needed.")
@click.option("--resume", is_flag=True, help="Go on where DIR stands; --steps may be larger.")
@json_option
def train(data: str, model: str | None, output: str, as_json: bool, **options: Any) -> None:
    """Teach a model from pictures of your own: DATA is a folder or a table of examples.

    A folder holds pictures, each with its caption in a .txt of the same name; what edits start from lies in
    DATA/control under the same name. A table (.jsonl, .csv) has columns such as image, prompt and control.

    \b
    Example:
      flux-local train my-drawings -m flux2-klein-base-4b -o fox-style --lora --steps 1500
      flux-local generate "a fox" -m flux2-klein-base-4b --lora fox-style/fox-style.safetensors
      flux-local train character Bobo photos/*.jpg -m flux2-klein-base-4b -o bobo
    """
    from app.engine.running import load_mlx

    load_mlx()  # with its fast BLAS, before anything else does
    from app.base import paths
    from app.models import library
    from app.training.session import Plan
    from app.training.session import train as run
    from mlx_model.store.folder import open_folder

    paths.require_free(Path(output))
    folder, out = open_folder(library.resolve(model)), Path(output)
    name = re.sub(r"[^\w.-]+", "-", out.absolute().name).strip(".-") or "trained"
    plan = Plan(
        Path(data), out, name, _settings(options), options["steps"], options["size"], options["sample_every"],
        options["resume"], kept=options["kept"], about=options["about"],
        prior=Path(options["prior"]) if options["prior"] else None,
    )  # fmt: skip
    _show(run(folder, plan), Reporter(as_json), as_json)


@click.command()
@click.argument("name")
@click.argument("pictures", type=FILE, nargs=-1, required=True)
@click.option("-m", "--model", metavar="MODEL", help="A model's name or folder; the default model if not given.")
@click.option(
    "-o", "--output", type=FILE, required=True, metavar="DIR", help="The run's folder; the result goes there."
)
@click.option("--steps", type=click.IntRange(1, 100_000), help="How long to learn; 100 for each picture, 800 to 1500.")
@click.option("--rank", type=click.IntRange(1, 512), default=16, show_default=True, help="Of the LoRA.")
@click.option("--size", type=click.IntRange(64, 4096), metavar="SIDE", help="Of a square of the pictures' area.")
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of all chance in the run."
)
@click.option("--sample-every", type=click.IntRange(0), metavar="N", help="A quarter of the run; 0: no samples.")
@prior_options(None, "2 for each picture, 0 for none")
@click.option("--add", is_flag=True, help="Add the result to the LoRAs that --lora finds by name.")
@click.option("--resume", is_flag=True, help="Go on where DIR stands; --steps may be larger.")
@json_option
def character(
    name: str,
    pictures: tuple[str, ...],
    model: str | None,
    output: str,
    add: bool,
    resume: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Teach a model a character from 5 to 20 PICTURES: NAME in a prompt calls it from then on.

    A caption is NAME and what a .txt beside the picture says, such as "in a garden, from behind". What is learned is a
    LoRA for this model.

    \b
    Example:
      flux-local train character Bobo photos/*.jpg -m flux2-klein-base-4b -o bobo
      flux-local generate "Bobo on the moon" -m flux2-klein-base-4b --lora bobo/Bobo.safetensors
    """
    from app.engine.running import load_mlx

    load_mlx()  # with its fast BLAS, before anything else does
    from app.base import paths
    from app.engine.jobs import Lesson
    from app.models import library, loras
    from app.training.character import make_plan
    from app.training.session import train as run
    from mlx_model.store.folder import open_folder

    paths.require_free(Path(output))
    folder = open_folder(library.resolve(model))
    options["prior"] = options["prior"] or ""
    plan = make_plan(Lesson(name, pictures, output, **options), folder.spec, resume)
    _show(run(folder, plan), Reporter(as_json), as_json)
    if add:
        kept = loras.add(plan.result)
        say_json({"lora": kept.stem}) if as_json else echo(f"In the library as {kept.stem}: --lora {kept.stem}")


@click.command()
@click.argument("data", type=FILE)
@click.option(
    "-o", "--output", type=FILE, required=True, metavar="DIR", help="The run's folder; the result goes there."
)
@click.option("--self-flow", is_flag=True, help="Also learn from its own average, which sees less noise.")
@click.option("--steps", type=click.IntRange(1, 10_000_000), default=2000, show_default=True, help="How long to learn.")
@click.option(
    "--rate", type=Number(0, 1, min_open=True), default=0.012, show_default=True, help="Of Muon; Adam's is 1/8."
)
@click.option("--batch", type=click.IntRange(1, 4096), default=8, show_default=True, help="Of each kind in one step.")
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of all chance in the run."
)
@click.option(
    "--sample-every", type=click.IntRange(0), default=250, show_default=True, metavar="N", help="0: no samples."
)
@click.option("--resume", is_flag=True, help="Go on where DIR stands; --steps may be larger.")
@json_option
def clips(data: str, output: str, as_json: bool, **options: Any) -> None:
    """Research: one small network for pictures, video clips and sounds, trained from nothing.

    DATA holds pictures, clips (.mp4, .mov, .gif ...) and sounds (.wav, .flac, .mp3 ...), each with its caption in a
    .txt of the same name; of clips and sounds it learns the first second. Losses are logged and drawn for each kind.

    \b
    Example:
      flux-local train clips my-clips -o joint --self-flow --steps 5000
    """
    from app.engine.running import load_mlx

    load_mlx()  # with its fast BLAS, before anything else does
    from app.base import paths
    from app.training.joint_run import train_clips
    from app.training.session import Plan
    from mlx_model.training.needs import Settings

    out = Path(output)
    paths.require_free(out)
    name = re.sub(r"[^\w.-]+", "-", out.absolute().name).strip(".-") or "trained"
    chosen = {key: options[key] for key in ("rate", "batch", "self_flow", "seed")}
    settings = Settings(rank=None, optimizer="muon", ema=0.99, **chosen)
    plan = Plan(Path(data), out, name, settings, options["steps"], None, options["sample_every"], options["resume"])
    _show(train_clips(plan), Reporter(as_json), as_json)


def _settings(options: dict[str, Any]) -> Any:
    from mlx_model.training.needs import Settings

    kept = {name: options[name] for name in ("alpha", "targets", "optimizer", "batch", "self_flow", "seed")}
    kept["gradient_checkpoints"] = options["gradient_checkpoints"]
    kept["prior"] = options["prior_weight"] if options["kept"] or options["prior"] else 0.0
    rate = options["rate"] or RATES["lora" if options["lora"] else "all"]
    ema = options["ema"] if options["ema"] is not None else (0.999 if options["self_flow"] else 0.99)
    return Settings(rank=options["rank"] if options["lora"] else None, rate=rate, ema=ema, **kept)


def _show(events: Any, report: Reporter, as_json: bool) -> None:
    from contextlib import closing

    from app.engine.running import awake
    from mlx_model.events import Done

    with awake(), closing(events):
        try:
            for event in events:
                report(event)
                if isinstance(event, Done) and not as_json:
                    report.clear()
                    echo_path(event.path)
        finally:
            report.clear()
