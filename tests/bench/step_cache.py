"""What a step cache saves and changes, on the built-in model in many steps: python -m tests.bench.step_cache

For each threshold: passes that end early, processor time, and how near the pictures are to the exact ones (PSNR, mean
and worst). Beside it what else is to be had for as little time: the exact run in fewer steps. Each against the exact
run in as many steps.
"""

import argparse
import dataclasses
import time

import numpy as np

from app.base import blas, paths
from app.pictures import inputs
from mlx_model.request import Request

THRESHOLDS, FEWER = (0.05, 0.1, 0.15, 0.2, 0.3), (20, 14, 10, 8)
EDITS = (("robot", "make it night"), ("fox_robot", "make it sunset"), ("dog", "make it snow"))
WORDS = ("a panda in the snow at night", "a robot on the beach at sunset", "a fox and a dog in a forest")


def plan(seeds: int) -> list[Request]:
    made = [Request("mini", words, seed=seed) for words in WORDS for seed in range(seeds)]
    for name, words in EDITS:
        given = (inputs.load_reference(f"assets/examples/{name}.png", []),)
        made += [Request("mini", words, references=given, seed=seed) for seed in range(seeds)]
    return made


def measure(pipeline, requests: list[Request], **options) -> tuple[list[np.ndarray], float, int, int]:
    """Pictures, seconds of processor for one, passes in all, passes that ended early."""
    pictures, count, reused, began = [], 0, 0, time.process_time()
    for request in requests:
        *_, done = pipeline.run(dataclasses.replace(request, **options))
        pictures.append(done.pixels.astype(float))
        if pipeline.step_cache:
            count, reused = count + pipeline.step_cache.count, reused + pipeline.step_cache.reused
    return pictures, (time.process_time() - began) / len(requests), count, reused


def say_distance(pictures: list[np.ndarray], exact: list[np.ndarray]) -> str:
    errors = [((one - other) ** 2).mean() for one, other in zip(pictures, exact, strict=True)]
    decibels = [10 * np.log10(255**2 / max(error, 1e-9)) for error in errors]
    return f"{np.mean(decibels):.1f} dB, worst {min(decibels):.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=28)
    parser.add_argument("--seeds", type=int, default=2)
    asked = parser.parse_args()
    blas.preload()
    from mlx_model.run.pipeline import Pipeline

    pipeline, requests = Pipeline.open(paths.mini(), "float32"), plan(asked.seeds)
    measure(pipeline, requests, steps=1)  # prompts and pictures are encoded
    exact, whole, *_ = measure(pipeline, requests, steps=asked.steps)
    print(f"exact, {asked.steps} steps: {whole:.2f} s")
    for threshold in THRESHOLDS:
        made, seconds, count, reused = measure(pipeline, requests, steps=asked.steps, step_cache=threshold)
        cut = f"{reused / count:.0%} of passes cut, {seconds:.2f} s ({seconds / whole:.2f})"
        print(f"step cache {threshold}: {cut}, {say_distance(made, exact)}", flush=True)
    for steps in FEWER:
        made, seconds, *_ = measure(pipeline, requests, steps=steps)
        print(f"{steps} steps: {seconds:.2f} s ({seconds / whole:.2f}), {say_distance(made, exact)}", flush=True)


if __name__ == "__main__":
    main()
