"""Depth Anything V2: how near each pixel of a photo is, by a DINOv2 backbone, a DPT neck and a head of convolutions.

Source: transformers models/depth_anything and models/dinov2. Names are those of the published checkpoint
(depth-anything/Depth-Anything-V2-Small-hf), convolutions turned to MLX's order.
Axis letters: B batch, H W of the picture in pixels, R C rows and columns of patches, h width, f features.
"""

from collections.abc import Generator
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from ..foreign import check_heads
from .ops import attention, split_heads

Parts = Generator[mx.array, None, mx.array]


@dataclass(frozen=True)
class Params:
    """The defaults are those of the small one."""

    hidden_size: int = 384
    num_hidden_layers: int = 12
    num_attention_heads: int = 6
    mlp_ratio: int = 4
    image_size: int = 518
    patch_size: int = 14
    out_indices: tuple[int, ...] = (3, 6, 9, 12)  # behind which layers the neck looks
    neck_hidden_sizes: tuple[int, ...] = (48, 96, 192, 384)
    reassemble_factors: tuple[float, ...] = (4, 2, 1, 0.5)
    fusion_hidden_size: int = 64
    head_hidden_size: int = 32
    layer_norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        check_heads(self.hidden_size, self.num_attention_heads)

    @property
    def side(self) -> int:
        """Patches along a side of the table of positions."""
        return self.image_size // self.patch_size


