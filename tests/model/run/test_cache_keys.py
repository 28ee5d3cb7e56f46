"""A warm cache changes no picture: whatever an option changes in something kept, it is in the key of that.

Every field of a request, and all else that a run goes by, is tried: run after another run that differs in it alone, and
in a pipeline where nothing is kept, the latents are the same to the bit.
"""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

from mlx_model.request import Lora, Mask, Reference, Request
from mlx_model.run.pipeline import Pipeline
from mlx_model.store.cache import Cache
from tests.model.run.tiny_flux1 import tiny_folder
from tests.model.store.made_loras import low_rank, peft, save

MINI = Path(__file__).parents[3] / "assets" / "mini"


def draw(seed, side=128):
    coarse = np.random.default_rng(seed).integers(0, 256, (10, 10, 3), np.uint8)
    return Reference(pixels=coarse.repeat(16, 0).repeat(16, 1)[:side, :side])


def half(rows):
    mask = np.zeros((128, 128), np.float32)
    mask[:rows] = 1
    return Mask(pixels=mask)


BASE = Request("mini", "make it night", 64, 64, 1, references=(draw(1), draw(2)))
CHANGED = {  # what each field is changed to, beside which others
    "prompt": {"prompt": "make it day"},
    "width": {"width": 96},
    "height": {"height": 96},
    "steps": {"steps": 2},
    "guidance": {"guidance": 1.5},
    "seed": {"seed": 7},
    "negative": {"negative": "rain"},
    "references": {"references": (draw(2), draw(1))},
    "mask": {"mask": half(64), "references": (draw(1),)},
    "outpaint": {"outpaint": (0, 0, 64, 0), "references": (draw(1, 64),), "width": None, "height": None},
    "strength": {"strength": 0.5},
    "reference_size": {"reference_size": 128 * 128},
    "region": {"region": True},
    "step_cache": {"step_cache": 1.0},
    "loras": {},  # made in a test of their own
}
BESIDE = {  # what both runs have, so that the field alone changes something
    "strength": {"steps": 2},
    "region": {"mask": half(32), "references": (draw(1),), "width": None, "height": None},
    "step_cache": {"steps": 8},
    "reference_size": {"references": (draw(1, 158), draw(2, 158))},
}
# What a run does not go by: the pipeline is opened for the model and dtype, own words are for people; others belong
# to other families, which have tests below; an enlarged picture is many runs, each of one of these.
ELSEWHERE = {"model", "dtype", "label", "sampler", "ready_made", "noise", "enlarge", "own_words"}


def test_every_field_is_tried():
    assert {field.name for field in dataclasses.fields(Request)} == set(CHANGED) | ELSEWHERE


def opened(folder=None, path=MINI, dtype="float32", **spec):
    pipeline = Pipeline.open(path, dtype)
    pipeline.spec = dataclasses.replace(pipeline.spec, **spec)
    pipeline.cache = Cache(folder) if folder else None
    return pipeline


def latents(pipeline, request):
    *_, done = pipeline.run(request)
    return done.latents.tobytes()


def assert_warm_is_cold(open_one, first, then, folder):
    """After `first`, in the same process and in a new one, `then` is what it is where nothing is kept."""
    cold, warm = latents(open_one(None), then), open_one(folder)
    assert latents(warm, first) != cold, "the option changes nothing here, so this proves nothing"
    assert latents(warm, then) == cold
    assert latents(open_one(folder), then) == cold


@pytest.mark.sweep
@pytest.mark.parametrize("field", [field for field in CHANGED if CHANGED[field]])
def test_a_field_of_the_request(field, tmp_path):
    """Of a KV model, which keeps most."""
    first = dataclasses.replace(BASE, **BESIDE.get(field, {}))
    then = dataclasses.replace(first, **CHANGED[field])
    assert_warm_is_cold(lambda folder: opened(folder, reference_bank=True), first, then, tmp_path / "kept")


@pytest.mark.sweep
@pytest.mark.parametrize("change", ["file", "scale", "order"])
def test_adapters(change, tmp_path):
    """Another file under the same name too."""
    name, width = "double_blocks.0.img_attn.proj", 256
    one, two = (str(tmp_path / f"{n}.safetensors") for n in "ab")
    save(Path(one), peft(name, *low_rank(1, width, width)))
    save(Path(two), peft(name, *low_rank(2, width, width)))
    given = {"file": (Lora(two),), "scale": (Lora(one, 0.5),), "order": (Lora(two, 0.5), Lora(one))}[change]
    first = dataclasses.replace(BASE, loras=(Lora(one),))
    then = dataclasses.replace(BASE, loras=given)
    assert_warm_is_cold(lambda folder: opened(folder, reference_bank=True), first, then, tmp_path / "kept")


@pytest.mark.sweep
@pytest.mark.parametrize("low", [False, True])
def test_the_dtype_and_where_weights_are(low, tmp_path):
    """bfloat16 never finds what float32 made; weights that are read as it runs find it, and draw the same."""
    kept = tmp_path / "kept"
    cold = latents(opened(dtype="bfloat16"), BASE)
    assert latents(opened(kept), BASE) != cold
    half_precision = opened(kept, dtype="bfloat16")
    half_precision.low_memory = low
    assert latents(half_precision, BASE) == cold


FILL, CANNY, REDUX, KONTEXT = (f"flux1-{name}-dev" for name in ("fill", "canny", "redux", "kontext"))
OTHERS = {  # of other families of pictures: two requests each, of which one finds what the other left
    "the mask of Fill": (FILL, {"mask": half(64)}, {"mask": half(96)}),
    "the picture of Fill": (FILL, {"mask": half(64)}, {"mask": half(64), "references": (draw(3),)}),
    "edges given or found": (CANNY, {}, {"ready_made": True}),
    "the size of a map": (CANNY, {}, {"width": 96}),
    "a picture of Redux": (REDUX, {}, {"references": (draw(3),)}),
    "the reference of Kontext": (KONTEXT, {}, {"references": (draw(3),)}),
    "guidance": (KONTEXT, {"guidance": 2.0}, {"guidance": 4.0}),
    "steps": (KONTEXT, {"steps": 1}, {"steps": 2}),
    "words": (KONTEXT, {"prompt": "a red cat"}, {"prompt": "a blue cat"}),
}


@pytest.mark.sweep
@pytest.mark.parametrize("what", OTHERS)
def test_flux1(what, tmp_path):
    model, first, then = OTHERS[what]
    folder = tiny_folder(tmp_path, model)
    base = Request(model, "a red cat", 64, 64, 1, references=(draw(1),))
    if model == FILL:
        base = dataclasses.replace(base, width=128, height=128)
    pair = [dataclasses.replace(base, **options) for options in (first, then)]

    def open_one(kept):
        return opened(kept, folder, max_tokens=12, **({"preferred_sizes": ()} if model == KONTEXT else {}))

    for one, other in itertools.permutations(pair):
        assert_warm_is_cold(open_one, one, other, tmp_path / "kept")
