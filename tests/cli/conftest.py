"""Each test of the command line has its own home, work folder and scripted model."""

import pytest
from PIL import Image

from app.base import paths
from mlx_model.run import pipeline as real
from tests.cli.scripted_pipeline import BASE, EDITOR, FakePipeline, install


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A home with one model that edits and one base model, a work folder with two pictures, the scripted pipeline."""
    monkeypatch.setenv("FLUX_LOCAL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(paths, "mini", lambda: tmp_path / "no-mini")
    for number, name in enumerate((EDITOR, BASE)):
        install(name, 1000 + number)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    Image.new("RGB", (128, 96), (200, 10, 10)).save("room.png")
    Image.new("RGB", (96, 96), (10, 10, 200)).save("chair.png")
    Image.new("L", (128, 96), 255).save("mask.png")
    monkeypatch.setattr(real, "Pipeline", FakePipeline)
    lists = {name: [] for name in ("opened", "requests", "ahead", "cached")}
    for name, value in {"interrupt": None, "fail": None, "closed": 0, **lists}.items():
        monkeypatch.setattr(FakePipeline, name, value)
    return work
