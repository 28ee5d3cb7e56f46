"""Samples of the built-in model's world before they are drawn, and what all tasks plan with."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from . import mini_words as words
from .mini_places import PLAIN
from .mini_scene import Actor, Crowded, Scene, Size, cast, side_of, stage
from .mini_styles import STYLES
from .mini_words import chance, pick


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
        return "it" if not actor.name else pick(rng, ("it", f"the {actor.name}"))
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
