"""Undo, redo, typing that merges, and takes that no undo loses."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.board import commands
from app.board.data import Board, Picture, Take, new_board, new_id
from app.board.history import TYPING_SECONDS, Batch, History


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


COUNTED = count(1)


def take() -> Take:
    """One with a number of its own, as boards have them."""
    picture = Picture("a" * 64, 128, 128)
    return Take(new_id(), picture, "{}", "mini", "2026-01-01T00:00:00Z", 7, number=next(COUNTED))


def typed(history: History, text: str, merge: object = "prompt") -> None:
    panel = next(history.board.panels())
    history.do("Type", commands.set_panel(history.board, panel.id, prompt=text), merge)


def prompt(history: History) -> str:
    return next(history.board.panels()).prompt


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def history(clock):
    return History(new_board(), clock=clock)


def test_a_step_is_undone_and_redone(history):
    start = history.board
    history.do("Title", commands.set_board(start, title="Bar"))
    assert (history.can_undo, history.undo_label, history.can_redo, history.redo_label) == (True, "Title", False, "")
    assert history.undo() == "Title"
    assert history.board is start
    assert (history.can_undo, history.undo_label, history.redo_label) == (False, "", "Title")
    assert history.redo() == "Title"
    assert history.board.title == "Bar"


def test_nothing_to_undo_is_an_error_and_changes_nothing(history):
    with pytest.raises(IndexError):
        history.undo()
    with pytest.raises(IndexError):
        history.redo()


def test_no_change_is_no_step(history):
    history.do("Title", commands.set_board(history.board, title=history.board.title))
    assert not history.can_undo


def test_a_new_step_forgets_what_was_undone(history):
    typed(history, "a")
    history.undo()
    typed(history, "b")
    assert not history.can_redo


def test_typing_is_one_step_while_it_is_quick(history, clock):
    for text in ("a", "ab", "abc"):
        typed(history, text)
        clock.now += TYPING_SECONDS - 0.1
    history.undo()
    assert (prompt(history), history.can_undo) == ("", False)
    history.redo()
    assert prompt(history) == "abc"


@pytest.mark.parametrize(("pause", "key"), [(TYPING_SECONDS, "prompt"), (0.1, "notes"), (0.1, None)])
def test_a_pause_another_field_or_no_key_begins_a_step(history, clock, pause, key):
    typed(history, "a")
    clock.now += pause
    typed(history, "ab", key)
    history.undo()
    assert prompt(history) == "a"


def test_typing_after_undo_does_not_join_an_older_step(history):
    typed(history, "a")
    typed(history, "x", "other")
    history.undo()
    typed(history, "ab")
    history.undo()
    assert prompt(history) == "a"


def test_typing_after_redo_begins_a_step(history):
    typed(history, "a")
    history.undo()
    history.redo()
    typed(history, "ab")
    history.undo()
    assert prompt(history) == "a"


def test_the_oldest_steps_are_dropped():
    history = History(new_board(), limit=3)
    for text in "abcde":
        typed(history, text, None)
    while history.can_undo:
        history.undo()
    assert prompt(history) == "b"


def test_a_take_survives_undo_and_redo_of_older_and_newer_steps(history):
    panel = next(history.board.panels()).id
    typed(history, "a", None)
    typed(history, "ab", None)
    history.undo()
    made = take()
    assert history.add_take(panel, made)
    assert history.redo_label == "Type"
    for go in (history.redo, history.undo, history.undo):
        go()
        assert history.board.panel(panel).take == made
    assert (prompt(history), history.can_undo) == ("", False)


def test_a_take_does_not_break_typing_into_two_steps(history):
    typed(history, "a")
    history.add_take(next(history.board.panels()).id, take())
    typed(history, "ab")
    history.undo()
    assert prompt(history) == ""
    assert next(history.board.panels()).take


def test_undoing_a_choice_still_goes_back_to_what_was_chosen(history):
    panel, (first, second, third) = next(history.board.panels()).id, (take(), take(), take())
    history.add_take(panel, first)
    history.add_take(panel, second)
    history.do("Choose", commands.choose_take(history.board, panel, first.id))
    history.add_take(panel, third)
    assert history.board.panel(panel).take == third
    history.undo()
    assert history.board.panel(panel).take == second
    assert history.board.panel(panel).takes == (first, second, third)


def test_a_take_that_is_not_to_be_current_is_so_only_where_there_is_none(history):
    panel = next(history.board.panels()).id
    first, second = take(), take()
    history.add_take(panel, first, make_current=False)
    history.add_take(panel, second, make_current=False)
    assert history.board.panel(panel).take == first


def test_a_take_for_a_removed_panel_waits_for_the_undo(history):
    panel, made = next(history.board.panels()).id, take()
    history.do("Remove", commands.remove_panels(history.board, [panel]))
    assert history.add_take(panel, made)
    assert not list(history.board.panels())
    history.undo()
    assert history.board.panel(panel).take == made


def test_a_take_for_no_panel_is_not_kept(history):
    assert not history.add_take("nobody", take())


def test_removing_a_take_is_undone(history):
    panel, made = next(history.board.panels()).id, take()
    history.add_take(panel, made)
    history.do("Remove take", commands.remove_take(history.board, panel, made.id))
    assert history.board.panel(panel).takes == ()
    history.undo()
    assert history.board.panel(panel).take == made


def test_boards_still_share_what_they_shared(history):
    board = commands.add_scene(history.board)
    for _ in range(30):
        board = commands.add_panel(board, board.scenes[1].id)
    history = History(board)
    for text in "abc":
        typed(history, text, None)
    history.add_take(next(history.board.panels()).id, take())
    assert len({id(state.scenes[1]) for state in history.boards()}) == 1
    history.add_take(board.scenes[1].panels[3].id, take())
    assert len({id(state.scenes[1]) for state in history.boards()}) == 1


@given(st.lists(st.sampled_from(["do", "undo", "redo", "take"]), max_size=60))
def test_any_order_keeps_every_take_and_counts_right(steps):
    history, made, done = History(new_board()), [], 0
    panel = next(history.board.panels()).id
    for number, step in enumerate(steps):
        if step == "do":
            typed(history, str(number), None)
            done += 1
        elif step == "take":
            made.append(take())
            history.add_take(panel, made[-1])
        elif step == "undo" and history.can_undo:
            history.undo()
            done -= 1
        elif step == "redo" and history.can_redo:
            history.redo()
            done += 1
        assert history.board.panel(panel).takes == tuple(made)
    undone: list[Board] = []
    while history.can_undo:
        history.undo()
        undone.append(history.board)
    assert (len(undone), prompt(history)) == (done, "")
    assert history.board.panel(panel).takes == tuple(made)


def test_undo_after_an_edit_shows_the_former_picture_and_keeps_the_new_one(history):
    panel = next(history.board.panels()).id
    first, second = take(), take()
    assert history.show_take(panel, first)
    assert not history.can_undo  # there was no picture before it
    typed(history, "at night")
    history.undo()
    assert history.show_take(panel, second)
    assert history.undo_label == "Render"
    history.redo()  # what was undone before is not lost by it
    assert (prompt(history), history.board.panel(panel).current) == ("at night", second.id)
    history.undo()
    history.undo()
    assert (history.board.panel(panel).current, history.board.panel(panel).takes) == (first.id, (first, second))
    history.redo()
    assert history.board.panel(panel).current == second.id
    assert not history.show_take("nobody", take())


def test_the_number_of_a_deleted_take_is_not_given_again(history):
    """Undo would bring it back beside the other one of that number."""
    panel = next(history.board.panels()).id
    first, second, third = (replace(take(), number=0) for _ in range(3))
    history.add_take(panel, first)
    history.add_take(panel, second)
    history.do("Delete", commands.remove_take(history.board, panel, second.id))
    history.show_take(panel, third)
    assert [one.number for one in history.board.panel(panel).takes] == [1, 3]
    history.undo()
    history.undo()
    assert [one.number for one in history.board.panel(panel).takes] == [1, 2, 3]


@pytest.fixture
def three(history):
    """A history of three panels with a picture each; their ids."""
    for _ in range(2):
        history.do("Add", commands.add_panel(history.board, history.board.scenes[0].id))
    ids = [panel.id for panel in history.board.panels()]
    for panel_id in ids:
        history.add_take(panel_id, take())
    return ids


def shown(history: History) -> list[str | None]:
    return [panel.current for panel in history.board.panels()]


def test_what_was_asked_for_at_once_is_one_step_whatever_is_done_meanwhile(history, three):
    before, batch, new = shown(history), Batch("Apply to All", frozenset(three)), [take() for _ in three]
    history.show_take(three[0], new[0], batch)
    typed(history, "typed meanwhile")
    for panel_id, one in zip(three[1:], new[1:], strict=True):
        history.show_take(panel_id, one, batch)
    after = [one.id for one in new]
    assert (shown(history), prompt(history)) == (after, "typed meanwhile")
    assert history.undo() == "Type"
    assert shown(history) == after
    assert history.undo() == "Apply to All"
    assert shown(history) == before
    history.redo()
    assert shown(history) == after


def test_what_comes_after_its_step_was_undone_is_seen_when_that_is_done_again(history, three):
    before, batch, new = shown(history), Batch("Render", frozenset(three)), [take() for _ in three]
    history.show_take(three[0], new[0], batch)
    history.undo()
    history.show_take(three[1], new[1], batch)
    assert shown(history) == before
    assert history.redo() == "Render"
    assert shown(history) == [new[0].id, new[1].id, before[2]]
    history.undo()
    typed(history, "and now something else")
    history.show_take(three[2], new[2], batch)
    assert shown(history) == before
    assert history.board.panel(three[2]).find_take(new[2].id)


def test_a_picture_chosen_since_is_not_taken_away_by_a_later_one_of_the_same_press(history, three):
    first, batch = three[0], Batch("Render", frozenset(three[:1]))
    older = history.board.panel(first).current
    history.show_take(first, take(), batch)
    history.do("Choose", commands.choose_take(history.board, first, older))
    history.show_take(first, later := take(), batch)
    assert shown(history)[0] == older
    history.undo()
    assert shown(history)[0] == later.id
    history.undo()
    assert shown(history)[0] == older
