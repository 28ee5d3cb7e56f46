"""From a path to the bytes of a picture: what can't be read, and what is not a picture, is refused by name."""

import os
import stat
from pathlib import Path
from typing import Literal

from mlx_model.errors import RequestError

from ..base.words import IN_FILES

MAX_BYTES = 2 * 1024**3
HEIF = "HEIF"
OPENED = {  # ending -> Pillow's name; which of them a file is, its content says
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jfif": "JPEG", ".jpe": "JPEG", ".webp": "WEBP",
    ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP", ".gif": "GIF", ".avif": "AVIF", ".heic": HEIF, ".heif": HEIF,
}  # fmt: skip
SAVED = {ending: kind for ending, kind in OPENED.items() if kind not in ("BMP", "GIF", HEIF)}
ENDINGS = tuple(OPENED)
NAMES = "PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF or HEIC"
FILTER = f"Pictures ({' '.join(f'*{ending}' for ending in ENDINGS)})"  # of a file dialog
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"mif1"}
SEQUENCE_BRANDS = {b"hevc", b"hevx", b"hevm", b"hevs", b"msf1"}
KEPT = {  # kind -> the ending that a board gives a file of it
    "PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp", "GIF": ".gif", "AVIF": ".avif",
    HEIF: ".heic",
}  # fmt: skip
KNOWN = {  # first bytes of what Pillow reads for us
    b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"II*\x00": "TIFF", b"MM\x00*": "TIFF", b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF", b"BM": "BMP", b"GIF87a": "GIF", b"GIF89a": "GIF",
}  # fmt: skip
AS_PNG = f"Use {NAMES}; export it as PNG."
DEVELOP = "Develop it in a photo program and export it as JPEG or TIFF."
DRAW = "Open it in the program that draws it and export it as PNG, as large as you need it."
FRAME = "Save a frame of it as PNG."
CONVERT = f"Convert it to PNG or JPEG in a picture program; {NAMES} can be used."
RAW_ENDINGS = (
    ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".k25", ".kdc", ".mef", ".mos", ".mrw",
    ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f", ".3fr",
)  # fmt: skip
RAW = "a camera's raw file"
REFUSED = (  # first bytes, what they are, what to do
    (b"%!PS", "PostScript", DRAW),
    (b"\xc5\xd0\xd3\xc6", "an EPS file", DRAW),
    (b"%PDF", "a PDF", DRAW),
    (b"8BPS", "a Photoshop file", AS_PNG),
    (b"8BPB", "a Photoshop file", AS_PNG),
    (b"gimp xcf", "a GIMP file", AS_PNG),
    (b"CSFCHUNK", "a Clip Studio file", AS_PNG),
    (b"\x00\xffKA", "an Affinity file", AS_PNG),
    (b"PDN3", "a Paint.NET file", AS_PNG),
    (b"Paint Shop Pro Image File", "a Paint Shop Pro file", AS_PNG),
    (b"PK\x03\x04", "a zip archive (or a Krita, OpenRaster, Procreate or Office file)", AS_PNG),
    (b"\xff\x0a", "a JPEG XL", CONVERT),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL", CONVERT),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000", CONVERT),
    (b"\xff\x4f\xff\x51", "a JPEG 2000", CONVERT),
    (b"II\xbc", "a JPEG XR", CONVERT),
    (b"\x76\x2f\x31\x01", "an OpenEXR file", AS_PNG),
    (b"#?RADIANCE", "a Radiance HDR file", AS_PNG),
    (b"#?RGBE", "a Radiance HDR file", AS_PNG),
    (b"SIMPLE  =", "a FITS file", AS_PNG),
    (b"SDPX", "a DPX file", AS_PNG),
    (b"XPDS", "a DPX file", AS_PNG),
    (b"DDS ", "a DirectDraw texture", CONVERT),
    (b"qoif", "a QOI picture", CONVERT),
    *((b"P%d\n" % number, "a Netpbm picture", CONVERT) for number in range(1, 8)),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile", DRAW),
    (b"FUJIFILMCCD-RAW", RAW, DEVELOP),
    (b"FOVb", RAW, DEVELOP),
    (b"\x00MRM", RAW, DEVELOP),
    (b"IIU\x00", RAW, DEVELOP),
    (b"IIRO", RAW, DEVELOP),
    (b"IIRS", RAW, DEVELOP),
    (b"MMOR", RAW, DEVELOP),
    (b"II\x1a\x00\x00\x00HEAPCCDR", RAW, DEVELOP),
    (b"\x1aE\xdf\xa3", "a video", FRAME),
    (b"\x00\x00\x01\xba", "a video", FRAME),
    (b"\x00\x00\x01\xb3", "a video", FRAME),
    (b"\x30\x26\xb2\x75", "a video", FRAME),
    (b"FLV\x01", "a video", FRAME),
    (b"\x06\x0e\x2b\x34", "a video", FRAME),
    (b"OggS", "a sound or a video", FRAME),
    (b"ID3", "a sound", ""),
    (b"fLaC", "a sound", ""),
    (b"\x00\x00\x01\x00", "a Windows icon", CONVERT),
    (b"icns", "a macOS icon", CONVERT),
    (b"\x1f\x8b", "a compressed file", "Unpack it first."),
    (b"Rar!", "an archive", "Unpack it first."),
    (b"7z\xbc\xaf", "an archive", "Unpack it first."),
    (b"SQLite", "a database", ""),
)  # fmt: skip
BY_ENDING = {  # what the first bytes don't tell, or not exactly: many are zip archives or PDFs inside
    **dict.fromkeys((".ai", ".ait"), ("an Illustrator drawing", DRAW)), ".cdr": ("a CorelDRAW drawing", DRAW),
    ".svgz": ("a compressed SVG drawing", DRAW), ".emf": ("a Windows metafile", DRAW),
    ".sketch": ("a Sketch document", DRAW), ".fig": ("a Figma document", DRAW), ".xd": ("an Adobe XD document", DRAW),
    ".indd": ("an InDesign document", DRAW), ".swf": ("a Flash film", FRAME), ".fla": ("an Animate document", FRAME),
    ".procreate": ("a Procreate file", AS_PNG), ".kra": ("a Krita file", AS_PNG),
    ".ora": ("an OpenRaster file", AS_PNG),
    ".sai": ("a PaintTool SAI file", AS_PNG), ".sai2": ("a PaintTool SAI file", AS_PNG),
    ".mdp": ("a MediBang file", AS_PNG), ".tvpp": ("a TVPaint project", AS_PNG), ".blend": ("a Blender file", AS_PNG),
    ".tga": ("a Targa picture", CONVERT), ".pcx": ("a PCX picture", CONVERT), ".sgi": ("an SGI picture", CONVERT),
    ".pfm": ("a Netpbm picture", CONVERT), ".cin": ("a Cineon file", AS_PNG), ".tx": ("a texture", CONVERT),
    ".ktx": ("a texture", CONVERT), ".ktx2": ("a texture", CONVERT), ".cur": ("a Windows cursor", CONVERT),
    ".jng": ("a JNG picture", CONVERT), ".mng": ("an MNG animation", FRAME), ".bpg": ("a BPG picture", CONVERT),
    ".flif": ("a FLIF picture", CONVERT), ".jls": ("a JPEG-LS picture", CONVERT), ".xpm": ("an X pixmap", CONVERT),
    ".r3d": ("a video", FRAME), **dict.fromkeys((".docx", ".pptx", ".odt", ".pages", ".key"), ("a document", AS_PNG)),
}  # fmt: skip
RIFF = {b"AVI ": ("a video", FRAME), b"WAVE": ("a sound", "")}
BOXES = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")  # of QuickTime files that begin without `ftyp`
SUBFILE, SUB_IFDS, DNG_VERSION = 254, 330, 50706  # tags of TIFF
MOST_TAGS = 512


