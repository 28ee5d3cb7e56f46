"""A change of theme dresses every widget a fixed number of times, however deep it lies."""

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app.gui.kit.theme import theme

DEEP = 12


class Counting(QLabel):
    dressed = 0

    def changeEvent(self, event):
        self.dressed += event.type() == QEvent.Type.StyleChange
        super().changeEvent(event)


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
