"""Pictures on their way into the board and to the disk: read, checked and written by other threads, while the window
stays alive.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PySide6.QtCore import QBuffer, QByteArray, QEventLoop, QIODevice, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QImage

from mlx_model.errors import FluxLocalError, Hint

from ...base.words import say_count
from ...board.data import Picture
from ...board.panel_job import make_take
from ...board.picture import Placed
from ...engine.jobs import JobState
from ...fluxboard.composite import compose
from ...fluxboard.disk import BadPicture
from ...fluxboard.file import BoardFile
from ...pictures import images
from .pixmaps import SMALL_FILE

SHORT = 40  # ms: what is faster is not worth a busy pointer
LOOK = 10  # ms between looks at the threads
THREADS = 2  # a picture of the largest size takes 400 MB while it is read
WORTH_WORDS = 400  # ms
TOLD = 3  # messages about pictures that come together


class ReadPicture(NamedTuple):
    """`picture` is None where it was refused; each message is what happened and what to do.

    `disk`: the picture is good, but the board's disk would not take it.
    """

    picture: Picture | None
    messages: tuple[tuple[str, Hint], ...]
    disk: bool = False

    @staticmethod
    def list_messages(read: "Iterable[ReadPicture]") -> list[tuple[str, Hint, bool]]:
        """The first that are said of pictures which came together, each with whether its picture was taken.

        And how many more there are.
        """
        said = [(*one, taken.picture is not None) for taken in read for one in taken.messages]
        more = (f"There is more to say about {say_count(len(said) - TOLD, 'picture')}.", "Add fewer at once.", False)
        return said if len(said) <= TOLD else [*said[:TOLD], more]


def read_picture(file: BoardFile, source: str | Path | QImage | bytes, name: str) -> ReadPicture:
    """Look through `source` and keep its bytes as they are in `file`. Runs in any thread."""
    notes: list[str] = []
    try:
        path, data = _name(source, name)
        given = images.inspect(path, notes, data)
    except FluxLocalError as error:
        return ReadPicture(None, ((error.message, error.hint),))
    return keep_picture(file, given, name or path.stem, notes)


def keep_picture(
    file: BoardFile, source: np.ndarray | bytes | images.Given, name: str = "", notes: Sequence[str] = ()
) -> ReadPicture:
    """Keep a picture's bytes as they are, or pixels, in `file`: see put_picture. Runs in any thread."""
    try:
        picture = file.put_picture(source, name)
    except FluxLocalError as error:
        return ReadPicture(None, ((error.message, error.hint),), disk=not isinstance(error, BadPicture))
    return ReadPicture(picture, tuple((note, "") for note in notes))


