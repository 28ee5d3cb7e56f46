"""Nothing is lost: every kind of fault, done for real, as a table: python -m tests.bench.faults [--quick] [GROUP ...]

Processes are killed where they write, disks fail and fill up, and what strangers send is opened. Exits with 1 where
anything was lost, and names it.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.hostile.faults import disks, strangers
from tests.hostile.faults.disks import Cases

GROUPS: dict[str, Callable[[Path, bool], Cases]] = {
    "kills": disks.try_kills,
    "disk errors": disks.try_disk_errors,
    "full disks": disks.try_full_disks,
    **strangers.GROUPS,
}
SHOWN = 20  # losses of a group that are named


def run_group(name: str, quick: bool) -> tuple[int, list[str]]:
    """How many cases, and what was lost."""
    with tempfile.TemporaryDirectory(prefix="flux-local-faults-") as folder:
        os.environ["FLUX_LOCAL_HOME"] = f"{folder}/home"
        found = [(case, lost) for case, lost in GROUPS[name](Path(folder), quick)]
    return len(found), [f"{case}: {lost}" for case, lost in found if lost]


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer cases of each kind")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"some of: {', '.join(GROUPS)}")
    options = parser.parse_args(words)
    if unknown := [name for name in options.groups if name not in GROUPS]:
        parser.error(f"there is no group {unknown[0]}")
    print(f"{'fault':24}{'cases':>8}{'survived':>10}{'lost':>6}{'seconds':>9}")
    losses = 0
    for name in options.groups or GROUPS:
        began = time.monotonic()
        cases, lost = run_group(name, options.quick)
        losses += len(lost)
        seconds = time.monotonic() - began
        print(f"{name:24}{cases:8}{cases - len(lost):10}{len(lost):6}{seconds:9.1f}", flush=True)
        for line in lost[:SHOWN]:
            print(f"    {line}", file=sys.stderr)
    return 1 if losses else 0


if __name__ == "__main__":
    sys.exit(main())
