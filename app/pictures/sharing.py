"""Pictures for others: without where, when, by whom and with what they were taken.

A board keeps the bytes that it was given; what leaves it (zips, exports, what is dragged out) passes through here. The
pixels stay as they are stored, with their colours, how they are turned, and the mark that an AI made them; so does a
request of ours, without paths. See docs/decisions/0017.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from . import metadata
from .images import ORIENTATION, find_frame, open_layer, open_picture
from .kinds import HEIF, KEPT, recognise

ICC_TAG = 34675
PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_KEPT = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"bKGD", b"pHYs",
            b"cICP")  # fmt: skip
WEBP_KEPT = (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ICCP", b"ANIM", b"ANMF")
# What a TIFF needs to be read: sizes, strips, tiles, samples, palettes, and the colour profile.
TIFF_KEPT = {*range(254, 267), 273, 274, 277, 278, 279, *range(280, 285), 296, 297, 317, 318, 319, 320, 322, 323, 324,
             325, 332, 336, 338, 339, 340, 341, 347, 529, 530, 531, 532, ICC_TAG}  # fmt: skip
EMPTY_TIFF = b"II*\0\x08\0\0\0" + bytes(6)  # EXIF that says nothing


class Said(NamedTuple):
    """What stays of what a picture says: how it is turned, our XMP packet ("" for none), our request."""

    orientation: int
    xmp: bytes
    request: str | None

    def exif(self) -> bytes:
        """As TIFF; nothing for what lies upright."""
        if self.orientation in (0, 1):
            return b""
        return b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHHI", ORIENTATION, 3, 1, self.orientation, 0, 0)


def clean(data: bytes) -> tuple[bytes, str]:
    """The picture for others and the ending of its kind; the same bytes where they say nothing that is left out.

    A TIFF, AVIF, HEIC or GIF that can't be cleaned where it stands is a PNG then. Raises RequestError for no picture.
    """
    kind, image = recognise(Path("The picture"), data), find_frame(data)
    said = _listen(image, data)
    walk = {"PNG": _walk_png, "JPEG": _walk_jpeg, "WEBP": _walk_webp}.get(kind)
    if walk:
        try:
            return walk(data, said), KEPT[kind]
        except (struct.error, IndexError):  # it opens, but is not built by the book
            return _encode(data, said), KEPT["PNG"]
    if not _tells(image, kind):
        return data, KEPT[kind]
    blank = _blank(data, image) if kind in ("AVIF", HEIF) and not said.xmp else b""
    return (blank, KEPT[kind]) if blank else (_encode(data, said), KEPT["PNG"])


def as_png(data: bytes) -> bytes:
    """What is seen of the picture as PNG for others; a plain PNG as clean makes it. Raises RequestError."""
    image = find_frame(data)
    if image.format == "PNG" and image.mode == "RGB" and not {"icc_profile", "transparency"} & set(image.info):
        made, _ = clean(data)
        if image.getexif().get(ORIENTATION, 1) == 1:
            return made
    return _encode(data, _listen(image, data))


def cut_part(data: bytes, box: tuple[int, int, int, int]) -> bytes:
    """A part of the picture as PNG for others; `box` in pixels of it upright: left, top, right, bottom.

    Raises RequestError for no picture.
    """
    left, top, right, bottom = box
    pixels = open_layer("The picture", data)[top:bottom, left:right]
    return _encode(pixels if pixels[..., 3].min() < 255 else pixels[..., :3], _listen(find_frame(data), data))


def _encode(source: bytes | np.ndarray, said: Said) -> bytes:
    encoded = io.BytesIO()
    options = metadata.save_options("PNG", said.xmp, said.request) if said.xmp else {}
    pixels = open_picture("The picture", data=source, least=1) if isinstance(source, bytes) else source
    Image.fromarray(np.ascontiguousarray(pixels)).save(encoded, "PNG", **options)
    return encoded.getvalue()


def _listen(image: Image.Image, data: bytes) -> Said:
    request = metadata.find_request(image)
    text = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    xmp = text.encode() if isinstance(text, str) else text
    heard = (xmp + b"".join(_walk_credentials(data))).lower()
    request = metadata.hide_paths(request) if request else None
    edited = metadata.EDITED.lower().encode() in heard
    mark = b""
    if request or edited or metadata.MADE.lower().encode() in heard:
        mark = metadata.packet(request, edited, ours=bool(request) or b"<xmp:creatortool>flux local<" in heard)
    try:
        turned = image.getexif().get(ORIENTATION, 1)
    except Exception:  # broken EXIF: opening passes over it too
        turned = 1
    return Said(turned if turned in range(1, 9) else 1, mark, request)


def _walk_credentials(data: bytes) -> Iterator[bytes]:
    """Content credentials (C2PA) of a PNG or JPEG: they seal the whole file, so only their mark can be kept."""
    if data.startswith(PNG_START):
        yield from (chunk for name, chunk in _chunks(data) if name == b"caBX")
    elif data.startswith(b"\xff\xd8"):
        yield from (part for marker, part in _segments(data) if marker == 0xEB)


# PNG: chunks


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, whole chunk)"""
    place = len(PNG_START)
    while place + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        yield name, data[place : place + 12 + length]
        place += 12 + length


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _walk_png(data: bytes, said: Said) -> bytes:
    parts = [PNG_START]
    for name, chunk in _chunks(data):
        parts += [chunk] if name in PNG_KEPT else []
        if name == b"IHDR":
            texts = [("XML:com.adobe.xmp", said.xmp.decode()), (metadata.KEY, said.request)]
            parts += [_chunk(b"iTXt", f"{key}\0\0\0\0\0{text}".encode()) for key, text in texts if text]
            parts += [_chunk(b"eXIf", exif) for exif in [said.exif()] if exif]
        if name == b"IEND":
            break
    return b"".join(parts)


