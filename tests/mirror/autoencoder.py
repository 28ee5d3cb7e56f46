"""The autoencoder in torch, NCHW, with the names and Params of mlx_model/nets/autoencoder.py.

Axis letters: B batch, H W pixels, p pixel_patch, z latent channels, N tokens.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

from mlx_model.nets.autoencoder import BATCH_NORM_EPS, EPS, Params


def group_norm(channels: int, p: Params) -> nn.GroupNorm:
    return nn.GroupNorm(p.groups, channels, eps=EPS)


def conv3(width_in: int, width: int) -> nn.Conv2d:
    return nn.Conv2d(width_in, width, 3, padding=1)


class ResnetBlock(nn.Module):
    def __init__(self, p: Params, width_in: int, width: int):
        super().__init__()
        self.norm1, self.norm2 = group_norm(width_in, p), group_norm(width, p)
        self.conv1, self.conv2 = conv3(width_in, width), conv3(width, width)
        self.nin_shortcut = nn.Conv2d(width_in, width, 1) if width_in != width else nn.Identity()

    def forward(self, x):
        y = self.conv1(F.silu(self.norm1(x)))
        return self.nin_shortcut(x) + self.conv2(F.silu(self.norm2(y)))


class AttnBlock(nn.Module):
    """One head over all pixels."""

    def __init__(self, p: Params, width: int):
        super().__init__()
        self.norm = group_norm(width, p)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(width, width, 1) for _ in range(4))

    def forward(self, x):
        y = self.norm(x)
        q, k, v = (layer(y).flatten(2).transpose(1, 2) for layer in (self.q, self.k, self.v))
        seen = torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(1, 2), -1) @ v
        return x + self.proj_out(seen.transpose(1, 2).reshape(x.shape))


class Downsample(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv = conv3(width, width)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class Level(nn.Module):
    """Residual blocks of one resolution, with the change of resolution where there is one."""

    def __init__(self, p: Params, width_in: int, width: int, blocks: int, resample: tuple[str, type] | None):
        super().__init__()
        self.block = nn.ModuleList(ResnetBlock(p, width_in if i == 0 else width, width) for i in range(blocks))
        self.resample = resample and resample[0]
        if resample:
            setattr(self, resample[0], resample[1](width))

    def forward(self, x):
        for block in self.block:
            x = block(x)
        return getattr(self, self.resample)(x) if self.resample else x


class Middle(nn.Module):
    def __init__(self, p: Params, width: int):
        super().__init__()
        self.block_1, self.block_2 = ResnetBlock(p, width, width), ResnetBlock(p, width, width)
        self.attn_1 = AttnBlock(p, width)

    def forward(self, x):
        return self.block_2(self.attn_1(self.block_1(x)))


class Encoder(nn.Module):
    def __init__(self, p: Params):
        super().__init__()
        widths, self.patch = [p.ch * m for m in p.ch_mult], p.pixel_patch
        self.conv_in, last = conv3(3 * self.patch**2, p.ch), len(widths) - 1
        self.down = nn.ModuleList(
            Level(p, ([p.ch, *widths])[i], width, p.num_res_blocks, ("downsample", Downsample) if i < last else None)
            for i, width in enumerate(widths)
        )
        self.mid, self.norm_out = Middle(p, widths[-1]), group_norm(widths[-1], p)
        self.conv_out = conv3(widths[-1], 2 * p.z_channels)
        self.quant_conv = nn.Conv2d(2 * p.z_channels, 2 * p.z_channels, 1) if p.quant_convs else nn.Identity()

    def forward(self, x):
        x = self.conv_in(F.pixel_unshuffle(x, self.patch))
        for level in self.down:
            x = level(x)
        return self.quant_conv(self.conv_out(F.silu(self.norm_out(self.mid(x)))))


class Decoder(nn.Module):
    def __init__(self, p: Params):
        super().__init__()
        widths, self.patch = [(p.decoder_ch or p.ch) * m for m in p.ch_mult], p.pixel_patch
        self.post_quant_conv = nn.Conv2d(p.z_channels, p.z_channels, 1) if p.quant_convs else nn.Identity()
        self.conv_in, self.mid = conv3(p.z_channels, widths[-1]), Middle(p, widths[-1])
        above = [*widths[1:], widths[-1]]
        self.up = nn.ModuleList(
            Level(p, above[i], width, p.num_res_blocks + 1, ("upsample", Upsample) if i else None)
            for i, width in enumerate(widths)
        )
        self.norm_out, self.conv_out = group_norm(widths[0], p), conv3(widths[0], 3 * self.patch**2)

    def forward(self, z):
        x = self.mid(self.conv_in(self.post_quant_conv(z)))
        for level in reversed(self.up):
            x = level(x)
        return F.pixel_shuffle(self.conv_out(F.silu(self.norm_out(x))), self.patch)


class Statistics(nn.Module):
    """Of the packed latents, kept as buffers under batch norm's names."""

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def deviation(self):
        return (self.running_var + BATCH_NORM_EPS).sqrt()


class AutoEncoder(nn.Module):
    """With packed statistics, as FLUX.2's."""

    def __init__(self, p: Params):
        super().__init__()
        self.params = p
        self.encoder, self.decoder = Encoder(p), Decoder(p)
        self.bn = Statistics(4 * p.z_channels)

    def mean(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, z, H/8p, W/8p)."""
        return self.encoder(images)[:, : self.params.z_channels]

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, N, 4z): one row of tokens, packed and normed."""
        packed = F.pixel_unshuffle(self.mean(images), 2).flatten(2).transpose(1, 2)
        return (packed - self.bn.running_mean) / self.bn.deviation()

    def decode(self, latents: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
        """(B, N, 4z) on a grid of (rows, columns) -> (B, 3, H, W), nominally in [-1, 1]."""
        packed = latents * self.bn.deviation() + self.bn.running_mean
        return self.decoder(F.pixel_shuffle(packed.transpose(1, 2).unflatten(2, grid), 2))
