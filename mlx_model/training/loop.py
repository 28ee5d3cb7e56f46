"""The one training loop: gradients averaged over all processes, an exponential moving average, checkpoints, resume.

Data-parallel through MLX's own distributed backends: start it under `mlx.launch -n 2` (or on several machines) and
every process draws its own samples. One thread a process (OPENBLAS_NUM_THREADS=1) is fastest on a shared CPU.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx.utils import tree_flatten, tree_map, tree_unflatten

Tree = dict[str, Any]  # parameters, gradients: arrays in dictionaries and lists
Rate = float | Callable[[mx.array], mx.array]
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


def save_state(path: Path, model: nn.Module, ema: Tree, optimizer: optim.Optimizer, step: int) -> None:
    """Everything that resume needs, replaced atomically."""
    trees = {"model": model.parameters(), "ema": ema, "optimizer": optimizer.state}
    arrays: dict[str, mx.array] = {
        f"{kind}:{name}": leaf for kind, tree in trees.items() for name, leaf in dict(tree_flatten(tree)).items()
    }
    partial = path.with_suffix(".partial.safetensors")
    mx.save_safetensors(str(partial), arrays, {"step": str(step)})
    os.replace(partial, path)


def load_state(path: Path, model: nn.Module, optimizer: optim.Optimizer) -> tuple[Tree, int]:
    """Restores model and optimizer; -> (the moving average, the step)."""
    loaded: Any = mx.load(str(path), return_metadata=True)
    arrays, metadata = loaded
    trees = {
        kind: [(k.partition(":")[2], v) for k, v in arrays.items() if k.startswith(kind)]
        for kind in ("model", "ema", "optimizer")
    }
    model.update(tree_unflatten(trees["model"]))
    optimizer.state = tree_unflatten(trees["optimizer"])
    return tree_unflatten(trees["ema"]), int(metadata["step"])


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
            with (folder / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            totals, clock = {}, time.time()
        if group.rank() == 0 and (step % save_every == 0 or step == steps):
            save_state(state, model, ema, optimizer, step)
    return ema
