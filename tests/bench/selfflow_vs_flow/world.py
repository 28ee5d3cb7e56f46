"""What the comparison draws and judges: a character, in a place in a light, under a sign with a word of three letters.

Places, lights and characters are the built-in model's; the sign is drawn here, since its world has none. Words are any
letters of ALPHABET in any order, and one word in six is kept for the test: what is right there has been spelled.
"""

import zlib
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mlx_model.training.mini_glyphs import CHARACTERS, glyph_art
from mlx_model.training.mini_places import VARIANTS
from mlx_model.training.mini_scene import Actor, Scene, actor_size, render, row
from mlx_model.training.mini_words import AT, WHEN, with_article
from tests.bench.mini_right import ALLOWED, gross_tokens

SIDE, GRID = 192, (6, 6)  # pixels of a picture; tokens of 32 x 32 pixels
PLACES, LIGHTS = ("beach", "desert", "forest"), ("day", "sunset", "night")
NAMES = ("cat", "fox", "frog", "panda", "pig", "robot")
ALPHABET, LETTERS = "aehkostx", 3
SIGN = (32, 0, 160, 64)  # left, top, right, bottom: whole tokens of 32 pixels
POINTS, BORDER, WOOD, PAPER, INK = 38, 6, (92, 62, 40), (246, 242, 230), (28, 28, 34)
HELD_OUT = 6  # one in so many words and scenes


class Asked(NamedTuple):
    """What one picture is to show."""

    place: str
    light: str
    name: str
    word: str
    seed: int  # of the place's layout, which words leave open

    @property
    def prompt(self) -> str:
        said = " ".join(self.word)
        return f"{with_article(self.name)} {AT[self.place][0]} {WHEN[self.light][0]}, sign {said}"

    @property
    def held_out(self) -> bool:
        """Neither its word nor its character in this place and light is seen in training."""
        scene = "|".join((self.place, self.light, self.name))
        return _is_kept(self.word) and _is_kept(scene)

    @property
    def trained(self) -> bool:
        return not _is_kept(self.word) and not _is_kept("|".join((self.place, self.light, self.name)))


def _is_kept(said: str) -> bool:
    return zlib.crc32(said.encode()) % HELD_OUT == 0


def draw_asked(rng: np.random.Generator, test: bool) -> Asked:
    while True:
        pick = [str(rng.choice(options)) for options in (PLACES, LIGHTS, NAMES)]
        asked = Asked(*pick, "".join(rng.choice(list(ALPHABET), LETTERS)), int(rng.integers(VARIANTS)))
        if asked.held_out if test else asked.trained:
            return asked


@lru_cache(maxsize=1)
def font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(POINTS)


@lru_cache(maxsize=2048)
def draw_sign(word: str) -> np.ndarray:
    """(64, 128, 3) uint8."""
    width, height = SIGN[2] - SIGN[0], SIGN[3] - SIGN[1]
    page = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(page)
    pen.rectangle((0, 0, width - 1, height - 1), outline=WOOD, width=BORDER)
    for i, letter in enumerate(word.upper()):
        pen.text(
            ((i + 0.5) * (width - 2 * BORDER) / LETTERS + BORDER, height / 2),
            letter,
            INK,
            font(),
            "mm",
            stroke_width=2,
            stroke_fill=INK,
        )
    return np.asarray(page)


def make_scene(asked: Asked, name: str | None = None) -> Scene:
    ((x, y),) = row((SIDE, SIDE), 1)
    who = name or asked.name
    return Scene(asked.place, asked.light, (Actor(who, CHARACTERS[who], x, y),), None, SIDE, SIDE, asked.seed)


def draw(asked: Asked) -> np.ndarray:
    """(192, 192, 3) uint8."""
    picture = render(make_scene(asked)).copy()
    picture[SIGN[1] : SIGN[3], SIGN[0] : SIGN[2]] = draw_sign(asked.word)
    return picture


# ---- what is judged, each from the pixels alone


def squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return ((a.astype(np.float32) - b) ** 2).mean(-1)


def read_word(pixels: np.ndarray) -> str:
    """For each place on the sign the letter whose drawing is nearest."""
    sign = pixels[SIGN[1] : SIGN[3], SIGN[0] : SIGN[2]]
    columns = np.array_split(np.arange(sign.shape[1]), LETTERS)
    drawn = {letter: draw_sign(letter * LETTERS) for letter in ALPHABET}
    return "".join(
        min(ALPHABET, key=lambda letter: squares(sign[:, at], drawn[letter][:, at]).mean()) for at in columns
    )


def recognise(pixels: np.ndarray) -> str:
    """The character whose art, where it is opaque, is nearest."""
    ((x, y),) = row((SIDE, SIDE), 1)
    size = actor_size(SIDE, SIDE)

    def miss(name: str) -> float:
        art = np.asarray(glyph_art(CHARACTERS[name], size).convert("RGBA"))
        top, left = y + size // 2 - art.shape[0], x - art.shape[1] // 2
        shown = pixels[top : top + art.shape[0], left : left + art.shape[1]]
        return float(squares(shown, art[..., :3])[art[..., 3] > 200].mean())

    return min(NAMES, key=miss)


@lru_cache(maxsize=1)
def list_backdrops() -> tuple[list[tuple[str, str]], np.ndarray]:
    """(place, light) of every empty scene, and every fourth pixel of each."""
    kinds = [(place, light, seed) for place in PLACES for light in LIGHTS for seed in range(VARIANTS)]
    shown = [render(Scene(place, light, (), None, SIDE, SIDE, seed))[::4, ::4] for place, light, seed in kinds]
    return [(place, light) for place, light, _ in kinds], np.stack(shown).astype(np.float32)


def find_place(pixels: np.ndarray) -> tuple[str, str]:
    kinds, backdrops = list_backdrops()
    return kinds[int(np.abs(backdrops - pixels[::4, ::4]).mean((1, 2, 3)).argmin())]


@lru_cache(maxsize=256)
def draw_layouts(asked: Asked) -> tuple[np.ndarray, ...]:
    return tuple(draw(asked._replace(seed=seed)) for seed in range(VARIANTS))


def is_right(asked: Asked, pixels: np.ndarray) -> bool:
    """The word is right, and beside the sign nothing is grossly off, as mini_right's strict measure has it.

    The autoencoder smudges letters, so that the sign itself would be off in the true picture.
    """
    nearest = min(draw_layouts(asked), key=lambda truth: squares(pixels[::4, ::4], truth[::4, ::4]).mean())
    return (
        bool(gross_tokens(hide_sign(pixels), hide_sign(nearest)).sum() <= ALLOWED) and read_word(pixels) == asked.word
    )


def hide_sign(pixels: np.ndarray) -> np.ndarray:
    hidden = pixels.copy()
    hidden[SIGN[1] : SIGN[3], SIGN[0] : SIGN[2]] = PAPER
    return hidden


def judge(asked: Asked, pixels: np.ndarray) -> dict[str, float]:
    """Shares of what is right: letters, the word, the character, the place in its light, all of it."""
    said, found = read_word(pixels), find_place(pixels)
    return {
        "letters": float(np.mean([a == b for a, b in zip(said, asked.word, strict=True)])),
        "word": float(said == asked.word),
        "character": float(recognise(pixels) == asked.name),
        "place": float(found == (asked.place, asked.light)),
        "right": float(is_right(asked, pixels)),
    }
