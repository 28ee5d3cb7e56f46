"""The table and the plot of what was measured: means over the seeds, with the lowest and the highest."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .runs import METHODS

Row = dict[str, float]  # figures of one run after so many steps, with "step", "samples" and "seconds"
Scores = dict[str, list[Row]]  # by "METHOD-SEED"
FIGURES = {
    "loss": ("held-out flow loss, less is better", 4, 1),
    "distance": ("feature distance (KID x 1000), less is better", 0, 1),
    "letters": ("letters right", 0, 100),
    "word": ("words right", 0, 100),
    "character": ("character right", 0, 100),
    "place": ("place and light right", 0, 100),
    "right": ("all right, strictly", 0, 100),
}
COLOURS = {"flow": (40, 90, 170), "selfflow": (200, 84, 40), "aligned": (60, 140, 80)}
PAPER, INK, FAINT = (250, 249, 246), (40, 40, 44), (222, 220, 214)
PANEL, EDGE = (460, 270), 44


def choose(scores: Scores, method: str, step: float) -> list[Row]:
    """Of each seed the row of this step."""
    return [row for name, rows in sorted(scores.items()) for row in rows if name.startswith(f"{method}-")
            and row["step"] == step]  # fmt: skip


def find_last_step(scores: Scores) -> float:
    """The last of which all runs have samples."""
    return max(set.intersection(*({row["step"] for row in rows if "letters" in row} for rows in scores.values())))


def show_spread(values: Iterable[float], digits: int, factor: float) -> str:
    """'45 (41 to 50)'."""
    found = [factor * value for value in values]
    mean, low, high = (f"{value:.{digits}f}" for value in (np.mean(found), min(found), max(found)))
    return f"{mean} ({low} to {high})"


def make_table(scores: Scores) -> str:
    """Markdown."""
    step = find_last_step(scores)
    methods = [name for name in METHODS if choose(scores, name, step)]
    lines = [f"| after {int(choose(scores, methods[0], step)[0]['samples'])} samples | "
             + " | ".join(METHODS[name] for name in methods) + " |",
             "|---" * (1 + len(methods)) + "|"]  # fmt: skip
    for figure, (said, digits, factor) in FIGURES.items():
        unit = " (%)" if factor == 100 else ""
        cells = [show_spread((r[figure] for r in choose(scores, name, step)), digits, factor) for name in methods]
        lines.append(f"| {said}{unit} | " + " | ".join(cells) + " |")
    cells = [show_spread((r["seconds"] for r in choose(scores, name, step)), 0, 1) for name in methods]
    lines.append("| seconds of a core that the run took | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw_plot(scores: Scores) -> Image.Image:
    """Loss, letters and the feature distance, over samples (above) and over seconds of a core (below)."""
    figures = ("loss", "letters", "distance")
    image = Image.new("RGB", (len(figures) * PANEL[0], 2 * PANEL[1] + 30), PAPER)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    for line, along in enumerate(("samples", "seconds")):
        for column, figure in enumerate(figures):
            _draw_panel(pen, font, (column * PANEL[0], line * PANEL[1]), scores, figure, along)
    for i, (name, said) in enumerate(METHODS.items()):
        x, y = EDGE + 260 * i, 2 * PANEL[1] + 12
        pen.line((x, y, x + 30, y), COLOURS[name], 4)
        pen.text((x + 38, y), f"{said}", INK, font, "lm")
    return image


def _draw_panel(pen, font, corner: tuple[int, int], scores: Scores, figure: str, along: str) -> None:
    factor = FIGURES[figure][2]
    scores = {name: [row for row in found if figure in row] for name, found in scores.items()}
    rows = [row for found in scores.values() for row in found]
    values = [factor * row[figure] for row in rows]
    low, high, last = min(values), max(values), max(row[along] for row in rows)
    low, high = (low - 0.02, high + 0.02) if factor == 1 else (0.0, max(100.0 * high / 90, 1.0))

    def place(row: Row) -> tuple[float, float]:
        x = corner[0] + EDGE + row[along] / last * (PANEL[0] - EDGE - 14)
        return x, corner[1] + PANEL[1] - EDGE - (factor * row[figure] - low) / (high - low) * (PANEL[1] - 2 * EDGE)

    for share in (0, 0.5, 1):
        y = corner[1] + PANEL[1] - EDGE - share * (PANEL[1] - 2 * EDGE)
        pen.line((corner[0] + EDGE, y, corner[0] + PANEL[0] - 14, y), FAINT)
        pen.text((corner[0] + EDGE - 5, y), f"{low + share * (high - low):.3g}", INK, font, "rm")
    for name, found in scores.items():
        points = [place(row) for row in sorted(found, key=lambda row: row["step"])]
        colour = COLOURS[name.rpartition("-")[0]]
        pen.line(points, colour, 2)
        for x, y in points:
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), colour)
    pen.text((corner[0] + EDGE, corner[1] + 22), FIGURES[figure][0], INK, font, "lm")
    words = f"{along}, 0 to {last:.0f}" + (" of a core" if along == "seconds" else "")
    pen.text((corner[0] + PANEL[0] - 14, corner[1] + PANEL[1] - EDGE + 14), words, INK, font, "rm")


def save_plot(scores: Scores, file: Path) -> None:
    draw_plot(scores).save(file)
