"""What may be asked of the built-in model: edits of one picture, and tasks with what references show (characters,
clothes on a figure, furniture in a room). Each plans one sample: (generator, split, size) -> Plan.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import mini_words as words
from .mini_glyphs import BORN_WITH, CHARACTERS, EYEWEAR, FURNITURE, HEADWEAR, NECKWEAR, PROPS, WEARABLES, recolour
from .mini_places import PLAIN
from .mini_scene import (
    CROWDED,
    LIGHTS,
    PLACES,
    Actor,
    Crowded,
    Plan,
    Scene,
    Size,
    any_spot,
    call,
    cast,
    choose_named,
    crowd,
    dress_actor,
    next_spot,
    place_clearly,
    plan_edit,
    portrait,
    row,
    setting,
    side_of,
    source,
    stage,
    swap,
)
from .mini_styles import STYLES
from .mini_words import chance, join_names, pick, style_words, thing, where_words, with_article


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
    kept = keep_on(rng, [name]) if slot == "wears" else None
    bare = set_slot(before.actors[index], slot, kept)
    if BORN_WITH.get(bare.glyph) == name:
        raise Crowded
    without = swap(before, index, bare)
    having = swap(before, index, set_slot(bare, slot, f"{kept}+{name}" if kept else name))
    who, alone = call(rng, before, index), len(before.actors) == 1
    if chance(rng, 0.2):
        off = words.TAKE_OFF if alone and chance(rng, 0.5) else off
        return plan_edit(pick(rng, off).format(who=who, thing=words.the_thing(name)), having, without, name)
    if alone and chance(rng, 0.25):
        on = words.WEAR_ALONE if slot == "wears" else words.HOLD_ALONE
    return plan_edit(pick(rng, on).format(who=who, thing=thing(rng, name)), without, having, name)


def keep_on(rng: np.random.Generator, names: list[str]) -> str | None:
    """Now and then something that is worn beside these and stays on."""
    free = [thing for kind in (HEADWEAR, EYEWEAR, NECKWEAR) if not set(kind) & set(names) for thing in kind]
    return pick(rng, free) if free and chance(rng, 0.25) else None


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
    """The actor with these things and what it wears already."""
    old = [actor.wears] if actor.wears else []
    worn = "+".join(old + [f"{name}={key}" for slot, name, key in things if slot == "wears"])
    held = next((f"{name}={key}" for slot, name, key in things if slot == "holds"), None)
    return replace(actor, wears=worn or None, holds=held)


def plan_outfit(rng: np.random.Generator, split: str, size: Size, count: int) -> Plan:
    """Things of the later images on the actor of image 1; perhaps in the place of the last."""
    moved = count == 6 or (count > 2 and chance(rng, 0.3))
    things = choose_things(rng, split, count - 1 - moved)
    before = source(rng, split, size, (1,), 0.0)
    if any(BORN_WITH.get(before.actors[0].glyph) == name for _, name, _ in things):
        raise Crowded
    kept = keep_on(rng, [name for _, name, _ in things])
    before = swap(before, 0, replace(before.actors[0], wears=kept))
    called = pick(rng, CALLED)
    told = join_names([called.format(name=name, k=k) for k, (_, name, _) in enumerate(things, 2)])
    shown = [thing_shown(rng, size, key) for _, _, key in things]
    actor = equip(before.actors[0], things)
    if not moved and chance(rng, 0.25):
        return go_there(rng, size, told, actor, (before, *shown))
    whom = chance(rng, 0.3)
    prompt = pick(rng, words.OUTFIT_WHOM if whom else words.OUTFIT).format(things=told, whom=call(rng, before, 0))
    if moved:
        return move_there(rng, split, size, prompt, actor, (before, *shown))
    return Plan(prompt, replace(before, actors=(actor,)), (before, *shown), True, (1,), "clothes")


def go_there(rng: np.random.Generator, size: Size, told: str, actor: Actor, shown: tuple[Scene, ...]) -> Plan:
    """The same in a place that words name."""
    x, y = row(size, 1)[0]
    after = stage(rng, size, (replace(actor, x=x, y=y),))
    prompt = pick(rng, words.WORN_AT).format(things=told, **where_words(rng, after.place, after.light))
    return Plan(prompt, after, (replace(shown[0], style=None), *shown[1:]), False, (1,), "clothes")


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
    if key in [a.glyph for a in before.actors]:
        raise Crowded
    taken, told_side = [(a.x, a.y) for a in before.actors], chance(rng, 0.4)
    x, y = any_spot(rng, size, taken) if told_side else next_spot(size, taken)
    it = pick(rng, ("image 2", "image 2", f"the {name} from image 2", f"the {name} of image 2", f"the {name}"))
    after = replace(before, actors=(*before.actors, Actor("", key, x, y)))
    shown = thing_shown(rng, size, key)
    side = " " + words.SIDES[side_of(x, size)]
    prompt = pick(rng, words.SEAT_AT if told_side else words.SEAT).format(it=it, side=side)
    return Plan(prompt, after, (before, shown), True, (1,) * len(before.actors) + (2,), name)
