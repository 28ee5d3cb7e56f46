"""The disk of a process: every operation that changes it is counted, logged, and fails or kills at a chosen one.

Stands in for `os` and `open` wherever they are called, so it holds for every writer of the program. Meant for a process
of its own (see in_child): there nothing has to be put back, and a kill is a kill.
"""

import builtins
import errno
import io
import json
import os
import shutil
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAMES = ("replace", "rename", "link", "symlink", "unlink", "remove", "mkdir", "rmdir", "fsync", "ftruncate", "truncate",
         "pwrite")  # fmt: skip
NEW_NAMES = ("replace", "rename", "link", "symlink", "mkdir", "create")
WRITES = os.O_CREAT | os.O_WRONLY | os.O_RDWR
MODES = set("wxa+")
TAKES_ROOM = ("open", "write", "mkdir", "link", "symlink", "fsync", "pwrite", "rename", "replace")
SECONDS = 60  # for the work of a child; longer means that it hangs
BOARD_JOURNAL = "journal"  # the second net: never durable by itself
PASSING = (BOARD_JOURNAL, "lock")

Fault = Callable[[str], None]


def kill(_: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def failing(code: int) -> Fault:
    def fail(_: str) -> None:
        raise OSError(code, os.strerror(code))

    return fail


ERRORS = {name: getattr(errno, name) for name in ("ENOSPC", "EIO", "EROFS", "EDQUOT", "EACCES", "ESTALE")}


class Disk:
    """Counts what is done below `root`; at operation `at` (from 1), or from there on (`lasting`), it does `fault`."""

    def __init__(self, root: Path, at: int = 0, fault: Fault | None = None, lasting: bool = False, full: bool = False):
        self.root, self.at, self.fault, self.lasting = os.path.realpath(root), at, fault, lasting
        self.full = full  # whether only what takes room fails
        self.count, self.log = 0, list[str]()
        self.ledger = Ledger()

    def install(self, put: Callable[[Any, str, Any], None] = setattr) -> "Disk":
        """Stand in for the real ones; `put` as monkeypatch.setattr does it where the process lives on."""
        for name in NAMES:
            put(os, name, self._count(name, getattr(os, name)))
        put(os, "open", self._open_descriptor(os.open))
        put(os, "sendfile", self._send(os.sendfile))
        opened = self._open_file(builtins.open)
        put(builtins, "open", opened)
        put(io, "open", opened)
        return self

    def step(self, name: str, place: str) -> None:
        self.count += 1
        self.log.append(f"{name} {place}")
        due = self.count == self.at or (self.lasting and 0 < self.at <= self.count)
        if due and self.fault and not (self.full and name not in TAKES_ROOM):
            self.fault(name)

    def find(self, what: Any, folder: int | None = None) -> str:
        """The path of a file (in an open folder) or a descriptor where it is below `root`, else ""."""
        if isinstance(what, int):
            path = _path_of(what)
        elif folder is not None:
            path = os.path.join(_path_of(folder), os.fsdecode(what))
        else:
            path = os.path.realpath(os.path.dirname(os.path.abspath(os.fsdecode(what))))
            path = os.path.join(path, os.path.basename(os.fsdecode(what)))
        return path if path.startswith(self.root) else ""

    def _count(self, name: str, real: Callable) -> Callable:
        def counted(*args: Any, **more: Any) -> Any:
            place = "" if name == "symlink" else self.find(args[0], more.get("src_dir_fd", more.get("dir_fd")))
            folder = more.get("dst_dir_fd", more.get("dir_fd"))
            target = self.find(args[1], folder) if name in ("replace", "rename", "link", "symlink") else ""
            if not (place or target):
                return real(*args, **more)
            if name == "pwrite":
                return self._pwrite(real, place, *args)
            self.step(name, place or target)
            self.ledger.before(name, place)
            self.ledger.forget(place if name in ("unlink", "remove") else target)
            done = real(*args, **more)
            self.ledger.after(name, args[0], place, target)
            return done

        return counted

    def _pwrite(self, real: Callable, place: str, descriptor: int, data: Any, *rest: Any) -> int:
        try:
            self.step("write", place)
        except BaseException:
            real(descriptor, memoryview(data)[: len(data) // 2], *rest)
            raise
        self.ledger.dirty(descriptor, place)
        return int(real(descriptor, data, *rest))

    def _send(self, real: Callable) -> Callable:
        """What shutil copies with."""

        def sent(out: int, *rest: Any, **more: Any) -> int:
            if place := self.find(out):
                self.step("write", place)
                self.ledger.dirty(out, place)
            return int(real(out, *rest, **more))

        return sent

    def _open_descriptor(self, real: Callable) -> Callable:
        def opened(path: Any, flags: int, *rest: Any, **more: Any) -> int:
            place = self.find(path, more.get("dir_fd")) if flags & WRITES else ""
            new = bool(place) and not os.path.lexists(place)
            if place:
                self.step("open", place)
            descriptor = int(real(path, flags, *rest, **more))
            if new:
                self.ledger.after("create", place, place, "")
            return descriptor

        return opened

    def _open_file(self, real: Callable) -> Callable:
        def opened(file: Any, mode: str = "r", *rest: Any, **more: Any) -> Any:
            place = self.find(file) if MODES & set(mode) else ""
            if not place:
                return real(file, mode, *rest, **more)
            new = not os.path.lexists(place)
            if not more.get("opener"):  # which opens by os.open
                self.step("open", place)
            handle = real(file, mode, *rest, **more)
            if new:
                self.ledger.after("create", file, place, "")
            return Handle(self, handle, place)

        return opened


def _path_of(descriptor: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""


class Handle:
    """A file that is being written; a fault in write() leaves half of the data in it."""

    def __init__(self, disk: Disk, handle: Any, place: str):
        self._disk, self._handle, self._place = disk, handle, place

    def write(self, data: Any) -> int:
        try:
            self._disk.step("write", self._place)
        except BaseException:
            self._put_half(data)
            raise
        self._disk.ledger.dirty(self._handle.fileno(), self._place)
        return int(self._handle.write(data))

    def _put_half(self, data: Any) -> None:
        self._handle.write(data[: len(data) // 2])
        self._handle.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handle, name)

    def __enter__(self) -> "Handle":
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()

    def __iter__(self) -> Any:
        return iter(self._handle)


class Ledger:
    """What a loss of power would take: bytes that were not synced before their file got its name, and new names in
    folders that were not synced afterwards."""

    def __init__(self) -> None:
        self.unsynced: dict[int, str] = {}  # inode -> path of a file with bytes that may be lost
        self.folders: dict[int, str] = {}  # inode -> a folder with names that may be lost
        self.faults: list[str] = []

    def dirty(self, descriptor: int, place: str) -> None:
        self.unsynced[os.fstat(descriptor).st_ino] = place

    def before(self, name: str, what: str) -> None:
        """A name may only be given to what is on the disk, whole."""
        if name not in ("replace", "rename", "link") or not os.path.lexists(what):
            return
        if os.path.basename(what).startswith(f".{BOARD_JOURNAL}"):
            return
        inside = [what]
        if os.path.isdir(what) and not os.path.islink(what):
            inside = [os.path.join(folder, file) for folder, _, files in os.walk(what) for file in files]
        lost = [path for path in inside if os.stat(path, follow_symlinks=False).st_ino in self.unsynced]
        self.faults += [f"{os.path.basename(path)} got a name before its bytes were on the disk" for path in lost]

    def forget(self, gone: str) -> None:
        """Of a file that is about to go: the next one may get its inode."""
        if gone and os.path.lexists(gone) and (known := os.lstat(gone)).st_nlink == 1:
            self.unsynced.pop(known.st_ino, None)

    def after(self, name: str, what: Any, place: str, target: str) -> None:
        if name == "fsync":
            inode = os.fstat(what).st_ino
            self.unsynced.pop(inode, None)
            self.folders.pop(inode, None)
        elif name in NEW_NAMES and os.path.basename(path := target or place) not in PASSING:
            self._note_folder(os.path.dirname(path), path)

    def _note_folder(self, folder: str, path: str) -> None:
        if os.path.isdir(folder):
            self.folders[os.stat(folder).st_ino] = f"{os.path.basename(folder)} ({os.path.basename(path)})"

    def lost(self, path: Path) -> list[str]:
        """What a loss of power now would take of the file or folder `path`, which was said to be there."""
        inside = [path, *(path.rglob("*") if path.is_dir() else ())]
        files = [self.unsynced[one.lstat().st_ino] for one in inside if one.lstat().st_ino in self.unsynced]
        folders = [one for one in (path.parent, *inside) if one.is_dir()]
        names = [self.folders[one.stat().st_ino] for one in folders if one.stat().st_ino in self.folders]
        return [*self.faults, *(f"the bytes of {one}" for one in files), *(f"names in {one}" for one in names)]


def in_child(work: Callable[[Callable[[Any], None]], None]) -> tuple[list[Any], int]:
    """What `work` tells, in a process of its own, until it ends or is killed; and how that ended (0, or a signal).

    An error of `work` is told as ["raised", its type, its text].
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        signal.alarm(SECONDS)
        _work_and_end(work, writing)
    os.close(writing)
    with open(reading, "rb") as stream:
        told = _read_all(stream)
    _, status = os.waitpid(child, 0)
    return told, os.waitstatus_to_exitcode(status)


def _work_and_end(work: Callable[[Callable[[Any], None]], None], writing: int) -> None:
    put = os.write

    def tell(what: Any) -> None:
        data = json.dumps(what).encode()
        put(writing, len(data).to_bytes(4, "little") + data)

    code = 0
    try:
        work(tell)
    except BaseException as error:
        text = traceback.format_exc() if not hasattr(error, "hint") else str(error)
        tell(["raised", type(error).__name__, text[-1500:]])
        code = 1
    os._exit(code)


def _read_all(stream: Any) -> list[Any]:
    told = []
    while head := stream.read(4):
        data = stream.read(int.from_bytes(head, "little"))
        try:
            told.append(json.loads(data))
        except ValueError:  # killed while it spoke
            break
    return told


def count_steps(root: Path, work: Callable[[Path], None]) -> int:
    """How many operations `work` does in a folder of its own."""

    def counted(tell: Callable[[Any], None]) -> None:
        place = root / "counted"
        place.mkdir()
        disk = Disk(place).install()
        work(place)
        tell(disk.count)

    told, code = in_child(counted)
    shutil.rmtree(root / "counted")
    if code:
        raise RuntimeError(f"the work fails by itself: {told}")
    return int(told[-1])
