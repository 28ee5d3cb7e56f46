"""One step of every family at full size, beside mflux 0.24.0's in the same run, from the graphs alone (see graph.py):

    sh tests/bench/step/install_mflux.sh /tmp/mflux
    python -m tests.bench.step /tmp/mflux

trace_flops, trace_kernels, trace_bytes, dtype_audit and weights_resident; without a folder ours alone. What both run is
eager, but for klein's step in mflux, which it compiles (on the chips where it does): its kernels and bytes are then
those with all fused that may be, by a rule of our own that found 812 kernels where MLX 0.32.4 makes 772.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_model.memory import component_bytes
from mlx_model.specs import SPECS
from tests.bench.step import ours
from tests.bench.step.cases import BITS, CASES

BARS = {"flops": 1.005, "kernels": 0.65, "eager": 0.55, "compiled": 0.75, "flux3": 0.75, "gb": 0.65, "gb eager": 0.60}
Row = dict[str, Any]
HELD = {"FLUX.1 dev": "flux1-dev", "klein 4B": "flux2-klein-4b", "klein 9B": "flux2-klein-9b"}
HELD |= {"FLUX.3 klein": "flux3-image-klein"}


def trace_peer(environment: Path) -> dict[str, Any]:
    """What peer.py prints in mflux's environment."""
    command = [str(environment / "bin" / "python"), "-m", "tests.bench.step.peer"]
    root = str(Path(__file__).parents[3])
    result = subprocess.run(command, cwd=root, env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"mflux failed:\n{result.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def compare(name: str, own: Row, peer: Row | None) -> str:
    case = CASES[name]
    parts = [f"{name}: {own['tflop']:.2f} TF, {own['tflop'] / case.limit:.4f} of the formula"]
    if peer is None:
        return f"{parts[0]}; {own['kernels']} kernels, {own['gb']:.1f} GB"
    as_run = ("compiled", "gb_compiled") if case.compiled_by_peer else ("kernels", "gb")
    parts.append(f"{own['tflop'] / peer['tflop']:.3f} of mflux")
    words = {"as run": ("kernels", as_run[0]), "eager": ("kernels", "kernels"), "compiled": ("compiled", "compiled")}
    ratios = [f"{word} {own[mine]}/{peer[its]} = {own[mine] / peer[its]:.2f}" for word, (mine, its) in words.items()]
    parts.append("kernels " + ", ".join(ratios))
    sizes = {"as run": as_run[1], "eager": "gb"}
    moved = [f"{word} {own['gb']:.1f}/{peer[its]:.1f} = {own['gb'] / peer[its]:.2f}" for word, its in sizes.items()]
    parts.append("GB " + ", ".join(moved))
    parts.append(f"float32 {own['float32']:.0%} and {peer['float32']:.0%}")
    return "; ".join(parts)


def audit_packed(name: str, bits: int) -> str:
    """Products of packed weights with many rows, which Apple's GPUs make slower than with the unpacked matrix."""
    found = ours.trace(CASES[name], bits=bits).summarise()
    return (
        f"{name} at {bits} bits: {found['large_quantised']} large quantised products, float32 {found['float32']:.0%}, "
        f"{found['kernels']} kernels, {found['gb']:.1f} GB"
    )


def weigh(name: str, peer: Row | None) -> str:
    """GB of the transformer while it samples, by the bytes of our plans and of mflux's modules."""
    own = {bits: _count_held(name, bits) / 1e9 for bits in BITS}
    theirs = {bits: peer["held"][str(bits)] / 1e9 for bits in BITS} if peer else {}
    parts = [
        f"{bits} bits {own[bits]:.2f}" + (f"/{theirs[bits]:.2f} = {own[bits] / theirs[bits]:.2f}" if theirs else "")
        for bits in BITS
    ]
    return f"{name} held while sampling, GB: {', '.join(parts)}"


def _count_held(name: str, bits: int) -> int:
    return component_bytes(SPECS[HELD[name]], bits, 2)["transformer"]


def main() -> None:
    environment = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    print(f"MLX {mx.__version__}; bars: {BARS}")
    peers = trace_peer(environment) if environment else {}
    for name, case in CASES.items():
        print(compare(name, ours.trace(case).summarise(), peers.get(name)), flush=True)
    for name in ("FLUX.1 dev", "klein 4B", "FLUX.3 klein, 1"):
        for bits in (8, 4):
            print(audit_packed(name, bits), flush=True)
    for name in HELD:
        print(weigh(name, peers.get(name)), flush=True)


if __name__ == "__main__":
    main()
