"""A disk that fails, fills up or loses power at a chosen operation: stands in for os and open in app's disk code."""

import builtins
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from app.fluxboard import disk as board_disk
from app.fluxboard import earlier, file, lock
from mlx_model import files, held

MODULES = (board_disk, file, lock, files, held, earlier)
COUNTED = ("open", "fsync", "replace", "rename", "link", "unlink", "mkdir", "ftruncate", "pwrite", "makedirs")


class Killed(BaseException):
    """The process is gone: nothing it would still do happens."""


class Disk:
    """Counts operations; at operation `at` (from 1) it does `fault`, and when killed refuses everything after."""

    def __init__(self, monkeypatch, at: int = 0, fault: Callable[["Disk", str], None] | None = None):
        self.at, self.fault, self.count, self.dead, self.log = at, fault, 0, False, []
        monkeypatch.setattr(
            files, "_notes", files.Notes(None)
        )  # a command before, in this process, keeps notes on the disk
        for module in MODULES:
            if hasattr(module, "os"):
                monkeypatch.setattr(module, "os", _Os(self))
        monkeypatch.setattr(held, "open", self.open, raising=False)
        self.locks: list[lock.Lock] = []
        real_init = lock.Lock.__init__
        monkeypatch.setattr(lock.Lock, "__init__", lambda *a: self.locks.append(a[0]) or real_init(*a))
        real_unlink = Path.unlink
        monkeypatch.setattr(Path, "unlink", lambda path, missing_ok=False: self.unlink(real_unlink, path, missing_ok))
        real_rmtree = shutil.rmtree
        monkeypatch.setattr(shutil, "rmtree", lambda *a, **k: None if self.dead else real_rmtree(*a, **k))

    def let_go(self) -> None:
        """As the end of a process lets go of its locks."""
        for one in self.locks:
            if one._descriptor >= 0:
                one.drop()

    def step(self, name: str, detail: object = "") -> None:
        if self.dead:
            raise Killed
        self.count += 1
        self.log.append((name, str(detail)))
        if self.count == self.at and self.fault:
            self.fault(self, name)

    def open(self, path, mode="r", *rest, **more):
        if "opener" not in more:  # else that calls os.open
            self.step("open", path)
        handle = builtins.open(path, mode, *rest, **more)  # noqa: SIM115
        return _File(self, handle) if "x" in mode or "w" in mode else handle

    def unlink(self, real, path, missing_ok):
        if path.exists():
            self.step("unlink", path)
        return real(path, missing_ok)


class _Os:
    """os, with the operations that change a disk counted."""

    def __init__(self, disk: Disk):
        self._disk = disk

    def __getattr__(self, name):
        real = getattr(os, name)
        if name not in COUNTED:
            return real

        def counted(*args, **more):
            if name != "open" or (len(args) > 1 and args[1] & (os.O_CREAT | os.O_WRONLY)):
                self._disk.step(name, args[0])
            return real(*args, **more)

        return counted


class _File:
    """A file that is being written; a fault in write() leaves half of the data."""

    def __init__(self, disk: Disk, handle):
        self._disk, self._handle = disk, handle

    def write(self, data):
        half = len(data) // 2
        try:
            self._disk.step("write", self._handle.name)
        except BaseException:
            self._handle.write(data[:half])
            self._handle.flush()
            raise
        return self._handle.write(data)

    def __getattr__(self, name):
        return getattr(self._handle, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._handle.close()


def kill(disk: Disk, name: str) -> None:
    disk.dead = True
    raise Killed


def failing(code: int) -> Callable[[Disk, str], None]:
    def fail(disk: Disk, name: str) -> None:
        raise OSError(code, os.strerror(code))

    return fail


FULL, BROKEN, READ_ONLY, FORBIDDEN = (failing(code) for code in (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES))
