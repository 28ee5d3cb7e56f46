"""The canvas under real events: zoom, pan, compare, paint, drop."""

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import (
    QColor,
    QDragEnterEvent,
    QDropEvent,
    QInputDevice,
    QNativeGestureEvent,
    QPixmap,
    QPointingDevice,
    QTabletEvent,
    QWheelEvent,
)
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QToolButton

from app.gui.canvas import mask as masks
from app.gui.canvas.canvas import Canvas
from app.gui.canvas.paint_brush import PaintBrush
from app.gui.canvas.tool_bars import PaintBar
from app.gui.kit.theme import theme

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
NOWHERE = QPoint()


@pytest.fixture
def canvas(qtbot):
    made = Canvas(QMimeData.hasUrls)
    qtbot.addWidget(made)
    made.resize(432, 232)
    made.show()
    made.set_picture(filled("red"), 400, 200)
    made.set_before(filled("blue"))
    return made


def filled(colour: str) -> QPixmap:
    pixmap = QPixmap(400, 200)
    pixmap.fill(colour)
    return pixmap


def colour_at(canvas, x, y) -> str:
    return canvas.grab().toImage().pixelColor(x, y).name()


def drag(canvas, start: QPoint, end: QPoint, button=LEFT, steps=4):
    QTest.mousePress(canvas, button, NONE, start)
    for step in range(1, steps + 1):
        QTest.mouseMove(canvas, start + (end - start) * step / steps)
    QTest.mouseRelease(canvas, button, NONE, end)


def wheel(canvas, at, degrees=0, pixels=NOWHERE, modifiers=NONE, device=None):
    device = device or QPointingDevice.primaryPointingDevice()
    event = QWheelEvent(
        QPointF(at), canvas.mapToGlobal(QPointF(at)), pixels, QPoint(0, degrees), Qt.MouseButton.NoButton,
        modifiers, Qt.ScrollPhase.NoScrollPhase, False, device=device,
    )  # fmt: skip
    QApplication.sendEvent(canvas, event)


def trackpad():
    kinds = QInputDevice.DeviceType
    caps = QInputDevice.Capability.Position | QInputDevice.Capability.PixelScroll
    return QPointingDevice("pad", 7, kinds.TouchPad, QPointingDevice.PointerType.Finger, caps, 2, 3)


def test_a_wheel_zooms_at_the_mouse_and_two_fingers_move(canvas):
    at = QPointF(100, 80)
    fixed = canvas.view.to_picture(at)
    wheel(canvas, at, 240)
    assert canvas.view.zoom == pytest.approx(1.25**2)
    after = canvas.view.to_picture(at)
    assert (after - fixed).manhattanLength() < 1e-6
    centre, pad = QPointF(canvas.view.centre), trackpad()
    wheel(canvas, at, 120, QPoint(12, 20), device=pad)
    assert canvas.view.zoom == pytest.approx(1.25**2)
    assert canvas.view.centre != centre
    wheel(canvas, at, 120, QPoint(0, 20), Qt.KeyboardModifier.ControlModifier, pad)
    assert canvas.view.zoom == pytest.approx(1.25**3)


def test_pinch_zooms(canvas):
    event = QNativeGestureEvent(
        Qt.NativeGestureType.ZoomNativeGesture, trackpad(), 2, QPointF(50, 50), QPointF(50, 50),
        canvas.mapToGlobal(QPointF(50, 50)), 0.5, QPointF(),
    )  # fmt: skip
    QApplication.sendEvent(canvas, event)
    assert canvas.view.zoom == pytest.approx(1.5)


def test_keys(canvas):
    QTest.keyClicks(canvas, "++")
    assert canvas.view.zoom == pytest.approx(1.25**2)
    centre = QPointF(canvas.view.centre)
    QTest.keyClick(canvas, Qt.Key.Key_Right)
    assert canvas.view.centre.x() > centre.x()
    QTest.keyClicks(canvas, "0")
    assert canvas.view.fitted
    QTest.keyClicks(canvas, "+1")
    assert canvas.view.zoom == 1.0


