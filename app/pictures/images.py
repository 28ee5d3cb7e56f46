"""Opening what artists have, and saving what the models make.

Opening decides by content, never by extension, and gives 8-bit sRGB: EXIF orientation applied, colour profile
converted, 16-bit and float scaled, alpha over white. Every refusal is a RequestError that names the file.
"""

import contextlib
import io
import threading
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mlx_model.errors import Advice, RequestError, say_reason
from mlx_model.files import write_new
from mlx_model.geometry import Size

from . import metadata
from .kinds import HEIF, KEPT, SAVED, check_sequence, read_bytes, recognise

if TYPE_CHECKING:
    from mlx_model.request import Request

from PIL import ImageCms

MAX_PROFILE = 16 * 1024**2
PROFILE_SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK"}
DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")


def to_srgb(image: Image.Image, notes: list[str], name: str = "the picture") -> Image.Image:
    """An RGB image in sRGB, alpha over white. Adds to `notes` what was ignored or guessed."""
    alpha, opaque = alpha_of(image), _to_opaque(image, notes, name)
    if alpha is None:
        return opaque
    if alpha.min() < 255:
        notes.append(f"{name} is transparent in parts: they are white here.")
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(opaque, mask=Image.fromarray(alpha))
    return white


def _to_opaque(image: Image.Image, notes: list[str], name: str) -> Image.Image:
    """The same without its transparency, whatever that hides."""
    return _convert_profile(_plain(image, notes, name), image.info.get("icc_profile"), notes, name)


def to_grey(image: Image.Image) -> Image.Image:
    """8-bit luminance without colour management, for masks: their numbers are weights, not colours."""
    return _plain(image, [], "").convert("L")


def alpha_of(image: Image.Image) -> np.ndarray | None:
    """(H, W) uint8 where the image has transparency of any kind, else None."""
    if image.mode in TRANSPARENT:
        straight = image.convert("RGBA") if image.mode != "La" else image.convert("LA")
        return np.asarray(straight.getchannel("A"))
    if "transparency" not in image.info:
        return None
    if image.mode in DEEP:  # a PNG of 16-bit grey names one grey as transparent
        return np.where(np.asarray(image) == image.info["transparency"], 0, 255).astype(np.uint8)
    return np.asarray(image.convert("RGBA").getchannel("A"))


def _plain(image: Image.Image, notes: list[str], name: str) -> Image.Image:
    """The colour channels at 8 bits: mode L, RGB, CMYK or LAB."""
    if image.mode in DEEP:
        return Image.fromarray(_scale(np.asarray(image), image.mode, notes, name))
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image
    if image.mode in ("1", "LA"):
        return image.convert("L")
    if image.mode == "La":
        return image.convert("LA").convert("L")
    if image.mode in ("P", "PA", "RGBa"):
        image = image.convert("RGBA")
    return image.convert("RGB")


def _scale(values: np.ndarray, mode: str, notes: list[str], name: str) -> np.ndarray:
    """Deep grey to uint8. 16 bits: / 257. Floats and 32-bit integers: by the smallest range that holds the values.

    Floats up to 1 are fractions; whole numbers up to 255 or 65535 are 8 or 16 bits; else black to the brightest value.
    """
    if mode.startswith("I;16"):
        deep: np.ndarray = np.rint(values.astype(np.float32) / 257.0)
        return deep.astype(np.uint8)
    values = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = min(0.0, float(values.min())), float(values.max())
    top = high if low < 0 else _white(values, high, mode == "F")
    if low < 0 or top not in (1.0, 255.0, 65535.0):
        notes.append(f"{name} holds values from {low:g} to {high:g}; they were scaled to black and white.")
    return np.rint((values - low) * (255.0 / max(top - low, 1e-12))).astype(np.uint8)


def _white(values: np.ndarray, high: float, fractions: bool) -> float:
    if fractions and high <= 1.0:
        return 1.0
    whole = not fractions or bool(np.all(values == np.rint(values)))
    return next((limit for limit in (255.0, 65535.0) if whole and high <= limit), high)


def _convert_profile(image: Image.Image, profile: bytes | None, notes: list[str], name: str) -> Image.Image:
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        made = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        assert made is not None  # as it would be where the image itself were changed
        return made
    if profile and (converted := _through(image, profile, notes, name)):
        return converted
    return image.convert("RGB")


