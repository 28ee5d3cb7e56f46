"""Pictures into the board's blobs: read, checked and stored by another thread while the window stays alive."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PySide6.QtCore import QBuffer, QByteArray, QEventLoop, QIODevice, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QImage

from mlx_model.errors import FluxLocalError

from .. import images
from ..board_file import BoardFile
from ..storyboard import Picture

SHORT = 40  # ms: what is faster is not worth a busy pointer
LOOK = 10  # ms between looks at the thread
WORTH_WORDS = 400  # ms


class ReadPicture(NamedTuple):
    """`picture` is None where it was refused; each message is what happened and what to do."""

    picture: Picture | None
    messages: tuple[tuple[str, str], ...]


def read_picture(file: BoardFile, source: str | Path | QImage | bytes, name: str) -> ReadPicture:
    """Decode `source`, upright and in sRGB, and keep it in `file`. Runs in any thread."""
    notes: list[str] = []
    try:
        path, data = _named(source, name)
        pixels = images.open_picture(path, notes, data)
        picture = file.put_picture(pixels, name or path.stem)
    except FluxLocalError as error:
        return ReadPicture(None, ((error.message, error.hint),))
    return ReadPicture(picture, tuple((note, "") for note in notes))


def put_pixels(file: BoardFile, pixels: np.ndarray, name: str) -> ReadPicture:
    """Keep pixels, (H, W, 3) or (H, W) uint8, in `file`. Runs in any thread."""
    try:
        return ReadPicture(file.put_picture(pixels, name), ())
    except FluxLocalError as error:
        return ReadPicture(None, ((error.message, error.hint),))


def in_background(task: Callable, items: Sequence, told: Callable[[int, int], None]) -> list:
    """`task(item)` of each, in order, in a thread; events other than the person's own are handled meanwhile.

    `told(done, all)` is called once it has taken a while, then for each, and at the end. Raises what `task` raises.
    """
    with ThreadPoolExecutor(1) as pool:
        futures = [pool.submit(task, item) for item in items]
        if futures and not _within(futures[-1], SHORT):
            QGuiApplication.setOverrideCursor(Qt.CursorShape.BusyCursor)
            try:
                _wait(futures, told)
            finally:
                QGuiApplication.restoreOverrideCursor()
        return [future.result() for future in futures]


def _within(future: Future, milliseconds: int) -> bool:
    try:
        future.exception(milliseconds / 1000)
    except TimeoutError:
        return False
    return True


def _wait(futures: list[Future], told: Callable[[int, int], None]) -> None:
    """Keys, clicks and closing wait in line: nothing that is asked for now can meet a half-finished drop."""
    loop, spoken = QEventLoop(), [-1]
    words, look = QTimer(singleShot=True, interval=WORTH_WORDS), QTimer(interval=LOOK)

    def peep() -> None:
        done = sum(future.done() for future in futures)
        if done == len(futures):
            loop.quit()
        elif not words.isActive() and done != spoken[0]:
            spoken[0] = done
            told(done, len(futures))

    look.timeout.connect(peep)
    words.start()
    look.start()
    loop.exec(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
    look.stop()
    if spoken[0] >= 0:
        told(len(futures), len(futures))


def _named(source: str | Path | QImage | bytes, name: str) -> tuple[Path, bytes | None]:
    """A path to name the picture by, and its bytes where they are not in that file."""
    if isinstance(source, QImage):
        data = QByteArray()
        buffer = QBuffer(data)
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        source.save(buffer, "PNG")
        return Path(name or "Pasted picture"), bytes(data.data())
    if isinstance(source, bytes):
        return Path(name or "Picture"), source
    return Path(source), None
