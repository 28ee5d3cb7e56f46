"""A change of theme dresses every widget a fixed number of times, however deep it lies; its colours can be read."""

import re
from dataclasses import fields

import pytest
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QLabel, QPlainTextEdit, QVBoxLayout, QWidget

from app.gui.kit.theme import DARK, LIGHT, style_sheet, theme

DEEP = 12


class Counting(QLabel):
    dressed = 0

    def changeEvent(self, event):
        self.dressed += event.type() == QEvent.Type.StyleChange
        super().changeEvent(event)


def test_icons_are_as_large_after_a_change_of_theme(window):
    def drawn():
        return {name: one.icon().actualSize(one.iconSize()) for name, one in window.places.items()}

    before = drawn()
    theme.apply("dark")
    theme.apply("light")
    assert drawn() == before
    assert {size.height() for size in before.values()} == {24}


def test_each_widget_is_dressed_twice_at_most(qtbot):
    theme.apply("dark")
    top = outer = QWidget()
    qtbot.addWidget(top)
    for _ in range(DEEP):
        inner = QWidget()
        QVBoxLayout(outer).addWidget(inner)
        outer = inner
    label = Counting("x")
    QVBoxLayout(outer).addWidget(label)
    top.show()
    label.dressed = 0
    theme.apply("light")
    assert 0 < label.dressed <= 2
    assert label.palette().windowText().color().name() == theme.colours.text
    theme.apply("dark")
    assert label.palette().windowText().color().name() == theme.colours.text


def test_a_field_for_many_lines_keeps_its_height_under_the_sheet(qtbot):
    """A height in the sheet takes the place of the widget's own: fields of one line had a scroll bar."""
    theme.apply("light")
    top = QWidget()
    qtbot.addWidget(top)
    field = QPlainTextEdit()
    field.setMinimumHeight(64)
    QVBoxLayout(top).addWidget(field)
    top.resize(300, 40)
    top.show()
    assert field.height() >= 64


class Painted(QLabel):
    times = 0

    def paintEvent(self, event):
        self.times += 1
        super().paintEvent(event)


def test_a_window_that_was_about_to_paint_still_paints_after_it(qtbot):
    """A dialog stood in its old colours and words: the request to paint was lost while nothing was to be painted."""
    theme.apply("dark")
    label = Painted("x")
    qtbot.addWidget(label)
    label.show()
    qtbot.waitExposed(label)
    qtbot.waitUntil(lambda: label.times > 0)
    label.setText("y")
    theme.apply("light")
    for text in ("a", "b"):
        before = label.times
        label.setText(text)
        qtbot.waitUntil(lambda before=before: label.times > before, timeout=2000)


def luminance(colour: str) -> float:
    """As WCAG 2 defines it."""
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colours", [DARK, LIGHT], ids=["dark", "light"])
def test_words_are_readable_on_every_ground(colours):
    """WCAG AA: 4.5 : 1 for words; what is selected is written in the first colour."""
    grounds = (colours.window, colours.canvas, colours.surface, colours.raised)
    words = (colours.text, colours.muted, colours.danger, colours.good, colours.warning, colours.accent)
    pairs = [(word, ground) for word in words for ground in grounds]
    pairs += [(colours.text, colours.selection), (colours.on_accent, colours.accent),
              (colours.on_accent, colours.accent_hover), (colours.on_accent, colours.muted)]  # fmt: skip
    assert [(one, ground) for one, ground in pairs if contrast(one, ground) < 4.5] == []


def borders(selector: str, colours) -> list[str]:
    """The colours that a rule of the sheet gives to the border of such a control at rest."""
    rules = re.findall(
        r"([^{}]+)\{([^{}]*)\}", style_sheet({f.name: getattr(colours, f.name) for f in fields(colours)})
    )
    mine = [body for heads, body in rules if selector in [head.strip() for head in heads.split(",")]]
    return [found for body in mine for found in re.findall(r"border(?:-color)?:[^;]*(#[0-9a-f]{6})", body)]


CONTROLS = ("QPushButton", 'QToolButton[kind="button"]', "QLineEdit", "QPlainTextEdit", "QTextEdit", "QSpinBox",
            "QDoubleSpinBox", "QComboBox", "QCheckBox::indicator")  # fmt: skip


@pytest.mark.parametrize("colours", [DARK, LIGHT], ids=["dark", "light"])
def test_what_can_be_pressed_or_written_into_is_told_by_its_border(colours):
    """WCAG 1.4.11: 3 : 1. Fields on a dark window had 1.7 : 1."""
    grounds = (colours.window, colours.canvas, colours.surface, colours.raised)
    for control in CONTROLS:
        found = borders(control, colours)
        assert found, control
        assert min(contrast(one, ground) for one in found for ground in grounds) >= 3, control
    assert min(contrast(colours.edge, ground) for ground in grounds) >= 3
    assert min(contrast(colours.accent, ground) for ground in grounds) >= 3, "the frame of what has the keys"
