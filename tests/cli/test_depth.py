"""flux-local depth, models add of what it needs, and a run of FLUX.1 Depth that starts from a photo."""

import json

import numpy as np
import pytest

from app.models import helpers
from app.pictures.images import open_picture, read_request
from mlx_model.helpers import DEPTH, HELPERS
from tests.app.models.made_models import make_depth, make_enlarger
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
    assert "[installed, " in run("models", "list").output.partition(NAME)[2]
    made = json.loads(run("depth", "room.png", "-o", "map.png", "--json").output.splitlines()[-1])["path"]
    pixels, room = open_picture(made), open_picture("room.png")
    assert pixels.shape == room.shape
    assert np.ptp(pixels, axis=2).max() == 0
    run("depth", "room.png", "-o", "map.png")
    assert np.array_equal(open_picture("map-2.png"), pixels), "no file is overwritten"
    run("depth", "room.png", "-o", "map.tga", code=2)
    assert "installed already" in run("models", "add", NAME, code=2).output


@pytest.mark.parametrize("left", [0, 7, 200, -8])
def test_one_that_was_cut_off_is_told_with_its_folder_and_what_to_do(given, left):
    helpers.install(DEPTH, given)
    file = helpers.folder(DEPTH) / helpers.FILE
    file.write_bytes(file.read_bytes()[:left])
    for words in (("depth", "room.png"), ("models", "verify", NAME), ("edit", "room.png", "-p", "x", "-m", MODEL)):
        told = run(*words, code=3).output
        assert f"Depth Anything V2 Small in {helpers.folder(DEPTH)} is damaged" in told
        assert f"flux-local models add {NAME} --force" in told


def test_flux1_depth_starts_from_a_photo_says_so_and_again_does_the_same(given):
    helpers.install(DEPTH, given)
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
    place = str(helpers.folder(DEPTH))
    assert run("models", "path", NAME).output.strip() == place
    assert f"at {place}" in run("models", "info", NAME).output
    assert [one["path"] for one in json.loads(run("models", "info", NAME, "--json").output)["installed"]] == [place]
    assert [one["name"] for one in json.loads(run("models", "list", "--json").output)["helpers"]] == list(HELPERS)
    assert run("models", "verify", NAME).output.strip() == f"{place}: good"
    (helpers.folder(DEPTH) / "model.safetensors").write_bytes(b"cut off")
    run("models", "verify", NAME, code=3)
    run("models", "remove", NAME, "--yes")
    assert thrown == [helpers.folder(DEPTH)]


def test_a_place_without_its_file_is_told(machine, tmp_path):
    assert "There is no model.safetensors" in run("models", "add", NAME, "--from", str(tmp_path), code=3).output
    assert not helpers.is_there(DEPTH)


def test_quick_enlarging_needs_no_model_that_paints_and_keeps_its_request(machine, tmp_path, monkeypatch):
    given = make_enlarger(tmp_path / "given", monkeypatch)
    said = run("enlarge", "room.png", "--quick", "-o", "large.png", code=3).output
    assert "flux-local models add swin2sr-x2" in said
    run("models", "add", "swin2sr-x2", "--from", str(given))
    run("enlarge", "room.png", "--quick", "-o", "large.png")
    large, room = open_picture("large.png"), open_picture("room.png")
    assert large.shape == (2 * room.shape[0], 2 * room.shape[1], 3)
    made = read_request("large.png")
    assert (made.model, made.enlarge, made.size) == ("swin2sr-x2", 2, (large.shape[1], large.shape[0]))
    assert "Leave --prompt out" in run("enlarge", "room.png", "--quick", "-p", "a cat", code=2).output
    assert run("enlarge", "room.png", "--quick", "--by", "4", code=3).output.count("swin2sr-x4")


def test_again_does_the_same_once_more(machine, tmp_path, monkeypatch):
    helpers.install(DEPTH, make_depth(tmp_path / "given", monkeypatch))
    run("depth", "room.png", "-o", "map.png")
    run("edit", "--again", "map.png", "-o", "again.png")
    assert np.array_equal(open_picture("again.png"), open_picture("map.png"))
