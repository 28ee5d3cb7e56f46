"""flux-local train: what it refuses, before anything is made."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.scripted_pipeline import run

MINI = str(Path(__file__).parents[2] / "assets" / "mini")


@pytest.fixture
def pictures(tmp_path):
    data = tmp_path / "set"
    data.mkdir()
    for name in ("a", "b"):
        Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 64, 3)).astype(np.uint8)).save(
            data / f"{name}.png"
        )
        (data / f"{name}.txt").write_text(f"a fox {name}")
    return data


def train(data, out, *more, code=0):
    return run("train", str(data), "-m", MINI, "-o", str(out), "--size", "64", "--rate", "0.001", *more, code=code)


def test_what_is_refused(pictures, tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("mine")
    train(pictures, full, "--steps", "1", code=2)
    assert (full / "thesis.txt").read_text() == "mine"
    train(pictures, tmp_path / "none", "--steps", "1", "--resume", code=2)
    assert not (tmp_path / "none").exists()
    (pictures / "b.txt").unlink()
    assert "b.txt" in train(pictures, tmp_path / "out", "--steps", "1", code=2).output