def _through(image: Image.Image, profile: bytes, notes: list[str], name: str) -> Image.Image | None:
    """The image converted to sRGB, or None and a note where the profile is broken or for other channels."""
    try:
        if len(profile) > MAX_PROFILE:
            raise ValueError("it is larger than 16 MB")
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if opened.profile.xcolor_space == "RGB " and image.mode == "L":
            image = image.convert("RGB")
        if opened.profile.xcolor_space != PROFILE_SPACES[image.mode]:
            raise ValueError(f"it is for {opened.profile.xcolor_space.strip()}, the picture is {image.mode}")
        return ImageCms.profileToProfile(
            image,
            opened,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        notes.append(f"The colour profile of {name} was ignored: {say_reason(error)}.")
        return None


MAX_PIXELS = 100_000_000
MIN_SIDE = 64
ORIENTATION = 0x0112  # EXIF's tag
SMALLER = Image.Resampling.BILINEAR  # over all pixels that fall into one; bicubic takes twice as long
SETTINGS: dict[str, dict[str, Any]] = {
    "PNG": {"compress_level": 6},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95, "method": 4},
    "TIFF": {"compression": "tiff_adobe_deflate"},
    "AVIF": {"quality": 90, "subsampling": "4:4:4"},
}
_WARNINGS = threading.Lock()  # warnings.catch_warnings is not safe with threads


def open_picture(
    path: str | Path, notes: list[str] | None = None, data: bytes | None = None, least: int = MIN_SIDE
) -> np.ndarray:
    """The picture as (H, W, 3) uint8 sRGB; what the user should know (a broken profile) is added to `notes`.

    `data` are the file's bytes where the caller has them already. Raises RequestError for anything that is not a
    whole picture of a known format from 64 px a side to 100 megapixels.
    """
    path, notes = Path(path), [] if notes is None else notes
    image = _decode(path, data, least, notes=notes)
    with _damage_told(path):
        return np.asarray(to_srgb(image, notes, path.name), dtype=np.uint8)


class Given(NamedTuple):
    """The bytes of a whole picture as they were given, the ending for their kind, and the size that is seen."""

    data: bytes
    ending: str
    size: Size


def inspect(
    path: str | Path, notes: list[str] | None = None, data: bytes | None = None, least: int = MIN_SIDE
) -> Given:
    """The file's own bytes, known to open as open_picture opens them; `least` pixels a side at least.

    Raises RequestError as open_picture does.
    """
    path = Path(path)
    data, notes = read_bytes(path) if data is None else data, [] if notes is None else notes
    image = _decode(path, data, least, notes=notes)
    with _damage_told(path):
        _to_opaque(image, notes, path.name)
        alpha = alpha_of(image)
    if alpha is not None and alpha.min() < 255:
        notes.append(f"{path.name} is transparent in parts: they stay so where it is placed, and are white elsewhere.")
    return Given(data, KEPT[recognise(path, data)], Size(*image.size))


def open_small(path: str | Path, most: int) -> np.ndarray:
    """The picture as open_picture gives it, of any size, no side longer than `most` pixels (0: as it is).

    A JPEG is decoded at an eighth to a half of its size where that suffices. Raises RequestError.
    """
    path = Path(path)
    image = _decode(path, None, 1, most)
    with _damage_told(path):
        scale = most / max(image.size) if most else 1.0
        size = [max(1, round(side * scale)) for side in image.size]
        early = scale < 1 and image.mode in ("RGB", "L", "CMYK")  # others only scale well once they are colours
        image = image.resize(size, SMALLER, reducing_gap=2.0) if early else image
        image = to_srgb(image, [], path.name)
        return np.asarray(image if early or scale >= 1 else image.resize(size, SMALLER), dtype=np.uint8)


def find_frame(data: bytes) -> Image.Image:
    """The first frame as it is stored, still turned, with all that the file says. Raises RequestError."""
    path = Path("The picture")
    with _damage_told(path):
        image = _open(data, recognise(path, data))
        if image.format == "PNG":
            image.load()  # it may say more behind its pixels
        return image


def open_layer(path: str | Path, data: bytes | None = None) -> np.ndarray:
    """A picture that lies over others: (H, W, 4) uint8, its own sRGB colours and its alpha, opaque where it has none.

    Raises RequestError as open_picture does.
    """
    path = Path(path)
    image = _decode(path, data)
    with _damage_told(path):
        alpha = alpha_of(image)
        colour = np.asarray(_to_opaque(image, [], path.name), dtype=np.uint8)
        opaque = np.full(colour.shape[:2], 255, np.uint8)
        return np.dstack([colour, opaque if alpha is None else alpha])


def open_mask(path: str | Path, data: bytes | None = None) -> np.ndarray:
    """A mask as (H, W) float32 in [0, 1], 1 = repaint: white of a grey picture, or the paint of a transparent one.

    Where the file has transparency that is used, opaque is 1 and transparent 0, whatever the colour.
    Raises RequestError as open_picture does.
    """
    path = Path(path)
    image = _decode(path, data)
    with _damage_told(path):
        alpha = alpha_of(image)
        if alpha is not None and alpha.min() < 255:
            return alpha.astype(np.float32) / 255.0
        return np.asarray(to_grey(image), dtype=np.float32) / 255.0


