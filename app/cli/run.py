"""One run of generate or edit: prepare, say whether it fits, sample, save."""

import dataclasses
import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.base import files, paths
from app.base.words import say_count
from app.engine.running import Output, awake, open_pipeline, require_memory, run_and_save
from app.pictures import images
from mlx_model.errors import DiskFull, RequestError
from mlx_model.events import Done
from mlx_model.request import MAX_SEED, Request

from .prepare import prepare
from .say import Reporter

if TYPE_CHECKING:
    from mlx_model.run.pipeline import Pipeline
    from mlx_model.store.folder import Folder

Options = dict[str, Any]


def run(options: Options, prompt: str | None, pictures: Sequence[str], default_name: str) -> None:
    """Do what generate and edit do. Raises FluxLocalError of every kind; KeyboardInterrupt closes the run."""
    report = Reporter(options["as_json"])
    notes: list[str] = []
    folder, request = prepare(options, prompt, pictures, notes)
    for note in notes:
        report.note(note)
    output = _output(options, default_name, request, folder.path)
    report.note(_forecast(folder, request, options["count"]))
    pipeline = open_pipeline(folder.path, request.dtype)
    try:
        with awake():
            for number in range(options["count"]):
                seeded = dataclasses.replace(request, seed=(request.seed + number) % (MAX_SEED + 1))
                _one(pipeline, seeded, options, _nth(output, number, options["force"]), number, report)
    finally:
        report.clear()


def _output(options: Options, default_name: str, request: Request, model: Path) -> Path:
    """The picture's path, tried for writing. Raises RequestError or DiskFull."""
    given = options["output"] or default_name
    output = Path(given).expanduser()
    if given.endswith(os.sep) and not os.path.isdir(output):
        raise RequestError(f"There is no folder {output}.", "Create it first, or choose another output.")
    output = (output / default_name if os.path.isdir(output) else output).absolute()
    images.format_of(output)
    originals = [given.path for given in (*request.references, request.mask, *request.loras) if given]
    originals += [request.noise] if request.noise else []
    if options["save_latents"] and Path(options["save_latents"]).suffix.lower() != ".safetensors":
        raise RequestError(f"{options['save_latents']} is no name for latents.", "End it in .safetensors.")
    for path in map(Path, filter(None, (output, options["save_latents"]))):
        if Path(os.path.realpath(model)) in Path(os.path.realpath(path)).parents:
            raise RequestError(f"{path} is inside the model {model.name}.", "Choose another place.")
        if options["force"] and any(_same(path, original) for original in originals):
            raise RequestError(f"{path} is one of the files you gave.", "Flux Local never overwrites an original.")
        files.check_writable(path.absolute())
    if options["preview"]:
        _make_folder(Path(options["preview"]))
    _check_space(output, request, options["count"])
    return output


def _same(path: Path, original: str) -> bool:
    """Also under another spelling, where the disk does not tell A from a, and as a link."""
    try:
        return os.path.samefile(path, original)
    except OSError:  # one is not there
        return False


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"{folder} can't be made: {error.strerror}.", "Choose another folder.") from error
    files.check_writable(folder / "step.png")


def _check_space(output: Path, request: Request, count: int) -> None:
    """An uncompressed picture is the most that one can take."""
    needed = 3 * (request.width or 0) * (request.height or 0) * count
    if paths.free_bytes(output.parent) < needed:
        raise DiskFull(f"There is no room for the pictures in {output.parent}.", "Free some space.")


def _forecast(folder: "Folder", request: Request, count: int) -> str:
    """What the person reads before it starts. Raises WillNotFit."""
    require_memory(folder, request)
    several = f" to {(request.seed + count - 1) % (MAX_SEED + 1)}" if count > 1 else ""
    size = f"{request.width}x{request.height}"
    steps = say_count(request.steps or 0, "step")
    return f"{folder.spec.title}, {size}, {steps}, seed {request.seed}{several}."


def _nth(output: Path, number: int, force: bool) -> Path:
    """With --force each picture of --count still has its own name; without, the name is numbered when it is taken."""
    return output.with_name(f"{output.stem}-{number + 1}{output.suffix}") if number and force else output


def _one(pipeline: "Pipeline", request: Request, options: Options, output: Path, number: int, report: Reporter) -> None:
    latents = options["save_latents"] and _nth(Path(options["save_latents"]).absolute(), number, options["force"])
    previews = options["preview"] and Path(options["preview"])
    place = Output(output, previews, latents, metadata=options["metadata"], force=options["force"])
    with closing(run_and_save(pipeline, request, place)) as events:
        for event in events:
            report(event)
            if isinstance(event, Done) and not options["as_json"]:
                report.clear()
                click.echo(event.path)
