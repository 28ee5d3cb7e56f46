"""Starting the window: the application object, files opened from Finder, the session, the first board."""

import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QSocketNotifier, QTimer, Signal
from PySide6.QtGui import QFileOpenEvent, QIcon
from PySide6.QtWidgets import QApplication

from mlx_model.errors import Hint

from ...base import faults
from ...base.paths import APP_NAME, ASSETS
from ...base.settings import find_last
from ..kit.theme import theme

if TYPE_CHECKING:
    from .main_window import MainWindow

SAVED = "The board is saved by itself, as always."
ICON = ASSETS / "icons" / "app.svg"


class Application(QApplication):
    """Tells which file Finder wants opened."""

    file_wanted = Signal(str)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QFileOpenEvent):
            self.file_wanted.emit(event.file())
            return True
        return super().event(event)


class Signals(QObject):
    """Ctrl-C, a polite kill and the end of the terminal end the app as closing the window does.

    Python runs its handlers between its own instructions, and Qt's event loop has none: a byte in a socket wakes it.
    `asked` says that one has come: before the event loop runs, quit() means nothing to Qt.
    """

    def __init__(self, stop: Callable[[], object], parent: QObject):
        super().__init__(parent)
        self.asked, self._stop = False, stop
        self._write, self._read = socket.socketpair()
        self._write.setblocking(False)
        self._before = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        self._notifier = QSocketNotifier(self._read.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(lambda *_: self._read.recv(64))
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(one) != signal.SIG_IGN:  # nohup: it is to outlive its terminal
                signal.signal(one, self._end)

    def _end(self, *_: object) -> None:
        self.asked = True
        self._stop()

    def close(self) -> None:
        """Back to how it was."""
        self._notifier.setEnabled(False)
        signal.set_wakeup_fd(self._before)
        self._read.close()
        self._write.close()


def main(path: str | None = None) -> int:
    """Open the window, with the board at `path` if given, and run until it is closed; the exit code."""
    app = Application(sys.argv[:1])
    app.setApplicationName(APP_NAME)
    app.setApplicationDisplayName(APP_NAME)
    app.setDesktopFileName("flux-local")
    app.setWindowIcon(QIcon(str(ICON)))
    signals = Signals(app.quit, app)
    window = open_window(app)
    # The file that Finder opens the app with arrives as an event, after the window is there.
    waiting = [path] if path else []
    app.file_wanted.connect(waiting.append)
    app.processEvents()
    app.file_wanted.disconnect(waiting.append)
    app.file_wanted.connect(window.session.open_or_import)
    sys.excepthook = partial(tell_fault, window.say)
    begin(window, waiting[0] if waiting else None)
    QTimer.singleShot(0, lambda: app.quit() if signals.asked else None)
    code = app.exec()
    window.session.close()
    signals.close()
    return code


def begin(window: "MainWindow", path: str | None) -> None:
    """Open the board at `path`, else that of last time.

    Somebody new sees Home, and so does who asked for a board that can't be opened: nobody takes another one for it.
    """
    session = window.session
    wanted = path or find_last(session.settings)
    if wanted and session.open_named(wanted, asked=False):
        return
    window.arrival = "home"
    session.stand_by()
    window.arrival = "board"
    if wanted:  # once more, now that there is something to ask in front of
        session.open_named(wanted)


def tell_fault(
    say: Callable[[str, Hint], None], kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Something that no one expected: on the screen as a message, in the log with its traceback; the app goes on."""
    sys.__excepthook__(kind, error, trace)
    if not isinstance(error, Exception):
        return
    known = faults.tell(error)
    if known:
        say(known.message, known.hint)
    else:
        said = faults.say_plainly(str(error))
        say(f"{faults.WRONG} {said}".strip(), f"{SAVED} {faults.OUR_FAULT}")


def open_window(app: QApplication) -> "MainWindow":
    """The window of a new session, shown and empty still."""
    from ...engine.engine import Engine
    from .main_window import MainWindow
    from .session import Session

    session = Session(Engine(), app)
    theme.apply(session.settings.appearance)
    window = MainWindow(session)
    window.show()
    QTimer.singleShot(0, window.activateWindow)
    return window
