"""Median time of `flux-local --help`, each run in a new process: python tests/bench/startup.py [runs]"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    return time.perf_counter() - start


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    cases = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "flux-local --help": [sys.executable, "-m", "app", "--help"],
        "flux-local edit --help": [sys.executable, "-m", "app", "edit", "--help"],
        "flux-local models list": [sys.executable, "-m", "app", "models", "list"],
    }
    for name, command in cases.items():
        times = sorted(seconds(command) for _ in range(runs))
        print(f"{name:24} median {statistics.median(times):.3f} s, {times[0]:.3f} to {times[-1]:.3f}")


if __name__ == "__main__":
    main()
