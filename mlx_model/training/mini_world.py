"""The world of the built-in model: small storyboard pictures, and what may be asked of them.

A Scene says what is in a picture and render() draws it, always the same bytes. draw() makes one
training Sample: a prompt, its references and its target. Whatever a prompt does not ask to change
stays the same pixel for pixel. Pictures are (H, W, 3) uint8, positions are pixels from the top left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from . import mini_words as words
from .mini_glyphs import BORN_WITH, CHARACTERS, PROPS, WEARABLES, font_path, glyph_art, glyph_image
from .mini_places import PLAIN
from .mini_scene import (
    LIGHTS,
    PLACES,
    Actor,
    Crowded,
    Scene,
    Size,
    actor_size,
    cast,
    dressed,
    held_out,
    named,
    render,
    setting,
    side_of,
    spot,
    spots,
    stage,
)
from .mini_styles import STYLES
from .mini_words import chance, listed, pick, style_words, thing, where_words, with_article

__all__ = [
    "CHARACTERS", "EDITS", "LIGHTS", "MIX", "PLACES", "PROPS", "STYLES", "TASKS", "WEARABLES", "Actor", "Plan",
    "Sample", "Scene", "actor_size", "draw", "font_path", "glyph_art", "glyph_image", "held_out", "pick_task",
    "plan_sample", "render",
]  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """A sample before it is drawn."""

    prompt: str
    scene: Scene
    references: tuple[Scene, ...] = ()
    edit: bool = False  # the target is reference 0 with something changed
    origins: tuple[int, ...] = ()  # for each actor of the target: 0 from words (or edited), k from image k
    subject: str = ""  # what the prompt asks for: a place, a light, a character, a thing, a style


@dataclass(frozen=True)
class Sample:
    """One example. `changed` (H, W) bool: where an edit's target differs from reference 0, else all True."""

    task: str
    prompt: str
    target: np.ndarray
    references: tuple[np.ndarray, ...]
    changed: np.ndarray
    scene: Scene
    reference_scenes: tuple[Scene, ...]
    origins: tuple[int, ...]
    subject: str


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
        return "it" if not actor.name else pick(rng, ("it", f"the {actor.name}"))
    rank = sorted(a.x for a in scene.actors).index(actor.x)
    side = words.SIDES[rank] if count == 3 else words.SIDES[2 * rank]
    return f"the one {side}"


def beside(who: str, actor: Actor, size: Size) -> str:
    """The words with the actor's side of the picture, where that cannot be misread."""
    return who if " with " in who or " holding " in who else f"{who} {words.SIDES[side_of(actor.x, size)]}"


def swapped(scene: Scene, index: int, actor: Actor) -> Scene:
    """The scene with another actor at this index."""
    return replace(scene, actors=(*scene.actors[:index], actor, *scene.actors[index + 1 :]))


# ---- tasks: each plans one sample; (generator, split, size) -> Plan


