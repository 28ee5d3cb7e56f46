"""What is placed on a picture, put together with it: the one picture that a model is shown."""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

from ..board.data import Picture
from ..board.picture import Placed
from ..board.seen import mask_size
from ..pictures import images
from .file import BoardFile

RIM = 2  # pixels of nothing around what is turned, so that its edges are smooth
NAME = "composite"


def compose(file: BoardFile, ground: Picture, placed: Sequence[Placed]) -> Picture:
    """`ground` with everything that lies on it as a picture of the board, no larger than a mask of it would be.

    Raises RequestError, BoardError where a picture is missing or can't be kept, DiskFull.
    """
    size = mask_size(ground)
    sheet = Image.fromarray(images.open_small(file.picture_path(ground.sha256), max(size))).convert("RGBA")
    for one in placed:
        layer = Image.fromarray(images.open_layer(file.picture_path(one.picture.sha256)))
        lay(sheet, layer, one)
    return file.put_picture(np.asarray(sheet.convert("RGB")), NAME)


def lay(sheet: Image.Image, layer: Image.Image, one: Placed) -> None:
    """`layer` onto `sheet`, both RGBA, where and how `one` says. What lies outside the sheet costs nothing."""
    width = max(1.0, one.width * sheet.width)
    if width < layer.width:  # a transform looks at few pixels only: it would flicker
        height = max(1, round(layer.height * width / layer.width))
        layer = layer.resize((max(1, round(width)), height), Image.Resampling.LANCZOS)
    scale = width / layer.width
    layer = _fade(ImageOps.mirror(layer) if one.flipped else layer, one.opacity)
    layer = ImageOps.expand(layer, RIM, (0, 0, 0, 0))
    matrix = _find_way_back(one, sheet.size, layer.size, scale)
    moved = layer.transform(sheet.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    sheet.alpha_composite(moved)


def _fade(layer: Image.Image, opacity: float) -> Image.Image:
    if opacity < 1:
        layer.putalpha(layer.getchannel("A").point([round(value * opacity) for value in range(256)]))
    return layer


def _find_way_back(one: Placed, sheet: tuple[int, int], layer: tuple[int, int], scale: float) -> tuple[float, ...]:
    """The six numbers that turn a point of the sheet into one of the layer: moved, turned back, made as large."""
    cos, sin = math.cos(math.radians(one.angle)) / scale, math.sin(math.radians(one.angle)) / scale
    x, y = one.x * sheet[0], one.y * sheet[1]
    return cos, sin, layer[0] / 2 - cos * x - sin * y, -sin, cos, layer[1] / 2 + sin * x - cos * y
