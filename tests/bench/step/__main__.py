"""One step of every family at full size, beside mflux 0.24.0's in the same run, from the graphs alone (see graph.py):

    sh tests/bench/install_peers.sh /tmp/peers
    python -m tests.bench.step /tmp/peers

trace_flops, trace_kernels, trace_bytes, dtype_audit and weights_resident; without a folder ours alone. What both run is
eager, but for klein's step in mflux, which it compiles (on the chips where it does): its kernels and bytes are then
those with all fused that may be, by a rule of our own that found 812 kernels where MLX 0.32.4 makes 772.
"""

import json
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_model.memory import component_bytes
from mlx_model.specs import SPECS
from tests.bench.step import ours
from tests.bench.step.cases import BITS, CASES
from tests.bench.table import call, find_peer, print_row

BARS = {"as run": 0.65, "eager": 0.55, "compiled": 0.75}  # of kernels
MOVED = {"as run": 0.65, "eager": 0.6}  # of GB
RUN_BY_FLUX3, HELD_BY_FLUX1 = 0.75, 0.75
Row = dict[str, Any]
HELD = {"FLUX.1 dev": "flux1-dev", "klein 4B": "flux2-klein-4b", "klein 9B": "flux2-klein-9b"}
HELD |= {"FLUX.3 klein": "flux3-image-klein"}


def trace_peer(python: Path) -> dict[str, Any]:
    """What peer.py prints in mflux's environment."""
    found: dict[str, Any] = json.loads(call(python, "-m", "tests.bench.step.peer").splitlines()[-1])
    return found


def compare(name: str, own: Row, peer: Row | None) -> None:
    case = CASES[name]
    print(f"{name}: {own['tflop']:.2f} TFLOP, {own['kernels']} kernels, {own['gb']:.1f} GB, {own['names']}")
    print_row(f"{name}: TFLOP beside the formula's", own["tflop"], case.limit, 1.005)
    print_row(f"{name}: share of float32 products", own["float32"], bar=0)
    if peer is None:
        return
    print_row(f"{name}: TFLOP", own["tflop"], peer["tflop"], 1.005)
    as_run = ("compiled", "gb_compiled") if case.compiled_by_peer else ("kernels", "gb")
    for word, mine, its in (
        ("as run", "kernels", as_run[0]), ("eager", "kernels", "kernels"), ("compiled", "compiled", "compiled")
    ):  # fmt: skip
        bar = RUN_BY_FLUX3 if (case.family, word) == ("flux3", "as run") else BARS[word]
        print_row(f"{name}: kernels {word}", own[mine], peer[its], bar)
    for word, its in (("as run", as_run[1]), ("eager", "gb")):
        print_row(f"{name}: GB moved {word}", own["gb"], peer[its], MOVED[word])


def audit_packed(name: str, bits: int) -> None:
    """Products of packed weights with many rows, which Apple's GPUs make slower than with the unpacked matrix."""
    found = ours.trace(CASES[name], bits=bits).summarise()
    print(f"{name} at {bits} bits: {found['kernels']} kernels, {found['gb']:.1f} GB")
    print_row(f"{name} at {bits} bits: large quantised products", found["large_quantised"], bar=0)
    print_row(f"{name} at {bits} bits: share of float32 products", found["float32"], bar=0)


def weigh(name: str, peer: Row | None) -> None:
    """GB of the transformer while it samples, by the bytes of our plans and of mflux's modules."""
    bar = HELD_BY_FLUX1 if name.startswith("FLUX.1") else 1.0
    for bits in BITS:
        own = component_bytes(SPECS[HELD[name]], bits, 2)["transformer"] / 1e9
        theirs = peer["held"][str(bits)] / 1e9 if peer else None
        print_row(f"{name} at {bits} bits: GB held while sampling", own, theirs, bar if peer else None)


def main() -> None:
    peer = find_peer(sys.argv[1:])
    print(f"MLX {mx.__version__}")
    peers = trace_peer(peer) if peer else {}
    for name, case in CASES.items():
        compare(name, ours.trace(case).summarise(), peers.get(name))
    for name in ("FLUX.1 dev", "klein 4B", "FLUX.3 klein, 1"):
        for bits in (8, 4):
            audit_packed(name, bits)
    for name in HELD:
        weigh(name, peers.get(name))


if __name__ == "__main__":
    main()
