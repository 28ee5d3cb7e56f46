"""The same weights in MLX and in torch: names are the same, convolutions turn."""

from collections.abc import Mapping

import mlx.core as mx
import numpy as np
import torch


def turned(array: np.ndarray, to: str) -> np.ndarray:
    """A convolution's (out, kh, kw, in) for "mlx", (out, in, kh, kw) for "torch"; other arrays as they are."""
    if array.ndim != 4:
        return array
    return np.ascontiguousarray(array.transpose((0, 2, 3, 1) if to == "mlx" else (0, 3, 1, 2)))


def to_mlx(state: Mapping[str, torch.Tensor]) -> dict[str, mx.array]:
    """A torch module's state as what the MLX module of the same Params loads."""
    return {name: mx.array(turned(x.detach().float().numpy(), "mlx")) for name, x in state.items()}


def to_torch(arrays: Mapping[str, mx.array]) -> dict[str, torch.Tensor]:
    """Reversed."""
    return {name: torch.from_numpy(turned(np.array(x.astype(mx.float32)), "torch")) for name, x in arrays.items()}
