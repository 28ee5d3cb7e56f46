"""Tasks with what references show: characters, clothes on a figure, furniture in a room. Each plans one sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import mini_words as words
from .mini_glyphs import BORN_WITH, CHARACTERS, EYEWEAR, FURNITURE, HEADWEAR, NECKWEAR, PROPS, WEARABLES, recolour
from .mini_places import PLAIN
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


KINDS = (("wears", HEADWEAR), ("wears", EYEWEAR), ("wears", NECKWEAR), ("holds", tuple(PROPS)))
CALLED = ("the {name} from image {k}", "the {name} of image {k}", "image {k}")
Thing = tuple[str, str, str]  # "wears" or "holds", name, key of its art


def thing_shown(rng: np.random.Generator, size: Size, key: str) -> Scene:
    """A picture of one thing."""
    alone = Actor("", key, *row(size, 1)[0])
    return stage(rng, size, (alone,), None, PLAIN if chance(rng, 0.7) else None)


def choose_things(rng: np.random.Generator, split: str, count: int) -> list[Thing]:
    """Things for different parts of a body."""
    chosen = []
    for kind in rng.permutation(len(KINDS))[:count]:
        slot, names = KINDS[int(kind)]
        name = pick(rng, names)
        chosen.append((slot, name, recolour(rng, split, {**WEARABLES, **PROPS}[name])))
    return chosen


def equip(actor: Actor, things: list[Thing]) -> Actor:
    """The actor with these things and no others."""
    worn = "+".join(f"{name}={key}" for slot, name, key in things if slot == "wears")
    held = next((f"{name}={key}" for slot, name, key in things if slot == "holds"), None)
    return replace(actor, wears=worn or None, holds=held)


def plan_outfit(rng: np.random.Generator, split: str, size: Size, count: int) -> Plan:
    """Things of the later images on the actor of image 1; perhaps in the place of the last."""
    moved = count == 6 or (count > 2 and chance(rng, 0.3))
    things = choose_things(rng, split, count - 1 - moved)
    before = source(rng, split, size, (1,), 0.0)
    if any(BORN_WITH.get(before.actors[0].glyph) == name for _, name, _ in things):
        raise Crowded
    called = pick(rng, CALLED)
    told = join_names([called.format(name=name, k=k) for k, (_, name, _) in enumerate(things, 2)])
    prompt = pick(rng, words.OUTFIT).format(things=told)
    shown = [thing_shown(rng, size, key) for _, _, key in things]
    actor = equip(before.actors[0], things)
    if moved:
        return move_there(rng, split, size, prompt, actor, (before, *shown))
    return Plan(prompt, replace(before, actors=(actor,)), (before, *shown), True, (1,), "clothes")


def move_there(
    rng: np.random.Generator, split: str, size: Size, prompt: str, actor: Actor, shown: tuple[Scene, ...]
) -> Plan:
    """The same in the place of one image more."""
    there = stage(rng, size, cast(rng, split, size, pick(rng, (0, 1)), 0.75, 0.1))
    x, y = row(size, 1)[0]
    after = replace(there, actors=(replace(actor, x=x, y=y),))
    prompt += pick(rng, (" in the place of image {}", " in image {}")).format(len(shown) + 1)
    return Plan(prompt, after, (replace(shown[0], style=None), *shown[1:], there), False, (1,), "clothes")


def plan_seat(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """A sofa or a chair from image 2 into the room of image 1."""
    before = stage(rng, size, cast(rng, split, size, pick(rng, (0, 0, 1)), 0.75, 0.1), None, "room")
    name = pick(rng, FURNITURE)
    key = recolour(rng, split, CHARACTERS[name])
    x, y = next_spot(size, [(a.x, a.y) for a in before.actors])
    it = pick(rng, ("image 2", f"the {name} from image 2", f"the {name} of image 2", f"the {name}"))
    after = replace(before, actors=(*before.actors, Actor("", key, x, y)))
    shown = thing_shown(rng, size, key)
    prompt = pick(rng, words.SEAT).format(it=it)
    return Plan(prompt, after, (before, shown), True, (1,) * len(before.actors) + (2,), name)
