"""Harm files for longer than a test may: python -m tests.hostile.fuzz [NAME ...] --minutes M

What is found goes into the corpus, which the tests read from then on.
"""

import argparse
import hashlib
import resource
import sys
import time
import traceback
import warnings

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.hostile.fuzz.harm import CORPUS, harmed, read
from tests.hostile.fuzz.targets import TARGETS

MEMORY = 8 << 30


def run(name: str, seconds: float) -> int:
    """How many files were read; a finding is kept and shown, and ends it."""
    end, count, last = time.monotonic() + seconds, 0, b""

    def make(start: int):
        @seed(start)
        @settings(max_examples=200, database=None, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.data())
        def check(drawn):
            nonlocal count, last
            last = drawn.draw(harmed(TARGETS[name]))
            count += 1
            read(name, last)

        return check

    start = time.time_ns()
    while time.monotonic() < end:
        start += 1
        try:
            make(start)()
        except BaseException:
            (CORPUS / name).mkdir(parents=True, exist_ok=True)
            (CORPUS / name / hashlib.sha256(last).hexdigest()[:12]).write_bytes(last)
            traceback.print_exc()
            raise
    return count


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", choices=[*TARGETS, []], default=[])
    parser.add_argument("--minutes", type=float, default=1.0)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    found = 0
    for name in options.names or TARGETS:
        try:
            print(f"{name}: {run(name, 60 * options.minutes)} files", flush=True)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            found += 1
            print(f"{name}: FOUND {type(error).__name__}: {str(error)[:200]}", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
