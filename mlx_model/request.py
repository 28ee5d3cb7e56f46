"""One request for every run: text to image, edit, references, mask, strength. Plain data that goes through JSON."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import Advice, Hint, RequestError, say_reason
from .events import LOCAL
from .geometry import MAX_PIXELS, Size, reference_size
from .specs import ModelSpec

if TYPE_CHECKING:
    import numpy as np

SIDES = re.compile(r"(\d{1,5})\s*[xX×*]\s*(\d{1,5})")
SHAPE = re.compile(r"(\d{1,4}(?:\.\d{1,4})?)\s*:\s*(\d{1,4}(?:\.\d{1,4})?)")
MAX_SEED = 2**64 - 1
MAX_STEPS = 200
MAX_SCALE = 100  # of a LoRA; past that numbers overflow
MAX_SIDE = 8192
LEAST_SEEN = 128 * 128  # pixels of a reference
MOST_FILES = 200  # pictures and LoRAs of a request that is read: each is opened before a model is asked
LEAST_CROP = 64  # pixels a side: as small as a picture may be
MAX_TEXT = 100_000  # characters of a prompt: far beyond what any model reads
KINDS: dict[str, tuple[type, ...]] = {  # what JSON may hold for a field that is declared so
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "float": (float, int),
    "str | None": (str, type(None)),
    "int | None": (int, type(None)),
    "float | None": (float, int, type(None)),
}
T = TypeVar("T")
SURROGATE = re.compile("[\ud800-\udfff]")
COLOURFUL = 8  # mean distance of the largest from the smallest of red, green and blue: more is no depth map


def demand(value: T | None) -> T:
    """A field that a checked request with its pixels has. Raises ValueError where it has none yet."""
    if value is None:
        raise ValueError("The request is not checked yet, or its pixels are missing.")
    return value


@dataclass(frozen=True)
class Reference:
    """A picture that the model looks at; `pixels` (H, W, 3) uint8 sRGB is filled by whoever can open the file."""

    path: str = ""
    name: str = ""
    role: str = ""
    sha256: str = ""  # of the whole file
    pixels: np.ndarray | None = field(default=None, repr=False, compare=False, metadata=LOCAL)
    crop: tuple[int, int, int, int] | None = None  # left, top, right, bottom: the part of the file that is used


@dataclass(frozen=True)
class Mask:
    """Where to repaint; `pixels` (H, W) float32 in [0, 1], 1 = repaint, as large as the first reference."""

    path: str = ""
    sha256: str = ""
    pixels: np.ndarray | None = field(default=None, repr=False, compare=False, metadata=LOCAL)


@dataclass(frozen=True)
class Lora:
    """An adapter file and how strongly it counts; with `sha256`, a file of another content is refused."""

    path: str
    scale: float = 1.0
    sha256: str = ""


@dataclass(frozen=True)
class Request:
    """Everything that decides the result; None means the model's own default (`check` fills it in)."""

    model: str
    prompt: str = ""
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    seed: int = 0
    negative: str = ""
    references: tuple[Reference, ...] = ()
    mask: Mask | None = None
    outpaint: tuple[int, int, int, int] | None = None  # new ground in pixels: left, top, right, bottom
    ready_made: bool = False  # for models of edges: the picture is an edge map, not a photo to take edges from
    strength: float | None = None
    loras: tuple[Lora, ...] = ()
    dtype: str | None = None
    label: int | None = None
    noise: str | None = None
    sampler: str | None = None
    reference_size: int | None = None  # pixels that a reference is looked at with, at most; None: as the model does
    region: bool = False  # only what a mask repaints is computed, with a rim: see run/masked.py, approximate
    step_cache: float | None = None  # see run/step_cache.py: approximate, None is exact
    enlarge: int | None = None  # how many times the picture becomes as wide and as high: see enlarging.py
    own_words: str = ""  # the artist's, where the prompt was written out of them: not read by the model

    @property
    def size(self) -> Size:
        """Of a checked request. Raises ValueError where it has none yet."""
        return Size(demand(self.width), demand(self.height))

    @property
    def repaints(self) -> bool:
        """Whether a picture is kept but for a part: under a mask, or new ground around it."""
        return self.mask is not None or self.outpaint is not None

    def to_json(self) -> str:
        """Without pixels. Reversed by from_json. Always valid UTF-8: a file's name need not be."""
        text = json.dumps(_plain(self), ensure_ascii=False)
        return SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        shown = [f for f in dataclasses.fields(value) if not f.metadata.get("local")]
        return {f.name: _plain(getattr(value, f.name)) for f in shown}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def from_json(text: str) -> Request:
    """Inverse of Request.to_json. Raises RequestError for text that is no request."""
    from .foreign import parse_json

    try:
        values = parse_json(text)
        if sum(len(values.get(name, ())) for name in ("references", "loras")) > MOST_FILES:
            raise ValueError("it names files without end")
        values["references"] = tuple(_read_reference(item) for item in values.get("references", ()))
        values["loras"] = tuple(Lora(**item) for item in values.get("loras", ()))
        values["mask"] = Mask(**values["mask"]) if values.get("mask") else None
        values["outpaint"] = tuple(values["outpaint"]) if values.get("outpaint") else None
        if values["references"]:  # where nothing is recorded it was made when references were seen as large as can be
            values.setdefault("reference_size", MAX_PIXELS)
        request = Request(**values)
        for part in (request, *request.references, *request.loras, *([request.mask] if request.mask else [])):
            _check_kinds(part)
        return request
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise RequestError(f"This is not a request of Flux Local: {say_reason(error)}.") from error


