"""How much of ours a command loads: --help is to be there at once, and a run carries nothing that it does not use."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COUNT = """
import atexit, json, os, sys

def count():
    ours = [m for n, m in sys.modules.items() if n.split(".")[0] in ("app", "mlx_model", "converters")]
    files = [m.__file__ for m in ours if getattr(m, "__file__", None)]
    print(json.dumps(sorted(f for f in files if os.path.getsize(f))), file=sys.stderr)

atexit.register(count)
from app.__main__ import main
main()
"""
EDIT = ("edit", str(ROOT / "assets/examples/dog.png"), "-p", "make it night", "--size", "64x64", "--steps", "1")
# As many as before the modules had rooms: 5 and 49, files without content (__init__.py) apart.
MOST = {(): 5, EDIT: 49}


@pytest.mark.parametrize("words", MOST, ids=["help", "edit"])
def test_a_command_loads_few_modules_of_ours(tmp_path, words):
    given = [*words, "-o", str(tmp_path / "out.png")] if words else ["--help"]
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    program = [sys.executable, "-c", COUNT, *given]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, env=here, timeout=300)
    assert done.returncode == 0, done.stderr
    files = json.loads(done.stderr.splitlines()[-1])
    assert len(files) <= MOST[words], files
