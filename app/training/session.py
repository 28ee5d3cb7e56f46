"""One training run in a folder of its own: begin or go on, pictures on the way, the result.

OUT/NAME.safetensors   the result, written when the run is done: the only file with this ending
OUT/state.checkpoint   what going on needs
OUT/run.json           model, data and settings
OUT/log.jsonl          a line for every step; OUT/loss.png draws it
OUT/samples/           the same words and seeds before and after
OUT/cache/             the examples as the model sees them, made once
"""

import dataclasses
import hashlib
import io
import json
import math
import os
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from app.base.words import say_duration
from app.engine.running import open_pipeline
from app.pictures import images
from mlx_model import files
from mlx_model.errors import RequestError, say_reason
from mlx_model.events import Done, Event, Note, Preview, Stage
from mlx_model.foreign import parse_json
from mlx_model.geometry import Size
from mlx_model.held import is_plain, list_links
from mlx_model.memory import gib, machine, weigh
from mlx_model.request import check
from mlx_model.store.folder import MANIFEST
from mlx_model.training.needs import STATE

from .dataset import Rows, read_rows

if TYPE_CHECKING:
    from mlx_model.run.pipeline import Pipeline
    from mlx_model.store.folder import Folder
    from mlx_model.training.examples import Source
    from mlx_model.training.finetune import Trainer
    from mlx_model.training.needs import Settings

RUN, RESULT_ENDING, SAMPLES = "run.json", ".safetensors", 3
OWN = (RUN, "log.jsonl", "state.checkpoint", "samples", "cache")
SEED = 1000  # of the first sample
SMALL = 0.2  # seconds of a step, as predicted
REDRAW = 5.0  # seconds between two drawings of the curve
GAP = 8  # pixels between the pictures of a sheet


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run is asked for. `trigger`: the word that calls what was learned."""

    data: Path
    out: Path
    name: str
    settings: "Settings"
    steps: int
    size: int | None = None  # side of a square of the buckets' area; None: the model's own
    sample_every: int = 0
    resume: bool = False
    trigger: str = ""
    rows: Rows | None = None  # the examples, where they are not what `data` lists

    @property
    def result(self) -> Path:
        return self.out / f"{self.name}{RESULT_ENDING}"


def train(folder: "Folder", plan: Plan) -> Generator[Event, None, None]:
    """The whole run: Stage, Step, Learned, Note, Preview and at last Done with the result's path.

    Closing the generator keeps the last checkpoint. Raises RequestError with every fault of the data, WillNotFit,
    DiskFull, NotFinite.
    """
    from .examples import open_examples  # which loads MLX, as the window doesn't

    _check_out(plan, folder.path)
    area, rows = plan.size**2 if plan.size else None, plan.rows or read_rows(plan.data, folder.spec.classes)
    _check_given(plan, rows)
    sources = yield from open_examples(plan.data, rows, folder.spec, area)
    largest = max((source.size for source in sources), key=lambda size: size.area)
    settings, note = require(folder, largest, plan.settings, plan.steps)
    yield Note(note)
    _begin(folder, plan, settings)
    pipe = open_pipeline(folder.path, None)
    trainer = yield from _make_trainer(pipe, sources, settings, plan)
    if plan.resume and (plan.out / STATE).is_file():  # else it was stopped before its first step
        trainer.restore(plan.out)
        yield Note(f"Going on after step {trainer.step}.")
    yield from _learn(trainer, plan)
    yield _finish(trainer, folder, plan)


def _check_out(plan: Plan, model: Path) -> None:
    """Raises RequestError where the folder holds something else, or nothing to go on from."""
    known = plan.out / RUN
    if files.lies_in(plan.out, model):
        raise RequestError(f"{plan.out} is inside the model {model.name}.", "Choose another place.")
    if plan.rows is None and plan.data.is_dir() and plan.out.resolve().is_relative_to(plan.data.resolve()):
        raise RequestError(f"{plan.out} is inside the examples.", "Choose a folder beside them: it gets pictures too.")
    if plan.resume and not known.is_file():
        raise RequestError(f"There is no run in {plan.out}.", "Begin one there first.")
    if links := list_links(plan.out, OWN):
        raise RequestError(
            f"{plan.out / links[0]} is a link, which is not followed.", "Put in its place what it is of."
        )
    if not plan.resume and plan.out.exists() and any(plan.out.iterdir()):
        what = "a run already" if known.is_file() else "something else"
        raise RequestError(f"{plan.out} holds {what}.", "Go on with it, or choose another folder.")
    try:
        files.make_folders(plan.out)
    except OSError as error:
        raise files.explain(error, plan.out) from error


def _check_given(plan: Plan, rows: Rows) -> None:
    """Raises RequestError for an example that lies in the run's folder, where pictures of the run take its place."""
    given = dict.fromkeys(path for row in rows.rows for path in (row.picture, *row.references))
    for path in given.keys() | ({plan.data} if plan.data.is_file() else set()):
        if files.lies_in(path, plan.out):
            raise RequestError(
                f"{path} is one of the files you gave, and {plan.out} is where the run puts its own.",
                "Move it out of there: Flux Local never overwrites an original.",
            )


