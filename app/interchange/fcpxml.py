"""Final Cut Pro XML 1.8, after Apple's DTD: what OTIO's adapter writes gives stills a length, which Final Cut refuses.

Times are fractions of a second with the frame's denominator, stills are assets of no length.
"""

import io
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from mlx_model.files import write_new

from .job import Entry, Job
from .timeline import copy_media, join_words
from .values import clean_line

LONG_SIDE = 1920


def export(job: Job, media: bool) -> Path:
    """A library with an event with a project; pictures are copied next to it unless `media` is false."""
    root = Element("fcpxml", version="1.8")
    resources, files = SubElement(root, "resources"), copy_media(job, media)
    _add_formats(resources, job)
    event = SubElement(SubElement(root, "library"), "event", name=job.title)
    sequence = SubElement(SubElement(event, "project", name=job.title), "sequence", _describe_sequence(job))
    spine = SubElement(sequence, "spine")
    for entry in job.walk():
        if file := files.get(entry.place):
            _add_asset(resources, entry, file)
        _add_clip(spine, job, entry, file is not None)
    text = io.BytesIO(b"")
    text.write(b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n')
    ElementTree.indent(root)
    text.write(ElementTree.tostring(root, "utf-8"))
    return write_new(job.out, lambda handle: handle.write(text.getvalue()), job.force)


def _format_time(frames: int, job: Job) -> str:
    rate = job.board.rate
    scale = 100 if rate.denominator == 1 else 1
    return f"{scale * frames * rate.denominator}/{scale * rate.numerator}s" if frames else "0s"


def _add_formats(resources: Element, job: Job) -> None:
    width, height = (str(side) for side in job.choose_size(LONG_SIDE))
    frame = _format_time(1, job)
    SubElement(resources, "format", id="r1", frameDuration=frame, width=width, height=height)
    SubElement(resources, "format", id="r2", name="FFVideoFormatRateUndefined", width=width, height=height)


def _describe_sequence(job: Job) -> dict[str, str]:
    return {"format": "r1", "duration": _format_time(job.frames, job), "tcStart": "0s", "tcFormat": "NDF"}


def _add_asset(resources: Element, entry: Entry, file: Path) -> None:
    SubElement(resources, "asset", {
        "id": _name_asset(entry), "name": file.stem, "src": file.as_uri(), "start": "0s", "duration": "0s",
        "hasVideo": "1", "format": "r2",
    })  # fmt: skip


def _add_clip(spine: Element, job: Job, entry: Entry, has_picture: bool) -> None:
    """A still, or a gap where the pictures stay at home; the marker carries the words."""
    place = {
        "name": entry.number,
        "offset": _format_time(entry.start, job),
        "duration": _format_time(entry.frames, job),
        "start": "0s",
    }
    picture = {"ref": _name_asset(entry)} if has_picture else {}
    clip = SubElement(spine, "video" if has_picture else "gap", picture | place)
    words = join_words(entry)
    if words:
        SubElement(clip, "note").text = words
        one, note = _format_time(1, job), clean_line(words, 1000)
        SubElement(clip, "marker", start="0s", duration=one, value=entry.number, note=note)


def _name_asset(entry: Entry) -> str:
    return f"r{entry.place + 2}"
