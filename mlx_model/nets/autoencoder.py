"""The convolutional KL autoencoder of FLUX.1, FLUX.2 and FLUX.3, NHWC throughout.

Source: black-forest-labs/flux2, src/flux2/autoencoder.py (and flux, src/flux/modules/autoencoder.py).
Module names are those checkpoints'; convolution weights are (out, kh, kw, in).
Axis letters: B batch, H W pixels, z latent channels, p pixel_patch; images are in [-1, 1].
"""

from collections.abc import Callable
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn

from .ops import Layer, attention, silu
from .strips import fit_norm, in_strips

EPS = 1e-6
BATCH_NORM_EPS = 1e-4

Rows = Callable[[int, int], mx.array]  # rows start to stop of a map, (B, stop - start, W, c)


@dataclass(frozen=True)
class Params:
    """Widths are ch * ch_mult. `scale`, `shift` are FLUX.1's; FLUX.2 has `packed_norm`: statistics over 4z channels.

    `pixel_patch` p: the outer layers see p x p pixels as channels, and all maps are p times smaller (1 in FLUX).
    """

    ch: int = 128
    decoder_ch: int | None = None  # None: the encoder's
    ch_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    z_channels: int = 32
    groups: int = 32
    packed_norm: bool = True
    quant_convs: bool = True
    scale: float = 1.0
    shift: float = 0.0
    pixel_patch: int = 1

    def __post_init__(self) -> None:
        for width in (self.ch, self.ch if self.decoder_ch is None else self.decoder_ch):
            if self.groups < 1 or any(width * times % self.groups for times in self.ch_mult):
                raise ValueError(f"{width} channels can't be normed in {self.groups} groups")
        if self.pixel_patch < 1:
            raise ValueError(f"pixels can't be taken {self.pixel_patch} at a time")
        if not self.scale:
            raise ValueError("the scale of latents can't be 0")


def group_norm(channels: int, p: Params) -> nn.GroupNorm:
    return nn.GroupNorm(p.groups, channels, eps=EPS, pytorch_compatible=True)


def take_rows(x: mx.array) -> Rows:
    """Any rows of a map that is there."""
    return lambda start, stop: x[:, start:stop]


def take_active_rows(norm: nn.GroupNorm, x: mx.array) -> Rows:
    """Any rows of the normalised map after SiLU."""
    apply = fit_norm(norm, x)
    return lambda start, stop: silu(apply(x[:, start:stop]))


def conv3(layer: nn.Conv2d, rows: Rows, shape: tuple[int, ...], add: Rows | None = None) -> mx.array:
    """A padded 3 x 3 convolution of `rows` of a map of the shape (H, W, c), plus `add` of the result's rows."""
    height, width, channels = shape

    def make(start: int, stop: int) -> mx.array:
        x = rows(max(start - 1, 0), min(stop + 1, height))
        edges = (int(start == 0), int(stop == height))  # inner strips have a neighbour's row there, not zeros
        x = mx.conv2d(mx.pad(x, [(0, 0), edges, (0, 0), (0, 0)]), layer.weight, padding=(0, 1)) + layer.bias
        return x + add(start, stop) if add else x

    return in_strips(make, height, width * max(channels, layer.weight.shape[0]))


