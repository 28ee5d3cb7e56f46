"""A placed picture under the hand: what is taken hold of, how far a corner pulls, turns, order, what keys do."""

import math

import pytest
from msgspec.structs import replace
from PySide6.QtCore import QPointF, QSizeF, Qt
from PySide6.QtGui import QPixmap
from PySide6.QtTest import QTest

from app.board.data import Picture
from app.board.picture import Placed
from app.gui.canvas.canvas import Canvas
from app.gui.canvas.frame import Frame, Pull
from app.gui.canvas.hand import Touch
from app.gui.canvas.paint_brush import PaintBrush

SOFA = Placed(Picture("a" * 64, 200, 100, "sofa.png"), 0.5, 0.5, 0.5)
GROUND = QSizeF(400, 200)  # so the sofa is 200 x 100, from (100, 50) to (300, 150)


def near(point, x, y):
    return math.hypot(point.x() - x, point.y() - y) < 1e-6


def test_a_frame_has_corners_a_knob_above_and_an_inside():
    frame = Frame.of(SOFA, GROUND)
    assert near(frame.corner("upper left"), 100, 50)
    assert frame.grip_at(QPointF(302, 148), 5) == "lower right"
    assert frame.grip_at(frame.knob(5), 5) == "turn"
    assert frame.knob(5).y() < 50
    assert frame.grip_at(QPointF(200, 100), 5) == "move"
    assert frame.grip_at(QPointF(90, 100), 5) is None


def test_turned_clockwise_its_upper_left_corner_goes_up_and_right():
    frame = Frame.of(replace(SOFA, angle=90.0), GROUND)
    assert near(frame.corner("upper left"), 250, 0)
    assert frame.holds(QPointF(200, 190))
    assert not frame.holds(QPointF(290, 100))


@pytest.mark.parametrize("angle", [0.0, 30.0, -120.0])
def test_a_pulled_corner_follows_the_hand_and_the_opposite_one_stays(angle):
    was = replace(SOFA, angle=angle)
    frame = Frame.of(was, GROUND)
    held, fixed = frame.corner("lower right"), frame.corner("upper left")
    pulled = Frame.of(Pull(was, GROUND, "lower right", held).drag(held + (held - fixed) * 0.5), GROUND)
    assert pulled.width == pytest.approx(300)
    assert near(pulled.corner("upper left"), fixed.x(), fixed.y())
    middle = Frame.of(Pull(was, GROUND, "lower right", held).drag(held + (held - fixed) * 0.5, False), GROUND)
    assert near(middle.middle, 200, 100), "with Shift its middle stays"


def test_a_corner_pulled_past_the_other_leaves_something_to_take_hold_of():
    small = Pull(SOFA, GROUND, "lower right", QPointF(300, 150)).drag(QPointF(-900, -900))
    assert Frame.of(small, GROUND).width == pytest.approx(4)


def test_the_knob_turns_towards_the_hand_and_by_steps():
    pull = Pull(SOFA, GROUND, "turn", QPointF(200, 20))
    assert pull.drag(QPointF(300, 100)).angle == pytest.approx(90)
    assert pull.drag(QPointF(296, 90), False).angle == 90


@pytest.fixture
def canvas(qtbot):
    made = Canvas()
    qtbot.addWidget(made)
    made.resize(500, 300)
    made.set_picture(QPixmap(400, 200), 400, 200)
    made.show()
    made.set_hand(made.arranger)
    return made


def show(canvas, *placed):
    canvas.arranger.show_placed(placed, GROUND, {})
    return canvas.arranger


def test_the_uppermost_is_held_and_what_is_painted_is_not(canvas):
    sheet = replace(SOFA, x=0.5, y=0.5, width=1.0, painted=True)
    hand = show(canvas, SOFA, replace(SOFA, x=0.6), sheet)
    hand.press(Touch(QPointF(280, 100)))
    hand.release()
    assert hand.held == 1
    hand.press(Touch(QPointF(5, 5)))
    assert hand.held == -1


def test_a_press_without_a_move_changes_nothing(canvas, qtbot):
    hand, told = show(canvas, SOFA), []
    hand.committed.connect(lambda *words: told.append(words[0]))
    hand.press(Touch(QPointF(200, 100)))
    hand.release()
    hand.press(Touch(QPointF(200, 100)))
    hand.move(Touch(QPointF(240, 100)))
    hand.release()
    assert told == ["Move Picture"]
    assert hand.one.x == pytest.approx(0.6)


def test_escape_gives_back_what_is_dragged(canvas):
    hand = show(canvas, SOFA)
    hand.press(Touch(QPointF(200, 100)))
    hand.move(Touch(QPointF(300, 150)))
    assert hand.cancel()
    assert hand.items == (SOFA,)


def test_keys_order_and_the_description_says_where_it_is(canvas):
    hand = show(canvas, SOFA, replace(SOFA, angle=20.0))
    QTest.keyClick(canvas, "n")
    QTest.keyClick(canvas, Qt.Key.Key_PageUp)
    assert [one.angle for one in hand.items] == [20.0, 0.0]
    assert "sofa.png at 50 % from the left" in canvas.accessibleDescription()
    QTest.keyClick(canvas, Qt.Key.Key_Delete)
    assert [one.angle for one in hand.items] == [20.0]


def test_a_stroke_that_is_cancelled_was_never_there(canvas, qtbot):
    from PySide6.QtGui import QImage

    show(canvas)
    brush = PaintBrush(canvas.arranger, canvas.lead_point)
    sheet = QImage(400, 200, QImage.Format.Format_ARGB32_Premultiplied)
    sheet.fill(0)
    brush.open_sheet = lambda erase: None if erase else (0, sheet)
    canvas.set_hand(brush)
    brush.press(Touch(QPointF(10, 10)))
    brush.move(Touch(QPointF(100, 10)))
    assert canvas.arranger.sketch.pixelColor(50, 10).alpha() == 255
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    assert canvas.arranger.sketch.pixelColor(50, 10).alpha() == 0
    brush.set_erasing(True)
    brush.press(Touch(QPointF(10, 10)))
    assert not brush.busy, "there is nothing to erase"
