"""TAEF1 and TAEF2, the tiny autoencoders for previews, NHWC throughout.

Source: madebyollin/taesd, taesd.py; layers keep the numbers of its files, behind `encoder.` and `decoder.`.
Both work on model latents as the transformer sees them (FLUX.1: shifted and scaled, FLUX.2 and 3: normalised), only
unpacked from 2x2. Axis letters: B batch, H W pixels, z latent channels; images are in [-1, 1].
"""

from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from .autoencoder import pack, unpack
from .ops import Chain, run_layers

WIDTH, POOL_WIDTH, POOL_GROUPS = 64, 256, 4
LIMIT = 3.0  # latents are squashed into (-3, 3)


@dataclass(frozen=True)
class Params:
    """TAEF1: 16 channels. TAEF2: 32, and `pool`: a branch in the blocks at the lowest resolution."""

    z_channels: int = 32
    pool: bool = True
    downscale: int = 8


def conv(width_in: int, width: int, kernel: int = 3, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(width_in, width, kernel, stride=stride, padding=kernel // 2, bias=bias)


class Clamp(nn.Module):
    def __call__(self, x: mx.array) -> mx.array:
        return LIMIT * mx.tanh(x / LIMIT)


class Upsample(nn.Module):
    def __call__(self, x: mx.array) -> mx.array:
        b, h, w, c = x.shape
        return mx.broadcast_to(x[:, :, None, :, None], (b, h, 2, w, 2, c)).reshape(b, 2 * h, 2 * w, c)


class Block(nn.Module):
    def __init__(self, pool: bool = False) -> None:
        super().__init__()
        self.conv: Chain = [conv(WIDTH, WIDTH), nn.ReLU(), conv(WIDTH, WIDTH), nn.ReLU(), conv(WIDTH, WIDTH)]
        if pool:
            norm = nn.GroupNorm(POOL_GROUPS, POOL_WIDTH, pytorch_compatible=True)
            narrow = conv(POOL_WIDTH, WIDTH, 1, bias=False)
            self.pool: Chain = [conv(WIDTH, POOL_WIDTH, 1, bias=False), norm, nn.ReLU(), narrow]

    def __call__(self, x: mx.array) -> mx.array:
        if "pool" in self:
            x = x + run_layers(self.pool, x)
        changed: mx.array = nn.relu(run_layers(self.conv, x) + x)
        return changed


def blocks(pool: bool = False) -> list[Any]:
    return [Block(pool) for _ in range(3)]


def encoder(p: Params) -> list[Any]:
    def down(pool: bool = False) -> list[Any]:
        return [conv(WIDTH, WIDTH, stride=2, bias=False), *blocks(pool)]

    return [conv(3, WIDTH), Block(), *down(), *down(), *down(p.pool), conv(WIDTH, p.z_channels)]


def decoder(p: Params) -> list[Any]:
    def up(pool: bool = False) -> list[Any]:
        return [*blocks(pool), Upsample(), conv(WIDTH, WIDTH, bias=False)]

    return [Clamp(), conv(p.z_channels, WIDTH), nn.ReLU(), *up(p.pool), *up(), *up(), Block(), conv(WIDTH, 3)]


class AutoEncoder(nn.Module):
    """Called like autoencoder.AutoEncoder."""

    def __init__(self, p: Params) -> None:
        super().__init__()
        self.params = p
        self.encoder: list[Any] = encoder(p)
        self.decoder: list[Any] = decoder(p)

    @property
    def dtype(self) -> mx.Dtype:
        dtype: mx.Dtype = self.decoder[1].weight.dtype
        return dtype

    def encode(self, images: mx.array) -> mx.array:
        """(B, H, W, 3) in [-1, 1] -> (B, H/16, W/16, 4z) float32 model latents."""
        return pack(run_layers(self.encoder, ((images + 1) / 2).astype(self.dtype)).astype(mx.float32))

    def decode(self, latents: mx.array) -> mx.array:
        """(B, H/16, W/16, 4z) model latents -> (B, H, W, 3) float32, nominally in [-1, 1].

        For a preview give the estimate of the finished latents (sampler.Progress.clean), not the noisy ones.
        """
        return 2 * run_layers(self.decoder, unpack(latents).astype(self.dtype)).astype(mx.float32) - 1
