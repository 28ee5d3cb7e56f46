"""One training run in a folder of its own: begin or go on, pictures on the way, the result.

OUT/NAME.safetensors   the result, written when the run is done: the only file with this ending
OUT/state.checkpoint   what going on needs
OUT/run.json           model, data and settings
OUT/log.jsonl          a line for every step; OUT/loss.png draws it
OUT/samples/           the same words and seeds before and after
OUT/prior/             what the model is to keep, as it paints that itself: see prior.py
OUT/cache/             the examples as the model sees them, made once
"""

import dataclasses
import errno
import fcntl
import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from app.base.paths import free_bytes
from app.base.words import say_count, say_duration
from app.engine import together
from app.engine.running import open_pipeline
from app.pictures import images
from mlx_model import files
from mlx_model.errors import DiskFull, RequestError, say_reason
from mlx_model.events import Done, Event, Note, Preview, Stage
from mlx_model.foreign import parse_json, read_small
from mlx_model.geometry import Size
from mlx_model.held import is_plain, list_links
from mlx_model.memory import gib, machine, say_bytes
from mlx_model.request import check
from mlx_model.speed import step_flops, step_seconds
from mlx_model.store.folder import MANIFEST
from mlx_model.training.needs import STATE

from .curve import cut_log, draw_curve, read_log
from .dataset import Row, Rows, read_rows
from .prior import Wish, list_wishes, make_prior

if TYPE_CHECKING:
    from mlx_model.run.pipeline import Pipeline
    from mlx_model.specs import ModelSpec
    from mlx_model.store.folder import Folder
    from mlx_model.training.examples import Source
    from mlx_model.training.finetune import Trainer
    from mlx_model.training.learner import Learner
    from mlx_model.training.needs import Settings

RUN, RESULT_ENDING, SAMPLES = "run.json", ".safetensors", 3
LOG = "log.jsonl"
OWN = (RUN, LOG, "state.checkpoint", "samples", "cache", "prior")
SEED = 1000  # of the first sample
SMALL = 0.2  # seconds of a step, as predicted
REDRAW = 5.0  # seconds between two drawings of the curve
GAP = 8  # pixels between the pictures of a sheet


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run is asked for. `trigger`: the word that calls what was learned.

    What the model is to keep, with the weight settings.prior: `kept` pictures that it makes first, half of them of
    `about` ("a dog"), and those of the set `prior`.
    """

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
    kept: int = 0
    about: str = ""
    prior: Path | None = None

    @property
    def area(self) -> int | None:
        """Of the buckets, in pixels; None: the model's own."""
        return self.size**2 if self.size else None

    @property
    def result(self) -> Path:
        return self.out / f"{self.name}{RESULT_ENDING}"


def train(folder: "Folder", plan: Plan) -> Generator[Event, None, None]:
    """The whole run: Stage, Step, Learned, Note, Preview and at last Done with the result's path.

    Closing the generator keeps the last checkpoint. Raises RequestError with every fault of the data, WillNotFit,
    DiskFull, NotFinite.
    """
    check_out(plan, folder.path)
    if together.join():
        together.end_when_deaf()
    with hold_alone(plan.out):
        yield from _train(folder, plan)


def _train(folder: "Folder", plan: Plan) -> Generator[Event, None, None]:
    """The run, in a folder that is nobody else's meanwhile."""
    from mlx_model.training import needs

    wishes = list_wishes(plan.kept, plan.about, folder.spec) if plan.kept else []
    sources, priors = yield from _open_sets(folder.spec, plan)
    largest = max((source.size for source in (*sources, *priors)), key=lambda size: size.area)
    settings, note = require(folder, largest, plan.settings, plan.steps, plan.kept)
    yield Note(note)
    require_room(plan, needs.count_checkpoint_bytes(folder.spec, plan.settings))
    begin(folder.spec.name, plan, settings)
    pipe = open_pipeline(folder.path, None)
    if wishes:
        priors += yield from _paint_prior(pipe, wishes, plan)
    trainer = yield from _make_trainer(pipe, sources, priors, settings, plan)
    sheet = Sheet(trainer, plan) if plan.sample_every else None
    if sheet and not sheet.before.exists():
        yield from sheet.show(0)  # also of a run that goes on: what it has learned is not restored yet
    yield from go_on(trainer, plan)
    yield from learn_and_draw(trainer, plan, sheet.show if sheet else None)
    yield _finish(trainer, folder, plan)


