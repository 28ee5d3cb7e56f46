"""Which language model on this disk writes prompts out: chosen once, for the window and the command line."""

import os
from pathlib import Path

from mlx_model import files
from mlx_model.foreign import read_small
from mlx_model.writing import check_folder

from ..base import paths

LONGEST = 4096  # bytes of a path


def _note() -> Path:
    return paths.home() / "writer.txt"


def find_writer() -> Path | None:
    """The chosen folder; None where none is, or it is gone."""
    try:
        folder = Path(os.fsdecode(read_small(_note(), LONGEST)).strip())
    except (OSError, ValueError):
        return None
    return folder if folder.is_absolute() and os.path.isdir(folder) else None


def choose_writer(folder: Path, usable: int) -> Path:
    """Remember it. `usable`: bytes of memory. Raises LayoutError, WillNotFit for what can't be one, DiskFull."""
    folder = folder.expanduser().absolute()
    check_folder(folder, usable)
    files.make_folders(_note().parent)
    files.write_new(_note(), lambda handle: handle.write(os.fsencode(folder)), force=True)
    return folder
