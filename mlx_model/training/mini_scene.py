"""Scenes of the built-in model's world: made up at random, and drawn; and the plan of a sample, which comes before it
is drawn.

Positions are pixels from the top left; render() gives the same bytes for the same scene. Lengths in this file are for
128 x 128 pictures and go through scaled().
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from . import mini_words as words
from .mini_glyphs import (
    BORN_WITH,
    CHARACTERS,
    EYEWEAR,
    HEADWEAR,
    KNOWN,
    NECKWEAR,
    PROPS,
    SNOW,
    WEARABLES,
    glyph_art,
    head,
    stranger,
)
from .mini_places import INDOORS, PAINTERS, PLAIN, UNLIT, VARIANTS, backdrop
from .mini_styles import STYLES, apply_style
from .mini_words import chance, pick

PLACES: tuple[str, ...] = tuple(PAINTERS)
LIGHTS = ("day", "sunset", "night")
ACTOR, PROP = 48, 26  # an actor fills 3 x 3 tokens
APART, AIRY = 32, 48  # between the middles of two actors: at least, and rather
MARGIN = 16  # from an actor's feet to the lower edge
TRIES = 24
CROWDED = 0.62  # the share of their size that four to six have
GRID = 16  # actors stand on the transformer's tokens (32 px in a picture of 256): moving one moves whole tokens
Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class Actor:
    """Somebody standing in a scene; (x, y) is the middle of a square of actor_size(), name is "" for strangers.

    What one wears or holds is a name ("hat"), a name with the art to draw ("hat=🎩||rbg"), or several joined by "+".
    """

    name: str
    glyph: str
    x: int
    y: int
    wears: str | None = None
    holds: str | None = None
    part: float = 1.0  # of the usual size


@dataclass(frozen=True)
class Scene:
    """A picture. `place` may also be "plain", one flat colour; the seed picks one of 8 backdrops."""

    place: str
    light: str | None
    actors: tuple[Actor, ...]
    style: str | None
    width: int = 128
    height: int = 128
    seed: int = 0


class Crowded(Exception):
    """No free spot, or nothing to edit: plan again."""


def scale(pixels: float, width: int, height: int) -> int:
    """Pixels at 128 x 128 to pixels of this picture; from 96 to 128 nothing shrinks."""
    short = min(width, height)
    return max(1, round(pixels * (short / 96 if short < 96 else max(1.0, short / 128))))


def actor_size(width: int, height: int) -> int:
    """The side of the square an actor fills, in pixels."""
    return scale(ACTOR, width, height)


def paste(picture: Image.Image, art: Image.Image, x: float, y: float) -> None:
    """Art over the picture, its middle at (x, y)."""
    picture.paste(art, (round(x - art.width / 2), round(y - art.height / 2)), art)


def paste_actor(picture: Image.Image, actor: Actor) -> None:
    """The actor and what it wears."""
    size = round(actor_size(*picture.size) * actor.part)
    art = glyph_art(actor.glyph, size)
    top = actor.y + size // 2 - art.height
    paste(picture, art, actor.x, top + art.height / 2)
    for item in actor.wears.split("+") if actor.wears else ():
        paste_worn(picture, actor, item, size, top, art)


def paste_worn(picture: Image.Image, actor: Actor, item: str, size: int, top: float, art: Image.Image) -> None:
    """One thing worn, over an actor of this size whose art begins at `top`."""
    middle, eyes, wide, crown = head(actor.glyph)
    x, (name, key) = actor.x + (middle - 0.5) * art.width, art_of(item, {**WEARABLES, **SNOW})
    least, share = (0.44, 0.8) if name in HEADWEAR else (0.44, 0.72) if name in NECKWEAR else (0.46, 1.0)
    worn = glyph_art(key, round(size * max(least, wide * share)))
    if name in HEADWEAR:
        y = top + crown * art.height - worn.height * 0.34
    elif name in NECKWEAR:
        y = top + min(0.86, eyes + 0.36) * art.height
    else:
        y = top + (eyes * art.height if name in EYEWEAR else (crown + eyes) / 2 * art.height)
    paste(picture, worn, x, y)


def art_of(item: str, known: dict[str, str]) -> tuple[str, str]:
    """'hat' or 'hat=key' -> (its name, the key of its art)."""
    name, _, key = item.partition("=")
    return name, key or known[name]


def paste_prop(picture: Image.Image, actor: Actor) -> None:
    """What the actor holds, at its lower right."""
    w, h = picture.size
    side = round(scale(PROP, w, h) * actor.part)
    art = glyph_art(art_of(actor.holds or "", PROPS)[1], side)
    x, y = scale(18 * actor.part, w, h), scale(15 * actor.part, w, h)
    paste(picture, art, min(actor.x + x, w - side // 2), actor.y + y)


def render(scene: Scene) -> np.ndarray:
    """(height, width, 3) uint8: backdrop, actors from back to front, things held, style."""
    picture = Image.fromarray(backdrop(scene.place, scene.light, scene.seed % VARIANTS, scene.width, scene.height))
    for actor in sorted(scene.actors, key=lambda a: a.y):
        paste_actor(picture, actor)
    for actor in scene.actors:
        if actor.holds:
            paste_prop(picture, actor)
    return apply_style(np.array(picture), scene.style)


def slots(size: Size) -> tuple[tuple[int, int], ...]:
    """Left, middle and right (x, y); the middle stands further back where the picture is narrow."""
    h, w = size
    half, y = scale(ACTOR / 2, w, h), h - scale(ACTOR / 2 + MARGIN, w, h)
    narrow = w / 2 - half < scale(APART, w, h)
    back = min(scale(APART, w, h), max(0, round(0.4 * h) - half)) if narrow else 0
    return (half, y), (on_grid(w // 2, scale(GRID, w, h)), y - back), (w - half, y)


def on_grid(x: int, grid: int) -> int:
    """The nearest x at which an actor stands on whole tokens."""
    return grid // 2 + grid * round((x - grid // 2) / grid)


def spot(rng: np.random.Generator, size: Size, others: list[tuple[int, int]]) -> tuple[int, int]:
    """A free slot (x, y) to stand in; well apart from the others while that can be had."""
    h, w = size
    for attempt in range(TRIES):
        apart = scale(AIRY if attempt < TRIES // 3 else APART, w, h)
        slot = int(rng.integers(3)) if others or rng.random() < 0.5 else 1
        x, y = slots(size)[slot]
        if all(abs(x - a) >= apart or abs(y - b) >= apart * 0.7 for a, b in others):
            return x, y
    raise Crowded


def side_of(x: int, size: Size) -> int:
    """The slot nearest to x: 0 left, 1 middle, 2 right."""
    return min(range(3), key=lambda i: abs(slots(size)[i][0] - x))


def spots(rng: np.random.Generator, size: Size, count: int) -> list[tuple[int, int]]:
    """`count` free places, from left to right."""
    found: list[tuple[int, int]] = []
    for _ in range(count):
        found.append(spot(rng, size, found))
    return sorted(found)


def row(size: Size, count: int) -> list[tuple[int, int]]:
    """Where one, two or three stand when nothing is said: the middle, left and right, all three."""
    return [slots(size)[i] for i in {1: (1,), 2: (0, 2), 3: (0, 1, 2)}[count]]


def free_slots(size: Size, others: list[tuple[int, int]]) -> list[int]:
    """Numbers of the slots well apart from the others."""
    h, w = size
    return [i for i in range(3) if all(abs(slots(size)[i][0] - x) >= scale(APART, w, h) for x, _ in others)]


def next_spot(size: Size, others: list[tuple[int, int]]) -> tuple[int, int]:
    """Where one more stands when nothing is said: the middle if alone, else left, right, middle."""
    free = free_slots(size, others)
    for slot in (0, 2, 1) if others else (1,):
        if slot in free:
            return slots(size)[slot]
    raise Crowded


def any_spot(rng: np.random.Generator, size: Size, others: list[tuple[int, int]]) -> tuple[int, int]:
    """A free slot, to be named."""
    free = free_slots(size, others)
    if not free:
        raise Crowded
    return slots(size)[pick(rng, free)]


def crowd(size: Size, count: int) -> list[tuple[int, int]]:
    """Places of four to six small ones: the first three in front from left to right, the others behind."""
    h, w = size
    half, edge = round(scale(ACTOR, w, h) * CROWDED / 2), scale(4, w, h)
    front, back = h - half - scale(8, w, h), h - half - scale(44, w, h)
    first = (half + edge, w // 2, w - half - edge)
    behind = {1: (w // 2,), 2: (w // 3, 2 * w // 3), 3: first}[count - 3]
    return [(x, front) for x in first] + [(x, back) for x in behind]


def choose_named(rng: np.random.Generator, taken: tuple[str, ...] = ()) -> tuple[str, str]:
    """(name, glyph) of a character not yet taken."""
    name = pick(rng, [n for n in KNOWN if n not in taken])
    return name, CHARACTERS[name]


def dress_actor(rng: np.random.Generator, actor: Actor, p: float) -> Actor:
    """With probability p each: wearing something, holding something."""
    wears = pick(rng, tuple(WEARABLES)) if chance(rng, p) else actor.wears
    wears = None if wears == BORN_WITH.get(actor.glyph) else wears
    return replace(actor, wears=wears, holds=pick(rng, tuple(PROPS)) if chance(rng, p) else actor.holds)


def cast(rng: np.random.Generator, split: str, size: Size, count: int, known: float, dress: float) -> tuple[Actor, ...]:
    """Actors from left to right, all different; each named with probability `known`."""
    actors: list[Actor] = []
    for x, y in spots(rng, size, count):
        who = choose_named(rng, tuple(a.name for a in actors)) if chance(rng, known) else ("", stranger(rng, split))
        if who[1] in [a.glyph for a in actors]:
            raise Crowded
        actors.append(dress_actor(rng, Actor(*who, x, y), dress))
    return tuple(actors)


def setting(rng: np.random.Generator, place: str | None = None) -> tuple[str, str | None]:
    """A place and a light it can have."""
    place = place or pick(rng, PLACES)
    return place, None if place in UNLIT else pick(rng, LIGHTS)


def stage(
    rng: np.random.Generator, size: Size, actors: tuple[Actor, ...], style: str | None = None, place: str | None = None
) -> Scene:
    """The actors somewhere."""
    place, light = setting(rng, place)
    return Scene(place, light, actors, style, size[1], size[0], int(rng.integers(VARIANTS)))


def is_held_out(scene: Scene) -> bool:
    """Whether this combination of named characters, place and light is kept for tests (one in ten)."""
    names = sorted(a.name for a in scene.actors if a.name)
    if not names or scene.place == PLAIN:
        return False
    # Rooms had no light once: what was kept for tests then is kept still, though the model has learned since.
    light = "" if scene.place in INDOORS and scene.light == "day" else scene.light or ""
    return zlib.crc32("|".join((*names, scene.place, light)).encode()) % 10 == 0


@dataclass(frozen=True)
class Plan:
    """A sample before it is drawn."""

    prompt: str
    scene: Scene
    references: tuple[Scene, ...] = ()
    edit: bool = False  # the target is reference 0 with something changed
    origins: tuple[int, ...] = ()  # for each actor of the target: 0 from words (or edited), k from image k
    subject: str = ""  # what the prompt asks for: a place, a light, a character, a thing, a style


def source(rng: np.random.Generator, split: str, size: Size, counts: tuple[int, ...], dress: float = 0.15) -> Scene:
    """A picture to be edited; a few are in a style already."""
    style = pick(rng, STYLES) if chance(rng, 0.06) else None
    return stage(rng, size, cast(rng, split, size, pick(rng, counts), 0.75, dress), style)


def portrait(rng: np.random.Generator, split: str, size: Size) -> Scene:
    """A reference that shows one character, on a plain or a real backdrop."""
    actors = cast(rng, split, size, 1, 0.4 if split == "train" else 0.0, 0.06)
    return stage(rng, size, actors, None, PLAIN if chance(rng, 0.45) else None)


def call(rng: np.random.Generator, scene: Scene, index: int) -> str:
    """Words that mean this actor of the scene and nobody else."""
    actor, count = scene.actors[index], len(scene.actors)
    if actor.name and not chance(rng, 0.08):
        return f"the {actor.name}"
    if count == 1:
        named = [f"the {actor.name}"] * 3 if actor.name else []
        return pick(rng, ["it", "it", "him", "her", *named])
    rank = sorted(a.x for a in scene.actors).index(actor.x)
    side = words.SIDES[rank] if count == 3 else words.SIDES[2 * rank]
    return f"the one {side}"


def beside(who: str, actor: Actor, size: Size) -> str:
    """The words with the actor's side of the picture, where that cannot be misread."""
    return who if " with " in who or " holding " in who else f"{who} {words.SIDES[side_of(actor.x, size)]}"


def place_clearly(who: str, actor: Actor, size: Size) -> str:
    """The same, planned again where it can be misread."""
    told = beside(who, actor, size)
    if told == who:
        raise Crowded
    return told


def swap(scene: Scene, index: int, actor: Actor) -> Scene:
    """The scene with another actor at this index."""
    return replace(scene, actors=(*scene.actors[:index], actor, *scene.actors[index + 1 :]))


def plan_edit(prompt: str, before: Scene, after: Scene, subject: str, origins: tuple[int, ...] | None = None) -> Plan:
    """A plan that keeps the first reference but for one thing."""
    return Plan(prompt, after, (before,), True, (1,) * len(after.actors) if origins is None else origins, subject)
