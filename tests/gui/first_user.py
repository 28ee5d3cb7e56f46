"""Somebody's first quarter of an hour with the app, by mouse and keys: python -m tests.gui.first_user PICTURE...

Ends by waiting to be killed. Prints one JSON line when everything that is to survive was seen on screen.
"""

import json
import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragMoveEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

LEFT, NONE, CONTROL = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier
PATIENCE = 200.0  # seconds for a run on a busy machine
JOURNAL = 0.5  # seconds after which a change must survive a kill


def main(pictures: list[str]) -> None:
    from app.gui.window.start import Application, open_window

    app = Application([])
    window = open_window(app)
    window.session.stand_by()
    app.processEvents()
    new_board(window)
    cast(window, pictures)
    picture(window)
    edit(window)
    go_on_and_undo(window)
    document = window.document
    QTest.qWait(round(1000 * JOURNAL))
    panels = [[len(panel.takes), panel.words] for panel in document.board.panels()]
    worker = window.session.engine._process.pid
    names = [member.name for member in document.board.cast]
    told = {"path": str(document.file.path), "panels": panels, "cast": names, "worker": worker}
    print(json.dumps(told), flush=True)
    app.exec()


def new_board(window) -> None:
    """From the sample that the first run shows to a board of one's own, in the shape that the model knows."""
    assert window.document.board.title == "The Gull Goes Out"
    wait(window.isActiveWindow)  # a dialog stood before it while the sample was read
    QTest.keyClick(window, Qt.Key.Key_N, CONTROL)
    wait(lambda: window.document.board.title == "Untitled")
    assert window.board.square.isHidden()
    assert window.document.board.aspect == (1, 1)


def cast(window, pictures: list[str]) -> None:
    """Three pictures into the cast, dropped where the pointer is."""
    QTest.mouseClick(window.places["cast"], LEFT)
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(path) for path in pictures])
    page = window.pages["cast"]
    drag(window, page.mapTo(window, page.rect().center()), mime)
    wait(lambda: len(window.document.board.cast) == len(pictures))


def picture(window) -> None:
    """The first panel, opened by double click; two mentions completed from the list; a run that is watched."""
    QTest.mouseClick(window.places["board"], LEFT)
    grid = window.board.grid
    at = grid.visualRect(grid.model().index(1)).center()
    QTest.mouseClick(grid.viewport(), LEFT, NONE, at)
    QTest.mouseDClick(grid.viewport(), LEFT, NONE, at)
    wait(lambda: window.open_panel_id() is not None)
    view = window.pages["panel"]
    QTest.keyClicks(view.edit.text, "@gu")
    QTest.keyClick(view.edit.text, Qt.Key.Key_Return)
    QTest.keyClicks(view.edit.text, "and @fo")
    QTest.keyClick(view.edit.text, Qt.Key.Key_Tab)
    QTest.keyClicks(view.edit.text, "in a bar")
    assert view.panel.prompt == "@gull and @fox in a bar"
    assert [reference.name for reference in view.panel.references] in ([], ["gull", "fox"])
    run(view)


def edit(window) -> None:
    """The result changed by an instruction, started from it with keys alone."""
    view = window.pages["panel"]
    view.edit.to_change.setFocus()
    QTest.keyClick(view.edit.to_change, Qt.Key.Key_Space)
    assert view.panel.source.kind == "take"
    assert view.edit.text.hasFocus()
    QTest.keyClicks(view.edit.text, "make it night")
    run(view)


def go_on_and_undo(window) -> None:
    """The next panel from this one's picture; a mistake, undone."""
    view, first = window.pages["panel"], window.open_panel_id()
    QTest.mouseClick(view.side.go_on, LEFT)
    wait(lambda: window.open_panel_id() not in (None, first))
    QTest.keyClicks(view.edit.text, "move the scene to the beach")
    run(view)
    QTest.mouseClick(view.later if view.later.isEnabled() else view.earlier, LEFT)
    assert window.open_panel_id() == first
    QTest.keyClicks(view.edit.text, " and a mistake")
    assert getattr(view.panel, view.panel.words_field).endswith("mistake")
    QTest.keyClick(view.edit.text, Qt.Key.Key_Z, CONTROL)
    assert getattr(view.panel, view.panel.words_field) == "make it night"


def run(view) -> None:
    """Ctrl+Return, until the take is there."""
    before = len(view.panel.takes)

    def done() -> bool:
        state = view.document.panel_state(view.panel_id)
        assert state.state != "failed", state.reason
        return len(view.panel.takes) > before

    QTest.keyClick(view.edit.text, Qt.Key.Key_Return, CONTROL)
    wait(done)


def drag(window: QWidget, at: QPoint, mime: QMimeData) -> None:
    """Drop as Qt delivers it: to the nearest widget under the pointer that accepts drops, wherever that is."""
    target = window.childAt(at)
    while target is not None and not target.acceptDrops():
        target = target.parentWidget()
    assert target is not None, "nothing under the pointer takes pictures"
    inside, copy = target.mapFrom(window, at), Qt.DropAction.CopyAction
    enter = QDragEnterEvent(inside, copy, mime, LEFT, NONE)
    QApplication.sendEvent(target, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(target, QDragMoveEvent(inside, copy, mime, LEFT, NONE))
    QApplication.sendEvent(target, QDropEvent(QPointF(inside), copy, mime, LEFT, NONE))


def wait(ready: Callable[[], bool]) -> None:
    """Let the window live until `ready`. Raises AssertionError after PATIENCE."""
    end = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < end, "it took too long"
        QTest.qWait(10)


if __name__ == "__main__":
    main(sys.argv[1:])
