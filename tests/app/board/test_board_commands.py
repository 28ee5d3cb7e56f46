"""What each command promises beyond what a thousand random steps show."""

import pytest
from msgspec.structs import replace

from app.board import commands
from app.board.data import (
    COLOURS,
    Member,
    Panel,
    PanelReference,
    Picture,
    Source,
    Take,
    free_name,
    new_board,
    new_id,
    numbers,
    reference_names,
)
from app.board.seen import look, names, see
from app.fluxboard.codec import decode, encode
from mlx_model.errors import Refused

SHOT, HAT, CAT = (Picture(letter * 64, 64, 64, f"{letter}.png") for letter in "abc")


def take(number: int = 1) -> Take:
    return Take(f"t{number}", SHOT, "{}", "mini", "2026-01-01T00:00:00Z", number, number=number)


@pytest.fixture
def board():
    """Scene s1 with p1 to p3, scene s2 with p4; a cast of gull and gull-red."""
    board = replace(new_board(), scenes=())
    board = commands.add_scene(commands.add_scene(board), heading="two")
    scenes = [replace(scene, id=name) for scene, name in zip(board.scenes, ("s1", "s2"), strict=True)]
    board = replace(board, scenes=tuple(scenes))
    for number, scene in ((1, "s1"), (2, "s1"), (3, "s1"), (4, "s2")):
        board = commands.add_panel(board, scene, panel=Panel(f"p{number}"))
    board = commands.add_member(board, Member("m1", "gull", colour=COLOURS[0], pictures=(CAT, HAT)))
    return commands.add_member(board, Member("m2", "gull-red", colour=COLOURS[1], pictures=(HAT,)))


def order(board) -> list[list[str]]:
    return [[panel.id for panel in scene.panels] for scene in board.scenes]


def test_moved_panels_keep_their_order_and_the_first_is_where_it_was_told(board):
    assert order(commands.move_panels(board, ["p3", "p1"], "s1", 1)) == [["p2", "p1", "p3"], ["p4"]]
    assert order(commands.move_panels(board, ["p4", "p2"], "s1", 0)) == [["p2", "p4", "p1", "p3"], []]
    assert order(commands.move_panels(board, ["p1"], "s2")) == [["p2", "p3"], ["p4", "p1"]]
    assert numbers(commands.move_panels(board, ["p1"], "s2"))["p1"] == "2B"


def test_nonsense_is_refused(board):
    for error, call in (
        (Refused, lambda: commands.remove_panels(board, ["p1", "nobody"])),
        (Refused, lambda: commands.add_panel(board, "nowhere")),
        (Refused, lambda: commands.set_panel(board, "nobody", prompt="x")),
        (Refused, lambda: commands.set_panel(board, "p1", source=Source("panel", "nobody"))),
        (Refused, lambda: commands.choose_take(board, "p1", "t")),
        (Refused, lambda: commands.remove_member(board, "m9")),
        (Refused, lambda: commands.set_panel(board, "p1", source=Source("panel", "p1"))),
        (ValueError, lambda: commands.set_panel(board, "p1", takes=())),
        (ValueError, lambda: commands.set_panel(board, "p1", wrong=1)),
        (Refused, lambda: commands.set_panel(board, "p1", prompt=3)),
        (Refused, lambda: commands.set_panel(board, "p1", seconds=float("inf"))),
        (Refused, lambda: commands.set_board(board, fps=0)),
        (ValueError, lambda: commands.set_board(board, scenes=())),
        (Refused, lambda: commands.move_scene(board, "s1", 2)),
        (Refused, lambda: commands.add_panel(board, "s1", 9)),
        (ValueError, lambda: commands.add_panel(board, "s1", panel=Panel("p4"))),
        (Refused, lambda: commands.set_member(board, "m1", name="gull-RED")),
        (Refused, lambda: commands.set_member(board, "m1", name="two words")),
        (Refused, lambda: commands.set_member(board, "m1", name="12")),
        (Refused, lambda: commands.apply_to_all(board, ["p1"], "make it night")),
    ):
        with pytest.raises(error):
            call()


