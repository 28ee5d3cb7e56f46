"""From a path to the bytes of a picture: what can't be read, and what is not a picture, is refused by name."""

import os
import stat
from pathlib import Path

from mlx_model.errors import RequestError

MAX_BYTES = 2 * 1024**3
HEIF = "HEIF"
OPENED = {  # ending -> Pillow's name; which of them a file is, its content says
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP",
    ".gif": "GIF", ".avif": "AVIF", ".heic": HEIF, ".heif": HEIF,
}  # fmt: skip
SAVED = {ending: kind for ending, kind in OPENED.items() if kind not in ("BMP", "GIF", HEIF)}
ENDINGS = tuple(OPENED)
NAMES = "PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF or HEIC"
FILTER = f"Pictures ({' '.join(f'*{ending}' for ending in ENDINGS)})"  # of a file dialog
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
KEPT = {  # kind -> the ending that a board gives a file of it
    "PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp", "GIF": ".gif", "AVIF": ".avif",
    HEIF: ".heic",
}  # fmt: skip
KNOWN = {  # first bytes of what Pillow reads for us
    b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"II*\x00": "TIFF", b"MM\x00*": "TIFF", b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF", b"BM": "BMP", b"GIF87a": "GIF", b"GIF89a": "GIF",
}  # fmt: skip
REFUSED = (
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "an EPS file"),
    (b"%PDF", "a PDF"),
    (b"8BPS", "a Photoshop file"),
    (b"8BPB", "a Photoshop file"),
    (b"gimp xcf", "a GIMP file"),
    (b"PK\x03\x04", "a zip archive (or a Krita, OpenRaster or Office file)"),
    (b"\xff\x0a", "a JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000"),
    (b"\x76\x2f\x31\x01", "an OpenEXR file"),
    (b"#?RADIANCE", "a Radiance HDR file"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"\x00\x00\x01\x00", "a Windows icon"),
    (b"icns", "a macOS icon"),
    (b"\x1f\x8b", "a compressed file"),
    (b"SQLite", "a database"),
)


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
            return RequestError(f"{path} is still in iCloud.", "Download it in Finder first.")
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
    if known:
        return known
    name = next((name for magic, name in REFUSED if head.startswith(magic)), None) or _textual(head)
    what = f"is {name}, which can't be used" if name else "is not a picture that can be used"
    raise RequestError(f"{path} {what}.", f"Use {NAMES}; export it as PNG.")


def _iso_media(path: Path, head: bytes) -> str:
    """The family of HEIC, AVIF and MP4 is told apart by its brands."""
    size = int.from_bytes(head[:4], "big")
    brands = {head[8:12], *(head[i : i + 4] for i in range(16, min(size, len(head)), 4))}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    if brands & HEIF_BRANDS:
        return HEIF
    raise RequestError(f"{path} is a video, which can't be used.", "Save a frame of it as PNG.")


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
