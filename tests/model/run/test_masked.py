"""A region: only what a mask repaints is computed, with a rim; what is kept stays to the pixel."""

import dataclasses

import mlx.core as mx
import numpy as np
import pytest

from mlx_model.errors import RequestError
from mlx_model.events import Note
from mlx_model.nets import flux2
from mlx_model.request import Mask, Reference, Request, check, from_json
from mlx_model.run.masked import limit, widen
from mlx_model.run.pipeline import Pipeline
from mlx_model.specs import SPECS

from .test_pipeline import MINI

PIXELS = np.random.default_rng(1).integers(0, 256, (256, 256, 3), np.uint8)
MASK = np.zeros((256, 256), np.float32)
MASK[:60, :60] = 1
REQUEST = Request("mini", "a fox", steps=2, references=(Reference(pixels=PIXELS),), mask=Mask(pixels=MASK), region=True)


def run(request, **options):
    pipeline = Pipeline.open(MINI, "float32")
    pipeline.low_memory = options.get("low", False)
    events = list(pipeline.run(request))
    return events[-1], [event.text for event in events if isinstance(event, Note)]


@pytest.fixture
def lengths(monkeypatch):
    """How many tokens of the picture each pass has."""
    found, walk = [], flux2.Transformer.walk

    def count(self, latents, *given):
        found.append(latents.shape[1])
        return walk(self, latents, *given)

    monkeypatch.setattr(flux2.Transformer, "walk", count)
    return found


def test_only_the_region_is_computed_and_the_rest_kept_to_the_pixel(lengths):
    done, notes = run(REQUEST)
    assert set(lengths) == {9}  # the mask is 2 x 2 of 8 x 8 tokens, its rim one more
    assert "Region: 14% of the picture is computed, what is under the mask and around it." in notes
    outside = MASK == 0
    assert np.array_equal(done.pixels[outside], PIXELS[outside])
    assert not np.array_equal(done.pixels[~outside], PIXELS[~outside])


def test_none_is_used_unless_it_is_asked_for(lengths):
    _, notes = run(dataclasses.replace(REQUEST, region=False))
    assert set(lengths) == {64}
    assert not any("Region" in note for note in notes)


@pytest.mark.sweep
def test_under_a_mask_of_everything_the_picture_is_the_same():
    everything = dataclasses.replace(REQUEST, mask=Mask(pixels=np.ones_like(MASK)), steps=8)
    exact = run(dataclasses.replace(everything, region=False))[0]
    assert np.array_equal(run(everything)[0].latents, exact.latents)


@pytest.mark.sweep
def test_it_goes_with_a_step_cache_and_with_weights_from_the_disk():
    given = dataclasses.replace(REQUEST, steps=8, step_cache=0.2)
    whole, low = run(given), run(given, low=True)
    assert any("Step cache" in note for note in whole[1])
    assert np.array_equal(whole[0].latents, low[0].latents)


def test_a_rim_goes_around_corners_and_ends_at_the_edge():
    marked = np.zeros((5, 6), bool)
    marked[0, 0] = marked[3, 4] = True
    assert widen(marked, 1).astype(int).tolist() == [
        [1, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [0, 0, 0, 1, 1, 1],
        [0, 0, 0, 1, 1, 1],
        [0, 0, 0, 1, 1, 1],
    ]


def test_tokens_come_back_to_their_places():
    latents = mx.arange(10, dtype=mx.float32).reshape(1, 5, 2)
    made = limit(lambda part, i: 10 * part, np.array([1, 4]))(latents, 0)
    assert made.tolist() == [[[0, 0], [20, 30], [0, 0], [0, 0], [80, 90]]]


def test_it_needs_a_mask_and_a_model_that_sees_the_picture_beside_it():
    with pytest.raises(RequestError, match="no region without a mask"):
        check(dataclasses.replace(REQUEST, mask=None), SPECS["mini"])
    with pytest.raises(RequestError, match="needs the whole picture around the mask"):
        check(dataclasses.replace(REQUEST, model="flux1-fill-dev"), SPECS["flux1-fill-dev"])
    assert from_json(check(REQUEST, SPECS["mini"]).to_json()).region


@pytest.mark.parametrize("name", ["flux1-kontext-dev", "flux2-klein-9b-kv", "flux3-image-klein"])
def test_every_family_that_edits_under_a_mask_takes_it(name):
    assert check(dataclasses.replace(REQUEST, model=name), SPECS[name]).region
