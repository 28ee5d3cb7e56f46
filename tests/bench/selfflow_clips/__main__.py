"""One network for pictures, clips and sounds: flow matching and Self-Flow, each kind's held-out loss, three seeds.

    python -m tests.bench.selfflow_clips RUNS [--steps 100] [--seeds 0,1,2]

The network of `flux-local train clips` in 128 instead of 192 numbers a token and pictures of 16 x 16 pixels, by the
torch mirror (the same losses and gradients by tests/parity/test_joint.py, quicker on a CPU), on what world.py draws.
Runs of one seed begin with the same weights and get the same clips, noise and times. A finished run's figures stay in
RUNS, so that the command goes on where it was stopped, and prints the table of what there is. Needs the `parity` extra.
"""

import argparse
import copy
import json
import time
import zlib
from pathlib import Path

import numpy as np
import torch

from mlx_model.training.flow import WEIGHT
from mlx_model.training.joint import SECOND, choose_sizes
from mlx_model.training.patches import FILMED
from tests.mirror import recipe
from tests.mirror.flow import initialise
from tests.mirror.joint import Batch, Joint, flow_error, self_flow_losses
from tests.mirror.optimizer import MuonAndAdam

from . import world

METHODS = {"flow": "flow matching", "selfflow": "Self-Flow"}
HIDDEN, SIDE, BATCH = 128, 16, 4  # BATCH of each kind in a step
WORDS = 12
TRAIN, TEST, TIMES = 256, 48, 4  # clips of each kind; times at which each held-out one is measured
AVERAGE = 0.99
SIZES = choose_sizes(HIDDEN, SIDE)
Set = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # tokens (n, N, C), words (n, T), which are real (n, T)


def make_set(kind: str, count: int, seed: int) -> Set:
    codec, rng, tokens, captions = SIZES.codecs[kind], np.random.default_rng([seed, len(kind)]), [], []
    for _ in range(count):
        clip, caption = world.draw(kind, rng, SIDE, FILMED, SIZES.codecs["audio"].shape[0])
        tokens.append(codec.encode(clip))
        captions.append([zlib.crc32(word.encode()) % SIZES.text.vocab_size for word in caption.split()])
    words = np.array([one + [0] * (WORDS - len(one)) for one in captions])
    real = np.arange(WORDS) < np.array([[len(one)] for one in captions])
    return torch.from_numpy(np.stack(tokens)), torch.from_numpy(words), torch.from_numpy(real)


def draw_batch(kind: str, data: Set, at: torch.Tensor, generator: torch.Generator) -> Batch:
    tokens, words, real = (one[at] for one in data)
    times, others = (torch.sigmoid(torch.randn(len(at), generator=generator)) for _ in range(2))
    noise = torch.randn(tokens.shape, generator=generator)
    masked = torch.rand(tokens.shape[:2], generator=generator) < SECOND[kind]
    return Batch(kind, tokens, noise, words, real, times, others, masked)


def run(method: str, seed: int, steps: int, data: dict[str, Set], held_out: dict[str, Set]) -> dict[str, float]:
    """Train from nothing; -> the held-out losses of the averaged weights, and the seconds of a core."""
    model = Joint(SIZES.text, SIZES.blocks, SIZES.codecs)
    initialise(model, seed)
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer, began = MuonAndAdam(model, recipe.MUON_RATE, recipe.ADAM_RATE), time.thread_time()
    for step in range(steps):
        generator = torch.Generator().manual_seed(1_000_003 * seed + step)
        for kind, clips in data.items():
            at = torch.randint(TRAIN, (BATCH,), generator=generator)
            batch = draw_batch(kind, clips, at, generator)
            if method == "selfflow":
                error, likeness = self_flow_losses(model, average, batch)
                (error - WEIGHT * likeness).backward()
            else:
                flow_error(model, batch).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.CLIP)
        optimizer.step(min(1.0, (step + 1) / recipe.WARMUP))
        blend(average, model, min(AVERAGE, (step + 1) / (step + 11)))
    return {"seconds": time.thread_time() - began, **{kind: measure(average, kind, held_out[kind]) for kind in data}}


@torch.no_grad()
def blend(average: Joint, model: Joint, decay: float) -> None:
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)


@torch.no_grad()
def measure(model: Joint, kind: str, data: Set) -> float:
    """The velocity's mean squared error at one time for all tokens: the same noise and times for all runs."""
    generator = torch.Generator().manual_seed(77)
    batches = [draw_batch(kind, data, torch.arange(TEST), generator) for _ in range(TIMES)]
    return float(np.mean([flow_error(model, batch).item() for batch in batches]))


def make_table(rows: dict[str, dict[str, float]]) -> str:
    """Markdown: the mean over the seeds, and the lowest and the highest."""
    lines = [f"| | {' | '.join(METHODS.values())} |", "|---" * (1 + len(METHODS)) + "|"]
    for figure in (*SIZES.codecs, "seconds"):
        cells = []
        for method in METHODS:
            found = [row[figure] for name, row in rows.items() if name.startswith(f"{method}-")] or [float("nan")]
            digits = 0 if figure == "seconds" else 4
            cells.append(f"{np.mean(found):.{digits}f} ({min(found):.{digits}f} to {max(found):.{digits}f})")
        lines.append(f"| {figure} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seeds", default="0,1,2")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.runs.mkdir(parents=True, exist_ok=True)
    data, held_out = ({kind: make_set(kind, count, seed) for kind in SIZES.codecs} for count, seed in
                      ((TRAIN, 0), (TEST, 1)))  # fmt: skip
    rows = {}
    for seed in options.seeds.split(","):
        for method in METHODS:
            file = options.runs / f"{method}-{seed}-{options.steps}.json"
            if not file.exists():
                file.write_text(json.dumps(run(method, int(seed), options.steps, data, held_out)))
            rows[file.stem] = json.loads(file.read_text())
            print(file.stem, rows[file.stem], flush=True)
    print(make_table(rows))


if __name__ == "__main__":
    main()
