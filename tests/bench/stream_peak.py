"""Weights read from the disk as a network runs, beside the same network held whole: memory in blocks, time, bits:
python -m tests.bench.stream_peak [--bits 8] [--rows 32]

Each measurement in a process of its own, whole and streamed in turn. Bars: 2.5 blocks beside what stays and what the
work itself takes; 1.05 of the time; bit-equal.
"""

if __name__ == "__main__":
    from app.base import blas

    blas.preload()

import argparse
import gc
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

from converters.quantize import BY_BITS, PLANS, encode
from mlx_model.files import use_scratch_folder
from mlx_model.nets import flux2
from mlx_model.nets.ops import timestep_features
from mlx_model.run.latents import grid_ids, text_ids
from mlx_model.store.counting import add_up, count_blocks
from mlx_model.store.streamed import stream
from mlx_model.store.weights import build, load, save_component
from tests.bench.bank import made_network
from tests.bench.table import print_row

SIZES = flux2.Params(1024, 8, 2, 8, 64, in_channels=64)  # klein 9B's proportions: 4096, 32, 8, 24
TEXT, STEPS, ROUNDS = 64, 2, 3


def make_files(root: Path, bits: int) -> None:
    """A network whose weights are drawn, in 32 bits or packed."""
    weights = dict(tree_flatten(made_network(SIZES, mx.float32).parameters()))
    if bits < 32:
        plan = PLANS[BY_BITS[bits]]
        weights = {key: one for name in list(weights) for key, one in encode(name, weights.pop(name), plan).items()}
    save_component(root, "transformer", "flux2", SIZES, weights)


def measure(root: Path, streamed: bool, rows: int) -> dict:
    """Of STEPS steps after one that is not counted: seconds a step by the clock and the processor, bytes, bits."""
    network, files = build("transformer", "flux2", SIZES), sorted((root / "transformer").iterdir())
    (stream if streamed else load)(network, files, mx.float32)
    gc.collect()
    held = mx.get_active_memory()
    context, latents = (mx.random.normal((1, n, 64), key=mx.random.key(n)) for n in (TEXT, rows * 32))
    rope = network.rope(np.concatenate([text_ids(TEXT), grid_ids((rows, 32))]))

    def step() -> mx.array:
        velocity = network(latents, timestep_features([0.5]), network.condition(context, rope))
        mx.eval(velocity)
        return velocity

    step()
    mx.reset_peak_memory()
    clock, processor = time.perf_counter(), time.process_time()
    for _ in range(STEPS):
        velocity = step()
    took = {"seconds": time.perf_counter() - clock, "processor": time.process_time() - processor}
    digest = hashlib.sha256(np.array(velocity).tobytes()).hexdigest()
    return {key: value / STEPS for key, value in took.items()} | {
        "bytes": mx.get_peak_memory(), "held": held, "bits": digest
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bits", type=int, default=32)
    parser.add_argument("--rows", type=int, default=32, help="of 32 tokens")
    parser.add_argument("--one", nargs=2, metavar=("FOLDER", "HOW"))
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measure(Path(chosen.one[0]), chosen.one[1] == "streamed", chosen.rows)))
        return
    with use_scratch_folder() as root:
        subprocess.run([sys.executable, "-c", _make(root, chosen.bits)], check=True)
        files = [(file, "") for file in (root / "transformer").iterdir()]
        found: dict[str, list[dict]] = {"whole": [], "streamed": []}
        for _ in range(ROUNDS):
            for how, measured in found.items():
                command = [sys.executable, "-m", "tests.bench.stream_peak", "--rows", str(chosen.rows)]
                done = subprocess.run([*command, "--one", str(root), how], capture_output=True, check=True, text=True)
                measured.append(json.loads(done.stdout))
        _say(found, files)


def _make(root: Path, bits: int) -> str:
    """In a process of its own, so that its memory counts nowhere."""
    return f"from tests.bench.stream_peak import Path, make_files; make_files(Path({str(root)!r}), {bits})"


def _say(found: dict[str, list[dict]], files: list[tuple[Path, str]]) -> None:
    resting, moving = add_up(count_blocks(files, 4))
    peaks = {how: min(one["bytes"] for one in measured) for how, measured in found.items()}
    work = peaks["whole"] - min(one["held"] for one in found["whole"])
    blocks = (peaks["streamed"] - resting - work) / (moving / 2)
    print(f"{sum(os.path.getsize(file) for file, _ in files) / 1e6:.0f} MB of weights, {resting / 1e6:.0f} MB stay")
    print(f"peak whole {peaks['whole'] / 1e6:.0f} MB, of it the work {work / 1e6:.0f} MB")
    print(f"peak streamed {peaks['streamed'] / 1e6:.0f} MB")
    print_row("streamed: blocks beside what stays and the work", blocks, bar=2.5)
    for key, of in (("seconds", "the clock"), ("processor", "the processor")):
        whole, streamed = (statistics.median(one[key] for one in found[how]) for how in ("whole", "streamed"))
        best = min(one[key] for one in found["streamed"]) / min(one[key] for one in found["whole"])
        print(f"a step by {of}: best against best {best:.3f}")
        print_row(f"streamed / whole: a step by {of}", streamed, whole, 1.05, " s")
    results = {one["bits"] for measured in found.values() for one in measured}
    print_row("streamed: results that differ", len(results) - 1, bar=0)


if __name__ == "__main__":
    main()
