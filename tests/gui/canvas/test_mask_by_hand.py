"""A mask's rectangle and ellipse after they were drawn: moved, resized by handles, by mouse and by keys."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest

from app.gui.canvas import mask as masks
from app.gui.canvas.mask_painter import MaskPainter
from tests.gui.canvas.test_canvas import begin_masking, canvas, drag  # noqa: F401

Key, Modifier = Qt.Key, Qt.KeyboardModifier
HANDLES = [(-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1)]


def draw(tool="rectangle", start=(50, 40), end=(150, 120), size=(200, 160)):
    painter = MaskPainter()
    painter.load(masks.blank(size))
    painter.tool, painter.edge = tool, 0.0
    pull(painter, start, end)
    return painter


def pull(painter, start, end, **more):
    painter.begin(QPointF(*start), **more)
    painter.move(QPointF(*end))
    painter.finish()


def box(mask):
    """left, top, right, bottom of what is marked."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@pytest.mark.parametrize("tool", ["rectangle", "ellipse"])
def test_pressed_inside_it_moves_and_what_lay_under_it_is_as_it_was(tool):
    painter = MaskPainter()
    under = masks.paint_rectangle(masks.blank((200, 160)), (90, 0), (110, 160), False)
    painter.load(under)
    painter.tool, painter.edge = tool, 0.0
    pull(painter, (50, 40), (150, 120))
    told = []
    painter.committed.connect(told.append)
    pull(painter, (100, 80), (120, 90))
    moved = np.maximum(under, draw(tool, (70, 50), (170, 130)).mask)
    assert (painter.mask == moved).all()
    assert told == ["Move mask"]


@pytest.mark.parametrize("tool", ["rectangle", "ellipse"])
@pytest.mark.parametrize("grip", HANDLES)
def test_each_handle_moves_its_borders_only(tool, grip):
    painter, (x, y) = draw(tool), grip
    at = 100 + 50 * x, 80 + 40 * y
    pull(painter, (at[0] + 2, at[1] - 2), (at[0] + 2 + 10 * (x or 7), at[1] - 2 + 10 * (y or 7)), reach=5.0)
    assert box(painter.mask) == (50 - 10 * (x < 0), 40 - 10 * (y < 0), 150 + 10 * (x > 0), 120 + 10 * (y > 0))


def test_borders_pass_each_other():
    painter = draw()
    pull(painter, (50, 80), (190, 80), reach=5.0)
    assert box(painter.mask) == (150, 40, 190, 120)


def test_an_ellipse_is_one():
    mask = draw("ellipse").mask
    assert box(mask) == (50, 40, 150, 120)
    assert (mask == 255).sum() == pytest.approx(np.pi * 50 * 40, rel=0.02)


def test_beside_it_another_begins_and_alt_inside_takes_away():
    painter = draw()
    pull(painter, (5, 5), (25, 25))
    assert painter.mask[15, 15] == painter.mask[80, 100] == 255
    pull(painter, (10, 10), (20, 20), erase=True)
    assert painter.mask[15, 15] == 0
    assert painter.mask[80, 100] == 255


@pytest.mark.parametrize("act", [MaskPainter.invert, lambda painter: painter.load(painter.mask), MaskPainter.let_go])
def test_another_mask_has_no_handles(act):
    painter = draw()
    assert len(painter.handles()) == 8
    act(painter)
    assert painter.handles() == []
    assert painter.grip_at(QPointF(100, 80), 5.0) is None


def test_the_handles_belong_to_their_tool():
    painter = draw()
    painter.tool = "brush"
    assert painter.handles() == []
    painter.begin(QPointF(100, 80))
    painter.finish()
    painter.tool = "rectangle"
    assert painter.handles() == []  # what lies under it is no longer what it was drawn on


def test_a_click_and_no_more_changes_nothing():
    painter = draw()
    told = []
    painter.committed.connect(told.append)
    painter.begin(QPointF(100, 80))
    painter.finish()
    assert told == []
    assert len(painter.handles()) == 8


# By the widget's mouse and keys; its picture has 400 x 200 pixels, shown at 100 % from (16, 16)


def marked(canvas):  # noqa: F811
    return box(canvas.painter.mask)


def test_a_hand_moves_it_and_pulls_a_corner(canvas):  # noqa: F811
    begin_masking(canvas, "rectangle")
    drag(canvas, QPoint(66, 66), QPoint(166, 116))
    left, top, right, bottom = marked(canvas)
    QTest.mouseMove(canvas, QPoint(100, 90))
    assert canvas.cursor().shape() == Qt.CursorShape.SizeAllCursor
    drag(canvas, QPoint(100, 90), QPoint(110, 95))
    assert marked(canvas) == (left + 10, top + 5, right + 10, bottom + 5)
    drag(canvas, QPoint(178, 123), QPoint(198, 133))
    assert marked(canvas) == (left + 10, top + 5, right + 30, bottom + 15)


