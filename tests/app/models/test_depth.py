"""Depth maps of photos: which pictures get one, what is told, what is refused."""

import numpy as np
import pytest

from app.models import depth, helpers
from mlx_model.errors import Advice, LayoutError, RequestError
from mlx_model.events import Step
from mlx_model.request import Reference, Request, check
from mlx_model.specs import SPECS
from tests.app.models.made_models import make_depth

DEPTH, KLEIN, SCHNELL = (SPECS[name] for name in ("flux1-depth-dev", "flux2-klein-4b", "flux1-schnell"))
PHOTO = np.random.default_rng(4).integers(0, 255, (96, 128, 3)).astype(np.uint8)
GREY = np.repeat(PHOTO[..., :1], 3, axis=-1)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FLUX_LOCAL_HOME", str(tmp_path / "home"))


@pytest.fixture
def network(tmp_path, monkeypatch):
    helpers.install(helpers.DEPTH, make_depth(tmp_path / "given", monkeypatch))


def prepare(spec, *references):
    notes = []
    request = depth.with_maps(Request(spec.name, "a house", references=references), spec, notes)
    return request.references, notes, request


def test_flux1_depth_gets_a_map_of_a_photo_and_is_told(network):
    ((made,), (note,), request) = prepare(DEPTH, Reference("/photos/house.jpg", pixels=PHOTO))
    assert made.pixels.shape == PHOTO.shape
    assert np.ptp(made.pixels, axis=2).max() == 0
    assert made.pixels.std() > 10, "it says something"
    assert (made.path, note.split(" is in colour")[0]) == ("/photos/house.jpg", "house.jpg")
    assert "Depth Anything V2 Small" in note
    assert check(request, DEPTH).prompt == "a house"


def test_what_may_be_a_map_already_stays(network):
    ((made,), notes, _) = prepare(DEPTH, Reference(pixels=GREY))
    assert made.pixels is GREY
    assert notes == []


def test_the_role_depth_counts_for_models_that_follow_it_and_no_other_role_does(network):
    given = Reference("a.png", role="depth", pixels=PHOTO), Reference("b.png", role="place", pixels=PHOTO)
    ((first, second), notes, _) = prepare(KLEIN, *given)
    assert np.ptp(first.pixels, axis=2).max() == 0
    assert second.pixels is PHOTO
    assert len(notes) == 1
    assert prepare(SCHNELL, *given)[1] == []


def test_without_the_network_what_to_do_is_said():
    (references, notes, request) = prepare(DEPTH, Reference(pixels=PHOTO))
    assert (references[0].pixels is PHOTO, notes) == (True, [])
    with pytest.raises(RequestError, match="in colour") as caught:
        check(request, DEPTH)
    assert caught.value.hint == Advice("add_depth")
    (references, (note,), _) = prepare(KLEIN, Reference(role="depth", pixels=PHOTO))
    assert references[0].pixels is PHOTO
    assert "given as it is" in note


def test_another_file_is_not_installed(tmp_path, monkeypatch):
    given = make_depth(tmp_path / "given", monkeypatch)
    (given / "model.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(LayoutError):
        helpers.install(helpers.DEPTH, given)
    assert not helpers.is_there(helpers.DEPTH)


def test_the_network_is_opened_once_for_all_pictures(network, monkeypatch):
    opened, real = [], helpers.open_net
    monkeypatch.setattr(helpers, "open_net", lambda row: opened.append(row) or real(row))
    maps, given = depth.Maps(), [Reference(f"{name}.png", role="depth", pixels=PHOTO) for name in "ab"]
    for _ in range(2):
        depth.with_maps(Request(KLEIN.name, "a house", references=tuple(given)), KLEIN, [], maps)
    assert len(opened) == 1


def test_a_map_is_made_layer_by_layer_and_ends_after_each(network):
    events = list(helpers.apply(helpers.DEPTH, PHOTO))
    steps = [one for one in events if isinstance(one, Step)]
    assert [one.step for one in steps] == list(range(1, steps[0].total + 1))
    assert steps[0].total == 1 + 4 + 2 * 4 + 3, "patches, layers, each map of the neck twice, convolutions"
    seen = []

    def end():
        seen.append(True)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        depth.with_maps(Request(DEPTH.name, "", references=(Reference(pixels=PHOTO),)), DEPTH, [], depth.Maps(end))
    assert len(seen) == 1
