"""The program as it is, with a window into it: python -m tests.window.probe SOCKET [BOARD]

Starts the same main() as `flux-local`. Beside it a thread answers questions at a Unix socket, one JSON line each; they
are asked in the window's own thread, between events, also while a dialog runs. A heartbeat notes when the event loop
stood still. Nothing here acts on the window: keys and mouse come from outside.
"""

import ctypes
import faulthandler
import hashlib
import json
import os
import random
import re
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import TextIO

from PySide6.QtCore import QAbstractNativeEventFilter, QObject, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QHeaderView,
    QLabel,
    QLineEdit,
    QMenu,
    QMenuBar,
    QPlainTextEdit,
    QScrollBar,
    QTabBar,
    QWidget,
)
from shiboken6 import getCppPointer

from tests.window.fit import find_cut

STEADY = "FLUX_LOCAL_STEADY"  # in the environment: seeds come from a fixed one
BEAT = 10  # ms
LATE = 60  # ms
RING = 5  # px around a widget in which its focus may be painted
ACTED_ON = (
    QAbstractButton,
    QComboBox,
    QLineEdit,
    QAbstractSpinBox,
    QAbstractSlider,
    QAbstractItemView,
    QPlainTextEdit,
    QTabBar,
)


class Heart(QObject):
    """Waits between two beats of the event loop, in ms.

    The first beat comes once the loop runs: what is built before it is no freeze but the start.
    """

    def __init__(self, parent: QObject):
        super().__init__(parent)
        self.waits: list[tuple[float, float]] = []  # by the clock; of this thread's processor time
        self._last: tuple[float, float] | None = None
        self._seen: TextIO | None = None
        timer = QTimer(self, interval=BEAT, timerType=Qt.TimerType.PreciseTimer)
        timer.timeout.connect(self._beat)
        timer.start()

    def _beat(self) -> None:
        now = time.perf_counter(), time.thread_time()
        if self._last:
            self.waits.append((1000 * (now[0] - self._last[0]) - BEAT, 1000 * (now[1] - self._last[1])))
        self._last = now
        if self._seen:
            faulthandler.dump_traceback_later(LATE / 1000, file=self._seen)

    def watch(self) -> None:
        """From now on note where the thread is when a beat is overdue: in C, which holds on to nothing of Python's."""
        self._seen = open(tempfile.mkstemp()[1], "w+", encoding="utf-8")  # noqa: SIM115  # as long as the program

    def longest(self) -> tuple[float, float, list[str]]:
        """The longest by the clock, the most work between two beats, where it was meanwhile; and begin anew."""
        waits, self.waits = self.waits, []
        clock, work = (max((wait[i] for wait in waits), default=0.0) for i in (0, 1))
        return clock, work, self._read_seen() if self._seen else []

    def _read_seen(self) -> list[str]:
        self._seen.seek(0)
        text = self._seen.read()
        self._seen.seek(0)
        self._seen.truncate()
        found = Counter()
        for stack in text.split("Timeout")[1:]:
            mine = stack.rpartition("Thread 0x")[2]  # the main one comes last
            lines = re.findall(r'File ".*/app/([^"]*)", line (\d+) in (\w+)', mine)
            found[" < ".join(f"{Path(file).stem}.{name}:{line}" for file, line, name in lines[:5])] += 1
        return [f"{count} x {where}" for where, count in found.most_common(6)]


class Ear(QAbstractNativeEventFilter):
    """Counts keys and mouse buttons that were let go, as they come from the X server, just before Qt acts on them."""

    KEY, GENERIC, BUTTON = (
        3,
        35,
        5,
    )  # releases; the mouse comes by XInput2, its kind in byte 8

    def __init__(self) -> None:
        super().__init__()
        self.heard = 0

    def nativeEventFilter(self, _kind, message):
        event = ctypes.string_at(int(message), 10)
        self.heard += event[0] == self.KEY or (event[0], event[8]) == (self.GENERIC, self.BUTTON)
        return False, 0


