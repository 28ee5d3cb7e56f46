"""Every mode that Pillow decodes to, as 8-bit sRGB. Measured traps: convert("RGB") turns 16-bit grey to white."""

import io

import numpy as np
from PIL import Image, ImageCms

from mlx_model.errors import say_reason

MAX_PROFILE = 16 * 1024**2
PROFILE_SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK"}
DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")


def to_srgb(image: Image.Image, notes: list[str], name: str = "the picture") -> Image.Image:
    """An RGB image in sRGB, alpha over white. Adds to `notes` what was ignored or guessed."""
    alpha = alpha_of(image)
    profile = image.info.get("icc_profile")
    opaque = _convert_profile(_plain(image, notes, name), profile, notes, name)
    if alpha is None:
        return opaque
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(opaque, mask=Image.fromarray(alpha))
    return white


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
