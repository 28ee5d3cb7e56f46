"""Starting the window: the application object, files opened from Finder, the session, the first board."""

import signal
import socket
import sys
from pathlib import Path

from PySide6.QtCore import QEvent, QObject, QSocketNotifier, QTimer, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication

from ..paths import APP_NAME
from .theme import theme

ICON = Path(__file__).resolve().parents[2] / "assets" / "icons" / "app.svg"


class Application(QApplication):
    """Tells which file Finder wants opened."""

    file_wanted = Signal(str)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.FileOpen:
            self.file_wanted.emit(event.file())
            return True
        return super().event(event)


class Signals(QObject):
    """Ctrl-C and a polite kill end the app as closing the window does.

    Python runs its handlers between its own instructions, and Qt's event loop has none: a byte in a socket wakes it.
    """

    def __init__(self, stop, parent: QObject):
        super().__init__(parent)
        self._write, self._read = socket.socketpair()
        self._write.setblocking(False)
        self._before = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        self._notifier = QSocketNotifier(self._read.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(lambda *_: self._read.recv(64))
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, lambda *_: stop())

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
    window = open_window(app)
    # The file that Finder opens the app with arrives as an event, after the window is there.
    waiting = [path] if path else []
    app.file_wanted.connect(waiting.append)
    app.processEvents()
    app.file_wanted.disconnect(waiting.append)
    app.file_wanted.connect(window.session.open)
    window.session.start(waiting[0] if waiting else None)
    signals = Signals(app.quit, app)
    code = app.exec()
    window.session.close()
    signals.close()
    return code


def open_window(app: QApplication):
    """The window of a new session, shown and empty still."""
    from ..engine import Engine
    from .main_window import MainWindow
    from .session import Session

    session = Session(Engine(), app)
    theme.apply(session.settings.appearance)
    window = MainWindow(session)
    window.show()
    QTimer.singleShot(0, window.activateWindow)
    return window
