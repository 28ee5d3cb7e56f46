"""Training on a person's own examples: LoRA or all weights, flow matching or Self-Flow, resumable to the bit.

Every example goes through the network alone and gradients are added up over `batch` of them: sizes and prompts may
differ, and memory does not grow. Chance depends on the seed and the number of the example alone. Under `mlx.launch` the
examples of a step are shared out over the processes.
"""

import json
import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten, tree_map, tree_unflatten

from .. import files
from ..errors import LayoutError, NotFinite, RequestError, tell_lost
from ..events import Event, Learned, Stage, Step
from ..foreign import parse_json
from ..request import Request
from ..run.pipeline import Pipeline
from ..run.sampler import linear_mu
from . import objective
from .adapters import add_adapters, choose_layers, name_for_files, unpack_layers
from .examples import Features, Source, Store, features_of
from .flow import WEIGHT
from .loop import (
    LOST_HINT,
    Tree,
    average,
    average_figures,
    checkpoint_blocks,
    load_trees,
    muon_and_adam,
    read_step,
    save_trees,
)
from .needs import STATE, Settings

WARMUP = 20  # steps of a rising rate: a fixed number, so that a run can be made longer
PRIOR = 2**32  # the number of the first prior example: its chance is another one than that of what is learned
LOG = "log.jsonl"
SAVE_SECONDS = 150.0


def require_shares(batch: int) -> None:
    """Raises RequestError where a process of the group would have no example of a step."""
    processes = mx.distributed.init().size()
    if batch < processes:
        raise RequestError(
            f"A step of {batch} can't be shared by {processes} processes.", f"Let it have {processes} examples or more."
        )


class Trained(nn.Module):
    """What gradients are taken of: the transformer, and Self-Flow's head where the model has none of its own."""

    def __init__(self, transformer: nn.Module, head: nn.Module | None) -> None:
        super().__init__()
        self.transformer = transformer
        if head is not None:
            self.head = head