# JPEG: segments


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, whole segment); the picture's data belong to the start of their scan. Ends with the picture."""
    place = 2
    while place + 2 <= len(data):
        marker, end = data[place + 1], place + 2
        if marker == 0xFF:  # fill
            place += 1
            continue
        if marker == 0xD9:
            yield marker, data[place:end]
            return
        if not (marker == 0x01 or 0xD0 <= marker <= 0xD7):
            end += struct.unpack_from(">H", data, end)[0]
        if marker == 0xDA:
            end = _find_marker(data, end)
        yield marker, data[place:end]
        place = end


def _find_marker(data: bytes, place: int) -> int:
    """Where the data of a scan end: at a marker that is neither a stuffed byte nor a restart."""
    while (place := data.find(b"\xff", place)) >= 0 and place + 1 < len(data):
        if data[place + 1] != 0 and not 0xD0 <= data[place + 1] <= 0xD7:
            return place
        place += 2
    return len(data)


def _walk_jpeg(data: bytes, said: Said) -> bytes:
    parts, own = [data[:2]], []
    for name, content in ((b"Exif\0\0", said.exif()), (b"http://ns.adobe.com/xap/1.0/\0", _fit_xmp(said))):
        own += [b"\xff\xe1" + struct.pack(">H", 2 + len(name) + len(content)) + name + content] if content else []
    for marker, part in _segments(data):
        known = part[4:].startswith((b"JFIF\0", b"ICC_PROFILE\0", b"Adobe"))
        if marker != 0xE0:
            parts += own  # JFIF, where it is there, comes first
            own = []
        parts += [part] if known or not (0xE0 <= marker <= 0xEF or marker == 0xFE) else []
    return b"".join(parts)


def _fit_xmp(said: Said) -> bytes:
    return said.xmp if len(said.xmp) <= metadata.JPEG_LIMIT else metadata.packet(None, metadata.is_edit(said.request))


# WebP: chunks of RIFF


def _walk_webp(data: bytes, said: Said) -> bytes:
    parts, place = [], 12
    while place + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, place)
        part = data[place : place + 8 + length + length % 2]
        place += len(part)
        if name == b"VP8X":
            flags = part[8] & ~0x0C | (0x08 if said.exif() else 0) | (0x04 if said.xmp else 0)
            part = part[:8] + bytes([flags]) + part[9:]
        parts += [part] if name in WEBP_KEPT else []
    for name, content in ((b"EXIF", said.exif()), (b"XMP ", said.xmp)):
        parts += [name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)] if content else []
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


# The others


def _tells(image: Image.Image, kind: str) -> bool:
    if kind == "BMP":
        return False
    if kind == "TIFF":
        return not set(image.tag_v2) <= TIFF_KEPT  # type: ignore[attr-defined]  # of a TIFF
    return bool({"exif", "xmp", "comment", "XML:com.adobe.xmp"} & {key for key, value in image.info.items() if value})


def _blank(data: bytes, image: Image.Image) -> bytes:
    """The same file with its EXIF and XMP overwritten where they stand; nothing where they are not found."""
    for key, empty, fill in (("exif", EMPTY_TIFF, b"\0"), ("xmp", b"", b" ")):
        text = image.info.get(key) or b""
        text = text.encode() if isinstance(text, str) else text.removeprefix(b"Exif\0\0")
        if not text:
            continue
        if len(text) < len(empty) or data.count(text) != 1:
            return b""
        data = data.replace(text, empty + fill * (len(text) - len(empty)))
    return data
