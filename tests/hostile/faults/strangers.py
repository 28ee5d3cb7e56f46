"""The groups of faults whose cases are tests of their own: each is run, as it stands, and each of its cases counts."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CASES: dict[str, tuple[str, ...]] = {  # files of tests, or single ones
    "links": ("tests/hostile/test_board_links.py", "tests/hostile/test_kept_links.py"),
    "replaced folders": (
        "tests/hostile/test_left_behind.py::test_killed_at_every_step_of_a_replacement",
        "tests/hostile/test_left_behind.py::test_what_is_not_as_listed_stays",
        "tests/hostile/test_left_behind.py::test_a_folder_with_some_model_json_is_none_of_ours",
    ),
    "given pictures": (
        "tests/cli/test_given_files.py",
        "tests/app/training/test_session.py::test_a_run_goes_on_from_no_picture_that_it_would_overwrite",
        "tests/app/training/test_session.py::test_a_run_puts_its_result_over_no_other_file",
    ),
    "rubbish": ("tests/hostile/test_left_behind.py",),
    "growing checks": ("tests/hostile/test_linear.py",),
    "panics of libraries": ("tests/hostile/test_tokenizers.py",),
    "control characters": ("tests/cli/test_controls.py",),
    "absurd numbers": (
        "tests/app/interchange/test_timeline_kinds.py::test_numbers_of_absurd_length",
        "tests/app/interchange/test_edited.py::test_absurd_times",
        "tests/hostile/test_sizes.py",
    ),
    "fuzzed files": ("tests/hostile/fuzz/test_fuzz.py",),
    "large LoRA, full stderr": ("tests/hostile/test_lora_files.py", "tests/cli/test_streams.py"),
    "clocks and locks": ("tests/app/fluxboard/test_clock_and_machine.py", "tests/app/fluxboard/test_synced_folder.py"),
    "weights that vanish": ("tests/hostile/test_weights_vanish.py",),
    "chip, memory, sleep": ("tests/app/engine/test_machine.py",),
    "handed to the window": ("tests/gui/window/test_strangers.py",),
    "downloads": ("tests/network/test_transfer.py", "tests/network/test_models_add.py"),
}
NOT_TRIED = "skipped"


def run_tests(tests: tuple[str, ...], root: Path, _: bool) -> Iterator[tuple[str, str]]:
    """Each case that ran, and what it said where it failed."""
    report = root / "report.xml"
    words = [
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "network or not network",
        f"--junitxml={report}",
        *tests,
    ]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True)
    if not report.exists() or done.returncode not in (0, 1):
        yield ", ".join(tests), f"they did not run: {done.stdout[-300:]} {done.stderr[-300:]}"
        return
    for case in ElementTree.parse(report).iter("testcase"):
        failed = [found for kind in ("failure", "error") for found in case.findall(kind)]
        if case.find(NOT_TRIED) is None:
            yield str(case.get("name")), str(failed[0].get("message", "failed"))[:300] if failed else ""


GROUPS: dict[str, Callable[[Path, bool], Iterator[tuple[str, str]]]] = {
    name: partial(run_tests, tests) for name, tests in CASES.items()
}
