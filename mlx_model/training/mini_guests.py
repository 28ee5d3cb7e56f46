"""Tasks with characters from references: each plans one sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import mini_words as words
from .mini_plans import Plan, place_clearly, portrait, source
from .mini_scene import (
    CROWDED,
    Actor,
    Crowded,
    Scene,
    Size,
    any_spot,
    cast,
    choose_named,
    crowd,
    dress_actor,
    next_spot,
    row,
    side_of,
    stage,
)
from .mini_styles import STYLES
from .mini_words import chance, join_names, pick, where_words, with_article


def guest(rng: np.random.Generator, shown: Scene, number: int, dress: float) -> tuple[Actor, str]:
    """The character of image `number`, perhaps dressed anew, and the words for it."""
    old = shown.actors[0]
    new = dress_actor(rng, old, dress)
    worn, held = (now if now != was else None for now, was in ((new.wears, old.wears), (new.holds, old.holds)))
    name = f"the {old.name} from image {number}" if old.name and chance(rng, 0.12) else f"image {number}"
    return new, name + words.outfit(rng, worn, held)


def gather(rng: np.random.Generator, size: Size, shown: list[Scene], dress: float) -> tuple[tuple[Actor, ...], str]:
    """The characters of images 1, 2, ... from left to right, and the words for them."""
    guests = [guest(rng, s, i + 1, dress) for i, s in enumerate(shown)]
    keys = [g.glyph for g, _ in guests]
    if len(set(keys)) < len(keys):
        raise Crowded
    places = row(size, len(guests))
    actors = tuple(replace(g, x=x, y=y) for (g, _), (x, y) in zip(guests, places, strict=True))
    return actors, join_names([told for _, told in guests])


def plan_identity(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """The character of the reference somewhere else."""
    shown = portrait(rng, split, size)
    actor, who = guest(rng, shown, 1, 0.2)
    x, y = next_spot(size, [])
    if chance(rng, 0.3):
        x, y = any_spot(rng, size, [])
        who = place_clearly(who, replace(actor, x=x, y=y), size)
    actor = replace(actor, x=x, y=y)
    after = stage(rng, size, (actor,))
    prompt = pick(rng, words.IDENTITY).format(who=who, **where_words(rng, after.place, after.light))
    return Plan(prompt, after, (shown,), False, (1,), after.place)


def plan_together(rng: np.random.Generator, split: str, size: Size, count: int) -> Plan:
    """The characters of all references in one new scene."""
    shown = [portrait(rng, split, size) for _ in range(count)]
    actors, who = gather(rng, size, shown, 0.12 if count == 2 else 0.0)
    after = stage(rng, size, actors)
    prompt = pick(rng, words.TOGETHER).format(who=who, **where_words(rng, after.place, after.light))
    return Plan(prompt, after, tuple(shown), False, tuple(range(1, count + 1)), after.place)


def plan_join(rng: np.random.Generator, split: str, size: Size, count: int) -> Plan:
    """The characters of the later images come into image 1, which stays as it is."""
    before = source(rng, split, size, (0, 1, 1, 2) if count == 2 else (0, 1))
    shown = [portrait(rng, split, size) for _ in range(count - 1)]
    actors, told, told_side = list(before.actors), [], count == 2 and chance(rng, 0.5)
    for number, one in enumerate(shown, 2):
        actor, who = guest(rng, one, number, 0.0)
        taken = [(a.x, a.y) for a in actors]
        x, y = any_spot(rng, size, taken) if told_side else next_spot(size, taken)
        actors.append(replace(actor, x=x, y=y))
        told.append(who)
    if len({a.glyph for a in actors}) < len(actors):
        raise Crowded
    side = " " + words.SIDES[side_of(actors[-1].x, size)] if told_side else ""
    prompt = pick(rng, words.JOIN).format(who=join_names(told), side=side, s="" if count > 2 else "s")
    origins = (1,) * len(before.actors) + tuple(range(2, count + 1))
    return Plan(prompt, replace(before, actors=tuple(actors)), (before, *shown), True, origins)


def plan_guest(rng: np.random.Generator, split: str, size: Size, count: int) -> Plan:
    """The characters of the first images in the place of the last."""
    shown = [portrait(rng, split, size) for _ in range(count - 1)]
    there = stage(rng, size, cast(rng, split, size, pick(rng, (0, 1, 1, 2)), 0.75, 0.1))
    actors, who = gather(rng, size, shown, 0.08)
    prompt = pick(rng, words.GUEST).format(who=who, where=f"image {count}")
    return Plan(prompt, replace(there, actors=actors), (*shown, there), False, tuple(range(1, count)), there.place)


def plan_like(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """Image 1 in the style of image 2."""
    before = replace(source(rng, split, size, (0, 1, 1, 2)), style=None)
    like = replace(source(rng, split, size, (0, 1, 2)), style=pick(rng, STYLES))
    prompt = pick(rng, words.AS_STYLE).format(like="image 2")
    after = replace(before, style=like.style)
    return Plan(prompt, after, (before, like), True, (1,) * len(before.actors), like.style or "")


def plan_guest_like(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """Image 1 in the place of image 2 in the style of image 3."""
    plan = plan_guest(rng, split, size, 2)
    like = replace(source(rng, split, size, (0, 1, 2)), style=pick(rng, STYLES))
    scene = replace(plan.scene, style=like.style)
    prompt = f"{plan.prompt} in the style of image 3"
    return replace(plan, prompt=prompt, scene=scene, references=(*plan.references, like))


def plan_friends(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """The character of the reference somewhere else, with one or two that words name."""
    count = pick(rng, (1, 1, 2))
    shown = portrait(rng, split, size)
    first, who = guest(rng, shown, 1, 0.1)
    others = [choose_named(rng, (first.name,))]
    if count == 2:
        others.append(choose_named(rng, (first.name, others[0][0])))
    at = row(size, 1 + count)
    came = (Actor(*other, *xy) for other, xy in zip(others, at[1:], strict=True))
    after = stage(rng, size, (replace(first, x=at[0][0], y=at[0][1]), *came))
    unnamed = count == 2 and chance(rng, 0.2)
    friends = "friends" if unnamed else join_names([with_article(name) for name, _ in others])
    told = where_words(rng, after.place, after.light)
    prompt = pick(rng, words.FRIENDS[:2] if unnamed else words.FRIENDS).format(who=who, friends=friends, **told)
    return Plan(prompt, after, (shown,), False, (1,) + (0,) * count, after.place)


def plan_crowd(rng: np.random.Generator, split: str, size: Size, count: int) -> Plan:
    """The characters of four to six references together, as small as they must be."""
    shown = [portrait(rng, split, size) for _ in range(count)]
    shown = [replace(s, actors=(replace(s.actors[0], wears=None, holds=None),)) for s in shown]
    if len({s.actors[0].glyph for s in shown}) < count:
        raise Crowded
    places = zip((s.actors[0] for s in shown), crowd(size, count), strict=True)
    after = stage(rng, size, tuple(replace(actor, x=x, y=y, part=CROWDED) for actor, (x, y) in places))
    who = join_names([f"image {number}" for number in range(1, count + 1)])
    prompt = pick(rng, words.TOGETHER).format(who=who, **where_words(rng, after.place, after.light))
    return Plan(prompt, after, tuple(shown), False, tuple(range(1, count + 1)), after.place)
