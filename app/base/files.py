"""Writing files so that a crash, a full disk or two programs at once never cost an existing file."""

import contextlib
import errno
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from mlx_model.errors import DiskFull, RequestError

FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES)


def number_names(path: Path) -> Iterator[Path]:
    """`path`, then the same name with -2, -3, ... before the extension."""
    yield path
    for number in range(2, 100_000):
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")


def write_new(path: Path, write: Callable[[BinaryIO], object], force: bool = False) -> Path:
    """Let `write` fill a file that appears whole or not at all; where it ended up.

    Without `force` an existing file is never touched: a number is added, also where another program takes the name
    in the same moment. Raises DiskFull, or RequestError where the folder is missing or can't be written.
    """
    temporary = path.with_name(f".{path.name[:60]}.{secrets.token_hex(4)}.partial")
    try:
        with open(temporary, "xb") as handle:
            write(handle)
            handle.flush()
            sync(handle.fileno())
        final = _replace(temporary, path) if force else _claim(temporary, path)
        sync_folder(path.parent)
        return final
    except OSError as error:
        raise explain(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def explain(error: OSError, path: Path) -> DiskFull | RequestError:
    """The error a person should read when writing `path` failed."""
    if error.errno in FULL:
        return DiskFull(f"The disk is full: {path} could not be written.", "Free some space or choose another folder.")
    if isinstance(error, FileNotFoundError):
        return RequestError(f"There is no folder {path.parent}.", "Create it first, or choose another output.")
    if error.errno == errno.ENAMETOOLONG:
        return RequestError(f"The name {path.name[:40]}... is too long for this disk.", "Choose a shorter one.")
    reason = error.strerror or str(error)
    return RequestError(f"{path} can't be written: {reason}.", "Choose another folder.")


def check_writable(path: Path) -> None:
    """Raise RequestError (or DiskFull) now rather than after the work where `path` could not be written."""
    if path.name in ("", ".", ".."):
        raise RequestError(f"{path} is not the name of a file.", "Give a file name such as -o picture.png.")
    probe = path.with_name(f".flux-local.{secrets.token_hex(4)}.partial")
    try:
        with contextlib.suppress(FileNotFoundError):  # is the name itself possible, also with a number?
            os.lstat(path.with_name(f"{path.stem}-99{path.suffix}"))
        with open(probe, "xb"):
            pass
    except OSError as error:
        raise explain(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _replace(temporary: Path, path: Path) -> Path:
    os.replace(temporary, path)
    return path


def _claim(temporary: Path, path: Path) -> Path:
    """Give the finished file the first free name. A hard link fails where the name exists, so no race is lost."""
    for candidate in number_names(path):
        try:
            os.link(temporary, candidate)
            return candidate
        except FileExistsError:
            continue
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            if _claim_without_links(temporary, candidate):
                return candidate
    raise RequestError(f"Too many files are called like {path}.", "Choose another name.")


def _claim_without_links(temporary: Path, candidate: Path) -> bool:
    """For exFAT and some network disks: reserve the name with an empty file of ours, then replace that."""
    try:
        os.close(os.open(candidate, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        return False
    os.replace(temporary, candidate)
    return True


def sync(descriptor: int) -> None:
    """Down to the drive. On macOS fsync stops at the drive's cache, so F_FULLFSYNC is tried first."""
    try:
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # type: ignore[attr-defined]
    except (ImportError, AttributeError, OSError):
        os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Makes the new name last; not every file system lets a folder be synced, and then nothing is lost."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
