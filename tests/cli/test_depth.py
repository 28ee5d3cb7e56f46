"""flux-local depth, models add of what it needs, and a run of FLUX.1 Depth that starts from a photo."""

import json

import numpy as np
import pytest

from app.models import depth
from app.pictures.images import open_picture
from tests.app.models.made_models import make_depth
from tests.cli.scripted_pipeline import FakePipeline, install, run

NAME, MODEL = "depth-anything-v2-small", "flux1-depth-dev"


@pytest.fixture
def given(machine, tmp_path, monkeypatch):
    install(MODEL, 2000)
    return make_depth(tmp_path / "given", monkeypatch)


def test_a_map_is_made_once_its_network_is_added(given):
    said = run("depth", "room.png", "-o", "map.png", code=3).output
    assert f"flux-local models add {NAME}" in said
    assert "[not installed]" in run("models", "list").output
    run("models", "add", NAME, "--from", str(given))
    assert "[installed]" in run("models", "list").output.partition(NAME)[2]
    made = json.loads(run("depth", "room.png", "-o", "map.png", "--json").output)["path"]
    pixels, room = open_picture(made), open_picture("room.png")
    assert pixels.shape == room.shape
    assert np.ptp(pixels, axis=2).max() == 0
    run("depth", "room.png", "-o", "map.png")
    assert np.array_equal(open_picture("map-2.png"), pixels), "no file is overwritten"
    assert "End it in .png" in run("depth", "room.png", "-o", "map.jpg", code=2).output
    assert "installed already" in run("models", "add", NAME, code=2).output


def test_flux1_depth_starts_from_a_photo_says_so_and_again_does_the_same(given):
    depth.install(given)
    said = run("edit", "room.png", "-p", "a bay", "-m", MODEL, "-o", "bay.png").output
    assert "room.png is in colour: its depth map was made by Depth Anything V2 Small." in said
    first = FakePipeline.requests[-1].references[0].pixels
    assert np.ptp(first, axis=2).max() == 0
    run("edit", "--again", "bay.png", "-o", "again.png")
    assert np.array_equal(FakePipeline.requests[-1].references[0].pixels, first)
