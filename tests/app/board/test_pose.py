"""Stick figures: joints pull what hangs on them, left and right change places in a mirror, a board keeps them."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.board import commands, pose
from app.board.data import Panel, PanelReference, Picture, Scene, new_board
from app.board.pose import JOINTS, POSES
from app.fluxboard.codec import decode, encode
from mlx_model.errors import Refused

STANDING = POSES["Standing"]
ELBOW, HAND, NECK, HIP = (JOINTS.index(name) for name in ("left elbow", "left hand", "neck", "left hip"))


def near(one, other):
    flat = [side for point in (*one.joints, (one.height, 0)) for side in point]
    assert flat == pytest.approx([side for point in (*other.joints, (other.height, 0)) for side in point], abs=1e-9)


def test_an_elbow_takes_its_hand_along_unless_alone():
    moved = pose.pull_joint(STANDING, ELBOW, (0.3, 0.3))
    (x, y), (was_x, was_y) = moved.joints[HAND], STANDING.joints[HAND]
    elbow = STANDING.joints[ELBOW]
    assert (x - was_x, y - was_y) == pytest.approx((0.3 - elbow[0], 0.3 - elbow[1]))
    assert pose.pull_joint(STANDING, ELBOW, (0.3, 0.3), alone=True).joints[HAND] == STANDING.joints[HAND]
    assert moved.joints[NECK] == STANDING.joints[NECK]


def test_the_neck_takes_head_and_arms_and_the_hips_stay():
    moved = pose.pull_joint(STANDING, NECK, (0.1, 0.3))
    changed = {JOINTS[place] for place, one in enumerate(moved.joints) if one != STANDING.joints[place]}
    assert changed == {name for name in JOINTS if name.split()[-1] in ("head", "neck", "shoulder", "elbow", "hand")}


def test_a_bone_keeps_its_length_where_that_is_asked_for():
    moved = pose.pull_joint(STANDING, HAND, (5.0, -3.0), keep_length=True)
    bone = math.dist(STANDING.joints[ELBOW], STANDING.joints[HAND])
    assert math.dist(moved.joints[ELBOW], moved.joints[HAND]) == pytest.approx(bone)
    assert moved.joints[HAND][0] > moved.joints[ELBOW][0], "towards the hand"
    at_once = pose.pull_joint(STANDING, HAND, STANDING.joints[ELBOW], keep_length=True)
    assert math.dist(at_once.joints[ELBOW], at_once.joints[HAND]) == pytest.approx(bone)


@pytest.mark.parametrize("name", POSES)
def test_mirrored_twice_turned_round_and_scaled_back_it_is_as_it_was(name):
    figure = pose.make_figure(name)
    assert figure.middle == pytest.approx((0.0, 0.5))
    other = pose.mirror(figure)
    across = figure.middle[0]
    assert other.joints[HAND][0] == pytest.approx(2 * across - figure.joints[JOINTS.index("right hand")][0])
    near(pose.mirror(other), figure)
    near(pose.scale(pose.scale(figure, 2.0, (0.3, 0.1)), 0.5, (0.3, 0.1)), figure)


def test_however_it_is_bent_its_head_stays_as_large():
    bent = pose.pull_joint(STANDING, HIP, (0.4, 0.2))
    assert (bent.head, bent.thickness) == (STANDING.head, STANDING.thickness)
    assert pose.scale(STANDING, 0.5).head == STANDING.head / 2


@given(st.sampled_from(sorted(POSES)), st.floats(1e-6, 1e6))
def test_no_scale_makes_it_too_small_to_take_hold_of_or_too_large_for_a_board(name, factor):
    figure = pose.scale(pose.make_figure(name), factor)
    assert pose.LEAST - 1e-9 <= figure.height <= pose.MOST + 1e-9
    encode(with_figures((figure,)))


def with_figures(figures):
    board = new_board("Poses")
    reference = PanelReference("r1", Picture("a" * 64, 640, 360), "pose", "pose", figures=figures)
    panel = Panel("p1", references=(reference,))
    return replace(board, scenes=(Scene("s1", panels=(panel,)),))


def test_a_board_keeps_them_and_refuses_what_is_no_figure():
    board = with_figures(tuple(pose.make_figure(name) for name in POSES))
    read, repairs = decode(encode(board))
    assert (read, repairs) == (board, [])
    for joints in (STANDING.joints[:-1], ((math.inf, 0.0), *STANDING.joints[1:]), ((11.0, 0.0), *STANDING.joints[1:])):
        with pytest.raises(Refused):
            commands.set_reference(board, "p1", "r1", figures=(pose.Figure(joints),))
    with pytest.raises(Refused):
        commands.set_reference(board, "p1", "r1", figures=(STANDING,) * 21)


def test_a_board_of_before_has_none():
    board = with_figures(())
    old = msgspec.json.decode(encode(board))
    del old["scenes"][0]["panels"][0]["references"][0]["figures"]
    assert decode(msgspec.json.encode(old))[0] == board
