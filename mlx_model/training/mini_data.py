"""Samples of the mini world as latents and token ids, drawn as they are needed and used again a few times.

Drawing and encoding a sample costs nearly as much as training on it, so each process keeps what it has encoded and
mixes fresh samples with old ones.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import mlx.core as mx
import numpy as np

from ..nets import autoencoder
from ..run.pictures import to_signed
from ..run.tokenize import PromptTokenizer
from ..specs import SPECS
from . import mini_world as world
from .flow import Batch, sample_times

SIZE = SPECS["mini"].size[::-1]  # (height, width)
TOKEN = SPECS["mini"].size_multiple  # its side in pixels
KEPT = 12_000  # samples by number of references
SMALL = 0.4  # an edit changes less than this share of the picture
MARKED = 3.0  # the weight of tokens that a small edit changes, and alike of all with characters, who are to stay
NO_PROMPT = 0.08  # share of samples trained without words, for guidance


class Encoded(NamedTuple):
    ids: np.ndarray
    real: np.ndarray
    latents: np.ndarray  # (1 + references, tokens, channels) float16, the target first
    weights: np.ndarray  # (tokens,) of the loss: small changes count more than what only has to stay


class Samples:
    """Endless batches; `phase(step)` names the mix of tasks to draw from."""

    def __init__(
        self,
        model: autoencoder.AutoEncoder,
        tokenizer: PromptTokenizer,
        rng: np.random.Generator,
        batch: int,
        shift: float,
        phase: Callable[[int], str],
        first: int = 0,
        fresh: float = 0.35,
    ):
        self.model, self.tokenizer, self.rng = model, tokenizer, rng
        self.size, self.shift, self.phase, self.step, self.fresh = batch, shift, phase, first, fresh
        self.kept: dict[tuple[str, int], list[Encoded]] = {}

    def __iter__(self) -> Iterator[Batch]:
        while True:
            self.step += 1
            yield self.batch(self.phase(self.step))

    def batch(self, phase: str) -> Batch:
        count = world.REFERENCES.get(world.pick_task(self.rng, phase), 1)
        kept = self.kept.setdefault((phase, count), [])
        if len(kept) < KEPT:
            wanted = self.size if len(kept) < 8 * self.size else round(self.size * self.fresh)
            kept.extend(self._encode([self._draw(phase, count) for _ in range(wanted)]))
        chosen = [kept[i] for i in self.rng.integers(0, len(kept), self.size)]
        return self._join(chosen)

    def _draw(self, phase: str, count: int) -> world.Sample:
        task = world.pick_task(self.rng, phase)
        while world.REFERENCES.get(task, 1) != count:
            task = world.pick_task(self.rng, phase)
        return world.draw(self.rng, task, size=SIZE)

    def _encode(self, samples: list[world.Sample]) -> list[Encoded]:
        shown = np.stack([picture for s in samples for picture in (s.target, *s.references)])
        latents = np.array(self.model.encode(to_signed(shown)).astype(mx.float16))
        latents = latents.reshape(len(samples), -1, SIZE[0] * SIZE[1] // TOKEN**2, latents.shape[-1])
        return [Encoded(*self._words(s.prompt), x, weights(s)) for s, x in zip(samples, latents, strict=True)]

    def _words(self, prompt: str) -> tuple[np.ndarray, np.ndarray]:
        draw = self.rng.random()
        prompt = "" if draw < NO_PROMPT else prompt + "." if draw > 0.9 else prompt
        ids, real = self.tokenizer(prompt)
        return ids[0], real[0]

    def _join(self, chosen: list[Encoded]) -> Batch:
        latents = mx.array(np.stack([s.latents for s in chosen])).astype(mx.float32)
        count = latents.shape[1] - 1
        references = latents[:, 1:].reshape(len(chosen), -1, latents.shape[-1]) if count else None
        grid = (SIZE[0] // TOKEN, SIZE[1] // TOKEN)
        ids = mx.array(np.stack([s.ids for s in chosen]))
        real = mx.array(np.stack([s.real for s in chosen]))
        times = sample_times(self.rng, len(chosen), self.shift)
        weights = mx.array(np.stack([s.weights for s in chosen]))
        return Batch(ids, real, latents[:, 0], references, (grid,) * (1 + count), times, weights)


def weights(sample: world.Sample, side: int = 16) -> np.ndarray:
    """Weight of each token of side x side pixels: MARKED where a small edit happens or somebody stands, 1 elsewhere."""
    empty = world.render(replace(sample.scene, actors=()))
    marked = in_tokens((empty != sample.target).any(2), side)
    if sample.changed.mean() < SMALL:
        marked |= in_tokens(sample.changed, side)
    return np.where(marked, MARKED, 1.0).astype(np.float32)


def in_tokens(pixels: np.ndarray, side: int = 16) -> np.ndarray:
    """(H, W) bool -> (tokens,) bool: whether any pixel of the token is set."""
    height, width = pixels.shape
    return pixels.reshape(height // side, side, width // side, side).any((1, 3)).reshape(-1)
