"""Boxes at the end of a prompt: read, checked, brought into the form of training; reached through a request."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_model.boxes import add_boxes, check_boxes, split_boxes
from mlx_model.errors import RequestError
from mlx_model.request import Reference, Request, check
from mlx_model.specs import SPECS

SPEC = SPECS["flux3-image-klein"]
PICTURE = Reference(pixels=np.zeros((70, 90, 3), np.uint8))
DOG = {"id": "dog_1", "bbox": [200, 100, 900, 500], "desc": "a dog"}
HAT = {"id": "hat", "from": "ref_image_1", "src_bbox": [0, 0, 10, 10], "tgt_bbox": None, "desc": "gone"}


def prompt_of(*rows, caption="A <dog_1> and a <hat>"):
    return f"{caption} {json.dumps(rows)}"


def test_the_form_of_training_whatever_the_spacing_and_order():
    text = 'A <dog_1>\n[ {"desc" : "a dog",\n"bbox":[200,100,900,500], "id":"dog_1"} ]  , oil on canvas'
    wanted = 'A <dog_1> , oil on canvas [{"id": "dog_1", "bbox": [200, 100, 900, 500], "desc": "a dog"}]'
    assert check_boxes(text) == wanted
    assert check_boxes(wanted) == wanted


def test_edits_name_their_picture():
    assert json.loads(check_boxes(prompt_of(DOG, HAT), 1).split("<hat> ")[1]) == [DOG, HAT]
    with pytest.raises(RequestError, match="comes from"):
        check_boxes(prompt_of(DOG, HAT), 0)


@pytest.mark.parametrize("text", ["", "a cat", "a sign that reads [open]", "[1, 2]", "a \\[{ b"])
def test_other_brackets_are_words(text):
    assert check_boxes(text) == text


BAD = {
    "cut off": (prompt_of(DOG)[:-3], "can't be read"),
    "no id": (prompt_of({"bbox": [1, 2, 3, 4]}), "can't be read"),
    "unknown key": (prompt_of(DOG | {"color": "red"}), "color"),
    "three corners": (prompt_of(DOG | {"bbox": [1, 2, 3]}), "four whole numbers"),
    "fractions": (prompt_of(DOG | {"bbox": [0.1, 0.2, 0.3, 0.4]}), "four whole numbers"),
    "truths": (prompt_of(DOG | {"bbox": [True, 2, 3, 4]}), "four whole numbers"),
    "a number for a place": (prompt_of(DOG | {"bbox": 7}), "can't be read"),
    "a number for a box": (prompt_of(DOG, 7), "can't be read"),
    "a number for a name": (prompt_of(DOG | {"id": 7}), "can't be read"),
    "upside down": (prompt_of(DOG | {"bbox": [900, 100, 200, 500]}), "corners"),
    "off the grid": (prompt_of(DOG | {"bbox": [0, 0, 1001, 500]}), "corners"),
    "not cited": (prompt_of(DOG, caption="A dog"), "does not cite"),
    "twice": (prompt_of(DOG, DOG), "Two boxes"),
    "deep": ('<a> [{"id": ' + "[" * 100_000, "can't be read"),
}


@pytest.mark.parametrize("case", BAD)
def test_refused_with_the_reason(case):
    text, said = BAD[case]
    with pytest.raises(RequestError, match=said):
        check_boxes(text, 1)


@given(st.text(alphabet='[]{}"<>:,a1 \n\\', max_size=60))
def test_any_text_is_a_prompt_or_refused(text):
    try:
        once = check_boxes(text, 1)
    except RequestError:
        return
    assert check_boxes(once, 1) == once


def test_a_request_carries_them_checked():
    """Only to the models that were trained on them."""
    request = Request(SPEC.name, prompt_of(DOG, HAT).replace(", ", ","), references=(PICTURE,))
    assert check(request, SPEC).prompt == check_boxes(prompt_of(DOG, HAT), 1)
    with pytest.raises(RequestError, match="ref_image_2"):
        check(Request(SPEC.name, "like <ref_image_2>", references=(PICTURE,)), SPEC)
    other = Request("flux2-klein-4b", '<a> [{"id"')
    assert check(other, SPECS[other.model]).prompt == other.prompt


def test_a_single_picture_keeps_its_size_and_several_do_not():
    one = check(Request(SPEC.name, "x", references=(PICTURE,)), SPEC)
    assert (one.width, one.height) == (90, 70)
    two = check(Request(SPEC.name, "x", references=(PICTURE, PICTURE)), SPEC)
    assert (two.width, two.height) == (80, 64)


@given(st.text(max_size=30), st.lists(st.text(min_size=1, max_size=20).filter(str.strip), max_size=4), st.booleans())
def test_boxes_added_to_any_caption_are_read_again(caption, words, edit):
    try:
        split_boxes(caption)
    except RequestError:
        return
    placed = [(one, (0, 0, 500, 10 + place)) for place, one in enumerate(words)]
    made = add_boxes(caption, placed, edit)
    assert made == caption or placed
    found = split_boxes(made)[1]
    assert [(box.description, box.target if edit else box.bbox) for box in found] == placed
    assert len({box.id for box in found}) == len(found)
