"""Teaches the built-in model characters that it has never seen, and looks at what it has learned and forgotten.

    python -m tests.bench.teach [FOLDER] [--characters 2] [--pictures 10] [--steps N] [--rank R] [--sheet OUT.png]

For each character, `train character` gets drawn pictures of it, its place as the caption beside each. Then its name is
asked for in the places and lights that no picture showed. Needs the emoji font (Debian: fonts-noto-color-emoji).

identified   its picture matches better than 19 other held-out characters' (chance: 5 %)
place        the nearest of all empty backdrops is the place that was asked for
others       mini_score's figures on prompts, edits and references about others, before and with what was learned
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
    lesson = Lesson(NAME, pictures, str(out), steps=options.steps, rank=options.rank, sample_every=0)
    plan = make_plan(lesson, folder.spec)
    if options.rate:
        plan = replace(plan, settings=replace(plan.settings, rate=options.rate))
    began = time.monotonic()
    for _ in train(folder, plan):
        pass
    spent = time.monotonic() - began
    print(f"{plan.steps} steps, rank {plan.settings.rank}, rate {plan.settings.rate:.2g}: {spent:.0f} s", flush=True)
    return plan.result


def ask(model: Path, scenes: list[tuple[str, stage.Scene]], loras: tuple, seeds: int) -> list[np.ndarray]:
    """The model's pictures of the name in each scene's place, `seeds` of each."""
    from mlx_model.events import Done
    from mlx_model.request import Request
    from mlx_model.run.pipeline import Pipeline

    pipeline, made = Pipeline.open(model), []
    for said, _ in scenes:
        for seed in range(seeds):
            request = Request("mini", f"{NAME} {said}", *SIZE, seed=seed, loras=loras)
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
    for when, loras in (("before", ()), ("after", (Lora(str(result)),))):
        made = ask(model, held_out, loras, options.seeds)
        rows.append(np.concatenate(made[: 11 * options.seeds : options.seeds], axis=1))
        figures = "  ".join(f"{name} {value:.2f}" for name, value in judge(glyph, held_out, made).items())
        print(f"{glyph} {when}: {figures} ({len(made)} pictures)", flush=True)
    if options.sheet:
        truth = np.concatenate([stage.render(scene) for _, scene in held_out[:11]], axis=1)
        Image.fromarray(np.concatenate([*rows, truth])).save(options.sheet.with_stem(f"{options.sheet.stem}{number}"))
    return result


def score_others(model: Path, result: Path | None, count: int) -> str:
    """What mini_score says, with or without what was learned."""
    from mlx_model.request import Lora

    samples = held_out_samples(count, 2026, tasks=OTHERS)
    made = generate(model, samples, loras=(Lora(str(result)),) if result else ())
    return show(table(samples, made))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("assets/mini"))
    parser.add_argument("--characters", type=int, default=2)
    parser.add_argument("--first", type=int, default=0, help="number of the first character")
    parser.add_argument("--pictures", type=int, default=10)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--rate", type=float)
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
            print("others before\n" + score_others(options.folder, None, options.others))
            print("others after\n" + score_others(options.folder, results[0], options.others))


if __name__ == "__main__":
    main()
