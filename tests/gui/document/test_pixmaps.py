"""Pictures as the window has them: what is painted with them stays opaque."""

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QSize
from PySide6.QtGui import QPixmap

from app.gui.board.paint import _frame
from app.gui.document.pixmaps import read


@pytest.fixture(params=["png", "jpg", "webp"])
def picture(request, tmp_path):
    path = tmp_path / f"red.{request.param}"
    Image.new("RGB", (64, 48), (200, 40, 40)).save(path)
    return str(path)


def test_the_fourth_byte_is_full(picture):
    image = read(picture, 0)
    assert set(np.frombuffer(image.constBits(), np.uint8)[3::4]) == {255}


def test_a_panel_shows_its_picture_in_the_middle_too(qtbot, picture):
    """On a transparent ground: Qt copies whole runs of pixels, their fourth byte too, and blends only the corners."""
    framed = _frame(QPixmap.fromImage(read(picture, 0)), QSize(120, 90), 1.0).toImage()
    middle = framed.pixelColor(60, 45)
    assert (middle.alpha(), middle.red() > 150, middle.green() < 90) == (255, True, True)
