"""Which state of a package is the last good one: board.json, the journal, or a restore point.

The journal is one line "flux-journal 1 BASE SHA256" and a board.json. BASE is the sha256 of the board.json it goes
on from: where board.json is another one by now, it was saved later and the journal is out of date.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from mlx_model.errors import BoardError

from ..board.data import Board
from . import codec, disk, restore_points

JOURNAL, MAGIC = "journal", b"flux-journal 1"


@dataclass
class Found:
    """`told` is what a person should know, "" after a clean end; `saved` is what board.json holds."""

    board: Board
    repairs: list[str] = field(default_factory=list)
    told: str = ""
    saved: bytes = b""
    damaged: bool = False  # board.json can't be read


def newest(folder: Path) -> Found:
    """Raises BoardError where nothing can be read, NewerBoard where board.json is too new."""
    path = folder / "board.json"
    if not path.exists():
        return _without(folder, BoardError(f"{folder} is not a board: it has no board.json."))
    saved = disk.read(path)  # a disk that can't be read is no reason to go back in time
    try:
        board, repairs = codec.decode(saved)
    except codec.NewerBoard:
        raise
    except BoardError as error:
        return _without(folder, error)
    unsaved = _journal(folder, _digest(saved))
    if unsaved and unsaved.board != board:
        unsaved.told, unsaved.saved = "Flux Local did not end as it should: the last changes were recovered.", saved
        return unsaved
    return Found(board, repairs, saved=saved)


def sealed(saved: bytes, data: bytes) -> bytes:
    """The journal's bytes for the state `data`, that goes on from the saved state."""
    return b"%s %s %s\n%s" % (MAGIC, _digest(saved), _digest(data), data)


def _without(folder: Path, error: BoardError) -> Found:
    """The newest state that is whole where board.json is not. Raises `error` where there is none."""
    found = _journal(folder)
    if found:
        found.told = "board.json was damaged: the last state was recovered from the journal."
    for point in restore_points.listed(folder / "history"):
        if found:
            break
        found = _point(point)
    if found is None:
        raise error
    found.damaged = True
    return found


def _point(point: restore_points.RestorePoint) -> Found | None:
    try:
        board, repairs = codec.decode(disk.read(point.path))
    except BoardError:
        return None
    when = f"{point.when.astimezone():%d %B, %H:%M}"
    return Found(board, repairs, f"board.json was damaged or missing: this is the state of {when}.")


def _journal(folder: Path, base: bytes | None = None) -> Found | None:
    """The journal's state where it is whole and goes on from `base` (None: whatever it goes on from)."""
    if not (folder / JOURNAL).exists():
        return None
    try:
        head, _, data = disk.read(folder / JOURNAL).partition(b"\n")
        magic, _, digests = head.rpartition(MAGIC)
        of_base, digest = digests.split()
        if magic or digest != _digest(data) or (base is not None and of_base != base):
            return None
        return Found(*codec.decode(data, JOURNAL))
    except (BoardError, ValueError):
        return None


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()
