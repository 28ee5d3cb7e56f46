"""A checkpoint as it was published for torch, into a network whose names are its own."""

from pathlib import Path
from typing import Any, TypeVar

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from ..errors import LayoutError
from .shards import load_lazily

TURNED = (0, 2, 3, 1)  # (out, in, H, W) of torch -> (out, H, W, in) of MLX
TURNED_BACK = (1, 2, 3, 0)  # of a transposed convolution, which torch keeps as (in, out, H, W)
MADE = ("relative_coords_table", "relative_position_index")  # tables that some versions wrote: the network makes them
Net = TypeVar("Net", bound=nn.Module)


def load_published(net: Net, file: Path, title: str) -> Net:
    """The network, called `title`, with the file's weights as float32. Raises LayoutError naming what does not fit."""
    tensors = {name: _turn(net, name, tensor) for name, tensor in load_lazily(file).items() if not name.endswith(MADE)}
    flat: Any = tree_flatten(net.parameters())
    wanted = {name: value.shape for name, value in flat}
    given = {name: tensor.shape for name, tensor in tensors.items()}
    if wanted != given:
        odd = sorted(name for name in wanted.keys() | given.keys() if wanted.get(name) != given.get(name))
        raise LayoutError(f"{file} is not {title}: {', '.join(odd[:5])} do not fit.", "Download it again.")
    net.load_weights([(name, tensor.astype(mx.float32)) for name, tensor in tensors.items()])
    mx.eval(net.parameters())
    return net


def _turn(net: nn.Module, name: str, tensor: mx.array) -> mx.array:
    if tensor.ndim != 4:
        return tensor
    layer: nn.Module = net
    for part in name.split(".")[:-1]:
        layer = layer[int(part)] if part.isdigit() and isinstance(layer, list) else dict.get(layer, part, {})
    return tensor.transpose(TURNED_BACK if isinstance(layer, nn.ConvTranspose2d) else TURNED)
