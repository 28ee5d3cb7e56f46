"""OpenTimelineIO in: each clip of the first video track is a panel. Media is taken from the file's own folder only."""

import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

import opentimelineio as otio  # type: ignore[import-untyped]  # it has no stubs

from mlx_model.errors import RequestError

from ..board.data import ASPECTS, Board, Camera, Panel, Scene, new_id
from ..board.rules import MAX_PANELS
from ..pictures.kinds import ENDINGS
from .files import find_beside, read_document
from .formats import Source
from .pictures import choose_aspect
from .timeline import KEY
from .values import add_file, clean, clean_line, decode, read_camera, read_seconds, read_words

DEEPEST = 100  # levels of nesting


def load(source: Source) -> Board:
    """A board of the timeline; clips of our own export get their words, camera and scenes back.

    Raises RequestError for a file that is no timeline or has no video track with clips.
    """
    timeline = _find_timeline(_read(source), source)
    clips = _list_clips(timeline, source)
    if not clips:
        raise RequestError(f"{source.path} has no clips on a video track.", "Export the timeline with its video.")
    scenes: list[tuple[object, str, list[Panel]]] = []
    for number, clip in enumerate(clips, 1):
        ours = _read_ours(clip)
        place, heading = ours.get("scene"), clean_line(ours.get("heading"))
        if not scenes or scenes[-1][:2] != (place, heading):
            scenes.append((place, heading, []))
        scenes[-1][2].append(_read_panel(clip, ours, f"Clip {clean_line(clip.name, 40) or number}", source))
    made = tuple(Scene(new_id(), heading, tuple(panels)) for _, heading, panels in scenes)
    title = clean_line(timeline.name) or clean_line(source.path.stem) or "Untitled"
    return Board(new_id(), title, _read_aspect(timeline, made), _read_fps(clips), scenes=made)


def _read(source: Source) -> otio.core.SerializableObject:
    """The library reads in C++ and recursively: depth is checked before it sees the file."""
    text = decode(read_document(source.path), source.path.name, source.notes)
    try:
        if _measure_depth(json.loads(text)) > DEEPEST:
            raise ValueError("it is nested too deeply")
        return otio.core.deserialize_json_from_string(text)
    except (ValueError, RecursionError, otio.exceptions.OTIOError) as error:
        raise RequestError(f"{source.path} is damaged ({str(error)[:100]}).", "Export the timeline again.") from error
    except Exception as error:  # the library's own errors have no common class
        raise RequestError(
            f"{source.path} can't be read ({str(error)[:100]}).", "Export the timeline again."
        ) from error


def _measure_depth(tree: object) -> int:
    level, depth = [tree], 0
    while level and depth <= DEEPEST:
        inner = [list(v.values()) if isinstance(v, dict) else v for v in level if isinstance(v, dict | list)]
        level, depth = [item for items in inner for item in items], depth + 1
    return depth


def _find_timeline(found: object, source: Source) -> otio.schema.Timeline:
    """The file's timeline, or the first of its collection."""
    if isinstance(found, otio.schema.SerializableCollection):
        found = next((item for item in found if isinstance(item, otio.schema.Timeline)), None)
    if not isinstance(found, otio.schema.Timeline):
        raise RequestError(f"{source.path} holds no timeline.", "Export a whole timeline, not a clip.")
    return found


def _list_clips(timeline: otio.schema.Timeline, source: Source) -> list[otio.core.Item]:
    """Clips and nested tracks of the lowest video track that has any; what is no picture is passed over."""
    tracks = [item for item in timeline.tracks or () if isinstance(item, otio.schema.Track) and item.kind == "Video"]
    filled = [clips for track in tracks if (clips := [item for item in track if _is_panel(item)])]
    strange = {item.schema_name() for track in tracks for item in track if getattr(item, "is_unknown_schema", False)}
    for name in strange:
        source.notes.append(f"Items of the kind {clean_line(name, 60)} are not known and were left out.")
    if len(filled) > 1:
        source.notes.append(f"Only the first of {len(filled)} video tracks was imported.")
    if filled and len(filled[0]) > MAX_PANELS:
        raise RequestError(f"{source.path} has {len(filled[0]):,} clips.", f"{MAX_PANELS:,} fit a board.")
    return filled[0] if filled else []


