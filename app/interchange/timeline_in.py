"""OpenTimelineIO in: each clip of the first video track is a panel. Media is taken from the file's own folder only."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import opentimelineio as otio  # type: ignore[import-untyped]  # it has no stubs
from msgspec.structs import replace

from mlx_model.errors import RequestError, say_reason
from mlx_model.foreign import check_nesting

from ..board.camera import Camera
from ..board.data import Board, Panel, Scene, new_id
from ..board.rate import choose_rate
from ..board.rules import MAX_PANELS
from ..pictures.kinds import ENDINGS
from .files import Source, find_beside, make_safe_name, read_document, read_xml
from .pictures import choose_aspect
from .timeline import KEY
from .values import add_file, clean, clean_line, decode, read_camera, read_frame, read_seconds, read_words

MOST_NAMES = 100  # in a note
FCP7_TEXTS = {"comments": (), "logginginfo": ("description", "scene", "shottake", "lognote")}  # (): all of them


def load(source: Source) -> Board:
    """A board of the timeline. Raises RequestError for a file that is no timeline or has no video track with clips."""
    return build_board(find_timeline(_read(source), source), source)


def build_board(timeline: otio.schema.Timeline, source: Source) -> Board:
    """Every clip and gap of its lowest video track; clips of our own export get their words, camera and scenes back.

    Raises RequestError where there is none, or more than fit.
    """
    clips = list_items(timeline, source)
    scenes: list[tuple[object, str, list[Panel]]] = []
    for number, clip in enumerate(clips, 1):
        ours = _read_ours(clip)
        place, heading = ours.get("scene"), clean_line(ours.get("heading"))
        if isinstance(clip, otio.schema.Gap) and scenes:
            place, heading = scenes[-1][:2]
        if not scenes or scenes[-1][:2] != (place, heading):
            scenes.append((place, heading, []))
        panel = _read_panel(clip, ours, f"Clip {clean_line(clip.name, 40) or number}", source)
        source.names[panel.id] = clean_line(ours.get("id")), clean_line(clip.name)
        scenes[-1][2].append(panel)
    made = tuple(Scene(new_id(), heading, tuple(panels)) for _, heading, panels in scenes)
    title = clean_line(timeline.name) or clean_line(source.path.stem) or "Untitled"
    return Board(new_id(), title, _read_aspect(timeline, made, source.aspect), _read_fps(timeline, clips), scenes=made)


def _read(source: Source) -> otio.core.SerializableObject:
    """The library reads in C++ and recursively: depth is checked before it sees the file.

    It writes numbers that are no JSON (Inf, NaN, of any length), so its own reader decides what is damaged.
    """
    text = decode(read_document(source.path), source.path.name, source.notes)
    try:
        check_nesting(text)
    except ValueError as error:
        raise RequestError(f"{source.path} is damaged: {error}.", "Export the timeline again.") from error
    try:
        return otio.core.deserialize_json_from_string(text)
    except otio.exceptions.UnsupportedSchemaError as error:
        raise RequestError(
            f"{source.path} was written by a newer OpenTimelineIO than this one ({otio.__version__}).",
            "Export it for an older version, or as Final Cut 7 XML or an EDL.",
        ) from error
    except Exception as error:  # the library's own errors have no common class, and speak of C++
        raise RequestError(
            f"{source.path} is no timeline that OpenTimelineIO can read.", "Export the timeline again."
        ) from error


def find_timeline(found: object, source: Source) -> otio.schema.Timeline:
    """The file's timeline, or the first of its collection; the others are told."""
    if isinstance(found, otio.schema.SerializableCollection):
        timelines = [item for item in found if isinstance(item, otio.schema.Timeline)]
        if others := [clean_line(item.name, 60) or "unnamed" for item in timelines[1:]]:
            source.notes.append(
                f"Only the first of {len(timelines)} timelines was imported; left out: {list_names(others)}."
            )
        found = next(iter(timelines), None)
    if not isinstance(found, otio.schema.Timeline):
        raise RequestError(f"{source.path} holds no timeline.", "Export a whole timeline, not a clip.")
    return found