def test_half_a_surrogate_pair_is_replaced_as_no_file_could_hold_it(board):
    assert commands.set_panel(board, "p1", prompt="a\ud83db").panel("p1").prompt == "a?b"


def test_a_renamed_member_is_renamed_in_every_prompt_and_nowhere_else(board):
    text = r"@gull, @Gull's @gull-red image @gull \@gull a@gull.com @gulls @1"
    board = commands.set_board(commands.set_panel(board, "p4", prompt=text), style="like @gull.")
    board = commands.set_member(board, "m1", name="Möwe")
    renamed = r"@Möwe, @Möwe's @gull-red image @Möwe \@gull a@gull.com @gulls @1"
    assert (board.panel("p4").prompt, board.style) == (renamed, "like @Möwe.")


def test_names_that_swap_do_not_mix(board):
    board = commands.set_panel(board, "p1", prompt="@gull @gull-red")
    for member, name in (("m1", "x"), ("m2", "gull"), ("m1", "gull-red")):
        board = commands.set_member(board, member, name=name)
    assert board.panel("p1").prompt == "@gull-red @gull"


def test_a_panel_s_own_picture_gives_way_to_a_member_of_its_name_with_its_mentions(board):
    board = commands.add_reference(board, "p1", PanelReference("r", SHOT, name="owl"))
    board = commands.set_panel(board, "p1", prompt="@owl at sea")
    board = commands.add_member(board, Member("m3", "Owl"))
    assert (reference_names(board, board.panel("p1")), board.panel("p1").prompt) == (["owl-2"], "@owl-2 at sea")


def test_a_removed_member_leaves_panels_as_they_were(board):
    board = commands.add_reference(board, "p1", commands.member_reference(board.member("m1"), 1))
    board = commands.set_panel(board, "p1", prompt="@gull at sea")
    before = names(see(board, board.panel("p1")))
    board = commands.remove_member(board, "m1")
    reference = board.panel("p1").references[0]
    assert (reference.member, reference.name, reference.picture, reference.colour) == (None, "gull", HAT, COLOURS[0])
    assert (names(see(board, board.panel("p1"))), board.panel("p1").prompt) == (before, "@gull at sea")


def test_references_get_free_names_and_colours(board):
    board = commands.add_reference(board, "p1", commands.member_reference(board.member("m1")))
    for name in ("gull", "", "a b.c"):
        board = commands.add_reference(board, "p1", PanelReference(new_id(), SHOT, name=name))
    references = board.panel("p1").references
    assert [r.name for r in references] == ["gull", "gull-2", "a", "a-b-c"]
    assert len({r.colour for r in references}) == 4
    with pytest.raises(Refused, match="already"):
        commands.add_reference(board, "p1", commands.member_reference(board.member("m1")))
    board = commands.add_reference(board, "p1", commands.member_reference(board.member("m1"), 1))
    assert reference_names(board, board.panel("p1"))[-1] == ""


def test_an_eleventh_reference_is_refused(board):
    for _ in range(10):
        board = commands.add_reference(board, "p1", PanelReference(new_id(), SHOT))
    assert len({r.colour for r in board.panel("p1").references}) == 10
    with pytest.raises(Refused, match="10 references"):
        commands.add_reference(board, "p1", PanelReference(new_id(), SHOT))


def test_a_reference_renamed_follows_into_the_prompt(board):
    board = commands.add_reference(board, "p1", PanelReference("r", SHOT, name="hat"))
    board = commands.set_panel(board, "p1", prompt="@hat on @gull")
    board = commands.set_reference(board, "p1", "r", name="cap")
    assert board.panel("p1").prompt == "@cap on @gull"
    for name in ("gull", "two words"):
        with pytest.raises(Refused, match="taken"):
            commands.set_reference(board, "p1", "r", name=name)


