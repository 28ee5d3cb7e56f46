"""How much of ours a command loads: --help is to be there at once, and a run carries nothing that it does not use."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.base import paths

ROOT = Path(__file__).resolve().parents[2]
COUNT = """
import atexit, json, sys

def count():
    ours = [name for name in sys.modules if name.split(".")[0] in ("app", "mlx_model", "converters")]
    print(json.dumps(sorted(ours)), file=sys.stderr)

atexit.register(count)
from app.__main__ import main
main()
"""
EDIT = ("edit", str(ROOT / "assets/examples/dog.png"), "-p", "make it night", "--size", "64x64", "--steps", "1")
MOST = {(): 7, EDIT: 56}  # packages too; headers are apart from shards so that the window reads them without MLX


@pytest.mark.first_case
@pytest.mark.parametrize("words", MOST, ids=["help", "edit"])
def test_a_command_loads_few_modules_of_ours(tmp_path, words):
    given = [*words, "-o", str(tmp_path / "out.png")] if words else ["--help"]
    here = {**os.environ, "PYTHONPATH": str(ROOT), "FLUX_LOCAL_HOME": str(tmp_path)}
    program = [sys.executable, "-c", COUNT, *given]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, env=here, timeout=300)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stderr.splitlines()[-1])
    assert len(loaded) <= MOST[words], loaded


def test_what_tests_start_has_a_home_of_the_tests(tmp_path_factory):
    """Also where a test names none."""
    assert tmp_path_factory.getbasetemp() in paths.home().parents
