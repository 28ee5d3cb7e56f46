"""CMX 3600 edit decision lists in: each event of the picture is a clip, as long as it lasts in the programme.

The library's reader knows one frame rate and refuses what real lists hold (dissolves, lists with sound, other rates).
"""

import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import PurePath

import opentimelineio as otio  # type: ignore[import-untyped]  # it has no stubs

from mlx_model.errors import RequestError

from ..board.data import Board
from ..pictures.kinds import ENDINGS
from .files import Source, read_document
from .timeline_in import build_board, make_range
from .values import clean, clean_line, decode

TIME = re.compile(r"([0-9]{1,2})[:;.,]([0-9]{2})[:;.,]([0-9]{2})[:;.,]([0-9]{2,3})")
WORD = re.compile(r"\*?\s*([A-Z ]+?)\s*:\s*(.*)", re.IGNORECASE)
FILES = ("FROM CLIP", "SOURCE FILE", "FROM FILE", "MEDIA FILE")
RATES = (24, 25, 30, 50, 60)
NTSC = Fraction(30_000, 1001)


@dataclass
class _Event:
    """`start` and `end` are frames of the programme."""

    reel: str
    channels: str
    kind: str  # C is a cut
    start: int
    end: int
    name: str = ""
    file: str = ""
    words: list[str] = field(default_factory=list)


def load(source: Source) -> Board:
    """A board of the list. Raises RequestError where it has no events with a picture."""
    text = clean(decode(read_document(source.path), source.path.name, source.notes), longest=1 << 30)
    lines = text.split("\n")
    drops = any(re.match(r"\s*FCM\s*:\s*DROP", line, re.IGNORECASE) for line in lines)
    drops |= any(";" in line.split()[-1] for line in lines if _find_times(line))
    rate = _choose_rate(lines, drops, source)
    events = _choose_events(_read_events(lines, rate, drops, source), source)
    if not events:
        raise RequestError(f"{source.path} has no events with a picture.", "Export the list of the video track.")
    titles = [line.partition(":")[2].strip() for line in lines if line.lstrip().upper().startswith("TITLE:")]
    timeline = otio.schema.Timeline(titles[0] if titles else "")
    timeline.tracks.append(_build_track(events, rate))
    return build_board(timeline, source)


def _find_times(line: str) -> list[tuple[int, ...]]:
    """(hours, minutes, seconds, frames) of the four times that an event has; else nothing."""
    fields = line.split() if len(line) < 500 else []
    if len(fields) < 7 or not fields[0].isdecimal():
        return []
    found = [match for one in fields[3:] if (match := TIME.fullmatch(one))]
    return [tuple(map(int, match.groups())) for match in found] if len(found) == 4 else []


def _is_broken(line: str) -> bool:
    """An event with a wrong time: as words of the event above it, it would give that one its name."""
    fields = line.split() if len(line) < 500 else []
    return bool(fields) and fields[0].isdecimal() and sum(bool(TIME.fullmatch(one)) for one in fields[3:]) >= 2


def _choose_rate(lines: list[str], drops: bool, source: Source) -> Fraction:
    """A list says only whether it drops numbers; no frame's number reaches the rate."""
    highest = max((time[3] for line in lines for time in _find_times(line)), default=0)
    if drops:
        return NTSC if highest < 30 else 2 * NTSC
    known = (source.fps,) if source.fps and highest < round(source.fps) else ()
    rate = next((rate for rate in (*known, *RATES) if highest < rate), RATES[0])
    if not known:
        source.notes.append(f"An edit decision list does not say its frame rate: its times were read at {rate}.")
    return Fraction(rate).limit_denominator(1001)


def _count_frames(time: tuple[int, ...], rate: Fraction, drops: bool) -> int:
    """Since 00:00:00:00; two numbers a minute (at 59.94 four) may be dropped, but for every tenth minute."""
    hours, minutes, seconds, frames = time
    minutes += 60 * hours
    dropped = round(rate) // 15 * (minutes - minutes // 10) if drops else 0
    return (60 * minutes + seconds) * round(rate) + frames - dropped


