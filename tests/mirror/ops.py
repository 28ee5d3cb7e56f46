"""What the networks of the mirror share. Axis letters: B batch, L tokens, H heads, D head width."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class RMSNorm(nn.Module):
    """Its weight is called `name`, as in the checkpoint it mirrors."""

    def __init__(self, width: int, eps: float = 1e-6, name: str = "scale"):
        super().__init__()
        self.eps, self.name = eps, name
        setattr(self, name, nn.Parameter(torch.ones(width)))

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), getattr(self, self.name).to(x.dtype), self.eps)


def split_heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    """(B, L, H * D) -> (B, H, L, D)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: torch.Tensor) -> torch.Tensor:
    """(B, H, L, D) -> (B, L, H * D)."""
    return x.transpose(1, 2).flatten(2)


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """(B, H, L, D) each. Written out: with its gradient that is faster on a CPU than torch's fused kernel."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return torch.softmax(scores, -1) @ v


def rope_angles(ids: torch.Tensor, axes: tuple[int, ...], theta: float) -> tuple[torch.Tensor, torch.Tensor]:
    """(L, axes) positions -> cosines and sines (L, D/2), counted in float64."""
    parts = [
        ids[:, i : i + 1].double() / theta ** (torch.arange(0, width, 2, dtype=torch.float64) / width)
        for i, width in enumerate(axes)
    ]
    angles = torch.cat(parts, -1)
    return angles.cos().float(), angles.sin().float()


def rotate_pairs(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotates (x0, x1), (x2, x3), ... as complex numbers."""
    turned = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous()) * torch.complex(cos, sin)
    return torch.view_as_real(turned).flatten(-2)


def rotate_halves(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotates (x0, x[D/2]), (x1, x[D/2 + 1]), ..."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)
