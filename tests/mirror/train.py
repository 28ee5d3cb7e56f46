"""Trains the built-in model at 256 px on a CPU without MLX's own trainer, several times as fast; see recipe.py.

    python -m tests.mirror.train all RUN FOLDER --autoencoder FILE | --model FOLDER [--minutes M] [--batch B]
    python -m tests.mirror.train begin RUN --autoencoder FILE | --model FOLDER
    python -m tests.mirror.train go RUN [--minutes M] [--samples N] [--batch B]
    python -m tests.mirror.train settle RUN OUT [--samples N]
    python -m tests.mirror.train export RUN FOLDER

`go` holds the rate and goes on where RUN stands, to the bit; a signal to end makes it save first. `settle` takes a copy
of RUN and lets the rate fall over N samples: these are the weights to look at and to export. `begin --model` goes on
from a model that was exported (momentum is found again in 100 steps).
"""

import argparse
import json
import math
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import numpy as np
import torch
from safetensors.torch import load_file, save_file

from mlx_model.training import mini

from . import checkpoint, recipe
from .flow import TextToFlow, initialise, velocity_loss
from .names import to_mlx
from .optimizer import MuonAndAdam
from .samples import Samples

SAVE_SECONDS, LOG_SECONDS = 150.0, 60.0
SETTLED = 8000  # samples over which the rate falls
FAST_BFLOAT16 = torch.backends.cpu.get_cpu_capability() == "AVX512" and torch.cpu._is_avx512_bf16_supported()


class Run:
    """Everything that a run is made of."""

    def __init__(self, folder: Path):
        self.folder, self.state = folder, folder / "transformer" / "state.safetensors"
        self.model = TextToFlow(recipe.TEXT, recipe.TRANSFORMER)
        initialise(self.model)
        self.optimizer = MuonAndAdam(self.model, recipe.MUON_RATE, recipe.ADAM_RATE)
        self.average = {name: x.clone() for name, x in self.model.state_dict().items()}
        self.rng, self.generator = np.random.default_rng(11), torch.Generator().manual_seed(12)
        self.step = self.samples = self.since = 0  # since: steps since the optimisers began
        made = self._restore() if self.state.exists() else {}
        self.data = Samples(folder, self.rng, made)

    def _restore(self) -> dict[str, int]:
        arrays, facts = checkpoint.load(self.state)
        self.model.load_state_dict({name: x.float() for name, x in arrays.get("model", arrays["ema"]).items()})
        self.average = {name: arrays["ema"][name].float() for name in self.average}
        self.step, self.samples = facts["step"], facts["samples"]
        if "optimizer" not in arrays:
            self.rng.bit_generator.state = np.random.default_rng([11, self.step]).bit_generator.state
            return {}
        checkpoint.restore_moments(self.model, self.optimizer, arrays["optimizer"])
        self.generator.set_state(arrays["mirror"]["generator"])
        self.rng.bit_generator.state, self.since = facts["rng"], facts["since"]
        return facts["made"]

    def save(self) -> None:
        facts = {"step": self.step, "samples": self.samples, "since": self.since, "made": self.data.made}
        facts["rng"] = self.rng.bit_generator.state
        checkpoint.save(self.state, self.model, self.average, self.optimizer, self.generator, facts)

    def advance(self, size: int, share: float = 1.0, decay: float = recipe.AVERAGE) -> tuple[int, float, float]:
        """One step at this share of the rates -> (references, loss, norm of the gradient)."""
        batch = self.data.batch(recipe.phase(self.samples), size, self.generator)
        noise = torch.randn(batch.latents.shape, generator=self.generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=FAST_BFLOAT16):
            loss = velocity_loss(self.model, batch, noise)
        if not math.isfinite(loss.item()):
            raise FloatingPointError(f"the loss is {loss.item()} at step {self.step}; the last checkpoint is whole")
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.CLIP)
        self.optimizer.step(share * min(1.0, (self.since + 1) / recipe.WARMUP))
        self.step, self.samples, self.since = self.step + 1, self.samples + size_of(batch), self.since + 1
        self._blend(min(decay, self.since / (self.since + 10)))
        return len(batch.grids) - 1, loss.item(), norm.item()

    @torch.no_grad()
    def _blend(self, decay: float) -> None:
        torch._foreach_lerp_(list(self.average.values()), list(self.model.state_dict().values()), 1 - decay)


