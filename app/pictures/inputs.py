"""What a request takes from files: references and masks with their pixels, LoRAs; also those that were recorded."""

import contextlib
import dataclasses
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mlx_model.errors import RequestError, say_reason
from mlx_model.request import LEAST_CROP, Lora, Mask, Reference, Request
from mlx_model.store.folder import sha256_of

from .images import open_mask, open_picture
from .kinds import read_bytes

ADAPTER = re.compile(r"lora|lokr|loha|hada|dora|oft|alpha|diff|magnitude", re.IGNORECASE)
OTHERS = {"lora_A": "lora_B", "lora_down": "lora_up", "lora.down": "lora.up"}  # what a layer's input goes through first
DOWN = re.compile(r"lora_A|lora[_.]down")
Crop = tuple[int, int, int, int]


def load_reference(
    path: str | Path, notes: list[str], name: str = "", role: str = "", crop: Crop | None = None
) -> Reference:
    """Open one picture; its absolute path and the sha256 of exactly the bytes that were decoded are recorded.

    `name` is what a prompt may call it, the file's name without extension if not given, unless that is
    its hash; of `crop` see Reference. Raises RequestError.
    """
    path = Path(path)
    data = read_bytes(path)
    pixels = cut(open_picture(path, notes, data), crop, path)
    digest = hashlib.sha256(data).hexdigest()
    own = "" if path.stem == digest else path.stem  # a picture of a board: nobody calls it that
    return Reference(str(path.absolute()), name or own, role, digest, pixels, crop)


def cut(pixels: np.ndarray, crop: Crop | None, path: Path) -> np.ndarray:
    """The part of a picture (H, W, 3) that is used. Raises RequestError where that is not inside it."""
    if crop is None:
        return pixels
    left, top, right, bottom = crop
    height, width = pixels.shape[:2]
    inside = 0 <= left < right <= width and 0 <= top < bottom <= height
    if not inside or min(right - left, bottom - top) < min(LEAST_CROP, width, height):
        hint = f"The picture is {width}x{height}; a part has {LEAST_CROP} pixels a side at least."
        raise RequestError(f"The crop {crop} does not fit {path}.", hint)
    return pixels[top:bottom, left:right]


def pixels_of(reference: Reference) -> np.ndarray:
    """(H, W, 3) uint8 of a reference that was loaded."""
    assert reference.pixels is not None
    return reference.pixels


def load_mask(path: str | Path, like: np.ndarray) -> Mask:
    """Open a mask for the picture `like` (H, W, 3); another size of the same shape is scaled.

    Raises RequestError where the shapes differ or the mask marks nothing.
    """
    path = Path(path)
    data = read_bytes(path)
    pixels = _fit(path, open_mask(path, data), like.shape[:2])
    if not pixels.any():
        raise RequestError(f"The mask {path} marks nothing.", "Paint the parts to change white.")
    return Mask(str(path.absolute()), hashlib.sha256(data).hexdigest(), pixels)


