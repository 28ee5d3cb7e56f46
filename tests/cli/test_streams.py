"""Output that can't be written, closed streams, a working folder that is gone: exit codes of real processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.engine import protocol

FLUX_LOCAL = f"{sys.executable} -P -m app"
MINI = Path(__file__).parents[2] / "assets" / "mini"
CASES = {
    "closed stdout": ("models list >&-", 0),
    "closed stderr": ("edit gone.png -p x 2>&-", 2),
    "closed stdout, JSON": ("models list --json >&-", 0),
    "nobody reads": ("models list | true", 130),
    "nobody reads the help": ("--help | true", 130),
}
FULL = {
    "full stdout": ("models list >/dev/full", 4),
    "full stdout, JSON": ("models list --json >/dev/full", 4),
    "full stdout, a refusal": ("edit gone.png -p x --json >/dev/full", 2),
    "full stderr": ("edit gone.png -p x 2>/dev/full", 2),
    "full stdout, help": ("--help >/dev/full", 4),
    "full stderr, help": ("--bogus 2>/dev/full", 4),
}


def shell(line):
    script = f"set -o pipefail; {FLUX_LOCAL} {line}"
    return subprocess.run(
        ["bash", "-c", script], env=protocol.environment(), capture_output=True, text=True, timeout=60
    )


@pytest.mark.first_case
@pytest.mark.parametrize("case", [*CASES, *FULL])
def test_output_that_can_not_be_written(case):
    line, code = (CASES | FULL)[case]
    if case in FULL and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    ended = shell(line)
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout


@pytest.mark.first_case
@pytest.mark.parametrize("words", ["", "--json"])
def test_a_terminal_that_can_not_show_the_name(tmp_path, words):
    ended = shell(f"--version; cd {tmp_path} && PYTHONIOENCODING=latin-1 {FLUX_LOCAL} board new 🐦 {words}")
    assert ended.returncode == 0, ended.stderr
    last = ended.stdout.splitlines()[-1]
    assert (json.loads(last)["board"] if words else last) == str(
        tmp_path / ("🐦" if words else r"\U0001f426")
    ) + ".fluxboard"


def test_a_working_folder_that_is_gone(tmp_path):
    (tmp_path / "gone").mkdir()
    ended = shell(f"--version; cd {tmp_path}/gone && rmdir ../gone && {FLUX_LOCAL} generate x -o out.png")
    assert ended.returncode == 2, ended.stderr
    assert "is gone" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.sweep
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("stream", ["2>/dev/full", "2>&-"])
def test_a_run_whose_progress_nobody_can_read_makes_its_picture(tmp_path, stream):
    ended = shell(f"--version; cd {tmp_path} && {FLUX_LOCAL} generate 'a fox' -m {MINI} --steps 1 -o made.png {stream}")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "made.png").is_file()
