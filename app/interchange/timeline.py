"""The board as a timeline for editors: OpenTimelineIO, and through its adapters Final Cut 7 XML and CMX 3600.

One clip a panel on one track, in whole frames. Its words are a marker that every editor shows; everything else is in
the metadata under "flux_local".
"""

from pathlib import Path
from urllib.parse import quote

import msgspec
import opentimelineio as otio  # type: ignore[import-untyped]  # it has no stubs

from mlx_model.files import check_writable, write_new

from .files import make_safe_name, write_folder
from .frames import copy_take
from .job import Entry, Job, drops_frames
from .values import clean, clean_line

KEY = "flux_local"
EDL_EVENTS = 999  # three digits


def export_otio(job: Job, media: bool) -> Path:
    """Pictures are named relative to the file."""
    found = copy_media(job, media)
    made = build_timeline(job, {place: quote(f"{path.parent.name}/{path.name}") for place, path in found.items()})
    return _write(job, otio.core.serialize_json_to_string(made, indent=2))


def export_fcp7(job: Job, media: bool) -> Path:
    """Premiere and Resolve want the pictures' whole address."""
    made = build_timeline(job, {place: path.as_uri() for place, path in copy_media(job, media).items()})
    for clip in made.find_clips():
        for marker in clip.markers:  # the adapter knows no comments
            marker.metadata["fcp_xml"] = {"comment": marker.comment}
    return _write(job, otio.adapters.write_to_string(made, "fcp_xml"))


def export_edl(job: Job, media: bool) -> Path:
    """Stills are on the reel AX, as is the custom; clip and file names are in comments."""
    made = build_timeline(job, {place: path.name for place, path in copy_media(job, media).items()})
    made.name = clean_line(made.name, 70)
    for clip in made.find_clips():
        clip.metadata["cmx_3600"] = {"reel": "AX"}
        clip.markers.clear()
    if len(job.entries) > EDL_EVENTS:
        job.notes.append(f"An edit decision list has room for {EDL_EVENTS} events: split the board for old programs.")
    return _write(job, _say_dropping(otio.adapters.write_to_string(made, "cmx_3600", rate=float(job.board.rate)), job))


def _say_dropping(text: str, job: Job) -> str:
    """Which numbers are frames: below the title, where other programs look for it."""
    title, _, rest = text.partition("\n")
    return f"{title}\nFCM: {'' if drops_frames(job.board.rate) else 'NON-'}DROP FRAME\n{rest}"


def build_timeline(job: Job, addresses: dict[int, str]) -> otio.schema.Timeline:
    """`addresses`: place of an entry -> where its picture is; panels without one are clips without media."""
    made = otio.schema.Timeline(job.title)
    made.global_start_time = otio.opentime.RationalTime(0, job.board.fps)
    made.metadata[KEY] = {"aspect": list(job.board.aspect), "fps": job.board.fps}
    track = otio.schema.Track("V1", kind=otio.schema.TrackKind.Video)
    track.extend([_build_clip(job, entry, addresses.get(entry.place)) for entry in job.walk()])
    made.tracks.append(track)
    return made


def _build_clip(job: Job, entry: Entry, address: str | None) -> otio.schema.Clip:
    whole = _make_range(0, entry.frames, job)
    picture = otio.schema.ExternalReference(address, whole) if address else otio.schema.MissingReference()
    clip = otio.schema.Clip(entry.number, picture, whole)
    clip.metadata[KEY] = describe(entry)
    if words := join_words(entry):
        clip.markers.append(otio.schema.Marker(entry.number, _make_range(0, 1, job), comment=words))
    return clip


def _make_range(start: int, frames: int, job: Job) -> otio.opentime.TimeRange:
    rate = float(job.board.rate)
    return otio.opentime.TimeRange(otio.opentime.RationalTime(start, rate), otio.opentime.RationalTime(frames, rate))


def describe(entry: Entry) -> dict:
    """What timeline_in.py reads back."""
    panel = entry.panel
    texts = (panel.prompt or panel.instruction, panel.action, panel.dialogue, panel.notes)
    words = dict(zip(("prompt", "action", "dialogue", "notes"), map(clean, texts), strict=True))
    return words | {
        "id": panel.id,
        "panel": entry.number,
        "scene": entry.scene_number,
        "heading": clean(entry.scene.heading),
        "camera": msgspec.to_builtins(panel.camera),
        "seconds": panel.seconds,
        "frames": entry.frames,
        "empty": panel.take is None,
    }


def join_words(entry: Entry) -> str:
    """Action and dialogue on one line each."""
    return "\n".join(filter(None, (clean_line(entry.panel.action, 500), clean_line(entry.panel.dialogue, 500))))


def copy_media(job: Job, wanted: bool) -> dict[int, Path]:
    """Copies of the pictures in a folder named after the timeline: place of an entry -> file."""
    check_writable(job.out)
    if not wanted:
        return {}
    folder = job.out.with_name(f"{make_safe_name(job.out.stem)} media")

    def fill(inside: Path) -> None:
        for entry in job.entries:
            copy_take(job, entry, inside / job.name_file(entry, ".png"))

    folder = write_folder(folder, fill, job.force)
    return {entry.place: folder / job.name_file(entry, ".png") for entry in job.entries}


def _write(job: Job, text: str) -> Path:
    return write_new(job.out, lambda handle: handle.write(text.encode()), job.force)
