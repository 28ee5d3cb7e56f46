"""Pictures on their way to the disk: decoded, encoded and written by another thread, one after the other."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal


class Storing(QObject):
    """Runs tasks in one thread; what is to happen with their results happens in this one, in the order asked."""

    _came = Signal()

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self._line: deque[tuple[Future, Callable[[Any], None]]] = deque()
        self._pool = ThreadPoolExecutor(1, "storing")
        self._came.connect(self._take, Qt.ConnectionType.QueuedConnection)

    def add(self, task: Callable[[], Any], then: Callable[[Any], None], short: bool = False) -> None:
        """Run `task`, then `then(result)`. A `short` one is done when this returns: no thread, no flicker."""
        if short:
            self.settle()
            then(task())
            return
        future = self._pool.submit(task)
        self._line.append((future, then))
        future.add_done_callback(lambda _: self._came.emit())

    def settle(self) -> None:
        """Wait for everything that was asked for so far."""
        while self._line:
            self._hand_on()

    def close(self) -> None:
        """Finish and let the thread end."""
        self.settle()
        self._pool.shutdown()

    def _take(self) -> None:
        while self._line and self._line[0][0].done():
            self._hand_on()

    def _hand_on(self) -> None:
        future, then = self._line.popleft()
        then(future.result())