def _read_reference(item: dict[str, Any]) -> Reference:
    return Reference(**{**item, "crop": tuple(item["crop"]) if item.get("crop") else None})


def _check_kinds(part: Any) -> None:
    """Raises TypeError where a field holds another kind of value than it is declared with: JSON may hold any."""
    for declared in dataclasses.fields(part):
        value = getattr(part, declared.name)
        if declared.name in ("outpaint", "crop") and value is not None:
            fits = len(value) == 4 and all(type(side) is int for side in value)
        elif declared.metadata.get("local"):
            fits = value is None
        else:
            fits = type(value) in KINDS.get(str(declared.type), (type(value),))
        if not fits:
            raise TypeError(f"{declared.name} can't be {str(value)[:60]!r}")


def check(request: Request, spec: ModelSpec) -> Request:
    """The same request with the model's defaults filled in, and boxes in the prompt in the form it was trained on.

    Raises RequestError where the model can't do it.
    """
    if request.enlarge is not None:
        return _check_enlarged(request, spec)
    _check_text(request, spec)
    _check_pictures(request, spec)
    spec = spec.limit_references(request.reference_size)
    _check_shapes(request, spec)
    _check_mask(request, spec)
    _check_control(request, spec)
    _check_numbers(request, spec)
    width, height = _size(request, spec)
    steps = spec.steps if request.steps is None else request.steps
    if request.region or request.step_cache is not None:
        from .shortcuts import check_shortcuts  # of few requests

        check_shortcuts(spec, steps, request.step_cache, request.region, request.repaints)
    guidance = spec.guidance if request.guidance is None else float(request.guidance)
    sampler = request.sampler or next(iter(spec.samplers), None)
    prompt = request.prompt
    if spec.boxes:
        from .boxes import check_boxes  # of few models

        prompt = check_boxes(prompt, len(request.references))
    filled: dict[str, Any] = {
        "prompt": prompt, "width": width, "height": height, "steps": steps, "guidance": guidance, "sampler": sampler,
    }  # fmt: skip
    return dataclasses.replace(request, **filled)


def _check_enlarged(request: Request, spec: ModelSpec) -> Request:
    """The size, and what a tile is made with."""
    from . import enlarging  # few requests need it

    if request.enlarge not in enlarging.FACTORS:
        _fail(f"A picture can't be enlarged {request.enlarge} times.", "Choose 2 or 4.")
    if len(request.references) != 1 or request.repaints:
        _fail("Enlarging takes one whole picture, without a mask.", "Leave the rest out.")
    size = _size_enlarged(request)
    if max(size) > MAX_SIDE:
        _fail(f"{size} would be too large: a side ends at {MAX_SIDE} pixels.", "Enlarge it less.")
    request = dataclasses.replace(request, width=size.width, height=size.height)
    if enlarging.find_limit(spec, size):
        return request
    part = dataclasses.replace(request, enlarge=None, references=(Reference(),), width=None, height=None)
    steps, guidance = request.steps or enlarging.count_steps(spec), check(part, spec).guidance
    return dataclasses.replace(request, steps=steps, guidance=guidance, strength=request.strength or enlarging.STRENGTH)


def _size_enlarged(request: Request) -> Size:
    """By the picture's own size where its pixels are there, else as the request says."""
    asked, pixels = (request.width, request.height), request.references[0].pixels
    size = request.size if pixels is None else Size(*(side * demand(request.enlarge) for side in Size.of(pixels)))
    if asked not in ((None, None), size):
        _fail("The size of an enlarged picture is its own, twice or four times.", _leave_out("size"))
    return size