def go_on(trainer: "Learner", plan: Plan) -> Iterator[Note]:
    """From the last checkpoint of a run that is resumed; there is none where it was stopped before its first step."""
    if plan.resume and (plan.out / STATE).is_file():
        trainer.restore(plan.out)
        cut_log(plan.out / LOG, trainer.step)
        yield Note(f"Going on after step {trainer.step}.")


@contextmanager
def hold_alone(out: Path) -> Iterator[None]:
    """Raises RequestError where another program has the run in hand; one that ended by whatever way has not.

    The processes of `mlx.launch` share it: the first holds it for all.
    """
    from mlx.core import distributed

    descriptor = os.open(out, os.O_RDONLY)
    try:
        if distributed.init().rank() == 0:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            os.close(descriptor)
            raise RequestError(f"The run in {out} goes on already.", "Wait until it has ended.") from error
    try:
        yield  # also on a disk that knows no locks
    finally:
        os.close(descriptor)


def _open_sets(spec: "ModelSpec", plan: Plan) -> "Generator[Event, None, tuple[list[Source], list[Source]]]":
    """What is to be learned, and what a person gave to be kept. Raises RequestError with every fault of a set."""
    from .examples import open_examples  # which loads MLX, as the window doesn't

    rows = plan.rows or read_rows(plan.data, spec.classes)
    kept = read_rows(plan.prior, spec.classes, plan.about) if plan.prior else Rows([], [], [], [])
    _check_given(plan, [*rows.rows, *kept.rows])
    sources = yield from open_examples(plan.data, rows, spec, plan.area)
    return sources, (yield from open_examples(plan.prior, kept, spec, plan.area)) if plan.prior else []


def _paint_prior(pipe: "Pipeline", wishes: list[Wish], plan: Plan) -> "Generator[Event, None, list[Source]]":
    """What the model made of the wishes, now or before, as examples."""
    from .examples import choose_size, open_examples

    table = yield from make_prior(pipe, wishes, choose_size(pipe.spec.size, pipe.spec, plan.area), plan.out)
    yield Note(f"What the model is to keep is in {table.parent}.")
    return (yield from open_examples(table, read_rows(table), pipe.spec, plan.area))


def check_out(plan: Plan, model: Path | None = None) -> None:
    """Raises RequestError where the folder holds something else, or nothing to go on from."""
    known = plan.out / RUN
    if model and files.lies_in(plan.out, model):
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


def _check_given(plan: Plan, rows: list[Row]) -> None:
    """Raises RequestError for an example that lies in the run's folder, where pictures of the run take its place."""
    given = dict.fromkeys(path for row in rows for path in (row.picture, *row.references))
    for path in given.keys() | {table for table in (plan.data, plan.prior) if table and table.is_file()}:
        if files.lies_in(path, plan.out):
            raise RequestError(
                f"{path} is one of the files you gave, and {plan.out} is where the run puts its own.",
                "Move it out of there: Flux Local never overwrites an original.",
            )


