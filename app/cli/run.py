"""One run of generate or edit: prepare, say whether it fits, sample, save."""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app import blas, files, images, paths
from mlx_model.errors import DiskFull, RequestError
from mlx_model.request import MAX_SEED, Request

from .prepare import prepare
from .say import Reporter

if TYPE_CHECKING:
    from mlx_model.folder import Folder
    from mlx_model.pipeline import Pipeline

Options = dict[str, Any]


def run(options: Options, prompt: str | None, pictures: Sequence[str], default_name: str) -> None:
    """Do what generate and edit do. Raises FluxLocalError of every kind; KeyboardInterrupt closes the run."""
    report, notes = Reporter(options["as_json"]), []
    folder, request = prepare(options, prompt, pictures, notes)
    for note in notes:
        report.note(note)
    output = _output(options, default_name, request)
    report.note(_forecast(folder, request, options["count"]))
    pipeline = open_pipeline(folder.path, request.dtype)
    try:
        for number in range(options["count"]):
            seeded = dataclasses.replace(request, seed=(request.seed + number) % (MAX_SEED + 1))
            _one(pipeline, seeded, options, _nth(output, number, options["force"]), number, report)
    finally:
        report.clear()


def open_pipeline(folder: Path, dtype: str | None) -> "Pipeline":
    """The pipeline, with a fast BLAS where one is installed: that must be loaded before mlx."""
    blas.preload()
    from mlx_model.pipeline import Pipeline

    return Pipeline.open(folder, dtype)


def _output(options: Options, default_name: str, request: Request) -> Path:
    """The picture's path, tried for writing. Raises RequestError or DiskFull."""
    output = Path(options["output"] or default_name).expanduser()
    output = (output / default_name if output.is_dir() else output).absolute()
    images.format_of(output)
    originals = {Path(given.path).resolve() for given in (*request.references, request.mask, *request.loras) if given}
    for path in map(Path, filter(None, (output, options["save_latents"]))):
        if path.resolve() in originals and options["force"]:
            raise RequestError(f"{path} is one of the files you gave.", "Flux Local never overwrites an original.")
        files.check_writable(path.absolute())
    if options["preview"]:
        _make_folder(Path(options["preview"]))
    _check_space(output, request, options["count"])
    return output


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
    from mlx_model import memory

    here, size = memory.machine(bool(blas.preload())), (request.width, request.height)
    sizes = [reference.pixels.shape[1::-1] for reference in request.references]
    number_bytes = 4 if request.dtype == "float32" else here.number_bytes
    weights = memory.held_weights(folder, number_bytes)
    weights["transformer"] += sum(Path(lora.path).stat().st_size for lora in request.loras)
    memory.require(folder.spec, here, size, sizes, weights)
    several = f" to {(request.seed + count - 1) % (MAX_SEED + 1)}" if count > 1 else ""
    return f"{folder.spec.title}, {size[0]}x{size[1]}, {request.steps} steps, seed {request.seed}{several}."


def _nth(output: Path, number: int, force: bool) -> Path:
    """With --force each picture of --count still has its own name; without, the name is numbered when it is taken."""
    return output.with_name(f"{output.stem}-{number + 1}{output.suffix}") if number and force else output


def _one(pipeline: "Pipeline", request: Request, options: Options, output: Path, number: int, report: Reporter) -> None:
    with closing(pipeline.run(request, previews=bool(options["preview"]))) as events:
        for event in _saved(events, request, options, output, number):
            report(event)
            if type(event).__name__ == "Done" and not options["as_json"]:
                report.clear()
                click.echo(event.path)


def _saved(events: Iterator, request: Request, options: Options, output: Path, number: int) -> Iterator:
    """The events with pixels written to files and the files' paths put in."""
    for event in events:
        kind = type(event).__name__
        if kind == "Preview" and event.pixels is not None:
            name = Path(options["preview"]) / f"{output.stem}-{request.seed}-step-{event.step:02}.png"
            path = images.save_picture(event.pixels, name, None, options["force"], bool(request.references))
            event = dataclasses.replace(event, path=str(path))
        elif kind == "Done":
            _save_latents(event, options, number)
            event = _save(event, request, options, output)
        yield event


def _save_latents(done: Any, options: Options, number: int) -> None:
    """Before the picture: a picture means a finished run."""
    if not options["save_latents"]:
        return
    from safetensors.numpy import save

    data, path = save({"latents": done.latents}), Path(options["save_latents"]).absolute()
    files.write_new(_nth(path, number, options["force"]), lambda handle: handle.write(data), options["force"])


def _save(done: Any, request: Request, options: Options, output: Path) -> Any:
    """Write the picture; the event with its path and seed."""
    text = request.to_json() if options["metadata"] else None
    path = images.save_picture(done.pixels, output, text, options["force"], bool(request.references))
    return dataclasses.replace(done, path=str(path), seed=request.seed)
