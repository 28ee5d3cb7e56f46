"""The world of the built-in model: small storyboard pictures, and what may be asked of them.

A Scene says what is in a picture and render() draws it, always the same bytes. draw() makes one
training Sample: a prompt, its references and its target. Whatever a prompt does not ask to change
stays the same pixel for pixel, and where somebody new stands, words and references decide.
Pictures are (H, W, 3) uint8, positions are pixels from the top left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from . import mini_tasks as tasks
from . import mini_words as words
from .mini_glyphs import CHARACTERS, PROPS, WEARABLES, font_path, glyph_art, glyph_image
from .mini_scene import (
    LIGHTS,
    PLACES,
    Actor,
    Crowded,
    Plan,
    Scene,
    Size,
    actor_size,
    cast,
    is_held_out,
    place_clearly,
    render,
    row,
    stage,
)
from .mini_styles import STYLES
from .mini_words import chance, join_names, pick, style_words, where_words, with_article

__all__ = [
    "CHARACTERS", "EDITS", "LIGHTS", "MIX", "PLACES", "PROPS", "REFERENCES", "STYLES", "TASKS", "WEARABLES", "Actor",
    "Plan", "Sample", "Scene", "actor_size", "draw", "font_path", "glyph_art", "glyph_image", "is_held_out",
    "pick_task", "plan_sample", "render",
]  # fmt: skip


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


def plan_text(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """Words to picture."""
    actors = cast(rng, split, size, pick(rng, (1, 1, 1, 2, 2)), 1.0, 0.2)
    told_side = len(actors) == 1 and chance(rng, 0.3)
    if not told_side:
        places = row(size, len(actors))
        actors = tuple(replace(a, x=x, y=y) for a, (x, y) in zip(actors, places, strict=True))
    scene = stage(rng, size, actors, pick(rng, STYLES) if chance(rng, 0.1) else None)
    told = where_words(rng, scene.place, scene.light)
    who = join_names([with_article(a.name) + words.outfit(rng, a.wears, a.holds) for a in actors])
    who = place_clearly(who, actors[0], size) if told_side else who
    if scene.style:
        told |= style_words(rng, scene.style)
    prompt = pick(rng, words.TEXT_STYLED if scene.style else words.TEXT).format(who=who, **told)
    return Plan(prompt, scene, origins=(0,) * len(actors))


def plan_two(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """Two references."""
    kind = rng.random()
    if kind < 0.4:
        return tasks.plan_outfit(rng, split, size, 2)
    if kind < 0.5:
        return tasks.plan_seat(rng, split, size)
    kind = rng.random()
    if kind < 0.45:
        return tasks.plan_together(rng, split, size, 2)
    if kind < 0.7:
        return tasks.plan_join(rng, split, size, 2)
    return tasks.plan_guest(rng, split, size, 2) if kind < 0.87 else tasks.plan_like(rng, split, size)


def plan_three(rng: np.random.Generator, split: str, size: Size) -> Plan:
    """Three references."""
    if chance(rng, 0.3):
        return tasks.plan_outfit(rng, split, size, 3)
    kind = rng.random()
    if kind < 0.4:
        return tasks.plan_together(rng, split, size, 3)
    if kind < 0.6:
        return tasks.plan_join(rng, split, size, 3)
    return tasks.plan_guest(rng, split, size, 3) if kind < 0.85 else tasks.plan_guest_like(rng, split, size)


def plan_many(rng: np.random.Generator, split: str, size: Size, count: int) -> Plan:
    """Four to six references."""
    return (tasks.plan_outfit if chance(rng, 0.5) else tasks.plan_crowd)(rng, split, size, count)


PLANNERS: dict[str, Callable[[np.random.Generator, str, Size], Plan]] = {
    "text": plan_text, "copy": tasks.plan_copy, "place": tasks.plan_place, "light": tasks.plan_light,
    "add": tasks.plan_add, "remove": tasks.plan_remove, "replace": tasks.plan_replace, "wear": tasks.plan_wear,
    "hold": tasks.plan_hold, "style": tasks.plan_style, "identity": tasks.plan_identity, "two": plan_two,
    "three": plan_three, "snow": tasks.plan_snow, "friends": tasks.plan_friends,
    "four": partial(plan_many, count=4), "five": partial(plan_many, count=5), "six": partial(plan_many, count=6),
}  # fmt: skip
TASKS: tuple[str, ...] = tuple(PLANNERS)
REFERENCES = {"text": 0, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}  # every other task has one
LONGEST = 150  # letters of a prompt
EDITS = ("place", "light", "add", "remove", "replace", "wear", "hold", "style")
MIX: dict[str, dict[str, float]] = {  # weights; they need not add up to 1
    "copy": {"copy": 1.0},
    "edits": {"copy": 0.1, "text": 0.25, **dict.fromkeys(EDITS, 0.08), "snow": 0.03},
    "references": {
        "copy": 0.04, "text": 0.2, **dict.fromkeys(EDITS, 0.05), "identity": 0.23, "two": 0.15, "three": 0.02,
        "friends": 0.06, "snow": 0.02,
    },
    "all": {
        "copy": 0.02, "text": 0.15, **dict.fromkeys(EDITS, 0.05), "wear": 0.11, "hold": 0.06, "snow": 0.02,
        "friends": 0.05, "identity": 0.13, "two": 0.22, "three": 0.08, "four": 0.01, "five": 0.008, "six": 0.01,
    },
}  # fmt: skip


# ---- samples


def is_allowed(plan: Plan, split: str) -> bool:
    """Training never sees a held-out combination, tests make nothing else wherever there are names."""
    if split == "train":
        return not any(is_held_out(s) for s in (plan.scene, *plan.references))
    return is_held_out(plan.scene) or not any(a.name for a in plan.scene.actors)


def plan_sample(rng: np.random.Generator, task: str, split: str, size: Size) -> Plan:
    """A plan this split may have, not too long."""
    while True:
        try:
            plan = PLANNERS[task](rng, split, size)
        except Crowded:
            continue
        if len(plan.prompt) <= LONGEST and is_allowed(plan, split):
            return replace(plan, prompt=words.in_other_words(rng, plan.prompt))


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
