"""A column of many cards: those near what is seen exist, in their order, and Tab goes through them by it."""

from itertools import pairwise

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QLineEdit, QVBoxLayout, QWidget

from app.gui.kit.lazy_column import LazyColumn

MANY = 500


class Card(QWidget):
    """As high as its number says, one of three."""

    def __init__(self, key):
        super().__init__()
        self.field, self.words = QLineEdit(key), QLabel("line\n" * (1 + int(key) % 3))
        box = QVBoxLayout(self)
        box.addWidget(self.field)
        box.addWidget(self.words)


@pytest.fixture
def column(qtbot):
    made = LazyColumn("Cards", Card, 60, 8)
    qtbot.addWidget(made)
    made.resize(400, 500)
    made.show()
    made.activateWindow()
    made.show_keys([str(number) for number in range(MANY)])
    return made


def settle(column, qtbot):
    qtbot.waitUntil(lambda: not column._turn.isActive())


def seen(column):
    """The keys that are seen, by their places on the screen."""
    view = column.viewport().rect()
    shown = [(card.mapTo(column.viewport(), card.rect().topLeft()), key, card) for key, card in column.made.items()]
    inside = [(at.y(), key) for at, key, card in shown if card.rect().translated(at).intersects(view)]
    return [key for _, key in sorted(inside)]


def test_only_cards_near_what_is_seen_exist(column, qtbot):
    settle(column, qtbot)
    assert seen(column)[0] == "0"
    assert len(column.made) < 30
    assert column.verticalScrollBar().maximum() > 0.8 * MANY * 60
    column.verticalScrollBar().setValue(column.verticalScrollBar().maximum())
    settle(column, qtbot)
    column.verticalScrollBar().setValue(column.verticalScrollBar().maximum())
    settle(column, qtbot)
    assert seen(column)[-1] == str(MANY - 1)
    assert len(column.made) < 60
    assert "3" not in column.made  # the first may have the keyboard


def test_nothing_overlaps_and_nothing_is_left_out(column, qtbot):
    for value in (0, 3000, 900, 12_000, 0):
        column.verticalScrollBar().setValue(value)
        settle(column, qtbot)
        keys = [int(key) for key in seen(column)]
        assert keys == list(range(keys[0], keys[0] + len(keys)))
        rects = [column.made[str(key)].geometry() for key in keys]
        assert all(one.bottom() < other.top() for one, other in pairwise(rects))
        assert rects[-1].bottom() >= column.verticalScrollBar().value() + column.viewport().height() - 8


def test_what_is_seen_stays_while_cards_above_get_their_heights(column, qtbot):
    column.verticalScrollBar().setValue(9000)
    settle(column, qtbot)
    first = seen(column)[1]
    at = column.made[first].mapTo(column.viewport(), column.made[first].rect().topLeft())
    for _ in range(6):
        column.verticalScrollBar().setValue(column.verticalScrollBar().value() - 10)
        settle(column, qtbot)
        now = column.made[first].mapTo(column.viewport(), column.made[first].rect().topLeft())
        assert now.y() - at.y() == 10
        at = now


def test_tab_goes_by_place_whichever_was_made_first(column, qtbot):
    column.verticalScrollBar().setValue(4000)
    settle(column, qtbot)
    column.verticalScrollBar().setValue(3500)
    settle(column, qtbot)
    keys = seen(column)
    column.made[keys[0]].field.setFocus()
    for key in keys[1:-1]:
        QTest.keyClick(column.focusWidget(), Qt.Key.Key_Tab)
        assert column.focusWidget().text() == key


def test_a_card_that_has_the_keyboard_stays(column, qtbot):
    settle(column, qtbot)
    column.made["0"].field.setFocus()
    column.verticalScrollBar().setValue(9000)
    settle(column, qtbot)
    assert "0" in column.made


def test_cards_that_stay_are_not_made_anew(column, qtbot):
    settle(column, qtbot)
    card = column.made["2"]
    column.show_keys(["2", "0", *map(str, range(3, MANY))])
    settle(column, qtbot)
    assert column.made["2"] is card
    assert seen(column)[:3] == ["2", "0", "3"]
    assert "1" not in column.made
    column.show_keys([])
    assert column.made == {}
