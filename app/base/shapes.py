"""--size: 1024x768, or a shape such as 16:9; --outpaint: pixels on four sides."""

import math
import re

from mlx_model.errors import RequestError
from mlx_model.geometry import Size
from mlx_model.specs import ModelSpec

SIDES = re.compile(r"(\d{1,5})\s*[xX×*]\s*(\d{1,5})")
SHAPE = re.compile(r"(\d{1,4}(?:\.\d{1,4})?)\s*:\s*(\d{1,4}(?:\.\d{1,4})?)")


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


def parse_margins(text: str) -> tuple[int, int, int, int]:
    """Pixels to add left, above, right and below. Raises RequestError."""
    sides = [side.strip() for side in text.split(",")]
    if len(sides) != 4 or not all(re.fullmatch(r"[0-9]{1,5}", side) for side in sides):
        hint = "Say how many pixels to add left, above, right and below, such as 0,0,256,0."
        raise RequestError(f"{text!r} are no margins.", hint)
    left, top, right, bottom = map(int, sides)
    return left, top, right, bottom


def size_of_shape(across: float, down: float, spec: ModelSpec) -> Size:
    """The largest size of this shape in the model's default pixel count. Raises RequestError past 8:1."""
    if not (across and down) or max(across, down) > 8 * min(across, down):
        raise RequestError(f"{across:g}:{down:g} is too long and thin.", "Shapes go from 8:1 to 1:8.")
    budget, multiple = spec.size.area, spec.size_multiple
    width = math.sqrt(budget * across / down)
    sides = (width, width * down / across)
    # The tiny addition keeps 1:1 of 1024x1024 from falling to 1008 through rounding.
    return Size(*(max(spec.min_side, int(side + 1e-6) // multiple * multiple) for side in sides))
