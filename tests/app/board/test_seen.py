"""The order in which a model sees a panel's pictures."""

import msgspec
import pytest

from app.board.data import Board, Member, Panel, PanelReference, Picture, Scene, Source, Take
from app.board.seen import is_out_of_date, list_out_of_date, list_unknown, look, names, see
from mlx_model.specs import SPECS
from mlx_model.training import mini_words

CAT, HAT, BAR, TAKE = (Picture(letter * 64, 64, 64) for letter in "abcd")
GULL, OWL = Member("m1", "gull", "character", "#111111", (CAT,)), Member("m2", "owl", "prop", "#222222", (BAR,))


def board(panel: Panel, *others: Panel, style: str = "") -> Board:
    return Board("b", cast=(GULL, OWL), style=style, scenes=(Scene("s", panels=(panel, *others)),))


def take(picture: Picture) -> Take:
    return Take("t", picture, "{}", "mini", "2026-01-01T00:00:00Z", 1)


def test_source_then_references_then_mentioned_members():
    panel = Panel(
        "p",
        instruction="@owl wears @hat, @2",
        source=Source("take"),
        takes=(take(TAKE),),
        current="t",
        references=(PanelReference("r1", HAT, name="hat", colour="#333333"), PanelReference("r2", CAT, member="m1")),
    )
    shown = see(board(panel), panel)
    assert [one.kind for one in shown] == ["source", "reference", "reference", "cast"]
    assert [one.picture for one in shown] == [TAKE, HAT, CAT, BAR]
    assert names(shown) == ["", "hat", "gull", "owl"]
    assert [one.colour for one in shown[1:]] == ["#333333", "#111111", "#222222"]


def test_the_style_and_another_text_count_too_and_a_member_comes_once():
    panel = Panel("p", prompt="@owl")
    assert names(see(board(panel, style="like @gull and @owl"), panel)) == ["owl", "gull"]
    assert names(see(board(panel), panel, "@GULL twice, @gull")) == ["gull"]


def test_a_number_never_brings_in_a_member_and_a_reference_s_name_wins():
    panel = Panel("p", prompt="@1 @3 @gull", references=(PanelReference("r", HAT, name="Gull"),))
    assert [one.picture for one in see(board(panel), panel)] == [HAT]


def test_the_first_of_two_pictures_with_a_name_carries_it():
    two = tuple(PanelReference(f"r{i}", picture, member="m1") for i, picture in enumerate((CAT, HAT)))
    assert names(see(board(Panel("p", references=two)), Panel("p", references=two))) == ["gull", ""]


@pytest.mark.parametrize("source", [Source("take"), Source("panel", "gone"), Source("panel", "q")])
def test_a_source_that_is_not_there_keeps_its_number(source):
    panel = Panel("p", source=source, references=(PanelReference("r", HAT, name="hat"),))
    shown = see(board(panel, Panel("q")), panel)
    assert [(one.kind, one.picture) for one in shown] == [("source", None), ("reference", HAT)]


def test_another_panel_as_source():
    panel = Panel("p", source=Source("panel", "q"))
    other = msgspec.structs.replace(Panel("q"), takes=(take(BAR),), current="t")
    assert [one.picture for one in see(board(panel, other), panel)] == [BAR]


