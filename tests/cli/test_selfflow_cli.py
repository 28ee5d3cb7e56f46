"""Self-Flow from the released form of its checkpoint to a picture, each step the real command."""

import numpy as np
import pytest
from PIL import Image

from app.pictures.images import read_request
from mlx_model.request import Request
from mlx_model.run.pipeline import Pipeline
from tests.cli.test_end_to_end import call
from tests.converters.made_selfflow import checkpoint


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    place = tmp_path_factory.mktemp("selfflow")
    file = checkpoint(place / "source")
    call(place, "convert", file, "-o", place / "model", "--bits", "8")
    return place


def generate(work, *words, code=0):
    return call(work, "generate", "-m", work / "model", "--dtype", "float32", *words, code=code)


def pixels(file) -> np.ndarray:
    return np.array(Image.open(file).convert("RGB")).astype(int)


@pytest.mark.sweep
def test_a_class_becomes_a_picture_and_again(work):
    generate(work, "--class", 207, "--steps", 6, "--seed", 3, "-o", "a.png")
    request = read_request(work / "a.png")
    assert (request.label, request.sampler, request.steps) == (207, "sde", 6)
    assert pixels(work / "a.png").shape == (256, 256, 3)
    call(work, "generate", "--again", "a.png", "--dtype", "float32", "-m", work / "model", "-o", "b.png")
    assert np.array_equal(pixels(work / "a.png"), pixels(work / "b.png"))


@pytest.mark.sweep
def test_samplers_classes_and_guidance_make_a_difference(work):
    made = {}
    settings = {
        "plain": {"label": 207},
        "another class": {"label": 3},
        "even": {"label": 207, "sampler": "ode"},
        "guided": {"label": 207, "sampler": "ode", "guidance": 4},
    }
    pipeline = Pipeline.open(work / "model", "float32")
    for name, words in settings.items():
        *_, last = pipeline.run(Request("selfflow-imagenet", steps=3, seed=1, **words))
        made[name] = last.latents
        assert made[name].shape == (256, 16)
        assert np.isfinite(made[name]).all()
    names = list(made)
    pairs = [(a, b) for a in names for b in names if a < b]
    assert all(np.abs(made[a] - made[b]).max() > 1e-3 for a, b in pairs)


@pytest.mark.first_case
@pytest.mark.parametrize(("words", "said"), [
    ((), "Say what the picture should show"),
    (("a dog",), "takes no words"),
    (("--class", "1000"), "needs a class from 0 to 999"),
    (("--class", "-1"), "needs a class from 0 to 999"),
    (("--class", "1", "--sampler", "euler"), "It has: sde, ode"),
    (("--class", "1", "--negative", "blur"), "takes no words"),
    (("--class", "1", "--size", "512x512"), "is larger than Self-Flow, ImageNet at 256 pixels can make"),
])  # fmt: skip
def test_refusals(work, words, said):
    done = generate(work, *words, "-o", "no.png", code=2)
    assert said in done.stdout + done.stderr
    assert not (work / "no.png").exists()


def test_other_models_have_no_classes(work):
    for words, said in ((("a cat", "--class", "1"), "has no classes"), (("a cat", "--sampler", "sde"), "Leave it out")):
        done = call(work, "generate", "-m", "mini", *words, "-o", "no.png", code=2)
        assert said in done.stdout + done.stderr
