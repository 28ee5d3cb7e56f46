"""A folder of files that appears whole or not at all, and never costs what is there."""

import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from mlx_model.errors import RequestError

from ..base.files import explain, numbered, sync


def write_folder(path: Path, fill: Callable[[Path], object], force: bool = False) -> Path:
    """Let `fill` write files into a fresh folder that then gets the name `path`; the name it got.

    Without `force` a number is added where the name is taken. With it, files of the same names in an existing folder
    are replaced one by one and others stay. Raises DiskFull, or RequestError where the place can't be written.
    """
    temporary = path.with_name(f".{path.name[:60]}.{secrets.token_hex(4)}.partial")
    try:
        temporary.mkdir()
        fill(temporary)
        _sync_files(temporary)
        return _merge(temporary, path) if force and path.exists() else _claim(temporary, path)
    except OSError as error:
        raise explain(error, path) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _sync_files(folder: Path) -> None:
    for file in folder.iterdir():
        with open(file, "rb+") as handle:
            sync(handle.fileno())


def _merge(temporary: Path, path: Path) -> Path:
    for file in sorted(temporary.iterdir()):
        os.replace(file, path / file.name)
    return path


def _claim(temporary: Path, path: Path) -> Path:
    for candidate in numbered(path):
        try:
            if not os.path.lexists(candidate):
                os.rename(temporary, candidate)  # fails where another program filled the name in the meantime
                return candidate
        except OSError:
            if not os.path.lexists(candidate):
                raise
    raise RequestError(f"Too many folders are called like {path}.", "Choose another name.")
