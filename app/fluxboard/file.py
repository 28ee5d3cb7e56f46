"""A board on disk: NAME.fluxboard, a folder that Finder shows as one file.

    board.json         the board, replaced as a whole and durably by every save
    blobs/SHA256.jpg   pictures (.png and so on by content): the bytes as given, written once, never changed
    history/TIME.json  restore points: earlier board.json files
    journal            the state after the last save, not durable: what a crashed program still had
    lock               who has it open
    QuickLook          what Finder shows of it (cover.py)

A picture is on the disk before a board that names it is. Reading and writing fail with BoardError or DiskFull.
"""

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from mlx_model.errors import BoardError, DiskFull, FluxLocalError, RequestError, say_reason
from mlx_model.files import begin, finish, lies_in, number_names
from mlx_model.held import is_plain, list_links

from ..base.paths import SUFFIX, require_free
from ..board.data import Board, Picture, Sound, blobs
from ..board.rules import SHA256
from ..board.seen import say_use
from ..pictures.images import Given
from ..pictures.kinds import KEPT
from ..sound import clip
from . import codec, disk, earlier
from .earlier import RestorePoint
from .lock import Lock

BOARD, BLOBS, HISTORY, JOURNAL, LOCK = "board.json", "blobs", "history", earlier.JOURNAL, "lock"
LOOK = "QuickLook"  # cover.py
ENDINGS = (*KEPT.values(), *dict.fromkeys(clip.ENDINGS.values()))  # of pictures, PNG first, and sounds
DAMAGED = "board-damaged.json"
LINKED = "{} of this board is a link to another place, which is not followed: what is there stays as it is."
COPY_HINT = "Save a copy in another folder."


