"""How far pictures go off where references are kept (alone, at t = 0) by a model that wasn't trained so, on the
built-in one: python -m tests.bench.kept_references. PSNR to the exact picture, and for scale of another seed's; seconds
of processor of a run with references that are known.
"""

import dataclasses
import time

import numpy as np

from app.base import blas, paths
from app.pictures import inputs
from mlx_model.request import Request

EDITS = (
    (("robot",), "make it night"),
    (("fox_robot",), "make it sunset"),
    (("dog",), "make it snow"),
    (("robot", "unicorn"), "image 1 and image 2 on the beach at sunset"),
)
SEEDS = 3


def measure(pipeline, request: Request) -> tuple[list[np.ndarray], float]:
    list(pipeline.run(request))  # what is kept is there
    began, made = time.process_time(), []
    for seed in range(SEEDS):
        *_, done = pipeline.run(dataclasses.replace(request, seed=seed))
        made.append(done.pixels.astype(float))
    return made, (time.process_time() - began) / SEEDS


def compare(pictures: list[np.ndarray], others: list[np.ndarray]) -> str:
    errors = [((one - other) ** 2).mean() for one, other in zip(pictures, others, strict=True)]
    return f"{np.mean([10 * np.log10(255**2 / error) for error in errors]):.1f} dB"


def main() -> None:
    blas.preload()
    from mlx_model.run.pipeline import Pipeline

    exact, kept = Pipeline.open(paths.mini(), "float32"), Pipeline.open(paths.mini(), "float32")
    kept.spec = dataclasses.replace(kept.spec, reference_bank=True)
    for names, words in EDITS:
        given = tuple(inputs.load_reference(f"assets/examples/{name}.png", []) for name in names)
        request = Request("mini", words, references=given)
        (whole, took), (less, short) = measure(exact, request), measure(kept, request)
        scale = compare(whole[1:] + whole[:1], whole)
        print(f"{words}: {compare(less, whole)}, another seed {scale}; {short / took:.2f} of {took:.2f} s", flush=True)


if __name__ == "__main__":
    main()
