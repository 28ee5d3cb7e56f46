"""A depth map from a photo by Depth Anything V2 Small: near is white, far is black, as FLUX.1 Depth takes it.

Source of the preparation: transformers models/dpt image_processing, with the checkpoint's preprocessor_config.json.
"""

from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from ..errors import LayoutError, SampleError
from ..geometry import Size
from ..nets.depth_anything import DepthAnything, Params
from ..store.shards import load_lazily
from .pictures import resize

MEAN = np.array((0.485, 0.456, 0.406), np.float32)  # of ImageNet's colours
SPREAD = np.array((0.229, 0.224, 0.225), np.float32)
TURNED = (0, 2, 3, 1)  # (out, in, H, W) of torch -> (out, H, W, in) of MLX
TURNED_BACK = (1, 2, 3, 0)  # of a transposed convolution, which torch keeps as (in, out, H, W)


def open_depth(file: Path, params: Params | None = None) -> DepthAnything:
    """The published checkpoint, strictly. Raises LayoutError naming what does not fit."""
    net = DepthAnything(params or Params())
    tensors = {name: _turn(net, name, tensor) for name, tensor in load_lazily(file).items()}
    flat: Any = tree_flatten(net.parameters())
    wanted = {name: value.shape for name, value in flat}
    given = {name: tensor.shape for name, tensor in tensors.items()}
    if wanted != given:
        odd = sorted(name for name in wanted.keys() | given.keys() if wanted.get(name) != given.get(name))
        raise LayoutError(f"{file} is not Depth Anything V2 Small: {', '.join(odd[:5])} do not fit.",
                          "Download it again.")  # fmt: skip
    net.load_weights([(name, tensor.astype(mx.float32)) for name, tensor in tensors.items()])
    mx.eval(net.parameters())
    return net


def _turn(net: DepthAnything, name: str, tensor: mx.array) -> mx.array:
    if tensor.ndim != 4:
        return tensor
    layer: nn.Module = net
    for part in name.split(".")[:-1]:
        layer = layer[int(part)] if part.isdigit() and isinstance(layer, list) else dict.get(layer, part, {})
    return tensor.transpose(TURNED_BACK if isinstance(layer, nn.ConvTranspose2d) else TURNED)


def choose_size(size: Size, side: int, patch: int) -> Size:
    """What the network sees: changed as little as one side allows to become `side`, to whole patches."""
    across, down = side / size.width, side / size.height
    factor = across if abs(1 - across) < abs(1 - down) else down
    return Size(*(max(patch, round(one * factor / patch) * patch) for one in size))


def find_depth(net: DepthAnything, pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (H, W, 3) uint8, grey, from black for the farthest to white for the nearest.

    Raises SampleError where the network finds no depth: all is equally far, or its numbers are none.
    """
    size, p = Size.of(pixels), net.params
    seen = resize(pixels, choose_size(size, p.image_size, p.patch_size), "bicubic")
    near = np.array(net(mx.array((seen.astype(np.float32) / 255 - MEAN) / SPREAD)[None])[0])
    low, high = float(near.min()), float(near.max())
    if not (np.isfinite(near).all() and high - low > 1e-6):
        raise SampleError("No depth was found in this picture: all of it is equally far.", "Use another picture.")
    grey = np.rint(255 * (near - low) / (high - low)).astype(np.uint8)
    return resize(np.repeat(grey[..., None], 3, axis=-1), size, "bicubic")
