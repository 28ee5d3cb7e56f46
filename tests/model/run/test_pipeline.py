"""The pipeline on the built-in model: same request, same bytes; what is kept; masks, noise files, cancelling."""

import dataclasses
import math
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from mlx_model.errors import RequestError
from mlx_model.events import Done, Loaded, Note, Preview, Stage, Step
from mlx_model.request import Mask, Reference, Request
from mlx_model.run import pipeline as pipelines
from mlx_model.run import sampler
from mlx_model.run.pipeline import Pipeline

MINI = Path(__file__).parents[3] / "assets" / "mini"
EXAMPLES = MINI.with_name("examples")
STEPS = 2


@pytest.fixture(scope="module")
def pipeline():
    return Pipeline.open(MINI, "float32")


def picture(seed, size=(64, 64)):
    coarse = np.random.default_rng(seed).integers(0, 256, (size[0] // 16, size[1] // 16, 3), np.uint8)
    return Reference(pixels=coarse.repeat(16, 0).repeat(16, 1))


def request(*references, **options):
    """Small: what these tests see doesn't depend on the size."""
    options = ({} if references else {"width": 64, "height": 64}) | options
    return Request("mini", options.pop("prompt", "make it night"), steps=STEPS, references=references, **options)


def done(pipeline, *references, **options):
    *_, last = pipeline.run(request(*references, **options))
    assert isinstance(last, Done)
    return last


def test_events_come_in_order(pipeline):
    events = list(pipeline.run(request(picture(1)), previews=math.inf))
    stages = [event.name for event in events if isinstance(event, Stage)]
    assert stages == ["text", "references", "denoise", "decode"]
    assert [event.step for event in events if isinstance(event, Step)] == [1, 2]
    assert [event.pixels.shape for event in events if isinstance(event, Preview)] == [(64, 64, 3)]
    assert sum(isinstance(event, Loaded) for event in events) == 1


def slow_steps(monkeypatch, seconds):
    """As of a large model."""

    def denoise(*given):
        for progress in sampler.denoise(*given):
            time.sleep(seconds)
            yield progress

    monkeypatch.setattr(pipelines, "denoise", denoise)


def count_previews(pipeline, share, cheap=True):
    pipeline.spec = dataclasses.replace(pipeline.spec, cheap_decode=cheap)
    asked = Request("mini", "make it night", 64, 64, steps=6)
    return sum(isinstance(event, Preview) for event in pipeline.run(asked, previews=share))


@pytest.mark.sweep
def test_previews_take_no_more_than_their_share_of_the_time(monkeypatch):
    """Before one was made its cost is guessed; a full one that would take too long is never begun."""
    pipeline = Pipeline.open(MINI, "float32")
    assert count_previews(pipeline, math.inf) == 5
    assert count_previews(pipeline, 1e-9) == 0
    assert count_previews(Pipeline.open(MINI, "float32"), 0.03) == 0
    slow_steps(monkeypatch, 0.1)
    pipeline = Pipeline.open(MINI, "float32")
    monkeypatch.setattr(pipeline, "show", lambda clean: time.sleep(0.004) or np.zeros((64, 64, 3), np.uint8))
    shown = count_previews(pipeline, 0.03, cheap=False)
    assert 1 <= shown <= 5
    assert shown * 0.004 <= 0.03 * 6 * (0.1 + 0.2)  # a step of the model itself is far below 0.2 s


@pytest.mark.first_case
@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_same_request_gives_the_same_bytes(pipeline, count):
    given = [picture(n) for n in range(count)]
    a, b = done(pipeline, *given, seed=3), done(Pipeline.open(MINI, "float32"), *given, seed=3)
    assert a.pixels.tobytes() == b.pixels.tobytes()
    assert a.latents.tobytes() == b.latents.tobytes()
    assert done(pipeline, *given, seed=4).pixels.tobytes() != a.pixels.tobytes()


def test_nothing_is_computed_twice(pipeline):
    """A second edit with the same words and references encodes neither again."""
    done(pipeline, picture(1), picture(2))
    before = pipeline.prompts.misses, pipeline.encoded.misses
    done(pipeline, picture(1), picture(2), seed=9)
    assert (pipeline.prompts.misses, pipeline.encoded.misses) == before
    done(pipeline, picture(1), picture(3), prompt="make it day again")
    assert (pipeline.prompts.misses, pipeline.encoded.misses) == (before[0] + 1, before[1] + 1)


def test_order_of_references_matters(pipeline):
    a, b = done(pipeline, picture(1), picture(2)), done(pipeline, picture(2), picture(1))
    assert a.latents.tobytes() != b.latents.tobytes()


def test_a_mask_keeps_the_rest_to_the_pixel(pipeline):
    mask = np.zeros((64, 64), np.float32)
    mask[:, 32:] = 1
    given = picture(5)
    result = done(pipeline, given, mask=Mask(pixels=mask)).pixels
    assert np.array_equal(result[:, :31], given.pixels[:, :31])
    assert not np.array_equal(result[:, 33:], given.pixels[:, 33:])


def test_a_mask_on_a_picture_of_odd_size_keeps_the_rest_to_the_pixel(pipeline):
    """The grid of tokens is larger than the picture, which stands in its middle."""
    pixels = picture(5, (128, 128)).pixels[:101, :119]
    mask = np.zeros((101, 119), np.float32)
    mask[:, 64:] = 1
    result = done(pipeline, Reference(pixels=pixels), mask=Mask(pixels=mask)).pixels
    assert result.shape == pixels.shape
    assert np.array_equal(result[:, :64], pixels[:, :64])
    assert np.abs(result[:, 64:].astype(int) - pixels[:, 64:]).mean() > 1


@pytest.mark.parametrize("margins", [(16, 0, 0, 0), (0, 5, 9, 3), (31, 17, 1, 0)])
def test_outpainting_keeps_the_source_to_the_pixel(pipeline, margins):
    left, top, right, bottom = margins
    given = picture(6, (96, 80))
    result = done(pipeline, given, outpaint=margins).pixels
    assert result.shape == (96 + top + bottom, 80 + left + right, 3)
    assert np.array_equal(result[top : top + 96, left : left + 80], given.pixels)
    again = done(pipeline, given, outpaint=margins, seed=8).pixels
    ground = np.ones(result.shape[:2], bool)
    ground[top : top + 96, left : left + 80] = False
    assert np.abs(again[ground].astype(int) - result[ground]).mean() > 1  # new ground is made, not copied


def test_outpainting_and_a_mask_together(pipeline):
    given, mask = picture(6, (96, 80)), np.zeros((96, 80), np.float32)
    mask[32:64, 32:64] = 1
    result = done(pipeline, given, outpaint=(16, 0, 0, 0), mask=Mask(pixels=mask)).pixels[:, 16:]
    assert np.array_equal(result[mask == 0], given.pixels[mask == 0])
    assert not np.array_equal(result[mask == 1], given.pixels[mask == 1])


def test_strength_keeps_more_of_the_picture(pipeline):
    """Of a picture that the model knows, at its size: noise is nothing that it would keep."""
    given = Reference(pixels=np.asarray(Image.open(EXAMPLES / "dog.png").convert("RGB")))
    little = done(pipeline, given, strength=0.5).latents
    much = done(pipeline, given, strength=1.0).latents
    source = np.array(pipeline.encode_pixels(given.pixels)[0])
    assert np.abs(little - source).mean() < np.abs(much - source).mean()


def test_a_large_reference_is_resized_and_said_so(pipeline):
    events = list(pipeline.run(request(picture(7, (256, 384)))))
    notes = [event.text for event in events if isinstance(event, Note)]
    assert len(notes) == 1
    assert "384x256" in notes[0]
    assert events[-1].pixels.shape == (192, 288, 3)


def test_noise_file(pipeline, tmp_path):
    noise = np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)
    save_file({"noise": noise}, tmp_path / "noise.safetensors")
    save_file({"noise": noise[:3]}, tmp_path / "short.safetensors")
    save_file({"other": noise}, tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("no")
    a, b = (done(pipeline, noise=str(tmp_path / "noise.safetensors"), seed=n) for n in (1, 2))
    assert a.pixels.tobytes() == b.pixels.tobytes()
    for name in ("short", "other", "text", "missing"):
        with pytest.raises(RequestError, match=name):
            done(pipeline, noise=str(tmp_path / f"{name}.safetensors"))


def test_closing_cancels(pipeline):
    run = pipeline.run(request())
    for event in run:
        if isinstance(event, Step):
            break
    run.close()
    assert list(run) == []
    assert done(pipeline).pixels.shape == (64, 64, 3)  # and the next run is whole


@pytest.mark.parametrize("dtype", ["int8", "float16"])
def test_a_dtype_that_the_model_can_not_be_run_with(dtype):
    with pytest.raises(RequestError, match=dtype) as caught:
        Pipeline.open(MINI, dtype)
    assert "Choose one of bfloat16, float32" in str(caught.value.hint)


def test_the_built_in_model_edits():
    """It turns day into night and leaves the scene where it is: darker, and nearer to the truth than the input is."""
    from PIL import Image

    source = np.asarray(Image.open(MINI.parent / "examples" / "dog.png").convert("RGB"))
    *_, last = Pipeline.open(MINI).run(Request("mini", "make it night", references=(Reference(pixels=source),), seed=1))
    assert last.pixels[:120].mean() < 0.5 * source[:120].mean()
    grey, was = last.pixels.mean(2).ravel(), source.mean(2).ravel()
    assert np.corrcoef(grey[256 * 180 :], was[256 * 180 :])[0, 1] > 0.5  # the dog is still there