def require(folder: "Folder", largest: Size, settings: "Settings", steps: int) -> "tuple[Settings, str]":
    """The settings with gradient checkpoints where they are needed, and what to expect. Raises WillNotFit."""
    from mlx_model.training import needs

    here, spec = machine(openblas=True), folder.spec
    weights = weigh(folder, here.number_bytes)["transformer"]
    if not settings.rank:
        weights = spec.parameters["transformer"] * here.number_bytes
    tokens = spec.max_references and spec.reference_pixels[1] // spec.size_multiple**2
    seen = min(tokens, largest.area // spec.size_multiple**2)
    checkpoints, needed = needs.choose_checkpoints(spec, weights, largest, seen, settings, here)
    expected = needs.seconds(spec, largest, settings, here)
    known = expected is not None and expected > SMALL  # below it what counts is not the arithmetic
    times = f", {say_duration((expected or 0) * steps)} for {steps} steps" if known else ""
    note = f"Predicted: {gib(needed.peak)} of memory{times}."
    return dataclasses.replace(settings, gradient_checkpoints=checkpoints or settings.gradient_checkpoints), note


def _begin(folder: "Folder", plan: Plan, settings: "Settings") -> None:
    """run.json of a new run; one that goes on must be of the same model. Raises RequestError."""
    said = {"model": folder.spec.name, "data": str(plan.data.absolute()), "name": plan.name, "steps": plan.steps}
    said |= {"size": plan.size, "trigger": plan.trigger, "settings": dataclasses.asdict(settings)}
    file = plan.out / RUN
    before = _read_run(file) if plan.resume else said
    if before["model"] != folder.spec.name:
        raise RequestError(f"The run in {plan.out} trains {before['model']}.", "Give that model.")
    if before["name"] != plan.name and os.path.lexists(plan.result):
        raise RequestError(f"{plan.result} is no result of this run.", "Move it away, or go on under the run's name.")
    text = json.dumps(said, indent=1, ensure_ascii=False) + "\n"
    files.write_new(file, lambda stream: stream.write(text.encode()), force=True)


def _read_run(file: Path) -> dict[str, Any]:
    """Model and name of a run. Raises RequestError for a run.json that is damaged."""
    try:
        said = parse_json(file.read_bytes())
        return {key: str(said[key]) for key in ("model", "name")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{file} is damaged: {say_reason(error)}.", "Begin again in a new folder.") from error


def _make_trainer(
    pipe: "Pipeline", sources: "list[Source]", settings: "Settings", plan: Plan
) -> "Generator[Event, None, Trainer]":
    from mlx_model.training.examples import Store, encode_all
    from mlx_model.training.finetune import Trainer

    identity = hashlib.sha256((pipe.folder.path / MANIFEST).read_bytes()).hexdigest()
    store = Store(plan.out / "cache", f"{identity} {pipe.dtype}")
    drops = settings.drop is None or settings.drop > 0
    yield from encode_all(pipe, sources, store, drops and pipe.spec.takes_text)
    return Trainer(pipe, sources, store, settings)


def _learn(trainer: "Trainer", plan: Plan) -> Generator[Event, None, None]:
    from mlx_model.training.finetune import learn

    sheet = Sheet(trainer, plan) if plan.sample_every else None
    if sheet and not sheet.before.exists():
        yield from sheet.show(0)
    show, drawn = sheet.show if sheet else None, time.monotonic()
    with closing(learn(trainer, plan.steps, plan.out, show, plan.sample_every)) as events:
        for event in events:
            yield event
            if isinstance(event, Stage | Preview) or time.monotonic() - drawn > REDRAW:
                _draw(plan.out)
                drawn = time.monotonic()
    _draw(plan.out)


def _draw(out: Path) -> None:
    if lines := read_log(out / "log.jsonl"):
        images.save_picture(draw_curve(lines), out / "loss.png", None, force=True)


class Sheet:
    """The same words and seeds, now and before the first step, side by side."""

    def __init__(self, trainer: "Trainer", plan: Plan) -> None:
        self.trainer, self.out = trainer, plan.out.absolute()
        self.folder = self.out / "samples"
        self.before = self.folder / "before.npy"
        distinct = {source.prompt or source.label: source for source in trainer.sources}
        self.sources = list(distinct.values())[:SAMPLES]

    def show(self, step: int) -> Iterator[Event]:
        """Preview of a picture: a row of what is made now, below the row of before."""
        yield Stage("samples")
        files.make_folders(self.folder)
        row = self._make()
        if step == 0:
            files.write_new(self.before, lambda stream: stream.write(_as_npy(row)), force=True, inside=self.out)
            return
        sheet = np.concatenate([self._read_before(row), np.full((GAP, row.shape[1], 3), 255, np.uint8), row])
        place = self.folder / f"step-{step:06d}.png"
        path = images.save_picture(sheet, place, None, force=True, inside=self.out)
        yield Preview(step, str(path))
        yield Stage("train")

    def _read_before(self, row: np.ndarray) -> np.ndarray:
        """The row before the first step; `row` itself where the file is none of its shape, whatever it says it is."""
        whole = _as_npy(row)
        if not is_plain(self.before, self.out) or self.before.stat().st_size != len(whole):
            return row
        known, head = self.before.read_bytes(), len(whole) - row.nbytes
        same = known[:head] == whole[:head] and len(known) == len(whole)
        return np.frombuffer(known[head:], np.uint8).reshape(row.shape) if same else row

    def _make(self) -> np.ndarray:
        """(H, W, 3) uint8: the samples beside each other."""
        pictures = [self._sample(source, SEED + number) for number, source in enumerate(self.sources)]
        height = max(picture.shape[0] for picture in pictures)
        padded = [np.pad(p, ((0, height - len(p)), (0, GAP), (0, 0)), constant_values=255) for p in pictures]
        return np.concatenate(padded, axis=1)

    def _sample(self, source: "Source", seed: int) -> np.ndarray:
        pipe = self.trainer.pipe
        request = dataclasses.replace(source.open().request, seed=seed)
        *_, done = pipe.run(check(request, pipe.spec))
        pipe.unload("text_encoder", "pooled_encoder", "autoencoder", "image_encoder", "image_embedder")
        return np.asarray(done.pixels) if isinstance(done, Done) else np.zeros((16, 16, 3), np.uint8)


def _as_npy(row: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, row)
    return stream.getvalue()


def _finish(trainer: "Trainer", folder: "Folder", plan: Plan) -> Done:
    """Write the result and say where it is. Raises DiskFull."""
    from mlx_model.training.loop import save_arrays

    facts = {"format": "pt", "modelspec.title": plan.name, "flux_local.model": folder.spec.name}
    facts |= {name: plan.trigger for name in ("modelspec.trigger_phrase", "trigger_word") if plan.trigger}
    save_arrays(plan.result, trainer.result(), facts)
    return Done(0.0, str(plan.result))


WIDTH, HEIGHT, EDGE = 960, 480, 56
PAPER, INK, FAINT, LINE, SOFT = (250, 249, 246), (40, 40, 44), (222, 220, 214), (196, 84, 42), (236, 190, 168)


def read_log(file: Path) -> list[dict[str, float]]:
    """The lines of a log that are whole; a killed run may leave half of one."""
    lines = []
    for text in file.read_text("utf-8", "replace").splitlines() if file.is_file() else ():
        try:
            line = {name: float(value) for name, value in parse_json(text).items()}
        except (ValueError, TypeError, AttributeError):
            continue
        lines += [line] if all(map(math.isfinite, line.values())) else []
    by_step = {int(line["step"]): line for line in lines if "step" in line and "loss" in line}
    return [by_step[step] for step in sorted(by_step)]


def draw_curve(lines: list[dict[str, float]]) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8: each step's loss, and its running mean over a twentieth of the run, on a log scale."""
    image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    pen = ImageDraw.Draw(image)
    steps = np.array([line["step"] for line in lines], float)
    losses = np.log10(np.maximum([line["loss"] for line in lines], 1e-6))
    low, high = math.floor(losses.min() * 4) / 4, math.ceil(losses.max() * 4 + 1e-9) / 4
    first, last = steps.min(), max(steps.max(), steps.min() + 1)

    def place(step: float, value: float) -> tuple[float, float]:
        x = EDGE + (step - first) / (last - first) * (WIDTH - 2 * EDGE)
        return x, HEIGHT - EDGE - (value - low) / max(high - low, 0.25) * (HEIGHT - 2 * EDGE)

    for mark in np.arange(low, high + 0.01, 0.25):
        _, y = place(first, mark)
        pen.line((EDGE, y, WIDTH - EDGE, y), fill=FAINT)
        pen.text((8, y - 6), f"{10**mark:.3g}", fill=INK)
    pen.line([place(*point) for point in zip(steps, losses, strict=True)], fill=SOFT, width=1)
    pen.line([place(*point) for point in zip(steps, smooth(losses), strict=True)], fill=LINE, width=3)
    pen.text((EDGE, HEIGHT - EDGE + 12), f"step {first:.0f}", fill=INK)
    pen.text((WIDTH - EDGE - 70, HEIGHT - EDGE + 12), f"step {last:.0f}", fill=INK)
    pen.text((EDGE, 16), f"loss, and its mean over {window(len(losses))} steps", fill=INK)
    return np.asarray(image)


def window(count: int) -> int:
    """Steps that the mean goes over."""
    return max(1, count // 20)


def smooth(values: np.ndarray) -> np.ndarray:
    """The mean of each value and those before it, `window` of them at most."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window(len(values)))
    mean: np.ndarray = (sums[ends] - sums[starts]) / (ends - starts)
    return mean
