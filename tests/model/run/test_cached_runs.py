"""A run in a new process finds on the disk what an earlier one computed, and makes the same picture of it."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mlx_model.request import Mask, Reference, Request
from mlx_model.run.pipeline import Pipeline
from mlx_model.store.cache import Cache

MINI = Path(__file__).parents[3] / "assets" / "mini"


def picture(seed):
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return Reference(pixels=coarse.repeat(16, 0).repeat(16, 1))


def edit(*seeds, **options):
    given = tuple(map(picture, seeds))
    return Request("mini", "make it night", steps=1, references=given, **options)


@pytest.fixture
def opened(tmp_path):
    def make(cached=True, dtype="float32", bank=True):
        pipeline = Pipeline.open(MINI, dtype)
        pipeline.spec = dataclasses.replace(pipeline.spec, reference_bank=bank)
        pipeline.cache = Cache(tmp_path / "cache") if cached else None
        return pipeline

    return make


def latents(pipeline, request):
    *_, done = pipeline.run(request)
    return done.latents.tobytes()


def computed(pipeline):
    return [kept.misses for kept in (pipeline.prompts, pipeline.encoded, pipeline.banks)]


@pytest.mark.first_case
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_new_process_computes_nothing_again(opened, dtype):
    first, again, fresh = opened(dtype=dtype), opened(dtype=dtype), opened(cached=False)
    request = edit(1, 2)
    made = latents(first, request)
    assert computed(first) == [2, 2, 1]
    assert latents(again, request) == made
    assert computed(again) == [0, 0, 0]
    assert "text_encoder" not in again._loaded
    if dtype == "float32":
        assert latents(fresh, request) == made
    assert latents(again, dataclasses.replace(request, seed=5, negative="rain")) != made
    assert computed(again) == [1, 0, 0]


def test_what_a_mask_and_strength_start_from_is_encoded_once(opened):
    mask = np.zeros((64, 64), np.float32)
    mask[:32] = 1
    first, again = opened(bank=False), opened(bank=False)
    for request in (edit(1, mask=Mask(pixels=mask)), edit(1, strength=0.5)):
        assert latents(first, request) == latents(again, request)
    assert (first.encoded.misses, again.encoded.misses) == (1, 0)


def test_a_damaged_entry_is_computed_again(opened):
    made = latents(opened(), edit(1))
    for file in opened().cache.folder.iterdir():
        file.write_bytes(file.read_bytes()[:-9])
    again = opened()
    assert latents(again, edit(1)) == made
    assert computed(again) == [2, 1, 1]
    assert computed_after(opened(), edit(1)) == [0, 0, 0]


def computed_after(pipeline, request):
    latents(pipeline, request)
    return computed(pipeline)


def test_nothing_is_written_without_a_cache(opened, tmp_path):
    latents(opened(cached=False), edit(1))
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_is_seen_at_another_size_has_a_bank_of_its_own(opened):
    """Both are cropped to 128 x 128, one of them from a smaller one."""
    one = opened(cached=False)
    pixels = np.random.default_rng(5).integers(0, 256, (158, 158, 3), np.uint8)
    whole = Request("mini", "x", steps=1, width=64, height=64, references=(Reference(pixels=pixels),))
    smaller = dataclasses.replace(whole, reference_size=146 * 146)
    assert latents(one, whole) != latents(one, smaller) == latents(opened(cached=False), smaller)
