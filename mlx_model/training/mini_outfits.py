"""Tasks with things from references: clothes on a figure, furniture in a room. Each plans one sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import mini_words as words
from .mini_glyphs import BORN_WITH, CHARACTERS, EYEWEAR, FURNITURE, HEADWEAR, NECKWEAR, PROPS, WEARABLES, recolour
from .mini_places import PLAIN
from .mini_plans import Plan, source
from .mini_scene import Actor, Crowded, Scene, Size, cast, next_spot, row, stage
from .mini_words import chance, join_names, pick

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
