"""What the camera sees, by the move's name and as drawn."""

import math

import pytest
from msgspec.structs import replace

from app.board import commands
from app.board.camera import WHOLE, Camera, Frame, find_way, keep_inside, look_through, moves
from app.board.data import new_board
from mlx_model.errors import Refused


def test_a_move_by_its_name_goes_where_it_says_and_softly():
    assert find_way(Camera(move="push in")) == (WHOLE, Frame(0.5, 0.5, 0.7))
    assert find_way(Camera(move="pull out")) == find_way(Camera(move="push in"))[::-1]
    pan = [look_through(Camera(move="pan"), share).x for share in (0, 0.1, 0.5, 0.9, 1)]
    assert pan == sorted(pan)
    assert pan[1] - pan[0] < (pan[2] - pan[1]) / 4
    assert (pan[0], pan[2], pan[4]) == pytest.approx((0.4, 0.5, 0.6))
    assert [moves(Camera(move=move)) for move in ("", "static", "handheld", "tilt")] == [False, False, False, True]


def test_what_is_drawn_wins_and_the_other_end_stays():
    drawn = Camera(move="push in", end=Frame(0.2, 0.3, 0.4))
    assert find_way(drawn) == (WHOLE, Frame(0.2, 0.3, 0.4))
    assert look_through(drawn, 7) == Frame(0.2, 0.3, 0.4)


@pytest.mark.parametrize("frame", [Frame(0.1, 0.5, 0.5), Frame(width=0.01), Frame(width=2.0)])
def test_a_frame_outside_the_picture_is_refused(frame):
    board = new_board()
    panel = next(board.panels())
    with pytest.raises(Refused, match="within the picture"):
        commands.set_panel(board, panel.id, camera=replace(panel.camera, end=frame))
    assert keep_inside(frame.x, frame.y, frame.width).fits
    assert not Frame(x=math.nan).fits
