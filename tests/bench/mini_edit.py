"""What an edit with the built-in model takes of the processor at 256 px, one reference, four steps, guidance:

    python -m tests.bench.mini_edit [ROUNDS]

Each round in a process of its own, of which the second edit counts, with another prompt and seed; the picture is known
then, as it is in a session. Beside it what its products alone would take at the speed this core reaches, the floor.
Bar: 0.3 s.
"""

import json
import statistics
import sys
import time
from collections.abc import Iterator

import numpy as np

from tests.bench.table import call, print_row

SIDE, STEPS, ROUNDS = 256, 4, 5
ROWS, WIDTHS = 168, (256, 2304)  # of a block: 40 tokens of text, 64 of the picture, 64 of the reference


def measure() -> dict[str, float]:
    """Processor seconds by phase, of the second of two edits."""
    from app.base import paths
    from app.engine.running import open_pipeline

    pipeline = open_pipeline(paths.mini(), "float32")
    for number in range(2):
        found = dict(_time_phases(pipeline, number))
    return found | {"gflops": _reach()}


def _time_phases(pipeline, number: int) -> Iterator[tuple[str, float]]:
    from mlx_model.events import Done, Stage
    from mlx_model.request import Reference, Request

    pixels = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    given = (Reference(pixels=pixels),)
    request = Request("mini", f"make it night {number}", SIDE, SIDE, STEPS, seed=number, references=given)
    phase, began = "begin", time.process_time()
    for event in pipeline.run(request):
        if isinstance(event, Stage | Done):
            now = time.process_time()
            yield phase, now - began
            phase, began = getattr(event, "name", "end"), now


def _reach() -> float:
    """GFLOP a second of a product of mini's shapes in float32."""
    import mlx.core as mx

    x, w = (mx.random.normal(shape) for shape in ((ROWS, WIDTHS[0]), WIDTHS))
    mx.eval(x, w)
    times = []
    for _ in range(50):
        began = time.process_time()
        mx.eval(x @ w)
        times.append(time.process_time() - began)
    return 2 * ROWS * WIDTHS[0] * WIDTHS[1] / statistics.median(times) / 1e9


def count_gflop() -> float:
    """Of the steps of one edit, both prompts."""
    from mlx_model.geometry import Size
    from mlx_model.specs import SPECS
    from mlx_model.speed import step_flops

    size = Size(SIDE, SIDE)
    return STEPS * step_flops(SPECS["mini"], size, [size]) / 1e9


def main() -> None:
    if sys.argv[1:] == ["--one"]:
        print(json.dumps(measure()))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    found = [json.loads(call(sys.executable, "-m", "tests.bench.mini_edit", "--one")) for _ in range(rounds)]
    middle = {name: statistics.median(one[name] for one in found) for name in found[0]}
    reached, gflop = middle.pop("gflops"), count_gflop()
    print("seconds of the processor: " + ", ".join(f"{name} {seconds:.3f}" for name, seconds in middle.items()))
    print(f"steps: {gflop:.1f} GFLOP, at {reached:.0f} GFLOP/s of this core {gflop / reached:.3f} s")
    totals = [sum(seconds for name, seconds in one.items() if name != "gflops") for one in found]
    print_row("an edit with mini, processor", statistics.median(totals), bar=0.3, unit=" s")
    print_row("the best round", min(totals), unit=" s")


if __name__ == "__main__":
    main()
