"""The takes as numbered PNG files, byte for byte as the model made them, so they keep their requests and AI marks."""

import shutil
from pathlib import Path

from .folders import write_folder
from .job import Entry, Job, placeholder


def export(job: Job, takes: str = "current") -> Path:
    """A folder of 001_1A.png ...; with takes="all" 001_1A_take1.png ..., the current one named so."""
    write = _all_takes if takes == "all" else _current_take
    return write_folder(job.out, lambda folder: [write(job, entry, folder) for entry in job.walk()], job.force)


def _current_take(job: Job, entry: Entry, folder: Path) -> None:
    copy_take(job, entry, folder / job.name(entry, ".png"))


def _all_takes(job: Job, entry: Entry, folder: Path) -> None:
    if not entry.panel.takes:
        copy_take(job, entry, folder / job.name(entry, "_empty.png"))
    for number, take in enumerate(entry.panel.takes, 1):
        mark = "_current" if take.id == entry.panel.current else ""
        if (path := job.file(take.picture)) is None:
            job.lost.setdefault(entry.number)
        else:
            shutil.copyfile(path, folder / job.name(entry, f"_take{number}{mark}.png"))


def copy_take(job: Job, entry: Entry, target: Path) -> None:
    """The current take's PNG at `target`, or a placeholder of the size of the board's other takes."""
    path = job.file(entry.panel.take.picture) if entry.panel.take else None
    if path is None:
        (job.lost if entry.panel.take else job.empty).setdefault(entry.number)
        placeholder(entry.number, job.take_size).save(target, "PNG")
    else:
        shutil.copyfile(path, target)
