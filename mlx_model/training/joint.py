"""One FLUX.2 transformer for pictures, video clips and sounds, from nothing: flow matching or Self-Flow.

As Self-Flow's joint run has it (arXiv 2603.06507): every kind has its own way in and out, places along time, rows and
columns, a share of tokens at the second time, and the blocks are the same for all. What is read of the paper, and what
is not, stands in docs/TRAINING.md. Axis letters: B batch, T words, N tokens of a clip, C numbers of one, h width.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from ..nets import flux2, text_qwen3
from ..nets.ops import Chain, Rope, rope_factors, run_layers, timestep_features
from ..run import noise
from ..run.latents import text_ids
from .flow import (
    STUDENT_LAYER,
    TEACHER_LAYER,
    WEIGHT,
    TextToFlow,
    cosine,
    initialise,
    layer_at,
    sample_times,
    token_features,
)
from .learner import OTHERS, Learner, pick, require_shares
from .needs import Settings
from .patches import FILMED, Bands, Codec, Pixels, Places, Sound

WORDS = 40  # tokens of a caption, with the template around it
SECOND = {"image": 0.25, "video": 0.1, "audio": 0.5}  # share of tokens at the second time, as the paper has them


class Sizes(NamedTuple):
    """Of a network and of what it learns."""

    codecs: dict[str, Codec]
    text: text_qwen3.Params
    blocks: flux2.Params


def choose_sizes(hidden: int = 192, side: int = 32) -> Sizes:
    """The network of `flux-local train clips`: one second of each; pixels in patches of 4 x 4, of 2 frames in video.

    A token has fewer numbers than the network is wide: its noise must come out again whole.
    """
    text = text_qwen3.Params(64, 192, 4, 2, 16, (2, 3, 4), vocab_size=1024, rope_theta=1e4)
    axes = (hidden // 16,) * 4
    blocks = flux2.Params(hidden, 4, 2, 4, text.width, in_channels=hidden, axes_dim=axes, theta=50.0)
    codecs: dict[str, Codec] = {
        "image": Pixels(1, side, (1, 4)),
        "video": Pixels(FILMED, side, (2, 4)),
        "audio": Sound(Bands(128, 64, (1, 64))),
    }
    return Sizes(codecs, text, blocks)


class Clip(NamedTuple):
    """One example. `words` (WORDS,) int32 are the caption's tokens, `real` of them are."""

    tokens: np.ndarray  # (N, C) float32
    words: np.ndarray
    real: int


class Batch(NamedTuple):
    """Examples of one kind; `times` and `others` are Self-Flow's two, the second for those that are `masked`."""

    kind: str
    clean: mx.array  # (B, N, C)
    noise: mx.array
    words: mx.array  # (B, T) int32
    real: mx.array  # (B, T) bool
    times: np.ndarray  # (B,)
    others: np.ndarray
    masked: np.ndarray  # (B, N) bool


class Joint(TextToFlow):
    """Text encoder and blocks for all kinds, each kind's way in and out, and the head that predicts the teacher."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes.text, sizes.blocks)
        hidden = sizes.blocks.hidden_size
        self.places = {kind: codec.places for kind, codec in sizes.codecs.items()}
        widths = {kind: codec.width for kind, codec in sizes.codecs.items()}
        self.ways_in = {kind: nn.Linear(width, hidden, bias=False) for kind, width in widths.items()}
        self.ways_out = {kind: nn.Linear(hidden, width, bias=False) for kind, width in widths.items()}
        self.head: Chain = [nn.Linear(hidden, 2 * hidden), nn.SiLU(), nn.Linear(2 * hidden, hidden)]

    def run(
        self, kind: str, noisy: mx.array, times: np.ndarray, first: np.ndarray, words: mx.array, real: mx.array
    ) -> tuple[mx.array, list[mx.array]]:
        """(B, N, C) at `times`, (B,) or (B, N) -> velocity (B, N, C), and tokens (B, N, h) after every block.

        Words go with the `first` (B,) of two times.
        """
        rope = rope_tables(self.transformer.params, words.shape[1], self.places[kind])
        condition = self.transformer.condition(self.text_encoder(words, real), rope)
        if times.ndim == 2:
            features = token_features(times, first, words.shape[1], rope.shape[0])
        else:
            features = timestep_features(times)
        v, states = self.transformer.with_states(self.ways_in[kind](noisy), features, condition)
        return self.ways_out[kind](v), states


def clip_ids(places: Places) -> np.ndarray:
    """(N, 4) on FLUX.2's axes: (time, row, column, 0); words have (0, 0, 0, i)."""
    at = np.indices(places).reshape(3, -1).T
    ids: np.ndarray = np.pad(at, ((0, 0), (0, 1)))
    return ids


@lru_cache(maxsize=16)
def rope_tables(params: flux2.Params, words: int, places: Places) -> Rope:
    tables = rope_factors(np.concatenate([text_ids(words), clip_ids(places)]), params.axes_dim, params.theta)
    mx.eval(tables)
    return tables


def mix(batch: Batch, times: np.ndarray) -> mx.array:
    """(B, N, C) at `times`, (B,) or (B, N)."""
    t = mx.array(times.astype(np.float32).reshape(len(times), -1, 1))
    return (1 - t) * batch.clean + t * batch.noise


def flow_error(model: Joint, batch: Batch) -> mx.array:
    """Mean squared error of the velocity at one time for all tokens of a clip."""
    v, _ = _run(model, batch, batch.times)
    return _error(v, batch)


