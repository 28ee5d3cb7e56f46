"""LoRA that learns: two small matrices beside a layer that stays as it is, dense or packed (Hu et al. 2106.09685).

y = base(x) + alpha / rank (x A^T) B^T. Axis letters: R rank, i inputs, o outputs of a layer.
"""

import math
from fnmatch import fnmatchcase
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from ..errors import RequestError
from ..store.lora import layer_sizes, size
from ..store.weights import PackedLinear, locate, unpack_layer, unpack_matrix
from .loop import Tree

BLOCKS = "*blocks*"  # every matrix of the blocks: what the trainers of this field adapt by default
ATTENTION = ("*attn*", "*.linear1", "*.linear2")  # a single block has its attention in the two
PREFIX = "diffusion_model."  # of a layer's own name in a file, which ComfyUI, diffusers and we read


class FrozenPacked(nn.Module):
    """A packed layer that gradients pass through: its matrix is unpacked again for them, and not held since the
    forward pass, which would be the whole model unpacked."""

    def __init__(self, base: PackedLinear) -> None:
        super().__init__()
        self.base = base

    def __call__(self, x: mx.array) -> mx.array:
        run: Any = mx.custom_function(self.base)
        run.vjp(self._pull_back)
        y: mx.array = run(x)
        return y

    def _pull_back(self, x: mx.array, cotangent: mx.array, y: mx.array) -> mx.array:
        """The gradient of x (..., i) from that of y (..., o)."""
        return cotangent @ unpack_matrix(self.base).astype(x.dtype)

    @property
    def weight(self) -> mx.array:
        """The packed one, which networks ask for their dtype."""
        weight: mx.array = self.base.weight
        return weight


class TrainedLinear(nn.Module):
    """A layer and its adapter; only A (R, i) and B (o, R), both float32, are trained. Named as PEFT names them."""

    def __init__(self, base: nn.Module, rank: int, scale: float, rng: np.random.Generator) -> None:
        super().__init__()
        outputs, inputs = size(base)
        self.base, self.scale = FrozenPacked(base) if isinstance(base, PackedLinear) else base, scale
        bound = 1 / math.sqrt(inputs)  # PEFT's start: kaiming_uniform_ with a = sqrt(5); B is nothing
        self.lora_A = mx.array(rng.uniform(-bound, bound, (rank, inputs)).astype(np.float32))
        self.lora_B = mx.zeros((outputs, rank))

    def __call__(self, x: mx.array) -> mx.array:
        y: mx.array = self.base(x)
        a, b = self.lora_A.astype(x.dtype), self.lora_B.astype(x.dtype)
        return y + self.scale * ((x @ a.T) @ b.T)

    @property
    def weight(self) -> mx.array:
        """The base's, which networks ask for their dtype."""
        weight: mx.array = self.base.weight
        return weight


def choose_layers(model: nn.Module, targets: str) -> list[str]:
    """Names of the layers that `targets` means: "blocks", "attention", or patterns with * between commas.

    Raises RequestError where a pattern meets none.
    """
    names = list(layer_sizes(model))
    if targets == "blocks":
        return [name for name in names if fnmatchcase(name, BLOCKS) and "adaLN" not in name and "mod" not in name]
    if targets == "attention":
        inside = choose_layers(model, "blocks")
        return [name for name in inside if any(fnmatchcase(name, pattern) for pattern in ATTENTION)]
    chosen = []
    for pattern in filter(None, (part.strip() for part in targets.split(","))):
        found = [name for name in names if fnmatchcase(name, pattern)]
        if not found:
            raise RequestError(f"No layer of this model is called {pattern}.", f"Its layers are like {names[-2]}.")
        chosen += [name for name in found if name not in chosen]
    return chosen


def add_adapters(model: nn.Module, layers: list[str], rank: int, alpha: float, seed: int = 0) -> None:
    """Freeze the model and put an adapter on each of `layers`; the same start for the same seed.

    Raises RequestError for a rank that a layer has no room for.
    """
    sizes, rng = layer_sizes(model), np.random.default_rng([29, seed])
    if too_small := [name for name in layers if min(sizes[name]) < rank]:
        raise RequestError(
            f"Rank {rank} is larger than the layer {too_small[0]}, {min(sizes[too_small[0]])} wide.",
            "Choose a smaller rank.",
        )
    model.freeze()
    for name in layers:
        parent, key = locate(model, name)
        parent[key] = TrainedLinear(parent[key], rank, alpha / rank, rng)
    for name, layer in list(model.named_modules()):
        if isinstance(layer, PackedLinear) and not name.endswith(".base"):
            parent, key = locate(model, name)
            parent[key] = FrozenPacked(layer)


def name_for_files(trained: Tree, rank: int, alpha: float, dtype: mx.Dtype) -> dict[str, mx.array]:
    """The adapters among what a model has learned, under the names of a LoRA file.

    What divides alpha by the rank is in B: diffusers refuses a file of these names with an alpha in it.
    """
    learned: dict[str, mx.array] = dict(tree_flatten(trained))
    flat = {name: array for name, array in learned.items() if name.endswith((".lora_A", ".lora_B"))}
    scaled = {name: array * (alpha / rank if name.endswith("B") else 1.0) for name, array in flat.items()}
    return {f"{PREFIX}{name}.weight": array.astype(dtype) for name, array in scaled.items()}


def unpack_layers(model: nn.Module) -> None:
    """Dense layers in place of packed ones, so that all weights can be trained; their numbers are the packed ones."""
    for name, layer in list(model.named_modules()):
        packed = layer.base if isinstance(layer, FrozenPacked) else layer
        if isinstance(packed, PackedLinear) and not name.endswith(".base"):
            parent, key = locate(model, name)
            parent[key] = unpack_layer(packed)
