"""A request: what is refused, with which words, what is filled in, and that JSON loses nothing."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_model.errors import RequestError
from mlx_model.geometry import Size
from mlx_model.request import Lora, Mask, Reference, Request, check, from_json
from mlx_model.specs import SPECS

KLEIN, BASE, MINI = SPECS["flux2-klein-4b"], SPECS["flux2-klein-base-4b"], SPECS["mini"]
PICTURE = Reference(pixels=np.zeros((600, 800, 3), np.uint8))
GOOD = Request("flux2-klein-4b", "a cat")

REFUSED = [
    ({"prompt": "  "}, "prompt is empty"),
    ({"negative": "dogs"}, "no negative prompt"),
    ({"references": (PICTURE,) * 11}, "11 references are too many"),
    ({"mask": Mask()}, "needs a picture"),
    ({"references": (PICTURE,), "strength": 0.0}, "Strength"),
    ({"references": (PICTURE,), "strength": 1.1}, "Strength"),
    ({"steps": 0}, "0 steps"),
    ({"steps": 1000}, "1000 steps"),
    ({"guidance": float("nan")}, "Guidance"),
    ({"guidance": 3.0}, "no guidance to set"),
    ({"loras": (Lora("a.safetensors", float("nan")),)}, "no scale"),
    ({"loras": (Lora("a.safetensors", 1e99),)}, "no scale"),
    ({"loras": (Lora("a.safetensors", -101.0),)}, "no scale"),
    ({"seed": -1}, "Seed"),
    ({"seed": 2**64}, "Seed"),
    ({"width": 1024}, "both sides"),
    ({"width": 1000, "height": 1024}, "multiples of 16"),
    ({"width": 32, "height": 1024}, "from 64"),
    ({"width": 4096, "height": 4096}, "larger than"),
    ({"reference_size": 1000}, "can't be seen at 1000 pixels"),
    ({"reference_size": 2**23}, "can't be seen at 8388608 pixels"),
]


@pytest.mark.parametrize(("change", "words"), REFUSED)
def test_refused(change, words):
    with pytest.raises(RequestError, match=words):
        check(dataclasses.replace(GOOD, **change), KLEIN)


def test_strength_needs_a_picture():
    with pytest.raises(RequestError, match="picture"):
        check(dataclasses.replace(GOOD, strength=0.5), KLEIN)


FILL, CANNY, DEPTH, REDUX = (SPECS[f"flux1-{name}-dev"] for name in ("fill", "canny", "depth", "redux"))
KONTEXT = SPECS["flux1-kontext-dev"]
COLOURED = Reference(pixels=np.full((600, 800, 3), (200, 10, 10), np.uint8))
MASKED = {"references": (PICTURE,), "mask": Mask(pixels=np.ones((600, 800), np.float32))}
REFUSED_ELSEWHERE = [
    (FILL, {"references": (PICTURE,)}, "where to paint"),
    (FILL, {}, "needs a picture"),
    (FILL, {"references": (PICTURE,), "outpaint": (0, 0, 0, 0)}, "adds nothing"),
    (FILL, {"references": (PICTURE,), "outpaint": (0, -1, 3, 0)}, "adds nothing"),
    (FILL, {"references": (PICTURE,), "outpaint": (0, 0, 9000, 0)}, "not a size"),
    (FILL, {"references": (PICTURE,), "outpaint": (0, 2000, 4000, 0)}, "larger than"),
    (FILL, {"references": (PICTURE,), "outpaint": (0, 0, 8, 0), "width": 1024, "height": 1024}, "is its own"),
    (FILL, {"references": (PICTURE,), "outpaint": (0, 0, 8, 0), "strength": 0.5}, "no strength"),
    (KLEIN, {"outpaint": (0, 0, 8, 0)}, "needs a picture"),
    (CANNY, {}, "needs a picture"),
    (CANNY, {"references": (PICTURE,), "strength": 0.5}, "no strength"),
    (CANNY, MASKED, "can't repaint"),
    (CANNY, {"references": (PICTURE,), "outpaint": (0, 0, 8, 0)}, "can't repaint"),
    (DEPTH, {"references": (COLOURED,)}, "in colour"),
    (DEPTH, {"references": (PICTURE,), "ready_made": True}, "no edge map"),
    (REDUX, {}, "needs a picture"),
    (KONTEXT, {"references": (PICTURE,) * 5}, "up to 4"),
]


@pytest.mark.parametrize(("spec", "change", "words"), REFUSED_ELSEWHERE)
def test_refused_by_other_models(spec, change, words):
    with pytest.raises(RequestError, match=words):
        check(dataclasses.replace(GOOD, **change), spec)


def test_variations_need_no_words():
    assert check(Request("flux1-redux-dev", references=(PICTURE,)), REDUX).guidance == 2.5


def size_of(spec, **change):
    filled = check(dataclasses.replace(GOOD, **change), spec)
    assert check(filled, spec) == filled  # the pipeline checks again what the command line has checked
    return filled.width, filled.height


def test_a_kept_picture_keeps_its_size_to_the_pixel():
    small = {"references": (Reference(pixels=np.zeros((333, 501, 3), np.uint8)),)}
    assert size_of(KLEIN, **small) == (496, 320)
    assert size_of(KLEIN, **small, mask=Mask()) == (501, 333)
    assert size_of(FILL, **small, outpaint=(1, 2, 30, 4)) == (532, 339)
    large = {"references": (Reference(pixels=np.zeros((3000, 4000, 3), np.uint8)),)}
    assert size_of(KLEIN, **large, mask=Mask()) == (1168, 880)
    assert size_of(KONTEXT, **small, mask=Mask()) == KONTEXT.choose_preferred(Size(501, 333))


@pytest.mark.parametrize("name", ["flux1-schnell", "flux1-kontext-dev", "flux1-fill-dev", "flux1-redux-dev"])
def test_a_model_with_sizes_of_its_own_takes_none_for_references(name):
    request = Request(name, "a cat", references=(PICTURE,) * (name != "flux1-schnell"), reference_size=2**20)
    with pytest.raises(RequestError, match="sizes of its own"):
        check(request, SPECS[name])


def test_a_large_picture_gives_a_megapixel_and_more_on_request():
    """FLUX.3 makes a single picture's whole canvas: 3.4 times the work at 4 megapixels."""
    large = Reference(pixels=np.zeros((2000, 2000, 3), np.uint8))
    given = Request("flux3-image-klein", "a cat", references=(large,))
    spec = SPECS["flux3-image-klein"]
    assert check(given, spec).size == (1024, 1024)
    assert check(dataclasses.replace(given, reference_size=2**22), spec).size == (2000, 2000)


