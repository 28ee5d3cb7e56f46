"""One writer for a board: a lock file that says who, held by the system's flock.

flock ends with its process, so the lock of one that crashed is free at once. Where the file system has no flock, and
for a lock that another machine left in a synchronised folder, what the file says decides.
"""

import contextlib
import errno
import fcntl
import json
import os
import socket
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from mlx_model.errors import BoardElsewhere, BoardLocked

from ..base.processes import is_alive

NO_FLOCK = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS)
OPEN_ELSEWHERE = "Close it there first, or open a copy."


@dataclass(frozen=True)
class Owner:
    """Who holds a lock; empty where nobody said. A Mac's host name changes with the network, its machine doesn't."""

    pid: int = 0
    host: str = ""
    machine: str = ""

    @classmethod
    def me(cls) -> "Owner":
        return cls(os.getpid(), socket.gethostname(), f"{uuid.getnode():x}")

    @property
    def is_elsewhere(self) -> bool:
        return self.machine not in ("", Owner.me().machine)


class Lock:
    """Held from take() to release()."""

    def __init__(self, descriptor: int, path: Path):
        self._descriptor, self._path = descriptor, path

    @classmethod
    def take(cls, path: Path, anyway: bool = False) -> "Lock":
        """Raises BoardLocked where somebody else has it (`anyway`: not for another machine's), OSError."""
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                before = _read(descriptor)
                _claim(descriptor, path, before, anyway)
                if _is_at(descriptor, path):  # else the holder removed it between open and flock
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
        with contextlib.suppress(OSError):
            if _is_at(self._descriptor, self._path):
                os.unlink(self._path)
        self.drop()

    def drop(self) -> None:
        """Let go without removing the file, as the end of the process does."""
        os.close(self._descriptor)
        self._descriptor = -1

    def follow(self, path: Path) -> None:
        """The folder is elsewhere now."""
        self._path = path


def _claim(descriptor: int, path: Path, before: Owner, anyway: bool) -> None:
    try:
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
    where = "in this window or another one" if owner.pid == os.getpid() else f"in another program (process {owner.pid})"
    return BoardLocked(f"{name} is open already, {where}.", OPEN_ELSEWHERE)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _read(descriptor: int) -> Owner:
    """What the file says; Owner() for an empty file, and for one that says nothing sensible a holder unknown."""
    text = os.pread(descriptor, 4096, 0)
    if not text.strip():
        return Owner()
    try:
        values = json.loads(text)
        return Owner(int(values["pid"]), str(values["host"])[:255], str(values["machine"])[:64])
    except (ValueError, TypeError, KeyError):
        return Owner(-1)


def _write(descriptor: int, owner: Owner) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(asdict(owner)).encode(), 0)
