"""Which panels of a scene are written out, what is told with them, and where what was written goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.board.data import Board, Member, Panel, Scene, Source
from app.board.drafts import MOST_TOLD, draft_scene, put_written
from mlx_model.writing import SHORT, list_mentions

CAST = (Member("m1", "fox", notes="red scarf"), Member("m2", "bar", role="place"))


def make(*panels, heading="INT. BAR - NIGHT"):
    return Board("b", cast=CAST, scenes=(Scene("s", heading, tuple(panels)),))


def test_descriptions_of_few_words_are_written_out_edits_and_long_ones_are_not():
    board = make(
        Panel("a", prompt="@fox comes in"),
        Panel("b", prompt="make it night", source=Source("take")),
        Panel("c", prompt="word " * SHORT),
        Panel("d"),
        Panel("e", action="He sits.", prompt="@fox sits"),
    )
    draft = draft_scene(board, board.scenes[0])
    assert draft.lines == {"a": "@fox comes in", "e": "@fox sits"}
    for part in ("red scarf", "bar (place)", "fox comes in", "He sits."):
        assert part in draft.about


@pytest.mark.sweep
@given(st.text(max_size=300), st.text(max_size=100))
def test_what_is_told_with_a_panel_mentions_nobody_and_has_an_end(words, heading):
    board = make(
        Panel("a", prompt=f"@fox {words}"[:200]), *[Panel(str(n), action=words) for n in range(40)], heading=heading
    )
    about = draft_scene(board, board.scenes[0]).about
    assert len(about) <= MOST_TOLD
    assert not list_mentions(about)


def test_words_stay_beside_it_and_what_changed_meanwhile_is_left():
    board = make(
        Panel("a", prompt="@fox comes in"), Panel("b", prompt="new", action="He sits."), Panel("c", prompt="x")
    )
    lines = {"a": "@fox comes in", "b": "old", "c": "x", "gone": "y"}
    after = put_written(board, lines, {"a": "A red @fox.", "b": "He.", "c": "", "gone": "z"})
    assert [(one.words, one.prompt, one.action) for one in after.panels()] == [
        ("A red @fox.", "@fox comes in", ""), ("new", "new", "He sits."), ("x", "x", ""),
    ]  # fmt: skip
    assert [*draft_scene(after, after.scenes[0]).lines] == ["b", "c"]  # what is written out is not asked for again
