"""A canvas on the screen, for tools that lie on it."""

import pytest
from PySide6.QtGui import QPixmap

from app.gui.canvas.canvas import Canvas


@pytest.fixture
def canvas(qtbot):
    """It shows a picture of 800 x 400 pixels."""
    made = Canvas()
    qtbot.addWidget(made)
    made.resize(900, 500)
    made.set_picture(QPixmap(800, 400), 800, 400)
    made.show()
    return made
