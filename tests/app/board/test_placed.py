"""What is placed on a picture, and the used part of a reference: in the request, in the take, on the way back."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from app.board import commands
from app.board.data import Board, Panel, PanelReference, Picture, Scene, Source, Take, pictures
from app.board.panel_job import instruct, make_take, panel_job
from app.board.picture import Crop, Placed
from app.board.rules import check_panel
from app.board.seen import see
from app.fluxboard.codec import decode, encode
from mlx_model.errors import Refused
from mlx_model.request import from_json
from mlx_model.specs import SPECS
from tests.app.models.made_models import choose

MODEL = SPECS["flux2-klein-4b"]


def picture(letter, width=200, height=100):
    return Picture(letter * 64, width, height, f"{letter}.png")


ROOM, SOFA, BOTH, RESULT = picture("a"), picture("b"), picture("c"), picture("d")
SOFA_LEFT = Placed(SOFA, 0.25, 0.7, 0.4, 10.0, 0.9)


def board(**changes):
    first = Take("t1", ROOM, "", "", "2026-01-01T00:00:00Z", 0, number=1)
    panel = Panel("p", instruction="put the sofa there", takes=(first,), current="t1", source=Source("take"))
    return Board("b", scenes=(Scene("s", panels=(replace(panel, **changes),)),))


def job(one, compose=lambda ground, placed: BOTH):
    path_of = lambda sha256: Path("/blobs") / f"{sha256}.png"  # noqa: E731
    return panel_job(one, "p", path_of, choose(one, "p", MODEL), compose=compose)


def test_the_model_is_shown_the_composite_and_the_take_knows_what_lay_there():
    asked = []
    made = job(board(placed=(SOFA_LEFT,)), lambda *given: asked.append(given) or BOTH)
    assert asked == [(ROOM, (SOFA_LEFT,))]
    assert [one.sha256 for one in made.request.references] == [BOTH.sha256]
    take = make_take(made, RESULT, 1, 1.0)
    assert (take.placed, take.composite, take.parent) == ((SOFA_LEFT,), BOTH, "t1")
    assert {SOFA, BOTH} <= set(pictures(commands.add_take(board(), "p", take))), "its pictures count as unused"


def test_nothing_placed_is_nothing_composed():
    made = job(board(), None)
    assert make_take(made, RESULT, 1, 1.0).composite is None
    assert made.request.references[0].sha256 == ROOM.sha256


def test_another_start_drops_what_was_placed_and_the_take_brings_it_back():
    one = board(placed=(SOFA_LEFT,))
    one = commands.add_take(one, "p", make_take(job(one), RESULT, 1, 1.0))
    assert one.panel("p").placed == (SOFA_LEFT,), "a further try is made from the same"
    result = one.panel("p").current
    one = commands.set_panel(one, "p", source=Source("take"), instruction="make it night")
    assert one.panel("p").placed == ()
    one = commands.take_up_placed(one, "p", result)
    panel = one.panel("p")
    assert (panel.placed, panel.source.take, panel.instruction) == ((SOFA_LEFT,), "t1", "put the sofa there")
    with pytest.raises(Refused):
        commands.take_up_placed(commands.remove_take(one, "p", "t1"), "p", result)


def test_an_instruction_for_all_edits_the_takes_alone():
    one = commands.apply_to_all(board(placed=(SOFA_LEFT,)), ["p"], "make it night")
    assert one.panel("p").placed == ()


@pytest.mark.parametrize(
    "placed",
    [replace(SOFA_LEFT, x=11.0), replace(SOFA_LEFT, width=0.0), replace(SOFA_LEFT, width=30.0),
     replace(SOFA_LEFT, opacity=1.5), replace(SOFA_LEFT, angle=1e9), replace(SOFA_LEFT, y=float("nan"))],
)  # fmt: skip
def test_a_place_out_of_all_bounds_is_refused(placed):
    with pytest.raises(Refused):
        commands.set_panel(board(), "p", placed=(placed,))


def test_a_hundred_pictures_can_be_placed_and_no_more():
    commands.set_panel(board(), "p", placed=(SOFA_LEFT,) * 100)
    with pytest.raises(Refused, match="100"):
        commands.set_panel(board(), "p", placed=(SOFA_LEFT,) * 101)


def test_it_is_kept_in_the_board_s_file_and_older_boards_have_none():
    cut = PanelReference("r", SOFA, "prop", "sofa", crop=Crop(10, 0, 110, 90))
    one = commands.add_reference(board(placed=(SOFA_LEFT,)), "p", cut)
    assert decode(encode(one)) == (one, [])
    old = encode(board()).replace(b',"placed":[]', b"").replace(b',"composite":null', b"")
    assert b"placed" not in old
    assert decode(old) == (board(), [])


def test_a_crop_is_part_of_what_is_seen_and_of_the_request():
    one = commands.add_reference(board(), "p", PanelReference("r", SOFA, "prop", "sofa"))
    one = commands.set_reference(one, "p", "r", crop=Crop(10, 0, 110, 90))
    assert see(one, one.panel("p"))[1].size == (100, 90)
    request = job(one).request
    assert request.references[1].crop == (10, 0, 110, 90)
    assert from_json(request.to_json()) == request
    assert one.panel("p").references[0].picture == SOFA, "the picture itself stays"


@pytest.mark.parametrize("crop", [Crop(0, 0, 201, 90), Crop(-1, 0, 100, 90), Crop(0, 0, 63, 90), Crop(90, 0, 10, 90)])
def test_a_crop_outside_its_picture_or_too_small_is_refused(crop):
    with pytest.raises(Refused):
        commands.add_reference(board(), "p", PanelReference("r", SOFA, "prop", "sofa", crop=crop))


def test_what_lies_on_a_picture_never_comes_to_lie_on_another():
    mask, other = picture("e"), Take("t2", RESULT, "", "", "2026-01-01T00:00:00Z", 0)
    one = commands.add_take(commands.start_from_seen(board(), "p"), "p", other)
    one = commands.choose_take(commands.set_panel(one, "p", mask=mask, placed=(SOFA_LEFT,)), "p", "t2")
    assert job(one).request.mask.sha256 == mask.sha256
    assert make_take(job(one), BOTH, 1, 1.0).parent == "t1", "it was painted on this one"
    assert instruct(one.panel("p"), "make it night").mask is None
    one = commands.set_panel(one, "p", source=Source("take"))
    assert (one.panel("p").mask, one.panel("p").placed) == (None, ())


def test_a_mask_of_the_current_take_counts_for_an_instruction_too():
    one = commands.set_panel(commands.start_from_seen(board(), "p"), "p", mask=picture("e"))
    assert instruct(one.panel("p"), "make it night").mask == picture("e")


@pytest.mark.parametrize("field", ["x", "y", "width", "angle", "opacity"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_place_is_a_number_that_is_none(field, value):
    with pytest.raises(Refused):
        check_panel(Panel("p", placed=(replace(SOFA_LEFT, **{field: value}),)))
