"""The one training loop: gradients averaged over all processes, an exponential moving average, checkpoints, resume.

Data-parallel through MLX's own distributed backends: start it under `mlx.launch -n 2` (or on several machines) and
every process draws its own samples. One thread a process (OPENBLAS_NUM_THREADS=1) is fastest on a shared CPU.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten, tree_map, tree_unflatten

from .. import files
from ..errors import tell_lost

Tree = dict[str, Any]  # parameters, gradients: arrays in dictionaries and lists
Rate = float | Callable[[mx.array], mx.array]
BLOCK = re.compile(r"(\w+\.)*\w*blocks(\.\w+)?\.\d+")  # the name of a block among a network's modules
LOST_HINT = "The last checkpoint is whole: start all of them again, going on from there."
Loss = Callable[..., tuple[mx.array, dict[str, mx.array]]]  # (model, batch) -> (loss, figures to log)


def schedule(peak: float, warmup: int, total: int, floor: float = 0.05) -> Callable[[mx.array], mx.array]:
    """Linear warm-up, then a cosine down to floor * peak."""
    rise = optim.linear_schedule(0.01 * peak, peak, warmup)
    fall = optim.cosine_decay(peak, max(1, total - warmup), floor * peak)
    return optim.join_schedules([rise, fall], [warmup])


def muon_and_adam(model: nn.Module, muon_rate: Rate, adam_rate: Rate) -> optim.Optimizer:
    """Muon (K. Jordan 2024) on the matrices inside blocks and layers and on convolutions, Adam on all the rest."""

    def in_block(path: str, weight: mx.array) -> bool:
        return weight.ndim == 4 or (weight.ndim == 2 and ("blocks." in path or "layers." in path))

    muon = optim.Muon(learning_rate=muon_rate, weight_decay=0.0)
    adam = optim.AdamW(adam_rate, betas=[0.9, 0.98], weight_decay=0.0, bias_correction=True)
    return optim.MultiOptimizer([muon, adam], [in_block])


def average(group: mx.distributed.Group, tree: Tree) -> Tree:
    """Mean over all processes, sent as one flat array."""
    if group.size() == 1:
        return tree
    items: dict[str, mx.array] = dict(tree_flatten(tree))
    flat = (
        mx.distributed.all_sum(mx.concatenate([leaf.reshape(-1) for leaf in items.values()]), group=group)
        / group.size()
    )
    parts, at = [], 0
    for name, leaf in items.items():
        parts.append((name, flat[at : at + leaf.size].reshape(leaf.shape)))
        at += leaf.size
    mean: Tree = tree_unflatten(parts)
    return mean


def average_figures(group: mx.distributed.Group, figures: dict[str, float]) -> dict[str, float]:
    """Mean over all processes."""
    if group.size() == 1:
        return figures
    values = mx.distributed.all_sum(mx.array(list(figures.values())), group=group) / group.size()
    return dict(zip(figures, map(float, np.array(values)), strict=True))


def save_state(path: Path, model: nn.Module, ema: Tree, optimizer: optim.Optimizer, step: int) -> None:
    """Everything that resume needs, replaced atomically."""
    save_trees(path, {"model": model.parameters(), "ema": ema, "optimizer": optimizer.state}, {"step": str(step)})


def save_trees(path: Path, trees: dict[str, Tree], facts: dict[str, str]) -> None:
    """Trees of arrays and some words in one file, replaced atomically and durably. Raises DiskFull, OSError."""
    arrays: dict[str, mx.array] = {
        f"{kind}:{name}": leaf for kind, tree in trees.items() for name, leaf in dict(tree_flatten(tree)).items()
    }
    save_arrays(path, arrays, facts)


def save_arrays(
    path: Path, arrays: dict[str, mx.array], facts: dict[str, str], lasting: bool = True, inside: Path | None = None
) -> None:
    """A safetensors file under any name, whole or not at all. `inside`: see hold. Raises DiskFull, RequestError."""

    def write(file: BinaryIO) -> None:
        mx.save_safetensors(file, arrays, facts)

    files.write_new(path, write, force=True, inside=inside, lasting=lasting)


def read_step(facts: dict[str, str]) -> int:
    """Of a checkpoint. Raises KeyError, ValueError for one that no run has."""
    if not re.fullmatch(r"[0-9]{1,9}", facts["step"]):
        raise ValueError("its step is none")
    return int(facts["step"])


def load_state(path: Path, model: nn.Module, optimizer: optim.Optimizer) -> tuple[Tree, int]:
    """Restores model and optimizer; -> (the moving average, the step)."""
    trees, facts = load_trees(path)
    model.update(trees["model"])
    optimizer.state = trees["optimizer"]
    return trees["ema"], read_step(facts)


def load_trees(path: Path) -> tuple[dict[str, Tree], dict[str, str]]:
    """Inverse of save_trees. Raises RuntimeError where the file is none."""
    loaded: Any = mx.load(str(path), format="safetensors", return_metadata=True)
    arrays, facts = loaded
    leaves: dict[str, list[tuple[str, mx.array]]] = {}
    for name, array in arrays.items():
        kind, _, rest = name.partition(":")
        leaves.setdefault(kind, []).append((rest, array))
    return {kind: tree_unflatten(items) for kind, items in leaves.items()}, facts


@contextmanager
def checkpoint_blocks(model: nn.Module, wanted: bool = True) -> Iterator[None]:
    """Gradient checkpointing: while it lasts, what a block computes is forgotten and computed again for its gradient.

    A step then holds the states between blocks and the inside of one (Chen et al. 1604.06174). The classes are changed,
    since Python looks for __call__ there, and put back.
    """
    kinds = {type(part) for name, part in model.named_modules() if BLOCK.fullmatch(name)} if wanted else set()
    originals = {kind: kind.__call__ for kind in kinds}
    for kind, call in originals.items():
        kind.__call__ = _forget(call)
    try:
        yield
    finally:
        for kind, call in originals.items():
            kind.__call__ = call


def _forget(call: Callable[..., Any]) -> Callable[..., Any]:
    def run(block: nn.Module, *args: Any, **kwargs: Any) -> Any:
        def inner(parameters: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
            block.update(parameters)
            return call(block, *args, **kwargs)

        return mx.checkpoint(inner)(block.trainable_parameters(), *args, **kwargs)

    return run


def train(
    model: nn.Module,
    loss: Loss,
    batches: Iterator,
    optimizer: optim.Optimizer,
    steps: int,
    folder: Path,
    ema_decay: float = 0.999,
    log_every: int = 20,
    save_every: int = 100,
    clip: float = 1.0,
    teacher: nn.Module | None = None,
) -> Tree:
    """Run to `steps`, resuming from folder/state.safetensors where it is; -> the averaged parameters.

    Appends a JSON line of figures to folder/log.jsonl every `log_every` steps. `teacher` follows the moving average.
    """
    group = mx.distributed.init()
    folder.mkdir(parents=True, exist_ok=True)
    state, first = folder / "state.safetensors", 0
    optimizer.init(model.trainable_parameters())
    ema: Tree = model.parameters()
    if state.exists():
        ema, first = load_state(state, model, optimizer)
    if teacher is not None:
        teacher.update(ema)
    gradient = nn.value_and_grad(model, lambda batch: loss(model, batch))
    totals: dict[str, list[float]] = {}
    clock = time.time()
    for step in range(first + 1, steps + 1):
        with tell_lost(LOST_HINT):
            (_, figures), gradients = gradient(next(batches))
            gradients, norm = optim.clip_grad_norm(average(group, gradients), clip)
            optimizer.update(model, gradients)
            decay = min(ema_decay, step / (step + 10))
            ema = tree_map(lambda old, new: decay * old + (1 - decay) * new, ema, model.parameters())  # noqa: B023
            mx.eval(model.parameters(), optimizer.state, ema, figures, norm)
        if teacher is not None:
            teacher.update(ema)
        for name, value in {**figures, "norm": norm}.items():
            totals.setdefault(name, []).append(value.item())
        if group.rank() == 0 and step % log_every == 0:
            means = {name: round(sum(values) / len(values), 4) for name, values in totals.items()}
            line = {"step": step, "seconds": round(time.time() - clock, 1), **means}
            files.append(folder / "log.jsonl", f"{json.dumps(line)}\n".encode())
            totals, clock = {}, time.time()
        if group.rank() == 0 and (step % save_every == 0 or step == steps):
            save_state(state, model, ema, optimizer, step)
    return ema
