"""Samples of the mini world as latents and token ids, each drawn once and used about four times.

Drawing and encoding one costs half as much as training on it. What is encoded stays on disk in rings: the last KEPT of
each kind are drawn from, and SLACK more survive, so that a run which goes on from a checkpoint sees the same again.
Axis letters: T text tokens, N image tokens, C latent channels.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import mlx.core as mx
import numpy as np
import torch

from mlx_model.run.tokenize import PromptTokenizer
from mlx_model.training import mini_world as world
from mlx_model.training.mini_data import NO_PROMPT, weights

from . import recipe
from .autoencoder import AutoEncoder
from .flow import Batch, sample_times
from .names import to_torch

KEPT, SLACK = 12_000, 6_000
FRESH = 0.25  # of a batch
FILLED = 6  # batches, before samples are used again
MANY = 3  # with more references a batch is smaller
AT_ONCE = 4  # pictures through the autoencoder: more do not fit a core's cache


class Drawn(NamedTuple):
    """A sample with the words that the model is given, which may be none."""

    sample: world.Sample
    ids: np.ndarray
    real: np.ndarray


def signed(pictures: Sequence[np.ndarray]) -> torch.Tensor:
    """(H, W, 3) uint8 each -> (B, 3, H, W) in [-1, 1]."""
    x = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return x.contiguous(memory_format=torch.channels_last)


def open_autoencoder(file: Path) -> AutoEncoder:
    """From a file in MLX's layout."""
    model = AutoEncoder(recipe.AUTOENCODER)
    model.load_state_dict(to_torch(mx.load(str(file))))
    return model.to(memory_format=torch.channels_last).eval()


class Ring:
    """Encoded samples with the same number of references, in memory-mapped files."""

    def __init__(self, folder: Path, name: str, references: int, made: int = 0):
        length, tokens = recipe.SPEC.max_tokens, math.prod(recipe.GRID)
        parts = {
            "ids": ((length,), np.int16),
            "real": ((length,), bool),
            "weights": ((tokens,), np.float32),
            "latents": ((1 + references, tokens, recipe.TRANSFORMER.in_channels), np.float16),
        }
        files = {part: folder / f"pool_{name}_{part}.npy" for part in parts}
        self.made = made if all(file.exists() for file in files.values()) else 0
        self.parts = [mapped(files[part], shape, kind) for part, (shape, kind) in parts.items()]

    def add(self, rows: Sequence[tuple]) -> None:
        for row in rows:
            for part, value in zip(self.parts, row, strict=True):
                part[self.made % len(part)] = value
            self.made += 1

    def take(self, rng: np.random.Generator, count: int) -> list[torch.Tensor]:
        """`count` of the last KEPT at random: one tensor for each part."""
        at = rng.integers(max(0, self.made - KEPT), self.made, count) % (KEPT + SLACK)
        return [torch.from_numpy(np.ascontiguousarray(part[at])) for part in self.parts]


def mapped(file: Path, shape: tuple[int, ...], kind: type) -> np.memmap:
    """The array in this file, made where it isn't there."""
    if file.exists():
        return np.lib.format.open_memmap(file, "r+")
    return np.lib.format.open_memmap(file, "w+", kind, (KEPT + SLACK, *shape))


class Samples:
    """Batches of a run; `made` says how many samples each ring held at its checkpoint."""

    def __init__(self, run: Path, rng: np.random.Generator, made: Mapping[str, int]):
        self.folder, self.rng = run / "transformer", rng
        self.autoencoder = open_autoencoder(run / "autoencoder.safetensors")
        self.tokenizer = PromptTokenizer(run / "tokenizer", recipe.SPEC.template, recipe.SPEC.max_tokens)
        self.rings: dict[str, Ring] = {}
        for name, count in made.items():
            self.ring(*name.split("-"), made=count)

    @property
    def made(self) -> dict[str, int]:
        return {name: ring.made for name, ring in self.rings.items()}

    def ring(self, phase: str, references: int | str, made: int = 0) -> Ring:
        name = f"{phase}-{references}"
        if name not in self.rings:
            self.rings[name] = Ring(self.folder, name, int(references), made)
        return self.rings[name]

    def batch(self, phase: str, size: int, generator: torch.Generator) -> Batch:
        """Samples with the same number of references, which the phase's tasks choose."""
        references = world.REFERENCES.get(world.pick_task(self.rng, phase), 1)
        ring, size = self.ring(phase, references), max(4, size * 2 // 3) if references > MANY else size
        wanted = size if ring.made < FILLED * size else round(size * FRESH)
        ring.add(self.encode([self.draw(phase, references) for _ in range(wanted)]))
        ids, real, weight, latents = ring.take(self.rng, size)
        clean, given = latents[:, 0].float(), latents[:, 1:].float().flatten(1, 2)
        times = sample_times(generator, size, recipe.TIME_SHIFT)
        grids = (recipe.GRID,) * (1 + references)
        return Batch(ids.long(), real, clean, given if references else None, grids, times, weight)

    def draw(self, phase: str, references: int) -> Drawn:
        """One sample of this phase whose words all fit."""
        while True:
            task = world.pick_task(self.rng, phase)
            if world.REFERENCES.get(task, 1) != references:
                continue
            sample = world.draw(self.rng, task, size=(recipe.SIDE, recipe.SIDE))
            prompt = self.said(sample.prompt)
            if not self.tokenizer.left_out(prompt):
                ids, real = self.tokenizer(prompt)
                return Drawn(sample, ids[0], real[0])

    def said(self, prompt: str) -> str:
        """Now and then nothing, for guidance, or a full stop."""
        draw = self.rng.random()
        return "" if draw < NO_PROMPT else prompt + "." if draw > 0.9 else prompt

    @torch.no_grad()
    def encode(self, drawn: Sequence[Drawn]) -> list[tuple]:
        """What a ring holds of each."""
        shown = signed([picture for one in drawn for picture in (one.sample.target, *one.sample.references)])
        latents = torch.cat([self.autoencoder.encode(part) for part in shown.split(AT_ONCE)])
        latents = latents.unflatten(0, (len(drawn), -1)).numpy()
        side = recipe.SIDE // recipe.GRID[0]
        return [(one.ids, one.real, weights(one.sample, side), x) for one, x in zip(drawn, latents, strict=True)]
