"""Where windows come up."""

import pytest
from PySide6.QtCore import QRect, QSize
from PySide6.QtWidgets import QWidget

from app.gui.kit.placing import FRAME, size_first, size_window


@pytest.fixture
def pair(qtbot):
    """A window at a given place, and one that belongs to it."""
    below, above = QWidget(), QWidget()
    for one in (below, above):
        qtbot.addWidget(one)
    above.setParent(below, above.windowFlags())
    return below, above


def test_a_window_comes_up_over_the_middle_of_its_own(pair):
    below, above = pair
    below.setGeometry(300, 250, 400, 400)
    below.show()
    size_window(above, 200, 100)
    away = QRect(above.pos(), above.size() + FRAME).center() - below.frameGeometry().center()
    assert max(abs(away.x()), abs(away.y())) <= 1


@pytest.mark.parametrize("at", [(0, 0), (700, 700), (-60, 780)])
def test_it_stays_on_the_screen(pair, at):
    below, above = pair
    below.setGeometry(*at, 100, 100)
    below.show()
    size_window(above, 300, 200)
    assert above.screen().availableGeometry().contains(QRect(above.pos(), above.size() + FRAME))


class Wide(QWidget):
    """On a screen of a given size."""

    size_of = QSize()

    def screen(self):
        return self

    def availableGeometry(self):
        return QRect(0, 0, self.size_of.width(), self.size_of.height())

    def availableSize(self):
        return self.size_of


@pytest.mark.parametrize(
    ("screen", "size", "all_of_it"),
    [
        ((2560, 1440), (2048, 1152), False), ((5120, 2880), (2048, 1280), False), ((1440, 900), (1280, 800), False),
        ((1280, 800), (1264, 752), True),
    ],
)  # fmt: skip
def test_the_first_window_goes_by_the_screen(qtbot, screen, size, all_of_it):
    made = Wide()
    qtbot.addWidget(made)
    made.size_of = QSize(*screen)
    size_first(made)
    assert (made.size().toTuple(), made.isMaximized()) == (size, all_of_it)
