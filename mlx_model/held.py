"""A folder from somebody else, or that we wrote, held open: no link in it is followed, to read or to write.

git, tar, rsync and synchronised folders keep links, and what they lead to is the person's own. What is written is a new
file that takes a name, never the file that had it.
"""

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

LOOP = (errno.ELOOP, errno.EMLINK, errno.ENOTDIR)  # what systems say of a link that may not be followed
OTHERS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
PLAIN = OTHERS | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe must not hang us
FOLDER = OTHERS | getattr(os, "O_DIRECTORY", 0)
CAN_HOLD = {os.open, os.stat, os.mkdir, os.unlink, os.rename, os.link} <= os.supports_dir_fd


class Strange(OSError):
    """What lies there is a link, or no plain file or folder, and is left alone."""

    def __init__(self, path: Path, status: os.stat_result | None):
        what = "a link, which is not followed" if status and stat.S_ISLNK(status.st_mode) else "no plain file or folder"
        super().__init__(errno.ELOOP, f"it is {what}", str(path))


def is_single(status: os.stat_result) -> bool:
    """Whether it is a plain file without a second name, which may be written in place."""
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


class Held:
    """A folder that is held open: what is done by the names in it happens there, wherever its path leads by then."""

    def __init__(self, path: Path, descriptor: int | None):
        self.path, self.descriptor = path, descriptor  # None: the system can't, and goes by the path

    def _at(self, name: str) -> tuple[str, dict[str, Any]]:
        return (str(self.path / name), {}) if self.descriptor is None else (name, {"dir_fd": self.descriptor})

    def stat(self, name: str) -> os.stat_result | None:
        """Of the name itself, also where it is a link; None where there is none. Raises OSError."""
        place, more = self._at(name)
        try:
            return os.stat(place, follow_symlinks=False, **more)
        except FileNotFoundError:
            return None

    def open(self, name: str, flags: int = os.O_RDONLY) -> int:
        """A descriptor of a plain file. Raises Strange for anything else, OSError."""
        place, more = self._at(name)
        try:
            descriptor = os.open(place, flags | PLAIN, 0o666, **more)
        except OSError as error:
            if error.errno in LOOP and self.is_strange(name):
                raise Strange(self.path / name, self.stat(name)) from error
            raise
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            return descriptor
        os.close(descriptor)
        raise Strange(self.path / name, status)

    def is_strange(self, name: str) -> bool:
        """Whether something is there that is no plain file."""
        status = self.stat(name)
        return status is not None and not stat.S_ISREG(status.st_mode)

    def open_single(self, name: str) -> int:
        """A descriptor to read and write in place: a file without a second name, new where there was another thing."""
        for _ in range(3):  # somebody may be putting links there all the while
            status = self.stat(name)
            if status and not is_single(status):
                self.clear(name)
            descriptor = self.open(name, os.O_RDWR | os.O_CREAT)
            if is_single(os.fstat(descriptor)):
                return descriptor
            os.close(descriptor)
        raise Strange(self.path / name, None)

    def create(self, name: str) -> BinaryIO:
        """A new file to write. Raises FileExistsError for any name that is there, a link too."""
        place, more = self._at(name)
        return open(self.path / name, "xb", opener=lambda _, flags: os.open(place, flags | PLAIN, 0o666, **more))

    def replace(self, name: str, to: str) -> None:
        """Give the file another name, which loses what it meant."""
        if self.descriptor is None:
            os.replace(self.path / name, self.path / to)
        else:
            os.replace(name, to, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def link(self, name: str, to: str) -> None:
        """A second name for a file. Raises FileExistsError."""
        self.link_from(self, name, to)

    def link_from(self, folder: "Held", name: str, to: str) -> None:
        """A name in this folder for a file of another. Raises FileExistsError."""
        if self.descriptor is None or folder.descriptor is None:
            os.link(folder.path / name, self.path / to)
        else:
            both = {"src_dir_fd": folder.descriptor, "dst_dir_fd": self.descriptor}
            os.link(name, to, follow_symlinks=False, **both)

    def remove(self, name: str) -> None:
        """Take a name off a file or a link; nothing happens at the link's other end. Raises OSError."""
        place, more = self._at(name)
        os.unlink(place, **more)

    def clear(self, name: str) -> None:
        """Make the name free: a link or a file goes, a folder is set aside under another name."""
        status = self.stat(name)
        if status is None:
            return
        if stat.S_ISDIR(status.st_mode):
            self._set_aside(name)
        else:
            self.remove(name)

    def _set_aside(self, name: str) -> None:
        names = (f"{name}-set-aside{number}" for number in itertools.chain([""], itertools.count(2)))
        self.replace(name, next(one for one in names if self.stat(one) is None))

    def make_folder(self, name: str) -> None:
        """A folder of that name; a link or another thing that has it is set aside first."""
        status = self.stat(name)
        if status and not stat.S_ISDIR(status.st_mode):
            self._set_aside(name)
        if status is None or not stat.S_ISDIR(status.st_mode):
            place, more = self._at(name)
            os.mkdir(place, **more)

    def sync(self) -> None:
        """Makes new names last; not every file system lets a folder be synced, and then nothing is lost."""
        if self.descriptor is not None:
            with contextlib.suppress(OSError):
                os.fsync(self.descriptor)


@contextlib.contextmanager
def hold(folder: Path, inside: Path | None = None) -> Iterator[Held]:
    """`folder`, held open. No link is followed on the way to it from `inside`, a folder above it that is trusted.

    Raises OSError, of these Strange for such a link.
    """
    path = folder if inside is None else inside
    descriptor = _open_folder(path)
    try:
        for part in folder.relative_to(path).parts:
            path /= part
            descriptor = _step_into(descriptor, path)
        yield Held(folder, descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _open_folder(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | FOLDER) if CAN_HOLD else None
    except PermissionError:  # one can write where one may not list
        return None


def _step_into(descriptor: int | None, path: Path) -> int | None:
    """The folder `path` in the open one, which is closed."""
    status = Held(path.parent, descriptor).stat(path.name)
    if status and not stat.S_ISDIR(status.st_mode):
        raise Strange(path, status)
    if descriptor is None:
        return None
    inner = os.open(path.name, os.O_RDONLY | FOLDER | getattr(os, "O_NOFOLLOW", 0), dir_fd=descriptor)
    os.close(descriptor)
    return inner


def is_plain(path: Path, inside: Path) -> bool:
    """Whether `path` is a plain file, without a link on the way from the folder `inside`. Never raises OSError."""
    try:
        folders = path.parents[: len(path.relative_to(inside).parts) - 1]
        good = all(stat.S_ISDIR(os.lstat(folder).st_mode) for folder in folders)
        return good and stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def list_links(folder: Path, names: Iterable[str]) -> list[str]:
    """Those of the names in `folder` that are links."""
    return [name for name in names if os.path.islink(folder / name)]
