"""FLUX.1 assembled: tiny random models saved by diffusers, converted by us, make the same picture in every way.

Final latents within 1e-4 and pictures within 1/255 of diffusers' pipelines: text alone, Kontext with its resizing and
under a mask, Fill, Canny, Depth and Redux.
"""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")

import mlx.core as mx  # noqa: E402
from diffusers.models.embeddings import get_timestep_embedding  # noqa: E402
from diffusers.pipelines.flux import pipeline_flux_kontext  # noqa: E402
from diffusers.pipelines.flux import pipeline_flux_kontext_inpaint as kontext_inpaint  # noqa: E402
from PIL import Image  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402

from converters.convert import convert  # noqa: E402
from mlx_model.events import Done, Note  # noqa: E402
from mlx_model.geometry import Size  # noqa: E402
from mlx_model.request import Mask, Reference, Request  # noqa: E402
from mlx_model.run import flux1  # noqa: E402
from mlx_model.run.pipeline import Pipeline  # noqa: E402

from .tiny_flux1 import CHANNELS, KINDS, tiny_pipeline, tiny_redux  # noqa: E402

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

PROMPT, STEPS, WIDTH, HEIGHT = "a red cat; (on) a mat", 4, 112, 64
TOKENS = 32  # of text; their prior of Redux has 512 fixed
PREFERRED = (Size(64, 112), Size(80, 80), Size(112, 64))  # for Kontext, in place of the published sizes
NOISE = np.random.default_rng(7).standard_normal((WIDTH * HEIGHT // 256, CHANNELS)).astype(np.float32)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """model -> (their pipeline, ours, their prior of Redux), made when first asked for."""
    made = {}

    def get(model):
        if model not in made:
            place = tmp_path_factory.mktemp(model)
            theirs, prior = tiny_pipeline(model), None
            theirs.save_pretrained(place / "source")
            if "redux" in model:
                prior = tiny_redux(theirs)
                for part in ("image_encoder", "image_embedder"):
                    getattr(prior, part).save_pretrained(place / "source" / part)
            list(convert(place / "source", place / "folder", model, bits=32))
            ours = Pipeline.open(place / "folder", "float32")
            if prior is None:
                ours.spec = dataclasses.replace(ours.spec, max_tokens=TOKENS)
            made[model] = theirs, ours, prior
        return made[model]

    return get


@pytest.fixture
def noise(tmp_path):
    save_file({"noise": NOISE}, tmp_path / "noise.safetensors")
    return str(tmp_path / "noise.safetensors")


def picture(width, height, seed=3):
    small = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def references(*pictures):
    return tuple(Reference(pixels=np.asarray(picture)) for picture in pictures)


def theirs_on(pipeline, model, **options):
    """Their final latents (N, C) and picture."""
    kept = {}

    def keep(_pipeline, _step, _time, values):
        kept["latents"] = values["latents"]
        return values

    usual = {"prompt": PROMPT, "latents": torch.from_numpy(NOISE)[None], "max_sequence_length": TOKENS}
    pixels = pipeline(
        width=WIDTH,
        height=HEIGHT,
        num_inference_steps=STEPS,
        guidance_scale=KINDS[model][2] or 0.0,
        callback_on_step_end=keep,
        **(usual | options),
    ).images[0]
    return kept["latents"][0].numpy(), np.asarray(pixels)


def ours_on(pipeline, noise, **options):
    """Our final latents and picture, and the notes."""
    options = {"prompt": PROMPT, "width": WIDTH, "height": HEIGHT} | options
    events = list(pipeline.run(Request(pipeline.spec.name, steps=STEPS, noise=noise, **options)))
    done = next(event for event in events if isinstance(event, Done))
    return done.latents, done.pixels, [event.text for event in events if isinstance(event, Note)]


def compare(what, made, wanted, mask=1):
    """The pictures are compared where `mask` is 1."""
    difference = np.abs(made[0] - wanted[0]).max()
    print(f"{what}: latents differ by {difference:.1e}")
    assert difference < 1e-4
    assert wanted[0].std() > 0.3  # a picture, not a constant
    assert (mask * np.abs(made[1].astype(int) - wanted[1].astype(int))).max() <= 1


@pytest.mark.parametrize("model", ["flux1-schnell", "flux1-dev", "flux1-krea-dev"])
def test_text_to_image(models, noise, model):
    theirs, ours, _ = models(model)
    wanted = theirs_on(theirs, model)
    made = ours_on(ours, noise)
    compare(model, made, wanted)
    assert made[2] == []


@pytest.fixture
def kontext(models, monkeypatch):
    theirs, ours, _ = models("flux1-kontext-dev")
    for module in (pipeline_flux_kontext, kontext_inpaint):
        monkeypatch.setattr(module, "PREFERRED_KONTEXT_RESOLUTIONS", PREFERRED)
    monkeypatch.setattr(ours, "spec", dataclasses.replace(ours.spec, preferred_sizes=PREFERRED))
    return theirs, ours


@pytest.mark.parametrize("size", [(112, 64), (150, 70), (96, 100), (64, 200)])
def test_kontext(kontext, noise, size):
    """The picture is squeezed to the preferred size nearest in shape."""
    theirs, ours = kontext
    given = picture(*size)
    wanted = theirs_on(theirs, "flux1-kontext-dev", image=given, max_area=WIDTH * HEIGHT)
    made = ours_on(ours, noise, references=references(given))
    compare(f"kontext {size}", made, wanted)
    assert len(made[2]) == (size not in PREFERRED)


def test_kontext_without_a_picture(kontext, noise):
    theirs, ours = kontext
    compare("kontext", ours_on(ours, noise), theirs_on(theirs, "flux1-kontext-dev", max_area=WIDTH * HEIGHT))


def test_kontext_under_a_mask(kontext, noise):
    """On whole latents, since theirs looks at one pixel in eight and ours at all."""
    theirs, ours = kontext
    given, mask = picture(WIDTH, HEIGHT), np.zeros((HEIGHT, WIDTH), np.float32)
    mask[8:48, 24:80] = 1
    inpaint = diffusers.FluxKontextInpaintPipeline(**theirs.components)
    inpaint.set_progress_bar_config(disable=True)
    options = {"image": given, "mask_image": Image.fromarray((255 * mask).astype(np.uint8)), "strength": 1.0}
    rows, columns = HEIGHT // 16, WIDTH // 16  # this pipeline wants its noise unpacked
    grid = NOISE.reshape(1, rows, columns, CHANNELS // 4, 2, 2).transpose(0, 3, 1, 4, 2, 5)
    options["latents"] = torch.from_numpy(grid.reshape(1, CHANNELS // 4, 2 * rows, 2 * columns).copy())
    wanted = theirs_on(inpaint, "flux1-kontext-dev", **options, max_area=WIDTH * HEIGHT)
    made = ours_on(ours, noise, references=references(given), mask=Mask(pixels=mask))
    compare("kontext, mask", made, wanted, mask[..., None])
    assert np.array_equal(made[1][mask == 0], np.asarray(given)[mask == 0])


MASKS = {
    "pixels": (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 7 < 3) & (np.indices((HEIGHT, WIDTH))[1] > 20),
    "whole": np.ones((HEIGHT, WIDTH), bool),
}


@pytest.mark.parametrize("name", MASKS)
def test_fill(models, noise, name):
    theirs, ours, _ = models("flux1-fill-dev")
    given, mask = picture(WIDTH, HEIGHT), MASKS[name].astype(np.float32)
    options = {"image": given, "mask_image": Image.fromarray((255 * mask).astype(np.uint8))}
    wanted = theirs_on(theirs, "flux1-fill-dev", **options)
    made = ours_on(ours, noise, references=references(given), mask=Mask(pixels=mask))
    compare(f"fill, {name}", made, wanted, mask[..., None])
    assert np.array_equal(made[1][mask == 0], np.asarray(given)[mask == 0])


def test_fill_outpaints(models, noise):
    """New ground is a mask around the picture: theirs is given the larger picture with that mask."""
    theirs, ours, _ = models("flux1-fill-dev")
    given, (left, top, right, bottom) = picture(80, 64), (9, 0, 23, 0)
    larger = np.pad(np.asarray(given), ((top, bottom), (left, right), (0, 0)), mode="edge")
    mask = np.ones((HEIGHT, WIDTH), np.float32)
    mask[:, left : WIDTH - right] = 0
    options = {"image": Image.fromarray(larger), "mask_image": Image.fromarray((255 * mask).astype(np.uint8))}
    wanted = theirs_on(theirs, "flux1-fill-dev", **options)
    options = {"outpaint": (left, top, right, bottom), "width": None, "height": None}
    made = ours_on(ours, noise, references=references(given), **options)
    compare("fill, outpainting", made, wanted, mask[..., None])
    assert np.array_equal(made[1][:, left : WIDTH - right], np.asarray(given))


def test_what_is_left_of_the_difference_is_their_table_of_sines(models, noise, monkeypatch):
    """At a guidance of 30 their angles reach 30,000 in float32. With their table in ours little is left."""
    theirs, ours, _ = models("flux1-canny-dev")
    given = picture(WIDTH, HEIGHT)
    wanted = theirs_on(theirs, "flux1-canny-dev", control_image=given)[0]
    plain = ours_on(ours, noise, references=references(given), ready_made=True)[0]

    def table(times):
        scaled = 1000 * torch.tensor(np.asarray(times), dtype=torch.float32)
        return mx.array(get_timestep_embedding(scaled, 256, flip_sin_to_cos=True, downscale_freq_shift=0).numpy())

    monkeypatch.setattr(flux1, "timestep_features", table)
    ours.steering.clear()
    injected = ours_on(ours, noise, references=references(given), ready_made=True)[0]
    differences = [float(np.abs(made - wanted).max()) for made in (plain, injected)]
    print("canny: latents differ by {:.1e}, with their table by {:.1e}".format(*differences))
    assert differences[1] < 1e-5 < differences[0]


@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), (150, 100)])
@pytest.mark.parametrize("model", ["flux1-canny-dev", "flux1-depth-dev"])
def test_control(models, noise, model, size):
    theirs, ours, _ = models(model)
    given = picture(*size).convert("L").convert("RGB")
    wanted = theirs_on(theirs, model, control_image=given)
    made = ours_on(ours, noise, references=references(given), ready_made="canny" in model)
    compare(f"{model} {size}", made, wanted)


def test_edges_of_a_photo(models, noise):
    cv2 = pytest.importorskip("cv2")
    theirs, ours, _ = models("flux1-canny-dev")
    given = picture(WIDTH, HEIGHT)
    edges = cv2.Canny(np.asarray(given), 50, 200)
    assert 0.01 < (edges > 0).mean() < 0.5
    wanted = theirs_on(theirs, "flux1-canny-dev", control_image=Image.fromarray(edges).convert("RGB"))
    compare("edges of a photo", ours_on(ours, noise, references=references(given)), wanted)


@pytest.mark.parametrize("size", [(62, 62), (150, 100)])
@pytest.mark.parametrize("prompt", ["", PROMPT])
def test_redux(models, noise, size, prompt):
    theirs, ours, prior = models("flux1-redux-dev")
    given = picture(*size)
    text = prior(given, prompt=prompt)
    embeds = {"prompt_embeds": text.prompt_embeds, "pooled_prompt_embeds": text.pooled_prompt_embeds}
    wanted = theirs_on(theirs, "flux1-redux-dev", prompt=None, **embeds)
    compare(f"redux {size}", ours_on(ours, noise, references=references(given), prompt=prompt), wanted)
