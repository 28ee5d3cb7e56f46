"""Scenes of the built-in model's world: made up at random, and drawn.

Positions are pixels from the top left; render() gives the same bytes for the same scene. Lengths in
this file are for 128 x 128 pictures and go through scaled().
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from .mini_glyphs import BORN_WITH, CHARACTERS, KNOWN, PROPS, WEARABLES, glyph_art, head, stranger
from .mini_places import PAINTERS, PLAIN, UNLIT, VARIANTS, backdrop
from .mini_styles import styled
from .mini_words import chance, pick

PLACES: tuple[str, ...] = tuple(PAINTERS)
LIGHTS = ("day", "sunset", "night")
ACTOR, PROP = 48, 26  # an actor fills 3 x 3 tokens
APART, AIRY = 32, 48  # between the middles of two actors: at least, and rather
MARGIN = 16  # from an actor's feet to the lower edge
TRIES = 24
GRID = 16  # actors stand on the transformer's tokens: moving one then moves whole tokens (see docs/SPEED.md)
Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class Actor:
    """Somebody standing in a scene; (x, y) is the middle of a square of actor_size(), name is "" for strangers."""

    name: str
    glyph: str
    x: int
    y: int
    wears: str | None = None
    holds: str | None = None


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


def scaled(pixels: float, width: int, height: int) -> int:
    """Pixels at 128 x 128 to pixels of this picture; from 96 to 128 nothing shrinks."""
    short = min(width, height)
    return max(1, round(pixels * (short / 96 if short < 96 else max(1.0, short / 128))))


def actor_size(width: int, height: int) -> int:
    """The side of the square an actor fills, in pixels."""
    return scaled(ACTOR, width, height)


def paste(picture: Image.Image, art: Image.Image, x: float, y: float) -> None:
    """Art over the picture, its middle at (x, y)."""
    picture.paste(art, (round(x - art.width / 2), round(y - art.height / 2)), art)


def paste_actor(picture: Image.Image, actor: Actor) -> None:
    """The actor and what it wears."""
    size = actor_size(*picture.size)
    art = glyph_art(actor.glyph, size)
    top = actor.y + size // 2 - art.height
    paste(picture, art, actor.x, top + art.height / 2)
    if actor.wears is None:
        return
    middle, eyes, wide, crown = head(actor.glyph)
    x = actor.x + (middle - 0.5) * art.width
    if actor.wears in ("hat", "crown"):
        worn = glyph_art(WEARABLES[actor.wears], round(size * max(0.44, wide * 0.8)))
        paste(picture, worn, x, top + crown * art.height - worn.height * 0.34)
    else:
        worn = glyph_art(WEARABLES[actor.wears], round(size * max(0.46, wide)))
        paste(picture, worn, x, top + eyes * art.height)


def paste_prop(picture: Image.Image, actor: Actor) -> None:
    """What the actor holds, at its lower right."""
    w, h = picture.size
    side = scaled(PROP, w, h)
    art = glyph_art(PROPS[actor.holds or ""], side)
    paste(picture, art, min(actor.x + scaled(18, w, h), w - side // 2), actor.y + scaled(15, w, h))


def render(scene: Scene) -> np.ndarray:
    """(height, width, 3) uint8: backdrop, actors from back to front, things held, style."""
    picture = Image.fromarray(backdrop(scene.place, scene.light, scene.seed % VARIANTS, scene.width, scene.height))
    for actor in sorted(scene.actors, key=lambda a: a.y):
        paste_actor(picture, actor)
    for actor in scene.actors:
        if actor.holds:
            paste_prop(picture, actor)
    return styled(np.array(picture), scene.style)


def slots(size: Size) -> tuple[tuple[int, int], ...]:
    """Left, middle and right (x, y); the middle stands further back where the picture is narrow."""
    h, w = size
    half, y = scaled(ACTOR / 2, w, h), h - scaled(ACTOR / 2 + MARGIN, w, h)
    narrow = w / 2 - half < scaled(APART, w, h)
    back = min(scaled(APART, w, h), max(0, round(0.4 * h) - half)) if narrow else 0
    return (half, y), (on_grid(w // 2), y - back), (w - half, y)


def on_grid(x: int) -> int:
    """The nearest x at which an actor stands on whole tokens."""
    return GRID // 2 + GRID * round((x - GRID // 2) / GRID)


def spot(rng: np.random.Generator, size: Size, others: list[tuple[int, int]]) -> tuple[int, int]:
    """A free slot (x, y) to stand in; well apart from the others while that can be had."""
    h, w = size
    for attempt in range(TRIES):
        apart = scaled(AIRY if attempt < TRIES // 3 else APART, w, h)
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


def named(rng: np.random.Generator, taken: tuple[str, ...] = ()) -> tuple[str, str]:
    """(name, glyph) of a character not yet taken."""
    name = pick(rng, [n for n in KNOWN if n not in taken])
    return name, CHARACTERS[name]


def dressed(rng: np.random.Generator, actor: Actor, p: float) -> Actor:
    """With probability p each: wearing something, holding something."""
    wears = pick(rng, tuple(WEARABLES)) if chance(rng, p) else actor.wears
    wears = None if wears == BORN_WITH.get(actor.glyph) else wears
    return replace(actor, wears=wears, holds=pick(rng, tuple(PROPS)) if chance(rng, p) else actor.holds)


def cast(rng: np.random.Generator, split: str, size: Size, count: int, known: float, dress: float) -> tuple[Actor, ...]:
    """Actors from left to right, all different; each named with probability `known`."""
    actors: list[Actor] = []
    for x, y in spots(rng, size, count):
        who = named(rng, tuple(a.name for a in actors)) if chance(rng, known) else ("", stranger(rng, split))
        if who[1] in [a.glyph for a in actors]:
            raise Crowded
        actors.append(dressed(rng, Actor(*who, x, y), dress))
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


def held_out(scene: Scene) -> bool:
    """Whether this combination of named characters, place and light is kept for tests (one in ten)."""
    names = sorted(a.name for a in scene.actors if a.name)
    if not names or scene.place == PLAIN:
        return False
    return zlib.crc32("|".join((*names, scene.place, scene.light or "")).encode()) % 10 == 0