class Attention(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        self.heads, width = p.num_attention_heads, p.hidden_size
        self.attention = {name: nn.Linear(width, width) for name in ("query", "key", "value")}
        self.output = {"dense": nn.Linear(width, width)}

    def __call__(self, x: mx.array) -> mx.array:
        q, k, v = (split_heads(self.attention[name](x), self.heads) for name in ("query", "key", "value"))
        return self.output["dense"](attention(q, k, v))  # (B, H, L, D) -> (B, L, h)


class MLP(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        self.fc1 = nn.Linear(p.hidden_size, p.mlp_ratio * p.hidden_size)
        self.fc2 = nn.Linear(p.mlp_ratio * p.hidden_size, p.hidden_size)

    def __call__(self, x: mx.array) -> mx.array:
        return self.fc2(nn.gelu(self.fc1(x)))


class Layer(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(p.hidden_size, p.layer_norm_eps) for _ in range(2))
        self.attention, self.mlp = Attention(p), MLP(p)
        self.layer_scale1, self.layer_scale2 = ({"lambda1": mx.ones(p.hidden_size)} for _ in range(2))

    def __call__(self, x: mx.array) -> mx.array:
        x = x + self.layer_scale1["lambda1"] * self.attention(self.norm1(x))
        return x + self.layer_scale2["lambda1"] * self.mlp(self.norm2(x))


class Embeddings(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        self.side = p.side
        self.cls_token, self.mask_token = mx.zeros((1, 1, p.hidden_size)), mx.zeros((1, p.hidden_size))
        self.position_embeddings = mx.zeros((1, p.side**2 + 1, p.hidden_size))
        self.patch_embeddings = {"projection": nn.Conv2d(3, p.hidden_size, p.patch_size, stride=p.patch_size)}

    def __call__(self, images: mx.array) -> mx.array:
        x = self.patch_embeddings["projection"](images)  # (B, R, C, h)
        batch, rows, columns, width = x.shape
        first = mx.broadcast_to(self.cls_token, (batch, 1, width))
        return mx.concatenate([first, x.reshape(batch, -1, width)], axis=1) + self._stretch(rows, columns)

    def _stretch(self, rows: int, columns: int) -> mx.array:
        """The table of positions for R x C patches, (1, 1 + R C, h)."""
        if rows == columns == self.side:
            return self.position_embeddings
        width = self.position_embeddings.shape[-1]
        table = self.position_embeddings[:, 1:].reshape(1, self.side, self.side, width)
        table = stretch(table, *(cubic_weights(self.side, new) for new in (rows, columns)))
        return mx.concatenate([self.position_embeddings[:, :1], table.reshape(1, -1, width)], axis=1)


class Backbone(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        self.out_indices = p.out_indices
        self.embeddings = Embeddings(p)
        self.encoder = {"layer": [Layer(p) for _ in range(p.num_hidden_layers)]}
        self.layernorm = nn.LayerNorm(p.hidden_size, p.layer_norm_eps)

    def run(self, images: mx.array) -> Generator[mx.array, None, list[mx.array]]:
        """The states behind the layers that the neck looks at, without the first token: (B, R C, h) each."""
        yield (x := self.embeddings(images))
        found = []
        for number, layer in enumerate(self.encoder["layer"], 1):
            yield (x := layer(x))
            if number in self.out_indices:
                found.append(self.layernorm(x)[:, 1:])
        return found


class Reassemble(nn.Module):
    """States of patches as a map that is `factor` times as large."""

    def __init__(self, p: Params, channels: int, factor: float) -> None:
        super().__init__()
        self.projection = nn.Conv2d(p.hidden_size, channels, 1)
        if factor > 1:
            self.resize: nn.Module = nn.ConvTranspose2d(channels, channels, int(factor), stride=int(factor))
        elif factor < 1:
            self.resize = nn.Conv2d(channels, channels, 3, stride=round(1 / factor), padding=1)

    def __call__(self, x: mx.array) -> mx.array:
        x = self.projection(x)
        made: mx.array = self.resize(x) if "resize" in self else x
        return made


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution1, self.convolution2 = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))

    def __call__(self, x: mx.array) -> mx.array:
        change: mx.array = self.convolution2(nn.relu(self.convolution1(nn.relu(x))))
        return x + change


class Fusion(nn.Module):
    """A map and a finer one below it -> a map of the size of the next."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(width, width, 1)
        self.residual_layer1, self.residual_layer2 = Residual(width), Residual(width)

    def __call__(self, x: mx.array, finer: mx.array | None, size: tuple[int, int]) -> mx.array:
        if finer is not None:
            x = x + self.residual_layer1(finer)
        made: mx.array = self.projection(enlarge(self.residual_layer2(x), size))
        return made


class Neck(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        sizes, width = p.neck_hidden_sizes, p.fusion_hidden_size
        reassembled = [Reassemble(p, *both) for both in zip(sizes, p.reassemble_factors, strict=True)]
        self.reassemble_stage = {"layers": reassembled}
        self.convs = [nn.Conv2d(size, width, 3, padding=1, bias=False) for size in sizes]
        self.fusion_stage = {"layers": [Fusion(width) for _ in sizes]}

    def run(self, states: list[mx.array], rows: int, columns: int) -> Parts:
        """(B, R C, h) each, from fine to coarse -> (B, 8 R, 8 C, f)."""
        maps = []
        for state, reassemble, conv in zip(states, self.reassemble_stage["layers"], self.convs, strict=True):
            maps.append(conv(reassemble(state.reshape(state.shape[0], rows, columns, -1))))
            yield maps[-1]
        maps.reverse()
        fused: mx.array | None = None
        for place, (one, layer) in enumerate(zip(maps, self.fusion_stage["layers"], strict=True)):
            behind = maps[place + 1].shape if place + 1 < len(maps) else (0, 2 * one.shape[1], 2 * one.shape[2])
            fused = layer(one if fused is None else fused, None if fused is None else one, behind[1:3])
            yield fused
        assert fused is not None
        return fused


class Head(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        width = p.fusion_hidden_size
        self.conv1 = nn.Conv2d(width, width // 2, 3, padding=1)
        self.conv2 = nn.Conv2d(width // 2, p.head_hidden_size, 3, padding=1)
        self.conv3 = nn.Conv2d(p.head_hidden_size, 1, 1)

    def run(self, x: mx.array, size: tuple[int, int]) -> Parts:
        yield (x := self.conv1(x))
        yield (x := enlarge(x, size))
        yield (x := nn.relu(self.conv2(x)))
        near: mx.array = nn.relu(self.conv3(x))
        return near[..., 0]


class DepthAnything(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        self.params = p
        self.backbone, self.neck, self.head = Backbone(p), Neck(p), Head(p)

    @property
    def stops(self) -> int:
        """How often run stops."""
        return self.params.num_hidden_layers + 2 * len(self.params.neck_hidden_sizes) + 4

    def run(self, images: mx.array) -> Parts:
        """As calling it; yields what there is after each layer, unmade, for who wants to stop in between."""
        height, width = images.shape[1:3]
        rows, columns = height // self.params.patch_size, width // self.params.patch_size
        states = yield from self.backbone.run(images)
        return (yield from self.head.run((yield from self.neck.run(states, rows, columns)), (height, width)))

    def __call__(self, images: mx.array) -> mx.array:
        """(B, H, W, 3), normalised, sides multiples of the patch -> (B, H, W), larger is nearer, from 0 up."""
        parts = self.run(images)
        while True:
            try:
                next(parts)
            except StopIteration as end:
                near: mx.array = end.value
                return near


def enlarge(x: mx.array, size: tuple[int, int]) -> mx.array:
    """(B, H, W, f) -> (B, *size, f), linearly between the pixels, corners onto corners."""
    return stretch(x, *(linear_weights(old, new) for old, new in zip(x.shape[1:3], size, strict=True)))


def stretch(x: mx.array, down: np.ndarray, across: np.ndarray) -> mx.array:
    """Each axis by its own weights (new, old): (B, H, W, f) -> (B, H', W', f)."""
    batch, height, width, features = x.shape
    x = (mx.array(down) @ x.reshape(batch, height, -1)).reshape(batch, -1, width, features)
    return mx.array(across) @ x


def linear_weights(old: int, new: int) -> np.ndarray:
    """(new, old) float32 of torch's "bilinear" with align_corners."""
    at = np.linspace(0, old - 1, new) if new > 1 else np.zeros(1)
    low = np.minimum(np.floor(at).astype(int), max(0, old - 2))
    weights, rows = np.zeros((new, old)), np.arange(new)
    np.add.at(weights, (rows, low), 1 - (at - low))
    np.add.at(weights, (rows, np.minimum(low + 1, old - 1)), at - low)
    return weights.astype(np.float32)


def cubic_weights(old: int, new: int) -> np.ndarray:
    """(new, old) float32 of torch's "bicubic" (a = -0.75, edges repeated) without align_corners."""
    at = (np.arange(new) + 0.5) * old / new - 0.5
    low = np.floor(at).astype(int)
    weights, rows = np.zeros((new, old)), np.arange(new)
    for step in (-1, 0, 1, 2):
        far = np.abs(at - low - step)
        near = 1.25 * far**3 - 2.25 * far**2 + 1
        edge = -0.75 * far**3 + 3.75 * far**2 - 6 * far + 3
        np.add.at(weights, (rows, np.clip(low + step, 0, old - 1)), np.where(far <= 1, near, edge))
    return weights.astype(np.float32)
