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


def test_what_finds_depth_is_shown_checked_and_removed_like_a_model(given, monkeypatch):
    thrown = []
    monkeypatch.setattr("app.models.library.throw_away", lambda path: thrown.append(path) or path)
    assert "reads 99" in run("models", "add", NAME, "--from", str(given), "--dry-run").output
    assert "not installed" in run("models", "path", NAME, code=3).output
    run("models", "add", NAME, "--from", str(given / "model.safetensors"))
    place = str(depth.folder())
    assert run("models", "path", NAME).output.strip() == place
    assert f"at {place}" in run("models", "info", NAME).output
    assert json.loads(run("models", "info", NAME, "--json").output)["installed"] == [place]
    assert [one["name"] for one in json.loads(run("models", "list", "--json").output)["helpers"]] == [NAME]
    assert run("models", "verify", NAME).output.strip() == f"{place}: good"
    (depth.folder() / "model.safetensors").write_bytes(b"cut off")
    run("models", "verify", NAME, code=3)
    run("models", "remove", NAME, "--yes")
    assert thrown == [depth.folder()]


def test_a_place_without_its_file_is_told(machine, tmp_path):
    assert "There is no model.safetensors" in run("models", "add", NAME, "--from", str(tmp_path), code=3).output
    assert not depth.is_there()