def _fail(message: str, hint: Hint = "") -> None:
    raise RequestError(message, hint)


def _leave_out(setting: str) -> Advice:
    return Advice("leave_out", {"setting": setting})


def _check_text(request: Request, spec: ModelSpec) -> None:
    if SURROGATE.search("".join(texts := (request.prompt, request.negative, request.own_words))):
        _fail("The prompt holds characters that are no text.", "Type it again, in a terminal that is set to UTF-8.")
    if max(map(len, texts)) > MAX_TEXT:
        _fail(f"The prompt has more than {MAX_TEXT} characters.", "Say it shorter.")
    if spec.takes_text and spec.needs_prompt and not request.prompt.strip():
        _fail("The prompt is empty.", "Say what the picture should show.")
    if not spec.takes_text and (request.prompt.strip() or request.negative):
        _fail(f"{spec.subject} takes no words.", Advice("name_class", {"last": str(spec.classes - 1)}))
    if spec.classes and (request.label is None or not 0 <= request.label < spec.classes):
        _fail(f"{spec.subject} needs a class from 0 to {spec.classes - 1}.", Advice("choose_class"))
    if request.label is not None and not spec.classes:
        _fail(f"{spec.subject} has no classes.", "Say in words what the picture should show.")
    if request.sampler is not None and request.sampler not in spec.samplers:
        known = ", ".join(spec.samplers)
        _fail(f"{spec.subject} has no sampler {request.sampler!r}.", f"It has: {known}." if known else "Leave it out.")
    if request.negative and spec.guidance_kind != "cfg":
        _fail(f"{spec.subject} takes no negative prompt.", "Only base models do; say what you want instead.")


def _check_pictures(request: Request, spec: ModelSpec) -> None:
    count = len(request.references)
    if count and not spec.max_references:
        _fail(f"{spec.subject} can't edit: it takes no pictures.", Advice("choose_model_for_edits"))
    if count > spec.max_references:
        _fail(f"{count} references are too many: {spec.called} takes up to {spec.max_references}.", "Leave some out.")
    if request.reference_size is not None and not spec.takes_reference_size:
        _fail(f"{spec.subject} looks at pictures at sizes of its own.", _leave_out("reference-size"))
    if request.reference_size is not None and not LEAST_SEEN <= request.reference_size <= MAX_PIXELS:
        _fail(f"References can't be seen at {request.reference_size} pixels.", f"From {LEAST_SEEN} to {MAX_PIXELS}.")
    if spec.needs_picture and not count:
        _fail(f"{spec.subject} needs a picture to work from.", Advice("give_picture"))
    if request.strength is not None and not count:
        _fail("Strength needs a picture to start from.", "Give the picture first.")
    if request.strength is not None and not 0 < request.strength <= 1:
        _fail(f"Strength {request.strength} is out of range.", "It goes from just above 0 (keep) to 1 (repaint).")
    if request.strength is not None and spec.pictures not in ("tokens", "erased"):
        _fail(f"{spec.subject} does not start from its picture, so it takes no strength.", _leave_out("strength"))


def _check_shapes(request: Request, spec: ModelSpec) -> None:
    """What the run would refuse later, once the text has been read."""
    shown = [reference.pixels for reference in request.references if reference.pixels is not None]
    alone = len(request.references) == 1
    if spec.pictures == "tokens" and not (alone and (spec.preferred_sizes or spec.keeps_whole)):
        for pixels in shown:
            reference_size(Size.of(pixels), spec.reference_pixels[0 if alone else 1], spec.size_multiple)


def _check_mask(request: Request, spec: ModelSpec) -> None:
    what = "A mask" if request.mask else "Outpainting"
    if request.outpaint is not None and (min(request.outpaint) < 0 or not any(request.outpaint)):
        _fail(f"Outpainting by {request.outpaint} pixels adds nothing.", "Say left, top, right, bottom: 0,0,256,0.")
    if request.repaints and not request.references:
        _fail(f"{what} needs a picture to repaint.", "Give the picture first.")
    if request.repaints and not spec.mask:
        _fail(f"{spec.subject} can't repaint under a mask.", Advice("choose_model_for_masks"))
    if spec.pictures == "erased" and not request.repaints:
        _fail(f"{spec.subject} needs to know where to paint.", Advice("where_to_paint"))
    if request.outpaint and request.strength is not None:
        _fail("Outpainting takes no strength: there is nothing to keep on new ground.", _leave_out("strength"))


