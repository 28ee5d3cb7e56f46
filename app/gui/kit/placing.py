"""How large windows come up, and where on the screen."""

from PySide6.QtCore import QByteArray, QPoint, QRect, QSize, Qt
from PySide6.QtWidgets import QWidget

FRAME = QSize(16, 48)  # px: what a window's own frame may take of the screen
USUAL = QSize(1280, 800)  # the first window
SHARE, MOST = 0.8, QSize(2048, 1280)  # of a larger screen, and no more


def size_window(window: QWidget, width: int, height: int) -> None:
    """So large, or as large as the screen allows, over the middle of the window that it belongs to."""
    room = window.screen().availableGeometry()
    window.resize(QSize(width, height).boundedTo(room.size() - FRAME))
    below = window.parentWidget()
    placed = QRect(QPoint(), window.size() + FRAME)
    placed.moveCenter(below.window().frameGeometry().center() if below and below.isVisible() else room.center())
    x, y = min(placed.x(), room.right() - placed.width()), min(placed.y(), room.bottom() - placed.height())
    window.move(max(x, room.left()), max(y, room.top()))


def size_first(window: QWidget) -> None:
    """The main window before anybody has given it a size: a good part of the screen, all of a small one."""
    room = window.screen().availableSize()
    usual = (room * SHARE).boundedTo(MOST).expandedTo(USUAL)
    size_window(window, usual.width(), usual.height())
    if usual + FRAME != (usual + FRAME).boundedTo(room):
        window.setWindowState(Qt.WindowState.WindowMaximized)


def place_again(window: QWidget, geometry: str) -> None:
    """Where it was, by what saveGeometry gave, in Base64; the first time, and off the screen, as above."""
    kept = QByteArray.fromBase64(geometry.encode())
    if kept.isEmpty() or not window.restoreGeometry(kept):
        size_first(window)
