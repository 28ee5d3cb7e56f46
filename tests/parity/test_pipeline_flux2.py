"""The assembled pipeline: a tiny random klein saved by diffusers, converted by us, makes the same picture.

Final latents within 1e-4 and pictures within 1/255 of diffusers' Flux2KleinPipeline and its KV variant.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")

from PIL import Image  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402

from converters.convert import convert  # noqa: E402
from mlx_model.events import Done  # noqa: E402
from mlx_model.request import Mask, Reference, Request  # noqa: E402
from mlx_model.run.pipeline import Pipeline  # noqa: E402

from .tiny_klein import LAYERS, tiny_pipeline  # noqa: E402

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

PROMPT, STEPS, CHANNELS = "a red cat; (on) a mat", 4, 16
PICTURES = [(96, 64), (64, 128), (80, 80)]  # width, height; multiples of 16, so that nobody crops


@pytest.fixture(scope="module", params=["klein", "base", "kv"])
def pair(request, tmp_path_factory):
    """(their pipeline, ours, the kind) with the same random weights."""
    place = tmp_path_factory.mktemp(request.param)
    theirs = tiny_pipeline(request.param)
    theirs.save_pretrained(place / "source")
    list(convert(place / "source", place / "folder", bits=32))
    theirs.set_progress_bar_config(disable=True)
    return theirs, Pipeline.open(place / "folder", "float32"), request.param


def pictures(count):
    rng = np.random.default_rng(count)
    small = [rng.integers(0, 256, (h // 8, w // 8, 3), np.uint8) for w, h in PICTURES[:count]]
    return [Image.fromarray(x).resize(size, Image.Resampling.BICUBIC) for x, size in zip(small, PICTURES, strict=False)]


def theirs_on(pipeline, noise, given, width, height, options, **more):
    kept = {}

    def keep(_pipeline, _step, _time, values):
        kept["latents"] = values["latents"]
        return values

    grid = torch.from_numpy(noise.T.reshape(1, CHANNELS, height // 16, width // 16).copy())
    image = pipeline(
        image=more.pop("image", given or None),
        prompt=PROMPT,
        width=width,
        height=height,
        num_inference_steps=STEPS,
        latents=grid,
        text_encoder_out_layers=LAYERS,
        callback_on_step_end=keep,
        **options,
        **more,
    ).images[0]
    return kept["latents"][0].numpy(), np.asarray(image)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_same_noise_same_picture(pair, count, tmp_path):
    theirs, ours, kind = pair
    options = {"guidance_scale": 4.0 if kind == "base" else 1.0} if kind != "kv" else {}
    compare(theirs, ours, pictures(count), tmp_path, options, {})


def compare(theirs, ours, given, tmp_path, their_options, our_options):
    """One run of both on the same noise."""
    width, height = 112, 64
    noise = np.random.default_rng(7).standard_normal((width * height // 256, CHANNELS)).astype(np.float32)
    save_file({"noise": noise}, tmp_path / "noise.safetensors")
    references = tuple(Reference(pixels=np.asarray(picture)) for picture in given)
    our_options = {**our_options, "references": references, "noise": str(tmp_path / "noise.safetensors")}
    request = Request(ours.spec.name, PROMPT, width, height, STEPS, **our_options)
    done = next(event for event in ours.run(request) if isinstance(event, Done))
    latents, pixels = theirs_on(theirs, noise, given, width, height, their_options)
    difference = np.abs(done.latents - latents).max()
    print(f"{ours.spec.name}, {len(given)} references: latents differ by {difference:.1e}")
    assert difference < 1e-4
    assert np.abs(done.pixels.astype(int) - pixels.astype(int)).max() <= 1
    assert latents.std() > 0.3  # and it is a picture, not a constant


def test_the_same_under_a_mask(pair, tmp_path):
    """Of whole tokens: theirs looks at the middle of each token, ours at all its pixels."""
    theirs, ours, kind = pair
    if kind == "kv":
        pytest.skip("they have no inpainting pipeline for it")
    width, height = 112, 64
    noise = np.random.default_rng(7).standard_normal((width * height // 256, CHANNELS)).astype(np.float32)
    save_file({"noise": noise}, tmp_path / "noise.safetensors")
    picture = Image.fromarray(np.random.default_rng(3).integers(0, 256, (8, 14, 3), np.uint8)).resize((width, height))
    mask = np.zeros((height, width), np.float32)
    mask[16:48, 32:80] = 1
    inpaint = diffusers.Flux2KleinInpaintPipeline(**theirs.components, is_distilled=kind == "klein")
    inpaint.set_progress_bar_config(disable=True)
    given = {"image": picture, "mask_image": Image.fromarray((255 * mask).astype(np.uint8)), "strength": 1.0}
    options = {"guidance_scale": 4.0 if kind == "base" else 1.0}
    latents, pixels = theirs_on(inpaint, noise, [], width, height, options, **given)
    request = Request(
        ours.spec.name,
        PROMPT,
        steps=STEPS,
        references=(Reference(pixels=np.asarray(picture)),),
        mask=Mask(pixels=mask),
        noise=str(tmp_path / "noise.safetensors"),
    )
    done = next(event for event in ours.run(request) if isinstance(event, Done))
    difference = np.abs(done.latents - latents).max()
    print(f"{kind}, mask: latents differ by {difference:.1e}")
    assert difference < 1e-4
    assert (mask[..., None] * np.abs(done.pixels.astype(int) - pixels)).max() <= 1
    assert np.array_equal(done.pixels[mask == 0], np.asarray(picture)[mask == 0])
