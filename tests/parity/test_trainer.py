"""The product's trainer against torch: losses, gradients and one step of the optimiser, of all weights."""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

import mlx.core as mx  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from mlx.utils import tree_flatten  # noqa: E402

from mlx_model.geometry import Size  # noqa: E402
from mlx_model.request import Reference, Request  # noqa: E402
from mlx_model.run.pipeline import Pipeline  # noqa: E402
from mlx_model.training import examples, finetune, flow, learner, objective  # noqa: E402
from mlx_model.training.needs import Settings  # noqa: E402
from tests.mirror.names import to_torch  # noqa: E402
from tests.mirror.transformer import Transformer  # noqa: E402

MINI = Path(__file__).parents[2] / "assets" / "mini"
SIDE, SHIFT, RATE, SEED = Size(64, 64), 0.3, 1e-3, 5


def open_example(seed: int, references: int) -> examples.Example:
    pixels = np.random.default_rng(seed).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    request = Request("mini", "a cat in the snow", *SIDE, references=(Reference(pixels=pixels),) * references)
    return examples.Example(request, np.roll(pixels, 9, 0))


@pytest.fixture
def begin(tmp_path):
    """A trainer of all weights in float32, at its first step; `prior` weighs an example without references."""

    def run(self_flow: bool, prior: float = 0.0) -> finetune.Trainer:
        pipe, store = Pipeline.open(MINI, "float32"), examples.Store(tmp_path, "mini")
        source = examples.Source("a", "a", "a cat in the snow", None, SIDE, partial(open_example, 1, 1))
        kept = examples.Source("b", "b", "a dog on the beach", None, SIDE, partial(open_example, 2, 0))
        list(examples.encode_all(pipe, [source, kept], store, False))
        settings = Settings(rank=None, rate=RATE, seed=SEED, shift=SHIFT, drop=0.0, self_flow=self_flow, prior=prior)
        return finetune.Trainer(pipe, [source], store, settings, [kept])

    return run


class Torch:
    """The same network and its examples in torch."""

    def __init__(self, run: finetune.Trainer):
        weights = to_torch(dict(tree_flatten(run.masters["transformer"])))
        self.run, self.model = run, Transformer(run.pipe.transformer.params)
        self.model.load_state_dict(weights, strict=True)
        self.take(run.sources[0], 0)

    def take(self, source: examples.Source, number: int) -> None:
        """The example that the losses are of from now on, as the run draws it."""
        given = examples.features_of(self.run.pipe, self.run.store, source)
        shape = (1, math.prod(given.grid), self.run.pipe.channels)
        self.drawn = objective.draw(SEED, number, shape, SHIFT, 0.0)
        self.text, self.latents, self.noise = map(self.tensor, (given.text, given.latents, self.drawn.noise))
        seen = given.references
        self.references = self.tensor(seen.latents) if seen else None
        self.grids = (tuple(given.grid), *map(tuple, seen.grids if seen else ()))

    def tensor(self, array: mx.array) -> torch.Tensor:
        return torch.from_numpy(np.array(array.astype(mx.float32)))

    def error(self, velocity: torch.Tensor) -> torch.Tensor:
        return (velocity - (self.noise - self.latents)).square().mean()

    def flow_loss(self) -> torch.Tensor:
        t = float(self.drawn.time)
        noisy = (1 - t) * self.latents + t * self.noise
        return self.error(self.model(noisy, torch.tensor([t]), self.text, self.references, self.grids))

    def run_at(self, first: float, second: float, masked: np.ndarray) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Velocity, and picture tokens after each block; words and references go with the `first` time."""
        t = torch.from_numpy(np.where(masked, second, first)).float()[None, :, None]
        noisy, times = (1 - t) * self.latents + t * self.noise, torch.tensor([[first, second]])
        second_ones = torch.from_numpy(masked)[None]
        return self.model.with_states(noisy, times, self.text, self.references, self.grids, second_ones)

    def self_flow_losses(self, head: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
        """The paper's: a quarter of the tokens at the second time; the teacher at the cleaner, without gradient."""
        first, second = self.drawn.time, self.drawn.other
        velocity, states = self.run_at(first, second, self.drawn.masked)
        with torch.no_grad():
            _, seen = self.run_at(min(first, second), second, np.zeros_like(self.drawn.masked))
        depth = len(states)
        student, teacher = (max(0, round(share * depth) - 1) for share in (0.3, 0.7))
        return self.error(velocity), F.cosine_similarity(head(states[student]), seen[teacher], dim=-1).mean()


def head_of(run: finetune.Trainer) -> torch.nn.Module:
    width = run.pipe.transformer.params.hidden_size
    head = torch.nn.Sequential(torch.nn.Linear(width, 2 * width), torch.nn.SiLU(), torch.nn.Linear(2 * width, width))
    arrays = dict(tree_flatten(run.masters["head"]))
    head.load_state_dict({name.removeprefix("layers."): x for name, x in to_torch(arrays).items()})
    return head


def far(ours: np.ndarray, theirs: torch.Tensor) -> float:
    """Largest difference, as a share of the largest number."""
    theirs = theirs.detach().numpy()
    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-12))


@pytest.mark.parametrize(("self_flow", "prior"), [(False, 0.0), (True, 0.0), (False, 0.7)])
def test_losses_gradients_and_a_step_are_those_of_torch(begin, self_flow, prior):
    run = begin(self_flow, prior)
    theirs, kept = Torch(run), torch.zeros(())
    named = {f"transformer.{name}": x for name, x in theirs.model.named_parameters()}
    if self_flow:
        head = head_of(run)
        named |= {f"head.layers.{name}": x for name, x in head.named_parameters()}
        error, likeness = theirs.self_flow_losses(head)
        loss = error - flow.WEIGHT * likeness
    else:
        loss = error = theirs.flow_loss()
    if prior:
        theirs.take(run.priors[0], learner.OTHERS)
        kept = theirs.flow_loss()
        loss = loss + prior * kept
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(named.values(), 1.0)
    optimizer = torch.optim.AdamW(named.values(), RATE / learner.WARMUP, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.01)
    figures = run.advance()
    assert figures["loss"] == pytest.approx(error.item(), rel=1e-4)
    assert figures.get("prior", 0.0) == pytest.approx(kept.item(), rel=1e-4)
    if self_flow:
        assert figures["likeness"] == pytest.approx(likeness.item(), abs=1e-4)
    assert figures["norm"] == pytest.approx(norm.item(), rel=1e-3)
    moments = dict(tree_flatten(run.optimizer.state))
    assert all(far(np.array(moments[f"{name}.m"]) * 10, x.grad) < 2e-3 for name, x in named.items())
    before = {name: x.detach().clone() for name, x in named.items()}
    for (
        name,
        x,
    ) in named.items():  # Adam's first step is a sign, which rounding turns where a gradient is nearly nothing
        x.grad = torch.from_numpy(np.array(moments[f"{name}.m"]) * 10)
    optimizer.step()
    learned = dict(tree_flatten(run.masters))
    moved = {name: np.array(learned[name]) - before[name].numpy() for name in named}
    assert all(far(moved[name], x.detach() - before[name]) < 1e-2 for name, x in named.items())


def test_the_two_times_of_self_flow_differ_here(begin):
    """Else the test above would be one of flow matching."""
    drawn = Torch(begin(False)).drawn
    assert abs(drawn.time - drawn.other) > 0.05
    assert 0 < drawn.masked.sum() < len(drawn.masked)