def save_picture(
    pixels: np.ndarray,
    path: str | Path,
    request_json: str | None,
    force: bool = False,
    edited: bool | None = None,
    given: Iterable[str] = (),
    inside: Path | None = None,
) -> Path:
    """Write (H, W, 3) uint8 in the format of the extension; the path it got (numbered where the name is taken).

    `request_json` is embedded for read_request; the mark that an AI made the picture always is. `edited` says which
    mark; None looks for references in the request; `given`, `inside`: see write_new. Raises RequestError for an unknown
    extension or a folder that can't be written, DiskFull.
    """
    kind = format_of(Path(path))
    packet = metadata.packet(request_json, metadata.is_edit(request_json) if edited is None else edited)
    extra = metadata.save_options(kind, packet, request_json)
    encoded = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(encoded, kind, **SETTINGS[kind], **extra)
    place = Path(path).absolute()
    return write_new(place, lambda handle: handle.write(encoded.getbuffer()), force, inside=inside, given=given)


def format_of(path: Path) -> str:
    """Pillow's name for the format of `path`'s extension. Raises RequestError for one that can't be written."""
    kind = SAVED.get(path.suffix.lower())
    if kind is None:
        known = ", ".join(SAVED)
        raise RequestError(f"{path.name} has no extension of a picture that can be written.", f"Use one of {known}.")
    return kind


def read_request(path: str | Path) -> "Request":
    """The request that save_picture embedded. Raises RequestError where the file has none or can't be read."""
    from mlx_model.request import from_json

    text = metadata.find_request(_decode(Path(path), None))
    if text is None:
        raise RequestError(f"{path} carries no request of Flux Local.", Advice("save_with_request"))
    return from_json(text)


def _decode(
    path: Path, data: bytes | None, least: int = MIN_SIDE, most: int = 0, notes: list[str] | None = None
) -> Image.Image:
    """Open, check and decode the first frame, upright; with `most` perhaps smaller, no side below it for that.

    `notes` are told of further frames. Raises RequestError.
    """
    data = read_bytes(path) if data is None else data
    kind = recognise(path, data)
    try:
        image = _open(data, kind)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(path) from error
    except Exception as error:
        check_sequence(path, data)
        raise _name_damage(path, error) from error
    _check_size(path, image, least)
    if notes is not None and _has_more(image):
        notes.append(f"{path.name} holds several pictures: only the first was used.")
    with _damage_told(path):
        if most:
            image.draft(None, (most, most))  # Pillow's stub asks for a mode: None keeps the file's
        image.load()
    return _upright(image)


@contextlib.contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """A decoder or colour engine given hostile bytes may raise anything."""
    try:
        yield
    except Exception as error:
        raise _name_damage(path, error) from error


def _open(data: bytes, kind: str) -> Image.Image:
    if kind == HEIF:
        import pi_heif  # type: ignore[import-untyped]  # it ships no types

        pi_heif.register_heif_opener()
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd EXIF and the like is no news; a bomb is
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        Image.MAX_IMAGE_PIXELS = MAX_PIXELS
        return Image.open(io.BytesIO(data), formats=(kind,))


def _has_more(image: Image.Image) -> bool:
    """Whether there are further frames, or pages of the same size; smaller ones are previews."""
    more, size = False, image.size
    with contextlib.suppress(Exception):  # what is damaged behind the first picture is no matter
        if image.format in ("GIF", "PNG", "WEBP", "AVIF", "TIFF", "HEIF") and getattr(image, "is_animated", False):
            image.seek(1)
            more = image.size == size
    with contextlib.suppress(Exception):
        image.seek(0)
    return more


def _upright(image: Image.Image) -> Image.Image:
    """EXIF orientation applied (Pillow's TIFF reader and pi-heif did it while loading and say so in the tag)."""
    try:
        turned = image.getexif().get(ORIENTATION, 1) != 1
        return ImageOps.exif_transpose(image) if turned else image  # which copies it in any case
    except Exception:  # broken EXIF is no reason to refuse the picture
        return image


def _check_size(path: Path, image: Image.Image, least: int) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _too_large(path)
    if min(width, height) < least:
        raise RequestError(f"{path} is too small: {width}x{height}.", f"Each side must have at least {least} pixels.")


def _too_large(path: Path) -> RequestError:
    return RequestError(f"{path} has more than 100 megapixels.", "Save a smaller copy and use that.")


def _name_damage(path: Path, error: Exception) -> RequestError:
    what = "is cut short" if "truncated" in str(error).lower() else "is damaged or not a picture"
    detail = (
        "" if isinstance(error, UnidentifiedImageError) else f" ({say_reason(error)})"
    )  # that one only tells an address
    return RequestError(f"{path} {what}{detail}.", "Open it in a picture program and save it again as PNG.")
