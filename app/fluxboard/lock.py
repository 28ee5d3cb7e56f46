"""One writer for a board: a lock file that says who, held by the system's flock.

flock ends with its process, so the lock of one that crashed is free at once. Where the file system has no flock, and
for a lock that another machine left in a synchronised folder, what the file says decides. The file is written in place,
so it must be a plain one with a single name: a link, a pipe or what a backup linked to is replaced first.
"""

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import socket
import sys
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from mlx_model.errors import BoardElsewhere, BoardLocked
from mlx_model.files import begin, finish
from mlx_model.held import Held, Strange, hold, is_single

try:
    import fcntl
except ImportError:  # Windows: the file alone decides
    fcntl = None  # type: ignore[assignment]

NO_FLOCK = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS)
OPEN_ELSEWHERE = "Close it there first, or open a copy."
IDS = ("/etc/machine-id", "/var/lib/dbus/machine-id")
MULTICAST = 1 << 40  # set in the number that uuid.getnode makes up where it finds no network card


def is_alive(pid: int) -> bool:
    """Whether this machine has a process of that number."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


@dataclass(frozen=True)
class Owner:
    """Who holds a lock; empty where nobody said. A Mac's host name changes with the network, its machine doesn't."""

    pid: int = 0
    host: str = ""
    machine: str = ""

    @classmethod
    def me(cls) -> "Owner":
        return cls(os.getpid(), socket.gethostname(), identify_machine())

    @property
    def is_elsewhere(self) -> bool:
        mine = Owner.me()
        if self.machine and mine.machine:
            return self.machine != mine.machine and self.machine != _network_card()
        return bool(self.machine) or self.host not in ("", mine.host)


@cache
def identify_machine() -> str:
    """The same at every start and nowhere else, and no address of a network card; "" where the system has none."""
    found = _read_machine_id() or _ask_macos() or _network_card()
    return hashlib.sha256(f"flux-local {found}".encode()).hexdigest()[:16] if found else ""


def _read_machine_id() -> str:
    for path in IDS:
        with contextlib.suppress(OSError):
            if text := Path(path).read_text("latin-1").strip():
                return text
    return ""


def _ask_macos() -> str:
    if sys.platform != "darwin":
        return ""
    found, patience = ctypes.create_string_buffer(16), (ctypes.c_long * 2)(1, 0)
    with contextlib.suppress(OSError, AttributeError):
        if ctypes.CDLL(None).gethostuuid(found, patience) == 0:
            return found.raw.hex()
    return ""


def _network_card() -> str:
    """Its address, by which earlier versions named a machine; "" where there is none that lasts."""
    number = uuid.getnode()
    return "" if number & MULTICAST else f"{number:x}"


class Lock:
    """Held from take() to release()."""

    def __init__(self, descriptor: int, path: Path):
        self._descriptor, self._path = descriptor, path

    @classmethod
    def take(cls, path: Path, anyway: bool = False) -> "Lock":
        """Raises BoardLocked where somebody else has it (`anyway`: not for another machine's), OSError."""
        with hold(path.parent) as folder:
            while True:
                descriptor = _open(folder, path.name)
                try:
                    before = _read(descriptor)
                    _claim(descriptor, path, before, anyway)
                    if _is_at(descriptor, folder, path.name):  # else the holder removed it between open and flock
                        descriptor = _make_single(descriptor, folder, path.name)
                        _write(descriptor, Owner.me())
                        return cls(descriptor, path)
                except BaseException:
                    os.close(descriptor)
                    raise
                os.close(descriptor)

    def release(self) -> None:
        """Remove the file and let go; does nothing the second time."""
        if self._descriptor < 0:
            return
        with contextlib.suppress(OSError), hold(self._path.parent) as folder:
            if _is_at(self._descriptor, folder, self._path.name):
                folder.remove(self._path.name)
        self.drop()

    def drop(self) -> None:
        """Let go without removing the file, as the end of the process does."""
        os.close(self._descriptor)
        self._descriptor = -1

    def follow(self, path: Path) -> None:
        """The folder is elsewhere now."""
        self._path = path


def _open(folder: Held, name: str) -> int:
    """The file, made where it is missing or no plain file."""
    try:
        return folder.open(name, os.O_RDWR | os.O_CREAT)
    except (Strange, IsADirectoryError):
        with _alone(folder):
            if folder.is_strange(name):  # still: nobody made a good one meanwhile
                folder.clear(name)
        return folder.open(name, os.O_RDWR | os.O_CREAT)


@contextlib.contextmanager
def _alone(folder: Held) -> Iterator[None]:
    """The flock of the folder itself, where there is one: of two programs that replace a file the second would win."""
    with contextlib.suppress(OSError):
        if fcntl and folder.descriptor is not None:
            fcntl.flock(folder.descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if fcntl and folder.descriptor is not None:
                fcntl.flock(folder.descriptor, fcntl.LOCK_UN)


def _make_single(descriptor: int, folder: Held, name: str) -> int:
    """The lock itself where it has no second name, else a new one in its place, claimed before the old one is free."""
    if is_single(os.fstat(descriptor)):
        return descriptor
    place = begin(folder.path / name)
    partial = place.name
    with contextlib.ExitStack() as undo:
        new = folder.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        undo.callback(os.close, new)
        with contextlib.suppress(OSError):
            if fcntl:
                fcntl.flock(new, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder.replace(partial, name)
        finish(place)
        undo.pop_all()
    os.close(descriptor)
    return new


def _claim(descriptor: int, path: Path, before: Owner, anyway: bool) -> None:
    try:
        if fcntl is None:
            raise OSError(NO_FLOCK[0], "no flock")
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _explain_lock(path, _read(descriptor)) from error
    except OSError as error:
        if error.errno not in NO_FLOCK:
            raise
        if not before.is_elsewhere and is_alive(before.pid) and not anyway:
            raise _explain_lock(path, before) from error
    if before.is_elsewhere and not anyway:
        raise _explain_lock(path, before)


def _explain_lock(path: Path, owner: Owner) -> BoardLocked:
    name = path.parent.name
    if owner.is_elsewhere:
        hint = f"If it is not, remove {path} and open it again."
        return BoardElsewhere(f"{name} is open on {owner.host}.", hint)
    where = "in this window" if owner.pid == os.getpid() else "in another window or program"
    return BoardLocked(f"{name} is open already, {where}.", OPEN_ELSEWHERE)


def _is_at(descriptor: int, folder: Held, name: str) -> bool:
    status = folder.stat(name)
    return status is not None and os.path.samestat(os.fstat(descriptor), status)


def _read(descriptor: int) -> Owner:
    """What the file says; Owner() for an empty file, and for one that says nothing sensible a holder unknown."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    text = os.read(descriptor, 4096)
    if not text.strip():
        return Owner()
    try:
        values = json.loads(text)
        pid = int(values["pid"])
        return Owner(pid if 0 < pid < 2**31 else -1, str(values["host"])[:255], str(values["machine"])[:64])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return Owner(-1)


def _write(descriptor: int, owner: Owner) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, json.dumps(asdict(owner)).encode())
