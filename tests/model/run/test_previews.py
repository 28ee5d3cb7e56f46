"""Step previews: of the estimate and never of the noisy latents; by the tiny autoencoder, or a fitted linear map."""

import dataclasses
import math
import shutil
import threading
import time
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten
from PIL import Image

from mlx_model.events import Done, Preview, Step
from mlx_model.geometry import Size
from mlx_model.nets import tiny_autoencoder
from mlx_model.nets.autoencoder import pack, unpack
from mlx_model.request import Mask, Reference, Request
from mlx_model.run import pictures, sampler
from mlx_model.run import pipeline as pipelines
from mlx_model.run.pictures import centre, to_pixels, to_signed
from mlx_model.run.pipeline import Pipeline
from mlx_model.store import folder, weights
from tests.model.run.test_pipeline import MINI, picture

EXAMPLES = sorted((MINI.parent / "examples").glob("*.png"))


@pytest.fixture(scope="module")
def full():
    return Pipeline.open(MINI, "float32")


@pytest.fixture(scope="module")
def linear():
    return without_cheap_decode(Pipeline.open(MINI, "float32"))


def without_cheap_decode(pipeline):
    """As a large model is."""
    pipeline.spec = dataclasses.replace(pipeline.spec, cheap_decode=False)
    return pipeline


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The built-in model with a tiny autoencoder, untrained, beside it."""
    place, was = tmp_path_factory.mktemp("model") / "mini", folder.open_folder(MINI)
    shutil.copytree(MINI, place)
    params = tiny_autoencoder.Params(was.components["autoencoder"].params["z_channels"], True)
    arrays = dict(tree_flatten(weights.build("tiny_autoencoder", "tiny_autoencoder", params).parameters()))
    saved = weights.save_component(place, "tiny_autoencoder", "tiny_autoencoder", params, arrays)
    parts = {role: dataclasses.asdict(part) for role, part in was.components.items()} | {"tiny_autoencoder": saved}
    settings = {"source": {}, "licence": "x", "plan": "x", "dtype": "float32"}
    folder.write_manifest(place, "mini", parts, was.tokenizer, **settings)
    return without_cheap_decode(Pipeline.open(place, "float32"))


def ran(pipeline, monkeypatch, **options):
    """Previews of a run, and what the sampler had at each step."""
    steps = []

    def recorded(*given):
        for progress in sampler.denoise(*given):
            steps.append(progress)
            yield progress

    monkeypatch.setattr(pipelines, "denoise", recorded)
    request = Request("mini", "make it night", steps=options.pop("steps", 3), seed=2, **options)
    events = list(pipeline.run(request, previews=math.inf))
    return [event.pixels for event in events if isinstance(event, Preview)], steps, events[-1].pixels


def grid_of(latents):
    return latents.reshape(1, 8, 8, -1)


@pytest.mark.sweep
def test_a_full_decode_shows_the_estimate(full, monkeypatch):
    shown, steps, _ = ran(full, monkeypatch)
    assert len(shown) == 2
    for pixels, progress in zip(shown, steps, strict=False):
        assert np.array_equal(pixels, to_pixels(full.autoencoder.decode(grid_of(progress.clean)))[0])
        assert not np.array_equal(pixels, to_pixels(full.autoencoder.decode(grid_of(progress.latents)))[0])


@pytest.mark.sweep
def test_the_tiny_autoencoder_shows_the_estimate(tiny, monkeypatch):
    shown, steps, _ = ran(tiny, monkeypatch)
    network = tiny.component("tiny_autoencoder")
    assert shown
    for pixels, progress in zip(shown, steps, strict=False):
        estimate, noisy = (to_pixels(network.decode(grid_of(x)))[0] for x in (progress.clean, progress.latents))
        assert np.array_equal(pixels, centre(estimate, Size(256, 256)))  # it sees no pixels as channels
        assert not np.array_equal(pixels, centre(noisy, Size(256, 256)))


@pytest.mark.sweep
@pytest.mark.parametrize("kind", ["linear", "tiny"])
def test_no_full_decode_before_the_end(kind, monkeypatch, request):
    """On a large model each would cost as much as a step."""
    pipeline, counted = request.getfixturevalue(kind), []
    decode = pipeline.autoencoder.decode
    monkeypatch.setattr(type(pipeline.autoencoder), "decode", lambda self, x: counted.append(1) or decode(x))
    shown, _, _ = ran(pipeline, monkeypatch)
    assert len(shown) == 2
    assert len(counted) == 1


@pytest.mark.sweep
def test_previews_without_an_own_decode_come_nearer_to_the_result(linear, monkeypatch):
    """All show what comes better than a grey area does; the estimates that they show come nearer step by step."""
    dog = Reference(pixels=np.asarray(Image.open(MINI.parent / "examples" / "dog.png").convert("RGB")))
    shown, steps, result = ran(linear, monkeypatch, references=(dog,), steps=6)
    assert {pixels.shape for pixels in shown} == {(256, 256, 3)}
    errors = [np.square(small(pixels) - small(result)).mean() for pixels in shown]
    flat = small(result).var(axis=(0, 1)).mean()
    assert max(errors) < flat
    ahead = [np.abs(np.array(one.clean - steps[-1].latents)).mean() for one in steps]
    assert ahead[-2] < ahead[0]


def small(pixels):
    return pixels.reshape(16, 16, 16, 16, 3).mean((1, 3))


def test_the_fitted_colours_are_those_of_pictures_they_were_not_fitted_on(linear):
    """Not much worse than the best linear map there is for these very pictures: a quarter to a half, measured."""
    shown = [np.asarray(Image.open(path).convert("RGB").resize((256, 256))) for path in EXAMPLES]
    encoded = [linear.autoencoder.encode(to_signed(pixels[None])) for pixels in shown]
    rows = np.concatenate([np.array(unpack(latents)).reshape(-1, 16) for latents in encoded])
    rows = np.concatenate([rows, np.ones((len(rows), 1))], 1)
    truth = np.concatenate([small(pixels).reshape(-1, 3) for pixels in shown])
    best = truth - rows @ np.linalg.lstsq(rows, truth, rcond=None)[0]
    ours = truth - np.concatenate([small(linear.show(latents)).reshape(-1, 3) for latents in encoded])
    assert np.square(ours).mean() ** 0.5 < 1.6 * np.square(best).mean() ** 0.5


def test_outside_a_mask_a_preview_shows_the_picture_itself(linear, monkeypatch):
    mask = np.zeros((256, 256), np.float32)
    mask[:, 128:] = 1
    given = picture(5, (256, 256))
    shown, _, _ = ran(linear, monkeypatch, references=(given,), mask=Mask(pixels=mask))
    assert all(np.array_equal(pixels[:, :127], given.pixels[:, :127]) for pixels in shown)
    assert not np.array_equal(shown[0][:, 129:], given.pixels[:, 129:])


def test_any_autoencoder_can_be_fitted():
    """Latents that are the colours themselves, mixed: the map undoes the mixing."""
    mix = mx.array(np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32))

    class Mixer:
        def encode(self, images):
            b, h, w, _ = images.shape
            return pack(images.reshape(b, h // 8, 8, w // 8, 8, 3).mean((2, 4)) @ mix + 0.5)

    fitted = pictures.fit_colours(Mixer())
    exact = np.linalg.inv(np.array(mix))
    assert np.abs(np.array(fitted[:-1]) - exact).max() < 0.05 * np.abs(exact).max()


def test_a_folder_s_tiny_autoencoder_is_optional(tiny):
    assert Path(tiny.folder.path / "tiny_autoencoder").is_dir()
    assert "tiny_autoencoder" not in folder.open_folder(MINI).components


# ---- drawn by another engine


@pytest.fixture
def beside(full, monkeypatch):
    """The built-in model with an engine that draws what `draw` gives, and the threads in which it was asked."""
    threads = []

    def use(draw):
        def asked(latents):
            threads.append(threading.current_thread())
            return draw(latents)

        monkeypatch.setattr(full, "draw_beside", asked)
        return full, threads

    return use


def wait_for(pipeline):
    """A run whose steps take long enough for the engine to have finished."""
    request = Request("mini", "make it night", steps=4, seed=2)
    for event in pipeline.run(request, previews=math.inf):
        if isinstance(event, Step):
            time.sleep(0.3)
        yield event


def test_another_engine_draws_beside_the_next_step(beside, monkeypatch):
    pipeline, threads = beside(lambda latents: np.full((256, 256, 3), latents.shape[1], np.uint8))
    monkeypatch.setattr(pipeline, "show", None)  # MLX draws nothing
    events = list(wait_for(pipeline))
    previews = [event for event in events if isinstance(event, Preview)]
    assert [event.step for event in previews] == [1, 2]  # what the third step began nobody waits for
    assert all((event.pixels == 8).all() for event in previews)
    assert threading.main_thread() not in threads


@pytest.mark.sweep
def test_a_size_that_the_engine_does_not_draw_is_drawn_by_mlx(beside):
    pipeline, threads = beside(lambda latents: None)
    previews = [event for event in wait_for(pipeline) if isinstance(event, Preview)]
    assert len(threads) == 1
    assert [event.step for event in previews] == [2, 3]
    assert previews[0].pixels.std() > 5


@pytest.mark.sweep
def test_an_engine_that_fails_is_told_in_the_log_and_mlx_draws(beside, caplog):
    def fail(latents):
        raise RuntimeError("no such compute unit")

    pipeline, threads = beside(fail)
    assert sum(isinstance(event, Preview) for event in wait_for(pipeline)) == 2
    assert len(threads) == 1
    assert "no such compute unit" in caplog.text


def test_a_run_does_not_wait_for_a_slow_engine(beside):
    release = threading.Event()
    pipeline, threads = beside(lambda latents: release.wait(60) and None)
    try:
        events = list(pipeline.run(Request("mini", "make it night", steps=4, seed=2), previews=math.inf))
    finally:
        release.set()
    assert isinstance(events[-1], Done)
    assert len(threads) == 1
    assert not any(isinstance(event, Preview) for event in events)


@pytest.mark.sweep
def test_what_another_engine_draws_keeps_the_picture_outside_a_mask(beside):
    pipeline, _ = beside(lambda latents: np.zeros((256, 256, 3), np.uint8))
    mask = np.zeros((256, 256), np.float32)
    mask[:128] = 1
    given = picture(1, (256, 256))
    request = Request("mini", "make it night", 256, 256, steps=3, seed=2, references=(given,), mask=Mask(pixels=mask))
    shown = []
    for event in pipeline.run(request, previews=math.inf):
        time.sleep(0.3 if isinstance(event, Step) else 0)
        shown += [event.pixels] if isinstance(event, Preview) else []
    assert (shown[0][160:] == given.pixels[160:]).all()
    assert (shown[0][:96] == 0).all()
