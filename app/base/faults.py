"""What to tell a person when something that is not an error of ours comes up."""

import errno
import os
import re

from mlx_model.errors import PYTHON, DiskFull, FluxLocalError, OutOfMemory, RequestError

UNUSABLE = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EIO,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.ELOOP,
    errno.EMFILE,
    errno.ESTALE,
    errno.ENODEV,
    errno.ENXIO,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
    errno.ENOTCONN,
)  # what is wrong with the file or the disk, wherever it is met
OUR_FAULT = "This is a fault in Flux Local. Please report it with what the log says."


WRONG = "Something in Flux Local went wrong."
MISSING = "A part of Flux Local is missing: install it again."
INSIDES = re.compile(
    PYTHON + r"|^\w*(?:Error|Exception|Warning)\b|C\+\+|attribute|unexpected keyword|\.py\b|__\w+__|libshiboken|PySide"
)


def say_plainly(text: str) -> str:
    """What a library said, for a person: "" where only who writes Python would understand it."""
    if "No module named" in text:
        return MISSING
    return "" if INSIDES.search(text) or " " not in text.strip() else text.strip()


def tell(error: Exception) -> FluxLocalError | None:
    """`error` as one that has a message for people; None for a fault of ours, whose traceback is worth more."""
    if isinstance(error, FluxLocalError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemory("The machine ran out of memory.", "Try a smaller size.")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        what = f"{_name(error)} could not be written" if error.filename else "something could not be written"
        return DiskFull(f"The disk is full: {what}.", "Free some space and try again.")
    if isinstance(error, FileNotFoundError) and not _stands_somewhere():
        return RequestError("The folder that you are in is gone.", "Go to another one: cd")
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        hint = "It was moved or deleted meanwhile, or its disk went away: put it back, or choose another."
        return RequestError(f"{_name(error)} is no longer there.", hint)
    if isinstance(error, OSError) and error.filename is not None and error.errno in UNUSABLE:
        name = _name(error)
        hint = "Look at its permissions and its disk, or choose another place."
        return RequestError(f"{name} can't be used: {error.strerror}.", hint)
    if isinstance(error, RuntimeError) and "home directory" in str(error):  # Path.expanduser
        return RequestError("A path begins with ~ and the name of nobody on this computer.", "Write it in full.")
    return None


def _name(error: OSError) -> str:
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(error.filename)
    return name[:300]


def _stands_somewhere() -> bool:
    """False where the working folder was deleted meanwhile."""
    try:
        os.getcwd()
    except OSError:
        return False
    return True
