"""Earlier states of a board: its restore points, and which state is the last good one after a crash.

The journal is one line "flux-journal 1 BASE SHA256" and a board.json. BASE is the sha256 of the board.json it goes
on from: where board.json is another one by now, it was saved later and the journal is out of date.
"""

import contextlib
import filecmp
import hashlib
import os
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from mlx_model.errors import BoardError
from mlx_model.held import hold, is_plain

from ..board.data import Board
from . import codec, disk

JOURNAL, MAGIC = "journal", b"flux-journal 1"
NO_LINK = "Put the file that it should lead to in its place, or ask for the board with its own files."
KEPT = 20
NEWEST = 3  # never thinned out
MINUTES = 5
NAME = re.compile(r"(\d{8}-\d{6}-\d{6})(?:-(\d{6,15}))?\.json")
FORMAT = "%Y%m%d-%H%M%S-%f"
MOST = 10**9  # no board has come so far: a larger number is not of our making


@dataclass(frozen=True)
class RestorePoint:
    """A file of the history folder; `when` it stopped being the present state, UTC, by a clock that may have jumped.

    Points are in the order of their `number`; those of earlier versions have 0, and are older than all others.
    """

    path: Path
    when: datetime
    number: int = 0


def list_points(history: Path) -> list[RestorePoint]:
    """Newest first; other files in the folder are not looked at, nor is a folder that is a link."""
    points = []
    for name in disk.list_names(history, history.parent):
        if found := NAME.fullmatch(name):
            with contextlib.suppress(ValueError):
                when = datetime.strptime(found[1], FORMAT).replace(tzinfo=UTC)
                number = int(found[2] or 0)
                points.append(RestorePoint(history / name, when, number if number < MOST else 0))
    return sorted(points, key=lambda point: (point.number, point.when), reverse=True)


def keep(history: Path, board: Path, always: bool = False, now: datetime | None = None) -> None:
    """Make `board`, about to be replaced, a restore point where one is due, or `always`. Raises OSError.

    A `board` that is a link or no plain file is none.
    """
    points, now, root = list_points(history), now or datetime.now(UTC), history.parent
    age = abs((now - points[0].when).total_seconds()) if points else None  # a clock may have been set back
    if not is_plain(board, root) or not (always or age is None or age >= MINUTES * 60):
        return
    if points and is_plain(points[0].path, root) and filecmp.cmp(points[0].path, board, shallow=False):
        return
    with hold(root) as folder:
        folder.make_folder(history.name)
    number = points[0].number + 1 if points else 1
    _link(board, history / f"{now:{FORMAT}}-{number:06}.json")
    _thin(list_points(history), now)


def _link(board: Path, point: Path) -> None:
    """A second name for the file that is about to lose its first one: no copying, and it is on the disk already."""
    root = point.parent.parent
    # A failure: no hard links here, or the disk is full, which writing tells.
    with contextlib.suppress(OSError), hold(root) as folder, hold(point.parent, root) as history:
        history.link_from(folder, board.name, point.name)
        history.sync()
        return
    disk.write(point, disk.read(board, inside=root), root)


def _thin(points: list[RestorePoint], now: datetime) -> None:
    """Remove points beyond KEPT. Of very many, as no one session leaves, every other one goes first."""
    while len(points) > 10 * KEPT:
        for gone in range(len(points) - 2, NEWEST, -2):
            with contextlib.suppress(OSError):
                disk.remove(points[gone].path, points[gone].path.parent.parent)
        points = [point for place, point in enumerate(points) if place <= NEWEST or (len(points) - place) % 2]
    while len(points) > KEPT:
        gone = least_missed(measure_ages(points, now))
        with contextlib.suppress(OSError):
            disk.remove(points[gone].path, points[gone].path.parent.parent)
        del points[gone]


def measure_ages(points: list[RestorePoint], now: datetime) -> list[float]:
    """Seconds, never falling from the newest on: where a clock had jumped, a point stands between its neighbours."""
    believed, most = {}, float("inf")
    for place in range(len(points) - 1, -1, -1):
        age = (now - points[place].when).total_seconds()
        if 0 <= age <= most:
            believed[place] = most = age
    places = sorted(believed)
    if not places:
        return [0.0] * len(points)
    ages: list[float] = np.interp(range(len(points)), places, [believed[place] for place in places]).tolist()
    return ages


def least_missed(ages: list[float]) -> int:
    """The place in `ages` (seconds, youngest first) whose loss leaves the smallest gap for its age.

    Never one of the NEWEST, nor the oldest.
    """
    gaps = {
        place: (ages[place + 1] - ages[place - 1]) / max(ages[place], 1.0) for place in range(NEWEST, len(ages) - 1)
    }
    return min(gaps, key=lambda place: gaps[place])


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
    if disk.is_in_cloud(path):  # to go back to an earlier state would be taken for a change of it
        raise BoardError(f"{folder.name} is still in iCloud.", disk.IN_CLOUD)
    if not os.path.lexists(path):
        return _without(folder, BoardError(f"{folder} is not a board: it has no board.json."))
    if os.path.islink(path):
        return _without(folder, BoardError(f"{path} can't be read: it is a link, which is not followed.", NO_LINK))
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


def seal(saved: bytes, data: bytes) -> bytes:
    """The journal's bytes for the state `data`, that goes on from the saved state."""
    return b"%s %s %s\n%s" % (MAGIC, _digest(saved), _digest(data), data)


def _without(folder: Path, error: BoardError) -> Found:
    """The newest state that is whole where board.json is not. Raises `error` where there is none."""
    found = _journal(folder)
    if found:
        found.told = "board.json was damaged: the last state was recovered from the journal."
    for point in list_points(folder / "history"):
        if found:
            break
        found = _point(point)
    if found is None:
        raise error
    found.damaged, found.told = True, f"{found.told} {error.message}"
    return found


def _point(point: RestorePoint) -> Found | None:
    try:
        board, repairs = codec.decode(disk.read(point.path, inside=point.path.parent.parent))
    except BoardError:
        return None
    when = f"{point.when.astimezone():%d %B, %H:%M}"
    return Found(board, repairs, f"board.json was damaged or missing: this is the state of {when}.")


def _journal(folder: Path, base: bytes | None = None) -> Found | None:
    """The journal's state where it is whole and goes on from `base` (None: whatever it goes on from)."""
    if not is_plain(folder / JOURNAL, folder):
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
