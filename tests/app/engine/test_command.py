"""How the program starts itself again."""

import os
import subprocess
import sys
from pathlib import Path

from app.engine import protocol


def test_it_is_this_program_wherever_the_person_stands(tmp_path):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__main__.py").write_text("print('not ours')")
    done = subprocess.run(
        protocol.command_line("models", "path", "--help"),
        cwd=tmp_path,
        env=protocol.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "The folder of a model" in done.stdout


def test_a_given_path_is_kept(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/given")
    here = str(Path(protocol.__file__).parents[2])
    assert protocol.environment()["PYTHONPATH"] == here + os.pathsep + "/given"


def test_frozen_the_command_line_is_a_program_beside_the_window_s(monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/Applications/Flux Local.app/Contents/MacOS/Flux Local")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert protocol.command_line("worker") == ["/Applications/Flux Local.app/Contents/MacOS/flux-local", "worker"]
    assert "PYTHONPATH" not in protocol.environment()
