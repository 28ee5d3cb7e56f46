"""Writing files so that a crash, a full disk, two programs at once or a link never cost an existing file.

Folders are held as held.py does it, so that no link is followed; what is begun is noted, so that what a killed process
leaves is found.
"""

import contextlib
import errno
import json
import os
import secrets
import shutil
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from .errors import DiskFull, RequestError
from .held import Held, hold, is_single

FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES, errno.EXDEV)
NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


def number_names(path: Path) -> Iterator[Path]:
    """`path`, then the same name with -2, -3, ... before the extension."""
    yield path
    for number in range(2, 100_000):
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")


class Notes:
    """What this process has begun and not finished, in a file that says so to others: unfinished.py reads it.

    The file is held by flock for as long as the process lives, so that nobody takes its things for left behind.
    """

    LARGEST = 64 * 2**10  # bytes; then it is written anew

    def __init__(self, folder: Path | None):
        self.folder, self.token, self.process = folder, secrets.token_hex(6), os.getpid()
        self._open: dict[str, None] = {}
        self._descriptor, self._size, self._guard = -1, 0, threading.Lock()

    def add(self, line: str) -> None:
        """Never raises OSError: without a note a kill leaves something behind, and that is all."""
        with self._guard, contextlib.suppress(OSError):
            self._open[line] = None
            self._begin()
            self._say(line)

    def drop(self, line: str) -> None:
        with self._guard, contextlib.suppress(OSError):
            self._open.pop(line, None)
            if not self._open:
                self._end()
            elif self._size > self.LARGEST:
                os.ftruncate(self._descriptor, 0)
                self._size = 0
                for one in ("", *self._open):
                    self._say(one)

    def _end(self) -> None:
        """The file goes, and the folder where nobody else has one in it."""
        if self.folder is None or self._descriptor < 0:
            return
        os.unlink(self.folder / self.token)
        os.close(self._descriptor)
        self._descriptor, self._size = -1, 0
        os.rmdir(self.folder)

    def _begin(self) -> None:
        if self.folder is None or self._descriptor >= 0:
            return
        for last in (False, True):  # another process may take the folder away in between
            try:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                with hold(self.folder) as folder:
                    self._descriptor = folder.open(self.token, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND)
                break
            except FileNotFoundError:
                if last:
                    raise
        with contextlib.suppress(OSError, ImportError):
            import fcntl

            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._say("")

    def _say(self, line: str) -> None:
        """The first line, "", says whose the file is."""
        if self._descriptor >= 0:
            text = json.dumps(line or {"pid": self.process, "host": socket.gethostname()})
            self._size += os.write(self._descriptor, f"{text}\n".encode())


_notes = Notes(None)


def keep_notes(folder: Path) -> bool:
    """From now on what is begun is noted in a file in `folder`; whether other processes have notes there."""
    global _notes
    if folder != _notes.folder:
        _notes = Notes(folder)
    try:
        return not {_notes.token}.issuperset(os.listdir(folder))
    except OSError:  # nobody has
        return False


def begin(path: Path, ending: str = "partial") -> Path:
    """What something is called, beside its place `path`, until it is whole: noted until `finish`."""
    if _notes.process != os.getpid():  # a fork
        keep_notes(_notes.folder) if _notes.folder else None
    name = f".{path.name.encode()[:120].decode(errors='ignore')}.{_notes.token}{secrets.token_hex(4)}.{ending}"
    made = path.absolute().with_name(name)
    _notes.add(str(made))
    return made


def finish(partial: Path) -> None:
    """Nothing has that name any more."""
    _notes.drop(str(partial))


def make_scratch_folder() -> Path:
    """A new folder for what nobody needs once this process is gone; remove_scratch_folder ends it."""
    made = begin(Path(tempfile.gettempdir()) / "flux-local")
    made.mkdir(mode=0o700)
    return made


@contextlib.contextmanager
def use_scratch_folder() -> Iterator[Path]:
    """One that goes with the block."""
    folder = make_scratch_folder()
    try:
        yield folder
    finally:
        remove_scratch_folder(folder)


def remove_scratch_folder(folder: Path) -> None:
    """The folder and all that is in it."""
    shutil.rmtree(folder, ignore_errors=True)
    finish(folder)


def write_new(
    path: Path,
    write: Callable[[BinaryIO], object],
    force: bool = False,
    inside: Path | None = None,
    lasting: bool = True,
    given: Iterable[str | Path] = (),
) -> Path:
    """Let `write` fill a file that appears whole or not at all; where it ended up.

    Without `force` an existing file is never touched: a number is added, also where another program takes the name
    in the same moment. So it is with `force` where the file is one of `given`. `inside`: see hold; `lasting`: wait
    until it is on the disk. Raises DiskFull, or RequestError where the folder is missing or can't be written.
    """
    partial = begin(path)
    temporary = partial.name
    try:
        with hold(path.parent, inside) as folder:
            try:
                with folder.create(temporary) as handle:
                    write(handle)
                    handle.flush()
                    if lasting:
                        sync(handle.fileno())
                name = (
                    _replace(folder, temporary, path.name)
                    if force and not is_one_of(path, given)
                    else _claim(folder, temporary, path)
                )
                if lasting:
                    folder.sync()
                return path.with_name(name)
            except BaseException:
                with contextlib.suppress(OSError):
                    folder.remove(temporary)
                raise
    except OSError as error:
        raise explain(error, path) from error
    finally:
        finish(partial)


