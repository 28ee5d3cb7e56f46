"""Boxes under the hand: drawn, moved, resized, nested; the same by keys; a press draws nothing."""

import pytest
from PySide6.QtCore import QPointF, QSizeF, Qt
from PySide6.QtTest import QTest

from app.board.regions import LEAST, Region
from app.gui.canvas.boxes import BoxDrawer
from app.gui.canvas.hand import Touch

GROUND = QSizeF(800, 400)
LARGE, SMALL = Region(0.1, 0.1, 0.9, 0.9, "a room"), Region(0.4, 0.4, 0.6, 0.6, "a dog")
Key, Modifier = Qt.Key, Qt.KeyboardModifier


@pytest.fixture
def drawer(canvas):
    hand = BoxDrawer()
    canvas.set_hand(hand)
    hand.show_items((), GROUND)
    hand.told, hand.asked = [], []
    hand.committed.connect(lambda what, _: hand.told.append(what))
    hand.words_asked.connect(lambda: hand.asked.append(hand.held))
    return hand


def drag(drawer, start, end):
    drawer.press(Touch(QPointF(*start)))
    drawer.move(Touch(QPointF(*end)))
    drawer.release()


def sides(one):
    return pytest.approx((one.left, one.top, one.right, one.bottom))


def test_a_drag_draws_one_that_is_written_into_and_a_press_draws_none(drawer):
    drag(drawer, (200, 300), (600, 100))
    assert sides(drawer.one) == (0.25, 0.25, 0.75, 0.75)
    assert (drawer.told, drawer.asked) == (["Add Box"], [0])
    drawer.press(Touch(QPointF(20, 20)))
    drawer.release()
    assert (len(drawer.items), drawer.held, drawer.told, drawer.asked) == (1, -1, ["Add Box"], [0])


def test_inside_it_moves_and_stays_in_the_picture_and_borders_resize(drawer):
    drawer.show_items((Region(0.25, 0.25, 0.5, 0.5, "a dog"),), GROUND)
    drag(drawer, (300, 150), (5000, 110))
    assert sides(drawer.one) == (0.75, 0.15, 1.0, 0.4)
    drag(drawer, (600, 110), (500, 350))  # the left border alone
    assert sides(drawer.one) == (0.625, 0.15, 1.0, 0.4)
    drag(drawer, (500, 60), (2000, 3000))  # the upper left corner past the others
    assert (drawer.one.right, drawer.one.bottom, drawer.one.words) == (1.0, 1.0, "a dog")
    assert drawer.one.right - drawer.one.left == pytest.approx(LEAST)
    assert drawer.told == ["Move Box", "Resize Box", "Resize Box"]
    assert drawer.asked == []


def test_of_nested_boxes_the_smaller_is_had_and_a_second_press_writes(drawer):
    drawer.show_items((SMALL, LARGE), GROUND)
    for point, held in (((400, 200), 0), ((150, 100), 1), ((400, 200), 0)):
        drawer.press(Touch(QPointF(*point)))
        drawer.release()
        assert drawer.held == held
    assert drawer.asked == []
    drawer.press(Touch(QPointF(400, 200)))
    drawer.release()
    assert (drawer.asked, drawer.told) == ([0], [])


def test_with_ctrl_one_is_drawn_inside_another(drawer):
    drawer.show_items((LARGE,), GROUND)
    drawer.press(Touch(QPointF(200, 100), alt=True))
    drawer.move(Touch(QPointF(400, 300), alt=True))
    drawer.release()
    assert (drawer.items[0], drawer.told) == (LARGE, ["Add Box"])
    assert sides(drawer.one) == (0.25, 0.25, 0.5, 0.75)


def test_escape_takes_back_what_is_being_drawn(drawer):
    drawer.press(Touch(QPointF(10, 10)))
    drawer.move(Touch(QPointF(500, 300)))
    assert drawer.cancel()
    assert (drawer.items, drawer.told) == ((), [])


def test_keys_do_all_of_it_and_say_where_they_are(drawer, canvas):
    drawer.place()
    assert (drawer.told, drawer.asked) == (["Add Box"], [0])
    QTest.keyClick(canvas, Key.Key_Left, Modifier.ShiftModifier)
    assert sides(drawer.one) == (0.25, 0.3, 0.65, 0.7)
    for _ in range(3):
        QTest.keyPress(canvas, Key.Key_Down, Modifier.AltModifier)
    QTest.keyRelease(canvas, Key.Key_Down)
    assert sides(drawer.one) == (0.25, 0.3, 0.65, 0.73)
    assert drawer.told == ["Add Box", "Move Box", "Resize Box"]
    QTest.keyClick(canvas, Key.Key_Return)
    drawer.set_words("a dog")
    assert (drawer.asked, drawer.told[-1]) == ([0, 0], "Write Box")
    drawer.changed.emit()
    assert "Box 1 of 1, a dog, 25 % from the left, 30 % from the top, 40 % wide" in canvas.accessibleDescription()
    QTest.keyClick(canvas, Key.Key_Delete)
    assert (drawer.items, drawer.told[-1]) == ((), "Remove Box")
