"""Final Cut Pro XML 1.8, after Apple's DTD: what OTIO's adapter writes gives stills a length, which Final Cut refuses.

Times are fractions of a second with the frame's denominator, stills are assets of no length.
"""

import io
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from ..base.files import write_new
from .job import Entry, Job
from .text import line
from .timeline import caption, media_files

LONG_SIDE = 1920


def export(job: Job, media: bool) -> Path:
    """A library with an event with a project; pictures are copied next to it unless `media` is false."""
    root = Element("fcpxml", version="1.8")
    resources, files = SubElement(root, "resources"), media_files(job, media)
    _formats(resources, job)
    event = SubElement(SubElement(root, "library"), "event", name=_title(job))
    sequence = SubElement(SubElement(event, "project", name=_title(job)), "sequence", _sequence(job))
    spine = SubElement(sequence, "spine")
    for entry in job.walk():
        if file := files.get(entry.place):
            _asset(resources, entry, file)
        _clip(spine, job, entry, file is not None)
    text = io.BytesIO(b"")
    text.write(b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n')
    ElementTree.indent(root)
    text.write(ElementTree.tostring(root, "utf-8"))
    return write_new(job.out, lambda handle: handle.write(text.getvalue()), job.force)


def _title(job: Job) -> str:
    return line(job.board.title) or "Untitled"


def _time(frames: int, job: Job) -> str:
    return f"{100 * frames}/{100 * job.board.fps}s" if frames else "0s"


def _formats(resources: Element, job: Job) -> None:
    width, height = (str(side) for side in job.size(LONG_SIDE))
    frame = f"100/{100 * job.board.fps}s"
    SubElement(resources, "format", id="r1", frameDuration=frame, width=width, height=height)
    SubElement(resources, "format", id="r2", name="FFVideoFormatRateUndefined", width=width, height=height)


def _sequence(job: Job) -> dict[str, str]:
    return {"format": "r1", "duration": _time(job.frames, job), "tcStart": "0s", "tcFormat": "NDF"}


def _asset(resources: Element, entry: Entry, file: Path) -> None:
    SubElement(resources, "asset", {
        "id": _reference(entry), "name": file.stem, "src": file.as_uri(), "start": "0s", "duration": "0s",
        "hasVideo": "1", "format": "r2",
    })  # fmt: skip


def _clip(spine: Element, job: Job, entry: Entry, has_picture: bool) -> None:
    """A still, or a gap where the pictures stay at home; the marker carries the words."""
    place = {"name": entry.number, "offset": _time(entry.start, job), "duration": _time(entry.frames, job)}
    ends = {"start": "0s"}
    clip = (
        SubElement(spine, "video", {"ref": _reference(entry)} | place | ends)
        if has_picture
        else SubElement(spine, "gap", place | ends)
    )
    words = caption(entry)
    if words:
        SubElement(clip, "note").text = words
        SubElement(clip, "marker", start="0s", duration=_time(1, job), value=entry.number, note=line(words, 1000))


def _reference(entry: Entry) -> str:
    return f"r{entry.place + 2}"
