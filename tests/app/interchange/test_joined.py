"""What was imported joins a board that is there."""

import pytest
from msgspec.structs import replace

from app.board import commands
from app.board.data import Board, Member, Panel, PanelReference, Picture, Scene, Source, new_board, new_id
from app.board.seen import names, see
from app.fluxboard.codec import check
from app.interchange.formats import import_board
from app.interchange.joined import Naming, join_boards
from mlx_model.errors import Refused
from mlx_model.request import MAX_TEXT

CAT = Picture("c" * 64, 64, 64)


def harbour() -> Board:
    cast = (Member("m", "Ana", pictures=(CAT,)),)
    return Board(
        "b", cast=cast, scenes=(Scene("s", "INT. A", (Panel("p", "x"),)), Scene("t", panels=(Panel("q", "y"),)))
    )


def script() -> Board:
    panels = (Panel("p", "@Ana meets @Ben", references=(PanelReference("r", CAT, member="1"),)),
              Panel("f", instruction="make it night", source=Source("panel", "p")))  # fmt: skip
    return Board("o", cast=(Member("1", "ana"), Member("2", "Ben")), scenes=(Scene("s", "EXT. B", panels),))


@pytest.mark.parametrize(("behind", "order"), [(None, ["INT. A", "", "EXT. B"]), ("s", ["INT. A", "EXT. B", ""])])
def test_scenes_come_behind_and_who_has_the_same_name_is_the_same(behind, order):
    board, notes = join_boards(harbour(), script(), behind)
    check(board)
    assert [scene.heading for scene in board.scenes] == order
    assert [(member.name, len(member.pictures)) for member in board.cast] == [("Ana", 1), ("Ben", 0)]
    scene = next(one for one in board.scenes if one.heading == "EXT. B")
    first, second = scene.panels
    assert len({panel.id for panel in board.panels()}) == 4
    assert (first.references[0].member, second.source.panel) == ("m", first.id)
    assert names(see(board, first)) == ["Ana", "Ben"]
    assert board.cast[1].colour != board.cast[0].colour
    assert notes == ["Added 2 panels in 1 scene, 1 member of the cast.", "Of the cast it mentions @Ana in 1 panel."]


def test_a_new_board_gives_way_and_one_with_words_does_not():
    untouched = new_board()
    assert len(join_boards(untouched, script())[0].scenes) == 1
    begun = commands.set_panel(untouched, next(untouched.panels()).id, prompt="a gull")
    assert len(join_boards(begun, script())[0].scenes) == 2


def test_more_than_a_board_holds_is_refused_and_changes_nothing():
    many = replace(script(), scenes=tuple(Scene(f"s{n}") for n in range(2000)))
    with pytest.raises(Refused, match="scenes"):
        join_boards(harbour(), many)


SAID = {
    "the GULL lands, a gull, Gull's wing": "the @Gull lands, a @Gull, @Gull's wing",
    "seagull, gulls, gull-like, sea-gull, me@gull, \\@gull": "seagull, gulls, gull-like, sea-gull, me@gull, \\@gull",
    "an old man and an Old-Man": "an @Old-Man and an @Old-Man",
    "@Gull waits": "@Gull waits",
    "nobody": "nobody",
}


@pytest.mark.parametrize("text", SAID)
def test_names_of_the_cast_are_mentioned_in_any_case_as_whole_words(text):
    assert Naming(["Gull", "Old-Man"]).mention(text) == SAID[text]


def test_what_is_imported_into_a_board_mentions_its_cast_and_says_so(tmp_path):
    board = commands.add_member(harbour(), Member(new_id(), "bartender"))
    path = tmp_path / "day.fountain"
    path.write_text("INT. BAR - NIGHT\n\nThe bartender looks at a robot.\n\nA robot sings. The Bartender hums.\n")
    joined, notes = join_boards(board, import_board(path, lambda _: None).board)
    prompts = [panel.prompt for panel in joined.scenes[-1].panels]
    assert prompts == ["The @bartender looks at a robot.", "A robot sings. The @bartender hums."]
    assert joined.scenes[-1].panels[0].action == "The bartender looks at a robot."
    assert notes[-1] == "Of the cast it mentions @bartender in 2 panels."


def test_a_text_that_would_become_too_long_stays():
    text = "gull " * (MAX_TEXT // 5)
    naming = Naming(["gull"])
    assert naming.mention(text) == text
    assert naming.say() == ""
