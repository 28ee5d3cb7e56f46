"""Earlier states of a board in its history folder: TIME.json, each a board.json that was.

A new one is made when the newest is MINUTES old. Twenty are kept: of more, the one that is least missed goes, so
that they lie close together lately and ever further apart in the past.
"""

import contextlib
import filecmp
import os
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

KEPT = 20
NEWEST = 3  # never thinned out
MINUTES = 5
NAME = re.compile(r"\d{8}-\d{6}-\d{6}\.json")
FORMAT = "%Y%m%d-%H%M%S-%f"


@dataclass(frozen=True)
class RestorePoint:
    """A file of the history folder; `when` it stopped being the present state, UTC."""

    path: Path
    when: datetime


def listed(history: Path) -> list[RestorePoint]:
    """Newest first; other files in the folder are not looked at."""
    points = []
    with contextlib.suppress(OSError):
        for name in os.listdir(history):
            if NAME.fullmatch(name):
                with contextlib.suppress(ValueError):
                    when = datetime.strptime(name.removesuffix(".json"), FORMAT).replace(tzinfo=UTC)
                    points.append(RestorePoint(history / name, when))
    return sorted(points, key=lambda point: point.when, reverse=True)


def keep(history: Path, board: Path, always: bool = False, now: datetime | None = None) -> None:
    """Make `board`, about to be replaced, a restore point where one is due, or `always`. Raises OSError."""
    points, now = listed(history), now or datetime.now(UTC)
    age = abs((now - points[0].when).total_seconds()) if points else None  # a clock may have been set back
    if not board.exists() or not (always or age is None or age >= MINUTES * 60):
        return
    if points and filecmp.cmp(points[0].path, board, shallow=False):
        return
    os.makedirs(history, exist_ok=True)
    _link(board, history / f"{now:{FORMAT}}.json")
    _thin(listed(history), now)


def _link(board: Path, point: Path) -> None:
    """A second name for the file that is about to lose its first one: no copying, and it is on the disk already."""
    try:
        os.link(board, point)
    except FileExistsError:
        return
    except OSError:  # no hard links here
        partial = point.with_name(f".{point.name}.partial")
        shutil.copyfile(board, partial)
        os.replace(partial, point)


def _thin(points: list[RestorePoint], now: datetime) -> None:
    """Remove points beyond KEPT."""
    while len(points) > KEPT:
        gone = least_missed([(now - point.when).total_seconds() for point in points])
        with contextlib.suppress(OSError):
            points[gone].path.unlink()
        del points[gone]


def least_missed(ages: list[float]) -> int:
    """The place in `ages` (seconds, youngest first) whose loss leaves the smallest gap for its age.

    Never one of the NEWEST, nor the oldest.
    """
    gaps = {
        place: (ages[place + 1] - ages[place - 1]) / max(ages[place], 1.0) for place in range(NEWEST, len(ages) - 1)
    }
    return min(gaps, key=gaps.get)
