"""The turns of the event loop: what is done once in one, what takes many, and what runs beside them."""

import gc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

from PySide6.QtCore import QCoreApplication, QElapsedTimer, QEventLoop, QObject, Qt, QTimer, Signal

T = TypeVar("T")
SHORT = 25  # ms that the event loop may stand still for one thing of many
LULL = 2000  # ms


def breathe() -> None:
    """One turn of the event loop in the middle of something long. Keys and clicks wait in line."""
    QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)


class OnceATurn(QTimer):
    """Does `act` when it is asked for, and once more at the end of the turn of the event loop for all that was asked
    for meanwhile: a thousand panels that change at once are looked at twice.
    """

    def __init__(self, owner: QObject, act: Callable[[], object]):
        super().__init__(owner, singleShot=True, interval=0)
        self._act, self._again = act, False
        self.timeout.connect(self._end_turn)

    def ask(self, *_: object) -> None:
        if self.isActive():
            self._again = True
        else:
            self.start()
            self._act()

    def _end_turn(self) -> None:
        if self._again:
            self._again = False
            self._act()


def pace(items: Sequence[T]) -> Iterator[T]:
    """The items; where they take longer than a moment, the window paints meanwhile. Keys and clicks wait in line."""
    clock = QElapsedTimer()
    clock.start()
    for item in items:
        yield item
        if clock.elapsed() > SHORT:
            breathe()
            clock.restart()


class Beside(QObject):
    """Runs work in threads of its own, which hold on to nothing of Qt's: what dies in them takes the program along."""

    _came = Signal(int, object)

    def __init__(self) -> None:
        super().__init__()
        self._pool = ThreadPoolExecutor(2, "beside")
        self._waiting: dict[int, Callable[[Any], object]] = {}
        self._number = 0
        self._came.connect(self._hand_on, Qt.ConnectionType.QueuedConnection)

    def do(self, owner: QObject, work: Callable[[], T], then: Callable[[T], object]) -> None:
        """`then(result)` in this thread, unless `owner` is gone by then. `work` raises nothing and knows no widget."""
        self._number = number = self._number + 1
        self._waiting[number] = then
        owner.destroyed.connect(lambda: self._waiting.pop(number, None))
        self._pool.submit(lambda: self._came.emit(number, work()))

    def _hand_on(self, number: int, result: object) -> None:
        if then := self._waiting.pop(number, None):
            then(result)


@cache
def beside() -> Beside:
    """The one there is, as long as the program."""
    return Beside()


def spare_collections() -> None:
    """What is there when the window stands stays: Python's collector would go through all of it again and again, some
    30 ms each time.

    Later only what came since is gone through, when none of this was asked for during LULL: while boards come and go.
    """
    if gc.get_freeze_count():
        _lull().start()
    else:
        gc.collect(1)  # going through all of it finds nothing at the start, and stands still for it
        gc.freeze()


@cache
def _lull() -> QTimer:
    timer = QTimer(QCoreApplication.instance(), singleShot=True, interval=LULL)
    timer.timeout.connect(lambda: gc.collect())
    return timer