def _is_panel(item: object) -> bool:
    return isinstance(item, otio.core.Item) and not isinstance(item, otio.schema.Gap)


def _read_ours(clip: otio.core.Item) -> dict:
    found = clip.metadata.get(KEY)
    return {key: found[key] for key in found} if isinstance(found, otio._otio.AnyDictionary | dict) else {}


def _read_panel(clip: otio.core.Item, ours: dict, where: str, source: Source) -> Panel:
    words = read_words(ours)
    if not ours:
        words["notes"] = clean("\n".join(filter(None, [clip.name, *(mark.comment for mark in clip.markers)])))
    given = ours.get("camera")
    known = given if given is not None and hasattr(given, "get") else {}
    told = Camera(*(clean_line(known.get(name)) for name in ("shot", "angle", "move")))
    camera = read_camera(told, where, source.notes)
    panel = Panel(new_id(), camera=camera, seconds=_read_length(clip, ours, where, source), **words)
    path = None if ours.get("empty") is True else _find_media(clip, where, source)  # our placeholder is no take
    return add_file(panel, path, source) if path else panel


def _read_length(clip: otio.core.Item, ours: dict, where: str, source: Source) -> float:
    """The clip's; what was typed in Flux Local where an editor did not change the length since."""
    try:
        length = clip.duration()
        frames, value = length.to_frames(), length.to_seconds()
    except Exception:  # no length anywhere, or a rate of nothing
        return read_seconds("none", where, source.notes)
    typed = ours.get("seconds")
    if isinstance(typed, int | float) and ours.get("frames") == frames:
        value = typed
    return read_seconds(value, where, source.notes)


def _find_media(clip: otio.core.Item, where: str, source: Source) -> Path | None:
    """The picture that the clip shows, where it lies in the timeline's folder."""
    if not isinstance(clip, otio.schema.Clip):
        clip = next(iter(clip.find_clips()), None) if hasattr(clip, "find_clips") else None
    address = getattr(clip.media_reference, "target_url", None) if clip else None
    if not address:
        return None
    path = _find_local(address, source.path.parent)
    if path is None:
        source.notes.append(f"{where}: {address[:120]} is not a file in the timeline's folder; the panel stays empty.")
    elif path.suffix.lower() not in ENDINGS:
        source.notes.append(f"{where}: {path.name} is not a picture; the panel stays empty.")
        return None
    return path


def _find_local(address: str, folder: Path) -> Path | None:
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost"):
        return None
    return find_beside(folder, unquote(parts.path)) or (find_beside(folder, address) if not parts.scheme else None)


def _read_aspect(timeline: otio.schema.Timeline, scenes: tuple[Scene, ...]) -> tuple[int, int]:
    ours = timeline.metadata.get(KEY)
    given = list(ours["aspect"]) if hasattr(ours, "get") and hasattr(ours.get("aspect"), "__len__") else []
    if len(given) == 2 and all(isinstance(side, int) and 0 < side <= 10_000 for side in given):
        return given[0], given[1]
    shown = (panel for scene in scenes for panel in scene.panels if panel.takes)
    first = next(shown, None)
    return choose_aspect(first) if first else ASPECTS["16:9"]


def _read_fps(clips: list[otio.core.Item]) -> int:
    """Of the first clip that has a rate; 23.976 counts as 24."""
    for clip in clips:
        try:
            rate = float(clip.duration().rate)
        except Exception:
            continue
        if 1 <= rate <= 120:
            return round(rate)
    return 24
