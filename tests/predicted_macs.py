"""Prints the table of docs/MACS.md from the operations of the models: python -m tests.predicted_macs [--write]"""

import sys
from pathlib import Path

from mlx_model.memory import CHIPS, EFFICIENCY, step_flops
from mlx_model.specs import SPECS

MACS = Path(__file__).parents[1] / "docs" / "MACS.md"
START, END = "<!-- predicted: made by python -m tests.predicted_macs --write -->", "<!-- end of predicted -->"
MODELS = ("flux2-klein-4b", "flux2-klein-9b", "flux3-image-klein", "flux1-dev", "flux2-dev")


def table() -> str:
    """Seconds of a step at 1024 x 1024 without references, by chip."""
    head = ["| chip | " + " | ".join(f"`{name}`" for name in MODELS) + " |", "|---" * (len(MODELS) + 1) + "|"]
    return "\n".join(head + [_line(chip, tflops) for chip, tflops in CHIPS.items()])


def _line(chip: str, tflops: float) -> str:
    seconds = [step_flops(SPECS[name], SPECS[name].size) / (tflops * 1e12 * EFFICIENCY) for name in MODELS]
    return f"| {chip} | " + " | ".join(f"{one:.3g}" for one in seconds) + " |"


def with_table(text: str) -> str:
    """The document with the table between its marks replaced."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        MACS.write_text(with_table(MACS.read_text("utf-8")), "utf-8")
    else:
        print(table())
