"""Edits of one picture: each plans one sample, (generator, split, size) -> Plan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import mini_words as words
from .mini_glyphs import BORN_WITH, EYEWEAR, HEADWEAR, NECKWEAR, PROPS
from .mini_plans import Plan, call, plan_edit, portrait, source, swap
from .mini_scene import (
    LIGHTS,
    PLACES,
    Actor,
    Crowded,
    Size,
    any_spot,
    choose_named,
    dress_actor,
    next_spot,
    setting,
    side_of,
)
from .mini_styles import STYLES
from .mini_words import chance, pick, style_words, thing, where_words, with_article


def plan_copy(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """The same picture."""
    scene = portrait(rng, split, size) if chance(rng, 0.3) else source(rng, split, size, (0, 1, 1, 2, 2, 3))
    return plan_edit(pick(rng, words.COPY), scene, scene, "")


def plan_place(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """The same actors somewhere else, the light kept unless another is named."""
    before = source(rng, split, size, (1, 1, 2, 3))
    place, light = setting(rng, pick(rng, [p for p in PLACES if p != before.place]))
    told = light if chance(rng, 0.5) else None
    light = light and (told or before.light or "day")
    prompt = pick(rng, words.PLACE).format(**where_words(rng, place, told, say_day=1.0))
    return plan_edit(prompt, before, replace(before, place=place, light=light), place)


def plan_light(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """The same picture at another time of the day."""
    before = source(rng, split, size, (0, 1, 1, 2, 3))
    if before.light is None:
        raise Crowded
    light = pick(rng, [x for x in LIGHTS if x != before.light])
    prompt = pick(rng, words.RELIGHT).format(**words.light_words(rng, light))
    return plan_edit(prompt, before, replace(before, light=light), light)


def plan_add(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """One more actor."""
    before = source(rng, split, size, (0, 1, 1, 2))
    at, side = [(a.x, a.y) for a in before.actors], ""
    if chance(rng, 0.5):
        x, y = any_spot(rng, size, at)
        side = " " + words.SIDES[side_of(x, size)]
    else:
        x, y = next_spot(size, at)
    actor = dress_actor(rng, Actor(*choose_named(rng, tuple(a.name for a in before.actors)), x, y), 0.1)
    who = with_article(actor.name) + words.outfit(rng, actor.wears, actor.holds)
    prompt = pick(rng, words.ADD).format(who=who, side=side)
    after = replace(before, actors=(*before.actors, actor))
    return plan_edit(prompt, before, after, actor.name, (1,) * len(before.actors) + (0,))


def plan_remove(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """One actor less."""
    before = source(rng, split, size, (1, 2, 2, 3))
    gone = int(rng.integers(len(before.actors)))
    prompt = pick(rng, words.REMOVE).format(who=call(rng, before, gone))
    after = replace(before, actors=before.actors[:gone] + before.actors[gone + 1 :])
    return plan_edit(prompt, before, after, before.actors[gone].name)


def plan_replace(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """Another actor in one's place."""
    before = source(rng, split, size, (1, 1, 2, 3), dress=0.08)
    index = int(rng.integers(len(before.actors)))
    old = before.actors[index]
    if old.wears or old.holds:
        raise Crowded
    name, glyph = choose_named(rng, tuple(a.name for a in before.actors))
    prompt = pick(rng, words.REPLACE).format(who=call(rng, before, index), new=with_article(name))
    origins = tuple(int(i != index) for i in range(len(before.actors)))
    return plan_edit(prompt, before, swap(before, index, replace(old, name=name, glyph=glyph)), name, origins)


def set_slot(actor: Actor, slot: str, thing: str | None) -> Actor:
    """The actor with `thing` (or nothing) as what it "wears" or "holds"."""
    return replace(actor, wears=thing) if slot == "wears" else replace(actor, holds=thing)


def plan_dress(
    rng: np.random.Generator, split: str, size: Size, slot: str, things: tuple[str, ...], on: tuple[str, ...],
    off: tuple[str, ...],
) -> Plan:  # fmt: skip
    """An actor gets (or loses) a thing; `slot` is "wears" or "holds", `on` and `off` are ways to say it."""
    before = source(rng, split, size, (1, 1, 2, 2, 3))
    index, name = int(rng.integers(len(before.actors))), pick(rng, things)
    bare = set_slot(before.actors[index], slot, None)
    if BORN_WITH.get(bare.glyph) == name:
        raise Crowded
    without, having = swap(before, index, bare), swap(before, index, set_slot(bare, slot, name))
    who = call(rng, before, index)
    if chance(rng, 0.15):
        return plan_edit(pick(rng, off).format(who=who, thing=words.the_thing(name)), having, without, name)
    return plan_edit(pick(rng, on).format(who=who, thing=thing(rng, name)), without, having, name)


def plan_wear(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """Something on the head, on the eyes or round the neck."""
    return plan_dress(rng, split, size, "wears", (*HEADWEAR, *EYEWEAR, *NECKWEAR), words.WEAR, words.UNWEAR)


def plan_snow(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """Snow on somebody's head, or off it."""
    before = source(rng, split, size, (1, 1, 1, 2), dress=0.0)
    index, alone = int(rng.integers(len(before.actors))), len(before.actors) == 1
    bare = replace(before.actors[index], wears=None)
    without, having = swap(before, index, bare), swap(before, index, replace(bare, wears="snow"))
    who = call(rng, before, index)
    who = "it" if alone and not bare.name and chance(rng, 0.3) else who
    if chance(rng, 0.6):
        prompt = pick(rng, words.SNOW_OFF if alone else words.SNOW_OFF[:-1])
        return plan_edit(prompt.format(who=who), having, without, "snow")
    return plan_edit(pick(rng, words.SNOW_ON).format(who=who), without, having, "snow")


def plan_hold(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """Something in the hand."""
    return plan_dress(rng, split, size, "holds", tuple(PROPS), words.HOLD, words.UNHOLD)


def plan_style(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """The same picture drawn differently."""
    before = replace(source(rng, split, size, (0, 1, 1, 2, 3)), style=None)
    style = pick(rng, STYLES)
    prompt = pick(rng, words.RESTYLE).format(**style_words(rng, style))
    return plan_edit(prompt, before, replace(before, style=style), style)
