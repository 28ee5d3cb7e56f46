"""What live mode's first picture takes on a chip, as predicted: python -m tests.bench.live ["M3 Max"]

A step's operations (mlx_model/speed.py) at 0.6 of the chip's rate, of the draft that live mode makes of 1024 x 1024
with references of that size. Beside it: the pause before it, 250 ms, and its decode, a quarter of a full picture's; the
prompt where that is new, and once the references. Nothing of it was measured on a Mac.
"""

import dataclasses
import sys

from app.gui.document.live import choose_steps, make_draft
from mlx_model.memory import CHIPS, Machine
from mlx_model.request import Reference, Request, check
from mlx_model.specs import SPECS
from mlx_model.speed import step_flops, step_seconds

CASES = (("flux2-klein-4b", 0), ("flux2-klein-4b", 1), ("flux2-klein-9b", 1), ("flux2-klein-9b-kv", 1),
         ("flux2-klein-9b-kv", 4), ("flux3-image-klein", 1), ("flux1-dev", 0), ("flux1-kontext-dev", 1))  # fmt: skip


def predict(request: Request, count: int, chip: str) -> float:
    """Seconds of a step, with `count` references of 1024 x 1024."""
    spec = SPECS[request.model].limit_references(request.reference_size)
    here = Machine(chip, 0, 0, 0, True, CHIPS[chip])
    return step_seconds(step_flops(spec, request.size, [spec.size] * count), here) or 0.0


def main() -> None:
    chip = sys.argv[1] if len(sys.argv) > 1 else "M3 Max"
    for name, count in CASES:
        given = (Reference(),) * count
        full = check(Request(name, "a gull", 1024, 1024, references=given), SPECS[name])
        draft = make_draft(full, SPECS[name])
        alike = dataclasses.replace(full, steps=choose_steps(full.steps or 0))
        step, large = predict(draft, count, chip), predict(alike, count, chip)
        print(f"{name}, {count} references, {chip}, predicted: a draft's step {step:.1f} s, the draft of {draft.steps} "
              f"{step * (draft.steps or 0):.1f} (as large as the picture {large * (draft.steps or 0):.1f}), "
              f"the full picture of {full.steps} {large * (full.steps or 0):.0f}")  # fmt: skip


if __name__ == "__main__":
    main()
