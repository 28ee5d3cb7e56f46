"""How a run learns, and what that takes before it starts: memory and time of a step, as predicted. Loads no MLX.

The factors were fitted to what mlx 0.32.4 took on a CPU (FLUX.2 blocks 512 and 1024 wide, 320 and 640 tokens): 0.93 to
1.17 of the measured peak; tests/model/training/test_finetune.py holds a smaller one against them. On Metal they are
predictions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..errors import WillNotFit
from ..geometry import Size
from ..memory import Forecast, Machine, Phase, fits, gib, image_tokens
from ..speed import step_flops, step_seconds

if TYPE_CHECKING:
    from ..specs import ModelSpec

STATE = "state.checkpoint"  # of a run, in its folder
HELD, OUTER = 28, 40  # numbers h wide, of each token: kept by a block for its gradient, and outside the blocks
HELD_BETWEEN, OUTER_BETWEEN = 12, 55  # the same with gradient checkpoints: between blocks, inside the one at work
UNPACKED = 3.5  # largest layers that stand unpacked at once
STATE_BYTES = 28  # of a trained weight: itself, its average, two moments, its gradient, and the next of two of them
KEPT_BYTES = 16  # of a trained weight in a checkpoint: itself, its average, two moments
FORWARD_AND_BACKWARD = 3.0  # times the operations of a forward pass; 2 where no weight of the base is trained


@dataclass(frozen=True)
class Settings:
    """How a run learns. `rank` None trains all weights; `alpha` None is the rank."""

    rank: int | None = 16
    alpha: float | None = None
    targets: str = "blocks"
    optimizer: str = "adamw"
    rate: float = 1e-4
    batch: int = 1
    self_flow: bool = False
    ema: float = 0.99  # of the weights that are kept in the end, and of Self-Flow's teacher
    clip: float = 1.0
    shift: float | None = None  # of the times; None: by the number of tokens, as the schedule of FLUX.1
    drop: float | None = None  # share of examples without their words; None: 0.1 where the model is guided so
    prior: float = 0.0  # weight of the loss of examples that show what the model is to keep; 0: there are none
    seed: int = 0
    gradient_checkpoints: bool = False

    @property
    def adapter_alpha(self) -> float:
        """What is divided by the rank to scale an adapter."""
        return float(self.rank or 0) if self.alpha is None else self.alpha

    @property
    def recorded(self) -> dict[str, Any]:
        """What a run that goes on must share; gradient checkpoints change memory and time alone."""
        return {name: value for name, value in asdict(self).items() if name != "gradient_checkpoints"}


def forecast(
    spec: ModelSpec, weights: int, size: Size, references: int, settings: Settings, here: Machine, checkpoints: bool
) -> Forecast:
    """Peak of a step for a picture of `size` with `references` tokens of references; `weights` of the transformer."""
    t, b = spec.transformer, here.number_bytes
    h, heads, ratio = t["hidden_size"], t["num_heads"], t.get("mlp_ratio", 3.0)
    blocks = t["depth"] + t.get("depth_single_blocks", 0)
    length = spec.usual_tokens + image_tokens(spec, size) + references
    per_block, outer = (HELD_BETWEEN, OUTER_BETWEEN) if checkpoints else (HELD, OUTER)
    held = length * h * b * (per_block * blocks + outer)
    scores = 2 * heads * length**2 * b  # of one block: gradients make them anew
    layer = UNPACKED * (3 + 2 * ratio) * h * h * b
    learned = STATE_BYTES * count_trained(spec, settings)
    states = length * h * blocks * b if settings.self_flow else 0  # of the teacher
    return Forecast({"train": Phase(weights, int(held + scores + layer + learned + states))})


def count_trained(spec: ModelSpec, settings: Settings) -> int:
    """How many numbers learn."""
    if not settings.rank:
        return int(spec.parameters["transformer"])
    t = spec.transformer
    blocks = t["depth"] + t.get("depth_single_blocks", 0)
    sides = (8 + 4 * t.get("mlp_ratio", 3.0)) * t["hidden_size"]  # inputs and outputs of a block's layers together
    return int(2 * blocks * sides * settings.rank)


def count_checkpoint_bytes(spec: ModelSpec, settings: Settings) -> int:
    """Of one checkpoint on the disk: exact where all weights learn with AdamW, else an upper bound."""
    return KEPT_BYTES * count_trained(spec, settings)


def seconds(spec: ModelSpec, size: Size, settings: Settings, here: Machine) -> float | None:
    """Predicted for a step; None where the chip is not known."""
    times = FORWARD_AND_BACKWARD - (1.0 if settings.rank else 0.0) + (1.0 if settings.self_flow else 0.0)
    guided = 2 if spec.guidance_kind == "cfg" and spec.guidance != 1 else 1  # step_flops counts two passes there
    examples = settings.batch * (2 if settings.prior else 1)
    return step_seconds(step_flops(spec, size) / guided * times * examples, here)


def choose_checkpoints(
    spec: ModelSpec, weights: int, size: Size, references: int, settings: Settings, here: Machine
) -> tuple[bool, Forecast]:
    """Whether gradient checkpoints are needed, and the forecast with that choice.

    Raises WillNotFit, naming what would fit, where they are not enough.
    """
    for checkpoints in (False, True):
        needed = forecast(spec, weights, size, references, settings, here, checkpoints)
        if fits(needed, here):
            return checkpoints, needed
    ways = list(_ways_out(spec, weights, size, references, settings, here))
    raise WillNotFit(
        f"Training {spec.name} at {size} needs about {gib(needed.peak)} of memory (predicted); "
        f"this machine can give {gib(here.usable)}.",
        f"What would fit: {'; '.join(ways)}." if ways else "Train a smaller model, or one at fewer bits.",
    )


def _ways_out(
    spec: ModelSpec, weights: int, size: Size, references: int, settings: Settings, here: Machine
) -> Iterator[str]:
    from dataclasses import replace

    def would(size: Size = size, settings: Settings = settings) -> bool:
        return fits(forecast(spec, weights, size, references, settings, here, True), here)

    low = replace(settings, rank=min(settings.rank or 16, 16))
    if not settings.rank and would(settings=low):
        yield "a LoRA in place of all weights"
    for factor in (0.75, 0.5, 0.25):
        side = int((size.area**0.5) * factor) // spec.size_multiple * spec.size_multiple
        if side >= spec.min_side and would(Size(side, side), low):
            yield f"{'a LoRA at ' if not settings.rank else ''}a size of {side}"
            return