def size_of(batch) -> int:
    return len(batch.ids)


class Log:
    """Means of the losses by number of references, a line of log.jsonl a minute."""

    def __init__(self, run: Run):
        self.run, self.file = run, run.state.with_name("log.jsonl")
        self.first, self.began, self.told = run.samples, time.time(), time.time()
        self.losses: dict[str, list[float]] = {}

    def add(self, references: int, loss: float, norm: float) -> None:
        self.losses.setdefault(f"loss{references}", []).append(loss)
        self.losses.setdefault("norm", []).append(norm)
        if time.time() - self.told > LOG_SECONDS:
            self.tell()

    def tell(self) -> None:
        means = {name: round(float(np.mean(values)), 4) for name, values in sorted(self.losses.items())}
        rate = (self.run.samples - self.first) / (time.time() - self.began)
        line = {"step": self.run.step, "samples": self.run.samples, "a second": round(rate, 2), **means}
        with self.file.open("a") as log:
            log.write(json.dumps(line) + "\n")
        self.told, self.losses = time.time(), {}


def begin(folder: Path, autoencoder: Path | None, model: Path | None) -> None:
    """Make RUN: with a new network for an autoencoder (a torch file becomes MLX's), or from a model that is there."""
    (folder / "transformer").mkdir(parents=True)
    if model:
        mini.resume(model, folder)
        start = load_file(folder / "start.safetensors")
        counts = {"step": "0", "samples": str(recipe.PHASES[-1][1])}  # it looks at references already
        save_file({f"ema:{name}": x for name, x in start.items()}, folder / "transformer" / "state.safetensors", counts)
    else:
        mx.save_safetensors(str(folder / "autoencoder.safetensors"), to_mlx(load_file(autoencoder)))
        mini.make_tokenizer(folder / "tokenizer", recipe.SPEC)


def train(run: Run, batch: int, done: Callable[[], bool], share: Callable[[], float], decay: float) -> None:
    """Steps until `done`, saved now and then and at the end."""
    log, saved = Log(run), time.time()
    while not done():
        log.add(*run.advance(batch, share(), decay))
        if time.time() - saved > SAVE_SECONDS:
            run.save()
            saved = time.time()
    run.save()


def go(folder: Path, batch: int, minutes: float, samples: int) -> None:
    """At the full rate, until a time or a number of samples is reached, or a signal comes."""
    run, stopped, end = Run(folder), [], time.time() + 60 * minutes
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    train(run, batch, lambda: bool(stopped) or time.time() > end or run.samples >= samples, lambda: 1.0, recipe.AVERAGE)


def settle(folder: Path, out: Path, batch: int, samples: int) -> None:
    """A copy of RUN, with samples of its own, whose rate falls to nothing as a half cosine."""
    shutil.copytree(folder, out, ignore=shutil.ignore_patterns("before.safetensors", "log.jsonl", "pool_*"))
    run = Run(out)
    first = run.samples

    def share() -> float:
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (run.samples - first) / samples)))

    train(run, batch, lambda: run.samples >= first + samples, share, recipe.AVERAGE_FALLING)


def make(options: argparse.Namespace) -> None:
    """Begin where nothing is begun, go on for a while, settle a copy and export it: every time one is asked to."""
    if not options.run.exists():
        begin(options.run, options.autoencoder, options.model)
    go(options.run, options.batch, options.minutes, options.samples or 10**9)
    settled = options.run.with_name(f"{options.run.name}-settled")
    shutil.rmtree(settled, ignore_errors=True)
    settle(options.run, settled, options.batch, SETTLED)
    mini.export(settled, options.out, recipe.SPEC, "python -m tests.mirror.train")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=("all", "begin", "go", "settle", "export"))
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--autoencoder", type=Path, help="its weights, as torch names and turns them")
    parser.add_argument("--model", type=Path, help="a converted folder to go on from, such as assets/mini")
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--samples", type=int)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.stage == "all":
        make(options)
    elif options.stage == "begin":
        begin(options.run, options.autoencoder, options.model)
    elif options.stage == "go":
        go(options.run, options.batch, options.minutes, options.samples or 10**9)
    elif options.stage == "settle":
        settle(options.run, options.out, options.batch, options.samples or SETTLED)
    else:
        mini.export(options.run, options.out, recipe.SPEC, "python -m tests.mirror.train")


if __name__ == "__main__":
    main()
