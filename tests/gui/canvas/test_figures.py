"""Figures under the hand: joints, corners and limbs are taken hold of, keys do the same, a key that is held is one."""

import pytest
from PySide6.QtCore import QPointF, QSizeF, Qt
from PySide6.QtTest import QTest

from app.board import pose
from app.board.pose import JOINTS
from app.gui.canvas.figures import Poser, draw_pose, frame, place_sheet
from app.gui.canvas.hand import Touch

GROUND = QSizeF(800, 400)  # the sheet's middle is at 400
HAND, ELBOW = JOINTS.index("left hand"), JOINTS.index("left elbow")
Key, Modifier = Qt.Key, Qt.KeyboardModifier


@pytest.fixture
def poser(canvas):
    canvas.set_hand(Poser())
    canvas.hand.show_items((pose.make_figure("Standing"), pose.make_figure("Standing", (0.5, 0.5))), GROUND)
    canvas.hand.told = []
    canvas.hand.committed.connect(lambda what, _: canvas.hand.told.append(what))
    return canvas.hand


def at(point):
    x, y = point
    return QPointF(400 + 400 * x, 400 * y)


def drag(poser, start, end, **keys):
    poser.press(Touch(start, **keys))
    poser.move(Touch(end, **keys))
    poser.release()


def test_a_limb_takes_hold_and_moves_then_a_joint_bends_and_a_corner_scales(poser):
    was = poser.items[0]
    knee = was.joints[JOINTS.index("left knee")]
    drag(poser, at(knee) + QPointF(0, 30), at(knee) + QPointF(40, 30))
    assert poser.told == ["Move Figure"]
    assert poser.one.joints[HAND][0] == pytest.approx(was.joints[HAND][0] + 0.1)
    drag(poser, at(poser.one.joints[HAND]), QPointF(700, 40))
    assert poser.one.joints[HAND] == pytest.approx((0.75, 0.1))
    box, height = frame(poser.one), poser.one.height
    corner, opposite = box.bottomRight(), box.topLeft()
    drag(poser, at(corner.toTuple()), at((corner + (corner - opposite)).toTuple()))
    assert poser.told == ["Move Figure", "Pose Figure", "Scale Figure"]
    assert poser.one.height == pytest.approx(2 * height)
    assert frame(poser.one).topLeft().toTuple() == pytest.approx(opposite.toTuple(), abs=0.1)
    assert poser.items[1] == pose.make_figure("Standing", (0.5, 0.5)), "the other one stayed"


def test_with_alt_a_joint_goes_alone_and_with_shift_its_bone_keeps_its_length(poser):
    poser.hold(0)
    was = poser.one
    drag(poser, at(was.joints[ELBOW]), QPointF(560, 100), alt=True)
    assert poser.one.joints[HAND] == was.joints[HAND]
    poser.change(was, "Back")
    drag(poser, at(was.joints[ELBOW]), QPointF(790, 100), shift=True)
    assert poser.one == pose.pull_joint(was, ELBOW, (390 / 400, 0.25), keep_length=True)


def test_a_press_beside_all_lets_go_and_a_press_without_a_move_changes_nothing(poser):
    poser.press(Touch(at(poser.items[1].middle)))
    poser.release()
    assert (poser.held, poser.told) == (1, [])
    poser.press(Touch(QPointF(5, 5)))
    poser.release()
    assert (poser.held, poser.told) == (-1, [])


def test_escape_gives_back_what_is_dragged_then_lets_go_of_joint_and_figure(poser, canvas):
    was = poser.items
    poser.hold(0)
    poser.press(Touch(at(was[0].joints[HAND])))
    poser.move(Touch(QPointF(10, 10)))
    assert poser.cancel()
    assert (poser.items, poser.told) == (was, [])
    assert (poser.joint, poser.cancel(), poser.joint, poser.held) == (HAND, True, -1, 0)
    assert (poser.cancel(), poser.held, poser.cancel()) == (True, -1, False)


def test_keys_do_all_of_it_and_say_where_they_are(poser, canvas):
    QTest.keyClick(canvas, "n")
    for _ in range(HAND + 1):
        QTest.keyClick(canvas, "j")
    x, y = poser.one.joints[HAND]
    assert f"Figure 1 of 2, left hand, at {50 + 50 * x:.0f} % from the left" in canvas.accessibleDescription()
    QTest.keyClick(canvas, Key.Key_Up, Modifier.ShiftModifier)
    assert poser.one.joints[HAND] == pytest.approx((x, y - 0.05))
    QTest.keyClick(canvas, "j", Modifier.ShiftModifier)
    elbow = poser.one.joints[ELBOW]
    QTest.keyClick(canvas, Key.Key_Right, Modifier.AltModifier)
    assert poser.one.joints[ELBOW] == pytest.approx((elbow[0] + 0.005, elbow[1]))
    assert poser.one.joints[HAND] == pytest.approx((x, y - 0.05)), "with Alt the elbow went alone"
    was = poser.one
    QTest.keyClick(canvas, "]")
    assert poser.one == pose.scale(was, 1.05)
    QTest.keyClick(canvas, ".")
    QTest.keyClick(canvas, "m")
    assert poser.one == pose.mirror(pose.turn(pose.scale(was, 1.05), 5))
    QTest.keyClick(canvas, Key.Key_Delete)
    assert poser.items == (pose.make_figure("Standing", (0.5, 0.5)),)
    assert poser.told == ["Pose Figure"] * 2 + ["Scale Figure", "Turn Figure", "Mirror Figure", "Remove Figure"]


def test_a_key_that_is_held_is_one_change_and_a_menu_finds_it_finished(poser, canvas):
    poser.hold(0)
    for _ in range(5):
        QTest.keyPress(canvas, Key.Key_Left)
    assert poser.told == []
    assert poser.busy
    QTest.keyRelease(canvas, Key.Key_Left)
    assert (poser.told, poser.busy) == (["Move Figure"], False)
    QTest.keyPress(canvas, Key.Key_Left)
    QTest.keyPress(canvas, Key.Key_Z, Modifier.ControlModifier)
    assert poser.told == ["Move Figure"] * 2
    QTest.keyPress(canvas, Key.Key_Left)
    QTest.keyPress(canvas, ".")
    assert poser.told == ["Move Figure"] * 3, "another key, another change"


def test_the_picture_shows_each_side_in_its_colour_where_it_is_on_the_canvas(qapp):
    figure = pose.make_figure("Arms up", (0.4, 0.5))
    image = draw_pose([figure], QSizeF(1600, 800))
    assert (image.width(), image.height()) == (1024, 512)
    sheet = place_sheet(image.rect().toRectF())

    def colour(a, b):
        (x0, y0), (x1, y1) = figure.joints[JOINTS.index(a)], figure.joints[JOINTS.index(b)]
        return image.pixelColor(sheet.map(QPointF((x0 + x1) / 2, (y0 + y1) / 2)).toPoint()).name()

    assert colour("left elbow", "left hand") == "#e8762c"
    assert colour("right knee", "right foot") == "#2f6fde"
    assert image.pixelColor(5, 5).name() == "#f4f4f2"
