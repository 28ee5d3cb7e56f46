"""The step cache: which passes end early, what they become, and that none does unless it is asked for."""

import dataclasses

import mlx.core as mx
import numpy as np
import pytest

from mlx_model.errors import RequestError
from mlx_model.events import Note
from mlx_model.memory import image_tokens
from mlx_model.nets.ops import Walk, finish
from mlx_model.request import Reference, Request, check, from_json
from mlx_model.run.pipeline import Pipeline
from mlx_model.run.sampler import guide
from mlx_model.run.step_cache import StepCache, measure_change
from mlx_model.specs import SPECS
from mlx_model.store.counting import count_step_cache

from .test_pipeline import MINI

START, CHANGE, OTHERS = (mx.random.normal((1, 6, 4), key=mx.random.key(i)) for i in range(3))
PIXELS = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
REQUEST = Request("mini", "a fox", 64, 64, steps=8, negative="fog", references=(Reference(pixels=PIXELS),))


def walk(first, others=OTHERS, went=None):
    """Two blocks that add `first` and `others`; `went` gets the second one's name when it runs."""

    def run():
        yield START + first
        if went is not None:
            went.append("second")
        yield START + first + others

    return Walk(START, run(), lambda x: 2 * x)


def test_a_pass_that_begins_as_one_before_takes_over_the_rest():
    cache, went = StepCache(0.1), []
    finish(cache.shorten(0, walk(CHANGE, went=went)))
    (made,) = finish(cache.shorten(0, walk(1.05 * CHANGE, 9 * OTHERS, went)))
    assert went == ["second"]
    assert mx.abs(made - 2 * (START + 1.05 * CHANGE + OTHERS)).max().item() < 1e-5
    (made,) = finish(cache.shorten(0, walk(1.2 * CHANGE, 9 * OTHERS, went)))
    assert mx.abs(made - 2 * (START + 1.2 * CHANGE + 9 * OTHERS)).max().item() < 1e-5
    assert (cache.count, cache.reused, len(went)) == (3, 1, 2)
    assert "1 of 3 passes" in cache.tell().text


def test_it_is_compared_with_the_last_whole_pass_so_small_changes_add_up():
    cache = StepCache(0.1)
    for share in (1, 1.06, 1.12):
        finish(cache.shorten(0, walk(share * CHANGE)))
    assert cache.reused == 1


def test_each_prompt_of_a_guided_step_has_a_memory_of_its_own():
    cache, asked = StepCache(0.1), []

    def one(condition, latents, i):
        return walk(condition * CHANGE, condition * OTHERS, asked)

    velocity = guide(one, [1.0, 3.0], 2.0, cache=cache)
    whole, cut = velocity(START, 0), velocity(START, 1)
    assert mx.abs(whole - cut).max().item() < 1e-4
    assert (cache.count, cache.reused, len(asked)) == (4, 2, 2)


@pytest.mark.parametrize("numbers", [mx.zeros((1, 2, 2)), mx.full((1, 2, 2), float("nan"))])
def test_what_can_not_be_compared_is_computed(numbers):
    assert np.isnan(measure_change(numbers, numbers))
    cache = StepCache(1.0)
    for _ in range(2):
        finish(cache.shorten(0, walk(mx.zeros(START.shape) * numbers[0, 0, 0])))
    assert cache.reused == 0


def run(**options):
    pipeline = Pipeline.open(MINI, "float32")
    pipeline.low_memory = options.pop("low", False)
    events = list(pipeline.run(dataclasses.replace(REQUEST, **options)))
    return events[-1], [event.text for event in events if isinstance(event, Note)], pipeline


@pytest.fixture(scope="module")
def exact():
    return run()


def test_none_is_used_unless_it_is_asked_for(exact):
    assert exact[2].step_cache is None
    assert not any("cache" in note for note in exact[1])


@pytest.mark.sweep
def test_where_no_two_passes_are_alike_the_picture_is_the_same(exact):
    done, notes, _ = run(step_cache=1e-6)
    assert np.array_equal(done.latents, exact[0].latents)
    assert "Step cache: 0 of 16 passes through the model ended after the first block." in notes


def test_a_picture_with_guidance_and_a_reference_changes_a_little(exact):
    done, _, pipeline = run(step_cache=0.2)
    assert 0 < pipeline.step_cache.reused < 14
    distance = np.abs(done.pixels.astype(int) - exact[0].pixels.astype(int)).mean()
    other = run(seed=1)[0].pixels.astype(int)
    assert 0 < distance < np.abs(other - exact[0].pixels).mean() / 2


@pytest.mark.sweep
def test_with_weights_that_are_read_from_the_disk_it_is_the_same_picture():
    whole, low = run(step_cache=0.2), run(step_cache=0.2, low=True)
    assert low[2].streamed
    assert np.array_equal(low[0].latents, whole[0].latents)


@pytest.mark.parametrize("threshold", [-0.1, 0.0, 1.01, float("nan"), float("inf")])
def test_what_is_no_threshold_is_refused(threshold):
    with pytest.raises(RequestError, match="step cache"):
        check(dataclasses.replace(REQUEST, step_cache=threshold), SPECS["mini"])


def test_few_steps_have_nothing_to_gain():
    with pytest.raises(RequestError, match="In 4 steps a step cache gains nothing"):
        check(Request("flux2-klein-4b", "a fox", step_cache=0.1), SPECS["flux2-klein-4b"])
    assert check(Request("flux1-dev", "a fox", step_cache=0.1), SPECS["flux1-dev"]).step_cache == 0.1


def test_it_is_in_the_request_that_a_picture_carries():
    assert from_json(dataclasses.replace(REQUEST, step_cache=0.1).to_json()).step_cache == 0.1
    with pytest.raises(RequestError, match="step_cache"):
        from_json(REQUEST.to_json().replace('"step_cache": null', '"step_cache": "much"'))


def test_what_it_holds_is_counted():
    """What is kept, and what that is compared with, of both prompts of a guided step."""
    base = SPECS["flux2-klein-base-4b"]
    tokens = image_tokens(base, base.size)
    assert count_step_cache(base, base.size, 0.1, 2) == 2 * 4 * tokens * 3072 * 2
    assert count_step_cache(base, base.size, None, 2) == 0