@pytest.mark.parametrize("way", ["space", "middle", "hand"])
def test_panning(canvas, way):
    canvas.zoom_by(4)
    centre = QPointF(canvas.view.centre)
    canvas.set_masking(way != "hand")
    if way == "space":
        QTest.keyPress(canvas, Qt.Key.Key_Space)
    drag(canvas, QPoint(200, 100), QPoint(150, 90), Qt.MouseButton.MiddleButton if way == "middle" else LEFT)
    moved = (canvas.view.centre - centre) * canvas.view.scale
    assert (moved.x(), moved.y()) == pytest.approx((50, 10))
    assert canvas.painter.is_blank


def test_at_full_view_the_picture_is_pulled_out(canvas, qtbot):
    with qtbot.waitSignal(canvas.drag_wanted):
        drag(canvas, QPoint(100, 100), QPoint(160, 100))


def test_the_slider_shows_before_on_its_left(canvas):
    canvas.set_comparing(True)
    assert colour_at(canvas, 120, 150) == "#0000ff"
    assert colour_at(canvas, 320, 150) == "#ff0000"
    drag(canvas, QPoint(216, 116), QPoint(116, 116))
    assert canvas.split == pytest.approx(0.25)
    assert colour_at(canvas, 150, 150) == "#ff0000"
    QTest.keyClicks(canvas, "....")
    assert canvas.split == pytest.approx(0.33)
    QTest.keyPress(canvas, Qt.Key.Key_B)
    QTest.keyPress(canvas, "b")
    assert colour_at(canvas, 320, 150) == "#0000ff"
    QTest.keyRelease(canvas, "b")
    assert colour_at(canvas, 320, 150) == "#ff0000"


def test_a_preview_covers_the_picture_and_leaves_the_zoom(canvas):
    canvas.zoom_by(2)
    zoom = canvas.view.zoom
    small = QPixmap(40, 20)
    small.fill("green")
    canvas.set_preview(small)
    assert canvas.view.zoom == zoom
    assert colour_at(canvas, 216, 116) == "#008000"
    canvas.set_preview(QPixmap())
    assert colour_at(canvas, 216, 116) == "#ff0000"


def begin_masking(canvas, tool="brush"):
    canvas.painter.load(masks.blank((400, 200)))
    canvas.painter.tool, canvas.painter.radius, canvas.painter.edge = tool, 10, 0.0
    canvas.set_masking(True)


def test_a_stroke_is_told_once_and_stands_where_the_mouse_went(canvas):
    told = []
    canvas.painter.committed.connect(told.append)
    begin_masking(canvas)
    drag(canvas, QPoint(66, 66), QPoint(166, 66))
    mask = canvas.painter.mask
    assert told == ["Paint mask"]
    assert (mask[50, 50:150] == 255).all()
    assert mask[50, 170] == 0
    assert abs((mask / 255).sum() - (100 * 20 + np.pi * 100)) < 40


def test_alt_erases_and_so_does_the_eraser(canvas):
    begin_masking(canvas)
    canvas.painter.load(np.full((200, 400), 255, np.uint8))
    QTest.mousePress(canvas, LEFT, Qt.KeyboardModifier.AltModifier, QPoint(66, 66))
    QTest.mouseRelease(canvas, LEFT, NONE, QPoint(66, 66))
    assert canvas.painter.mask[50, 50] == 0
    canvas.painter.erasing = True
    drag(canvas, QPoint(166, 66), QPoint(170, 66))
    assert canvas.painter.mask[50, 150] == 0


@pytest.mark.parametrize(("tool", "inside"), [("rectangle", (60, 40)), ("lasso", (60, 30))])
def test_regions(canvas, tool, inside):
    begin_masking(canvas, tool)
    QTest.mousePress(canvas, LEFT, NONE, QPoint(36, 36))
    for x, y in [(136, 36), (136, 96)]:
        QTest.mouseMove(canvas, QPoint(x, y))
    assert canvas.painter.is_blank  # until the release
    QTest.mouseRelease(canvas, LEFT, NONE, QPoint(136, 96))
    assert canvas.painter.mask[inside[1], inside[0]] == 255
    assert canvas.painter.mask[70, 30] == (255 if tool == "rectangle" else 0)


def test_escape_drops_a_stroke(canvas):
    begin_masking(canvas)
    QTest.mousePress(canvas, LEFT, NONE, QPoint(66, 66))
    QTest.mouseMove(canvas, QPoint(100, 66))
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    QTest.mouseRelease(canvas, LEFT, NONE, QPoint(100, 66))
    assert canvas.painter.is_blank