def append(path: Path, data: bytes) -> None:
    """To the end of a file in a folder of ours: a link is replaced, a second name keeps what it has.

    Raises DiskFull, RequestError.
    """
    try:
        with hold(path.parent) as folder:
            status = folder.stat(path.name)
            if status and stat.S_ISREG(status.st_mode) and not is_single(status):
                with open(folder.open(path.name), "rb") as old:  # a backup made of hard links: its file stays as it is
                    write_new(path, lambda handle: shutil.copyfileobj(old, handle), force=True, lasting=False)
            with open(folder.open_single(path.name), "ab") as handle:
                handle.write(data)
    except OSError as error:
        raise explain(error, path) from error


def is_one_of(path: Path, given: Iterable[str | Path]) -> bool:
    """By identity: another spelling, a link, a hard link, or a disk that does not tell A from a."""
    return any(_is_same(path, one) for one in given)


def require_other(path: Path, given: Iterable[str | Path]) -> None:
    """The one rule for everything that a run writes: it is none of the files it was given. Raises RequestError."""
    if is_one_of(path, given):
        raise RequestError(f"{path} is one of the files you gave.", "Flux Local never overwrites an original.")


def lies_in(path: Path, folder: Path) -> bool:
    """Whether `path` is the folder or lies in it, by identity, links followed; either may not be there yet."""
    whole = Path(os.path.realpath(path))
    return whole.is_relative_to(os.path.realpath(folder)) or any(
        _is_same(one, folder) for one in (whole, *whole.parents)
    )


def _is_same(one: str | Path, other: str | Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):  # one is not there
        return False


def explain(error: OSError, path: Path) -> DiskFull | RequestError:
    """The error a person should read when writing `path` failed."""
    if error.errno in FULL:
        return DiskFull(f"The disk is full: {path} could not be written.", "Free some space or choose another folder.")
    if isinstance(error, FileNotFoundError) and not path.parent.is_dir():
        return RequestError(f"There is no folder {path.parent}.", "Create it first, or choose another output.")
    if error.errno == errno.ENAMETOOLONG:
        return RequestError(f"The name {path.name[:40]}... is too long for this disk.", "Choose a shorter one.")
    return RequestError(f"{path} can't be written: {say_why(error, path)}.", "Choose another folder.")


def say_why(error: OSError, path: Path) -> str:
    """Why the system would not make `path`: /proc and its like are no places on a disk, and say that nothing is there.

    For the middle of a sentence.
    """
    if isinstance(error, FileNotFoundError) and path.parent.is_dir() and os.statvfs(path.parent).f_blocks == 0:
        return f"{path.parent} belongs to the system and takes no files"
    return error.strerror or "the system does not say why"


def check_writable(path: Path) -> None:
    """Raise RequestError (or DiskFull) now rather than after the work where `path` could not be written."""
    if path.name in ("", ".", ".."):
        raise RequestError(f"{path} is not the name of a file.", "Give a file name such as -o picture.png.")
    probe = begin(path.with_name("flux-local"))
    try:
        with contextlib.suppress(FileNotFoundError):  # is the name itself possible, also with a number?
            os.lstat(path.with_name(f"{path.stem}-99{path.suffix}"))
        with hold(path.parent) as folder:
            try:
                folder.create(probe.name).close()
            finally:
                with contextlib.suppress(OSError):
                    folder.remove(probe.name)
    except OSError as error:
        raise explain(error, path) from error
    finally:
        finish(probe)


def _replace(folder: Held, temporary: str, name: str) -> str:
    folder.replace(temporary, name)
    return name


def _claim(folder: Held, temporary: str, path: Path) -> str:
    """Give the finished file the first free name. A hard link fails where the name exists, so no race is lost."""
    for candidate in number_names(path):
        try:
            folder.link(temporary, candidate.name)
            with contextlib.suppress(OSError):
                folder.remove(temporary)
            return candidate.name
        except FileExistsError:
            continue
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            if _claim_without_links(folder, temporary, candidate.name):
                return candidate.name
    raise RequestError(f"Too many files are called like {path}.", "Choose another name.")


def _claim_without_links(folder: Held, temporary: str, name: str) -> bool:
    """For exFAT and some network disks: reserve the name with an empty file of ours, then replace that."""
    try:
        folder.create(name).close()
    except FileExistsError:
        return False
    folder.replace(temporary, name)
    return True


def sync(descriptor: int) -> None:
    """Down to the drive. On macOS fsync stops at the drive's cache, so F_FULLFSYNC is tried first."""
    try:
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # type: ignore[attr-defined]
    except (ImportError, AttributeError, OSError):
        try:
            os.fsync(descriptor)
        except OSError as error:  # some network disks have none; any other error is one of writing
            if error.errno not in NO_SYNC:
                raise


def sync_file(path: Path) -> None:
    """What was written into a file that is closed by now, down to the drive. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def make_folders(folder: Path) -> None:
    """The folder and those above it that are missing, each with a name that lasts. Raises OSError."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in reversed(missing):
        sync_folder(one.parent)


def sync_folder(folder: Path) -> None:
    """Makes the new name last, see Held.sync."""
    with contextlib.suppress(OSError), hold(folder) as held:
        held.sync()
