"""Scores the built-in model on prompts, combinations and characters that training never saw.

    python -m tests.bench.mini_score [FOLDER] [--count 12] [--sheet OUT.png]

Each figure stands beside three controls: the true picture, the input returned unchanged, a random other picture. An
edit that scores no better than returning the input does not work. Needs the emoji font
(Debian: fonts-noto-color-emoji).

place, light   the nearest of all empty backdrops, over the whole picture
who            share of the characters that should be there which are among the k best matches out of all of them
identified     the reference's character matches better than 19 other held-out ones
done           inside the part that had to change, the result is closer to the truth than to the input (half the error)
kept           PSNR against the input outside the part that had to change
right          what a stranger would say of it, strictly: see mini_right.py; gross counts the tokens that are far off
"""

import argparse
import itertools
from collections import defaultdict
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from mlx_model.specs import SPECS
from mlx_model.training import mini_world as world
from mlx_model.training.mini_glyphs import CHARACTERS, TEST_GLYPHS, glyph_art
from mlx_model.training.mini_places import UNLIT, VARIANTS, backdrop
from mlx_model.training.mini_scene import actor_size

from .mini_right import right

EDGE = 12 / 128  # of the side: characters may stand a little outside the picture
FAR = 0.5  # an edit is done when its error against the truth is below this share of its distance from the input
TASKS = ("text", *world.EDITS, "identity", "two", "three")
SIZE = SPECS["mini"].size
CONTROLS = ("truth", "input", "random")


@lru_cache(maxsize=1)
def backdrops(side: int) -> tuple[list[tuple[str, str | None]], np.ndarray]:
    """Names (place, light) and pictures (n, H, W, 3) float32 of all empty scenes."""
    kinds = [(p, light) for p in world.PLACES for light in ((None,) if p in UNLIT else world.LIGHTS)]
    every = list(itertools.product(kinds, range(VARIANTS)))
    return [kind for kind, _ in every], np.stack([backdrop(*kind, v, side, side) for kind, v in every]).astype(
        np.float32
    )


def nearest_backdrop(pixels: np.ndarray) -> tuple[str, str | None]:
    names, pictures = backdrops(pixels.shape[0])
    return names[int(np.abs(pictures - pixels).mean((1, 2, 3)).argmin())]


