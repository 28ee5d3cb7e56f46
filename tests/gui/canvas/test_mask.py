"""The mask as numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPointF

from app.gui.canvas import mask as masks
from app.gui.canvas.mask_painter import MaskPainter


def painted(points, radius=10.0, edge=0.0, erase=False, base=None):
    base = masks.blank((100, 60)) if base is None else base
    stroke = masks.Stroke(base, erase, edge)
    for start, end in zip(points, [*points[1:], points[-1]], strict=True):
        stroke.segment(start, end, radius)
    return stroke.result


def test_a_hard_brush_covers_a_disc_of_its_radius():
    mask = painted([(50, 30)])
    assert abs((mask / 255).sum() - np.pi * 100) < 6
    assert mask[30, 50] == 255
    assert mask[30, 38] == 0


def test_a_soft_edge_falls_evenly_and_is_full_in_the_middle():
    mask = painted([(50, 30)], radius=20, edge=0.5)
    row = mask[30, 50:72].astype(int)
    assert (np.diff(row) <= 0).all()
    assert row[8] == 255
    assert 0 < row[15] < 255
    assert row[21] == 0


def test_overlapping_parts_of_one_stroke_do_not_add_up():
    once = painted([(20, 30), (80, 30)], edge=1.0)
    twice = painted([(20, 30), (80, 30), (20, 30), (80, 30)], edge=1.0)
    assert np.array_equal(once, twice)


def test_many_small_moves_are_one_large_one():
    steps = [(20 + i * 0.5, 30.0) for i in range(121)]
    assert np.abs(painted(steps, edge=0.6).astype(int) - painted([(20, 30), (80, 30)], edge=0.6)).max() <= 1


def test_the_eraser_takes_away_what_it_covers():
    full = np.full((60, 100), 255, np.uint8)
    mask = painted([(50, 30)], erase=True, base=full)
    assert mask[30, 50] == 0
    assert mask[5, 5] == 255
    assert (full == 255).all()  # the mask of before is untouched: undo needs it


@given(st.lists(st.tuples(st.floats(-50, 150), st.floats(-50, 110)), min_size=1, max_size=5), st.floats(0.5, 40))
def test_strokes_over_the_border_only_change_the_box_they_name(points, radius):
    stroke = masks.Stroke(masks.blank((100, 60)), False, 0.3)
    before = stroke.result.copy()
    left, top, right, bottom = stroke.segment(points[0], points[-1], radius)
    changed = np.argwhere(stroke.result != before)
    assert all(top <= y < bottom and left <= x < right for y, x in changed)


def test_regions():
    empty = masks.blank((100, 60))
    box = masks.paint_rectangle(empty, (80.2, 40.4), (19.7, 10.1), False)
    assert (box[10:40, 20:80] == 255).all()
    assert box.sum() == 255 * 30 * 60
    lasso = masks.paint_polygon(empty, [(10, 10), (90, 10), (90, 50), (10, 50)], False)
    assert abs((lasso == 255).sum() - 80 * 40) < 150
    assert (masks.paint_polygon(lasso, [(0, 0), (100, 0), (100, 60), (0, 60)], True) == 0).all()
    assert masks.paint_polygon(empty, [(1, 1), (2, 2)], False) is empty


@pytest.mark.parametrize("erase", [False, True])
@pytest.mark.parametrize("tool", ["brush", "rectangle", "lasso"])
def test_every_tool_has_the_soft_edge(tool, erase):
    painter = MaskPainter()
    for edge in (0.0, 1.0):
        painter.load(masks.blank((200, 160)) if not erase else 255 - masks.blank((200, 160)))
        painter.tool, painter.radius, painter.edge = tool, 30.0, edge
        painter.begin(QPointF(50, 40), erase=erase)
        for x, y in ((150, 40), (150, 120), (50, 120)) if tool == "lasso" else ((150, 120),):
            painter.move(QPointF(x, y))
        painter.finish()
        between = ((painter.mask > 20) & (painter.mask < 235)).sum()
        outline = 400 if tool != "brush" else 450
        assert (between > 10 * outline) if edge else (between < 2 * outline)
        assert painter.mask[80, 100] == (0 if erase else 255)


def test_feather_keeps_the_amount():
    box = masks.paint_rectangle(masks.blank((100, 80)), (30, 20), (70, 60), False)
    soft = masks.feather(box, 4)
    assert abs(int(soft.sum()) - int(box.sum())) < 0.02 * box.sum()
    assert 0 < soft[20, 50] < 255


def test_the_border_of_a_mask_goes_round_what_is_marked_and_along_the_edge():
    mask = masks.blank((100, 50))
    mask[10:20, 30:60] = 255
    lines = masks.trace_border(mask)
    across, down = [x for line in lines for x in line[::2]], [y for line in lines for y in line[1::2]]
    assert [round(side, 2) for side in (min(across), max(across), min(down), max(down))] == [0.3, 0.6, 0.2, 0.4]
    assert masks.trace_border(masks.blank((100, 50))) == []
    whole = np.array(masks.trace_border(np.full((50, 100), 255, np.uint8)))
    assert sorted(map(tuple, whole.tolist())) == [(0, 0, 0, 1), (0, 0, 1, 0), (0, 1, 1, 1), (1, 0, 1, 1)]
