"""The takes as numbered PNG files, byte for byte as the board keeps them: nothing is encoded anew.

So a picture keeps the AI mark and the request that its file has; one that was painted or imported has none to keep.
Where a panel has no picture a grey placeholder stands in; of takes="all" a lost one is left out and told.
"""

import shutil
from pathlib import Path

from .files import write_folder
from .job import Entry, Job, draw_placeholder


def export(job: Job, takes: str = "current") -> Path:
    """A folder of 001_1A.png ...; with takes="all" 001_1A_take1.png ..., the current one named so."""
    write = _copy_all if takes == "all" else _copy_current

    def fill(folder: Path) -> None:
        for entry in job.walk():
            write(job, entry, folder)

    return write_folder(job.out, fill, job.force)


def _copy_current(job: Job, entry: Entry, folder: Path) -> None:
    copy_take(job, entry, folder / job.name_file(entry, ".png"))


def _copy_all(job: Job, entry: Entry, folder: Path) -> None:
    if not entry.panel.takes:
        copy_take(job, entry, folder / job.name_file(entry, "_empty.png"))
    for number, take in enumerate(entry.panel.takes, 1):
        mark = "_current" if take.id == entry.panel.current else ""
        if (path := job.find_file(take.picture)) is None:
            job.lost.setdefault(entry.number)
        else:
            shutil.copyfile(path, folder / job.name_file(entry, f"_take{number}{mark}.png"))


def copy_take(job: Job, entry: Entry, target: Path) -> None:
    """The current take's PNG at `target`, or a placeholder of the size of the board's other takes."""
    path = job.find_file(entry.panel.take.picture) if entry.panel.take else None
    if path is None:
        (job.lost if entry.panel.take else job.empty).setdefault(entry.number)
        draw_placeholder(entry.number, job.take_size).save(target, "PNG")
    else:
        shutil.copyfile(path, target)
