"""The built-in model's world: exact edits, honest splits, the same bytes for the same generator."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("PIL", reason="Pillow draws the world")

from mlx_model.training import mini_world as world
from mlx_model.training.mini_glyphs import HEADS, TEST_GLYPHS, TRAIN_GLYPHS
from mlx_model.training.mini_places import UNLIT, VARIANTS, backdrop
from mlx_model.training.mini_scene import CROWDED, crowd, next_spot, row, side_of
from mlx_model.training.mini_words import SIDES

pytestmark = pytest.mark.skipif(world.font_path() is None, reason="Noto Color Emoji is not installed")

SIZES = ((128, 128), (96, 160), (160, 96))


def test_the_tables_agree():
    assert len(set(world.CHARACTERS.values())) == len(world.CHARACTERS) == 44
    assert set(HEADS) == set(world.CHARACTERS.values())
    assert len(TEST_GLYPHS) == 48
    assert len(TRAIN_GLYPHS) > 300
    pools = [set(TEST_GLYPHS), set(TRAIN_GLYPHS), {*world.CHARACTERS.values()}, {*world.PROPS.values()}]
    assert not {*world.WEARABLES.values()} & set(TEST_GLYPHS)
    assert len(set.union(*pools)) == sum(map(len, pools))
    assert all(set(mix) <= set(world.TASKS) for mix in world.MIX.values())
    assert set(world.MIX["all"]) == set(world.TASKS)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("task", world.TASKS)
def test_every_task_draws_at_every_size(task, size):
    rng = np.random.default_rng(1)
    for split in ("train", "test"):
        sample = world.draw(rng, task, split, size)
        for picture in (sample.target, *sample.references):
            assert picture.shape == (*size, 3)
            assert picture.dtype == np.uint8
        assert sample.changed.shape == size
        assert len(sample.origins) == len(sample.scene.actors)
        assert len(sample.references) == world.REFERENCES.get(task, 1)


@pytest.mark.parametrize("task", [*world.EDITS, "snow", "copy"])
def test_an_edit_changes_only_what_it_says(task):
    rng = np.random.default_rng(2)
    for _ in range(12):
        sample = world.draw(rng, task)
        assert np.array_equal(sample.changed, (sample.target != sample.references[0]).any(2))
        assert sample.changed.any() == (task != "copy")


@pytest.mark.parametrize("task", ["add", "remove", "replace", "wear", "hold", "snow"])
def test_a_local_edit_stays_around_one_actor(task):
    rng = np.random.default_rng(3)
    for _ in range(12):
        sample = world.draw(rng, task)
        columns = np.flatnonzero(sample.changed.any(0))
        assert columns[-1] - columns[0] < 64
        assert sample.changed.mean() < 0.35


def test_light_keeps_the_layout_and_the_actors():
    rng = np.random.default_rng(4)
    sample = world.draw(rng, "light")
    (before,), after = sample.reference_scenes, sample.scene
    assert replace(after, light=before.light) == before


@pytest.mark.sweep
def test_training_sees_no_test_glyph_and_no_held_out_combination():
    rng = np.random.default_rng(5)
    for _ in range(5000):
        plan = world.plan_sample(rng, world.pick_task(rng), "train", (128, 128))
        for scene in (plan.scene, *plan.references):
            assert not world.is_held_out(scene), plan
            assert not {a.glyph.partition("|")[0] for a in scene.actors} & set(TEST_GLYPHS), plan


def test_tests_see_only_what_is_held_out():
    rng = np.random.default_rng(6)
    for _ in range(100):
        assert world.is_held_out(world.plan_sample(rng, "text", "test", (128, 128)).scene)
        identity = world.plan_sample(rng, "identity", "test", (128, 128))
        assert {a.glyph for a in identity.scene.actors} <= set(TEST_GLYPHS)


def test_one_combination_in_ten_is_held_out():
    lit = [(p, x) for p in world.PLACES for x in (world.LIGHTS if p not in UNLIT else (None,))]
    actors = [(world.Actor(n, g, 64, 90),) for n, g in world.CHARACTERS.items()]
    kept = [world.is_held_out(world.Scene(p, x, a, None)) for p, x in lit for a in actors]
    assert len(kept) == len(world.CHARACTERS) * len(lit)
    assert 0.07 < np.mean(kept) < 0.13


@pytest.mark.sweep
def test_prompts_are_short_plain_and_filled_in():
    rng = np.random.default_rng(7)
    for _ in range(3000):
        prompt = world.plan_sample(rng, world.pick_task(rng), "train", (128, 128)).prompt
        assert prompt.isascii()
        assert prompt == prompt.lower().strip()
        assert 0 < len(prompt) <= world.LONGEST
        assert not set("{}") & set(prompt)
        assert "  " not in prompt
        assert "none" not in prompt


def test_no_two_actors_of_a_scene_can_be_confused():
    rng = np.random.default_rng(8)
    for _ in range(1000):
        actors = world.plan_sample(rng, world.pick_task(rng), "train", (128, 128)).scene.actors
        assert len({a.glyph for a in actors}) == len(actors)
        middles = sorted(a.x for a in actors)
        assert len(actors) > 3 or all(b - a >= 30 for a, b in pairwise(middles))


def test_the_same_generator_gives_the_same_bytes():
    first, second = np.random.default_rng(9), np.random.default_rng(9)
    for _ in range(40):
        one, two = world.draw(first), world.draw(second)
        assert one.prompt == two.prompt
        assert one.scene == two.scene
        assert one.target.tobytes() == two.target.tobytes()
        assert [r.tobytes() for r in one.references] == [r.tobytes() for r in two.references]


def test_drawing_leaves_the_caches_alone():
    scene = world.draw(np.random.default_rng(10), "wear").scene
    before = world.render(scene).tobytes()
    for seed in range(20):
        world.draw(np.random.default_rng(seed))
    assert world.render(scene).tobytes() == before
    assert not backdrop("beach", "day", 0, 128, 128).flags.writeable


def test_backdrops_differ_in_place_light_and_variant():
    lit = [(p, x) for p in world.PLACES for x in (world.LIGHTS if p not in UNLIT else (None,))]
    pictures = {backdrop(p, x, v, 128, 128).tobytes() for p, x in lit for v in range(VARIANTS)}
    assert len(pictures) == len(lit) * VARIANTS


@pytest.mark.parametrize("size", [(16, 16), (64, 64), (96, 96), (256, 256), (48, 208)])
def test_unusual_sizes_draw(size):
    rng = np.random.default_rng(11)
    for task in ("text", "wear", "two"):
        assert world.draw(rng, task, size=size).target.shape == (*size, 3)


@pytest.mark.parametrize("phase", world.MIX)
def test_a_phase_draws_its_own_tasks(phase):
    rng = np.random.default_rng(12)
    seen = {world.pick_task(rng, phase) for _ in range(600)}
    assert seen == set(world.MIX[phase])


def test_glyphs_fill_their_square():
    art = world.glyph_image("🐶", 52)
    assert (art.mode, art.size) == ("RGBA", (52, 52))
    assert art.getchannel("A").getbbox()[3] == 52


@pytest.mark.parametrize("task", ["text", "add", "identity"])
def test_words_say_where_somebody_new_stands(task):
    """No side is left open: the same words and references, the same place."""
    rng = np.random.default_rng(13)
    for _ in range(200):
        plan = world.plan_sample(rng, task, "train", (128, 128))
        new, others = plan.scene.actors[-1], plan.scene.actors[:-1]
        told = [side for side in SIDES if plan.prompt.endswith(side) or f"{side} " in plan.prompt]
        if task == "text" and others:
            assert [a.x for a in plan.scene.actors] == [x for x, _ in row((128, 128), 2)]
        elif told and task != "add":
            assert SIDES[side_of(new.x, (128, 128))] in told
        elif not told:
            assert (new.x, new.y) == next_spot((128, 128), [(a.x, a.y) for a in others])


def test_clothes_come_from_the_pictures():
    """In training their colours too: words alone can't tell them."""
    rng = np.random.default_rng(14)
    plans = [world.plan_sample(rng, task, "train", (128, 128)) for task in ("four", "five", "six") * 40]
    outfits = [plan for plan in plans if plan.subject == "clothes"]
    assert len(outfits) > 30
    for plan in outfits:
        (actor,) = plan.scene.actors
        worn = {item.partition("=")[2] for item in (*(actor.wears or "").split("+"), actor.holds or "") if "=" in item}
        shown = {scene.actors[0].glyph for scene in plan.references[1:] if len(scene.actors) == 1}
        assert worn <= shown
        assert actor.glyph == plan.references[0].actors[0].glyph


@pytest.mark.parametrize("count", [4, 5, 6])
def test_a_crowd_stands_in_two_rows(count):
    places = crowd((256, 256), count)
    assert len(set(places)) == count
    assert len({y for _, y in places}) == 2
    half = world.actor_size(256, 256) * CROWDED / 2
    assert all(half - 1 <= v <= 257 - half for place in places for v in place)
