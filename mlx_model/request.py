"""One request for every run: text to image, edit, references, mask, strength. Plain data that goes through JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import RequestError
from .events import LOCAL
from .specs import ModelSpec

if TYPE_CHECKING:
    import numpy as np

MAX_SEED = 2**64 - 1
MAX_STEPS = 200
MAX_SIDE = 8192


@dataclass(frozen=True)
class Reference:
    """A picture that the model looks at; `pixels` (H, W, 3) uint8 sRGB is filled by whoever can open the file."""

    path: str = ""
    name: str = ""
    role: str = ""
    sha256: str = ""
    pixels: np.ndarray | None = field(default=None, repr=False, compare=False, metadata=LOCAL)


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
    outpaint: tuple[int, int, int, int] | None = None
    strength: float | None = None
    loras: tuple[Lora, ...] = ()
    dtype: str | None = None
    label: int | None = None
    noise: str | None = None
    sampler: str | None = None

    def to_json(self) -> str:
        """Without pixels. Reversed by from_json."""
        return json.dumps(_plain(self), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        shown = [f for f in dataclasses.fields(value) if not f.metadata.get("local")]
        return {f.name: _plain(getattr(value, f.name)) for f in shown}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def from_json(text: str) -> Request:
    """Inverse of Request.to_json. Raises RequestError for text that is no request."""
    try:
        values = json.loads(text)
        values["references"] = tuple(Reference(**item) for item in values.get("references", ()))
        values["loras"] = tuple(Lora(**item) for item in values.get("loras", ()))
        values["mask"] = Mask(**values["mask"]) if values.get("mask") else None
        values["outpaint"] = tuple(values["outpaint"]) if values.get("outpaint") else None
        return Request(**values)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise RequestError(f"This is not a request of Flux Local: {error}.") from error


def check(request: Request, spec: ModelSpec) -> Request:
    """The same request with the model's defaults filled in. Raises RequestError where the model can't do it."""
    _check_text(request, spec)
    _check_pictures(request, spec)
    _check_numbers(request, spec)
    if request.outpaint:
        _fail("Outpainting is not built yet.", "Leave it out.")
    width, height = _size(request, spec)
    steps = spec.steps if request.steps is None else request.steps
    guidance = spec.guidance if request.guidance is None else float(request.guidance)
    sampler = request.sampler or next(iter(spec.samplers), None)
    filled = {"width": width, "height": height, "steps": steps, "guidance": guidance, "sampler": sampler}
    return dataclasses.replace(request, **filled)


def _fail(message: str, hint: str = "") -> None:
    raise RequestError(message, hint)


def _check_text(request: Request, spec: ModelSpec) -> None:
    if spec.takes_text and not request.prompt.strip():
        _fail("The prompt is empty.", "Say what the picture should show.")
    if not spec.takes_text and (request.prompt.strip() or request.negative):
        _fail(f"{spec.name} takes no words.", f"Name a class from 0 to {spec.classes - 1}.")
    if spec.classes and (request.label is None or not 0 <= request.label < spec.classes):
        _fail(f"{spec.name} needs a class from 0 to {spec.classes - 1}.", "Say for example --class 207.")
    if request.label is not None and not spec.classes:
        _fail(f"{spec.name} has no classes.", "Say in words what the picture should show.")
    if request.sampler is not None and request.sampler not in spec.samplers:
        known = ", ".join(spec.samplers)
        _fail(f"{spec.name} has no sampler {request.sampler!r}.", f"It has: {known}." if known else "Leave it out.")
    if request.negative and spec.guidance_kind != "cfg":
        _fail(f"{spec.name} takes no negative prompt.", "Only base models do; say what you want instead.")


def _check_pictures(request: Request, spec: ModelSpec) -> None:
    count = len(request.references)
    if count and not spec.max_references:
        _fail(f"{spec.name} can't edit: it takes no pictures.", "Choose a model that edits: flux-local models list.")
    if count > spec.max_references:
        _fail(f"{count} references are too many: {spec.name} takes up to {spec.max_references}.", "Leave some out.")
    if request.mask and not count:
        _fail("A mask needs a picture to repaint.", "Give the picture first.")
    if request.mask and not spec.mask:
        _fail(f"{spec.name} can't repaint under a mask.")
    if request.strength is not None and not count:
        _fail("Strength needs a picture to start from.", "Give the picture first.")
    if request.strength is not None and not 0 < request.strength <= 1:
        _fail(f"Strength {request.strength} is out of range.", "It goes from just above 0 (keep) to 1 (repaint).")


def _check_numbers(request: Request, spec: ModelSpec) -> None:
    if request.steps is not None and not 1 <= request.steps <= MAX_STEPS:
        _fail(
            f"{request.steps} steps are out of range.",
            f"Choose 1 to {MAX_STEPS}; {spec.name} is made for {spec.steps}.",
        )
    if request.guidance is not None and not (math.isfinite(request.guidance) and 0 <= request.guidance <= 100):
        _fail(f"Guidance {request.guidance} is out of range.", "Choose 0 to 100.")
    if request.guidance not in (None, 1, spec.guidance) and spec.guidance_kind == "none":
        _fail(f"{spec.name} has no guidance to set.", "Leave --guidance out.")
    for lora in request.loras:
        if not math.isfinite(lora.scale):
            _fail(f"{lora.scale} is no scale for {lora.path}.", "Give a number such as 0.8.")
    if not 0 <= request.seed <= MAX_SEED:
        _fail(f"Seed {request.seed} is out of range.", "Choose 0 to 2^64 - 1.")


def _size(request: Request, spec: ModelSpec) -> tuple[int, int]:
    """The size asked for, else the first reference's own (capped to the model's pixels), else the default."""
    if request.width is None or request.height is None:
        if (request.width is None) != (request.height is None):
            _fail("A size needs both sides.", "Say for example --size 1024x768.")
        return spec.output_size(request.references[0].pixels if request.references else None)
    for side in (request.width, request.height):
        if side % spec.size_multiple or not spec.min_side <= side <= MAX_SIDE:
            _fail(
                f"{request.width}x{request.height} is not a size that {spec.name} can make.",
                f"Both sides must be multiples of {spec.size_multiple} from {spec.min_side} to {MAX_SIDE}.",
            )
    if request.width * request.height > spec.max_pixels:
        _fail(
            f"{request.width}x{request.height} is larger than {spec.name} can make.",
            f"Stay under {spec.max_pixels / 1e6:.1f} megapixels.",
        )
    return request.width, request.height