class ResnetBlock(nn.Module):
    def __init__(self, p: Params, width_in: int, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = group_norm(width_in, p), group_norm(width, p)
        self.conv1 = nn.Conv2d(width_in, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        if width_in != width:
            self.nin_shortcut: Layer = nn.Conv2d(width_in, width, 1)

    def __call__(self, x: mx.array) -> mx.array:
        y = conv3(self.conv1, take_active_rows(self.norm1, x), x.shape[1:])
        return conv3(
            self.conv2, take_active_rows(self.norm2, y), y.shape[1:], add=lambda a, b: self.shortcut(x[:, a:b])
        )

    def shortcut(self, x: mx.array) -> mx.array:
        return self.nin_shortcut(x) if "nin_shortcut" in self else x


class AttnBlock(nn.Module):
    """One head over all pixels."""

    def __init__(self, p: Params, width: int) -> None:
        super().__init__()
        self.norm = group_norm(width, p)
        self.q: Layer = nn.Conv2d(width, width, 1)
        self.k: Layer = nn.Conv2d(width, width, 1)
        self.v: Layer = nn.Conv2d(width, width, 1)
        self.proj_out: Layer = nn.Conv2d(width, width, 1)

    def __call__(self, x: mx.array) -> mx.array:
        y, flat = fit_norm(self.norm, x)(x), (x.shape[0], 1, -1, x.shape[-1])
        q, k, v = (layer(y).reshape(flat) for layer in (self.q, self.k, self.v))  # (B, H, W, c) -> (B, 1, HW, c)

        def make(start: int, stop: int) -> mx.array:
            part = q[:, :, start * x.shape[2] : stop * x.shape[2]]
            seen = attention(part, k, v)
            return self.proj_out(seen.reshape(x.shape[0], stop - start, *x.shape[2:]))

        return x + in_strips(make, x.shape[1], x.shape[2] * k.shape[2])  # scores of a row of pixels


class Downsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv: Layer = nn.Conv2d(width, width, 3, stride=2)

    def __call__(self, x: mx.array) -> mx.array:
        _, height, width, channels = x.shape

        def make(start: int, stop: int) -> mx.array:
            rows = x[:, 2 * start : 2 * stop + 1]
            below = 2 * (stop - start) + 1 - rows.shape[1]
            return self.conv(mx.pad(rows, [(0, 0), (0, below), (0, 1), (0, 0)]))  # right and bottom, as the reference

        return in_strips(make, height // 2, 2 * width * channels)


class Upsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def __call__(self, x: mx.array) -> mx.array:
        b, h, w, c = x.shape

        def double(start: int, stop: int) -> mx.array:
            first = start // 2
            rows = x[:, first : (stop + 1) // 2]
            rows = mx.broadcast_to(rows[:, :, None, :, None], (b, rows.shape[1], 2, w, 2, c)).reshape(b, -1, 2 * w, c)
            return rows[:, start - 2 * first : stop - 2 * first]

        return conv3(self.conv, double, (2 * h, 2 * w, c))


class Level(nn.Module):
    """Residual blocks of one resolution, with the change of resolution where there is one."""

    def __init__(self, p: Params, width_in: int, width: int, blocks: int, resample: tuple[str, type] | None) -> None:
        super().__init__()
        self.block = [ResnetBlock(p, width_in if i == 0 else width, width) for i in range(blocks)]
        self.resample = resample and resample[0]
        if resample:
            self[resample[0]] = resample[1](width)

    @property
    def steps(self) -> list[nn.Module]:
        return [*self.block, *([self[self.resample]] if self.resample else [])]


class Middle(nn.Module):
    def __init__(self, p: Params, width: int) -> None:
        super().__init__()
        self.block_1, self.block_2 = ResnetBlock(p, width, width), ResnetBlock(p, width, width)
        self.attn_1 = AttnBlock(p, width)

    @property
    def steps(self) -> list[nn.Module]:
        return [self.block_1, self.attn_1, self.block_2]


class Encoder(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        widths = [p.ch * m for m in p.ch_mult]
        self.patch = p.pixel_patch
        self.conv_in = nn.Conv2d(3 * self.patch**2, p.ch, 3, padding=1)
        last = len(widths) - 1
        self.down = [
            Level(p, ([p.ch, *widths])[i], width, p.num_res_blocks, ("downsample", Downsample) if i < last else None)
            for i, width in enumerate(widths)
        ]
        self.mid = Middle(p, widths[-1])
        self.norm_out = group_norm(widths[-1], p)
        self.conv_out = nn.Conv2d(widths[-1], 2 * p.z_channels, 3, padding=1)
        if p.quant_convs:
            self.quant_conv: Layer = nn.Conv2d(2 * p.z_channels, 2 * p.z_channels, 1)

    def __call__(self, x: mx.array) -> mx.array:
        x = pack(x, self.patch)  # (B, H, W, 3) -> (B, H/p, W/p, 3 p p)
        x = conv3(self.conv_in, take_rows(x), x.shape[1:])
        for part in (*self.down, self.mid):
            for step in part.steps:  # here, so that no caller holds on to the map before
                x = step(x)
        x = conv3(self.conv_out, take_active_rows(self.norm_out, x), x.shape[1:])
        return self.quant_conv(x) if "quant_conv" in self else x


class Decoder(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        widths = [(p.decoder_ch or p.ch) * m for m in p.ch_mult]
        if p.quant_convs:
            self.post_quant_conv: Layer = nn.Conv2d(p.z_channels, p.z_channels, 1)
        self.conv_in = nn.Conv2d(p.z_channels, widths[-1], 3, padding=1)
        self.mid = Middle(p, widths[-1])
        above = [*widths[1:], widths[-1]]
        self.up = [  # up.0 is the full resolution and runs last
            Level(p, above[i], width, p.num_res_blocks + 1, ("upsample", Upsample) if i else None)
            for i, width in enumerate(widths)
        ]
        self.norm_out = group_norm(widths[0], p)
        self.patch = p.pixel_patch
        self.conv_out = nn.Conv2d(widths[0], 3 * self.patch**2, 3, padding=1)

    def __call__(self, z: mx.array) -> mx.array:
        z = self.post_quant_conv(z) if "post_quant_conv" in self else z
        x = self.conv_in(z)
        for part in (self.mid, *reversed(self.up)):
            for step in part.steps:  # here, so that no caller holds on to the map before
                x = step(x)
        return unpack(conv3(self.conv_out, take_active_rows(self.norm_out, x), x.shape[1:]), self.patch)


class Statistics(nn.Module):
    """The batch-norm statistics of FLUX.2's packed latents; kept and applied in float32."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.running_mean = mx.zeros((channels,))
        self.running_var = mx.ones((channels,))

    def deviation(self) -> mx.array:
        return mx.sqrt(self.running_var.astype(mx.float32) + BATCH_NORM_EPS)


def pack(x: mx.array, side: int = 2) -> mx.array:
    """(B, H, W, c) -> (B, H/s, W/s, s * s * c), channel = (c * s + dy) * s + dx."""
    if side == 1:
        return x
    b, h, w, c = x.shape
    x = x.reshape(b, h // side, side, w // side, side, c).transpose(0, 1, 3, 5, 2, 4)
    return x.reshape(b, h // side, w // side, side * side * c)


def unpack(x: mx.array, side: int = 2) -> mx.array:
    """Inverse of pack."""
    if side == 1:
        return x
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, c // side**2, side, side).transpose(0, 1, 4, 2, 5, 3)
    return x.reshape(b, side * h, side * w, c // side**2)


class AutoEncoder(nn.Module):
    def __init__(self, p: Params) -> None:
        super().__init__()
        self.params = p
        self.encoder = Encoder(p)
        self.decoder = Decoder(p)
        if p.packed_norm:
            self.bn = Statistics(4 * p.z_channels)

    def mean(self, images: mx.array) -> mx.array:
        """(B, H, W, 3) in [-1, 1] -> (B, H/8p, W/8p, z): the mean, never a sample, as every official editing path."""
        dtype = self.encoder.conv_in.weight.dtype
        return mx.split(self.encoder(images.astype(dtype)), 2, axis=-1)[0].astype(mx.float32)

    def encode(self, images: mx.array) -> mx.array:
        """(B, H, W, 3) in [-1, 1] -> (B, H/16p, W/16p, 4z) float32 model latents."""
        z = pack(self.mean(images))
        if self.params.packed_norm:
            return (z - self.bn.running_mean.astype(mx.float32)) / self.bn.deviation()
        return (z - self.params.shift) * self.params.scale

    def decode(self, latents: mx.array) -> mx.array:
        """(B, H/16p, W/16p, 4z) model latents -> (B, H, W, 3) float32, nominally in [-1, 1]."""
        latents = latents.astype(mx.float32)
        if self.params.packed_norm:
            z = latents * self.bn.deviation() + self.bn.running_mean.astype(mx.float32)
        else:
            z = latents / self.params.scale + self.params.shift
        z = unpack(z).astype(self.decoder.conv_in.weight.dtype)
        return self.decoder(z).astype(mx.float32)