def read_bytes(path: Path) -> bytes:
    """The whole file. Raises RequestError where it is missing, empty, no regular file, unreadable or over 2 GiB."""
    try:
        # Not blocking: opening a named pipe would wait for a writer for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            _check_kind(path, os.fstat(descriptor))
            with open(descriptor, "rb", closefd=False) as handle:
                return handle.read(MAX_BYTES)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise _unreadable(path, error) from error


def _check_kind(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise RequestError(f"{path} is a folder.", "Give the picture inside it.")
    if not stat.S_ISREG(status.st_mode):
        raise RequestError(f"{path} is not a file but a pipe, socket or device.", "Save it to a file first.")
    if status.st_size == 0:
        raise RequestError(f"{path} is empty (0 bytes).", "Copy or export it again.")
    if status.st_size > MAX_BYTES:
        raise RequestError(f"{path} is larger than 2 GiB.", "Save a smaller copy and use that.")


def _unreadable(path: Path, error: Exception) -> RequestError:
    if isinstance(error, FileNotFoundError):
        if path.with_name(f".{path.name}.icloud").exists():
            return RequestError(f"{path} is still in iCloud.", f"Download it {IN_FILES} first.")
        return RequestError(f"There is no file {path}.", "Check the name; it may have been moved or deleted.")
    if isinstance(error, IsADirectoryError):
        return RequestError(f"{path} is a folder.", "Give the picture inside it.")
    if isinstance(error, PermissionError):
        return RequestError(f"{path} may not be read.", "Change its permissions, or copy it somewhere else.")
    reason = getattr(error, "strerror", None) or str(error)
    return RequestError(f"{str(path)[:300]!r} can't be read: {reason}.", "Copy it to this computer's disk first.")


def recognise(path: Path, data: bytes) -> str:
    """The kind, as Pillow names it, by the first bytes. Raises RequestError, by name, for what is refused."""
    head = data[:512]
    if head[4:8] == b"ftyp":
        return _iso_media(path, head)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    known = next((kind for magic, kind in KNOWN.items() if head.startswith(magic)), "")
    if known and not (known == "TIFF" and _is_raw(path, data)):
        return known
    name, hint = (RAW, DEVELOP) if known else BY_ENDING.get(path.suffix.lower()) or _name(head)
    what = f"is {name}, which can't be used" if name else "is not a picture that can be used"
    raise RequestError(f"{path} {what}.", hint or AS_PNG)


def _name(head: bytes) -> tuple[str, str]:
    """What is no picture for us, and what to do about it; "" where that is not known."""
    if head[:4] == b"RIFF":
        return RIFF.get(head[8:12], ("", ""))
    if head[4:8] in BOXES or (head[:1] == b"G" and head[188:189] == b"G" and head[376:377] == b"G"):
        return "a video", FRAME
    found = next(((name, hint) for magic, name, hint in REFUSED if head.startswith(magic)), None)
    text = None if found else _textual(head)
    return found or (text or "", DRAW if text == "an SVG drawing" else "")


def _is_raw(path: Path, data: bytes) -> bool:
    """Raw files are TIFF in which a small preview stands first: it would be taken for the picture."""
    tags = _read_tags(data)
    preview = tags.get(SUBFILE, 0) & 1 and SUB_IFDS in tags
    return path.suffix.lower() in RAW_ENDINGS or data[8:10] == b"CR" or DNG_VERSION in tags or bool(preview)


def _read_tags(data: bytes) -> dict[int, int]:
    """The tags of a TIFF's first directory, with their values where these are numbers of 32 or 16 bits."""
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"

    def number(place: int, size: int) -> int:
        return int.from_bytes(data[place : place + size], order)

    start = number(4, 4)
    places = [start + 2 + 12 * one for one in range(min(number(start, 2), MOST_TAGS))]
    return {number(place, 2): number(place + 8, 2 if number(place + 2, 2) == 3 else 4) for place in places}


def _iso_media(path: Path, head: bytes) -> str:
    """The family of HEIC, AVIF and MP4 is told apart by its brands."""
    brands = _list_brands(head)
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    if brands & HEIF_BRANDS:
        return HEIF
    check_sequence(path, head)
    if brands & {b"M4A ", b"M4B "}:
        raise RequestError(f"{path} is a sound, which can't be used.", AS_PNG)
    if b"crx " in brands:
        raise RequestError(f"{path} is {RAW}, which can't be used.", DEVELOP)
    raise RequestError(f"{path} is a video, which can't be used.", FRAME)


def check_sequence(path: Path, data: bytes) -> None:
    """Refuses a HEIC sequence; some have a still picture too, which is used. Raises RequestError."""
    if _list_brands(data[:512]) & SEQUENCE_BRANDS:
        raise RequestError(f"{path} is a HEIC sequence of several pictures, which can't be used.", FRAME)


def _list_brands(head: bytes) -> set[bytes]:
    size = int.from_bytes(head[:4], "big")
    return (
        {head[8:12], *(head[i : i + 4] for i in range(16, min(size, len(head)), 4))} if head[4:8] == b"ftyp" else set()
    )


def _textual(head: bytes) -> str | None:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!--", b"<!doctype")) and b"<svg" in text):
        return "an SVG drawing"
    if text.startswith((b"<html", b"<!doctype html")):
        return "a web page"
    try:
        head[:500].decode("utf-8", "strict" if len(head) < 500 else "ignore")
    except UnicodeDecodeError:
        return None
    printable = sum(byte >= 32 or byte in b"\t\r\n" for byte in head) == len(head)
    return "text" if printable else None
