"""Boxes of a panel: what the model is told of them, whom they mention, what a board refuses."""

import json
import math

import msgspec
import pytest

from app.board import commands
from app.board.data import Member, Panel, PanelReference, Picture, Source
from app.board.regions import Region
from app.fluxboard.codec import decode, encode
from mlx_model.boxes import split_boxes
from mlx_model.errors import Refused, RequestError
from mlx_model.specs import SPECS
from tests.app.board.test_panel_job import FOX, board, job, names, take

FLUX3 = SPECS["flux3-image-klein"]
DOG = Region(0.1, 0.2, 0.5, 0.9, "a black dog")


def rows(request):
    return [box.row() for box in split_boxes(request.prompt)[1]]


def test_a_new_picture_has_places_and_the_caption_cites_them():
    panel = Panel("p", "a field", boxes=(DOG, Region(0, 0, 1, 0.25, "a red sky.")))
    request = job(board(panel), model=FLUX3).request
    assert split_boxes(request.prompt)[0] == "a field. a black dog <box_1>, a red sky <box_2>."
    assert rows(request) == [
        {"id": "box_1", "bbox": [200, 100, 900, 500], "desc": "a black dog"},
        {"id": "box_2", "bbox": [0, 0, 250, 1000], "desc": "a red sky."},
    ]


def test_in_an_edit_they_are_new():
    panel = Panel("p", instruction="at night", boxes=(DOG,), takes=(take(),), current="t1", source=Source("take"))
    (row,) = rows(job(board(panel), model=FLUX3).request)
    assert (row["from"], row["src_bbox"], row["tgt_bbox"]) == ("target", None, [200, 100, 900, 500])


def test_only_models_that_read_boxes_are_told_and_only_what_has_words():
    panel = Panel("p", "a field", boxes=(DOG, Region(0, 0, 1, 1)))
    assert job(board(panel)).request.prompt == "a field"
    assert len(rows(job(board(panel), model=FLUX3).request)) == 1
    silent = Panel("p", "a field", boxes=(Region(0, 0, 1, 1, " "),))
    assert job(board(silent), model=FLUX3).request.prompt == "a field"


def test_a_box_may_mention_the_cast_whose_picture_then_comes_along():
    panel = Panel("p", "a field", boxes=(Region(0, 0, 0.5, 1, "@fox asleep"),))
    request = job(board(panel, cast=(FOX,)), model=FLUX3).request
    assert names(request) == ["fox"]
    assert rows(request)[0]["desc"] == "<ref_image_1> asleep"
    with pytest.raises(RequestError, match="@nobody"):
        job(board(Panel("p", "a field", boxes=(Region(0, 0, 1, 1, "@nobody"),))), model=FLUX3)


def test_a_mention_in_a_box_follows_a_new_name():
    fox, hat = (Picture(letter * 64, 160, 96) for letter in "ab")
    fox, reference = Member("id-fox", "fox", pictures=(fox,)), PanelReference("r1", hat, "prop", "hat")
    boxes = (Region(0, 0, 1, 1, "@fox with the @hat"),)
    one = board(Panel("p", "a field", boxes=boxes, references=(reference,)), cast=(fox,))
    one = commands.set_member(one, fox.id, name="Reynard")
    one = commands.set_reference(one, "p", "r1", name="bowler")
    assert one.panel("p").boxes[0].words == "@Reynard with the @bowler"


def test_what_was_written_by_hand_stays():
    typed = 'a field with a cat <box_1> [{"id": "box_1", "bbox": [0, 0, 100, 100], "desc": "a cat"}]'
    request = job(board(Panel("p", typed, boxes=(DOG,))), model=FLUX3).request
    assert [(row["id"], row["desc"]) for row in rows(request)] == [("box_1", "a cat"), ("box_2", "a black dog")]
    assert "a field with a cat <box_1>. a black dog <box_2>." in request.prompt


def test_one_instruction_for_all_takes_no_boxes_along():
    panel = Panel("p", "a field", boxes=(DOG,), takes=(take(),), current="t1")
    assert rows(job(board(panel), model=FLUX3, instruction="make it night").request) == []


def test_a_board_keeps_them_and_refuses_what_lies_outside():
    one = board(Panel("p", "a field", boxes=(DOG,)))
    assert decode(encode(one))[0] == one
    old = json.loads(encode(one))
    del old["scenes"][0]["panels"][0]["boxes"]
    assert decode(msgspec.json.encode(old))[0].panel("p").boxes == ()
    for sides in ((0.5, 0, 0.4, 1), (-0.1, 0, 1, 1), (0, 0, 1.1, 1), (0, 0, 0.001, 1), (0, 0, math.nan, 1)):
        with pytest.raises(Refused):
            commands.set_panel(one, "p", boxes=(Region(*map(float, sides)),))
    with pytest.raises(Refused):
        commands.set_panel(one, "p", boxes=(DOG,) * 51)
