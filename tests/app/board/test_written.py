"""What was written out stands beside the artist's words: which of the two counts, and what follows renames."""

import pytest

from app.board import commands
from app.board.data import Member, Panel, Source, new_board, new_id
from app.board.drafts import use_written, write_beside
from app.board.written import KEPT
from app.fluxboard.codec import decode, encode
from mlx_model.errors import Refused

LONG = "A grey gull on a wet beach."


@pytest.fixture
def board():
    made = new_board()
    return commands.set_panel(made, made.scenes[0].panels[0].id, prompt="a gull")


def only(board):
    return board.scenes[0].panels[0]


def test_it_is_used_and_the_own_words_stay(board):
    panel = only(write_beside(board, only(board).id, LONG))
    assert (panel.words, panel.own_words, panel.prompt) == (LONG, "a gull", "a gull")
    back = only(use_written(write_beside(board, panel.id, LONG), panel.id, False))
    assert (back.words, back.written[0].text) == ("a gull", LONG)


def test_other_own_words_count_at_once_and_the_old_ones_find_theirs_again(board):
    written = write_beside(board, only(board).id, LONG)
    changed = commands.set_panel(written, only(board).id, prompt="a dog")
    assert only(changed).words == "a dog"
    with pytest.raises(Refused, match="Nothing was written out"):
        use_written(changed, only(board).id, True)
    assert only(commands.set_panel(changed, only(board).id, prompt="a gull ")).words == LONG


def test_description_and_instruction_have_their_own(board):
    panel_id = only(board).id
    board = write_beside(board, panel_id, LONG)
    board = commands.set_panel(board, panel_id, source=Source("take"), instruction="make it night")
    assert only(board).words == "make it night"
    board = write_beside(board, panel_id, "It is night, the moon shines.")
    assert only(board).words == "It is night, the moon shines."
    assert only(commands.set_panel(board, panel_id, source=Source())).words == LONG


def test_what_was_written_of_older_words_goes_at_last(board):
    for number in range(2 * KEPT):
        board = commands.set_panel(board, only(board).id, prompt=f"gull {number}")
        board = write_beside(board, only(board).id, f"A gull, {number}.")
    assert [one.own for one in only(board).written] == [f"gull {number}" for number in range(KEPT, 2 * KEPT)]


def test_a_member_s_new_name_follows_into_both(board):
    board = commands.add_member(board, Member(new_id(), "gull"))
    board = commands.set_panel(board, only(board).id, prompt="@gull lands")
    board = write_beside(board, only(board).id, "A grey bird, @gull, lands.")
    board = commands.set_member(board, board.cast[0].id, name="bird")
    assert (only(board).own_words, only(board).words) == ("@bird lands", "A grey bird, @bird, lands.")


def test_it_is_saved_and_boards_without_it_are_read(board):
    assert decode(encode(write_beside(board, only(board).id, LONG)))[0] == write_beside(board, only(board).id, LONG)
    old = encode(board).replace(b',"written":[]', b"")
    assert b"written" not in old
    assert decode(old) == (board, [])
    with pytest.raises(Refused):
        commands.set_panel(board, only(board).id, written=only(write_beside(board, only(board).id, LONG)).written * 101)


def test_an_empty_panel_has_none():
    assert Panel("a").written_out is None
