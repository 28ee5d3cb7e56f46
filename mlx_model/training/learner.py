"""What every run has in common: steps over the examples of all processes, a moving average, checkpoints, going on.

What a run learns from and how is its own: finetune.py, joint.py. Chance depends on the seed and the number of the
example alone, so that going on is never having stopped, to the bit. Under `mlx.launch` the examples of a step are
shared out over the processes.
"""

import json
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator
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
OTHERS = 2**32  # from here on the numbers of examples of another set: their chance is another one
LOG = "log.jsonl"
SAVE_SECONDS = 150.0


def require_shares(batch: int) -> None:
    """Raises RequestError where a process of the group would have no example of a step."""
    processes = mx.distributed.init().size()
    if batch < processes:
        raise RequestError(
            f"A step of {batch} can't be shared by {processes} processes.", f"Let it have {processes} examples or more."
        )


class Learner:
    """One run: the network that learns, and everything that a checkpoint holds.

    `dtype`: of what is trained in the network; it is kept in float32 beside.
    """

    def __init__(self, trained: nn.Module, settings: Settings, dtype: mx.Dtype) -> None:
        self.trained, self.settings, self.dtype = trained, settings, dtype
        self.step = 0
        learning = prune(trained.trainable_parameters())
        self.masters: Tree = tree_map(lambda x: x.astype(mx.float32), learning)
        self.ema: Tree = self.masters
        self.optimizer = make_optimizer(trained, settings)
        self.optimizer.init(self.masters)

    def split(self, numbers: range) -> Iterable[Any]:
        """Examples by their numbers, as they go through the network at once."""
        raise NotImplementedError

    def learn(self, part: Any) -> Any:
        """((loss, figures), gradients) of what `split` gave, each a sum over its examples."""
        raise NotImplementedError

    def advance(self) -> dict[str, float]:
        """One step -> its figures. Raises NotFinite before anything is changed."""
        group, total = mx.distributed.init(), None
        figures: dict[str, float] = {}
        first = self.step * self.settings.batch
        for part in self.split(range(first + group.rank(), first + self.settings.batch, group.size())):
            (_, one), gradients = self.learn(part)
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

    def _update(self, gradients: Tree) -> None:
        self.masters = self.optimizer.apply_gradients(gradients, self.masters)
        self.step += 1
        decay = min(self.settings.ema, self.step / (self.step + 10))
        self.ema = tree_map(lambda old, new: decay * old + (1 - decay) * new, self.ema, self.masters)
        self._put(self.masters)
        mx.eval(self.masters, self.ema, self.optimizer.state)

    def _put(self, weights: Tree) -> None:
        """Into the network."""
        self.trained.update(tree_map(lambda x: x.astype(self.dtype), weights))

    @contextmanager
    def hold_average(self) -> Iterator[None]:
        """While it lasts the network has the averaged weights: for the teacher, for pictures, for the result."""
        self._put(self.ema)
        try:
            yield
        finally:
            self._put(self.masters)

    # on the disk

    @property
    def checkpoint_bytes(self) -> int:
        """What `save` writes, but for its head."""
        kept = dict(tree_flatten([self.masters, self.ema, self.optimizer.state]))
        return sum(int(array.nbytes) for array in kept.values())

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
    trainer: Learner,
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
    with checkpoint_blocks(trainer.trained, trainer.settings.gradient_checkpoints):
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