def plan_text(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """Words to picture."""
    actors = cast(rng, split, size, pick(rng, (1, 1, 1, 2, 2)), 1.0, 0.2)
    scene = stage(rng, size, actors, pick(rng, STYLES) if chance(rng, 0.1) else None)
    told = where_words(rng, scene.place, scene.light)
    who = listed([with_article(a.name) + words.outfit(rng, a.wears, a.holds) for a in actors])
    if len(actors) == 1 and chance(rng, 0.25):
        who = beside(who, actors[0], size)
    if scene.style:
        told |= style_words(rng, scene.style)
    prompt = pick(rng, words.TEXT_STYLED if scene.style else words.TEXT).format(who=who, **told)
    return Plan(prompt, scene, origins=(0,) * len(actors))


def edited(prompt: str, before: Scene, after: Scene, subject: str, origins: tuple[int, ...] | None = None) -> Plan:
    """A plan that keeps the first reference but for one thing."""
    return Plan(prompt, after, (before,), True, (1,) * len(after.actors) if origins is None else origins, subject)


def plan_copy(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """The same picture."""
    scene = portrait(rng, split, size) if chance(rng, 0.3) else source(rng, split, size, (0, 1, 1, 2, 2, 3))
    return edited(pick(rng, words.COPY), scene, scene, "")


def plan_place(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """The same actors somewhere else, the light kept unless another is named."""
    before = source(rng, split, size, (1, 1, 2, 3))
    place, light = setting(rng, pick(rng, [p for p in PLACES if p != before.place]))
    told = light if chance(rng, 0.5) else None
    light = light and (told or before.light or "day")
    prompt = pick(rng, words.PLACE).format(**where_words(rng, place, told, say_day=1.0))
    return edited(prompt, before, replace(before, place=place, light=light), place)


def plan_light(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """The same picture at another time of the day."""
    before = source(rng, split, size, (0, 1, 1, 2, 3))
    if before.light is None:
        raise Crowded
    light = pick(rng, [x for x in LIGHTS if x != before.light])
    prompt = pick(rng, words.RELIGHT).format(**words.light_words(rng, light))
    return edited(prompt, before, replace(before, light=light), light)


def plan_add(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """One more actor."""
    before = source(rng, split, size, (0, 1, 1, 2))
    x, y = spot(rng, size, [(a.x, a.y) for a in before.actors])
    actor = dressed(rng, Actor(*named(rng, tuple(a.name for a in before.actors)), x, y), 0.1)
    who = with_article(actor.name) + words.outfit(rng, actor.wears, actor.holds)
    side = " " + words.SIDES[side_of(x, size)] if chance(rng, 0.6) else ""
    prompt = pick(rng, words.ADD).format(who=who, side=side)
    after = replace(before, actors=(*before.actors, actor))
    return edited(prompt, before, after, actor.name, (1,) * len(before.actors) + (0,))


def plan_remove(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """One actor less."""
    before = source(rng, split, size, (1, 2, 2, 3))
    gone = int(rng.integers(len(before.actors)))
    prompt = pick(rng, words.REMOVE).format(who=call(rng, before, gone))
    after = replace(before, actors=before.actors[:gone] + before.actors[gone + 1 :])
    return edited(prompt, before, after, before.actors[gone].name)


def plan_replace(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """Another actor in one's place."""
    before = source(rng, split, size, (1, 1, 2, 3), dress=0.08)
    index = int(rng.integers(len(before.actors)))
    old = before.actors[index]
    if old.wears or old.holds:
        raise Crowded
    name, glyph = named(rng, tuple(a.name for a in before.actors))
    prompt = pick(rng, words.REPLACE).format(who=call(rng, before, index), new=with_article(name))
    origins = tuple(int(i != index) for i in range(len(before.actors)))
    return edited(prompt, before, swapped(before, index, replace(old, name=name, glyph=glyph)), name, origins)


def plan_dress(
    rng: np.random.Generator, split: str, size: Size, slot: str, things: tuple[str, ...], on: tuple[str, ...],
    off: tuple[str, ...],
) -> Plan:  # fmt: skip
    """An actor gets (or loses) a thing; `slot` is "wears" or "holds", `on` and `off` are ways to say it."""
    before = source(rng, split, size, (1, 1, 2, 2, 3))
    index, name = int(rng.integers(len(before.actors))), pick(rng, things)
    bare = replace(before.actors[index], **{slot: None})
    if BORN_WITH.get(bare.glyph) == name:
        raise Crowded
    without, having = swapped(before, index, bare), swapped(before, index, replace(bare, **{slot: name}))
    who = call(rng, before, index)
    if chance(rng, 0.15):
        return edited(pick(rng, off).format(who=who, thing=words.the_thing(name)), having, without, name)
    return edited(pick(rng, on).format(who=who, thing=thing(rng, name)), without, having, name)


def plan_wear(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """Something on the head."""
    return plan_dress(rng, split, size, "wears", tuple(WEARABLES), words.WEAR, words.UNWEAR)


def plan_hold(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """Something in the hand."""
    return plan_dress(rng, split, size, "holds", tuple(PROPS), words.HOLD, words.UNHOLD)


def plan_style(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """The same picture drawn differently."""
    before = replace(source(rng, split, size, (0, 1, 1, 2, 3)), style=None)
    style = pick(rng, STYLES)
    prompt = pick(rng, words.RESTYLE).format(**style_words(rng, style))
    return edited(prompt, before, replace(before, style=style), style)


# ---- tasks with characters from references


def guest(rng: np.random.Generator, shown: Scene, number: int, dress: float) -> tuple[Actor, str]:
    """The character of image `number`, perhaps dressed anew, and the words for it."""
    old = shown.actors[0]
    new = dressed(rng, old, dress)
    worn, held = (now if now != was else None for now, was in ((new.wears, old.wears), (new.holds, old.holds)))
    name = f"the {old.name} from image {number}" if old.name and chance(rng, 0.12) else f"image {number}"
    return new, name + words.outfit(rng, worn, held)


def gathered(rng: np.random.Generator, size: Size, shown: list[Scene], dress: float) -> tuple[tuple[Actor, ...], str]:
    """The characters of images 1, 2, ... from left to right, and the words for them."""
    guests = [guest(rng, s, i + 1, dress) for i, s in enumerate(shown)]
    keys = [g.glyph for g, _ in guests]
    if len(set(keys)) < len(keys):
        raise Crowded
    places = spots(rng, size, len(guests))
    actors = tuple(replace(g, x=x, y=y) for (g, _), (x, y) in zip(guests, places, strict=True))
    return actors, listed([told for _, told in guests])


def plan_identity(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """The character of the reference somewhere else."""
    shown = portrait(rng, split, size)
    actor, who = guest(rng, shown, 1, 0.2)
    x, y = spot(rng, size, [])
    actor = replace(actor, x=x, y=y)
    who = beside(who, actor, size) if chance(rng, 0.3) else who
    after = stage(rng, size, (actor,))
    prompt = pick(rng, words.IDENTITY).format(who=who, **where_words(rng, after.place, after.light))
    return Plan(prompt, after, (shown,), False, (1,), after.place)


def plan_together(rng: np.random.Generator, split: str, size: Size, count: int) -> Plan:
    """The characters of all references in one new scene."""
    shown = [portrait(rng, split, size) for _ in range(count)]
    actors, who = gathered(rng, size, shown, 0.12 if count == 2 else 0.0)
    after = stage(rng, size, actors)
    prompt = pick(rng, words.TOGETHER).format(who=who, **where_words(rng, after.place, after.light))
    return Plan(prompt, after, tuple(shown), False, tuple(range(1, count + 1)), after.place)


def plan_join(rng: np.random.Generator, split: str, size: Size, count: int) -> Plan:
    """The characters of the later images come into image 1, which stays as it is."""
    before = source(rng, split, size, (0, 1, 1, 2) if count == 2 else (0, 1))
    shown = [portrait(rng, split, size) for _ in range(count - 1)]
    actors, told = list(before.actors), []
    for i, one in enumerate(shown):
        actor, who = guest(rng, one, i + 2, 0.0)
        x, y = spot(rng, size, [(a.x, a.y) for a in actors])
        actors.append(replace(actor, x=x, y=y))
        told.append(who)
    if len({a.glyph for a in actors}) < len(actors):
        raise Crowded
    side = " " + words.SIDES[side_of(actors[-1].x, size)] if count == 2 and chance(rng, 0.5) else ""
    prompt = pick(rng, words.JOIN).format(who=listed(told), side=side, s="" if count > 2 else "s")
    origins = (1,) * len(before.actors) + tuple(range(2, count + 1))
    return Plan(prompt, replace(before, actors=tuple(actors)), (before, *shown), True, origins)


def plan_guest(rng: np.random.Generator, split: str, size: Size, count: int) -> Plan:
    """The characters of the first images in the place of the last."""
    shown = [portrait(rng, split, size) for _ in range(count - 1)]
    there = stage(rng, size, cast(rng, split, size, pick(rng, (0, 1, 1, 2)), 0.75, 0.1))
    actors, who = gathered(rng, size, shown, 0.08)
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


def plan_two(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """Two references."""
    kind = rng.random()
    if kind < 0.45:
        return plan_together(rng, split, size, 2)
    if kind < 0.7:
        return plan_join(rng, split, size, 2)
    return plan_guest(rng, split, size, 2) if kind < 0.87 else plan_like(rng, split, size)


def plan_three(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """Three references."""
    kind = rng.random()
    if kind < 0.4:
        return plan_together(rng, split, size, 3)
    if kind < 0.6:
        return plan_join(rng, split, size, 3)
    return plan_guest(rng, split, size, 3) if kind < 0.85 else plan_guest_like(rng, split, size)


PLANNERS: dict[str, Callable[[np.random.Generator, str, Size], Plan]] = {
    "text": plan_text, "copy": plan_copy, "place": plan_place, "light": plan_light, "add": plan_add,
    "remove": plan_remove, "replace": plan_replace, "wear": plan_wear, "hold": plan_hold,
    "style": plan_style, "identity": plan_identity, "two": plan_two, "three": plan_three,
}  # fmt: skip
TASKS: tuple[str, ...] = tuple(PLANNERS)
LONGEST = 110  # letters of a prompt
EDITS = ("place", "light", "add", "remove", "replace", "wear", "hold", "style")
MIX: dict[str, dict[str, float]] = {  # weights; they need not add up to 1
    "copy": {"copy": 1.0},
    "edits": {"copy": 0.1, "text": 0.25, **dict.fromkeys(EDITS, 0.08)},
    "references": {
        "copy": 0.04,
        "text": 0.2,
        **dict.fromkeys(EDITS, 0.05),
        "identity": 0.23,
        "two": 0.15,
        "three": 0.02,
    },
    "all": {"copy": 0.02, "text": 0.26, **dict.fromkeys(EDITS, 0.05), "identity": 0.14, "two": 0.13, "three": 0.05},
}


# ---- samples


def allowed(plan: Plan, split: str) -> bool:
    """Training never sees a held-out combination, tests make nothing else wherever there are names."""
    if split == "train":
        return not any(held_out(s) for s in (plan.scene, *plan.references))
    return held_out(plan.scene) or not any(a.name for a in plan.scene.actors)


def plan_sample(rng: np.random.Generator, task: str, split: str, size: Size) -> Plan:
    """A plan this split may have, not too long."""
    while True:
        try:
            plan = PLANNERS[task](rng, split, size)
        except Crowded:
            continue
        if len(plan.prompt) <= LONGEST and allowed(plan, split):
            return plan


def pick_task(rng: np.random.Generator, phase: str = "all") -> str:
    """A task with the weights of a phase of the curriculum."""
    edges = np.cumsum(list(MIX[phase].values()))
    return tuple(MIX[phase])[int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))]


def draw(
    rng: np.random.Generator, task: str | None = None, split: str = "train", size: Size = (128, 128), phase: str = "all"
) -> Sample:
    """One sample; size is (height, width), multiples of 16. The same generator state gives the same bytes.

    Without a task, the phase of the curriculum chooses one.
    """
    task = task or pick_task(rng, phase)
    plan = plan_sample(rng, task, split, size)
    target, shown = render(plan.scene), tuple(render(s) for s in plan.references)
    changed = (target != shown[0]).any(2) if plan.edit else np.ones(size, bool)
    return Sample(task, plan.prompt, target, shown, changed, plan.scene, plan.references, plan.origins, plan.subject)
