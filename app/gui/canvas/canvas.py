"""The large picture under mouse, pen, trackpad and keys: zoom, pan, before and after, painting the mask, drops."""

from collections.abc import Callable

from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QCursor,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QFocusEvent,
    QInputDevice,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QNativeGestureEvent,
    QPointingDevice,
    QResizeEvent,
    QTabletEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QApplication, QWidget

from ..kit.widgets import wins_over_menus
from .area import NOWHERE, PictureArea
from .grips import CURSORS, Grip
from .hand import REACH, REMOVES, Hand, Touch
from .holding import Holder
from .mask_keys import MaskKeys, move_point

GRAB = 14  # logical pixels around the line of the slider that take hold of it
LOOKS = "+ and - zoom, 0 fits, 1 shows pixels, arrows move, C compares, B shows before, O shows the panel before"
ARROWS: dict[int, QPointF] = {
    Qt.Key.Key_Left: QPointF(1, 0), Qt.Key.Key_Right: QPointF(-1, 0),
    Qt.Key.Key_Up: QPointF(0, 1), Qt.Key.Key_Down: QPointF(0, -1),
}  # fmt: skip
PAN_STEP, SPLIT_STEP = 40, 0.02
LEFT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton


class Canvas(PictureArea):
    """The picture to look at and to paint on."""

    drag_wanted = Signal()  # the picture is being pulled out of the window
    dropped = Signal(object, object)  # QMimeData, also of what is pasted; where in the picture, None: as its own
    menu_asked = Signal(QPoint, bool)  # where, on the screen; whether by the mouse: of what lies there
    copy_asked = Signal()
    clear_asked = Signal()  # the mask
    compare_asked = Signal()  # by key
    onion_asked = Signal()  # by key
    brush_resized = Signal()

    def __init__(self, accepts: Callable[[QMimeData], bool] | None = None, parent: QWidget | None = None):
        """`accepts` tells what may be dropped; without it nothing may."""
        super().__init__(parent)
        self._accepts = accepts
        self._grip: str | None = None  # "pan", "split", "paint", "drag" while a button is down
        self._from, self._space = QPointF(), False
        self.keys = MaskKeys(self)
        self.setMouseTracking(True)
        self.setTabletTracking(True)
        self.setAcceptDrops(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Picture")
        self.setAccessibleDescription(LOOKS)
        self.zoomed.connect(self._show_cursor)

    def set_masking(self, on: bool) -> None:
        super().set_masking(on)
        self._show_cursor()
        self._describe()

    def set_comparing(self, on: bool) -> None:
        super().set_comparing(on)
        self._show_cursor()

    def set_hand(self, hand: Hand | None) -> None:
        """Give the picture to a tool; None takes it back."""
        if self.hand:
            self.hand.settle()
            self.hand.changed.disconnect(self._follow_hand)
        self.hand = hand
        if hand:
            hand.changed.connect(self._follow_hand)
        self._follow_hand()
        self._show_cursor()

    def _follow_hand(self) -> None:
        self._describe()
        self.update()

    def lead_point(self, by: QPointF) -> QPointF:
        """Move the point that keys lead by logical pixels; where it is in the picture then."""
        move_point(self, by)
        return self.view.to_picture(self.hover)

    def _describe(self) -> None:
        words = self.hand.describe() if self.hand else self.keys.describe() if self.masking else LOOKS
        if words != self.accessibleDescription():
            self.setAccessibleDescription(words)

    # Mouse and pen

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._press(event.position(), event.button(), event.modifiers())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._drag_to(event.position(), 1.0)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() in (LEFT, MIDDLE):
            self._release()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Between the whole picture and its pixels; while masking it is a second press."""
        if self.masking or self.hand or event.button() != LEFT:
            self.mousePressEvent(event)
        elif self.view.fitted:
            self.hover = event.position()
            self.actual_size()
        else:
            self.fit()

    def tabletEvent(self, event: QTabletEvent) -> None:
        """A pen paints with its pressure, and its other end erases. Without masking it is a mouse."""
        kind = event.type()
        if not (self.paintable or self.hand) or self._space:
            event.ignore()
            return
        if kind == QEvent.Type.TabletPress and event.button() == LEFT and self.hand:
            self._press(event.position(), LEFT, event.modifiers(), event.pressure())
        elif kind == QEvent.Type.TabletPress and event.button() == LEFT:
            eraser = event.pointerType() == QPointingDevice.PointerType.Eraser
            self._grip = "paint"
            self.painter.begin(self.view.to_picture(event.position()), event.pressure(), eraser)
        elif kind == QEvent.Type.TabletMove:
            self._drag_to(event.position(), event.pressure())
        elif kind == QEvent.Type.TabletRelease:
            self._release()
        event.accept()

    def _touch(self, at: QPointF, modifiers: Qt.KeyboardModifier, pressure: float = 1.0) -> Touch:
        keys = Qt.KeyboardModifier
        shift, alt = bool(modifiers & keys.ShiftModifier), bool(modifiers & (keys.AltModifier | keys.ControlModifier))
        return Touch(self.view.to_picture(at), self._reach(), shift, alt, pressure)

    def _press(
        self, at: QPointF, button: Qt.MouseButton, modifiers: Qt.KeyboardModifier, pressure: float = 1.0
    ) -> None:
        self.keys.settle()
        self._from = self.hover = at
        if button == MIDDLE or (button == LEFT and self._space):
            self._grip = "pan"
        elif button == LEFT and self._near_split(at):
            self._grip = "split"
            self.split_to(at.x())
        elif button == LEFT and self.hand:
            self._grip, self.working = "hand", True
            self.hand.press(self._touch(at, modifiers, pressure))
        elif button == LEFT and self.paintable:
            self._grip = "paint"
            erase = bool(modifiers & Qt.KeyboardModifier.AltModifier)
            self.painter.begin(self.view.to_picture(at), 1.0, erase, self._reach())
        elif button == LEFT:
            pull = self.view.fitted or bool(modifiers & Qt.KeyboardModifier.ControlModifier)
            self._grip = "drag" if pull else "pan"
        self._show_cursor()

    def _drag_to(self, at: QPointF, pressure: float) -> None:
        moved, self.hover, self.by_keys = at - self.hover, at, False
        if self._grip == "pan":
            self.view.pan(moved)
            self._show_zoom()
        elif self._grip == "split":
            self.split_to(at.x())
        elif self._grip == "paint":
            self.painter.move(self.view.to_picture(at), pressure)
        elif self._grip == "hand" and self.hand:
            self.hand.move(self._touch(at, QApplication.keyboardModifiers(), pressure))
        elif self._grip == "drag" and (at - self._from).manhattanLength() > 10:
            self._grip = None
            self.drag_wanted.emit()
        if self._grip in (None, "paint", "hand"):
            self._show_cursor()
            if self.masking or self.hand:
                self.update()

    def _release(self) -> None:
        grip, self._grip, self.working = self._grip, None, False
        if grip == "paint":
            self.painter.finish()
            self._describe()
        elif grip == "hand" and self.hand:
            self.hand.release()
        self._show_cursor()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """By the right button where it is, by the menu key in the middle."""
        if self._grip is None:
            by_key = event.reason() == QContextMenuEvent.Reason.Keyboard
            at = self.mapToGlobal(self.rect().center()) if by_key else event.globalPos()
            self.menu_asked.emit(at, not by_key)

    def find_in(self, holder: Holder, at: QPoint) -> int:
        """The place of that one of its things that lies at a point of the screen; -1 for none."""
        return holder.find_at(self._touch(self.mapFromGlobal(at).toPointF(), Qt.KeyboardModifier.NoModifier))

    def leaveEvent(self, event: QEvent) -> None:
        if not self.by_keys:
            self.hover = NOWHERE
        self.update()

    def _reach(self) -> float:
        """How far a handle takes hold, in picture pixels."""
        return REACH / self.view.scale

    def _grip_under(self) -> Grip | None:
        return self.painter.grip_at(self.view.to_picture(self.hover), self._reach())

    def _near_split(self, at: QPointF) -> bool:
        return self.comparing and not self.before.isNull() and abs(at.x() - self.split_x()) <= GRAB

    def _show_cursor(self, _zoom: float = 0.0) -> None:
        shapes = Qt.CursorShape
        if self._grip == "pan":
            shape = shapes.ClosedHandCursor
        elif self._space:
            shape = shapes.OpenHandCursor
        elif self._near_split(self.hover):
            shape = shapes.SplitHCursor
        elif self.hand:
            shape = self.hand.shape_at(self._touch(self.hover, QApplication.keyboardModifiers()))
        elif self.paintable and (grip := self._grip_under()) is not None:
            shape = CURSORS[grip]
        elif self.paintable:
            shape = shapes.BlankCursor if self.painter.tool == "brush" else shapes.CrossCursor
        else:
            shape = shapes.ArrowCursor if self.view.fitted else shapes.OpenHandCursor
        if self.cursor().shape() != shape:
            self.setCursor(QCursor(shape))

    # Wheel, pinch, keys

    def wheelEvent(self, event: QWheelEvent) -> None:
        """A wheel zooms; two fingers on a trackpad move the picture, and zoom with Ctrl or Cmd."""
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        touched = event.deviceType() == QInputDevice.DeviceType.TouchPad
        trackpad = touched or event.phase() != Qt.ScrollPhase.NoScrollPhase
        if trackpad and not control and not event.pixelDelta().isNull():
            self.view.pan(QPointF(event.pixelDelta()))
            self._show_zoom()
        else:
            self.zoom_by(event.angleDelta().y() / 120.0, event.position())
        event.accept()

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QNativeGestureEvent):
            return self._native_gesture(event)
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride:
            (self.hand or self.keys).settle_before(event)
        standard = (QKeySequence.StandardKey.Copy, QKeySequence.StandardKey.Paste)
        return wins_over_menus(event, (*ARROWS, *REMOVES, Qt.Key.Key_Space), standard) or super().event(event)

    def _native_gesture(self, event: QNativeGestureEvent) -> bool:
        kind, at = event.gestureType(), event.position()
        if kind == Qt.NativeGestureType.ZoomNativeGesture:
            self.view.zoom_to(self.view.zoom * max(0.1, 1.0 + event.value()), at)
        elif kind == Qt.NativeGestureType.SmartZoomNativeGesture:
            self.view.zoom_to(1.0, at) if self.view.fitted else self.view.fit()
        else:
            return super().event(event)
        self._show_zoom()
        return True

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, text = event.key(), event.text()
        if (self.hand and self.hand.press_key(event)) or self.keys.press(event):
            self._describe()
        elif key == Qt.Key.Key_Space:
            self._space = True
            self._show_cursor()
        elif key in ARROWS:
            self.view.pan(ARROWS[key] * PAN_STEP)
            self._show_zoom()
        elif key in REMOVES:  # of the mask; a panel is deleted on the board only
            self.clear_asked.emit()
        elif event.matches(QKeySequence.StandardKey.Copy):
            self.copy_asked.emit()
        elif event.matches(QKeySequence.StandardKey.Paste):
            self.paste()
        elif key == Qt.Key.Key_Escape and self.hand and self.hand.cancel():
            self._grip = None
        elif key == Qt.Key.Key_Escape and self.painter.busy:
            self._grip = None
            self.painter.cancel()
        elif not self._type(text, event.isAutoRepeat()):
            super().keyPressEvent(event)

    def paste(self) -> None:
        """What is on the clipboard, as if it were dropped; while pictures are placed, into the middle."""
        laid = self.placing and self.hand is self.arranger
        middle = QPointF(self.view.picture.width() / 2, self.view.picture.height() / 2)
        self.dropped.emit(QApplication.clipboard().mimeData(), middle if laid else None)

    def _type(self, text: str, repeated: bool) -> bool:
        match text.lower():
            case "+" | "=":
                self.zoom_by(1)
            case "-":
                self.zoom_by(-1)
            case "0":
                self.fit()
            case "1":
                self.actual_size()
            case "," | ".":
                self.set_split(self.split + (SPLIT_STEP if text == "." else -SPLIT_STEP))
            case "[" | "]":
                self.resize_brush(1.15 if text == "]" else 1 / 1.15)
            case "c" if not repeated:
                self.compare_asked.emit()
            case "o" if not repeated:
                self.onion_asked.emit()
            case "b":
                self.set_holding(True)
            case _:
                return False
        return True

    def resize_brush(self, factor: float) -> None:
        longest = max(self.view.picture.width(), self.view.picture.height())
        self.painter.radius = min(longest / 2, max(0.5, self.painter.radius * factor))
        self.brush_resized.emit()
        self.update()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if event.isAutoRepeat():
            return
        if event.key() == Qt.Key.Key_Space:
            self._space = False
            self._show_cursor()
        elif event.key() == Qt.Key.Key_B:
            self.set_holding(False)
        else:
            self.keys.release(event)
            if self.hand:
                self.hand.release_key(event)
            super().keyReleaseEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self.keys.settle()
        if self.hand and event.reason() != Qt.FocusReason.PopupFocusReason:
            self.hand.settle()
        self._space = False
        self.set_holding(False)
        super().focusOutEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self.view.set_widget(self.size().toSizeF(), self.devicePixelRatioF())
        self._show_zoom()

    # Drop

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        mine = event.source() is self  # let go of where it was taken: nothing was meant
        self.dropping = bool(self._accepts and not mine and self._accepts(event.mimeData()))
        event.setAccepted(self.dropping)
        self.dropping_at = event.position()
        self.update()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        self.dropping_at = event.position()
        event.setAccepted(self.dropping)
        self.update()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self.dropping = False
        self.update()

    def dropEvent(self, event: QDropEvent) -> None:
        self.dropping = False
        self.update()
        event.acceptProposedAction()
        at = event.position()
        self.dropped.emit(event.mimeData(), self.view.to_picture(at) if self.places_at(at) else None)
