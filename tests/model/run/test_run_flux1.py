"""FLUX.1 in the pipeline: what each kind of model does with its pictures, on tiny random models."""

import dataclasses
import sys
from functools import partial

import mlx.core as mx
import numpy as np
import pytest
from safetensors.numpy import save_file

from mlx_model import fitting
from mlx_model.errors import Advice, RequestError
from mlx_model.events import Done, Note, Stage
from mlx_model.geometry import Size
from mlx_model.request import Lora, Mask, Reference, Request
from mlx_model.run import pipeline as pipelines
from mlx_model.run.pipeline import Pipeline
from mlx_model.store.weights import open_part
from tests.measuring import held_by_mlx
from tests.model.run.tiny_flux1 import tiny_folder

KONTEXT, FILL, CANNY, DEPTH, REDUX = (f"flux1-{name}-dev" for name in ("kontext", "fill", "canny", "depth", "redux"))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """model -> its pipeline, made when first asked for, with 12 text tokens and small preferred sizes."""
    root, made = tmp_path_factory.mktemp("flux1"), {}

    def get(model):
        if model not in made:
            made[model] = Pipeline.open(tiny_folder(root, model), "float32")
            spec = made[model].spec
            sizes = (Size(64, 96), Size(80, 80), Size(96, 64)) if spec.preferred_sizes else ()
            made[model].spec = dataclasses.replace(spec, max_tokens=12, preferred_sizes=sizes)
        return made[model]

    return get