def list_items(timeline: otio.schema.Timeline, source: Source) -> list[otio.core.Item]:
    """Clips, nested tracks and the gaps between them, of the lowest video track that has any clip.

    What is switched off or has no place on a board is left out and noted. Raises RequestError where nothing is left.
    """
    tracks = [item for item in timeline.tracks or () if isinstance(item, otio.schema.Track)]
    videos = [track for track in tracks if track.kind == "Video"]
    _note_unknown(videos, source.notes)
    shown = [track for track in videos if _is_on(track, "Track", source.notes)]
    filled = [track for track in shown if any(_is_panel(item) for item in track)]
    items = [item for item in filled[0] if _is_panel(item) or _is_gap(item)] if filled else []
    items = [item for item in items if _is_on(item, "Clip", source.notes)]
    while items and _is_gap(items[-1]):
        source.notes.append(f"The gap at the end, {read_length(items.pop()):.6g} s, was left out.")
    if not items:
        why = f" {source.notes[0]}" if source.notes else ""
        raise RequestError(f"{source.path} has no clips on a video track.{why}", "Export the timeline with its video.")
    if len(items) > MAX_PANELS:
        raise RequestError(f"{source.path} has {len(items):,} clips.", f"{MAX_PANELS:,} fit a board.")
    _note_other_tracks(timeline, filled, source.notes)
    _note_marks([timeline.tracks, *tracks], source.notes)
    _note_effects(filled[0], source.notes)
    return items


def _is_panel(item: object) -> bool:
    return isinstance(item, otio.core.Item) and not isinstance(item, otio.schema.Gap)


def _is_gap(item: object) -> bool:
    return isinstance(item, otio.schema.Gap) and (read_length(item) or 0) > 0


def _is_on(item: otio.core.Item, kind: str, notes: list[str]) -> bool:
    if not item.enabled:
        name = clean_line(item.name, 60) or "without a name"
        inside = [one for one in item if _is_panel(one)] if isinstance(item, otio.schema.Track) else []
        said = [word for one in inside or [item] for word in list_words(one) if word != clean_line(item.name)]
        more = f" with {list_names(said)}" if said else ""
        notes.append(f"{kind} {name} is switched off in the timeline and was left out{more}.")
    return bool(item.enabled)


def _note_unknown(tracks: list[otio.schema.Track], notes: list[str]) -> None:
    for item in (item for track in tracks for item in track if getattr(item, "is_unknown_schema", False)):
        notes.append(f"Items of the kind {clean_line(item.schema_name(), 60)} are not known and were left out.")


def _note_other_tracks(timeline: otio.schema.Timeline, filled: list[otio.schema.Track], notes: list[str]) -> None:
    """Of sound their number only; of others what their clips are called and say."""
    if len(filled) > 1:
        told = _tell(item for track in filled[1:] for item in track)
        notes.append(f"Only the first of {len(filled)} video tracks was imported; left out: {told}.")
    others = [item for item in timeline.tracks if not isinstance(item, otio.schema.Track) or item.kind != "Video"]
    if sounds := sum(getattr(item, "kind", "") == "Audio" for item in others):
        notes.append(f"{sounds} audio track{'s' if sounds > 1 else ''} left out: add one file in the animatic.")
    for item in others:
        if not isinstance(item, otio.schema.Track):
            notes.append(f"On no track, and left out: {_tell([item])}.")
        elif item.kind != "Audio":
            notes.append(f"A track of the kind {clean_line(item.kind, 60)} was left out: {_tell(item)}.")


def _tell(items: Iterable[object]) -> str:
    """What clips are called and say."""
    return list_names([clean_line(" ".join(list_words(item)), 300) or "unnamed" for item in items if _is_panel(item)])