class Probe(QObject):
    """Answers in the window's thread."""

    asked = Signal(object)

    def __init__(self, path: str, app: QApplication):
        super().__init__(app)
        self.app, self.heart, self.ear = app, Heart(self), Ear()
        app.installNativeEventFilter(self.ear)
        self.asked.connect(self._answer, Qt.ConnectionType.QueuedConnection)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rw") as stream:
                for line in stream:
                    answer: list[str] = []
                    done = threading.Event()
                    self.asked.emit((json.loads(line), answer, done))
                    done.wait()
                    stream.write(answer[0] + "\n")
                    stream.flush()

    def _answer(self, question) -> None:
        (name, arguments), answer, done = question
        try:
            answer.append(json.dumps({"value": getattr(self, name)(*arguments)}))
        except Exception:
            answer.append(json.dumps({"error": traceback.format_exc()}))
        done.set()

    # Questions

    def widgets(self) -> list[dict]:
        """Everything that can be seen and has a name or words, outermost window last to be raised first."""
        found = []
        for top in self.app.topLevelWidgets():
            if top.isVisible():
                found += [describe(one) for one in [top, *top.findChildren(QWidget)] if one.isVisible()]
                found += [
                    entry
                    for one in [top, *top.findChildren(QMenu), *top.findChildren(QMenuBar)]
                    for entry in entries(one)
                ]
        return [one for one in found if one["name"] or one["text"]]

    def focus(self) -> dict | None:
        widget = self.app.focusWidget()
        return describe(widget) if widget else None

    def stops(self) -> list[dict]:
        """What a person can act on in the active window, as Tab should come to it."""
        inside = self.app.activeWindow().findChildren(QWidget)
        return [describe(one) for one in inside if one.isVisible() and one.isEnabled() and is_stop(one)]

    def look(self, rect: list[int]) -> str:
        """What the screen shows there and just around it."""
        x, y, width, height = rect
        image = (
            self.app.primaryScreen().grabWindow(0, x - RING, y - RING, width + 2 * RING, height + 2 * RING).toImage()
        )
        return hashlib.sha256(bytes(image.constBits())).hexdigest()

    def cut(self) -> list[str]:
        """Words that can be seen only in part (fit.py)."""
        return find_cut(self.app)

    def heard(self) -> int:
        return self.ear.heard

    def windows(self) -> list[str]:
        return [top.windowTitle() for top in self.app.topLevelWidgets() if top.isVisible() and top.isWindow()]

    def watch(self) -> None:
        self.heart.watch()

    def longest_wait(self) -> tuple[float, float, list[str]]:
        return self.heart.longest()

    def ask(self, code: str):
        """The value of an expression; `window`, `document`, `board` and `grid` stand for what is open."""
        window = next(top for top in self.app.topLevelWidgets() if type(top).__name__ == "MainWindow")
        document = window.session.document
        page = window.pages.get("board")
        return eval(code, {"app": self.app, "window": window, "document": document,
                           "board": document.board if document else None, "grid": page.grid if page else None,
                           "place": place, "QPoint": QPoint})  # fmt: skip


def is_stop(widget: QWidget) -> bool:
    """A control of its own, and of those that exclude each other the chosen one: arrows lead to the rest."""
    if isinstance(widget.parentWidget(), (QAbstractSpinBox, QComboBox)) or isinstance(
        widget, (QScrollBar, QHeaderView)
    ):
        return False
    if isinstance(widget, QAbstractButton) and (widget.autoExclusive() or widget.group()):
        return widget.isChecked()
    return isinstance(widget, ACTED_ON) or bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus)


def describe(widget: QWidget) -> dict:
    """Class, accessible name, words, rectangle on the screen and state of a widget."""
    interface = QAccessible.queryAccessibleInterface(widget)
    name = widget.accessibleName() or (interface.text(QAccessible.Text.Name) if interface else "")
    text = ""
    if isinstance(widget, (QAbstractButton, QLabel, QLineEdit)):
        text = widget.text()
    elif isinstance(widget, QComboBox):
        text = widget.currentText()
    elif widget.isWindow():
        text = widget.windowTitle()
    return {
        "class": type(widget).__name__, "name": name, "text": text.replace("&", ""), "rect": place(widget),
        "enabled": widget.isEnabled(), "focus": widget.hasFocus(), "hint": widget.toolTip(),
        "id": getCppPointer(widget)[0],
    }  # fmt: skip


def entries(menu: QWidget) -> list[dict]:
    """The entries of a menu or a menu bar that is shown."""
    if not isinstance(menu, (QMenu, QMenuBar)) or not menu.isVisible():
        return []
    return [
        {
            "class": "entry", "name": action.text().replace("&", ""), "text": action.text().replace("&", ""),
            "rect": place(menu, menu.actionGeometry(action)), "enabled": action.isEnabled(), "focus": False,
            "hint": action.toolTip(),
        }
        for action in menu.actions() if action.isVisible() and not action.isSeparator()
    ]  # fmt: skip


def place(widget: QWidget, rect=None) -> list[int]:
    """x, y, width, height on the screen."""
    rect = rect or widget.rect()
    corner = widget.mapToGlobal(rect.topLeft())
    return [corner.x(), corner.y(), rect.width(), rect.height()]


def draw_steadily() -> None:
    """The same numbers in every run, where seeds are drawn: for pictures that are to come out the same again."""
    from app.board import panel_job

    panel_job.secrets = SimpleNamespace(randbelow=random.Random(1).randrange)


def main() -> None:
    from app.gui.window import start

    if os.environ.get(STEADY):
        draw_steadily()

    made = start.open_window

    def open_window(app):
        window = made(app)
        Probe(sys.argv[1], app)
        return window

    start.open_window = open_window
    sys.exit(start.main(*sys.argv[2:3]))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    main()
