"""How long a step takes, as predicted from its arithmetic. Letters as in memory.py."""

from collections.abc import Sequence

from .geometry import Size
from .memory import Machine, blocks_of, image_tokens, reference_tokens, shape_of
from .specs import ModelSpec

EFFICIENCY = 0.6  # of a chip's peak; published good MLX runs reach 0.67 to 0.73, poor ones 0.39


def step_flops(spec: ModelSpec, size: Size, references: Sequence[Size] = (), tokens: int | None = None) -> float:
    """Floating-point operations of one step: blocks (2 L (4 + m r) h^2 + 4 L M h), M the keys; twice with guidance.

    Every token passes (4 + m r) h^2 weights in each block, in either kind. FLUX.2 klein 4B at 1024x1024: 34.8e12.
    Where references are banked their tokens are only keys.
    """
    h, ratio, _ = shape_of(spec)
    rows = (tokens or spec.usual_tokens) + image_tokens(spec, size)
    keys = rows + reference_tokens(spec, references)
    length = rows if spec.reference_bank else keys
    once = blocks_of(spec) * (2 * length * (4 + spec.mlp_matrices * ratio) * h * h + 4 * length * keys * h)
    return once * (2 if spec.guidance_kind == "cfg" and spec.guidance != 1 else 1)


def step_seconds(flops: float, here: Machine) -> float | None:
    """Predicted seconds of a step: operations / (peak rate x EFFICIENCY); None for a chip that isn't in the table."""
    return None if here.tflops is None else flops / (here.tflops * 1e12 * EFFICIENCY)
