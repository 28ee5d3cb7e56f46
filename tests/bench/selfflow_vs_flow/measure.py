"""What a run's averaged weights are worth after so many steps, on pictures and words that no run has seen."""

import math
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from tests.mirror import recipe
from tests.mirror.autoencoder import AutoEncoder
from tests.mirror.flow import Batch, TextToFlow, run_states, velocity_error

from . import encoders, world
from .data import Data

NOISES, STEPS, AT_ONCE = 4, 12, 16  # of a picture in the loss; Euler's of a sample
PICTURES = 48  # that are sampled, for the first of the held-out prompts
SEED = 77


def make_batch(data: Data, at: slice, times: torch.Tensor) -> Batch:
    latents = data.latents[at]
    ones = torch.ones(latents.shape[:2])
    return Batch(data.ids[at], data.real[at], latents, None, (world.GRID,), times, ones)


@torch.no_grad()
def flow_loss(model: TextToFlow, data: Data) -> float:
    """The velocity's mean squared error at one time for all tokens: the same noise and times for all models.

    Times are the training's, one from each NOISES-th of their distribution for every picture.
    """
    generator, losses = torch.Generator().manual_seed(SEED), []
    for first in range(0, len(data.ids), AT_ONCE):
        at = slice(first, first + AT_ONCE)
        for part in range(NOISES):
            latents = data.latents[at]
            share = (part + torch.rand(len(latents), generator=generator)) / NOISES
            times = torch.sigmoid(torch.special.ndtri(share.clamp(1e-4, 1 - 1e-4)) + recipe.TIME_SHIFT)
            noise, batch = torch.randn(latents.shape, generator=generator), make_batch(data, at, times)
            losses.append(velocity_error(run_states(model, batch, noise)[0], batch, noise).item())
    return float(np.mean(losses))


def list_times() -> np.ndarray:
    """(STEPS + 1,) from 1 to 0, moved as the built-in model's schedule is."""
    even, factor = np.linspace(1, 0, STEPS + 1), math.exp(recipe.SPEC.mu)
    return factor * even / (1 + (factor - 1) * even)


@torch.no_grad()
def decode(autoencoder: AutoEncoder, latents: torch.Tensor) -> list[np.ndarray]:
    """(n, N, C) -> (H, W, 3) uint8 each."""
    shown = [autoencoder.decode(one[None], world.GRID)[0].permute(1, 2, 0) for one in latents]
    return [((one.clamp(-1, 1) + 1) * 127.5).round().byte().numpy() for one in shown]


@torch.no_grad()
def sample(model: TextToFlow, data: Data) -> torch.Tensor:
    """Latents (PICTURES, N, C) for the first prompts, from the same noise for all models, without guidance."""
    generator, made = torch.Generator().manual_seed(SEED), []
    for first in range(0, min(PICTURES, len(data.ids)), AT_ONCE):
        at = slice(first, first + AT_ONCE)
        x = torch.randn(data.latents[at].shape, generator=generator)
        for now, then in zip(list_times()[:-1], list_times()[1:], strict=True):
            batch = make_batch(data, at, torch.full((len(x),), float(now)))
            x = x + float(then - now) * model(x, batch)
        made.append(x)
    return torch.cat(made)


def see_truth(autoencoder: AutoEncoder, data: Data, file: Path) -> torch.Tensor:
    """(n, 1280): the measuring network's features of the true pictures, as the autoencoder gives them back. Kept."""
    if not file.exists():
        partial = file.with_suffix(".partial")
        save_file({"truth": encoders.see_whole(decode(autoencoder, data.latents))}, partial)
        partial.replace(file)
    return load_file(file)["truth"]


def judge_all(made: list[np.ndarray], data: Data) -> dict[str, float]:
    """Means of what is right in pictures for the first prompts."""
    judged = [world.judge(asked, pixels) for asked, pixels in zip(data.asked, made, strict=False)]
    return {name: float(np.mean([one[name] for one in judged])) for name in judged[0]}


def score_pictures(model: TextToFlow, autoencoder: AutoEncoder, data: Data, truth: torch.Tensor) -> dict[str, float]:
    """What samples are worth; `truth`: see_truth."""
    made = decode(autoencoder, sample(model, data))
    return {"distance": encoders.kernel_distance(encoders.see_whole(made), truth), **judge_all(made, data)}