def _fit(path: Path, mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """`mask` at `shape` (H, W); half a pixel of rounding in the aspect is let through."""
    if mask.shape == shape:
        return mask
    (height, width), (rows, columns) = mask.shape, shape
    if abs(width * rows - height * columns) > max(width, height, rows, columns):
        sizes = f"{width}x{height}, the picture is {columns}x{rows}"
        raise RequestError(f"The mask {path} has another shape: {sizes}.", "Paint it on a copy of the picture.")
    from PIL import Image

    scaled = Image.fromarray(mask).resize((columns, rows), Image.Resampling.BILINEAR)
    return np.clip(np.asarray(scaled, dtype=np.float32), 0.0, 1.0)


def load_lora(text: str, find: Callable[[str], Path | None] = lambda _: None) -> Lora:
    """PATH or PATH:SCALE, with the file's sha256. What follows the last colon is a scale unless such a file exists.

    `find` gives the file of a name, where there is no file of that path. Raises RequestError where there is none.
    """
    path, scale = Path(text).expanduser(), 1.0
    head, colon, tail = text.rpartition(":")
    if colon and not os.path.isfile(path) and not find(text):
        with contextlib.suppress(ValueError):  # a colon in the name of a missing file
            path, scale, text = Path(head).expanduser(), float(tail), head
    if not os.path.isfile(path):
        path = find(text) or path
    if not os.path.isfile(path):
        raise RequestError(
            f"There is no LoRA at {path}.",
            "Give a file or a name in the library, and perhaps a scale: style.safetensors:0.8.",
        )
    check_adapter(path)
    return Lora(str(path.absolute()), scale, _hash(path))


def check_adapter(path: Path) -> None:
    """Raises RequestError where the header alone says that the file is no LoRA: to hash ten gigabytes takes a minute.

    Whether it fits a model is told when it is read.
    """
    from safetensors import SafetensorError, safe_open

    from mlx_model.foreign import find_excess, find_page

    try:
        if page := find_page(path):
            raise RequestError(*page)
        with safe_open(str(path), "np") as opened:
            shapes = {name: opened.get_slice(name).get_shape() for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        why = f"{path} is not a sound safetensors file: {say_reason(error)}."
        raise RequestError(why, "Download it again.") from error
    if excess := find_excess(shapes):
        raise RequestError(f"{path} can't be a LoRA: {excess}.", "Download it again.")
    if not any(ADAPTER.search(name) for name in shapes):
        some = next(iter(shapes), "")[:80]
        what = f"it holds whole weights ({some})" if some else "it is empty"
        raise RequestError(f"{path} is no LoRA: {what}.", "A model is given with -m, once it is converted.")
    for name, shape in shapes.items():
        up = shapes.get(DOWN.sub(_name_other, name)) if DOWN.search(name) and len(shape) == 2 else None
        if up and len(up) == 2 and shape[0] > max(shape[1], up[0]):
            message = f"{path} can't be a LoRA: {name[:80]} has a rank of {shape[0]} for a layer of {up[0]}x{shape[1]}."
            raise RequestError(message, "Download it again.")


def _name_other(found: re.Match) -> str:
    return OTHERS[found[0]]


def load(request: Request, notes: list[str]) -> Request:
    """`request` with the pixels of its pictures, opened at their paths; a recorded sha256 must be theirs.

    Raises RequestError.
    """
    references = tuple(load_reference(one.path, notes, one.name, one.role, one.crop) for one in request.references)
    mask = load_mask(request.mask.path, pixels_of(references[0])) if request.mask and references else request.mask
    for given, opened in zip((*request.references, request.mask), (*references, mask), strict=True):
        if given and opened and given.sha256 not in ("", opened.sha256):
            raise RequestError(f"{given.path} is damaged: it is not the picture it was.", "Add the picture again.")
    return dataclasses.replace(request, references=references, mask=mask)


def reload(request: Request, beside: Path, notes: list[str]) -> Request:
    """`request` with the pixels of its recorded pictures, found at their paths or next to `beside`.

    Raises RequestError where a picture is missing or its sha256 is not the recorded one.
    """
    references = tuple(_again(reference, beside, notes) for reference in request.references)
    mask = request.mask
    if mask and references:
        found = _find(mask.path, mask.sha256, beside)
        mask = dataclasses.replace(load_mask(found, pixels_of(references[0])), path=str(found))
    return dataclasses.replace(request, references=references, mask=mask)


def _hash(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise RequestError(f"{path} can't be read: {error.strerror}.") from error


def reload_lora(recorded: Lora, beside: Path, find: Callable[[str], Path | None] = lambda _: None) -> Lora:
    """The recorded file, found at its path, next to `beside`, or in the library by its name, which is all that a take
    of a board says of it. `find`: see load_lora. Raises RequestError where it is gone or changed."""
    kept = find(Path(recorded.path).name)
    found = _find(recorded.path, recorded.sha256, beside, check_adapter, (kept,) if kept else ())
    return dataclasses.replace(recorded, path=str(found))


def _again(recorded: Reference, beside: Path, notes: list[str]) -> Reference:
    found = _find(recorded.path, recorded.sha256, beside)
    return load_reference(found, notes, recorded.name, recorded.role, recorded.crop)


def _find(
    path: str, sha256: str, beside: Path, check: Callable[[Path], object] | None = None, further: tuple[Path, ...] = ()
) -> Path:
    """Where the recorded file is now. Raises RequestError."""
    places = [Path(path), beside.parent / Path(path).name, *further]
    there = [place for place in places if os.path.isfile(place)]  # is_file raises for a name that is too long
    if not there:
        raise RequestError(f"{path} is no longer there.", f"Put it back, or next to {beside.name}, and try again.")
    for place in there:
        if check:
            check(place)
        if _hash(place) == sha256:
            return place
    raise RequestError(
        f"{there[0]} has changed since {beside.name} was made.", f"Put the original next to {beside.name}."
    )
