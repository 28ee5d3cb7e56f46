"""A depth map from a photo by Depth Anything V2 Small: near is white, far is black, as FLUX.1 Depth takes it.

Source of the preparation: transformers models/dpt image_processing, with the checkpoint's preprocessor_config.json.
"""

import time
from collections.abc import Generator
from pathlib import Path

import mlx.core as mx
import numpy as np

from ..errors import NotFinite, SampleError
from ..events import Event, Stage, Step
from ..geometry import Size
from ..helpers import DEPTH
from ..nets.depth_anything import DepthAnything, Params, Parts
from ..store.published import load_published
from .pictures import resize

MEAN = np.array((0.485, 0.456, 0.406), np.float32)  # of ImageNet's colours
SPREAD = np.array((0.229, 0.224, 0.225), np.float32)


def open_depth(file: Path, params: Params | None = None) -> DepthAnything:
    """The published checkpoint, strictly. Raises LayoutError naming what does not fit."""
    return load_published(DepthAnything(params or Params()), file, DEPTH.title)


def choose_size(size: Size, side: int, patch: int) -> Size:
    """What the network sees: changed as little as one side allows to become `side`, to whole patches."""
    across, down = side / size.width, side / size.height
    factor = across if abs(1 - across) < abs(1 - down) else down
    return Size(*(max(patch, round(one * factor / patch) * patch) for one in size))


def find_depth(net: DepthAnything, pixels: np.ndarray) -> Generator[Event, None, np.ndarray]:
    """(H, W, 3) uint8 -> (H, W, 3) uint8, grey, from black for the farthest to white for the nearest.

    Yields Stage and a Step after each layer; closing it cancels there.
    Raises SampleError where the network finds no depth: all is equally far; NotFinite where its numbers are none.
    """
    size, p = Size.of(pixels), net.params
    seen = resize(pixels, choose_size(size, p.image_size, p.patch_size), "bicubic")
    parts = net.run(mx.array((seen.astype(np.float32) / 255 - MEAN) / SPREAD)[None])
    near = np.array((yield from _follow(parts, net.stops))[0])
    if not np.isfinite(near).all():
        raise NotFinite("The depth of the picture came out as no numbers.")
    low, high = float(near.min()), float(near.max())
    if high - low <= 1e-6:
        raise SampleError("No depth was found in this picture: all of it is equally far.", "Use another picture.")
    grey = np.rint(255 * (near - low) / (high - low)).astype(np.uint8)
    return resize(np.repeat(grey[..., None], 3, axis=-1), size, "bicubic")


def _follow(parts: Parts, total: int) -> Generator[Event, None, mx.array]:
    """Make what the network has after each layer."""
    began, step = time.perf_counter(), 0
    yield Stage("depth", total=total)
    while True:
        try:
            mx.eval(next(parts))
        except StopIteration as end:
            made: mx.array = end.value
            return made
        step += 1
        spent = time.perf_counter() - began
        yield Step(step, total, round(spent, 3), round(spent / step * (total - step), 3))
