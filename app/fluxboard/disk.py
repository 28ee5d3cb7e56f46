"""What board_file does to the disk, with every OSError as DiskFull or BoardError."""

import contextlib
import errno
import io
import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from mlx_model.errors import Advice, BoardError, DiskFull, RequestError
from mlx_model.files import FULL, say_why, sync_folder, write_new
from mlx_model.geometry import Size
from mlx_model.held import hold

from ..base.words import IN_FILES
from ..pictures import images
from ..pictures.images import MAX_PIXELS, Given
from ..pictures.kinds import KEPT
from .lock import Lock

__all__ = ["sync_folder"]  # beside what is defined here
# What write calls a file of a board until it is whole; without eight digits at the end, of earlier versions.
PARTIAL = re.compile(
    r"\.(board\.json|lock|journal|Thumbnail\.jpg|[0-9a-f]{60,64}(\.[a-z]+)?|[\d-]+\.json)(\.[0-9a-f]{8,24})?\.partial"
)
MAX_BLOB = 1 << 30  # a TIFF of the largest size with 16 bits and alpha has 0.8 of it
COMPRESS = 3  # of PNG: level 6 takes three times as long and saves a tenth
F_GETPATH = 50  # of macOS
ELSEWHERE = "Save a copy in another folder."
IN_CLOUD = f"Download it {IN_FILES} first."
COPY = re.compile(r"board(?!\.json$|-damaged).{1,120}\.json")  # of board.json, by Dropbox, Drive, iCloud, Syncthing


class BadPicture(BoardError):
    """Bytes that are no picture of a board, whatever the disk says."""

    code = "BoardError"  # as scripts know it


@contextlib.contextmanager
def explain_errors(path: Path) -> Iterator[None]:
    """Turns an OSError from working on `path` into DiskFull or BoardError."""
    try:
        yield
    except RequestError as error:
        raise BoardError(error.message, ELSEWHERE) from error
    except OSError as error:
        if error.errno in FULL:
            raise DiskFull(
                f"The disk is full: {path} could not be written.", "Free some space; nothing is lost."
            ) from error
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            raise BoardError(f"{path} is there already.", "Choose another name.") from error
        raise BoardError(f"{path} can't be used: {say_why(error, path)}.", ELSEWHERE) from error


def write(path: Path, data: bytes, inside: Path | None = None, lasting: bool = True) -> None:
    """Replace `path` with `data`: whole, and on the disk where it is to last, or not at all. See write_new.

    Raises RequestError, DiskFull.
    """
    write_new(path, lambda handle: handle.write(data), True, inside, lasting)


def read(path: Path, limit: int = 64 << 20, inside: Path | None = None) -> bytes:
    """The bytes of a plain file of up to `limit`; no link is followed, from `inside` on. Raises BoardError."""
    try:
        with hold(path.parent, inside) as folder, open(folder.open(path.name), "rb") as handle:
            if os.fstat(handle.fileno()).st_size > limit:
                raise BoardError(f"{path} is not a file of a board, or too large for one.")
            return handle.read(limit + 1)
    except OSError as error:
        raise BoardError(f"{path} can't be read: {error.strerror or error}.") from error


def list_names(folder: Path, inside: Path) -> list[str]:
    """What is in a folder of a board; nothing where that is a link or can't be listed."""
    with contextlib.suppress(OSError), hold(folder, inside) as held:
        return os.listdir(folder if held.descriptor is None else held.descriptor)
    return []


def make_folder(path: Path) -> None:
    """A folder of the board, see Held.make_folder. Raises OSError."""
    with hold(path.parent) as board:
        board.make_folder(path.name)


def sweep(board: Path, *folders: Path) -> None:
    """Remove what a crash in the middle of writing left; only for the holder of the lock, whose files these are."""
    for folder in folders:
        for name in filter(PARTIAL.fullmatch, list_names(folder, board)):
            with contextlib.suppress(OSError), hold(folder, board) as held:
                held.remove(name)


def remove(path: Path, inside: Path) -> None:
    """Make the name free, see Held.clear. Raises OSError."""
    with hold(path.parent, inside) as folder:
        folder.clear(path.name)


def require_folder(path: Path) -> None:
    """Raises BoardError where `path` can't be a package."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError as error:
        raise BoardError(f"There is no {path}.", Advice("make_board")) from error
    except OSError as error:
        raise BoardError(f"{path} can't be opened: {error.strerror}.") from error
    except ValueError as error:
        raise BoardError(f"{str(path)!r} is not a path.") from error
    if not stat.S_ISDIR(mode):
        raise BoardError(f"{path} is not a board: a board is a folder.", Advice("import_zip"))


def lock(path: Path, anyway: bool) -> Lock | None:
    """The lock, None where the folder can't be written. Raises BoardLocked, BoardError, DiskFull."""
    try:
        with explain_errors(path.parent):
            return Lock.take(path, anyway)
    except BoardError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            return None
        raise


def is_at(path: Path, descriptor: int) -> bool:
    """Whether `path` still is the folder that was opened."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


def path_of(descriptor: int) -> Path | None:
    """Where an open folder is now; None where the system can't say."""
    try:
        if sys.platform == "darwin":
            import fcntl

            return Path(os.fsdecode(fcntl.fcntl(descriptor, F_GETPATH, bytes(1024)).rstrip(b"\0")))
        return Path(os.readlink(f"/proc/self/fd/{descriptor}"))
    except OSError:
        return None


def stamp(path: Path) -> tuple[int, int, int] | None:
    """Differs whenever somebody replaced or wrote the file; None where it is not there."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def encode_png(pixels: np.ndarray) -> Given:
    """(H, W), (H, W, 3) or, with alpha, (H, W, 4) uint8 as PNG."""
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))):
        raise ValueError(f"pixels must be (H, W), (H, W, 3) or (H, W, 4) uint8, not {pixels.shape} {pixels.dtype}")
    encoded = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(encoded, "PNG", compress_level=COMPRESS)
    height, width = pixels.shape[:2]
    if not 0 < width * height <= MAX_PIXELS:
        raise BadPicture(f"A picture of {width}x{height} can't be kept in a board.")
    return Given(encoded.getvalue(), KEPT["PNG"], Size(width, height))


def inspect(data: bytes) -> Given:
    """Raises BadPicture unless the bytes are one whole picture of a kind that is opened."""
    try:
        return images.inspect("This picture", data=data, least=1)
    except RequestError as error:
        raise BadPicture(error.message, error.hint) from error


def is_in_cloud(path: Path) -> bool:
    """Whether a placeholder of iCloud stands for the file, which is not on this disk."""
    return not os.path.lexists(path) and os.path.lexists(path.with_name(f".{path.name}.icloud"))


def list_copies(board: Path) -> list[str]:
    """What to tell of other files beside `board` that a synchronising folder made where two computers saved at once."""
    with contextlib.suppress(OSError):
        names = sorted(name for name in os.listdir(board.parent) if COPY.fullmatch(name))
        return [f"{name} lies beside {board.name}: another computer's state, not shown here." for name in names]
    return []
