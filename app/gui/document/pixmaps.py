"""Pictures of the board as pixmaps: scaled, cached by bytes, decoded in another thread where that takes time."""

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from PySide6.QtCore import QObject, QRunnable, Qt, QThreadPool, Signal
from PySide6.QtGui import QImage, QPixmap

from mlx_model.errors import FluxLocalError

from ...pictures.cutout import find_figure, remove_ground
from ...pictures.images import open_layer, open_mask, open_small

BUDGET = 384 * 2**20  # bytes of decoded pixels that are kept
SMALL = 4 * 2**10  # a file below this decodes in about a millisecond: no thread, no flicker
SMALL_FILE = 96 * 2**10  # bytes: read or stored within a frame or so, without a thread

Key = tuple[str, int]
Reader = Callable[[str, int], QImage]  # a path and the largest side


def read(path: str, max_side: int) -> QImage:
    """The picture no larger than `max_side` (0: as it is), null where it can't be read. Any thread may call this."""
    try:
        pixels = open_small(path, max_side)
    except FluxLocalError:
        return QImage()
    height, width = pixels.shape[:2]
    # As screens have it: the window converts nothing. The fourth byte is full: Qt copies it where it need not blend.
    packed = Image.fromarray(pixels).convert("RGBA").tobytes("raw", "BGRA")
    return QImage(packed, width, height, 4 * width, QImage.Format.Format_RGB32).copy()


def read_layer(path: str, max_side: int) -> QImage:
    """The same with its transparency, for what lies on another picture."""
    try:
        return make_layer(np.asarray(_open_layer(path, max_side)))
    except FluxLocalError:
        return QImage()


def make_layer(pixels: np.ndarray) -> QImage:
    """(H, W, 4) uint8 as what lies on another picture."""
    height, width = pixels.shape[:2]
    made = QImage(pixels.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888)
    return made.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)


def cut_out(path: str, max_side: int) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    """(H, W, 4) uint8 of what the picture, no larger than `max_side`, has on its ground.

    And where that was in it, in shares: left, top, width, height. Any thread may call this. Raises Refused where the
    ground isn't plain, RequestError.
    """
    made = remove_ground(np.asarray(_open_layer(path, max_side)))
    height, width = made.shape[:2]
    left, top, right, bottom = find_figure(made)
    shares = left / width, top / height, (right - left) / width, (bottom - top) / height
    return made[top:bottom, left:right], shares


def _open_layer(path: str, max_side: int) -> Image.Image:
    """RGBA. Raises RequestError."""
    pixels = Image.fromarray(open_layer(path))
    if max_side and max(pixels.size) > max_side:
        pixels.thumbnail((max_side, max_side), Image.Resampling.BILINEAR)
    return pixels


def read_mask(path: Path) -> np.ndarray:
    """(H, W) uint8, 255 where the picture may change. Raises RequestError."""
    grey: np.ndarray = np.rint(255 * open_mask(path)).astype(np.uint8)
    return grey


def is_small(path: str) -> bool:
    """Whether reading the file is short; also where it can't be read, which shows at once."""
    try:
        return os.stat(path).st_size <= SMALL_FILE
    except OSError:
        return True


class _Signals(QObject):
    read = Signal(object, QImage)  # (sha256, max_side), the picture


class _Load(QRunnable):
    def __init__(self, key: Key, path: str, signals: _Signals, reader: Reader):
        super().__init__()
        self.key, self.path, self.signals, self.reader = key, path, signals, reader

    def run(self) -> None:
        self.signals.read.emit(self.key, self.reader(self.path, self.key[1]))


class Pixmaps(QObject):
    """Pixmaps by sha256 and largest side. `ready` tells that one which was asked for has come."""

    ready = Signal(str)  # sha256

    def __init__(self, path_of: Callable[[str], Path], parent: QObject | None = None, reader: Reader = read):
        super().__init__(parent)
        self._path_of, self._reader = path_of, reader
        self._kept: OrderedDict[Key, QPixmap] = OrderedDict()
        self.lost: set[str] = set()  # by sha256: files that are missing or can't be read
        self._bytes = 0
        self._waiting: set[Key] = set()
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(2)
        self._signals = _Signals(self)
        self._signals.read.connect(self._take, Qt.ConnectionType.QueuedConnection)

    def get(self, sha256: str, max_side: int = 0) -> QPixmap:
        """The pixmap, or a null one that becomes `ready` later. Another size of it stands in meanwhile."""
        key = (sha256, max_side)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if key not in self._waiting:
            self._ask(key)
        return self._kept.get(key) or self._stand_in(sha256)

    def get_now(self, sha256: str, max_side: int = 0) -> QPixmap:
        """The pixmap, decoded in this thread if need be; null only where the file can't be read."""
        key = (sha256, max_side)
        if key not in self._kept:
            path = self._path(sha256)
            self._keep(key, QPixmap.fromImage(self._reader(str(path), max_side)) if path else QPixmap())
        return self._kept[key]

    def close(self) -> None:
        """Drop what waits and let the threads end."""
        self._pool.clear()
        self._pool.waitForDone()
        self._kept.clear()

    def _ask(self, key: Key) -> None:
        path = self._path(key[0])
        if path is None or path.stat().st_size < SMALL:
            self._keep(key, QPixmap.fromImage(self._reader(str(path), key[1])) if path else QPixmap())
            return
        self._waiting.add(key)
        # The newest request is what the eye rests on: it goes first.
        self._pool.start(_Load(key, str(path), self._signals, self._reader), len(self._waiting))

    def _path(self, sha256: str) -> Path | None:
        try:
            return self._path_of(sha256)
        except FluxLocalError:  # missing: shown as nothing, and told where it is needed
            return None

    def _take(self, key: Key, image: QImage) -> None:
        self._waiting.discard(key)
        self._keep(key, QPixmap.fromImage(image))
        self.ready.emit(key[0])

    def _keep(self, key: Key, pixmap: QPixmap) -> None:
        self._bytes += _bytes(pixmap) - _bytes(self._kept.pop(key, QPixmap()))
        self._kept[key] = pixmap
        (self.lost.add if pixmap.isNull() else self.lost.discard)(key[0])
        while self._bytes > BUDGET and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= _bytes(dropped)

    def _stand_in(self, sha256: str) -> QPixmap:
        sizes = [(side, pixmap) for (name, side), pixmap in self._kept.items() if name == sha256]
        return max(sizes, key=lambda pair: pair[0])[1] if sizes else QPixmap()


def _bytes(pixmap: QPixmap) -> int:
    return pixmap.width() * pixmap.height() * 4


def read_pixels(image: QImage) -> np.ndarray:
    """(H, W, 4) uint8."""
    plain = image.convertToFormat(QImage.Format.Format_RGBA8888)
    rows = np.frombuffer(plain.constBits(), np.uint8).reshape(plain.height(), plain.bytesPerLine())
    return rows[:, : 4 * plain.width()].reshape(plain.height(), plain.width(), 4).copy()