def _check_control(request: Request, spec: ModelSpec) -> None:
    if request.ready_made and spec.pictures != "edges":
        _fail(f"{spec.subject} takes no edge map.", _leave_out("ready-made"))
    pixels = request.references[0].pixels if request.references else None
    if spec.pictures == "depth" and pixels is not None and is_in_colour(pixels):
        _fail(f"{spec.subject} takes a depth map, and this picture is in colour.", Advice("add_depth"))


def is_in_colour(pixels: np.ndarray) -> bool:
    return bool((pixels.max(axis=2).astype(int) - pixels.min(axis=2)).mean() > COLOURFUL)  # so it is no depth map


def _check_numbers(request: Request, spec: ModelSpec) -> None:
    if request.steps is not None and not 1 <= request.steps <= MAX_STEPS:
        _fail(
            f"{request.steps} steps are out of range.",
            f"Choose 1 to {MAX_STEPS}; {spec.called} is made for {spec.steps}.",
        )
    if request.guidance is not None and not (math.isfinite(request.guidance) and 0 <= request.guidance <= 100):
        _fail(f"Guidance {request.guidance} is out of range.", "Choose 0 to 100.")
    if request.guidance not in (None, 1, spec.guidance) and spec.guidance_kind == "none":
        _fail(f"{spec.subject} has no guidance to set.", _leave_out("guidance"))
    for lora in request.loras:
        if not abs(lora.scale) <= MAX_SCALE:  # nan too
            _fail(f"{lora.scale} is no scale for {lora.path}.", "Give a number such as 0.8.")
    if not 0 <= request.seed <= MAX_SEED:
        _fail(f"Seed {request.seed} is out of range.", "Choose 0 to 2^64 - 1.")


def _size(request: Request, spec: ModelSpec) -> Size:
    """The size asked for, else the picture's own (capped to the model's pixels), else the default."""
    own, asked = _own_size(request, spec), (request.width, request.height)
    if None in asked and asked != (None, None):
        _fail("A size needs both sides.", Advice("choose_size"))
    if request.outpaint and asked not in ((None, None), own):
        _fail("The size of an outpainted picture is its own and what is added.", _leave_out("size"))
    size = own if request.width is None or request.height is None else Size(request.width, request.height)
    for side in size:
        fits = spec.min_side <= side <= MAX_SIDE and (size == own or side % spec.size_multiple == 0)
        if not fits:
            _fail(
                f"{size} is not a size that {spec.called} can make.",
                f"Both sides must be multiples of {spec.size_multiple} from {spec.min_side} to {MAX_SIDE}.",
            )
    if size.area > spec.max_pixels:
        _fail(
            f"{size} is larger than {spec.called} can make.",
            Advice("stay_under_size", {"megapixels": f"{spec.max_pixels / 1e6:.1f}", "size": str(spec.size)}),
        )
    return size


def _own_size(request: Request, spec: ModelSpec) -> Size:
    """The size where none is asked for. Where a part of a picture is kept it stays what it is, to the pixel."""
    pixels = request.references[0].pixels if request.references else None
    if pixels is None:
        return spec.size
    size = Size.of(pixels)
    if request.outpaint:
        left, top, right, bottom = request.outpaint
        return Size(size.width + left + right, size.height + top + bottom)
    small = size.area <= spec.output_pixels and min(size) >= spec.min_side
    if request.mask and small and not spec.preferred_sizes:
        return size
    return spec.output_size(pixels, len(request.references) == 1)


# What people write: 1024x768 or a shape such as 16:9


def parse_size(text: str, spec: ModelSpec) -> Size:
    """A shape gives the largest such size within the model's default pixel count.

    Raises RequestError for anything else, and for shapes beyond 8:1; whether the model can make a size of given sides
    is for request.check to say.
    """
    text = text.strip()
    if sides := SIDES.fullmatch(text):
        return Size(int(sides[1]), int(sides[2]))
    if shape := SHAPE.fullmatch(text):
        return size_of_shape(float(shape[1]), float(shape[2]), spec)
    raise RequestError(f"{text!r} is not a size.", "Say it as 1024x768, or as a shape such as 16:9.")


def size_of_shape(across: float, down: float, spec: ModelSpec) -> Size:
    """The largest size of this shape in the model's default pixel count. Raises RequestError past 8:1."""
    if not (across and down) or max(across, down) > 8 * min(across, down):
        raise RequestError(f"{across:g}:{down:g} is too long and thin.", "Shapes go from 8:1 to 1:8.")
    budget, multiple = spec.size.area, spec.size_multiple
    width = math.sqrt(budget * across / down)
    sides = (width, width * down / across)
    # The tiny addition keeps 1:1 of 1024x1024 from falling to 1008 through rounding.
    return Size(*(max(spec.min_side, int(side + 1e-6) // multiple * multiple) for side in sides))
