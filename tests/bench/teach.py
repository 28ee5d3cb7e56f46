"""Teaches the built-in model characters that it has never seen, and looks at what it has learned and forgotten.

    python -m tests.bench.teach [FOLDER] [--characters 3] [--pictures 10] [--steps N] [--keep N] [--sheet OUT.png]

For each character, `train character` gets drawn pictures of it, its place as the caption beside each. Then its name is
asked for in the places and lights that no picture showed. Needs the emoji font (Debian: fonts-noto-color-emoji).

identified   its picture matches better than 19 other held-out characters' (chance: 5 %)
place        the nearest of all empty backdrops is the place that was asked for
portrait     the same with its first picture as a reference, without and with what was learned
others       mini_score's strict measure on prompts, edits and references about others, before and with what was
             learned; sigma is the standard error of the mean difference over the samples
"""

import argparse
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from mlx_model.training import mini_scene as stage
from mlx_model.training.mini_glyphs import TEST_GLYPHS, glyph_art
from mlx_model.training.mini_words import AT, WHEN

from .mini_right import right
from .mini_score import SIZE, generate, held_out_samples, identified, nearest_backdrop, show, table

NAME = "bobo"
OTHERS = ("text", "light", "place", "add", "remove", "identity")


def choose_glyph(number: int) -> str:
    """One of the held-out characters that fill their square: thin ones match nearly anything."""
    solid = sorted(TEST_GLYPHS, key=lambda glyph: -float(np.asarray(glyph_art(glyph, 48))[..., 3].mean()))
    return solid[(3 + 5 * number) % len(solid)]


def draw_scenes(glyph: str, seed: int) -> list[tuple[str, stage.Scene]]:
    """(words, scene) of the character alone in every place and light, in a drawn order."""
    rng = np.random.default_rng(seed)
    places = [place for place in stage.PLACES if place != stage.PLAIN]
    kinds = [(place, light) for place in places for light in ((None,) if place in stage.UNLIT else stage.LIGHTS)]
    found = []
    for number in rng.permutation(len(kinds)):
        place, light = kinds[number]
        said = f"{AT[place][0]} {WHEN[light][0]}" if light else AT[place][0]
        ((x, y),) = stage.spots(rng, SIZE, 1)
        scene = stage.Scene(place, light, (stage.Actor("", glyph, x, y),), None, *SIZE, int(rng.integers(8)))
        found.append((said, scene))
    return found


def write_pictures(scenes: list[tuple[str, stage.Scene]], folder: Path) -> tuple[str, ...]:
    """Pictures with captions beside them."""
    for number, (said, scene) in enumerate(scenes):
        Image.fromarray(stage.render(scene)).save(folder / f"{number:02}.png")
        (folder / f"{number:02}.txt").write_text(said)
    return tuple(str(path) for path in sorted(folder.glob("*.png")))


def learn(model: Path, pictures: tuple[str, ...], out: Path, options: argparse.Namespace) -> Path:
    """The file of what was learned."""
    from dataclasses import replace

    from app.engine.jobs import Lesson
    from app.training.character import make_plan
    from app.training.session import train
    from mlx_model.store.folder import open_folder

    folder = open_folder(model)
    lesson = Lesson(NAME, pictures, str(out), steps=options.steps, sample_every=0, kept=options.keep)
    plan = make_plan(lesson, folder.spec)
    asked = {name: value for name in ("rank", "rate", "prior") if (value := getattr(options, name)) is not None}
    plan = replace(plan, settings=replace(plan.settings, **asked))
    began = time.monotonic()
    for _ in train(folder, plan):
        pass
    spent = time.monotonic() - began
    used = plan.settings
    said = f"{plan.steps} steps, rank {used.rank}, rate {used.rate:.2g}, {plan.kept} kept with weight {used.prior:g}"
    print(f"{said}: {spent:.0f} s", flush=True)
    return plan.result


def ask(
    model: Path, scenes: list[tuple[str, stage.Scene]], loras: tuple, seeds: int, portrait: np.ndarray | None = None
) -> list[np.ndarray]:
    """The model's pictures of the name in each scene's place, `seeds` of each; with a `portrait` of image 1, which is
    what a board says of a member in the tray."""
    from mlx_model.events import Done
    from mlx_model.request import Reference, Request
    from mlx_model.run.pipeline import Pipeline

    pipeline, made = Pipeline.open(model), []
    who = NAME if portrait is None else f"{NAME} (image 1)" if loras else "image 1"
    references = () if portrait is None else (Reference(name=NAME, pixels=portrait),)
    for said, _ in scenes:
        for seed in range(seeds):
            request = Request("mini", f"{who} {said}", *SIZE, seed=seed, loras=loras, references=references)
            made += [event.pixels for event in pipeline.run(request) if isinstance(event, Done)]
    return made


