"""Pictures into the board's blobs: read, checked and stored by another thread while the window stays alive."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PySide6.QtCore import QBuffer, QByteArray, QEventLoop, QIODevice, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QImage

from mlx_model.errors import FluxLocalError, Hint

from ...board.data import Picture
from ...fluxboard.disk import BadPicture
from ...fluxboard.file import BoardFile
from ...pictures import images

SHORT = 40  # ms: what is faster is not worth a busy pointer
LOOK = 10  # ms between looks at the threads
THREADS = 2  # a picture of the largest size takes 400 MB while it is read
WORTH_WORDS = 400  # ms


class ReadPicture(NamedTuple):
    """`picture` is None where it was refused; each message is what happened and what to do.

    `disk`: the picture is good, but the board's disk would not take it.
    """

    picture: Picture | None
    messages: tuple[tuple[str, Hint], ...]
    disk: bool = False


def read_picture(file: BoardFile, source: str | Path | QImage | bytes, name: str) -> ReadPicture:
    """Look through `source` and keep its bytes as they are in `file`. Runs in any thread."""
    notes: list[str] = []
    try:
        path, data = _name(source, name)
        given = images.inspect(path, notes, data)
    except FluxLocalError as error:
        return ReadPicture(None, ((error.message, error.hint),))
    return keep(file, given, name or path.stem, notes)


def keep(
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