def _read_events(lines: list[str], rate: Fraction, drops: bool, source: Source) -> list[_Event]:
    """All of them; lines below an event are its words, those above the first are told.

    Raises RequestError for an event with a wrong time.
    """
    events: list[_Event] = []
    before: list[str] = []
    for line in lines:
        if times := _find_times(line):
            fields = line.split()
            start, end = (_count_frames(time, rate, drops) for time in times[2:])
            events.append(_Event(fields[1], fields[2].upper(), fields[3].upper(), start, end))
        elif _is_broken(line):
            raise RequestError(
                f"{source.path} has an event whose times can't be read: {clean_line(line, 200)}",
                "Mend that line, or export the list again.",
            )
        elif line.strip() and not line.lstrip().upper().startswith(("FCM", "TITLE", "SPLIT")):
            _add_word(line.strip(), events) if events else before.append(clean_line(line))
    if events and before:
        source.notes.append(f"Above its first event the list says: {clean_line('; '.join(before), 1000)}")
    return events


def _add_word(line: str, events: list[_Event]) -> None:
    """Below a dissolve the names of both its clips stand."""
    event, match = events[-1], WORD.fullmatch(line)
    key, value = (match[1].upper(), match[2].strip()) if match else ("", "")
    if key == "TO CLIP NAME" or (key == "FROM CLIP NAME" and event.kind == "C"):
        event.name = value
    elif key == "FROM CLIP NAME":
        if len(events) > 1 and not events[-2].name:
            events[-2].name = value
        elif len(events) < 2 or events[-2].name != value:
            event.words.append(line.lstrip("* "))
    elif key in FILES:
        event.file = value
    else:
        event.words.append(line.lstrip("* "))


def _choose_events(events: list[_Event], source: Source) -> list[_Event]:
    """Those of the picture that last a frame at least, in the programme's order."""
    sounds = sum("V" not in one.channels and one.channels.startswith(("A", "NONE")) for one in events)
    seen = [one for one in events if "V" in one.channels or not one.channels.startswith(("A", "NONE"))]
    shown = [one for one in seen if one.end > one.start]
    if sounds:
        source.notes.append(
            f"{sounds} event{'s' if sounds > 1 else ''} of sound left out: add one file in the animatic."
        )
    lost = [word for one in events if one not in shown for word in (one.name, *one.words)]
    lost = [word for word in dict.fromkeys(lost) if word and word not in {one.name for one in shown}]
    lost += [word for one in shown if _is_black(one) for word in one.words]
    if lost:
        source.notes.append(f"Left out with events that show no picture: {clean_line('; '.join(lost), 1000)}")
    if crossings := sum(one.kind != "C" for one in shown):
        source.notes.append(f"{crossings} transition{'s' if crossings > 1 else ''} left out: a board cuts.")
    return sorted(shown, key=lambda one: one.start)


def _is_black(event: _Event) -> bool:
    return event.reel.upper() in ("BL", "BLACK") and not event.name


def _build_track(events: list[_Event], rate: Fraction) -> otio.schema.Track:
    track, clock = otio.schema.Track("V1", kind=otio.schema.TrackKind.Video), events[0].start
    for event in events:
        if event.start > clock:
            track.append(otio.schema.Gap(source_range=make_range(event.start - clock, rate)))
        clock = max(clock, event.end)
        if _is_black(event):
            track.append(otio.schema.Gap(source_range=make_range(event.end - event.start, rate)))
            continue
        file = event.file or (event.name if PurePath(event.name).suffix.lower() in ENDINGS else "")
        media = otio.schema.ExternalReference(file) if file else None
        name = event.name or event.file or event.reel
        clip = otio.schema.Clip(name, media, make_range(event.end - event.start, rate))
        clip.metadata["words"] = event.words
        track.append(clip)
    return track
