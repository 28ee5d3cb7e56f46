"""Outpainting, and the models to which a picture is something else: Fill, Canny, Depth, Redux."""

from pathlib import Path

import pytest
from PIL import Image

from app.pictures.images import open_picture, read_request
from tests.cli.scripted_pipeline import EDITOR, FakePipeline, install, run

FILL, CANNY, DEPTH, REDUX = (f"flux1-{name}-dev" for name in ("fill", "canny", "depth", "redux"))


@pytest.fixture(autouse=True)
def models(machine):
    for name in (FILL, CANNY, DEPTH, REDUX):
        install(name, 2000)  # after the others: none of them becomes the default
    Image.linear_gradient("L").resize((128, 96)).save("depth.png")


def asked():
    return FakePipeline.requests[-1]


def test_outpaint_and_again():
    run("edit", "room.png", "-p", "the garden", "--outpaint", "0, 8,33,0", "-o", "wide.png")
    assert asked().outpaint == (0, 8, 33, 0)
    assert (asked().width, asked().height) == (128 + 33, 96 + 8)
    assert open_picture("wide.png").shape == (104, 161, 3)
    first = asked()
    run("edit", "--again", "wide.png", "-o", "twice.png")
    assert asked() == first
    run("edit", "--again", "wide.png", "--outpaint", "16,0,0,0", "-o", "other.png")
    assert (asked().outpaint, asked().width, asked().height) == ((16, 0, 0, 0), 144, 96)
    run("edit", "chair.png", "--again", "wide.png", "-o", "chair-too.png")
    assert (asked().outpaint, asked().width) == (None, 96)


def test_fill():
    run("edit", "room.png", "-p", "a window", "--mask", "mask.png", "-m", FILL)
    assert (asked().steps, asked().guidance, asked().mask.pixels.shape) == (50, 30.0, (96, 128))


def test_edges_of_a_photo_or_given():
    run("edit", "room.png", "-p", "a house of glass", "-m", CANNY)
    assert not asked().ready_made
    run("edit", "depth.png", "-p", "a house of glass", "-m", CANNY, "--ready-made", "-o", "a.png")
    assert asked().ready_made
    assert read_request("a.png").ready_made
    run("edit", "--again", "a.png", "-o", "b.png")
    assert asked().ready_made
    run("generate", "a house of glass", "-m", CANNY, "--control", "depth.png")
    assert asked().ready_made
    assert [Path(reference.path).name for reference in asked().references] == ["depth.png"]


def test_a_depth_map():
    for words in (("edit", "depth.png", "-p", "a bay"), ("generate", "a bay", "--control", "depth.png")):
        run(*words, "-m", DEPTH)
        assert (asked().prompt, asked().guidance, len(asked().references)) == ("a bay", 10.0, 1)


def test_variations_need_no_prompt():
    run("edit", "room.png", "-m", REDUX)
    assert (asked().prompt, len(asked().references)) == ("", 1)
    run("edit", "room.png", "chair.png", "-m", REDUX, "-p", "in winter")
    assert (asked().prompt, len(asked().references)) == ("in winter", 2)


BAD = {
    "outpaint words": (("edit", "room.png", "-p", "x", "--outpaint", "wide"), "no margins"),
    "outpaint three": (("edit", "room.png", "-p", "x", "--outpaint", "1,2,3"), "no margins"),
    "outpaint negative": (("edit", "room.png", "-p", "x", "--outpaint", "1,2,-3,4"), "no margins"),
    "outpaint nothing": (("edit", "room.png", "-p", "x", "--outpaint", "0,0,0,0"), "adds nothing"),
    "outpaint too far": (("edit", "room.png", "-p", "x", "--outpaint", "0,0,9000,0"), "not a size"),
    "outpaint and size": (("edit", "room.png", "-p", "x", "--outpaint", "0,0,16,0", "--size", "64x64"), "--size"),
    "fill without a mask": (("edit", "room.png", "-p", "x", "-m", FILL), "--outpaint L,T,R,B"),
    "fill without a picture": (("generate", "x", "-m", FILL), "needs a picture"),
    "edges without a picture": (("generate", "x", "-m", CANNY), "needs a picture"),
    "edges and strength": (("edit", "room.png", "-p", "x", "-m", CANNY, "--strength", "0.5"), "no strength"),
    "edges under a mask": (("edit", "room.png", "-p", "x", "-m", CANNY, "--mask", "mask.png"), "can't repaint"),
    "two pictures of edges": (("edit", "room.png", "chair.png", "-p", "x", "-m", CANNY), "too many"),
    "a photo as depth": (("edit", "room.png", "-p", "x", "-m", DEPTH), "in colour"),
    "ready-made elsewhere": (("edit", "room.png", "-p", "x", "--ready-made"), "no edge map"),
    "control elsewhere": (("generate", "x", "--control", "depth.png", "-m", EDITOR), "follows no edges"),
    "control missing": (("generate", "x", "--control", "gone.png", "-m", DEPTH), "gone.png"),
    "variations of nothing": (("generate", "x", "-m", REDUX), "needs a picture"),
    "no prompt for fill": (("edit", "room.png", "--mask", "mask.png", "-m", FILL), "-p PROMPT"),
}


@pytest.mark.parametrize("case", BAD)
def test_refused_before_a_model_is_opened(case):
    words, said = BAD[case]
    result = run(*words, code=2)
    assert said in result.stderr
    assert result.stdout == ""
    assert FakePipeline.opened == []