class Trainer:
    """One run: the pipeline whose transformer learns, its examples, and everything that a checkpoint holds.

    With a prior weight, each step also learns from as many of `priors`, which show what the model is to keep
    (DreamBooth, Ruiz et al. 2208.12242): the loss is that of `sources` plus the weight times that of `priors`.
    """

    def __init__(
        self, pipe: Pipeline, sources: Sequence[Source], store: Store, settings: Settings, priors: Sequence[Source] = ()
    ) -> None:
        self.pipe, self.sources, self.store, self.settings = pipe, sources, store, settings
        self.priors = priors if settings.prior else ()
        self.step = 0
        require_shares(settings.batch)
        if not pipe.whole:  # what steers blocks learns too
            pipe.whole = True
            pipe.unload("transformer")
        model = pipe.transformer
        pipe.banks = objective.Unkept()
        layers = choose_layers(model, settings.targets) if settings.rank else []
        if settings.rank:
            add_adapters(model, layers, settings.rank, settings.adapter_alpha, settings.seed)
        else:
            unpack_layers(model)
            model.unfreeze()
        self.head = self._make_head() if settings.self_flow else None
        own = self.head is not None and self.head is not getattr(model, "projector", None)
        self.trained = Trained(model, self.head if own else None)
        learning = prune(self.trained.trainable_parameters())
        self.masters: Tree = tree_map(lambda x: x.astype(mx.float32), learning)
        self.ema: Tree = self.masters
        self.optimizer = make_optimizer(self.trained, settings)
        self.optimizer.init(self.masters)
        self.request = Request(pipe.spec.name, guidance=1.0)
        self._gradient = nn.value_and_grad(self.trained, self._loss)

    def _make_head(self) -> nn.Module:
        if self.pipe.spec.family not in objective.RUNS:
            raise RequestError(
                f"{self.pipe.spec.title} takes one time for the whole picture, Self-Flow one for each part.",
                "Train without Self-Flow, or a FLUX.2 or SiT model.",
            )
        head = objective.make_head(self.pipe.transformer, self.pipe.transformer.params.hidden_size, self.settings.seed)
        head.unfreeze()
        return head

    # one step

    def advance(self) -> dict[str, float]:
        """One step -> its figures. Raises NotFinite before anything is changed."""
        group, total = mx.distributed.init(), None
        figures: dict[str, float] = {}
        first = self.step * self.settings.batch
        numbers = range(first + group.rank(), first + self.settings.batch, group.size())
        for number in (*numbers, *(PRIOR + number for number in numbers if self.priors)):
            (_, one), gradients = self._learn(number)
            total = gradients if total is None else tree_map(mx.add, total, gradients)
            mx.eval(total, one)
            figures |= {name: figures.get(name, 0.0) + value.item() for name, value in one.items()}
        share = group.size() / self.settings.batch
        with tell_lost(LOST_HINT):
            mean = average(group, tree_map(lambda x: share * x.astype(mx.float32), prune(total)))
            clipped, norm = optim.clip_grad_norm(mean, self.settings.clip)
            figures = average_figures(group, {name: value * share for name, value in figures.items()})
            figures["norm"] = norm.item()
        if not all(math.isfinite(value) for value in figures.values()):
            raise NotFinite(
                f"The loss is no number at step {self.step + 1}; the last checkpoint is whole.",
                "Go on from there with a lower rate.",
            )
        self._update(clipped)
        return figures

    def _learn(self, number: int) -> Any:
        """Loss and gradients of example `number` of the run, from PRIOR on of a prior one."""
        sources = self.priors if number >= PRIOR else self.sources
        source = sources[pick(self.settings.seed, number, len(sources))]
        shape = (1, math.prod(source.size.grid(self.pipe.spec.size_multiple)), self.pipe.channels)
        drawn = objective.draw(self.settings.seed, number, shape, self._shift(shape[1]), self._drop())
        given = features_of(self.pipe, self.store, source, "" if drawn.dropped else None)
        seen = self._see(given, drawn) if self.settings.self_flow else None
        return self._gradient(given, drawn, seen, number >= PRIOR)

    def _see(self, given: Features, drawn: objective.Draw) -> mx.array:
        """The teacher is the moving average of the student: its weights are put in for one look."""
        with self.hold_average():
            seen = objective.see_as_teacher(self.pipe, self.request, given, drawn)
            mx.eval(seen)
        return seen

    def _loss(
        self, given: Features, drawn: objective.Draw, seen: mx.array | None, prior: bool = False
    ) -> tuple[mx.array, dict[str, mx.array]]:
        if seen is None or self.head is None:
            error, likeness = objective.flow_loss(self.pipe, self.request, given, drawn), None
        else:
            error, likeness = objective.self_flow_losses(self.pipe, self.request, given, drawn, self.head, seen)
        loss = error if likeness is None else error - WEIGHT * likeness
        if prior:
            return self.settings.prior * loss, {"prior": error}
        return loss, {"loss": error} | ({} if likeness is None else {"likeness": likeness})

    def _shift(self, tokens: int) -> float:
        return linear_mu(tokens) if self.settings.shift is None else self.settings.shift

    def _drop(self) -> float:
        if self.settings.drop is not None:
            return self.settings.drop
        return 0.1 if self.pipe.spec.guidance_kind == "cfg" else 0.0

    def _update(self, gradients: Tree) -> None:
        self.masters = self.optimizer.apply_gradients(gradients, self.masters)
        self.step += 1
        decay = min(self.settings.ema, self.step / (self.step + 10))
        self.ema = tree_map(lambda old, new: decay * old + (1 - decay) * new, self.ema, self.masters)
        self._put(self.masters)
        mx.eval(self.masters, self.ema, self.optimizer.state)

    def _put(self, weights: Tree) -> None:
        """Into the network, adapters as they are and its own weights in its dtype."""
        kind = mx.float32 if self.settings.rank else getattr(mx, self.pipe.dtype)
        self.trained.update(tree_map(lambda x: x.astype(kind), weights))

    @contextmanager
    def hold_average(self) -> Iterator[None]:
        """While it lasts the network has the averaged weights: for the teacher, for pictures, for the result."""
        self._put(self.ema)
        try:
            yield
        finally:
            self._put(self.masters)

    # on the disk

    def save(self, folder: Path) -> None:
        """Everything that going on needs. Raises DiskFull."""
        trees = {"trained": self.masters, "ema": self.ema, "optimizer": self.optimizer.state}
        save_trees(folder / STATE, trees, {"step": str(self.step), "settings": json.dumps(self.settings.recorded)})

    def restore(self, folder: Path) -> None:
        """Go on where `folder` stands. Raises LayoutError for a checkpoint that is damaged or of other settings."""
        try:
            trees, facts = load_trees(folder / STATE)
            settings, step = Settings().recorded | dict(parse_json(facts["settings"])), read_step(facts)
            now = self.settings.recorded
            if settings == now:
                self._check(trees)
        except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise LayoutError(f"{folder / STATE} is damaged.", "Start again in a new folder.") from error
        if settings != now:
            changed = ", ".join(f"{name} {settings.get(name)}" for name in now if settings.get(name) != now[name])
            raise RequestError(f"The run in {folder} was begun otherwise: {changed}.", "Give the same settings.")
        self.masters, self.ema, self.optimizer.state = trees["trained"], trees["ema"], trees["optimizer"]
        self.step = step
        self._put(self.masters)

    def _check(self, trees: dict[str, Tree]) -> None:
        """Raises ValueError, KeyError where they are not those of this run."""
        for kind, own in (("trained", self.masters), ("ema", self.ema), ("optimizer", self.optimizer.state)):
            if _list_shapes(trees[kind]) != _list_shapes(own):
                raise ValueError(f"its {kind} has other shapes")

    def result(self) -> dict[str, mx.array]:
        """The averaged weights by their names in a file: a LoRA's, or the checkpoint's own."""
        kind = mx.float32 if self.pipe.dtype == "float32" else getattr(mx, self.pipe.dtype)
        learned: Tree = self.ema["transformer"]
        if self.settings.rank:
            return name_for_files(learned, self.settings.rank, self.settings.adapter_alpha, kind)
        flat: dict[str, mx.array] = dict(tree_flatten(learned))
        return {name: array.astype(kind) for name, array in flat.items()}