def test_references_move_to_the_place_that_is_told(board):
    for name in "abc":
        board = commands.add_reference(board, "p1", PanelReference(name, SHOT, name=name))
    for wanted, at, after in (("a", 2, "bca"), ("c", 0, "cab"), ("b", 1, "abc")):
        moved = commands.move_reference(board, "p1", wanted, at)
        assert "".join(r.id for r in moved.panel("p1").references) == after


def test_continue_from_goes_on_right_behind_with_the_references(board):
    board = commands.add_reference(board, "p1", commands.member_reference(board.member("m1")))
    board = commands.continue_from(board, "p1", new := "p9")
    assert order(board)[0] == ["p1", new, "p2", "p3"]
    follower = board.panel(new)
    assert (follower.source, follower.prompt, follower.takes) == (Source("panel", "p1"), "", ())
    assert [(r.picture, r.member) for r in follower.references] == [(CAT, "m1")]
    assert follower.references[0].id != board.panel("p1").references[0].id


def test_what_starts_from_a_removed_panel_starts_from_nothing(board):
    board = commands.set_panel(board, "p4", source=Source("panel", "p1"))
    board = commands.set_mask(board, "p4", HAT)
    board = commands.remove_scene(board, "s1")
    assert (order(board), board.panel("p4").source, board.panel("p4").mask) == ([["p4"]], Source(), None)


def test_another_source_drops_the_mask_that_was_painted_on_the_old_one(board):
    board = commands.set_mask(board, "p1", HAT)
    assert commands.set_panel(board, "p1", prompt="x").panel("p1").mask == HAT
    assert commands.set_panel(board, "p1", source=Source("take")).panel("p1").mask is None
    assert commands.set_panel(board, "p1", source=Source("take"), mask=CAT).panel("p1").mask == CAT


def test_copies_stand_behind_the_last_and_start_from_copies(board):
    board = commands.set_panel(board, "p2", source=Source("panel", "p1"))
    board = commands.set_panel(board, "p3", source=Source("panel", "p4"))
    board = commands.add_take(commands.add_take(board, "p1", take(1)), "p1", take(2))
    board = commands.choose_take(board, "p1", "t1")
    board = commands.duplicate_panels(board, ["p3", "p1", "p2"])
    first, second, third = board.scenes[0].panels[3:]
    assert order(board)[0][:3] == ["p1", "p2", "p3"]
    assert (second.source, third.source) == (Source("panel", first.id), Source("panel", "p4"))
    assert (first.take.seed, [t.seed for t in first.takes]) == (1, [1, 2])
    assert not {t.id for t in first.takes} & {"t1", "t2"}


def test_takes_are_chosen_and_removed(board):
    for number in (1, 2, 3):
        board = commands.add_take(board, "p1", take(number), make_current=number != 2)
    assert board.panel("p1").current == "t3"
    assert commands.remove_take(board, "p1", "t1").panel("p1").current == "t3"
    board = commands.remove_take(board, "p1", "t3")
    assert board.panel("p1").current == "t2"
    board = commands.remove_take(commands.remove_take(board, "p1", "t2"), "p1", "t1")
    assert (board.panel("p1").current, board.panel("p1").take) == (None, None)
    with pytest.raises(ValueError, match="has a take"):
        commands.add_take(commands.add_take(board, "p1", take(1)), "p1", take(1))


def test_apply_to_all_edits_what_has_a_take_and_leaves_the_rest(board):
    board = commands.add_take(commands.add_take(board, "p1", take(1)), "p4", take(2))
    board = commands.set_mask(commands.set_panel(board, "p4", source=Source("take")), "p4", HAT)
    after = commands.apply_to_all(board, ["p1", "p2", "p4"], "make it night")
    for panel_id in ("p1", "p4"):
        panel = after.panel(panel_id)
        assert (panel.instruction, panel.source, panel.mask) == ("make it night", Source("take"), None)
        assert panel.prompt == board.panel(panel_id).prompt
    assert after.panel("p2") == board.panel("p2")