def test_defaults():
    filled = check(GOOD, KLEIN)
    assert (filled.width, filled.height, filled.steps, filled.guidance) == (1024, 1024, 4, 1.0)
    assert check(dataclasses.replace(GOOD, negative="dogs"), BASE).guidance == 4.0


@pytest.mark.parametrize(
    ("size", "wanted"), [((600, 800), (800, 592)), ((128, 160), (160, 128)), ((3000, 4000), (1168, 880))]
)
def test_size_of_the_first_reference(size, wanted):
    """(height, width) of the picture -> (width, height) of the output."""
    given = Reference(pixels=np.zeros((*size, 3), np.uint8))
    filled = check(dataclasses.replace(GOOD, references=(given, PICTURE)), KLEIN)
    assert (filled.width, filled.height) == wanted


def test_mini_takes_six():
    check(Request("mini", "a dog", references=(PICTURE,) * 6), MINI)
    with pytest.raises(RequestError, match="takes up to 6"):
        check(Request("mini", "a dog", references=(PICTURE,) * 7), MINI)


text = st.text(max_size=20)
requests = st.builds(
    Request,
    model=text,
    prompt=text,
    width=st.none() | st.integers(1, 9000),
    seed=st.integers(0, 2**64 - 1),
    strength=st.none() | st.floats(0, 1),
    references=st.lists(st.builds(Reference, path=text, name=text, sha256=text, pixels=st.none()), max_size=3).map(
        tuple
    ),
    mask=st.none() | st.builds(Mask, text, text),
    loras=st.lists(st.builds(Lora, text, st.floats(-2, 2), text), max_size=2).map(tuple),
    outpaint=st.none() | st.tuples(*[st.integers(0, 99)] * 4),
    ready_made=st.booleans(),
)


@given(requests)
def test_json_round_trip(request_):
    assert from_json(request_.to_json()) == request_


def test_a_request_of_before_sees_its_picture_as_large_as_it_was_seen_then():
    older = json.loads(Request("x", references=(Reference("a.png"),)).to_json())
    assert from_json(json.dumps(older)).reference_size is None
    del older["reference_size"]
    assert SPECS["flux2-klein-4b"].limit_references(from_json(json.dumps(older)).reference_size).reference_pixels == (
        2024 * 2024,
        2**20,
    )
    assert from_json(json.dumps(older | {"references": []})).reference_size is None


@pytest.mark.parametrize("line", ["", "[]", "null", "{}", '{"model": "x", "colour": 1}', '{"model": "x", "mask": 3}'])
def test_not_a_request(line):
    with pytest.raises(RequestError):
        from_json(line)
