"""From a path that a person chose, or that a file names, to bytes: bounded, and never outside the file's folder."""

from pathlib import Path, PurePosixPath

from mlx_model.errors import RequestError

from ..pictures.kinds import read_bytes

MAX_SCRIPT = 32 * 1024**2


def read_document(path: Path, largest: int = MAX_SCRIPT) -> bytes:
    """The whole file. Raises RequestError where it is missing, empty, no file, unreadable or over `largest` bytes."""
    if path.is_dir():
        raise RequestError(f"{path} is a folder.", "Choose the file inside it.")
    try:
        too_large = path.stat().st_size > largest
    except (OSError, ValueError):
        too_large = False  # read_bytes says what is wrong
    if too_large:
        raise RequestError(f"{path} is larger than {largest // 1024**2} MB.", "Split it into several files.")
    return read_bytes(path)


def beside(folder: Path, relative: str) -> Path | None:
    """The file that a document in `folder` names, or None where it leads out of the folder or is not there."""
    name = relative.replace("\\", "/")
    if "\0" in name or not name or len(name) > 4096 or ".." in PurePosixPath(name).parts:
        return None
    try:
        home = folder.resolve()
        path = (home / name).resolve()
        return path if path.is_relative_to(home) and path.is_file() else None
    except (OSError, ValueError, RuntimeError):
        return None
