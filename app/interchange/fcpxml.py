"""Final Cut Pro XML, out and in.

Out 1.8, after Apple's DTD: what OTIO's adapter writes gives stills a length, which Final Cut refuses. Times are
fractions of a second with the frame's denominator, stills are assets of no length. In: what stands on the spine of the
first sequence, stills and gaps with words included.
"""

import io
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import opentimelineio as otio  # type: ignore[import-untyped]  # it has no stubs

from mlx_model.errors import RequestError
from mlx_model.files import write_new

from ..board.data import Board
from .files import Source, read_xml
from .job import Entry, Job
from .timeline import copy_media, join_words
from .timeline_in import build_board, list_names, make_range
from .values import clean_line

TIME = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)(?:/([0-9]{1,15}))?s?")  # decimals are other programs'
CLIPS = ("clip", "asset-clip", "video", "ref-clip", "sync-clip", "mc-clip", "title", "audition", "gap")
DEFAULT = Fraction(24)
Assets = dict[str, Element]  # by their ids; compound and multicam clips too


def load(source: Source) -> Board:
    """A board of its first project that has clips, else of the clips of its events, else of a compound clip.

    Raises RequestError for another kind of file, or one without any.
    """
    root = read_xml(source, doctype=True)
    if root.tag != "fcpxml":
        raise RequestError(f"{source.path} is not a Final Cut Pro XML.", "Export one from Final Cut Pro.")
    name, sequence, items = _choose_items(root, source.notes)
    rate = _read_rate(root, sequence.get("format") if sequence is not None else None)
    track = otio.schema.Track("V1", kind=otio.schema.TrackKind.Video)
    known = [one for tag in ("media", "asset") for one in root.iter(tag)]
    assets = {one.get("id", ""): one for one in reversed(known)}  # of two with one id the first
    for item in items:
        track.extend(_read_item(item, assets, rate, source.notes))
    timeline = otio.schema.Timeline(name)
    timeline.tracks.append(track)
    return build_board(timeline, source)


def _choose_items(root: Element, notes: list[str]) -> tuple[str, Element | None, list[Element]]:
    """The title, its sequence where it is one, and what stands there; other projects and clips are told."""
    loose = [one for place in (root, *root.iter("event")) for one in place if one.tag in CLIPS]
    projects = list(root.iter("project"))
    if loose and not projects:
        return "", None, loose
    holders = projects or list(root.iter("media"))
    found = [(clean_line(one.get("name")), sequence) for one in holders for sequence in one.findall("sequence")]
    chosen = next((pair for pair in found if any(one.tag in CLIPS for one in pair[1].iterfind("spine/*"))), None)
    if chosen is None:
        return "", None, []
    others = [pair[0] or "unnamed" for pair in found if pair is not chosen] + [_tell(one) for one in loose]
    if others:
        notes.append(f"Only {chosen[0] or 'the first project'} was imported; left out: {list_names(others)}.")
    if said := [words for one in _list_words(chosen[1]) if (words := clean_line(one, 1000))]:
        notes.append(f"The sequence's own notes and markers: {list_names(said)}")
    return *chosen, list(chosen[1].iterfind("spine/*"))


def _read_time(text: str | None) -> Fraction | None:
    match = TIME.fullmatch(text or "")
    return Fraction(match[1]) / int(match[2] or 1) if match and int(match[2] or 1) else None


def _read_rate(root: Element, name: str | None) -> Fraction:
    """Of the sequence's format, or the first that has one."""
    formats = sorted(root.iter("format"), key=lambda one: one.get("id") != name)
    frames = (_read_time(one.get("frameDuration")) for one in formats)
    return next((1 / frame for frame in frames if frame and 1 <= 1 / frame <= 240), DEFAULT)


def _read_item(item: Element, assets: Assets, rate: Fraction, notes: list[str]) -> Iterator[otio.core.Composable]:
    """A clip or a gap; what is connected above or below it is told."""
    if item.tag == "transition":
        notes.append("Transitions were left out: a board cuts.")
    if item.tag not in CLIPS:
        return
    chosen = next((one for one in item if one.tag in CLIPS), item) if item.tag == "audition" else item
    if others := [_tell(one) for one in item if item.tag == "audition" and one is not chosen]:
        notes.append(f"Of an audition the first clip was taken; left out: {list_names(others)}.")
    name, length = clean_line(chosen.get("name")), _read_time(chosen.get("duration")) or _find_length(chosen, assets)
    span = make_range(length * rate, rate) if length else None
    words = list(_list_words(chosen))
    if chosen.tag == "gap" and name in ("", "Gap") and not words:
        if span:
            yield otio.schema.Gap(source_range=span)
    else:
        media = _find_source(chosen, assets)
        clip = otio.schema.Clip(name, otio.schema.ExternalReference(media) if media else None, span)
        clip.enabled, clip.metadata["words"] = chosen.get("enabled") != "0", words
        if chosen.find("timeMap") is not None:
            clip.effects.append(otio.schema.TimeEffect(effect_name="another speed"))
        yield clip
    above = [_tell(one) for one in chosen if one.get("lane") and one.tag != "caption"]
    if inside := [_tell(one) for one in _list_inside(chosen, assets)]:
        notes.append(f"{name or chosen.tag} became one panel; in it: {list_names(inside)}.")
    if above:
        notes.append(f"Connected to {name or chosen.tag}, and left out: {list_names(above)}.")


def _list_inside(item: Element, assets: Assets) -> list[Element]:
    """What a compound, synchronised or multicam clip is made of; in a plain clip a picture stands for itself."""
    media = assets.get(item.get("ref", "")) if item.tag in ("ref-clip", "mc-clip") else None
    places = [item] if media is None else [*media.iterfind("sequence/spine"), *media.iterfind("multicam/mc-angle")]
    plain = ("gap", "video") if item.tag == "clip" else ("gap",)
    found = [one for place in places for one in place if one.tag in CLIPS and not one.get("lane")]
    return [one for one in found if one.tag not in plain]


def _tell(item: Element) -> str:
    """What it, and all that stands inside it, is called and says."""
    words = [word for one in item.iter() for word in (one.get("name") if one.tag in CLIPS else "", *_list_words(one))]
    return clean_line(" ".join(filter(None, words)), 1000) or item.tag


def _list_words(item: Element) -> Iterator[str]:
    """Of titles, captions, notes and markers."""
    for one in item:
        if one.tag == "note":
            yield "".join(one.itertext())
        elif one.tag == "text":
            yield " ".join("".join(one.itertext()).split())
        elif one.tag == "caption":
            yield from (" ".join("".join(text.itertext()).split()) for text in one.iterfind("text"))
        elif one.tag in ("marker", "chapter-marker", "keyword"):
            yield from (one.get("value", ""), one.get("note", ""))


def _find_asset(item: Element, assets: Assets) -> Element | None:
    """What it, or a picture inside it, refers to."""
    inside = (one for one in item.iter("video") if one.get("ref"))
    ref = item.get("ref") or next((one.get("ref") for one in inside), None)
    return assets.get(ref) if ref else None


def _find_source(item: Element, assets: Assets) -> str:
    asset = _find_asset(item, assets)
    if asset is None:
        return ""
    inside = next((one.get("src", "") for one in asset.iter("media-rep")), "")
    return asset.get("src") or inside


def _find_length(item: Element, assets: Assets) -> Fraction | None:
    """An asset's own, where the clip says none."""
    asset = _find_asset(item, assets)
    return _read_time(asset.get("duration")) if asset is not None else None


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
