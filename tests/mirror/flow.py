"""Flow matching in torch: text encoder and transformer together, their start and their loss, as training/flow.py.

Axis letters: B batch, T text tokens, N image tokens, R reference tokens, C latent channels.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn as nn

from mlx_model.geometry import Grid
from mlx_model.nets import flux2, text_qwen3

from .text_encoder import TextEncoder
from .transformer import Transformer


class Batch(NamedTuple):
    """Samples with the same grids; `latents` is clean."""

    ids: torch.Tensor  # (B, T) int64
    real: torch.Tensor  # (B, T) bool
    latents: torch.Tensor  # (B, N, C)
    references: torch.Tensor | None  # (B, R, C)
    grids: tuple[Grid, ...]  # of the picture, then of each reference
    times: torch.Tensor  # (B,) in (0, 1)
    weights: torch.Tensor  # (B, N) of the loss


class TextToFlow(nn.Module):
    """Text encoder and transformer, trained together."""

    def __init__(self, text: text_qwen3.Params, transformer: flux2.Params):
        super().__init__()
        self.text_encoder, self.transformer = TextEncoder(text), Transformer(transformer)

    def forward(self, noisy: torch.Tensor, batch: Batch) -> torch.Tensor:
        """The velocity (B, N, C) at the batch's times."""
        text = self.text_encoder(batch.ids, batch.real)
        return self.transformer(noisy, batch.times, text, batch.references, batch.grids)


def sample_times(generator: torch.Generator, count: int, shift: float) -> torch.Tensor:
    """(count,) logit-normal times, their median moved to sigmoid(shift)."""
    return torch.sigmoid(torch.randn(count, generator=generator) + shift)


def velocity_loss(model: TextToFlow, batch: Batch, noise: torch.Tensor) -> torch.Tensor:
    """Weighted mean squared error of the velocity noise - data."""
    t = batch.times[:, None, None]
    v = model((1 - t) * batch.latents + t * noise, batch)
    return (batch.weights * (v - (noise - batch.latents)).square().mean(-1)).mean()


@torch.no_grad()
def initialise(model: TextToFlow, seed: int = 0, qk_scale: float = 1.5) -> None:
    """MLX's random start, then training/flow.py's: gates near 1, shifts and scales near 0, a last layer of zeros."""
    generator, t = torch.Generator().manual_seed(seed), model.transformer
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            _randomise(name, parameter, generator)
        elif name.endswith("query_norm.scale"):
            parameter.mul_(qk_scale)
    _open_gates(t)
    t.final_layer.linear.weight.zero_()
    t.final_layer.adaLN_modulation[1].weight.mul_(0.1)


def _randomise(name: str, parameter: torch.Tensor, generator: torch.Generator) -> None:
    bound = parameter.shape[1] ** -0.5
    if "embed_tokens" in name:
        parameter.normal_(0, bound, generator=generator)
    else:
        parameter.uniform_(-bound, bound, generator=generator)


def _open_gates(t: Transformer) -> None:
    """Through the one time feature that is constant, see training/flow.py."""
    first, out, constant = t.time_in.in_layer.weight, t.time_in.out_layer.weight, flux2.TIME_FEATURES // 2 - 1
    first[0], out[0] = 0.0, 0.0
    first[0, constant], out[0, 0] = 4.0, 1.0
    level = 3.93 / (1 + np.exp(-3.93))
    for modulation, gates in (
        (t.double_stream_modulation_img, (2, 5)),
        (t.double_stream_modulation_txt, (2, 5)),
        (t.single_stream_modulation, (2,)),
    ):
        weight = modulation.lin.weight.mul_(0.1)
        for gate in gates:
            weight[gate * weight.shape[1] : (gate + 1) * weight.shape[1], 0] = 1.0 / level
