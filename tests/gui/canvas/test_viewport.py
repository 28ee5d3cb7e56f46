"""Zoom and position of a picture in a widget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPointF, QSizeF

from app.gui.canvas.viewport import MARGIN, Viewport


def view(picture=(400, 200), widget=(432, 332), ratio=1.0) -> Viewport:
    made = Viewport()
    made.set_widget(QSizeF(*widget), ratio)
    made.set_picture(QSizeF(*picture))
    return made


def near(a: QPointF, b: QPointF) -> bool:
    return abs(a.x() - b.x()) + abs(a.y() - b.y()) < 1e-6


def test_fitted_it_is_whole_centred_and_follows_the_widget():
    made = view()
    assert made.zoom == 1.0
    assert (made.rect().left(), made.rect().top()) == (MARGIN, 66.0)
    made.set_widget(QSizeF(232, 332), 1.0)
    assert made.zoom == 0.5


def test_100_percent_is_a_picture_pixel_on_a_screen_pixel():
    made = view(ratio=2.0)
    assert made.zoom == 2.0  # it fits at two screen pixels a pixel
    made.zoom_to(1.0)
    assert made.scale == 0.5
    assert made.rect().width() == 200


@given(
    at=st.tuples(st.floats(0, 432), st.floats(0, 332)),
    steps=st.floats(-4, 8),
    pan=st.tuples(st.floats(-60, 60), st.floats(-60, 60)),
)
def test_the_point_under_the_mouse_stays(at, steps, pan):
    made = view()
    made.zoom_to(2.0)
    made.pan(QPointF(*pan))
    point = QPointF(*at)
    fixed = made.to_picture(point)
    made.step(steps, point)
    inside = 0 < made.centre.x() < 400 and 0 < made.centre.y() < 200  # else the edge held it
    assert not inside or near(made.to_picture(point), fixed)
    assert near(made.to_widget(made.to_picture(point)), point)


def test_some_of_the_picture_always_stays_in_view():
    made = view()
    made.pan(QPointF(1e6, -1e6))
    assert made.rect().intersects(view().rect())


def test_a_larger_picture_of_the_same_shape_shows_the_same_part():
    made = view()
    made.zoom_to(4.0, QPointF(300, 100))
    before = made.rect()
    made.set_picture(QSizeF(800, 400))
    assert made.rect().width() == pytest.approx(before.width())
    assert near(made.rect().topLeft(), before.topLeft())
    made.set_picture(QSizeF(300, 300))
    assert made.fitted
