"""Masked edits and image-to-image of FLUX.2 against diffusers' Flux2KleinInpaintPipeline on the same noise."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from PIL import Image  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402

from converters.convert import convert  # noqa: E402
from mlx_model.events import Done  # noqa: E402
from mlx_model.request import Mask, Reference, Request  # noqa: E402
from mlx_model.run.pipeline import Pipeline  # noqa: E402

from .test_pipeline_flux2 import CHANNELS, PROMPT, pictures  # noqa: E402
from .tiny_klein import LAYERS, tiny_pipeline  # noqa: E402

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]
STEPS, SEED = 5, 3


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    place, theirs = tmp_path_factory.mktemp("inpaint"), tiny_pipeline("klein")
    theirs.save_pretrained(place / "source")
    list(convert(place / "source", place / "folder", bits=32))
    inpaint = diffusers.Flux2KleinInpaintPipeline(**theirs.components, is_distilled=True)
    inpaint.set_progress_bar_config(disable=True)
    return inpaint, Pipeline.open(place / "folder", "float32")


def whole(picture):
    return np.ones((picture.height, picture.width), np.float32)


def left_tokens(picture):
    """The first two columns of tokens. What half a token in a mask is, diffusers and we decide differently."""
    mask = np.zeros((picture.height, picture.width), np.float32)
    mask[:, :32] = 1
    return mask


@pytest.mark.parametrize("strength", [0.3, 0.5, 0.6, 0.99])
@pytest.mark.parametrize("area", [left_tokens, whole])
@pytest.mark.parametrize("count", [1, 2])
def test_same_noise_same_picture(pair, strength, area, count, tmp_path):
    """`whole`: image-to-image. The second picture is a reference."""
    theirs, ours = pair
    picture, *others = pictures(count)
    mask = area(picture)
    shape = (1, CHANNELS, picture.height // 16, picture.width // 16)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(SEED))
    save_file({"noise": noise[0].flatten(1).T.contiguous().numpy()}, tmp_path / "noise.safetensors")
    latents, expected = theirs_on(theirs, picture, mask, others, strength)
    references = tuple(Reference(pixels=np.asarray(one)) for one in (picture, *others))
    options = {"mask": Mask(pixels=mask), "noise": str(tmp_path / "noise.safetensors"), "references": references}
    request = Request(ours.spec.name, PROMPT, steps=STEPS, strength=strength, **options)
    done = next(event for event in ours.run(request) if isinstance(event, Done))
    difference = np.abs(done.latents - latents).max()
    print(f"{area.__name__}, strength {strength}, {count} pictures: latents differ by {difference:.1e}")
    assert difference < 1e-4
    inside = mask == 1
    assert np.abs(done.pixels.astype(int) - expected.astype(int))[inside].max() <= 1
    assert np.array_equal(done.pixels[~inside], np.asarray(picture)[~inside])


def theirs_on(pipeline, picture, mask, others, strength):
    kept = {}

    def keep(_pipeline, _step, _time, values):
        kept["latents"] = values["latents"]
        return values

    image = pipeline(
        prompt=PROMPT,
        image=picture,
        mask_image=Image.fromarray((255 * mask).astype(np.uint8)),
        image_reference=others or None,
        strength=strength,
        num_inference_steps=STEPS,
        guidance_scale=1.0,
        generator=torch.Generator().manual_seed(SEED),
        text_encoder_out_layers=LAYERS,
        callback_on_step_end=keep,
    ).images[0]
    return kept["latents"][0].numpy(), np.asarray(image)
