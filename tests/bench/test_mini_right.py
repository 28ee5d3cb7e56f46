"""The strict measure says yes to what is right and soft, and no to each kind of fault."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from mlx_model.training import mini_world as world
from mlx_model.training.mini_scene import row

from .mini_right import right
from .mini_score import TASKS, figures

pytestmark = pytest.mark.skipif(world.font_path() is None, reason="Noto Color Emoji is not installed")

SIZE = (128, 128)


def drawn(task: str, count: int = 6, size=SIZE) -> list[world.Sample]:
    rng = np.random.default_rng(5)
    return [world.draw(rng, task, "test", size) for _ in range(count)]


@pytest.mark.first_case
@pytest.mark.parametrize("task", [*TASKS, "snow", "friends", "six"])
def test_the_truth_is_right_and_so_is_a_soft_one(task):
    for sample in drawn(task):
        soft = np.asarray(Image.fromarray(sample.target).filter(ImageFilter.GaussianBlur(0.8)))
        assert right(sample, sample.target) == (True, 0)
        assert right(sample, soft)[0]


@pytest.mark.first_case
@pytest.mark.parametrize("task", [task for task in TASKS if task != "text"])
def test_what_was_given_is_wrong(task):
    found = [right(sample, sample.references[0])[0] for sample in drawn(task, 8)]
    assert sum(found) <= 1  # an edit may be too small to see, such as another light of a plain ground


@pytest.mark.parametrize("side", [128, 256])
def test_somebody_twice_is_wrong(side):
    for sample in drawn("text", 8, (side, side)):
        scene = sample.scene
        if len(scene.actors) == 1 and scene.actors[0].x == row((side, side), 1)[0][0]:
            x, y = row((side, side), 2)[0]
            twice = replace(scene, actors=(*scene.actors, replace(scene.actors[0], x=x, y=y)))
            assert not right(sample, world.render(twice))[0]


def test_another_one_changed_is_wrong():
    """The change is made, and somebody else's place is empty."""
    seen = 0
    for sample in drawn("wear", 40):
        kept = [a for a, b in zip(sample.scene.actors, sample.reference_scenes[0].actors, strict=True) if a == b]
        if kept:
            fewer = replace(sample.scene, actors=tuple(a for a in sample.scene.actors if a != kept[0]))
            assert not right(sample, world.render(fewer))[0]
            seen += 1
    assert seen > 5


def test_a_smudge_is_wrong():
    for sample in drawn("hold"):
        smudged = sample.target.copy()
        smudged[8:40, 40:88] = (230, 40, 200)
        assert not right(sample, smudged)[0]


def test_any_layout_of_a_place_will_do():
    """Words do not say which."""
    for sample in drawn("text"):
        assert right(sample, world.render(replace(sample.scene, seed=(sample.scene.seed + 3) % 8)))[0]


@pytest.mark.sweep
def test_figures_at_256():
    sample = next(one for one in drawn("add", 8, (256, 256)) if one.scene.style is None)
    found = figures(sample, sample.target, np.random.default_rng(0))
    assert found["right"] == found["done"] == found["place"] == 1
    assert figures(sample, sample.references[0], np.random.default_rng(0))["right"] == 0