def list_names(names: list[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{', '.join(names[:MOST_NAMES])}{more}"


def _note_marks(items: list[otio.core.Item], notes: list[str]) -> None:
    """Markers of whole tracks and of the timeline: no panel is theirs."""
    words = [word for item in items for word in _list_marks(item)]
    if words:
        notes.append(f"Markers of the timeline itself were left out: {list_names(words)}.")


def _note_effects(track: otio.schema.Track, notes: list[str]) -> None:
    """Transitions overlap the clips beside them and effects change no length."""
    crossings = sum(isinstance(item, otio.schema.Transition) for item in track)
    if crossings:
        notes.append(f"{crossings} transition{'s' if crossings > 1 else ''} left out: a board cuts.")
    names = {one.effect_name or one.schema_name() for item in track if _is_panel(item) for one in item.effects}
    if names:
        notes.append(f"Effects left out: {clean_line(', '.join(sorted(names)), 300)}.")


def _read_ours(clip: otio.core.Item) -> dict:
    found = clip.metadata.get(KEY)
    return {key: found[key] for key in found} if isinstance(found, otio._otio.AnyDictionary | dict) else {}


def _read_panel(clip: otio.core.Item, ours: dict, where: str, source: Source) -> Panel:
    words = read_words(ours)
    if not ours:
        words["notes"] = clean("\n".join(list_words(clip)))
    given = ours.get("camera")
    known = given if given is not None and hasattr(given, "get") else {}
    shot, angle, move = (clean_line(known.get(name)) for name in ("shot", "angle", "move"))
    camera = read_camera(Camera(shot, angle, move), where, source.notes)
    begin, end = (read_frame(known.get(name)) for name in ("begin", "end"))
    camera = replace(camera, begin=begin, end=end)
    panel = Panel(new_id(), camera=camera, seconds=_read_seconds(clip, ours, where, source), **words)
    shown, before = _look_inside(clip, where, source), len(source.notes)
    path = None if ours.get("empty") is True else _find_media(shown, where, source)  # our placeholder is no take
    panel = add_file(panel, path, source) if path else panel
    source.lost[panel.id] = tuple(source.notes[before:])
    return panel


def list_words(clip: otio.core.Item) -> list[str]:
    """Its name, what its markers say, and the comments, logs and titles that other formats keep in it."""
    gap = isinstance(clip, otio.schema.Gap)
    edl = clip.metadata.get("cmx_3600")
    comments = list(edl.get("comments", ())) if hasattr(edl, "get") else []
    texts = "Gap in the timeline" if gap else clip.name, *comments, *clip.metadata.get("words", ())
    first, *more = [clean_line(text, 1000) for text in texts]
    words = [first, *_list_marks(clip), *more, *_list_fcp7(clip)]
    return list(dict.fromkeys(filter(None, words)))


def _list_marks(item: otio.core.Item) -> list[str]:
    texts = (text for mark in item.markers for text in (mark.name, mark.comment, _read_fcp7(mark, "comment")))
    return [words for text in texts if (words := clean_line(text, 1000))]


def _list_fcp7(clip: otio.core.Item) -> Iterator[str]:
    """Its comments and log, and the words of a title that the editor makes."""
    for part, keys in FCP7_TEXTS.items():
        found: Any = _read_fcp7(clip, part)
        if hasattr(found, "get"):
            yield from (clean_line(found.get(key), 1000) for key in found if not keys or key in keys)
    media = clip.media_reference if isinstance(clip, otio.schema.Clip) else None
    given: Any = _read_fcp7(media, "parameter") if media else None
    for one in [given] if hasattr(given, "get") else given or ():
        if hasattr(one, "get") and "str" in str(one.get("parameterid", "")).lower():
            yield clean_line(one.get("value"), 1000)


def _read_fcp7(item: otio.core.SerializableObject, key: str) -> object:
    """The adapter of Final Cut 7 keeps what it does not know in the metadata."""
    found = item.metadata.get("fcp_xml")
    return found.get(key) if hasattr(found, "get") else None


def make_range(frames: int | Fraction, rate: Fraction) -> otio.opentime.TimeRange:
    """So long, from the beginning."""
    start, length = otio.opentime.RationalTime(0, float(rate)), otio.opentime.RationalTime(float(frames), float(rate))
    return otio.opentime.TimeRange(start, length)


def read_length(item: otio.core.Item) -> float | None:
    """In seconds; None where it has none, or a rate of nothing."""
    try:
        return round(float(item.duration().to_seconds()), 9)
    except Exception:  # the library's own errors have no common class
        return None


def _read_seconds(clip: otio.core.Item, ours: dict, where: str, source: Source) -> float:
    """The clip's; what was typed in Flux Local where an editor did not change the length since."""
    value = read_length(clip)
    if value is None:
        return read_seconds("none", where, source.notes)
    typed = ours.get("seconds")
    if isinstance(typed, int | float) and ours.get("frames") == clip.duration().to_frames():
        value = typed
    return read_seconds(value, where, source.notes)


def _look_inside(clip: otio.core.Item, where: str, source: Source) -> otio.schema.Clip | None:
    """The clip itself, or the first of what is nested, which is told; None for a gap."""
    if isinstance(clip, otio.schema.Clip):
        return clip
    inside = list(clip.find_clips()) if hasattr(clip, "find_clips") else []
    if inside:
        source.notes.append(f"{where} became one panel; in it: {_tell(inside)}.")
    return inside[0] if inside else None


def _find_media(clip: otio.schema.Clip | None, where: str, source: Source) -> Path | None:
    """The picture that the clip shows, where it lies in the timeline's folder."""
    media = clip.media_reference if clip else None
    if isinstance(media, otio.schema.GeneratorReference):
        source.notes.append(
            f"{where} is made by the editor ({clean_line(media.generator_kind, 60)}): it has no picture."
        )
    address = (
        _name_frame(media)
        if isinstance(media, otio.schema.ImageSequenceReference)
        else (getattr(media, "target_url", None))
    )
    if not address:
        return None
    place = source.path.parent
    path = _find_local(address, place) or _find_exported(address, source) or _find_moved(address, place)
    if path is None:
        source.notes.append(f"{where}: {address[:120]} is not a file in the timeline's folder; the panel stays empty.")
    elif path.suffix.lower() not in ENDINGS:
        source.notes.append(f"{where}: {path.name} is not a picture; the panel stays empty.")
        return None
    return path


def _name_frame(media: otio.schema.ImageSequenceReference) -> str:
    """The address of a sequence's first picture, also where it says that it lasts no time."""
    number = f"{abs(media.start_frame):0{min(media.frame_zero_padding, 20)}d}"
    sign, base = "-" if media.start_frame < 0 else "", media.target_url_base
    between = "/" if base and not base.endswith("/") else ""
    return f"{base}{between}{media.name_prefix}{sign}{number}{media.name_suffix}"


def _find_local(address: str, folder: Path) -> Path | None:
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost"):
        return None
    return find_beside(folder, unquote(parts.path)) or (find_beside(folder, address) if not parts.scheme else None)


def _find_moved(address: str, folder: Path) -> Path | None:
    """Of a whole address from another place or computer: the file of that name, in a folder of that name or without."""
    names = [name for name in unquote(address).replace("\\", "/").split("/") if name]
    if re.match(r"(?!file:)\w{2,}:", address, re.IGNORECASE) or len(names) < 2:
        return None
    return find_beside(folder, "/".join(names[-2:])) or find_beside(folder, names[-1])


def _find_exported(address: str, source: Source) -> Path | None:
    """A list of cuts names the file without its folder: ours is called after the list."""
    name = f"{make_safe_name(source.path.stem)} media/{address}"
    return find_beside(source.path.parent, name) if "/" not in address else None


def _read_aspect(
    timeline: otio.schema.Timeline, scenes: tuple[Scene, ...], otherwise: tuple[int, int]
) -> tuple[int, int]:
    ours = timeline.metadata.get(KEY)
    given = list(ours["aspect"]) if hasattr(ours, "get") and hasattr(ours.get("aspect"), "__len__") else []
    if len(given) == 2 and all(isinstance(side, int) and 0 < side <= 10_000 for side in given):
        return given[0], given[1]
    shown = (panel for scene in scenes for panel in scene.panels if panel.takes)
    first = next(shown, None)
    return choose_aspect(first) if first else otherwise


def _read_fps(timeline: otio.schema.Timeline, clips: list[otio.core.Item]) -> int | float:
    """Of the whole timeline where it says one, else of the first clip that has a rate."""
    rates = [] if timeline.global_start_time is None else [float(timeline.global_start_time.rate)]
    for item in clips:
        with suppress(Exception):  # no length anywhere; the library's own errors have no common class
            rates.append(float(item.duration().rate))
    return next((choose_rate(rate) for rate in rates if 1 <= rate <= 240), 24)


def load_fcp7(source: Source) -> Board:
    """A board of its first sequence. Raises RequestError for hostile or broken XML, or another kind of file."""
    root = read_xml(source, doctype=True)
    if root.tag != "xmeml":
        raise RequestError(f"{source.path} is not a Final Cut 7 XML.", "Export one from Premiere or Resolve.")
    _complete(root)
    try:
        found = otio.adapters.read_from_string(ElementTree.tostring(root, "unicode"), "fcp_xml")
    except Exception as error:  # the adapter's errors have no common class
        why = say_reason(error)[:100]
        raise RequestError(f"{source.path} has no sequence that can be read ({why}).", "Export it again.") from error
    timeline = find_timeline(found, source)
    _switch_off(timeline)
    return build_board(timeline, source)


def _complete(root: ElementTree.Element) -> None:
    """The adapter refuses a whole timeline for one clip without a file, such as Final Cut's of several cameras."""
    for item in root.iter("clipitem"):
        if item.find("file") is None and item.find("sequence") is None:
            ElementTree.SubElement(item, "file")
    for effect in root.iterfind(".//generatoritem/effect"):
        if effect.find("effecttype") is None:
            ElementTree.SubElement(effect, "effecttype").text = "generator"


def _switch_off(timeline: otio.schema.Timeline) -> None:
    """The adapter keeps what is disabled as a word of its metadata only."""
    for track in timeline.tracks:
        for item in (track, *track):
            known = item.metadata.get("fcp_xml")
            if hasattr(known, "get") and str(known.get("enabled", "")).strip().upper() == "FALSE":
                item.enabled = False
