"""Training on a person's own examples: LoRA or all weights, flow matching or Self-Flow, resumable to the bit.

Every example goes through the network alone and gradients are added up over `batch` of them: sizes and prompts may
differ, and memory does not grow.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from ..errors import RequestError
from ..request import Request
from ..run.pipeline import Pipeline
from ..run.sampler import linear_mu
from . import objective
from .adapters import add_adapters, choose_layers, name_for_files, unpack_layers
from .examples import Features, Source, Store, features_of
from .flow import WEIGHT
from .learner import OTHERS, Learner, pick, require_shares
from .loop import Tree
from .needs import Settings


class Trained(nn.Module):
    """What gradients are taken of: the transformer, and Self-Flow's head where the model has none of its own."""

    def __init__(self, transformer: nn.Module, head: nn.Module | None) -> None:
        super().__init__()
        self.transformer = transformer
        if head is not None:
            self.head = head


class Trainer(Learner):
    """One run: the pipeline whose transformer learns, its examples, and everything that a checkpoint holds.

    With a prior weight, each step also learns from as many of `priors`, which show what the model is to keep
    (DreamBooth, Ruiz et al. 2208.12242): the loss is that of `sources` plus the weight times that of `priors`.
    """

    def __init__(
        self, pipe: Pipeline, sources: Sequence[Source], store: Store, settings: Settings, priors: Sequence[Source] = ()
    ) -> None:
        self.pipe, self.sources, self.store, self.settings = pipe, sources, store, settings
        self.priors = priors if settings.prior else ()
        require_shares(settings.batch)
        if not pipe.whole:  # what steers blocks learns too
            pipe.whole = True
            pipe.unload("transformer")
        model = pipe.transformer
        pipe.banks = objective.Unkept()
        layers = choose_layers(model, settings.targets) if settings.rank else []
        if settings.rank:
            add_adapters(model, layers, settings.rank, settings.adapter_alpha, settings.seed)
        else:
            unpack_layers(model)
            model.unfreeze()
        self.head = self._make_head() if settings.self_flow else None
        own = self.head is not None and self.head is not getattr(model, "projector", None)
        trained = Trained(model, self.head if own else None)
        super().__init__(trained, settings, mx.float32 if settings.rank else getattr(mx, pipe.dtype))
        self.request = Request(pipe.spec.name, guidance=1.0)
        self._gradient = nn.value_and_grad(self.trained, self._loss)

    def _make_head(self) -> nn.Module:
        if self.pipe.spec.family not in objective.RUNS:
            raise RequestError(
                f"{self.pipe.spec.title} takes one time for the whole picture, Self-Flow one for each part.",
                "Train without Self-Flow, or a FLUX.2 or SiT model.",
            )
        head = objective.make_head(self.pipe.transformer, self.pipe.transformer.params.hidden_size, self.settings.seed)
        head.unfreeze()
        return head

    # one step

    def split(self, numbers: range) -> Iterable[int]:
        """Every example goes alone."""
        return *numbers, *(OTHERS + number for number in numbers if self.priors)

    def learn(self, number: int) -> Any:
        """Loss and gradients of example `number` of the run, from OTHERS on of a prior one."""
        sources = self.priors if number >= OTHERS else self.sources
        source = sources[pick(self.settings.seed, number, len(sources))]
        shape = (1, math.prod(source.size.grid(self.pipe.spec.size_multiple)), self.pipe.channels)
        drawn = objective.draw(self.settings.seed, number, shape, self._shift(shape[1]), self._drop())
        given = features_of(self.pipe, self.store, source, "" if drawn.dropped else None)
        seen = self._see(given, drawn) if self.settings.self_flow else None
        return self._gradient(given, drawn, seen, number >= OTHERS)

    def _see(self, given: Features, drawn: objective.Draw) -> mx.array:
        """The teacher is the moving average of the student: its weights are put in for one look."""
        with self.hold_average():
            seen = objective.see_as_teacher(self.pipe, self.request, given, drawn)
            mx.eval(seen)
        return seen

    def _loss(
        self, given: Features, drawn: objective.Draw, seen: mx.array | None, prior: bool = False
    ) -> tuple[mx.array, dict[str, mx.array]]:
        if seen is None or self.head is None:
            error, likeness = objective.flow_loss(self.pipe, self.request, given, drawn), None
        else:
            error, likeness = objective.self_flow_losses(self.pipe, self.request, given, drawn, self.head, seen)
        loss = error if likeness is None else error - WEIGHT * likeness
        if prior:
            return self.settings.prior * loss, {"prior": error}
        return loss, {"loss": error} | ({} if likeness is None else {"likeness": likeness})

    def _shift(self, tokens: int) -> float:
        return linear_mu(tokens) if self.settings.shift is None else self.settings.shift

    def _drop(self) -> float:
        if self.settings.drop is not None:
            return self.settings.drop
        return 0.1 if self.pipe.spec.guidance_kind == "cfg" else 0.0

    def result(self) -> dict[str, mx.array]:
        """The averaged weights by their names in a file: a LoRA's, or the checkpoint's own."""
        kind = mx.float32 if self.pipe.dtype == "float32" else getattr(mx, self.pipe.dtype)
        learned: Tree = self.ema["transformer"]
        if self.settings.rank:
            return name_for_files(learned, self.settings.rank, self.settings.adapter_alpha, kind)
        flat: dict[str, mx.array] = dict(tree_flatten(learned))
        return {name: array.astype(kind) for name, array in flat.items()}