def test_out_of_date_is_what_continues_a_picture_that_was_replaced():
    def made(name: str, parent: str | None = None) -> Take:
        return msgspec.structs.replace(take(TAKE), id=name, parent=parent)

    origin = Panel("p", takes=(made("a"), made("b")), current="a")
    follower = Panel("q", source=Source("panel", "p"), takes=(made("c", "a"),), current="c")
    assert list_out_of_date(board(origin, follower)) == ()
    replaced = msgspec.structs.replace(origin, current="b")
    assert list_out_of_date(board(replaced, follower)) == ("q",)
    deleted = msgspec.structs.replace(follower, takes=(made("c", "gone"),))
    changed = msgspec.structs.replace(follower, takes=(made("c", "a"), made("d", "c")), current="d")
    for panel in (deleted, changed):
        assert is_out_of_date(board(replaced, panel), panel)
    ring = msgspec.structs.replace(follower, takes=(made("c", "d"), made("d", "c")))
    drawn = msgspec.structs.replace(follower, takes=(made("c"),))
    alone = msgspec.structs.replace(follower, source=Source())
    later = msgspec.structs.replace(made("b"), made="2026-12-01T00:00:00Z")
    anew = msgspec.structs.replace(origin, takes=(made("a"), later), current="b")
    assert is_out_of_date(board(anew, drawn), drawn)
    for panel in (ring, drawn, alone, Panel("q", source=Source("panel", "p"))):
        assert not is_out_of_date(board(replaced, panel), panel)


def follow(name: str, origin: str, parent: str) -> Panel:
    """A panel that continues `origin`, made from its take `parent`."""
    made = msgspec.structs.replace(take(TAKE), id=f"take of {name}", parent=parent)
    return Panel(name, source=Source("panel", origin), takes=(made,), current=made.id)


def test_a_chain_is_out_of_date_from_the_replaced_picture_on_each_behind_what_it_continues():
    first, second = (msgspec.structs.replace(take(TAKE), id=name) for name in "ab")
    origin = Panel("p", takes=(first, second), current="b")
    last, middle = follow("r", "q", "take of q"), follow("q", "p", "a")
    whole = board(last, middle, origin, follow("other", "q", "gone"))
    assert list_out_of_date(whole) == ("q", "r", "other")
    assert is_out_of_date(whole, last)
    assert list_out_of_date(board(origin, follow("q", "p", "b"), last)) == ()


def test_what_continues_itself_in_a_circle_is_listed_once():
    ring = board(follow("p", "q", "take of q"), follow("q", "p", "take of p"), Panel("x"))
    assert list_out_of_date(ring) == ()
    panel = follow("q", "p", "take of p")
    more = (*panel.takes, msgspec.structs.replace(take(TAKE), id="new"))
    turned = board(follow("p", "q", "take of q"), msgspec.structs.replace(panel, takes=more, current="new"))
    assert sorted(list_out_of_date(turned)) == ["p", "q"]


def test_a_take_that_was_made_from_another_panel_says_which():
    origin = Panel("p", takes=(msgspec.structs.replace(take(TAKE), id="a"),))
    follower = follow("q", "p", "a")
    sight = look(board(origin, follower))
    assert (sight.number_makers(follower), sight.number_makers(origin)) == ({"a": "1A"}, {})


def test_places_of_headings_that_the_built_in_model_never_learned():
    """They came out as others, and nothing was said."""
    headings = ("INT. KITCHEN - DAY", "EXT. BEACH - NIGHT", "INT. - DAY", "INT. KITCHEN", "EXT. ROOFTOP")
    panels = [Panel(f"p{place}", in_place=place != 4) for place in range(5)]
    scenes = tuple(Scene(f"s{i}", heading=one, panels=(panels[i],)) for i, one in enumerate(headings))
    shown, mini = Board("b", scenes=scenes), SPECS["mini"]
    found = [look(shown).find_unknown(panel, mini) for panel in panels]
    assert found == ["kitchen", "", "", "kitchen", ""], "the last one's place is taken off"
    assert list_unknown(shown, mini) == ["kitchen"]
    assert list_unknown(shown, SPECS["flux2-klein-4b"]) == []
    assert look(shown).find_unknown(panels[0], None) == ""


def test_the_built_in_model_s_places_are_those_of_its_training():
    phrases = [phrase.split() for words in (mini_words.AT, mini_words.NOUN) for row in words.values() for phrase in row]
    places = SPECS["mini"].places
    assert all(places & set(words) for words in phrases)
    assert all(any(place in words for words in phrases) for place in places)