def judge(glyph: str, scenes: list[tuple[str, stage.Scene]], made: list[np.ndarray]) -> dict[str, float]:
    """Means over all pictures."""
    each = len(made) // len(scenes)
    sums = defaultdict(list)
    for number, pixels in enumerate(made):
        scene = scenes[number // each][1]
        sums["identified"].append(identified(pixels, glyph, scene, np.random.default_rng(number)))
        sums["place"].append(nearest_backdrop(pixels)[0] == scene.place)
    return {name: float(np.mean(values)) for name, values in sums.items()}


def teach_one(model: Path, number: int, options: argparse.Namespace, folder: Path) -> Path:
    """Teach character `number` and print what is asked of it before and after."""
    from mlx_model.request import Lora

    glyph = choose_glyph(number)
    scenes = draw_scenes(glyph, number)
    shown, held_out = scenes[: options.pictures], scenes[options.pictures :]
    place = folder / str(number)
    place.mkdir()
    result = learn(model, write_pictures(shown, place), folder / f"run{number}", options)
    rows = []
    learned, first = (Lora(str(result)),), stage.render(shown[0][1])
    ways = [("before", (), None), ("after", learned, None)]
    ways += [("portrait before", (), first), ("portrait after", learned, first)] if options.portrait else []
    for when, loras, portrait in ways:
        made = ask(model, held_out, loras, options.seeds, portrait)
        rows.append(np.concatenate(made[: 11 * options.seeds : options.seeds], axis=1))
        figures = "  ".join(f"{name} {value:.2f}" for name, value in judge(glyph, held_out, made).items())
        print(f"{glyph} {when}: {figures} ({len(made)} pictures)", flush=True)
    if options.sheet:
        truth = np.concatenate([stage.render(scene) for _, scene in held_out[:11]], axis=1)
        Image.fromarray(np.concatenate([*rows, truth])).save(options.sheet.with_stem(f"{options.sheet.stem}{number}"))
    return result


def score_others(model: Path, results: list[Path], count: int) -> None:
    """Print what mini_score says of others, without and with each that was learned."""
    from mlx_model.request import Lora

    samples = held_out_samples(count, 2026, tasks=OTHERS)
    pictures = [generate(model, samples, loras=loras) for loras in ((), *((Lora(str(one)),) for one in results))]
    for number, made in enumerate(pictures):
        print(f"others {f'with number {number}' if number else 'before'}\n{show(table(samples, made))}")
    told = np.array(
        [[float(right(sample, pixels)[0]) for sample, pixels in zip(samples, made, strict=True)] for made in pictures]
    )
    for number, after in enumerate(told[1:], 1):
        print(
            f"others right, number {number}: {told[0].mean():.3f} -> {after.mean():.3f}, {say_change(after - told[0])}"
        )
    print(f"others right, all: {say_change((told[1:] - told[0]).mean(0))}")


def say_change(changes: np.ndarray) -> str:
    """The mean of a change for each sample, with its standard error."""
    return f"{changes.mean():+.3f}, sigma {changes.std(ddof=1) / len(changes) ** 0.5:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("assets/mini"))
    parser.add_argument("--characters", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="number of the first character")
    parser.add_argument("--pictures", type=int, default=10)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--rank", type=int)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--keep", type=int, help="pictures of what it knows")
    parser.add_argument("--prior", type=float, help="their weight")
    parser.add_argument("--portrait", action="store_true", help="also with a reference")
    parser.add_argument("--seeds", type=int, default=2, help="pictures of each held-out place")
    parser.add_argument("--others", type=int, default=8, help="samples of each task about others; 0: none")
    parser.add_argument("--sheet", type=Path, help="also draw before, after and the truth here")
    options = parser.parse_args()
    from app.engine.running import load_mlx

    load_mlx()  # with its fast BLAS
    with tempfile.TemporaryDirectory() as made:
        results = [
            teach_one(options.folder, number, options, Path(made))
            for number in range(options.first, options.first + options.characters)
        ]
        if options.others:
            score_others(options.folder, results, options.others)


if __name__ == "__main__":
    main()
