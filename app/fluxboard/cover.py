"""A board's picture from outside: its first panel's, on the page Home and for Quick Look.

macOS shows a package by the picture that lies in it under this name; the board's own list of pictures does not have it.
"""

import contextlib
import io
from pathlib import Path

from PIL import Image

from mlx_model.errors import FluxLocalError

from ..board.data import Board, Picture
from ..pictures.images import open_small
from . import disk
from .file import LOOK, BoardFile

NAME = "Thumbnail.jpg"
SIDE = 512  # px at most
LIMIT = 1 << 20  # bytes of such a picture
QUALITY = 85


def find_cover(path: str | Path) -> Path | None:
    """The file of a board's first picture, None where it has none or can't be read. Any thread may call this."""
    try:
        with BoardFile.open(path, write=False) as file:
            cover = _choose(file.board)
            return file.picture_path(cover.sha256) if cover else None
    except (FluxLocalError, OSError):
        return None


def keep_thumbnail(file: BoardFile) -> None:
    """Make the picture for Quick Look that of the first panel, where it is another one. Never raises: it is a copy.

    Which picture it shows stands in the JPEG's comment, so that an unchanged one is neither decoded nor written.
    """
    with contextlib.suppress(FluxLocalError, OSError):
        cover, folder = _choose(file.board), file.path / LOOK
        if file.read_only or _read_mark(folder / NAME, file.path) == (cover.sha256 if cover else ""):
            return
        if cover is None:
            disk.remove(folder / NAME, file.path)
            return
        pixels = open_small(file.picture_path(cover.sha256), SIDE)
        encoded = io.BytesIO()
        Image.fromarray(pixels).save(encoded, "JPEG", quality=QUALITY, comment=cover.sha256)
        disk.make_folder(folder)
        disk.write(folder / NAME, encoded.getvalue(), file.path, lasting=False)


def _choose(board: Board) -> Picture | None:
    take = next((panel.take for panel in board.panels() if panel.take), None)
    return take.picture if take else None


def _read_mark(path: Path, inside: Path) -> str:
    """The sha256 of the picture that is shown; "" where there is none, or one of somebody else's."""
    try:
        with Image.open(io.BytesIO(disk.read(path, LIMIT, inside)), formats=["JPEG"]) as image:
            return bytes(image.info.get("comment", b"")).decode("ascii", "replace")
    except (FluxLocalError, OSError, ValueError):
        return ""
