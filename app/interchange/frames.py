"""A board's pictures as files: every take in order, or the first and last frame of every shot with a manifest.

Takes are copied byte for byte as the board keeps them: a picture keeps the AI mark and the request that its file has.
Of one that was imported what is seen is written, without what a camera noted in it. Where a panel has no picture a grey
placeholder stands in; of takes="all" a lost one is left out and told. Shots are for models that make video between
pictures.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from ..board.data import Panel
from ..board.mentions import MENTION
from ..pictures.kinds import read_bytes
from ..pictures.sharing import as_png
from .files import write_folder
from .job import Entry, Job, draw_placeholder

MANIFEST = "shots.json"


@dataclass(frozen=True)
class Shot:
    """`keys` are the panels whose pictures the shot passes through; the last may open the next shot ("pairs")."""

    keys: tuple[Entry, ...]
    frames: int

    @property
    def name(self) -> str:
        ends = dict.fromkeys(key.number for key in (self.keys[0], self.keys[-1]))
        return "-".join(ends)

    def list_key_frames(self) -> list[int]:
        """Where in the shot each picture stands: the first on frame 0, the last on the last frame."""
        inner = [key.start - self.keys[0].start for key in self.keys[1:-1]]
        return [0, *inner, self.frames - 1][: len(self.keys)]


def export_shots(job: Job, shots: str = "continued") -> Path:
    """A folder of pictures and shots.json. Panels without a picture get a placeholder and `"empty": true`."""
    return write_folder(job.out, lambda folder: _fill(job, list(SPLITS[shots](job.entries)), folder), job.force)


def _fill(job: Job, shots: list[Shot], folder: Path) -> None:
    rows = []
    for place, shot in enumerate(shots, 1):
        job.progress((place - 1) / len(shots))
        rows.append(_write(job, shot, f"{place:03d}_{shot.name}", folder))
    manifest = {
        "format": "flux-local-shots",
        "version": 1,
        "title": job.board.title,
        "style": job.board.style,
        "fps": job.board.fps,
        "aspect": list(job.board.aspect),
        "shots": rows,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", "utf-8")
    job.progress(1.0)


def _write(job: Job, shot: Shot, stem: str, folder: Path) -> dict[str, Any]:
    """Copy the pictures of a shot; its row of the manifest."""
    keys = []
    for place, (entry, frame) in enumerate(zip(shot.keys, shot.list_key_frames(), strict=True)):
        ending = "first" if place == 0 else "last" if place == len(shot.keys) - 1 else f"frame{frame:04d}"
        file = f"{stem}_{ending}.png"
        copy_take(job, entry, folder / file)
        keys.append({"panel": entry.number, "file": file, "frame": frame, "empty": entry.panel.take is None})
    return {
        "name": shot.name,
        "scene": shot.keys[0].scene.heading,
        "frames": shot.frames,
        "seconds": round(shot.frames / job.board.fps, 6),
        "first": keys[0]["file"],
        "last": keys[-1]["file"] if len(keys) > 1 else None,
        "keyframes": keys,
        "panels": [_describe(entry) for entry in shot.keys],
    }


def _describe(entry: Entry) -> dict[str, Any]:
    panel = entry.panel
    return {
        "panel": entry.number,
        "prompt": MENTION.sub(lambda match: "@" if match["escaped"] else "", panel.prompt or panel.instruction),
        "action": panel.action,
        "dialogue": panel.dialogue,
        "notes": panel.notes,
        "camera": msgspec.to_builtins(panel.camera),
        "frames": entry.frames,
    }


def _split_continued(entries: list[Entry]) -> Iterator[Shot]:
    run: list[Entry] = []
    for entry in entries:
        if run and not _continues(run[-1], entry):
            yield _join(run)
            run = []
        run.append(entry)
    yield _join(run)


def _continues(earlier: Entry, later: Entry) -> bool:
    """Whether the later panel was made from the one before it: as its source or one of its references."""
    if earlier.scene.id != later.scene.id:
        return False
    if later.panel.source.panel == earlier.panel.id:
        return True
    return not _list_takes(earlier.panel).isdisjoint(_list_references(later.panel))


def _list_takes(panel: Panel) -> set[str]:
    return {take.picture.sha256 for take in panel.takes}


def _list_references(panel: Panel) -> set[str]:
    return {reference.picture.sha256 for reference in panel.references}


def _split_pairs(entries: list[Entry]) -> Iterator[Shot]:
    for entry, following in zip(entries, [*entries[1:], None], strict=True):
        keys = (entry, following) if following and following.scene.id == entry.scene.id else (entry,)
        yield Shot(keys, entry.frames)


def _split_scenes(entries: list[Entry]) -> Iterator[Shot]:
    for _, group in groupby(entries, key=lambda entry: entry.scene.id):
        yield _join(list(group))


def _join(run: list[Entry]) -> Shot:
    return Shot(tuple(run), sum(entry.frames for entry in run))


SPLITS = {"continued": _split_continued, "pairs": _split_pairs, "scenes": _split_scenes}


def export_png(job: Job, takes: str = "current") -> Path:
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
    for take in entry.panel.takes:
        mark = "_current" if take.id == entry.panel.current else ""
        if (path := job.find_file(take.picture)) is None:
            job.lost.setdefault(entry.number)
        else:
            write_png(path, folder / job.name_file(entry, f"_take{take.number}{mark}.png"))


def copy_take(job: Job, entry: Entry, target: Path) -> None:
    """The current take's PNG at `target`, or a placeholder of the size of the board's other takes."""
    path = job.find_file(entry.panel.take.picture) if entry.panel.take else None
    if path is None:
        (job.lost if entry.panel.take else job.empty).setdefault(entry.number)
        draw_placeholder(entry.number, job.take_size).save(target, "PNG")
    else:
        write_png(path, target)


def write_png(source: Path, target: Path) -> None:
    """What others may have of it: see pictures/sharing. Raises RequestError where it can't be read."""
    target.write_bytes(as_png(read_bytes(source)))