def picture(seed, width=96, height=64, colour=3):
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 16, width // 16, colour), np.uint8)
    coarse = np.repeat(coarse, 3 // colour, axis=-1)
    return Reference(name=f"picture {seed}", pixels=coarse.repeat(16, 0).repeat(16, 1))


def run(pipeline, *references, prompt="a red cat", **options):
    """The last event and the notes."""
    options = {"width": 96, "height": 64} | options
    events = list(pipeline.run(Request(pipeline.spec.name, prompt, steps=2, references=references, **options)))
    assert isinstance(events[-1], Done)
    return events[-1], [event.text for event in events if isinstance(event, Note)]


def apart(a, b):
    return np.abs(a.latents - b.latents).max()


@pytest.mark.first_case
@pytest.mark.parametrize("model", ["flux1-schnell", "flux1-dev", "flux1-krea-dev"])
def test_words_make_a_difference(models, model):
    pipeline = models(model)
    first, notes = run(pipeline)
    assert first.pixels.shape == (64, 96, 3)
    assert notes == []
    assert apart(first, run(pipeline)[0]) == 0
    assert apart(first, run(pipeline, prompt="a blue cat")[0]) > 1e-3
    guided = pipeline.spec.guidance_kind == "embedded"
    assert (apart(first, run(pipeline, guidance=1.0)[0]) > 1e-3) == guided


def test_a_prompt_that_is_cut_is_said_so(models):
    """12 tokens are read, one of them the end: of 11 words none is lost, of 14 three, which are named."""
    pipeline = models("flux1-dev")
    assert run(pipeline, prompt="red " * 11)[1] == []
    for more, told in (
        ("blue " * 3, "3 words: the last, from “blue” on, are not seen."),
        ("blue", "1 word: the last, “blue”, is not seen."),
    ):
        _, notes = run(pipeline, prompt="red " * 11 + more)
        assert notes == [f"The prompt is too long for FLUX.1 dev by {told}"]


def test_schnell_is_not_shifted_and_dev_is(models):
    for model, middle in (("flux1-schnell", 0.5), ("flux1-dev", None)):
        pipeline = models(model)
        times = pipeline.family.schedule(pipeline, Request(model, "x", steps=2), 4096)
        assert times[1] == (pytest.approx(np.exp(1.15) / (np.exp(1.15) + 1)) if middle is None else middle)


def test_encoders_go_where_memory_is_short(models, monkeypatch):
    pipeline = models("flux1-dev")
    run(pipeline, prompt="blue")
    assert "text_encoder" in pipeline._loaded
    needed, room = fitting.expect(pipeline.folder, pipeline.spec.size, [], 4)
    stay = frozenset({"transformer", "autoencoder"})
    monkeypatch.setattr(pipelines, "expect", lambda *_: (dataclasses.replace(needed, stay=stay), room))
    run(pipeline, prompt="red red")
    assert set(pipeline._loaded) == {"transformer", "autoencoder"}


def test_kontext_uses_its_picture_and_says_how(models):
    pipeline = models(KONTEXT)
    plain, _ = run(pipeline)
    edited, notes = run(pipeline, picture(1))
    assert notes == []
    assert apart(plain, edited) > 1e-3
    _, notes = run(pipeline, picture(1, 160, 96))
    assert notes == ["picture 1: 160x96, used at 96x64 by FLUX.1 Kontext dev."]


def test_kontext_edits_an_edit_without_resizing_again(models):
    pipeline = models(KONTEXT)
    first, notes = run(pipeline, picture(1, 160, 96), width=None, height=None)
    assert first.pixels.shape == (64, 96, 3)
    second, notes = run(pipeline, Reference(pixels=first.pixels), prompt="a blue cat", width=None, height=None)
    assert (second.pixels.shape, notes) == ((64, 96, 3), [])


def test_several_pictures_of_kontext_count_and_are_marked(models):
    """Their order matters, since they lie side by side; and the run says that its authors' code takes one."""
    pipeline = models(KONTEXT)
    pipeline.spec = dataclasses.replace(pipeline.spec, reference_pixels=(2 * 96 * 64, 2 * 96 * 64))
    two, notes = run(pipeline, picture(1), picture(2))
    assert notes == ["FLUX.1 Kontext dev was trained on 1 picture; 2 go beyond what its authors' code does."]
    assert apart(two, run(pipeline, picture(2), picture(1))[0]) > 1e-3
    assert apart(two, run(pipeline, picture(1))[0]) > 1e-3
    _, notes = run(pipeline, *(picture(n) for n in range(4)))
    assert len(notes) == 5  # four share the pixels of one


def test_fill_sees_nothing_of_what_it_repaints(models):
    """Only what the mask leaves reaches the transformer."""
    pipeline, mask = models(FILL), np.zeros((64, 96), np.float32)
    mask[:, 40:] = 1
    given, other = picture(1), picture(1)
    changed = np.where(mask[..., None] > 0, 255 - other.pixels, other.pixels)
    first, _ = run(pipeline, given, mask=Mask(pixels=mask))
    hidden, _ = run(pipeline, Reference(pixels=changed), mask=Mask(pixels=mask))
    assert apart(first, hidden) == 0
    assert np.array_equal(first.pixels[:, :40], given.pixels[:, :40])
    shown, _ = run(pipeline, picture(2), mask=Mask(pixels=mask))
    assert apart(first, shown) > 1e-3
    whole, _ = run(pipeline, given, mask=Mask(pixels=np.ones_like(mask)))
    assert apart(first, whole) > 1e-3


def test_fill_extends_a_picture_of_odd_size(models):
    given = Reference(pixels=picture(1).pixels[:50, :70])
    made, _ = run(models(FILL), given, outpaint=(3, 20, 10, 0), width=None, height=None)
    assert made.pixels.shape == (70, 83, 3)
    assert np.array_equal(made.pixels[20:, 3:73], given.pixels)


def test_edges_are_found_in_a_photo(models):
    pytest.importorskip("cv2")
    pipeline, photo = models(CANNY), picture(1)
    from mlx_model.run.pictures import canny

    found, notes = run(pipeline, photo)
    assert notes == []
    ready, _ = run(pipeline, Reference(pixels=canny(photo.pixels)), ready_made=True)
    assert apart(found, ready) == 0
    assert apart(found, run(pipeline, photo, ready_made=True)[0]) > 1e-3
    _, notes = run(pipeline, picture(1, 160, 96))
    assert notes == ["picture 1: 160x96, used at 96x64 by FLUX.1 Canny dev."]


def test_canny_marks_borders_white_on_black():
    pytest.importorskip("cv2")
    from mlx_model.run.pictures import canny

    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, 32:] = 255
    edges = canny(pixels)
    assert edges.shape == pixels.shape
    assert set(np.unique(edges)) == {0, 255}
    columns = np.flatnonzero(edges[..., 0].any(axis=0))
    assert abs(columns - 32).max() <= 1


