"""Draw the pictures of the sample boards into assets/samples: python -m tests.draw_samples

Needs the font Noto Color Emoji. Scenes come from the world that the built-in model is trained on, larger.
"""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

from mlx_model.training import mini_glyphs
from mlx_model.training.mini_scene import Actor, Scene, actor_size, render

OUT = Path(__file__).resolve().parent.parent / "assets" / "samples"
WIDE, SQUARE = (640, 360), (256, 256)
GULL, FOX, ROBOT, ANNA, MIA = "🕊", "🦊", "🤖", "👩", "👧"


def scene(name: str, place: str, light: str | None, *actors: tuple[str, int, str | None], seed: int = 1) -> None:
    """Actors are (glyph, x in percent of the width, what it wears)."""
    width, height = WIDE
    foot = height - actor_size(width, height) // 2 - 14
    there = tuple(Actor("", glyph, width * x // 100, foot, wears) for glyph, x, wears in actors)
    save(name, Image.fromarray(render(Scene(place, light, there, None, width, height, seed))))


def portrait(name: str, glyph: str, ground=(244, 243, 240)) -> None:
    """A character or thing in the middle of a plain square."""
    picture = Image.new("RGB", SQUARE, ground)
    art = mini_glyphs.glyph_art(glyph, 200)
    picture.paste(art, ((SQUARE[0] - art.width) // 2, (SQUARE[1] - art.height) // 2), art)
    save(name, picture)


def room(name: str, *things: tuple[str, int, int]) -> None:
    """A drawn room with (glyph, x, side) standing in it."""
    width, height = WIDE
    picture = Image.new("RGB", WIDE, (226, 217, 204))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 262, width, height), fill=(171, 132, 98))
    draw.rectangle((0, 254, width, 262), fill=(245, 241, 234))
    for x in range(0, width, 80):
        draw.line((x, 262, x * 2 - width // 2, height), fill=(150, 113, 82), width=2)
    draw.rectangle((392, 54, 552, 196), fill=(252, 250, 245))
    draw.rectangle((402, 64, 542, 186), fill=(158, 203, 232))
    draw.ellipse((470, 84, 512, 126), fill=(255, 232, 150))
    draw.line((472, 64, 472, 186), fill=(252, 250, 245), width=8)
    draw.line((402, 125, 542, 125), fill=(252, 250, 245), width=8)
    for glyph, x, side in things:
        art = mini_glyphs.glyph_art(glyph, side)
        shadow = Image.new("RGBA", WIDE, (0, 0, 0, 0))
        ImageDraw.Draw(shadow).ellipse((x - side // 2, 318, x + side // 2, 342), fill=(60, 40, 25, 120))
        soft = shadow.filter(ImageFilter.GaussianBlur(5)).getchannel("A")
        picture.paste(Image.new("RGB", WIDE, (60, 40, 25)), (0, 0), soft)
        picture.paste(art, (x - art.width // 2, 334 - art.height), art)
    save(name, picture)


def save(name: str, picture: Image.Image) -> None:
    picture.save(OUT / f"{name}.png", optimize=True)


def main() -> None:
    OUT.mkdir(exist_ok=True)
    for name, glyph in (
        ("gull", GULL),
        ("fox", FOX),
        ("robot", ROBOT),
        ("headset", "headset"),
        ("anna", ANNA),
        ("hat", "🎩"),
        ("glasses", "🕶"),
        ("scarf", "🧣"),
        ("chair", "🪑"),
        ("mia", MIA),
    ):
        portrait(name, glyph)
    scene("bar", "bar", None)
    scene("gull_1a", "bar", None, (GULL, 30, None))
    scene("gull_1b", "bar", None, (GULL, 30, "headset"))
    scene("gull_1c", "bar", None, (GULL, 30, "headset"), (FOX, 74, None))
    scene("gull_1d", "bar", None, (GULL, 26, "headset"), (ROBOT, 51, None), (FOX, 76, None))
    scene("gull_2a", "beach", "sunset", (GULL, 34, None), (FOX, 64, None), seed=2)
    scene("gull_2b", "beach", "night", (GULL, 34, None), (FOX, 64, None), seed=2)
    scene("outfit_1a", "park", "day", (ANNA, 50, None))
    scene("outfit_1b", "park", "day", (ANNA, 50, "hat"))
    scene("outfit_1c", "park", "day", (ANNA, 50, "sunglasses"))
    scene("face_1a", "beach", "day", (MIA, 50, "sunglasses"))
    scene("face_1b", "beach", "day", (MIA, 50, None))
    room("room")
    room("product_1b", ("🪑", 170, 170))


if __name__ == "__main__":
    main()
