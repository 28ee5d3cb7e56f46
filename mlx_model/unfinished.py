"""What processes that are gone have begun and not finished, and a folder that takes another one's place at once."""

import contextlib
import ctypes
import errno
import json
import os
import re
import shutil
import stat
import sys
import time
from pathlib import Path

from .files import begin, finish, sync_folder
from .held import hold

TOKEN = re.compile(r"[0-9a-f]{12}")
PLACE = re.compile(r"\.(?P<name>.*)\.(?P<token>[0-9a-f]{12})[0-9a-f]{8}\.(?P<kind>partial|old)", re.DOTALL)
LARGEST = 1 << 20  # bytes of notes that are read
DAY, MONTH = 86_400, 30 * 86_400
NO_FLOCK = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS)
SWAP, HERE = 2, -100  # RENAME_EXCHANGE or RENAME_SWAP; AT_FDCWD
NO_SWAP = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM, errno.EXDEV)


def remove_left(folder: Path) -> None:
    """What is noted in `folder` by processes that are gone and carries their mark. Never raises OSError."""
    with contextlib.suppress(OSError):
        for name in filter(TOKEN.fullmatch, os.listdir(folder)):
            with contextlib.suppress(OSError):
                _remove_of(folder, name)


def _remove_of(folder: Path, token: str) -> None:
    with hold(folder) as notes:
        descriptor = notes.open(token, os.O_RDWR)
        try:
            if not _is_over(descriptor):
                return
            left = [path for path in _list_paths(os.read(descriptor, LARGEST)) if not _remove(path, token)]
            if not left or _age(descriptor) > MONTH:
                notes.remove(token)
        finally:
            os.close(descriptor)


def _is_over(descriptor: int) -> bool:
    """Whether the process is gone: its flock is free. Where there is no flock, by its number and a day of silence."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except (OSError, ImportError) as error:
        no_flock = isinstance(error, ImportError) or error.errno in NO_FLOCK
        return no_flock and _age(descriptor) > DAY and not _is_alive(descriptor)


def _is_alive(descriptor: int) -> bool:
    """Whether this machine has a process of the number that the first line tells."""
    with contextlib.suppress(ValueError, TypeError, KeyError, OverflowError, IndexError, OSError):
        os.lseek(descriptor, 0, os.SEEK_SET)
        pid = json.loads(os.read(descriptor, 4096).splitlines()[0])["pid"]
        os.lseek(descriptor, 0, os.SEEK_SET)
        with contextlib.suppress(PermissionError):  # another user's
            os.kill(pid, 0)
        return bool(pid > 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return False


def _age(descriptor: int) -> float:
    return time.time() - os.fstat(descriptor).st_mtime


def _list_paths(data: bytes) -> list[Path]:
    found = []
    for line in data.splitlines():
        with contextlib.suppress(ValueError):
            value = json.loads(line)
            found += [Path(value)] if isinstance(value, str) and os.path.isabs(value) else []
    return found


def _remove(path: Path, token: str) -> bool:
    """Whether nothing is left; False where the disk is not there."""
    place = PLACE.fullmatch(path.name)
    if not place or place["token"] != token:
        return True  # nothing that such a process would make
    if not path.parent.is_dir():
        return False
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return True
    if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
        return True
    if place["kind"] == "old" and not os.path.lexists(path.with_name(place["name"])):
        os.rename(path, path.with_name(place["name"]))  # a replacement that was cut off
    elif stat.S_ISDIR(status.st_mode):
        shutil.rmtree(path, ignore_errors=True)
    elif stat.S_ISREG(status.st_mode):
        path.unlink()
    return not os.path.lexists(path)


def take_place(partial: Path, out: Path) -> None:
    """Give the finished folder the name `out`, and remove the one that had it. Raises OSError.

    At every moment one of them is there whole under that name; where the disk can't swap two names, there is one in
    which it is not, and the next start brings the old one back.
    """
    if not os.path.lexists(out):
        os.rename(partial, out)
    elif swap(partial, out):
        shutil.rmtree(partial, ignore_errors=True)
    else:
        _replace_by_two(partial, out)
    finish(partial)
    sync_folder(out.parent)


def _replace_by_two(partial: Path, out: Path) -> None:
    old = begin(out, "old")
    os.rename(out, old)
    try:
        os.rename(partial, out)
    except OSError:
        os.rename(old, out)
        finish(old)
        raise
    shutil.rmtree(old, ignore_errors=True)
    finish(old)


def swap(one: Path, other: Path) -> bool:
    """Exchange the names of two folders at once; False where the system or the disk can't. Raises OSError."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        names = os.fsencode(one), os.fsencode(other)
        if sys.platform == "darwin":
            failed = library.renamex_np(*names, SWAP)
        else:
            failed = library.renameat2(HERE, names[0], HERE, names[1], SWAP)
    except (OSError, AttributeError, TypeError):  # Windows, or a C library without it
        return False
    if failed and ctypes.get_errno() in NO_SWAP:
        return False
    if failed:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(other))
    return True
