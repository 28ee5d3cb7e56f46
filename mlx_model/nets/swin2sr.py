"""Swin2SR: a picture twice or four times as wide and as high, by windows of attention between convolutions.

Source: transformers models/swin2sr (Conde et al., arXiv:2209.11345), of its kinds the one that ends in pixel shuffles.
Names are those of the published checkpoints (caidas/swin2SR-classical-sr-x2-64, -x4-64), convolutions turned to MLX's
order. Axis letters: B batch, H W of the small picture in pixels, N windows, L pixels of a window, h width, f features.
"""

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from ..foreign import check_heads
from .ops import merge_heads, split_heads

Parts = Generator[mx.array, None, mx.array]
MEAN = (0.4488, 0.4371, 0.4040)  # of the pictures that it learned from
APART = -200.0  # added to what two pixels say to each other that are no neighbours; transformers adds -100 twice


@dataclass(frozen=True)
class Params:
    """The defaults are those of the published ones for clean pictures."""

    upscale: int = 2
    embed_dim: int = 180
    depths: tuple[int, ...] = (6, 6, 6, 6, 6, 6)
    num_heads: int = 6
    window_size: int = 8
    mlp_ratio: int = 2
    features: int = 64
    layer_norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        check_heads(self.embed_dim, self.num_heads)


class SelfAttention(nn.Module):
    """Between the pixels of a window: by the angle of query and key, and by how far they lie apart."""

    def __init__(self, p: Params) -> None:
        super().__init__()
        self.heads, self.window = p.num_heads, p.window_size
        self.logit_scale = mx.ones((p.num_heads, 1, 1))
        self.continuous_position_bias_mlp = [
            nn.Linear(2, 512), nn.ReLU(), nn.Linear(512, p.num_heads, bias=False),
        ]  # fmt: skip
        self.query, self.value = (nn.Linear(p.embed_dim, p.embed_dim) for _ in range(2))
        self.key = nn.Linear(p.embed_dim, p.embed_dim, bias=False)

    def __call__(self, x: mx.array, mask: mx.array | None) -> mx.array:
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))  # (N, H, L, d)
        scale = mx.exp(mx.minimum(self.logit_scale, math.log(100)))
        bias = self._bias() if mask is None else self._bias() + mask[:, None]  # (H, L, L) or (N, H, L, L)
        out = mx.fast.scaled_dot_product_attention(_unit(q) * scale, _unit(k), v, scale=1.0, mask=bias)
        return merge_heads(out)

    def _bias(self) -> mx.array:
        """(H, L, L): what a network makes of each distance within a window."""
        distances, index = measure_window(self.window)
        table = mx.array(distances)
        for layer in self.continuous_position_bias_mlp:
            table = layer(table)
        side = self.window**2
        return 16 * mx.sigmoid(table[mx.array(index)].reshape(side, side, self.heads).transpose(2, 0, 1))


