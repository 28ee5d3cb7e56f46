"""The log of a run, a line of JSON for every step, and the curve of its loss as a picture."""

import math
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from app.base.words import say_count
from mlx_model import files
from mlx_model.foreign import parse_json, read_small
from mlx_model.held import is_plain

LARGEST = 2**31  # bytes of a log; ten million steps
WIDTH, HEIGHT, EDGE = 960, 480, 56
PAPER, INK, FAINT, LINE, SOFT = (250, 249, 246), (40, 40, 44), (222, 220, 214), (196, 84, 42), (236, 190, 168)

KINDS = {  # of examples, where a run has several: the mean's colour, and that of each step
    "image": (LINE, SOFT),
    "video": ((40, 90, 170), (182, 202, 234)),
    "audio": ((60, 140, 80), (190, 220, 198)),
}


def cut_log(log: Path, step: int) -> None:
    """Without what came after the last checkpoint: those steps are made again."""
    lines = log.read_bytes().splitlines(keepends=True) if is_plain(log, log.parent) else []
    kept = [line for line in lines if _read_step(line) <= step]
    if len(kept) < len(lines):
        files.write_new(log, lambda stream: stream.write(b"".join(kept)), force=True, inside=log.parent)


def _read_step(line: bytes) -> int:
    """Of a line of the log; a huge one for what is none."""
    try:
        return int(parse_json(line)["step"])
    except (ValueError, TypeError, KeyError, IndexError, OverflowError):
        return sys.maxsize


def read_log(file: Path) -> list[dict[str, float]]:
    """The lines of a log that are whole; a killed run may leave half of one. None of one that no run writes."""
    lines = []
    try:
        said = read_small(file, LARGEST).decode("utf-8", "replace")
    except (OSError, ValueError):
        return []
    for text in said.splitlines():
        try:
            line = {name: float(value) for name, value in parse_json(text).items()}
        except (ValueError, TypeError, AttributeError):
            continue
        lines += [line] if all(map(math.isfinite, line.values())) else []
    by_step = {int(line["step"]): line for line in lines if "step" in line and "loss" in line}
    return [by_step[step] for step in sorted(by_step)]


def draw_curve(lines: list[dict[str, float]]) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8: each step's loss, and its running mean over a twentieth of the run, on a log scale.

    Where a run has several kinds of examples, each has a line of its own.
    """
    image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    pen = ImageDraw.Draw(image)
    names = [kind for kind in KINDS if all(kind in line for line in lines)] or ["loss"]
    steps = np.array([line["step"] for line in lines], float)
    losses = {name: np.log10(np.maximum([line[name] for line in lines], 1e-6)) for name in names}
    low = math.floor(min(line.min() for line in losses.values()) * 4) / 4
    high = math.ceil(max(line.max() for line in losses.values()) * 4 + 1e-9) / 4
    first, last = steps.min(), max(steps.max(), steps.min() + 1)

    def place(step: float, value: float) -> tuple[float, float]:
        x = EDGE + (step - first) / (last - first) * (WIDTH - 2 * EDGE)
        return x, HEIGHT - EDGE - (value - low) / max(high - low, 0.25) * (HEIGHT - 2 * EDGE)

    for mark in np.arange(low, high + 0.01, 0.25):
        _, y = place(first, mark)
        pen.line((EDGE, y, WIDTH - EDGE, y), fill=FAINT)
        pen.text((8, y - 6), f"{10**mark:.3g}", fill=INK)
    for name, found in losses.items():
        dark, light = KINDS.get(name, (LINE, SOFT))
        for values, colour, width in ((found, light, 1), (smooth(found), dark, 3)):
            pen.line([place(*point) for point in zip(steps, values, strict=True)], fill=colour, width=width)
    pen.text((EDGE, HEIGHT - EDGE + 12), f"step {first:.0f}", fill=INK)
    pen.text((WIDTH - EDGE - 70, HEIGHT - EDGE + 12), f"step {last:.0f}", fill=INK)
    pen.text((EDGE, 16), f"loss, and its mean over {say_count(window(len(steps)), 'step')}", fill=INK)
    for number, name in enumerate(name for name in names if name in KINDS):
        pen.text((WIDTH - EDGE - 70 * (number + 1), 16), name, fill=KINDS[name][0])
    return np.asarray(image)


def window(count: int) -> int:
    """Steps that the mean goes over."""
    return max(1, count // 20)


def smooth(values: np.ndarray) -> np.ndarray:
    """The mean of each value and those before it, `window` of them at most."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window(len(values)))
    mean: np.ndarray = (sums[ends] - sums[starts]) / (ends - starts)
    return mean
