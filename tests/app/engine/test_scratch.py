"""The folder of a window's pictures: what a killed window left goes with the next start, and nothing else."""

import os
import subprocess
import sys
import tempfile

from app.engine import process


def test_only_what_the_dead_left_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", "pass"]) as ended:
        pass
    left = tmp_path / f"{process.PREFIX}{ended.pid}-a8_x"
    living = tmp_path / f"{process.PREFIX}{os.getppid()}-b"
    odd = [tmp_path / f"{process.PREFIX}{name}" for name in ("1" * 30 + "-c", "notes", f"{ended.pid}")]
    for place in (left, living, *odd):
        place.mkdir()
        (place / "result.png").write_bytes(b"1")
    mine = process.make_scratch_folder()
    assert sorted(tmp_path.iterdir()) == sorted([mine, living, *odd])
    assert all((place / "result.png").exists() for place in (living, *odd))
    assert process.make_scratch_folder().is_dir()
    assert mine.is_dir()
