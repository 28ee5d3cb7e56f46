"""Twenty unpicked results of the built-in model, seeds 0 to 19, as the README shows them.

    python -m tests.bench.mini_twenty [FOLDER] [--out docs/twenty.jpg]

Seed n asks for the n-th kind of task (see mini_score.py) with words, characters and combinations that training never
saw. Each cell has the pictures that were given, small, the result, the words, and a mark where the strict measure says
"wrong" (mini_right.py). Prints the count.
"""

import argparse
import textwrap
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mlx_model.training import mini_world as world

from .mini_right import right
from .mini_score import SIZE, TASKS, generate

COUNT, COLUMNS = 20, 5
SMALL, GAP, WORDS = 84, 6, 54  # pixels: a given picture, between parts, the height of the words
RIGHT, WRONG = (46, 125, 50), (198, 40, 40)


def ask() -> list[world.Sample]:
    return [
        world.draw(np.random.default_rng(seed), TASKS[seed % len(TASKS)], split="test", size=SIZE)
        for seed in range(COUNT)
    ]


def draw_cell(sample: world.Sample, made: np.ndarray, good: bool) -> Image.Image:
    """Given pictures above each other on the left, the result beside them, the words below."""
    width, height = SIZE
    cell = Image.new("RGB", (SMALL + GAP + width, height + WORDS), "white")
    for row, given in enumerate(sample.references):
        small = Image.fromarray(given).resize((SMALL, SMALL), Image.Resampling.LANCZOS)
        cell.paste(small, (0, row * (SMALL + 2)))
    cell.paste(Image.fromarray(made), (SMALL + GAP, 0))
    pen, font = ImageDraw.Draw(cell), ImageFont.load_default(15)
    lines = textwrap.wrap(sample.prompt, 46)[:3]
    pen.multiline_text((0, height + 2), "\n".join(lines), "black", font, spacing=2)
    pen.rectangle((SMALL + GAP, height - 5, SMALL + GAP + width - 1, height - 1), RIGHT if good else WRONG)
    return cell


def draw_sheet(cells: list[Image.Image]) -> Image.Image:
    width, height = cells[0].width + 3 * GAP, cells[0].height + 2 * GAP
    sheet = Image.new("RGB", (COLUMNS * width, -(-len(cells) // COLUMNS) * height), "white")
    for number, cell in enumerate(cells):
        sheet.paste(cell, (number % COLUMNS * width + GAP, number // COLUMNS * height + GAP))
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("assets/mini"))
    parser.add_argument("--out", type=Path, default=Path("docs/twenty.jpg"))
    options = parser.parse_args()
    samples = ask()
    made = generate(options.folder, samples)
    good = [right(sample, pixels)[0] for sample, pixels in zip(samples, made, strict=True)]
    cells = [draw_cell(*row) for row in zip(samples, made, good, strict=True)]
    draw_sheet(cells).save(options.out, quality=88)
    print(f"{sum(good)} of {COUNT} right by the strict measure: {options.out}")


if __name__ == "__main__":
    main()