def test_a_pen_s_pressure_is_the_brush_s_size_and_its_other_end_erases(canvas):
    begin_masking(canvas)
    types = QTabletEvent.Type
    for pressure, x in ((0.1, 100), (1.0, 200)):
        pen(canvas, types.TabletPress, QPointF(x, 100), pressure)
        pen(canvas, types.TabletRelease, QPointF(x, 100), 0.0)
    light, heavy = (canvas.painter.mask[:, :130] > 0).sum(), (canvas.painter.mask[:, 130:] > 0).sum()
    assert 0 < light < heavy / 4
    pen(canvas, types.TabletPress, QPointF(200, 100), 1.0, QPointingDevice.PointerType.Eraser)
    pen(canvas, types.TabletRelease, QPointF(200, 100), 0.0, QPointingDevice.PointerType.Eraser)
    assert canvas.painter.mask[:, 130:].max() < 70  # a rim of half covered pixels
    assert canvas.painter.mask[84, 184] == 0


def pen(canvas, kind, at, pressure, pointer=QPointingDevice.PointerType.Pen):
    caps = QInputDevice.Capability.Position | QInputDevice.Capability.Pressure
    device = QPointingDevice("pen", 9, QInputDevice.DeviceType.Stylus, pointer, caps, 1, 3)
    event = QTabletEvent(kind, device, at, canvas.mapToGlobal(at), pressure, 0, 0, 0, 0, 0, NONE, LEFT, LEFT)
    QApplication.sendEvent(canvas, event)


def test_the_overlay_is_the_mask_in_its_colour(canvas):
    begin_masking(canvas)
    canvas.painter.load(np.full((200, 400), 255, np.uint8))
    half = colour_at(canvas, 216, 120)
    assert half not in ("#ff0000", "#ff3b6b")
    canvas.set_masking(False)
    assert colour_at(canvas, 216, 120) == "#ff0000"


def test_commands_of_the_whole_mask(canvas):
    begin_masking(canvas)
    painter = canvas.painter
    drag(canvas, QPoint(66, 66), QPoint(166, 66))
    share = (painter.mask / 255).mean()
    painter.invert()
    assert (painter.mask / 255).mean() == pytest.approx(1 - share)
    painter.feather()
    assert ((painter.mask > 0) & (painter.mask < 255)).any()


def test_dropped_files_are_handed_on(canvas, qtbot, picture_file):
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(picture_file()))])
    actions = Qt.DropAction.CopyAction
    enter = QDragEnterEvent(QPoint(50, 50), actions, mime, LEFT, NONE)
    QApplication.sendEvent(canvas, enter)
    assert enter.isAccepted()
    assert canvas.dropping
    with qtbot.waitSignal(canvas.dropped):
        QApplication.sendEvent(canvas, QDropEvent(QPointF(50, 50), actions, mime, LEFT, NONE))
    assert not canvas.dropping


def test_it_is_sharp_when_shown_much_smaller(qtbot):
    """Lines of one pixel average to grey instead of vanishing."""
    from PySide6.QtGui import QPainter

    canvas, lines = Canvas(), QPixmap(3200, 1600)
    qtbot.addWidget(canvas)
    lines.fill("white")
    painter = QPainter(lines)
    for x in range(0, 3200, 2):
        painter.drawLine(x, 0, x, 1600)
    painter.end()
    canvas.resize(432, 232)
    canvas.set_picture(lines, 3200, 1600)
    row = [canvas.grab().toImage().pixelColor(x, 116).red() for x in range(100, 300, 10)]
    assert max(row) - min(row) < 12
    assert 100 < sum(row) / len(row) < 150


def test_colours_to_paint_with_stay_when_the_theme_changes(canvas, qtbot):
    """All of them turned into the sign of a picture."""
    theme.apply("light")
    bar = PaintBar(canvas, PaintBrush(canvas.arranger, canvas.lead_point))
    qtbot.addWidget(bar)
    (blue,) = (one for one in bar.findChildren(QToolButton) if one.accessibleName() == "Blue")
    before = blue.icon().pixmap(18).toImage().pixelColor(9, 9)
    theme.apply("dark")
    assert blue.icon().pixmap(18).toImage().pixelColor(9, 9) == before == QColor("#3f7fbf")