def _list_shapes(tree: Tree) -> dict[str, tuple[int, ...]]:
    return {name: tuple(leaf.shape) for name, leaf in dict(tree_flatten(tree)).items()}


def make_optimizer(model: nn.Module, settings: Settings) -> optim.Optimizer:
    """AdamW, or Muon on the matrices of blocks with Adam on the rest; the rate rises for WARMUP steps, then stays."""
    peak = settings.rate

    def rate(step: mx.array) -> mx.array:
        return peak * mx.minimum(1.0, (step + 1) / WARMUP)

    if settings.optimizer == "muon":
        return muon_and_adam(model, rate, lambda step: rate(step) / 8)
    return optim.AdamW(rate, betas=[0.9, 0.99], weight_decay=0.01, bias_correction=True)


def prune(tree: Tree | None) -> Tree:
    """Without the empty places of what is frozen, as a checkpoint brings it back."""
    pruned: Tree = tree_unflatten(tree_flatten(tree or {}))
    return pruned


def pick(seed: int, number: int, count: int) -> int:
    """Which of `count` examples comes as `number`: every one once in each round, in a drawn order."""
    round_, place = divmod(number, count)
    return int(np.random.default_rng([37, seed, round_]).permutation(count)[place])


def learn(
    trainer: Trainer,
    steps: int,
    folder: Path,
    show: Callable[[int], Iterator[Event]] | None = None,
    show_every: int = 0,
) -> Generator[Event, None, None]:
    """Run to `steps`, saving every SAVE_SECONDS and at the end; closing the generator saves too.

    Yields Stage, Learned and Step, and what `show(step)` yields every `show_every` steps with the averaged weights in.
    Appends a line of JSON to LOG for every step. Raises NotFinite, DiskFull, OutOfMemory.
    """
    yield Stage("train", total=steps)
    began, first, saved = time.monotonic(), trainer.step, time.monotonic()
    with checkpoint_blocks(trainer.pipe.transformer, trainer.settings.gradient_checkpoints):
        try:
            while trainer.step < steps:
                figures = trainer.advance()
                spent = time.monotonic() - began
                _log(folder, {"step": trainer.step, "seconds": round(spent, 1), **figures})
                left = spent / (trainer.step - first) * (steps - trainer.step)
                yield Learned(trainer.step, round(figures["loss"], 5), figures.get("likeness"))
                yield Step(trainer.step, steps, round(spent, 3), round(left, 3))
                if show and show_every and (trainer.step % show_every == 0 or trainer.step == steps):
                    with trainer.hold_average():
                        yield from show(trainer.step)
                if time.monotonic() - saved > SAVE_SECONDS:
                    trainer.save(folder)
                    saved = time.monotonic()
        finally:
            if trainer.step > first and mx.distributed.init().rank() == 0:
                trainer.save(folder)


def _log(folder: Path, line: dict[str, float]) -> None:
    if mx.distributed.init().rank() == 0:
        rounded = {name: round(value, 6) for name, value in line.items()}
        files.append(folder / LOG, f"{json.dumps(rounded)}\n".encode())