def require(folder: "Folder", largest: Size, settings: "Settings", steps: int, kept: int = 0) -> "tuple[Settings, str]":
    """The settings with gradient checkpoints where they are needed, and what to expect. Raises WillNotFit.

    `kept`: pictures that the model makes first.
    """
    from mlx_model.training import needs

    here, spec = machine(openblas=True), folder.spec
    weights = folder.count_held("transformer", here.number_bytes)
    if not settings.rank:
        weights = spec.parameters["transformer"] * here.number_bytes
    tokens = spec.max_references and spec.reference_pixels[1] // spec.size_multiple**2
    seen = min(tokens, largest.area // spec.size_multiple**2)
    checkpoints, needed = needs.choose_checkpoints(spec, weights, largest, seen, settings, here)
    expected = needs.seconds(spec, largest, settings, here)
    known = expected is not None and expected > SMALL  # below it what counts is not the arithmetic
    times = f", {say_duration((expected or 0) * steps)} for {steps} steps" if known else ""
    note = f"Predicted: {gib(needed.peak)} of memory{times}."
    if kept:
        first = (step_seconds(step_flops(spec, largest), here) or 0) * spec.steps * kept
        note += f" First it paints {say_count(kept, 'picture')} of what it knows"
        note += f", {say_duration(first)}." if known else "."
    return dataclasses.replace(settings, gradient_checkpoints=checkpoints or settings.gradient_checkpoints), note


def require_room(plan: Plan, checkpoint_bytes: int) -> None:
    """Raises DiskFull where checkpoints have no room: the one before stays until the next is whole."""
    copies = 1 if (plan.out / STATE).is_file() else 2
    needed, free = copies * checkpoint_bytes, free_bytes(plan.out)
    if needed > free:
        raise DiskFull(
            f"What this run keeps needs about {say_bytes(needed)} on the disk of {plan.out} (predicted), and "
            f"{say_bytes(free)} are free.",
            "Free some space, or choose another folder.",
        )


def begin(model: str, plan: Plan, settings: "Settings") -> None:
    """run.json of a new run; one that goes on must be of the same model. Raises RequestError."""
    said = {"model": model, "data": str(plan.data.absolute()), "name": plan.name, "steps": plan.steps}
    said |= {"size": plan.size, "trigger": plan.trigger, "settings": dataclasses.asdict(settings)}
    file = plan.out / RUN
    before = _read_run(file) if plan.resume else said
    if before["model"] != model:
        raise RequestError(f"The run in {plan.out} trains {before['model']}.", "Give that model.")
    if before["name"] != plan.name and os.path.lexists(plan.result):
        raise RequestError(f"{plan.result} is no result of this run.", "Move it away, or go on under the run's name.")
    text = json.dumps(said, indent=1, ensure_ascii=False) + "\n"
    files.write_new(file, lambda stream: stream.write(text.encode()), force=True)


def _read_run(file: Path) -> dict[str, Any]:
    """Model and name of a run. Raises RequestError for a run.json that is damaged."""
    try:
        said = parse_json(read_small(file))
        return {key: str(said[key]) for key in ("model", "name")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{file} is damaged: {say_reason(error)}.", "Begin again in a new folder.") from error


def _make_trainer(
    pipe: "Pipeline", sources: "list[Source]", priors: "list[Source]", settings: "Settings", plan: Plan
) -> "Generator[Event, None, Trainer]":
    from mlx_model.training.examples import Store, encode_all
    from mlx_model.training.finetune import Trainer

    identity = hashlib.sha256((pipe.folder.path / MANIFEST).read_bytes()).hexdigest()
    store = Store(plan.out / "cache", f"{identity} {pipe.dtype}")
    drops = settings.drop is None or settings.drop > 0
    yield from encode_all(pipe, [*sources, *priors], store, drops and pipe.spec.takes_text)
    return Trainer(pipe, sources, store, settings, priors)


def learn_and_draw(
    trainer: "Learner", plan: Plan, show: Callable[[int], Iterator[Event]] | None
) -> Generator[Event, None, None]:
    """The steps of a run, with what `show(step)` yields now and then, and the curve of its loss."""
    from mlx_model.training.learner import learn

    drawn = time.monotonic()
    with closing(learn(trainer, plan.steps, plan.out, show, plan.sample_every)) as events:
        for event in events:
            yield event
            if isinstance(event, Stage | Preview) or time.monotonic() - drawn > REDRAW:
                _draw(plan.out)
                drawn = time.monotonic()
    _draw(plan.out)


def _draw(out: Path) -> None:
    if lines := read_log(out / LOG):
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
