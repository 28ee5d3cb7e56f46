"""The frame of a crop: by mouse and keys it stays inside the picture and above the least size."""

import pytest
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QPixmap
from PySide6.QtTest import QTest

from app.board.data import Picture
from app.board.picture import Crop
from app.gui.prompt.crop import CropDialog, CropField
from app.gui.prompt.tray import cut

PICTURE = Picture("a" * 64, 400, 200)


@pytest.fixture
def field(qtbot):
    made = CropField(QPixmap(400, 200), PICTURE, QRectF(0, 0, 400, 200))
    qtbot.addWidget(made)
    made.resize(428, 228)  # one picture pixel is one of the widget's
    made.show()
    return made


def drag(field, start, end):
    QTest.mousePress(field, Qt.MouseButton.LeftButton, pos=QPoint(*start))
    QTest.mouseMove(field, QPoint(*end))
    QTest.mouseRelease(field, Qt.MouseButton.LeftButton, pos=QPoint(*end))


def test_corners_and_borders_are_pulled_and_the_frame_is_moved(field):
    drag(field, (414, 214), (214, 114))
    assert field.crop == Crop(0, 0, 200, 100)
    drag(field, (100, 60), (150, 90))
    assert field.crop == Crop(50, 30, 250, 130)
    drag(field, (64, 94), (84, 94))
    assert field.crop == Crop(70, 30, 250, 130), "the left border alone"


def test_it_stays_inside_and_above_the_least_size(field):
    drag(field, (414, 214), (-900, -900))
    assert field.crop == Crop(0, 0, 64, 64)
    drag(field, (40, 40), (2000, 2000))
    assert field.crop == Crop(336, 136, 400, 200)


def test_arrows_move_it_and_with_alt_its_corner(field):
    QTest.keyClick(field, Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClick(field, Qt.Key.Key_Right)
    assert field.crop == Crop(4, 0, 364, 200)
    assert "360 × 200 pixels, from 4, 0" in field.accessibleDescription()


def test_the_whole_picture_is_no_crop(qtbot):
    dialog = CropDialog(QPixmap(400, 200), PICTURE, Crop(0, 0, 100, 100), None)
    qtbot.addWidget(dialog)
    assert dialog.chosen == Crop(0, 0, 100, 100)
    dialog.field.set_box(QRectF(dialog.field.whole))
    assert dialog.chosen is None


def test_a_small_picture_can_be_framed_whole(qtbot):
    small = CropField(QPixmap(40, 200), Picture("a" * 64, 40, 200), QRectF(0, 0, 40, 200))
    qtbot.addWidget(small)
    small.pull(QRectF(small.box), (1, 1), QPointF(-100, -190))
    assert small.crop == Crop(0, 0, 40, 40)


def test_a_smaller_copy_is_cut_where_the_picture_would_be(qapp):
    pixmap = QPixmap(100, 50)
    pixmap.fill(Qt.GlobalColor.white)
    assert cut(pixmap, Crop(100, 0, 300, 100), PICTURE).size().toTuple() == (50, 25)


def test_a_frame_is_drawn_anew_over_all_that_is_looked_at_and_out_to_the_edges(field):
    """Only eight handles could be pulled, and a drag over the picture did nothing."""
    drag(field, (114, 64), (264, 164))
    assert field.crop == Crop(101, 45, 251, 145)
    drag(field, (2, 2), (426, 226))
    assert field.crop == Crop(0, 0, 400, 200), "from outside to outside is all of it"
    drag(field, (300, 100), (120, 20))
    assert field.crop == Crop(107, 1, 287, 81), "backwards too"
    drag(field, (350, 180), (353, 183))
    assert field.crop == Crop(107, 1, 287, 81), "a click draws none"
    drag(field, (390, 190), (380, 160))
    assert field.crop == Crop(313, 107, 377, 171), "never below the least size"


def test_a_border_is_pulled_anywhere_along_it(field):
    drag(field, (114, 14), (164, 14))
    assert field.crop == Crop(0, 0, 400, 200), "at the picture's edge there is no further"
    drag(field, (50, 219), (50, 119))
    assert field.crop == Crop(0, 0, 400, 100)
