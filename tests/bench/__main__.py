"""Every measurement that has a bar, one after the other, and a table of all at the end:

    sh tests/bench/install_peers.sh /tmp/peers
    python -m tests.bench --peers /tmp/peers            # all, most of an hour
    python -m tests.bench --peers /tmp/peers step cpu_ab

Without the peers' environment ours alone. Each bench is a module that also runs by itself, in processes of its own; the
others in this folder (window, canvas, worker, mini_score, ...) have no bar of speed and are run by hand. docs/SPEED.md
keeps what came out.
"""

import argparse
import ctypes
import os
import subprocess
import sys
from pathlib import Path

from app.base import blas
from tests.bench.table import BEGIN, ROOT, say_head

# The words each is run with; "PEERS" is the folder of the peers' environment, left out where there is none.
BENCHES: dict[str, tuple[tuple[str, ...], ...]] = {
    "step": (("PEERS",),),
    "session": ((),),
    "edit_repeat": ((),),
    "bank": ((),),
    "forecast": ((), ("--bank",), ("--low",), ("--low", "--bank")),
    "stream_peak": ((), ("--bits", "8")),
    "vae_peak": (("PEERS",),),
    "cpu_ab": (("PEERS",),),
    "cold_start": (("PEERS",),),
    "mini_edit": ((),),
    "codec_snr": ((),),
}


def say_machine() -> str:
    """The processor, and what multiplies its matrices: figures of other kernels are other figures."""
    here, library = blas.machine(), blas.preload()
    kernel = ctypes.CDLL(library).openblas_get_corename if library else None
    if kernel:
        kernel.restype = ctypes.c_char_p
    name = f"{library}, its kernel {kernel().decode()}" if kernel else "MLX's own BLAS"
    threads, load = os.environ["OPENBLAS_NUM_THREADS"], os.getloadavg()[0]
    return f"{here.chip}, {os.cpu_count()} cores; {name}; BLAS threads: {threads}; load {load:.1f}"


def run(name: str, words: tuple[str, ...]) -> list[str]:
    """The rows of one bench, while it goes on in words."""
    print(f"\n== {name} {' '.join(words)}", flush=True)
    command = [sys.executable, "-m", f"tests.bench.{name}", *words]
    rows = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            if line.startswith(BEGIN):
                rows.append(f"{BEGIN}{name} {line}".rstrip())
    return rows if process.returncode == 0 else [*rows, f"{BEGIN}{name} | failed ||||||"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, help="the environment that install_peers.sh made")
    parser.add_argument("names", nargs="*", choices=[*BENCHES, []], default=[])
    chosen = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a second thread spins while it waits
    print(say_machine(), flush=True)
    peers = (str(chosen.peers),) if chosen.peers else ()
    rows = []
    for name in chosen.names or BENCHES:
        for words in BENCHES[name]:
            rows += run(name, peers if words == ("PEERS",) else words)
    print("\n" + say_head(), *rows, sep="\n")


if __name__ == "__main__":
    main()