@lru_cache(maxsize=256)
def template(glyph: str, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Fourier transforms of a glyph's opacity and of opacity times colour, (H, W) and (3, H, W), and its energy."""
    art, frame = np.asarray(glyph_art(glyph, actor_size(side, side)).convert("RGBA"), np.float64), framed(side)
    opaque = (art[..., 3] > 200).astype(float)
    colour = (art[..., :3] * opaque[..., None]).transpose(2, 0, 1)
    return np.fft.rfft2(opaque, frame), np.fft.rfft2(colour, frame), (colour**2).sum(), opaque.sum()


def framed(side: int) -> tuple[int, int]:
    """Of a picture with its edges."""
    return (side + 2 * round(EDGE * side),) * 2


def mismatch(pixels: np.ndarray, glyph: str) -> float:
    """The least mean squared colour difference of a glyph anywhere in the lower part of the picture."""
    side = pixels.shape[0]
    opaque, colour, energy, area = template(glyph, side)
    edge, frame = round(EDGE * side), framed(side)
    channels = np.pad(pixels, ((edge, edge), (edge, edge), (0, 0)), mode="edge").astype(np.float64).transpose(2, 0, 1)
    squared = np.fft.irfft2(np.fft.rfft2((channels**2).sum(0)) * opaque.conj(), frame)
    product = np.fft.irfft2((np.fft.rfft2(channels) * colour.conj()).sum(0), frame)
    last = frame[0] - actor_size(side, side)
    return float(((squared - 2 * product + energy) / area)[side // 3 : last + 1, : last + 1].min())


def who(pixels: np.ndarray, names: list[str]) -> float:
    """Share of `names` among the len(names) best matches out of all characters."""
    ranked = sorted(CHARACTERS, key=lambda name: mismatch(pixels, CHARACTERS[name]))
    return len(set(names) & set(ranked[: len(names)])) / len(names)


def identified(pixels: np.ndarray, glyph: str, scene: world.Scene, rng: np.random.Generator) -> bool:
    shown = {actor.glyph for actor in scene.actors}
    others = [g for g in rng.permutation(TEST_GLYPHS) if g not in shown][:19]
    return mismatch(pixels, glyph) < min(mismatch(pixels, other) for other in others)


def psnr(a: np.ndarray, b: np.ndarray, where: np.ndarray) -> float:
    error = ((a.astype(float) - b.astype(float)) ** 2)[where].mean() if where.any() else 0.0
    return min(60.0, 10 * np.log10(255**2 / max(error, 1e-9)))


def changed_region(sample: world.Sample) -> np.ndarray:
    return sample.changed if sample.references else np.ones(sample.target.shape[:2], bool)


def edit_figures(sample: world.Sample, pixels: np.ndarray) -> dict[str, float]:
    """What an edit of reference 0 is judged by."""
    region = changed_region(sample)
    distance = {
        key: ((pixels.astype(float) - other) ** 2)[region].mean()
        for key, other in (("truth", sample.target), ("input", sample.references[0]))
    }
    figures = {"done": float(distance["truth"] < FAR * distance["input"])}
    if region.mean() < 0.5:
        figures["kept"] = psnr(pixels, sample.references[0], ~region)
    return figures


def figures(sample: world.Sample, pixels: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """All figures that apply to this sample."""
    scene, result = sample.scene, {"psnr": psnr(pixels, sample.target, np.ones(pixels.shape[:2], bool))}
    told, gross = right(sample, pixels)
    result |= {"right": float(told), "gross": float(gross)}
    if sample.task in world.EDITS:
        result |= edit_figures(sample, pixels)
    if scene.style is None and scene.place in world.PLACES:
        place, light = nearest_backdrop(pixels)
        result["place"] = float(place == scene.place)
        if scene.light:
            result["light"] = float(place == scene.place and light == scene.light)
        names = [a.name for a in scene.actors if a.name]
        if names and sample.task in ("text", "add", "replace"):
            result["who"] = who(pixels, names)
    brought = [
        a.glyph for a, origin in zip(scene.actors, sample.origins, strict=False) if origin and a.glyph in TEST_GLYPHS
    ]
    if brought and scene.style is None and sample.task in ("identity", "two", "three"):
        result["identified"] = float(np.mean([identified(pixels, glyph, scene, rng) for glyph in brought]))
    return result


def controls(sample: world.Sample, other: world.Sample) -> dict[str, np.ndarray]:
    given = sample.references[0] if sample.references else np.full_like(sample.target, 128)
    return {"truth": sample.target, "input": given, "random": other.target}


def held_out_samples(count: int, seed: int, size: tuple[int, int] = SIZE, tasks=TASKS) -> list[world.Sample]:
    rng = np.random.default_rng(seed)
    return [world.draw(rng, task, split="test", size=size) for task in tasks for _ in range(count)]


def generate(folder: Path, samples: list[world.Sample], **options) -> list[np.ndarray]:
    """The model's picture for each sample, through the pipeline that users run."""
    from app.base import blas

    blas.preload()  # before mlx
    from mlx_model.events import Done
    from mlx_model.request import Reference, Request
    from mlx_model.run.pipeline import Pipeline

    pipeline, made = Pipeline.open(folder), []
    for number, sample in enumerate(samples):
        references = tuple(Reference(name=f"image {i}", pixels=p) for i, p in enumerate(sample.references, 1))
        request = Request("mini", sample.prompt, *SIZE, seed=number, references=references, **options)
        made += [event.pixels for event in pipeline.run(request) if isinstance(event, Done)]
    return made


def table(samples: list[world.Sample], made: list[np.ndarray]) -> dict[str, dict[str, dict[str, float]]]:
    """task -> figure -> {"model", "truth", "input", "random"} means."""
    sums: dict = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for number, (sample, pixels) in enumerate(zip(samples, made, strict=True)):
        shown = {"model": pixels, **controls(sample, samples[(number * 7 + 31) % len(samples)])}
        for who_made, picture in shown.items():
            for name, value in figures(sample, picture, np.random.default_rng(number)).items():
                sums[sample.task][name][who_made].append(value)
    return {
        task: {name: {k: float(np.mean(v)) for k, v in row.items()} for name, row in rows.items()}
        for task, rows in sums.items()
    }


def show(scores: dict) -> str:
    """The table as text; `works` says whether the model beats returning the input."""
    lines = [f"{'task':10}{'figure':12}{'model':>8}{'truth':>8}{'input':>8}{'random':>8}"]
    for task, rows in scores.items():
        for name, row in rows.items():
            values = "".join(f"{row[key]:8.2f}" for key in ("model", *CONTROLS))
            lines.append(f"{task:10}{name:12}{values}")
    means = {key: np.mean([rows["right"][key] for rows in scores.values()]) for key in ("model", *CONTROLS)}
    lines.append(f"{'all':10}{'right':12}" + "".join(f"{value:8.2f}" for value in means.values()))
    return "\n".join(lines)


def sheet(samples: list[world.Sample], made: list[np.ndarray], file: Path, per_task: int = 4) -> None:
    """A picture of references, result and truth, `per_task` of every task a row."""
    rows, blank = [], np.full_like(samples[0].target, 255)
    by_task = itertools.groupby(zip(samples, made, strict=True), key=lambda pair: pair[0].task)
    for _, group in by_task:
        cells = []
        for sample, pixels in list(group)[:per_task]:
            given = [*sample.references, *[blank] * 3][: 3 if len(sample.references) > 1 else 1]
            cells.append(np.concatenate([*given, pixels, sample.target, blank[:, :8]], 1))
        rows.append(np.concatenate(cells, 1))
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 8), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    Image.fromarray(np.concatenate(padded)).save(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("assets/mini"))
    parser.add_argument("--count", type=int, default=12, help="samples per task")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--sheet", type=Path, help="also draw references, results and truths here")
    options = parser.parse_args()
    samples = held_out_samples(options.count, options.seed, tasks=options.tasks.split(","))
    made = generate(options.folder, samples, steps=options.steps)
    print(show(table(samples, made)))
    if options.sheet:
        sheet(samples, made, options.sheet)


if __name__ == "__main__":
    main()
