"""The assembled FLUX.3: tiny random models saved by diffusers, converted by us, make the same pictures.

Final latents within 1e-4 and pictures within 1/255 of diffusers' modular pipelines, for the flow map and the base
model with guidance, and 0, 1 and 3 references of sizes that are no multiples of a token's.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers", minversion="0.42")
pytest.importorskip("transformers")

from PIL import Image  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402

from converters.convert import convert  # noqa: E402
from mlx_model.events import Done  # noqa: E402
from mlx_model.request import Mask, Reference, Request  # noqa: E402
from mlx_model.run.pipeline import Pipeline  # noqa: E402

from .tiny_flux3 import LAYERS, save, tiny_parts, tiny_pipeline  # noqa: E402

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

CAPTION = "a red cat <cat_1> on a mat"
BOXES = '[{"id": "cat_1", "bbox": [100, 200, 700, 900], "desc": "a red cat"}]'
STEPS, CHANNELS = 4, 16
PICTURES = [(90, 70), (64, 128), (85, 81)]  # width, height


@pytest.fixture(scope="module", params=["klein", "base"])
def pair(request, tmp_path_factory):
    """(their pipeline, ours, the kind) with the same random weights."""
    place, parts = tmp_path_factory.mktemp(request.param), tiny_parts(request.param)
    list(convert(save(parts, place / "source"), place / "folder", bits=32))
    return tiny_pipeline(request.param, parts), Pipeline.open(place / "folder", "float32"), request.param


def pictures(count):
    rng = np.random.default_rng(count)
    small = [rng.integers(0, 256, (h // 8, w // 8, 3), np.uint8) for w, h in PICTURES[:count]]
    return [Image.fromarray(x).resize(size, Image.Resampling.BICUBIC) for x, size in zip(small, PICTURES, strict=False)]


def theirs_on(pipeline, prompt, noise, given, grid, size, kind):
    """Their final latents (N, C) and picture; `size` (width, height) or None for the pipeline's own choice."""
    options = {"width": size[0], "height": size[1]} if size else {}
    options |= {"image": given} if given else {}
    options |= {"negative_prompt": "(on)"} if kind == "base" else {}
    state = pipeline(
        prompt=prompt,
        num_inference_steps=STEPS,
        latents=torch.from_numpy(noise.T.reshape(1, CHANNELS, *grid).copy()),
        text_encoder_out_layers=LAYERS,
        **options,
    )
    return state.get("latents")[0].numpy().reshape(CHANNELS, -1).T, np.asarray(state.get("images")[0])


def ours_on(pipeline, prompt, noise, given, size, kind, tmp_path):
    save_file({"noise": noise}, tmp_path / "noise.safetensors")
    references = tuple(Reference(pixels=np.asarray(picture)) for picture in given)
    width, height = size or (None, None)
    # diffusers' own default; ours is what BFL's page says
    options = {"negative": "(on)", "guidance": 3.5} if kind == "base" else {}
    options |= {"references": references, "noise": str(tmp_path / "noise.safetensors")}
    request = Request(pipeline.spec.name, prompt, width, height, STEPS, **options)
    return next(event for event in pipeline.run(request) if isinstance(event, Done))


@pytest.mark.parametrize(("count", "size"), [(0, (112, 64)), (1, (112, 64)), (1, None), (3, None)])
def test_same_noise_same_picture(pair, count, size, tmp_path):
    theirs, ours, kind = pair
    given = pictures(count)
    grid = (size[1] // 16, size[0] // 16) if size else {1: (5, 6), 3: (4, 5)}[count]
    noise = np.random.default_rng(7).standard_normal((grid[0] * grid[1], CHANNELS)).astype(np.float32)
    prompt = f"{CAPTION} {BOXES}"
    latents, pixels = theirs_on(theirs, prompt, noise, given, grid, size, kind)
    done = ours_on(ours, f"{CAPTION}{BOXES.replace(', ', ',')}", noise, given, size, kind, tmp_path)
    difference = np.abs(done.latents - latents).max()
    print(
        f"{kind}, {count} references, {pixels.shape}: latents differ by {difference:.1e} of {np.abs(latents).max():.1f}"
    )
    assert difference < 1e-4
    assert done.pixels.shape == pixels.shape
    assert np.abs(done.pixels.astype(int) - pixels.astype(int)).max() <= 1
    assert latents.std() > 0.3  # and it is a picture, not a constant


def test_a_mask_keeps_the_rest_to_the_pixel(pair, tmp_path):
    """diffusers has no such pipeline for FLUX.3; the rule is FLUX.2's."""
    _, ours, _ = pair
    given = np.asarray(Image.fromarray(np.asarray(pictures(1)[0])).resize((80, 64)))
    mask = np.zeros((64, 80), np.float32)
    mask[:, 40:] = 1
    references = (Reference(pixels=given),)
    request = Request(ours.spec.name, "a cat", steps=2, references=references, mask=Mask(pixels=mask))
    pixels = next(event for event in ours.run(request) if isinstance(event, Done)).pixels
    assert np.array_equal(pixels[:, :39], given[:, :39])
    assert not np.array_equal(pixels[:, 41:], given[:, 41:])