def in_background(task: Callable, items: Sequence) -> list:
    """`task(item)` of each, in order, in threads; fewer where the person stopped it. Raises what `task` raises.

    The window goes on painting meanwhile. Keys and clicks wait in line, and after WORTH_WORDS a dialog takes them.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(task, item) for item in items]
        if wait(futures, SHORT / 1000).not_done:
            QGuiApplication.setOverrideCursor(Qt.CursorShape.BusyCursor)
            try:
                _wait(futures, WORTH_WORDS, lambda: None, QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
            finally:
                QGuiApplication.restoreOverrideCursor()
            if not _are_done(futures):
                _wait_with_words(futures)
        return [future.result() for future in futures if not future.cancelled()]


def _are_done(futures: list[Future]) -> bool:
    return all(future.done() for future in futures)


def _wait(futures: list[Future], most: int | None, look_at: Callable, flags: QEventLoop.ProcessEventsFlag) -> None:
    """Until all are done, or `most` milliseconds; `look_at()` is called again and again."""
    loop, look = QEventLoop(), QTimer(interval=LOOK)

    def peep() -> None:
        look_at()
        if _are_done(futures):
            loop.quit()

    look.timeout.connect(peep)
    look.start()
    if most is not None:
        QTimer.singleShot(most, loop, loop.quit)
    loop.exec(flags)
    look.stop()


def _wait_with_words(futures: list[Future]) -> None:
    from ..kit.messages import ReadingDialog

    dialog = ReadingDialog(len(futures))
    dialog.stop_asked.connect(lambda: [future.cancel() for future in futures])
    dialog.show()
    show = lambda: dialog.show_done(sum(future.done() for future in futures))  # noqa: E731
    _wait(futures, None, show, QEventLoop.ProcessEventsFlag.AllEvents)
    dialog.hide()
    dialog.deleteLater()


def _name(source: str | Path | QImage | bytes, name: str) -> tuple[Path, bytes | None]:
    """A path to name the picture by, and its bytes where they are not in that file."""
    if isinstance(source, QImage):
        data = QByteArray()
        buffer = QBuffer(data)
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        source.save(buffer, "PNG")  # type: ignore[call-overload]  # the stub asks for bytes, which PySide refuses
        return Path(name or "Pasted picture"), bytes(data.data())
    if isinstance(source, bytes):
        return Path(name or "Picture"), source
    return Path(source), None


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

    def compose(self, file: BoardFile, ground: Picture, placed: Sequence[Placed]) -> Picture:
        """See composite.compose: by a thread, while the window goes on painting; of photos it takes most of a second.

        What was asked for before is stored by then.
        """
        self.settle()
        (made,) = in_background(partial(compose, file, ground), [placed])
        composite: Picture = made
        return composite

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


AGAIN = 5000  # ms between attempts to store what was refused


class Keeping(QObject):
    """A picture may have taken an hour to make: it is held until it is stored, or the person gives it up."""

    made = Signal(object, object)  # Job, Take
    refused = Signal(object, str, object)  # JobState; why; what to do, a Hint
    broken = Signal(str, object)  # as the message of a document: what is no picture, and why
    lost = Signal(str)  # panel id: its picture is that
    stored = Signal(str)  # job id
    settled = Signal(str)  # panel id: nothing of it is on the way any more

    def __init__(
        self, file: BoardFile, storing: Storing, number_of: Callable[[JobState], str], parent: QObject | None = None
    ):
        super().__init__(parent)
        self._file, self._storing, self._number_of = file, storing, number_of
        self._on_the_way: list[JobState] = []
        self.held: list[tuple[JobState, bytes]] = []
        self._again = QTimer(self, singleShot=True, interval=AGAIN)
        self._again.timeout.connect(self.retry)

    def latest(self, panel_id: str) -> JobState | None:
        """The last job of the panel whose picture is being stored; None where none is."""
        return next((job for job in reversed(self._on_the_way) if job.job.panel == panel_id), None)

    def keep(self, job: JobState, data: bytes | None = None) -> None:
        """The result of a job, whose file is read at once: it goes away with the engine's."""
        if data is not None:
            self._store(job, data)
            return
        assert job.result  # it is done
        try:
            data = Path(job.result).read_bytes()
        except OSError as error:
            text = f"The picture of panel {self._number_of(job)} can't be read: {error.strerror or 'it is gone'}."
            self._give_up(job, text, "Render it again.")
            return
        self._store(job, data)

    def retry(self) -> None:
        """Try once more to store what the disk refused."""
        held, self.held = self.held, []
        for job, data in held:
            self._store(job, data)

    def give_up(self) -> list[tuple[JobState, bytes]]:
        """What is held, for somebody else to keep."""
        self.stop()
        held, self.held = self.held, []
        return held

    def stop(self) -> None:
        """No further attempt by itself."""
        self._again.stop()

    def _store(self, job: JobState, data: bytes) -> None:
        self._on_the_way.append(job)
        task = partial(keep_picture, self._file, data)
        self._storing.add(task, partial(self._end_storing, job, data), short=len(data) <= SMALL_FILE)

    def _end_storing(self, job: JobState, data: bytes, read: ReadPicture) -> None:
        panel = job.job.panel
        self._on_the_way.remove(job)
        if read.picture:
            self.stored.emit(job.id)
            self.made.emit(job.job, make_take(job.job, read.picture, job.seed, job.seconds))
        elif read.disk:
            self.held.append((job, data))
            self._again.start()
            self.refused.emit(job, *read.messages[0])
        else:
            self._give_up(job, *read.messages[0])
        self.settled.emit(panel)

    def _give_up(self, job: JobState, text: str, hint: Hint) -> None:
        self.broken.emit(text, hint)
        self.lost.emit(job.job.panel)