@pytest.mark.parametrize(
    ("wanted", "taken", "got"),
    [
        ("gull", (), "gull"),
        ("VR headset.png", (), "VR-headset-png"),
        ("  ", (), "picture"),
        ("123", (), "picture-123"),
        ("Gull", ("gull", "GULL-2"), "Gull-3"),
        ("e\u0301t\u00e9", (), "\u00e9t\u00e9"),
        ("猫", ("猫",), "猫-2"),
        ("x" * 99, (), "x" * 40),
    ],
)
def test_free_names(wanted, taken, got):
    assert free_name(wanted, taken) == got


@pytest.mark.parametrize(
    "command",
    [
        lambda board: commands.set_panel(board, "gone", prompt="x"),
        lambda board: commands.set_panel(board, "p1", seconds=0.0),
        lambda board: commands.set_panel(board, "p1", seconds="long"),
        lambda board: commands.set_panel(board, "p1", prompt="x" * 200_000),
        lambda board: commands.set_panel(board, "p1", source=Source("panel", "p1")),
        lambda board: commands.set_board(board, aspect=(0, 1)),
        lambda board: commands.set_board(board, fps=0),
        lambda board: commands.move_scene(board, "s1", 7),
        lambda board: commands.remove_panels(board, ["p1", "gone"]),
        lambda board: commands.choose_take(board, "p1", "gone"),
        lambda board: commands.set_member(board, "m1", name="gull-red"),
        lambda board: commands.set_member(board, "m1", colour="red"),
        lambda board: commands.set_member(board, "gone", notes="x"),
        lambda board: commands.apply_to_all(board, ["p1"], "make it night"),
    ],
)
def test_what_a_command_refuses_is_a_sentence(board, command):
    with pytest.raises(Refused, match=r"^[A-Z0-9'].*[.]") as caught:
        command(board)
    assert caught.value.message[-1] == "."


def test_a_mistake_of_the_caller_is_none(board):
    """Nobody who reads "that can't be done" can do anything about it."""
    with pytest.raises(ValueError, match="no colour to set"):
        commands.set_panel(board, "p1", colour="#000000")


def test_an_edit_is_tried_again_from_its_start_until_one_goes_on(board):
    board = commands.set_panel(commands.add_take(board, "p1", take(1)), "p1", source=Source("take"))
    board = commands.add_take(board, "p1", replace(take(2), parent="t1"))
    panel = board.panel("p1")
    assert (panel.current, panel.source) == ("t2", Source("take", take="t1"))
    assert look(board).find_start(panel).id == "t1"
    on = commands.set_panel(board, "p1", source=Source("take"))
    assert look(on).find_start(on.panel("p1")).id == "t2"
    gone = commands.remove_take(board, "p1", "t1").panel("p1")
    assert (gone.source, gone.take.parent) == (Source("take"), "t1")


def test_a_copy_of_a_panel_has_a_tree_of_its_own(board):
    board = commands.add_take(commands.add_take(board, "p1", take(1)), "p1", replace(take(2), parent="t1"))
    board = commands.set_panel(board, "p1", source=Source("take", take="t1"))
    copy = commands.duplicate_panels(board, ["p1"]).scenes[0].panels[1]
    assert copy.takes[1].parent == copy.takes[0].id == copy.source.take != "t1"


def test_a_panel_whose_start_is_deleted_keeps_its_words(board):
    board = commands.set_panel(board, "p2", instruction="make it night", source=Source("panel", "p1"))
    panel = commands.remove_panels(board, ["p1"]).panel("p2")
    assert (panel.source, panel.words, panel.prompt) == (Source(), "make it night", "make it night")


