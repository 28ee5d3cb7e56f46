"""A request: what is refused, with which words, what is filled in, and that JSON loses nothing."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_model.errors import RequestError
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
    ({"seed": -1}, "Seed"),
    ({"seed": 2**64}, "Seed"),
    ({"width": 1024}, "both sides"),
    ({"width": 1000, "height": 1024}, "multiples of 16"),
    ({"width": 32, "height": 1024}, "from 64"),
    ({"width": 4096, "height": 4096}, "larger than"),
]


@pytest.mark.parametrize(("change", "words"), REFUSED)
def test_refused(change, words):
    with pytest.raises(RequestError, match=words):
        check(dataclasses.replace(GOOD, **change), KLEIN)


def test_strength_needs_a_picture():
    with pytest.raises(RequestError, match="picture"):
        check(dataclasses.replace(GOOD, strength=0.5), KLEIN)


def test_what_the_engine_cannot_do_yet_is_refused():
    with pytest.raises(RequestError, match="not built"):
        check(dataclasses.replace(GOOD, outpaint=(1, 2, 3, 4)), KLEIN)


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


def test_mini_takes_three():
    check(Request("mini", "a dog", references=(PICTURE,) * 3), MINI)
    with pytest.raises(RequestError, match="takes up to 3"):
        check(Request("mini", "a dog", references=(PICTURE,) * 4), MINI)


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
)


@given(requests)
def test_json_round_trip(request_):
    assert from_json(request_.to_json()) == request_


@pytest.mark.parametrize("line", ["", "[]", "null", "{}", '{"model": "x", "colour": 1}', '{"model": "x", "mask": 3}'])
def test_not_a_request(line):
    with pytest.raises(RequestError):
        from_json(line)
