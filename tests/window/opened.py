"""What an exported file holds, read by other people's programs: each reader gives plain values that can be compared.

Pictures are named by their size and the hash of their pixels, so that two files are equal where they show the same.
"""

import csv
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlparse
from xml.etree import ElementTree

import av
import numpy as np
import opentimelineio as otio
import psd_tools
import pypdfium2
from PIL import Image, ImageSequence

PDF_SCALE = 2  # pixels a point
RATE = 24  # of the board: an EDL does not say its own


class Opened(NamedTuple):
    """`panels` are the numbers it shows in order, `seconds` how long it lasts; None where the format says neither."""

    panels: list[str] | None
    seconds: float | None
    content: Any


def open_export(name: str, path: Path) -> Opened:
    """What was written in the format `name` at `path`."""
    return READERS[name](path)


def look(pixels: Any) -> str:
    """A picture as a word. A blank one is none."""
    array = np.ascontiguousarray(pixels)
    assert array.min() < array.max(), "a blank picture"
    return f"{array.shape} {hashlib.sha256(array.tobytes()).hexdigest()[:12]}"


def look_at(data: bytes | Path) -> str:
    with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
        return look(image.convert("RGBA"))


def read_pdf(path: Path) -> Opened:
    pages, words = [], []
    with pypdfium2.PdfDocument(path) as document:
        about = {key: value for key, value in document.get_metadata_dict().items() if not key.endswith("Date")}
        for page in document:
            text = page.get_textpage().get_text_bounded()
            words += text.split()
            pages.append((page.get_size(), text, look(page.render(scale=PDF_SCALE).to_numpy())))
    numbers = [word for word in words if word[:-1].isdecimal() and word[-1] in "ABCD"]
    return Opened(numbers, None, (about, pages))


def read_folder(path: Path) -> Opened:
    """Pictures named after their panels."""
    files = sorted(path.iterdir())
    return Opened([file.stem.split("_")[1] for file in files], None, [(file.name, look_at(file)) for file in files])


def read_shots(path: Path) -> Opened:
    manifest = json.loads((path / "shots.json").read_text("utf-8"))
    pictures = {file.name: look_at(file) for file in sorted(path.glob("*.png"))}
    assert {key["file"] for shot in manifest["shots"] for key in shot["keyframes"]} == set(pictures)
    panels = [panel["panel"] for shot in manifest["shots"] for panel in shot["panels"]]
    return Opened(panels, sum(shot["seconds"] for shot in manifest["shots"]), (manifest, pictures))


def read_animation(path: Path) -> Opened:
    """GIF and WebP."""
    with Image.open(path) as image:
        frames = [(look(frame.convert("RGB")), frame.info["duration"]) for frame in ImageSequence.Iterator(image)]
        return Opened(None, sum(time for _, time in frames) / 1000, (image.size, image.info.get("loop"), frames))


def read_film(path: Path) -> Opened:
    with av.open(path) as film:
        (stream,) = film.streams
        kind = (stream.codec_context.name, stream.average_rate, stream.width, stream.height)
        frames = [(frame.pts, look(frame.to_ndarray(format="rgb24"))) for frame in film.decode(stream)]
    return Opened(None, len(frames) / stream.average_rate, (kind, frames))


def read_timeline(path: Path) -> Opened:
    """Clips, their times, marks and metadata; in the place of a picture's address what it shows."""
    timeline = otio.adapters.read_from_file(str(path))
    clips = list(timeline.find_clips())
    seconds = sum(clip.duration().to_seconds() for clip in clips)
    facts = [(clip.name, clip.source_range, [*map(str, clip.markers)], picture_of(clip, path)) for clip in clips]
    told = [json.loads(otio.core.serialize_json_to_string(clip.metadata)) for clip in clips]
    return Opened([clip.name for clip in clips], seconds, (timeline.name, *map(str, facts), without_places(told)))


def picture_of(clip: Any, path: Path) -> str:
    """ "" where there is none."""
    address = getattr(clip.media_reference, "target_url", None)
    return look_at(path.parent / unquote(urlparse(address).path)) if address else ""


