"""Whole frames from typed seconds: nothing drifts, nothing vanishes."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.board.data import Board, Panel, Scene
from app.interchange.job import format_timecode, list_entries
from tests.app.interchange.made_boards import Blobs, long_board


def board_of(seconds: list[float], fps: int) -> Board:
    panels = tuple(Panel(f"panel{i}", seconds=length) for i, length in enumerate(seconds))
    return Board("board", fps=fps, scenes=(Scene("scene", panels=panels),))


@pytest.mark.first_case
@pytest.mark.parametrize("fps", [24, 25, 30, 60])
@pytest.mark.parametrize("seconds", [0.51, 0.1, 1 / 3, 2.0, 4.99])
def test_a_thousand_panels_end_where_their_sum_says(tmp_path, fps, seconds):
    found = list_entries(long_board(Blobs(tmp_path), 1000, seconds, fps))
    exact = Fraction(str(seconds)) * 1000 * fps
    assert len(found) == 1000
    assert abs(found[-1].start + found[-1].frames - exact) <= Fraction(1, 2)
    assert all(abs(e.start - Fraction(str(seconds)) * (e.place - 1) * fps) <= Fraction(1, 2) for e in found)


@given(st.lists(st.floats(0.05, 60), min_size=1, max_size=60), st.integers(20, 120))
def test_panels_touch_and_last_at_least_a_frame(seconds, fps):
    found = list_entries(board_of(seconds, fps))
    assert found[0].start == 0
    assert all(e.frames >= 1 for e in found)
    assert all(a.start + a.frames == b.start for a, b in pairwise(found))
    assert abs(found[-1].start + found[-1].frames - sum(map(Fraction, map(str, seconds))) * fps) <= Fraction(1, 2)


@pytest.mark.parametrize("seconds", [0.0, -3.0, float("nan"), float("inf"), 1e-9])
def test_impossible_lengths_are_one_frame(seconds):
    assert [e.frames for e in list_entries(board_of([1.0, seconds, 1.0], 24))][1] == 1


def test_timecode():
    assert format_timecode(0, 24) == "00:00:00:00"
    assert format_timecode(24 * 3661 + 23, 24) == "01:01:01:23"