def test_without_opencv_the_message_says_what_to_install(models, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(RequestError, match="needs OpenCV") as caught:
        run(models(CANNY), picture(1))
    assert caught.value.hint == Advice("draw_edges_yourself")
    run(models(CANNY), picture(1), ready_made=True)  # needs none


def test_depth_follows_its_map(models):
    pipeline = models(DEPTH)
    first, _ = run(pipeline, picture(1, colour=1))
    assert apart(first, run(pipeline, picture(2, colour=1))[0]) > 1e-3
    with pytest.raises(RequestError, match="in colour"):
        run(pipeline, picture(1))


def test_variations(models):
    """Redux needs no words; the picture is looked at once, and the size is the picture's."""
    pipeline = models(REDUX)
    first, notes = run(pipeline, picture(1), prompt="", width=None, height=None)
    assert (first.pixels.shape, notes) == ((64, 96, 3), [])
    misses = pipeline.encoded.misses
    assert apart(first, run(pipeline, picture(1), prompt="", seed=5)[0]) > 1e-3
    assert pipeline.encoded.misses == misses
    assert apart(first, run(pipeline, picture(2), prompt="")[0]) > 1e-3
    assert apart(first, run(pipeline, picture(1), prompt="red")[0]) > 1e-3
    both, notes = run(pipeline, picture(1), picture(2), prompt="")
    assert len(notes) == 1
    assert "beyond" in notes[0]
    assert apart(first, both) > 1e-3


# Measured: 0.009 to 0.017 in bfloat16 (8 bits of mantissa), 0.0008 to 0.002 in float16 (11 bits).
@pytest.mark.first_case
@pytest.mark.parametrize(("dtype", "bound"), [("bfloat16", 0.03), ("float16", 0.004)])
@pytest.mark.parametrize("model", [KONTEXT, FILL, CANNY, REDUX])
def test_half_precision(models, model, dtype, bound):
    """The rms of the difference from float32 over a whole run, against the spread of the latents."""
    whole = models(model)
    half = Pipeline(whole.folder, dtype)
    half.spec, options = whole.spec, {"ready_made": True} if model == CANNY else {}
    if model == FILL:
        options = {"mask": Mask(pixels=(np.indices((64, 96))[1] > 40).astype(np.float32))}
    wanted, made = (run(pipeline, picture(1), **options)[0].latents for pipeline in (whole, half))
    assert 0 < np.sqrt(np.square(made - wanted).mean()) / wanted.std() < bound


def test_stages(models):
    pipeline = models(REDUX)
    events = pipeline.run(Request(REDUX, references=(picture(1),), steps=2, width=96, height=64))
    assert [event.name for event in events if isinstance(event, Stage)] == ["text", "references", "denoise", "decode"]


def opened(models, model, whole, stay, monkeypatch):
    pipeline = Pipeline.open(models(model).folder.path, "float32")
    pipeline.spec, pipeline.whole = models(model).spec, whole
    needed, room = fitting.expect(pipeline.folder, pipeline.spec.size, [], 4)
    monkeypatch.setattr(pipelines, "expect", lambda *_: (dataclasses.replace(needed, stay=frozenset(stay)), room))
    return pipeline


@pytest.mark.first_case
@pytest.mark.parametrize("model", ["flux1-schnell", "flux1-dev", KONTEXT])
def test_what_steers_the_blocks_is_let_go_before_they_come(models, model, monkeypatch):
    whole, apart_ = (opened(models, model, how, ("autoencoder", "transformer"), monkeypatch) for how in (True, False))
    given = [picture(1)] if model == KONTEXT else []
    assert run(apart_, *given)[0].latents.tobytes() == run(whole, *given)[0].latents.tobytes()
    assert set(apart_._loaded) == {"transformer", "autoencoder"}
    again = run(apart_, *given, seed=9)[0]
    assert apart_.steering.misses == 1  # it is the same for every seed
    assert again.latents.tobytes() == run(whole, *given, seed=9)[0].latents.tobytes()
    run(apart_, *given, prompt="a blue cat")
    assert apart_.steering.misses == 2


@pytest.mark.sweep
def test_the_blocks_hold_no_modulation(models):
    folder = models("flux1-dev").folder
    counted = fitting.weigh(folder, 4).whole
    held = {}
    for steering, part in ((True, "steering"), (False, "transformer")):
        held[steering], _ = held_by_mlx(partial(open_part, folder, part, mx.float32))
    assert held[False] == pytest.approx(counted["transformer"], rel=0.03)
    assert counted["steering"] < held[True] < 0.7 * counted["transformer"]  # tiny: what both need is a third of it
    assert counted["steering"] > 0.2 * counted["transformer"]


@pytest.mark.parametrize("stay", [("autoencoder", "transformer"), ("autoencoder", "transformer", "steering")])
def test_adapters_of_the_modulation_work_apart(models, tmp_path, monkeypatch, stay):
    network, rng = models("flux1-dev"), np.random.default_rng(5)
    inputs = network.folder.components["transformer"].params["hidden_size"]
    tensors = {}
    for layer, count in (("double_blocks.0.img_mod.lin", 6 * inputs), ("double_blocks.0.img_attn.proj", inputs)):
        tensors[f"diffusion_model.{layer}.lora_A.weight"] = rng.normal(size=(2, inputs)).astype(np.float32)
        tensors[f"diffusion_model.{layer}.lora_B.weight"] = rng.normal(size=(count, 2)).astype(np.float32)
    save_file(tensors, tmp_path / "a.safetensors")
    loras = (Lora(str(tmp_path / "a.safetensors")),)
    whole, apart_ = (opened(models, "flux1-dev", how, stay, monkeypatch) for how in (True, False))
    plain = run(apart_)[0]
    moved = run(apart_, loras=loras)[0]
    assert moved.latents.tobytes() == run(whole, loras=loras)[0].latents.tobytes()
    assert apart(moved, plain) > 1e-3
    apart_.steering.clear()
    assert run(apart_)[0].latents.tobytes() == plain.latents.tobytes()