def _unit(x: mx.array) -> mx.array:
    return x / mx.maximum(mx.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def measure_window(window: int) -> tuple[np.ndarray, np.ndarray]:
    """All distances in a window, ((2w - 1)^2, 2), on a scale of logarithms; of each pair of pixels its one, (L L)."""
    steps = np.arange(1 - window, window, dtype=np.float32) / (window - 1) * 8
    steps = np.sign(steps) * np.log2(np.abs(steps) + 1) / np.float32(math.log2(8))
    distances = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    places = np.stack(np.meshgrid(np.arange(window), np.arange(window), indexing="ij")).reshape(2, -1)
    apart = places[:, :, None] - places[:, None, :] + window - 1  # (2, L, L)
    return distances, (apart[0] * (2 * window - 1) + apart[1]).reshape(-1)


class Layer(nn.Module):
    """Attention and feed-forward, each normed behind; every second one sees windows that lie half a window further."""

    def __init__(self, p: Params, shift: int) -> None:
        super().__init__()
        self.window, self.shift, width = p.window_size, shift, p.embed_dim
        self.attention: dict[str, Any] = {"self": SelfAttention(p), "output": {"dense": nn.Linear(width, width)}}
        self.layernorm_before, self.layernorm_after = (nn.LayerNorm(width, p.layer_norm_eps) for _ in range(2))
        self.intermediate = {"dense": nn.Linear(width, p.mlp_ratio * width)}
        self.output = {"dense": nn.Linear(p.mlp_ratio * width, width)}

    def __call__(self, x: mx.array, mask: mx.array) -> mx.array:
        seen = roll(x, -self.shift)  # (B, H, W, h)
        seen = self.attention["self"](cut_windows(seen, self.window), mask if self.shift else None)
        seen = join_windows(self.attention["output"]["dense"](seen), x.shape, self.window)
        x = x + self.layernorm_before(roll(seen, self.shift))
        further: mx.array = self.layernorm_after(self.output["dense"](nn.gelu(self.intermediate["dense"](x))))
        return x + further


def roll(x: mx.array, by: int) -> mx.array:
    """(B, H, W, h), by so many pixels across and down; what leaves at an edge comes in at the other."""
    return mx.roll(mx.roll(x, by, 1), by, 2) if by else x


def cut_windows(x: mx.array, window: int) -> mx.array:
    """(B, H, W, h) -> (N, L, h)."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // window, window, width // window, window, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(-1, window * window, channels)


def join_windows(x: mx.array, shape: tuple[int, ...], window: int) -> mx.array:
    """Reverses cut_windows; `shape` is what was cut."""
    batch, height, width, channels = shape
    x = x.reshape(batch, height // window, width // window, window, window, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(shape)


def mask_shifted(height: int, width: int, window: int) -> mx.array:
    """(N, L, L) of a picture that was rolled by half a window: what came round the edge has other neighbours."""
    parts = [np.repeat((0, 1, 2), (side - window, window - window // 2, window // 2)) for side in (height, width)]
    regions = mx.array((parts[0][:, None] * 3 + parts[1][None])[None, ..., None])
    flat = cut_windows(regions, window)[..., 0]
    return mx.where(flat[:, :, None] == flat[:, None, :], 0.0, APART)


class Stage(nn.Module):
    def __init__(self, p: Params, depth: int) -> None:
        super().__init__()
        self.layers = [Layer(p, p.window_size // 2 * (number % 2)) for number in range(depth)]
        self.conv = nn.Conv2d(p.embed_dim, p.embed_dim, 3, padding=1)
        self.patch_embed = {"projection": nn.Conv2d(p.embed_dim, p.embed_dim, 1)}

    def run(self, x: mx.array, mask: mx.array) -> Parts:
        before = x
        for layer in self.layers:
            x = layer(x, mask)
            yield x
        further: mx.array = self.patch_embed["projection"](self.conv(x))
        return before + further


class Body(nn.Module):
    """From a picture to what is known of each of its pixels."""

    def __init__(self, p: Params) -> None:
        super().__init__()
        self.window = p.window_size
        self.first_convolution = nn.Conv2d(3, p.embed_dim, 3, padding=1)
        self.embeddings = {
            "patch_embeddings": {
                "projection": nn.Conv2d(p.embed_dim, p.embed_dim, 1), "layernorm": nn.LayerNorm(p.embed_dim),
            }
        }  # fmt: skip
        self.encoder = {"stages": [Stage(p, depth) for depth in p.depths]}
        self.layernorm = nn.LayerNorm(p.embed_dim, p.layer_norm_eps)
        self.conv_after_body = nn.Conv2d(p.embed_dim, p.embed_dim, 3, padding=1)

    def run(self, images: mx.array) -> Parts:
        first: mx.array = self.first_convolution(images)
        embed = self.embeddings["patch_embeddings"]
        x = embed["layernorm"](embed["projection"](first))  # (B, H, W, h)
        mask = mx.tile(mask_shifted(x.shape[1], x.shape[2], self.window), (x.shape[0], 1, 1))
        for stage in self.encoder["stages"]:
            x = yield from stage.run(x, mask)
        further: mx.array = self.conv_after_body(self.layernorm(x))
        return first + further


class Upsampler(nn.Module):
    """Features, then pixels: each doubling shuffles four channels into the corners of a pixel."""

    def __init__(self, p: Params) -> None:
        super().__init__()
        self.conv_before_upsample = nn.Conv2d(p.embed_dim, p.features, 3, padding=1)
        doublings = range(int(math.log2(p.upscale)))
        self.upsample = {
            f"convolution_{number}": nn.Conv2d(p.features, 4 * p.features, 3, padding=1) for number in doublings
        }
        self.final_convolution = nn.Conv2d(p.features, 3, 3, padding=1)

    def __call__(self, x: mx.array) -> mx.array:
        x = nn.leaky_relu(self.conv_before_upsample(x))
        for number in range(len(self.upsample)):
            x = shuffle_pixels(self.upsample[f"convolution_{number}"](x))
        pixels: mx.array = self.final_convolution(x)
        return pixels


def shuffle_pixels(x: mx.array) -> mx.array:
    """(B, H, W, 4f) -> (B, 2H, 2W, f); channels are counted as torch does, features first."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height, width, channels // 4, 2, 2)
    return x.transpose(0, 1, 4, 2, 5, 3).reshape(batch, 2 * height, 2 * width, channels // 4)


class Swin2SR(nn.Module):
    """(B, H, W, 3) in 0 to 1, whole windows -> (B, upscale H, upscale W, 3), near that."""

    def __init__(self, params: Params) -> None:
        super().__init__()
        self.params = params
        self.swin2sr, self.upsample = Body(params), Upsampler(params)

    @property
    def stops(self) -> int:
        """How often run stops."""
        return sum(self.params.depths) + 1

    def run(self, images: mx.array) -> Parts:
        """Yields what there is after each layer, unmade, for who wants to stop in between; returns the picture."""
        mean = mx.array(MEAN)
        yield (known := (yield from self.swin2sr.run(images - mean)))
        pixels: mx.array = self.upsample(known)
        return pixels + mean

    def __call__(self, images: mx.array) -> mx.array:
        parts = self.run(images)
        while True:
            try:
                next(parts)
            except StopIteration as end:
                made: mx.array = end.value
                return made