def self_flow_losses(model: Joint, batch: Batch, seen: mx.array) -> tuple[mx.array, mx.array]:
    """The velocity's error at two times, and the cosine of the head's prediction to `seen` (B, N, h)."""
    v, states = _run(model, batch, np.where(batch.masked, batch.others[:, None], batch.times[:, None]))
    predicted = run_layers(model.head, states[layer_at(STUDENT_LAYER, len(states))])
    return _error(v, batch), cosine(predicted, mx.stop_gradient(seen))


def see_as_teacher(model: Joint, batch: Batch) -> mx.array:
    """(B, N, h) of the deeper layer, all tokens at the cleaner of the two times."""
    cleaner = np.minimum(batch.times, batch.others)
    _, states = _run(model, batch._replace(times=cleaner), cleaner)
    return states[layer_at(TEACHER_LAYER, len(states))]


def _run(model: Joint, batch: Batch, times: np.ndarray) -> tuple[mx.array, list[mx.array]]:
    return model.run(batch.kind, mix(batch, times), times, batch.times, batch.words, batch.real)


def _error(v: mx.array, batch: Batch) -> mx.array:
    return (v - (batch.noise - batch.clean)).square().mean()


class JointLearner(Learner):
    """A run from nothing over clips of several kinds: a step learns from `batch` examples of each of them."""

    def __init__(self, clips: dict[str, list[Clip]], sizes: Sizes, settings: Settings) -> None:
        require_shares(settings.batch)
        self.clips, self.kinds = clips, list(clips)
        mx.random.seed(settings.seed)
        self.model = Joint(sizes._replace(codecs={kind: sizes.codecs[kind] for kind in clips}))
        initialise(self.model)
        super().__init__(self.model, settings, mx.float32)
        self._gradient = nn.value_and_grad(self.model, self._loss)

    def split(self, numbers: range) -> Iterator[tuple[str, list[int]]]:
        """All examples of a kind go together; chance is another one for each kind."""
        for place, kind in enumerate(self.kinds):
            yield kind, [place * OTHERS + number for number in numbers]

    def learn(self, part: tuple[str, list[int]]) -> Any:
        """Loss and gradients of examples of one kind, summed."""
        kind, numbers = part
        batch = draw_batch(self.settings.seed, kind, numbers, self.clips[kind])
        seen = self._see(batch) if self.settings.self_flow else None
        return self._gradient(batch, seen)

    def _see(self, batch: Batch) -> mx.array:
        with self.hold_average():
            seen = see_as_teacher(self.model, batch)
            mx.eval(seen)
        return seen

    def _loss(self, batch: Batch, seen: mx.array | None) -> tuple[mx.array, dict[str, mx.array]]:
        count = len(batch.times)
        error, likeness = (flow_error(self.model, batch), None) if seen is None else self_flow_losses(
            self.model, batch, seen
        )  # fmt: skip
        figures = {"loss": error / len(self.kinds), batch.kind: error}
        if likeness is not None:
            figures |= {"likeness": likeness / len(self.kinds), f"{batch.kind}_likeness": likeness}
            error = error - WEIGHT * likeness
        return count * error, {name: count * value for name, value in figures.items()}

    def result(self) -> dict[str, mx.array]:
        """The averaged weights, without the head."""
        flat: dict[str, mx.array] = dict(tree_flatten(self.ema))
        return {name: array for name, array in flat.items() if not name.startswith("head.")}


def draw_batch(seed: int, kind: str, numbers: list[int], clips: list[Clip]) -> Batch:
    """The examples with these numbers of a run, what chance decides for each depends on its number alone."""
    chosen = [clips[pick(seed, number, len(clips))] for number in numbers]
    shape = chosen[0].tokens.shape
    drawn = [_draw(seed, number, shape[0], SECOND[kind]) for number in numbers]
    noises = np.stack([noise.normal(seed, shape, stream=number + 1) for number in numbers])
    (times, others), masked = np.array([one[:2] for one in drawn]).T, np.stack([one[2] for one in drawn])
    return Batch(kind, *_stack(chosen, noises), times, others, masked)


def _stack(clips: list[Clip], noises: np.ndarray) -> tuple[mx.array, mx.array, mx.array, mx.array]:
    clean, words = (mx.array(np.stack(parts)) for parts in zip(*[clip[:2] for clip in clips], strict=True))
    real = np.arange(words.shape[1]) < np.array([[clip.real] for clip in clips])
    return clean, mx.array(noises), words, mx.array(real)


def _draw(seed: int, number: int, count: int, share: float) -> tuple[float, float, np.ndarray]:
    rng = np.random.default_rng([41, seed, number])
    first, second = sample_times(rng, 2, 0.0)
    return first, second, rng.random(count) < share


def sample(model: Joint, kind: str, clips: list[Clip], seed: int, steps: int = 20) -> np.ndarray:
    """(B, N, C) for the captions of `clips`: Euler's steps from the seed's noise, without guidance."""
    shape = clips[0].tokens.shape
    noises = np.stack([noise.normal(seed + number, shape) for number in range(len(clips))])
    _, x, words, real = _stack(clips, noises)
    times = np.linspace(1, 0, steps + 1)
    for now, then in pairwise(times):
        at = np.full(len(clips), now)
        v, _ = model.run(kind, x, at, at, words, real)
        x = x + float(then - now) * v
        mx.eval(x)
    return np.array(x)
