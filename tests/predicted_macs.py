"""Prints the table of docs/MACS.md from the operations of the models: python -m tests.predicted_macs [--write]"""

from pathlib import Path

from mlx_model.memory import CHIPS
from mlx_model.specs import SPECS
from mlx_model.speed import EFFICIENCY, step_flops
from tests.made_tables import Place

PLACE = Place(
    Path(__file__).parents[1] / "docs" / "MACS.md",
    "<!-- predicted: made by python -m tests.predicted_macs --write -->",
    "<!-- end of predicted -->",
)
MODELS = ("flux2-klein-4b", "flux2-klein-9b", "flux3-image-klein", "flux1-dev", "flux2-dev")


def table() -> str:
    """Seconds of a step at 1024 x 1024 without references, by chip."""
    head = ["| chip | " + " | ".join(f"`{name}`" for name in MODELS) + " |", "|---" * (len(MODELS) + 1) + "|"]
    return "\n".join(head + [_line(chip, tflops) for chip, tflops in CHIPS.items()])


def _line(chip: str, tflops: float) -> str:
    seconds = [step_flops(SPECS[name], SPECS[name].size) / (tflops * 1e12 * EFFICIENCY) for name in MODELS]
    return f"| {chip} | " + " | ".join(f"{one:.3g}" for one in seconds) + " |"


if __name__ == "__main__":
    PLACE.print_or_write(table())
