"""Draw the pictures of the sample boards and of the README's examples: python -m tests.draw_samples

Needs the font Noto Color Emoji. Scenes come from the world that the built-in model is trained on, larger.
"""

from pathlib import Path

from PIL import Image

from mlx_model.specs import SPECS
from mlx_model.training import mini_glyphs
from mlx_model.training.mini_scene import ACTOR, MARGIN, Actor, Scene, render, slots

ASSETS = Path(__file__).resolve().parent.parent / "assets"
OUT = ASSETS / "samples"
WORLD = 128  # side of the world in its own lengths: everything stands where it does there, drawn larger
SCENE, PORTRAIT = 4 * WORLD, 2 * WORLD
LEFT, MIDDLE, RIGHT = (x for x, _ in slots((WORLD, WORLD)))
GULL, FOX, ROBOT, ANNA, LEO, CHAIR = "seagull", "🦊", "🤖", "👩", "👦", "🪑"


def scene(name: str, place: str, light: str | None, *actors: tuple, seed: int = 1) -> None:
    """Actors are (glyph, x of a slot, what it wears, perhaps what it holds)."""
    scale, foot = SCENE // WORLD, WORLD - MARGIN - ACTOR // 2
    there = tuple(Actor("", glyph, scale * x, scale * foot, *has) for glyph, x, *has in actors)
    save(name, Image.fromarray(render(Scene(place, light, there, None, SCENE, SCENE, seed))))


def portrait(name: str, glyph: str, ground=(244, 243, 240)) -> None:
    """A character or thing on a plain ground, where the built-in model looks for one."""
    scale = PORTRAIT // WORLD
    picture = Image.new("RGB", (PORTRAIT, PORTRAIT), ground)
    art = mini_glyphs.glyph_art(glyph, scale * ACTOR)
    picture.paste(art, (scale * MIDDLE - art.width // 2, scale * (WORLD - MARGIN) - art.height), art)
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
        ("umbrella", "☂"),
        ("chair", CHAIR),
        ("leo", LEO),
    ):
        portrait(name, glyph)
    scene("bar", "bar", "day")
    scene("gull_1a", "bar", "day", (GULL, MIDDLE, None))
    scene("gull_1b", "bar", "day", (GULL, MIDDLE, "headset"))
    scene("gull_1c", "bar", "day", (GULL, MIDDLE, "headset"), (FOX, RIGHT, None))
    scene("gull_1d", "bar", "day", (GULL, MIDDLE, "headset"), (FOX, RIGHT, None), (ROBOT, LEFT, None))
    scene("gull_2a", "beach", "sunset", (GULL, LEFT, None), (FOX, RIGHT, None), seed=2)
    scene("gull_2b", "beach", "night", (GULL, LEFT, None), (FOX, RIGHT, None), seed=2)
    scene("outfit_1a", "park", "day", (ANNA, MIDDLE, None))
    scene("outfit_1b", "park", "day", (ANNA, MIDDLE, "hat"))
    scene("outfit_1c", "park", "day", (ANNA, MIDDLE, "hat+sunglasses"))
    scene("outfit_1d", "park", "day", (ANNA, MIDDLE, "hat+sunglasses+scarf", "umbrella"))
    scene("park", "park", "day")
    scene("face_1a", "beach", "day", (LEO, MIDDLE, "sunglasses"))
    scene("face_1b", "beach", "day", (LEO, MIDDLE, None))
    scene("room", "room", "day")
    scene("product_1a", "room", "sunset")
    scene("product_1b", "room", "sunset", (CHAIR, LEFT, None))
    example("dog", "park", "day", "🐶")
    example("fox_robot", "forest", "day", "🦊", "🤖")
    example("robot", "plain", None, "🤖")
    example("unicorn", "plain", None, "🦄")


def example(name: str, place: str, light: str | None, *glyphs: str) -> None:
    """A picture of the README's examples, as large as the built-in model's."""
    places = (MIDDLE,) if len(glyphs) == 1 else (LEFT, RIGHT)
    side, scale = SPECS["mini"].size.width, SPECS["mini"].size.width // WORLD
    foot = scale * (WORLD - MARGIN - ACTOR // 2)
    there = tuple(Actor("", glyph, scale * x, foot) for glyph, x in zip(glyphs, places, strict=True))
    picture = Image.fromarray(render(Scene(place, light, there, None, side, side, 4)))
    picture.save(ASSETS / "examples" / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
