"""The four sample stories, played to the end with the built-in model: each panel as drawn, and as the model makes it.

    python -m tests.bench.mini_stories [--out stories.jpg] [--seed 0]

Every panel is rendered by `flux-local board render` in the board's order, from nothing but the cast: what goes on from
another panel goes on from what the model made of that one. Nothing is picked; look at the sheet.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from app.board.data import Panel
from app.fluxboard import samples
from app.fluxboard.file import BoardFile
from app.pictures.images import open_picture

SIDE, WORDS, GAP = 200, 22, 6  # pixels


def play(name: str, folder: Path, seed: int) -> list[tuple[Panel, np.ndarray | None, np.ndarray]]:
    """(panel, its sample art if it has some, what the model made) of every panel of a story."""
    path = folder / f"{name}.fluxboard"
    with samples.create(name, path) as file:
        takes = [panel.take for panel in file.board.panels()]
        drawn = [open_picture(file.picture_path(take.picture.sha256)) if take else None for take in takes]
    render = [sys.executable, "-m", "app", "board", "render", str(path), "--model", "mini", "--seed", str(seed)]
    subprocess.run(render, check=True, stdout=subprocess.DEVNULL)
    with BoardFile.open(path) as file:
        panels = list(file.board.panels())
        made = [open_picture(file.picture_path(panel.take.picture.sha256)) for panel in panels if panel.take]
    return list(zip(panels, drawn, made, strict=True))


def draw_sheet(stories: list[list[tuple[Panel, np.ndarray | None, np.ndarray]]]) -> Image.Image:
    """A story a row: above the words, in the middle the sample art, below what was made."""
    height = WORDS + 2 * SIDE + 3 * GAP
    sheet = Image.new("RGB", (max(map(len, stories)) * (SIDE + GAP), len(stories) * height), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for row, story in enumerate(stories):
        for column, (panel, *pictures) in enumerate(story):
            x, y = column * (SIDE + GAP), row * height
            pen.text((x, y + 3), panel.words[:30], "black", font)
            for place, picture in enumerate(pictures):
                if picture is not None:
                    small = Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
                    sheet.paste(small, (x, y + WORDS + place * (SIDE + GAP)))
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("stories.jpg"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stories = [play(name, Path(folder), options.seed) for name in samples.SAMPLES]
    draw_sheet(stories).save(options.out, quality=90)
    print(f"{sum(map(len, stories))} panels: {options.out}")


if __name__ == "__main__":
    main()