def test_a_take_is_starred_and_its_facts_stay(board):
    board = commands.set_take(commands.add_take(board, "p1", take(1)), "p1", "t1", star=True)
    assert board.panel("p1").takes[0] == replace(take(1), star=True)
    with pytest.raises(ValueError, match="no parent"):
        commands.set_take(board, "p1", "t1", parent="t2")


def test_names_follow_into_the_instruction_too(board):
    board = commands.set_panel(board, "p1", prompt="@gull", instruction="turn @gull", source=Source("take"))
    panel = commands.set_member(board, "m1", name="tern").panel("p1")
    assert (panel.prompt, panel.instruction) == ("@tern", "turn @tern")


def test_takes_keep_their_numbers_when_one_is_deleted(board):
    """The third was called the second from then on, also in names of files and in the history."""
    bare = [replace(take(place), number=0) for place in (1, 2, 3)]
    for one in bare:
        board = commands.add_take(board, "p1", one)
    board = commands.remove_take(board, "p1", "t2")
    assert [one.number for one in board.panel("p1").takes] == [1, 3]
    twin = commands.duplicate_panels(board, ["p1"]).scenes[0].panels[1]
    assert [one.number for one in twin.takes] == [1, 3]


def test_a_board_without_numbers_of_takes_gets_them(board):
    for place in (1, 2):
        board = commands.add_take(board, "p1", take(place))
    old = encode(board).replace(b',"number":1', b"").replace(b',"number":2', b"")
    assert b'"number"' not in old
    assert [one.number for one in decode(old)[0].panel("p1").takes] == [1, 2]
    twice = encode(board).replace(b',"number":2', b',"number":1')
    assert [one.number for one in decode(twice)[0].panel("p1").takes] == [1, 2]


def test_a_chosen_take_is_what_the_next_change_starts_from(board):
    for place in (1, 2):
        board = commands.add_take(board, "p1", take(place))
    pinned = commands.set_panel(board, "p1", source=Source("take", take="t2"))
    assert commands.turn_to_take(pinned, "p1", "t1").panel("p1").source == Source("take")
    masked = commands.set_panel(pinned, "p1", mask=SHOT)
    kept = commands.turn_to_take(masked, "p1", "t1").panel("p1")
    assert (kept.current, kept.source.take, kept.mask) == ("t1", "t2", SHOT), "a mask is not lost by a look"
    linked = commands.set_panel(board, "p1", source=Source("panel", "p2"))
    assert commands.turn_to_take(linked, "p1", "t1").panel("p1").source.panel == "p2"
    words = commands.set_panel(board, "p1", source=Source())
    assert commands.turn_to_take(words, "p1", "t1").panel("p1").source == Source()


def test_a_reference_is_called_by_what_its_picture_is(board):
    """A take dragged from the history was called 1C-png, a character."""
    board = commands.add_take(board, "p1", replace(take(1), picture=replace(SHOT, name="1C.png")))
    board = commands.add_take(board, "p1", replace(take(2), picture=Picture("d" * 64, 64, 64, "1C.png")))
    own, other = board.panel("p1"), board.panel("p2")
    (first, second), file = (one.picture for one in own.takes), Picture("e" * 64, 64, 64, "old.sofa")
    named = [(one.name, one.role) for one in (
        commands.refer_to(board, own, second), commands.refer_to(board, other, second),
        commands.refer_to(board, other, first), commands.refer_to(board, own, file),
    )]  # fmt: skip
    assert named == [("Take-2", "composition"), ("Panel-1A", "composition"), ("Panel-1A-Take-1", "composition"),
                     ("old.sofa", "character")]  # fmt: skip
    known = PanelReference(new_id(), file, "prop", "couch")
    board = commands.add_reference(board, "p2", known)
    again = commands.refer_to(board, own, file)
    assert (again.name, again.role) == ("couch", "prop")
    assert again.id != known.id
    member = next(one for one in board.cast if one.pictures)
    assert commands.refer_to(board, own, member.pictures[0]).member == member.id