class BoardFile:
    """One open package. Made by create() or open(), let go with close() (or `with`)."""

    def __init__(self, path: Path, lock: Lock | None):
        self._path, self._lock, self._descriptor = path, lock, -1
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        self.board: Board
        self.recovered = ""  # what a person should know about how it was opened; "" after a clean close
        self.repairs: list[str] = []
        self._encode = codec.Encoder()
        self._saved = b""
        self._stamp: tuple | None = None
        self._good: set[str] = set()  # sha256 of blobs written or verified in this session

    # Opening and closing

    @classmethod
    def create(cls, path: str | Path, board: Board, fill: Callable[["BoardFile"], object] | None = None) -> "BoardFile":
        """A new package, open. It appears under its name only once `fill` has put everything in.

        Raises BoardError where something is there already or it can't be written, DiskFull, what `fill` raises.
        """
        path = Path(path).absolute()
        path = path if path.suffix.lower() == SUFFIX else path.with_name(path.name + SUFFIX)
        data = codec.encode(board)
        if os.path.lexists(path):
            raise BoardError(f"{path} is there already.", "Choose another name.")
        if not path.parent.is_dir():
            raise BoardError(f"There is no folder {path.parent}.", "Create it first, or choose another place.")
        partial = begin(path)
        try:
            with contextlib.ExitStack() as undo:
                with disk.explain_errors(path):
                    file = cls._begin(partial, data)
                undo.callback(file.close)
                if fill:
                    fill(file)
                with disk.explain_errors(path):
                    file._appear(path)
                undo.pop_all()
                return file
        except DiskFull as error:
            raise DiskFull(f"The disk is full: {path} could not be written.", "Free some space.") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            finish(partial)

    @classmethod
    def _begin(cls, partial: Path, data: bytes) -> "BoardFile":
        for folder in (partial, partial / BLOBS, partial / HISTORY):
            os.mkdir(folder)
        disk.write(partial / BOARD, data)
        return cls.open(partial)

    def _appear(self, path: Path) -> None:
        if os.path.lexists(path):  # a folder would take the place of an empty one
            raise FileExistsError(errno.EEXIST, "it is there already", str(path))
        os.rename(self.path, path)
        self._path = path
        if self._lock:
            self._lock.follow(path / LOCK)
        disk.sync_folder(path.parent)

    @classmethod
    def open(cls, path: str | Path, write: bool = True, anyway: bool = False) -> "BoardFile":
        """The package with its last state, which `recovered` and `repairs` tell about.

        `write=False` takes no lock and changes nothing; a package on a read-only disk is opened so too.
        Raises BoardLocked where another window, program or machine has it (`anyway` overrides a machine),
        BoardError where there is no board that can be read.
        """
        path = Path(path).absolute()
        disk.require_folder(path)
        with disk.explain_errors(path), contextlib.ExitStack() as undo:
            lock = disk.lock(path / LOCK, anyway) if write else None
            undo.callback(lock.release if lock else lambda: None)
            file = cls(path, lock)
            undo.callback(file.close)
            file._load()
            undo.pop_all()
        return file

    def close(self) -> None:
        """Let go of the package; does nothing the second time. What was not saved stays in the journal."""
        if self._descriptor < 0:
            return
        if self._lock:
            with contextlib.suppress(BoardError):  # the folder may be gone
                self._lock.follow(self.path / LOCK)
            self._lock.release()
        os.close(self._descriptor)
        self._descriptor = -1

    def __enter__(self) -> "BoardFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def read_only(self) -> bool:
        """Whether save() would fail: opened so, or on a disk or in a folder that can't be written."""
        return self._lock is None

    @property
    def path(self) -> Path:
        """Where the package is now, also after somebody moved or renamed it."""
        if not disk.is_at(self._path, self._descriptor):
            moved = disk.path_of(self._descriptor)
            if moved is None or not disk.is_at(moved, self._descriptor):
                raise BoardError(f"{self._path} is no longer there.", COPY_HINT)
            self._path = moved
        return self._path

    @property
    def is_gone(self) -> bool:
        """Whether it was deleted, or lies on a volume that was taken away."""
        try:
            return not self.path.is_dir()
        except BoardError:
            return True

    # The board

    def save(self, board: Board, point: bool = False) -> None:
        """Make `board` what the package holds: all of it or nothing, on the disk when this returns.

        Cheap where nothing changed. With `point` the state before becomes a restore point, however young the last is.
        Raises DiskFull, BoardError; the package then has its last saved state.
        """
        data = self._encode(board)
        folder = self._writable()
        with disk.explain_errors(folder / BOARD):
            foreign = self._stamp != disk.stamp(folder / BOARD)  # a synchronising folder, an editor
            if data != self._saved or foreign:
                earlier.keep(folder / HISTORY, folder / BOARD, always=foreign or point)
                disk.write(folder / BOARD, data)
                self._remember(folder, data)
            disk.remove(folder / JOURNAL, folder)
        self.board = board

    def note(self, board: Board) -> None:
        """Leave `board` in the journal: cheap, without waiting for the disk, found by open() if this program dies.

        Optional, for every change between two saves. Never raises: it is the second net, not the first.
        """
        if self._lock is None:
            return
        with contextlib.suppress(OSError, FluxLocalError):
            data = earlier.seal(self._saved, self._encode(board))
            disk.write(self.path / JOURNAL, data, lasting=False)

    def restore_points(self) -> list[RestorePoint]:
        """Newest first."""
        return earlier.list_points(self.path / HISTORY)

    def restore(self, point: RestorePoint) -> Board:
        """The board of a restore point, for the caller to save; today's becomes a restore point. Raises BoardError."""
        data = disk.read(point.path, inside=point.path.parent.parent)
        board, _ = codec.decode(data, f"The restore point of {point.when:%d %B %H:%M}")
        folder = self._writable()
        with disk.explain_errors(folder / HISTORY):
            earlier.keep(folder / HISTORY, folder / BOARD, always=True)
        return board

    # Pictures

    def put_picture(self, source: np.ndarray | bytes | Given, name: str = "") -> Picture:
        """Keep a picture: bytes as they are, or uint8 pixels (H, W), (H, W, 3 or 4). On the disk when this returns.

        Raises BoardError for bytes that are no whole picture, DiskFull.
        """
        given = disk.encode_png(source) if isinstance(source, np.ndarray) else source
        given = disk.inspect(given) if isinstance(given, bytes) else given
        if len(given.data) > disk.MAX_BLOB:
            raise disk.BadPicture(f"{name or 'This picture'} is larger than 1 GB.", "Save a smaller copy and use that.")
        return Picture(self._put(given.data, given.ending), *given.size, name)

    def put_sound(self, source: str | Path) -> Sound:
        """Keep a file of sound as it is. Raises RequestError for what is none, BoardError, DiskFull."""
        path = Path(source)
        ending = clip.look_at(path).ending
        with disk.explain_errors(path):
            data = path.read_bytes()
        return Sound(self._put(data, ending), path.name[:200])

    def _put(self, data: bytes, ending: str) -> str:
        """The sha256 of a blob that is on the disk then."""
        sha256 = hashlib.sha256(data).hexdigest()
        folder = self._writable() / BLOBS
        with disk.explain_errors(folder):
            if not self._is_good(sha256):
                disk.make_folder(folder)
                self._write_blob(folder / f"{sha256}{ending}", data)
        return sha256

    def _write_blob(self, path: Path, data: bytes) -> None:
        damaged, board = self._blob(path.stem), path.parent.parent
        disk.write(path, data, board)
        if hashlib.sha256(disk.read(path, disk.MAX_BLOB, board)).hexdigest() != path.stem:
            raise BoardError(f"The disk of {path.parent} does not keep what is written to it.", COPY_HINT)
        if damaged != path:  # of another ending: it would be found first
            disk.remove(damaged, board)
        self._good.add(path.stem)

    def picture_path(self, sha256: str, board: Board | None = None) -> Path:
        """The file of a picture or sound. Raises BoardError, which says what it is on `board` (or the saved one), where
        it is not there; see damage for what is in it.
        """
        path = self._blob(sha256)
        if not is_plain(path, self._path):
            what = "missing" if not os.path.lexists(path) else "a link, which is not followed"
            what = "still in iCloud" if self._is_in_cloud(sha256) else what
            file = say_use(board or self.board, sha256)
            hint = f"Put its file back into {path.parent}, or do without it."
            raise BoardError(f"{file[0].upper()}{file[1:]} is {what}.", hint)
        return path

    def missing(self) -> int:
        """How many pictures and sounds of the board are not there."""
        return sum(not self._has(sha256) for sha256 in blobs(self.board))

    def damage(self, picture: Picture | Sound) -> str:
        """What is wrong with the file of a picture or sound, "" for nothing: reads all of it."""
        path = self._blob(picture.sha256)
        try:
            data = disk.read(path, disk.MAX_BLOB, self._path)
        except BoardError:
            linked = os.path.islink(path) or path.parent.is_symlink()
            there = "its file can't be read" if os.path.lexists(path) else "its file is missing"
            there = "its file is still in iCloud" if self._is_in_cloud(picture.sha256) else there
            return "its file is a link, which is not followed" if linked else there
        if hashlib.sha256(data).hexdigest() != picture.sha256:
            return "its file was changed or damaged"
        self._good.add(picture.sha256)
        return ""

    def list_unused_blobs(self, also: Iterable[Board] = ()) -> list[Path]:
        """Pictures that neither the saved board nor a restore point nor `also` (the undo history) use.

        Nothing counts as unused while a restore point can't be read: it may be all that names a picture.
        """
        states = [self.board, *also]
        for point in self.restore_points():
            try:
                states.append(codec.decode(disk.read(point.path, inside=self.path))[0])
            except BoardError:
                return []
        used = {sha256 for board in states for sha256 in blobs(board)}
        names = sorted(disk.list_names(self.path / BLOBS, self.path))
        found = [path for path in (self.path / BLOBS / name for name in names) if path.suffix in ENDINGS]
        return [path for path in found if SHA256.fullmatch(path.stem) and path.stem not in used]

    def move_unused_to_trash(self, also: Iterable[Board] = ()) -> list[Path]:
        """Move list_unused_blobs(also) to the Trash; what was moved. Raises BoardError where that won't take one."""
        from send2trash import send2trash  # type: ignore[import-untyped]  # its stubs are a package of their own

        self._writable()
        unused = self.list_unused_blobs(also)
        for path in unused:
            try:
                send2trash(str(path))
            except Exception as error:  # each system's trash has its own errors
                raise BoardError(f"{path} could not be moved to the Trash: {say_reason(error)}.") from error
            self._good.discard(path.stem)
        return unused

    def copy_to(self, path: str | Path, board: Board | None = None) -> "BoardFile":
        """A copy of the package with `board` (or the saved one) and its pictures, open. This one stays as it is.

        Pictures that are missing are left out, all of them where this package is gone.
        """
        board = board or self.board

        def fill(copy: BoardFile) -> None:
            for sha256 in blobs(board):
                if self._has(sha256):
                    path = self._blob(sha256)
                    copy._put(disk.read(path, disk.MAX_BLOB, self._path), path.suffix)

        return BoardFile.create(path, board, fill)

    def require_outside(self, out: Path) -> None:
        """Raises RequestError where `out` is a place in this board or another, or among what Flux Local keeps."""
        require_free(out)
        if lies_in(out, self.path):
            raise RequestError(f"{out} is inside the board.", "Export it to another place.")

    # Inside

    def _load(self) -> None:
        folder = self.path
        if self._lock:
            disk.sweep(folder, folder, folder / BLOBS, folder / HISTORY, folder / LOOK)
        found = earlier.newest(folder)
        found.repairs += [LINKED.format(name) for name in list_links(folder, (BLOBS, HISTORY, BOARD, JOURNAL))]
        self.board, self.recovered = found.board, found.told
        self.repairs = [*found.repairs, *disk.list_copies(folder / BOARD)]
        self._remember(folder, found.saved)
        if found.repairs:
            self._stamp = None  # so that the first save keeps what was there as a restore point
        if found.told and self._lock:
            self._keep_both(folder, found)

    def _keep_both(self, folder: Path, found: earlier.Found) -> None:
        """The recovered state becomes the saved one; what board.json held stays as a restore point, or set aside."""
        with disk.explain_errors(folder / BOARD):
            if found.damaged and os.path.lexists(folder / BOARD):
                free = next(p for p in number_names(folder / DAMAGED) if not os.path.lexists(p))
                os.replace(folder / BOARD, free)
            elif not found.damaged:
                earlier.keep(folder / HISTORY, folder / BOARD, always=True)
        self._saved = b""
        self.save(self.board)

    def _writable(self) -> Path:
        if self._descriptor < 0:
            raise BoardError(f"{self._path.name} is closed.")
        if self._lock is None:
            raise BoardError(f"{self._path.name} is open for reading only.", COPY_HINT)
        return self.path

    def _blob(self, sha256: str) -> Path:
        """The file, whichever kind it is; its name without an ending where it is not there."""
        if not SHA256.fullmatch(sha256):
            raise BoardError(f"{sha256[:80]!r} is not the name of a picture.")
        folder = self.path / BLOBS
        return next(
            (path for path in (folder / f"{sha256}{e}" for e in ENDINGS) if os.path.lexists(path)), folder / sha256
        )

    def _is_in_cloud(self, sha256: str) -> bool:
        return any(disk.is_in_cloud(self.path / BLOBS / f"{sha256}{ending}") for ending in ENDINGS)

    def _has(self, sha256: str) -> bool:
        try:
            return is_plain(self._blob(sha256), self._path)
        except BoardError:  # the package is gone
            return False

    def _is_good(self, sha256: str) -> bool:
        """Whether the blob is there and whole; a damaged one is written again."""
        there = is_plain(self._blob(sha256), self._path)
        return there and (sha256 in self._good or not self.damage(Picture(sha256, 1, 1)))

    def _remember(self, folder: Path, data: bytes) -> None:
        self._saved, self._stamp = data, disk.stamp(folder / BOARD)
