"""Whether a run would try once more what made the picture that is seen: every input counts, also a later one."""

import dataclasses

import pytest
from msgspec.structs import replace

from app.board.data import Panel, PanelReference, Settings, Source, Take
from app.board.panel_job import make_take
from app.board.picture import Crop, Placed
from app.board.regions import Region
from app.board.take_job import is_repeat
from mlx_model.request import Lora, Mask, Reference, Request
from mlx_model.specs import SPECS
from tests.app.board.test_panel_job import FOX, board, job, member, picture, reference

MODEL = SPECS["flux3-image-klein"]
EDITED = Panel(
    "p",
    instruction="@hat on @fox",
    references=(reference("hat"),),
    boxes=(Region(0.1, 0.1, 0.4, 0.4, "a hat"),),
    source=Source("take", take="t1"),
    takes=(Take("t1", picture("start"), "{}", "mini", "2026-01-01T00:00:00Z", 3),),
    current="t1",
)
BOARD = board(EDITED, cast=(FOX,))


def render(one):
    """The board, with the panel's picture made as it asks."""
    panel = one.panel("p")
    made = make_take(job(one, model=MODEL), picture("made"), 7, 1.0)
    return change(one, takes=(*panel.takes, replace(made, id="t2", placed=panel.placed)), current="t2")


def change(one, **fields):
    panel = replace(one.panel("p"), **fields)
    return replace(one, scenes=(replace(one.scenes[0], panels=(panel,)),))


def repeats(one, model=MODEL):
    return is_repeat(job(one, model=model), one.panel("p"))


def test_the_same_once_more_is_told_whatever_its_seed_is_going_to_be():
    assert repeats(render(BOARD))
    assert repeats(render(change(BOARD, placed=(Placed(picture("tree"), 0.5, 0.5, 0.2),))))


@pytest.mark.parametrize(
    "fields",
    [
        {"instruction": "@hat off @fox"},
        {"boxes": (Region(0.1, 0.1, 0.4, 0.5, "a hat"),)},
        {"boxes": (Region(0.1, 0.1, 0.4, 0.4, "a cap"),)},
        {"boxes": ()},
        {"references": (reference("hat"), reference("coat"))},
        {"references": (replace(reference("hat"), role="layout"),)},
        {"references": (replace(reference("hat"), crop=Crop(0.1, 0.1, 0.9, 0.9)),)},
        {"mask": picture("mask")},
        {"placed": (Placed(picture("tree"), 0.5, 0.5, 0.2),)},
        {"source": Source("take", take="t2")},
        {"seed": 9, "seed_locked": True},
        {"settings": Settings(steps=3)},
        {"settings": Settings(width=512, height=512)},
        {"settings": Settings(strength=0.5)},
    ],
)
def test_whatever_a_panel_changes_is_no_repeat(fields):
    assert not repeats(change(render(BOARD), **fields))


def test_the_board_and_the_model_count_too():
    made = render(BOARD)
    assert not repeats(replace(made, style="ink"))
    assert not repeats(replace(made, cast=(member("fox", "fox2"),)))
    assert not repeats(change(made, boxes=()), SPECS["flux2-klein-4b"])


OTHER = {
    "references": (Reference("a.png", sha256="0" * 64),), "mask": Mask("m.png"), "loras": (Lora("l.safetensors"),),
    "outpaint": (0, 0, 64, 0), "prompt": "else", "model": "else", "negative": "else", "dtype": "float32", "noise": "n",
    "sampler": "ode",
}  # fmt: skip


@pytest.mark.parametrize("name", [one.name for one in dataclasses.fields(Request) if one.name != "seed"])
def test_every_field_of_a_request_is_compared_also_one_that_is_added_later(name):
    """The button had a list of what to compare, which did not know of boxes."""
    made = render(BOARD)
    asked = job(made, model=MODEL)
    value = getattr(asked.request, name)
    other = OTHER[name] if name in OTHER else not value if isinstance(value, bool) else (value or 0) + 1
    altered = dataclasses.replace(asked, request=dataclasses.replace(asked.request, **{name: other}))
    assert is_repeat(asked, made.panel("p"))
    assert not is_repeat(altered, made.panel("p"))


def test_a_picture_from_outside_is_nobodys_repeat():
    assert not repeats(change(BOARD, source=Source(), prompt="a fox"))
    assert not repeats(change(BOARD, takes=(replace(EDITED.takes[0], request=""),)))


def test_a_board_that_was_moved_still_knows_what_made_its_picture():
    made = render(BOARD)
    asked = job(made, model=MODEL)
    moved = tuple(dataclasses.replace(one, path=f"/elsewhere{one.path}") for one in asked.request.references)
    assert is_repeat(
        dataclasses.replace(asked, request=dataclasses.replace(asked.request, references=moved)), made.panel("p")
    )


def test_a_reference_that_is_drawn_anew_counts():
    figure = PanelReference("r", picture("pose1"), "pose", "pose")
    made = render(change(BOARD, references=(reference("hat"), figure)))
    assert repeats(made)
    assert not repeats(change(made, references=(reference("hat"), replace(figure, picture=picture("pose2")))))