def without_places(told: Any) -> Any:
    """What adapters note of addresses and of ids that are drawn anew each time is left out."""
    if isinstance(told, dict):
        return {key: without_places(value) for key, value in told.items() if key not in ("pathurl", "src", "uid")}
    return [without_places(one) for one in told] if isinstance(told, list) else told


STILL = re.compile(
    r'<video ref="(r\d+)" (name="\S+") (offset="\S+") (duration="\S+") start="0s"(?: />|>.*?</video>)', re.DOTALL
)


def read_final_cut(path: Path) -> Opened:
    """What stands on the spine. The adapter knows neither stills there nor formats without a rate: both are put into
    its words for it."""
    text = path.read_text("utf-8")
    root = ElementTree.fromstring(text)
    items = [(one.get("name"), Fraction(one.get("duration").removesuffix("s"))) for one in root.find(".//spine")]
    if list(root.iter("asset")):
        clips_of = STILL.sub(r'<clip \2 \3 \4><video ref="\1" offset="0s" \4/></clip>', text)
        (event,) = otio.adapters.read_from_string(clips_of.replace('format="r2"', 'format="r1"'), "fcpx_xml")
        assert [(clip.name, clip.duration().to_seconds()) for clip in event.find_clips()] == items
    parts = []
    for one in root.iter():
        pictures = [look_at(Path(unquote(urlparse(place).path))) for place in [one.attrib.pop("src", None)] if place]
        parts.append((one.tag, one.attrib, one.text, pictures))
    return Opened([name for name, _ in items], float(sum(length for _, length in items)), parts)


def read_decisions(path: Path) -> Opened:
    """An EDL names its pictures, which lie beside it."""
    timeline = otio.adapters.read_from_file(str(path), rate=RATE)
    clips = list(timeline.find_clips())
    pictures = {file.name: look_at(file) for file in sorted(path.parent.glob("*/*.png"))}
    lines = path.read_text("utf-8").splitlines()
    assert [name for name in pictures if not any(name in line for line in lines)] == []
    seconds = sum(clip.duration().to_seconds() for clip in clips)
    return Opened([clip.name for clip in clips], seconds, (timeline.name, lines, pictures))


def read_table(path: Path) -> Opened:
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    return Opened([row["panel"] for row in rows], sum(float(row["seconds"]) for row in rows), rows)


def read_each(path: Path, ending: str, read: Any) -> Opened:
    """One file, or a folder of one for each panel."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    assert {file.suffix for file in files} == {ending}
    panels = [file.stem.split("_")[1] for file in files] if path.is_dir() else None
    return Opened(panels, None, [(file.name, read(file)) for file in files])


def read_psd(path: Path) -> list[Any]:
    document = psd_tools.PSDImage.open(path)
    return [document.size, look_at(path), *(layer_of(layer) for layer in document)]


def layer_of(layer: Any) -> tuple[Any, ...]:
    mask = look(layer.mask.topil()) if layer.has_mask() else ""
    return layer.name, layer.visible, layer.opacity, layer.blend_mode, look(layer.topil()), mask


def read_ora(path: Path) -> list[Any]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        layers = [layer.attrib for layer in ElementTree.fromstring(archive.read("stack.xml")).iter("layer")]
        pictures = [(name, look_at(archive.read(name))) for name in archive.namelist() if name.endswith(".png")]
        assert {layer["src"] for layer in layers} <= dict(pictures).keys()
        return [archive.read("mimetype"), layers, pictures]


READERS = {
    "pdf": read_pdf, "png": read_folder, "shots": read_shots, "gif": read_animation, "webp": read_animation,
    "mp4": read_film, "otio": read_timeline, "fcpxml": read_final_cut, "xml": read_timeline, "edl": read_decisions,
    "csv": read_table, "psd": lambda path: read_each(path, ".psd", read_psd),
    "ora": lambda path: read_each(path, ".ora", read_ora),
}  # fmt: skip


def list_files(folder: Path) -> Iterator[str]:
    """Names of all that was written, below a folder."""
    return (str(file.relative_to(folder)) for file in sorted(folder.rglob("*")))
