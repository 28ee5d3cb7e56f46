"""What twelve pictures take with klein 9B KV at 1024 x 1024 in four steps: what is computed is counted on the built-in
model run as a KV model, and priced by that model's operations: python -m tests.bench.session

mflux 0.24 computes everything anew for each picture: its counts and both programs' prices are of traces of full-size
graphs. The same pictures once more in a new process must encode nothing (edit_repeat).
"""

import dataclasses
from pathlib import Path

import numpy as np

from app.base import blas, paths
from mlx_model.files import use_scratch_folder
from mlx_model.request import Reference, Request
from mlx_model.store.cache import Cache
from tests.bench.table import print_row

PANELS, STEPS = 12, 4
TEXT_AND_DECODE, ENCODE = 16.0, 4.73  # TFLOP, of one prompt and one picture, and of one reference
STEP = {4: 115.05, 10: 174.42}
BANK = {4: 362.9, 10: 1418.4}
MFLUX = {4: 865.3, 10: 2214.1}  # of one picture
Panels = list[tuple[int, ...]]  # the references of each, by number
SESSIONS: dict[str, tuple[Panels, bool, float]] = {  # whether each is a process of its own, and the bar
    "same 4 references": ([(0, 1, 2, 3)] * PANELS, False, 0.587),
    "same 10 references": ([tuple(range(10))] * PANELS, False, 0.378),
    "4, each goes on from the one before": ([(0, 1, 2, 10 + n) for n in range(PANELS)], False, 0.75),
    "two sets of 4 in turn": ([(0, 1, 2, 3), (4, 5, 6, 7)] * (PANELS // 2), False, 0.63),
    "same 4, twelve command lines": ([(0, 1, 2, 3)] * PANELS, True, 0.56),
}
Counts = tuple[int, int, int, int]  # prompts, references, banks, steps


def draw(number: int) -> Reference:
    coarse = np.random.default_rng(number).integers(0, 256, (2, 2, 3), np.uint8)
    return Reference(pixels=coarse.repeat(32, 0).repeat(32, 1))


def run(panels: Panels, alone: bool, folder: Path) -> Counts:
    """What is computed in a session; with `alone` each picture opens the model anew."""
    pipelines = []
    for number, seen in enumerate(panels):
        if alone or not pipelines:
            pipelines.append(_open(folder))
        request = Request("mini", f"a beach {number}", 64, 64, 1, 1.0, references=tuple(map(draw, seen)))
        list(pipelines[-1].run(request))
    kept = [(one.prompts.misses, one.encoded.misses, one.banks.misses) for one in pipelines]
    prompts, references, banks = (sum(one) for one in zip(*kept, strict=True))
    return prompts, references, banks, STEPS * len(panels)


def _open(folder: Path):
    from mlx_model.run.pipeline import Pipeline

    pipeline = Pipeline.open(paths.mini(), "float32")
    pipeline.spec = dataclasses.replace(pipeline.spec, reference_bank=True, max_references=10)
    pipeline.cache = Cache(folder)
    return pipeline


def price(counts: Counts, references: int) -> float:
    """TFLOP."""
    _, encoded, banks, steps = counts
    pictures = steps / STEPS  # a prompt is priced with a picture's decode, whether it was kept or not
    return pictures * TEXT_AND_DECODE + encoded * ENCODE + banks * BANK[references] + steps * STEP[references]


def measure() -> None:
    for name, (panels, alone, bar) in SESSIONS.items():
        with use_scratch_folder() as root:
            references = len(panels[0])
            counts, again = run(panels, alone, root / "kept"), run(panels, True, root / "kept")
            ours, theirs = price(counts, references), PANELS * MFLUX[references]
            print(f"{name}: prompts, encodes, banks {counts[:3]}; again in new processes {again[:3]}")
            print_row(name, ours, theirs, bar, " TFLOP")


def main() -> None:
    blas.preload()
    measure()


if __name__ == "__main__":
    main()
