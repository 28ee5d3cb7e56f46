"""Flow matching in torch: text encoder and transformer together, their start and their loss, as training/flow.py.

Axis letters: B batch, T text tokens, N image tokens, R reference tokens, C latent channels.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from mlx_model.geometry import Grid
from mlx_model.nets import flux2, text_qwen3
from mlx_model.training.flow import STUDENT_LAYER, TEACHER_LAYER, layer_at

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
    """Flow matching at the batch's times."""
    return velocity_error(run_states(model, batch, noise)[0], batch, noise)


class Two(NamedTuple):
    """Self-Flow's second time for some tokens; the batch's is the first."""

    times: torch.Tensor  # (B,)
    masked: torch.Tensor  # (B, N) bool: which have it


def feature_head(width: int, wanted: int) -> nn.Sequential:
    """Predicts features `wanted` wide from states: the form of the released Self-Flow head."""
    return nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, wanted))


def run_states(
    model: TextToFlow, batch: Batch, noise: torch.Tensor, two: Two | None = None
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The velocity (B, N, C), and the picture's tokens (B, N, h) after every block; words go with the batch's time."""
    times = batch.times if two is None else torch.stack([batch.times, two.times], 1)
    t = times[:, None, None] if two is None else torch.where(two.masked, times[:, 1:], times[:, :1])[..., None]
    noisy, text = (1 - t) * batch.latents + t * noise, model.text_encoder(batch.ids, batch.real)
    masked = None if two is None else two.masked
    return model.transformer.with_states(noisy, times, text, batch.references, batch.grids, masked)


def velocity_error(v: torch.Tensor, batch: Batch, noise: torch.Tensor) -> torch.Tensor:
    """Weighted mean squared error of the velocity noise - data."""
    return (batch.weights * (v - (noise - batch.latents)).square().mean(-1)).mean()


def self_flow_losses(
    model: TextToFlow, head: nn.Module, teacher: TextToFlow, batch: Batch, noise: torch.Tensor, two: Two
) -> tuple[torch.Tensor, torch.Tensor]:
    """The velocity's error at two noise levels, and the cosine to the teacher's features at the cleaner of the two."""
    v, states = run_states(model, batch, noise, two)
    with torch.no_grad():
        _, seen = run_states(teacher, batch._replace(times=torch.minimum(batch.times, two.times)), noise)
    wanted, blocks = seen[layer_at(TEACHER_LAYER, len(seen))], len(states)
    likeness = F.cosine_similarity(head(states[layer_at(STUDENT_LAYER, blocks)]), wanted, -1).mean()
    return velocity_error(v, batch, noise), likeness


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