def press(canvas, *keys, modifier=Modifier.NoModifier):  # noqa: F811
    for key in keys:
        QTest.keyClick(canvas, key, modifier)


def test_return_puts_the_brush_down_and_arrows_paint(canvas):  # noqa: F811
    told = []
    canvas.painter.committed.connect(told.append)
    begin_masking(canvas)
    press(canvas, Key.Key_Return, *[Key.Key_Right] * 5)
    assert canvas.painter.is_blank
    press(canvas, Key.Key_Return)
    assert told == ["Paint mask"]
    assert marked(canvas) == pytest.approx((200 - 10, 100 - 10, 220 + 10, 100 + 10), abs=1.5)
    press(canvas, Key.Key_BracketRight)
    assert canvas.painter.radius == pytest.approx(11.5)
    press(canvas, Key.Key_Return, *[Key.Key_Right] * 5, modifier=Modifier.AltModifier)
    press(canvas, Key.Key_Return)
    assert told == ["Paint mask", "Erase mask"]
    press(canvas, Key.Key_Return, Key.Key_Left, Key.Key_Escape)
    assert len(told) == 2


def test_a_rectangle_is_drawn_moved_and_resized_by_keys(canvas):  # noqa: F811
    told = []
    canvas.painter.committed.connect(told.append)
    begin_masking(canvas, "rectangle")
    press(canvas, Key.Key_Return)
    press(canvas, Key.Key_Right, Key.Key_Down, modifier=Modifier.ShiftModifier)
    press(canvas, Key.Key_Return)
    assert marked(canvas) == (200, 100, 240, 140)
    press(canvas, Key.Key_Left)
    press(canvas, Key.Key_Up, modifier=Modifier.ShiftModifier)
    assert marked(canvas) == (196, 60, 236, 100)
    press(canvas, Key.Key_Right, Key.Key_Down, modifier=Modifier.AltModifier)
    assert marked(canvas) == (196, 60, 240, 104)
    assert told == ["Mask a rectangle", "Move mask", "Move mask", "Resize mask", "Resize mask"]
    press(canvas, Key.Key_Return)
    assert canvas.painter.handles() == []
    press(canvas, Key.Key_Left, modifier=Modifier.ShiftModifier)
    assert marked(canvas) == (196, 60, 240, 104)


def test_an_arrow_that_is_held_is_one_change(canvas):  # noqa: F811
    begin_masking(canvas, "rectangle")
    drag(canvas, QPoint(66, 66), QPoint(166, 116))
    before, told = marked(canvas), []
    canvas.painter.committed.connect(told.append)
    for _ in range(6):
        QTest.keyPress(canvas, Key.Key_Right)
    QTest.keyRelease(canvas, Key.Key_Right)
    assert marked(canvas)[0] == before[0] + 24
    assert told == ["Move mask"]


def test_what_is_begun_by_keys_is_done_before_a_key_of_the_menus(canvas):  # noqa: F811
    """Such as Ctrl+Return, which renders with the mask."""
    begin_masking(canvas)
    press(canvas, Key.Key_Return, Key.Key_Right)
    press(canvas, Key.Key_Return, modifier=Modifier.ControlModifier)
    assert not canvas.painter.is_blank
    assert not canvas.painter.busy


def test_what_another_panel_took_away_is_not_gone_on_with(canvas):  # noqa: F811
    begin_masking(canvas, "rectangle")
    press(canvas, Key.Key_Return, Key.Key_Right)
    begin_masking(canvas, "rectangle")
    press(canvas, Key.Key_Return)
    press(canvas, Key.Key_Right, Key.Key_Down, modifier=Modifier.ShiftModifier)
    press(canvas, Key.Key_Return)
    assert not canvas.painter.is_blank


def test_the_picture_follows_the_point_out_of_what_is_seen(canvas):  # noqa: F811
    begin_masking(canvas)
    canvas.view.zoom_to(4.0)
    for _ in range(40):
        press(canvas, Key.Key_Right, modifier=Modifier.ShiftModifier)
    assert canvas.rect().toRectF().contains(canvas.hover)
    assert canvas.view.to_picture(canvas.hover).x() == pytest.approx(400)


def test_what_the_keys_do_is_said_to_who_does_not_see_it(canvas):  # noqa: F811
    assert "zoom" in canvas.accessibleDescription()
    begin_masking(canvas, "rectangle")
    assert "sets a corner" in canvas.accessibleDescription()
    press(canvas, Key.Key_Return)
    assert "Down. At 50 % from the left, 50 % from the top" in canvas.accessibleDescription()
    press(canvas, Key.Key_Right, Key.Key_Down, Key.Key_Return)
    assert "Arrows move the shape" in canvas.accessibleDescription()
    canvas.set_masking(False)
    assert "zoom" in canvas.accessibleDescription()
