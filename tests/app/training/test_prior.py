"""What a model is to keep: pictures that it makes once, a set of one's own, and what they weigh."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from app.engine.jobs import Lesson
from app.training import prior, session
from app.training.character import make_plan
from app.training.session import Plan, train
from mlx_model.errors import RequestError
from mlx_model.events import Learned, Note, Preview, Stage
from mlx_model.run.pipeline import Pipeline
from mlx_model.specs import SPECS
from mlx_model.store.folder import open_folder
from mlx_model.training.needs import Settings

MINI = Path(__file__).parents[3] / "assets" / "mini"


def paint(folder, name, words=None):
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(name)).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / name)
    if words:
        (folder / name).with_suffix(".txt").write_text(words)


@pytest.fixture
def plan(tmp_path):
    """Four pictures of the model's own beside one of ours."""
    paint(tmp_path / "set", "a.png", "foxy in the snow")
    settings = Settings(rank=4, rate=1e-3, prior=0.5)
    return Plan(tmp_path / "set", tmp_path / "fox", "fox", settings, 1, size=64, kept=4)


def run(plan):
    return list(train(open_folder(MINI), plan))


def read_table(plan):
    return [json.loads(line) for line in (plan.out / "prior" / "metadata.jsonl").read_text().splitlines()]


@pytest.mark.sweep
def test_the_model_paints_what_it_is_to_keep_once_and_shows_it(plan, monkeypatch):
    events = run(plan)
    assert [event.total for event in events if isinstance(event, Stage) and event.name == "prior"] == [4]
    shown = [event.path for event in events if isinstance(event, Preview)]
    assert shown == [str(plan.out / "prior" / f"000{n}.png") for n in range(4)]
    rows = read_table(plan)
    assert [row["image"] for row in rows] == [Path(path).name for path in shown]
    assert [row.get("control") for row in rows] == [None, "0000.png", None, "0002.png"]
    assert all("foxy" not in row["prompt"] for row in rows)
    line = json.loads((plan.out / "log.jsonl").read_text())
    assert line["prior"] > 0
    monkeypatch.setattr(Pipeline, "run", None)
    assert [event.step for event in run(replace(plan, steps=2, resume=True)) if isinstance(event, Learned)] == [2]


@pytest.mark.sweep
def test_pictures_that_a_stopped_run_has_made_are_not_made_again(plan):
    events = train(open_folder(MINI), plan)
    next(event for event in events if isinstance(event, Preview) and event.step == 3)
    events.close()
    made = {path: path.stat().st_mtime_ns for path in (plan.out / "prior").iterdir()}
    assert sorted(path.name for path in made) == ["0000.png", "0001.png", "0002.png"]
    run(replace(plan, resume=True))
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert len(read_table(plan)) == 4


@pytest.mark.sweep
def test_going_on_with_what_is_kept_is_never_having_stopped(plan, tmp_path):
    run(replace(plan, steps=3))
    stopped = replace(plan, out=tmp_path / "other")
    events = train(open_folder(MINI), replace(stopped, steps=3))
    next(event for event in events if isinstance(event, Learned))
    events.close()
    run(replace(stopped, steps=3, resume=True))
    one, other = (load_file(place / "fox.safetensors") for place in (plan.out, stopped.out))
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.sweep
def test_a_set_of_ones_own_is_kept_and_its_faults_are_told(plan, tmp_path):
    paint(tmp_path / "mine" / "1_dog", "b.png")
    paint(tmp_path / "mine", "c.png", "a cat")
    own = replace(plan, kept=0, prior=tmp_path / "mine")
    run(own)
    assert json.loads((plan.out / "log.jsonl").read_text())["prior"] > 0
    assert not (plan.out / "prior").exists()
    paint(tmp_path / "mine", "bare.png")
    with pytest.raises(RequestError, match=r"bare\.txt"):
        run(replace(own, out=tmp_path / "again"))
    run(replace(own, out=tmp_path / "again", about="an animal"))


def test_without_a_weight_nothing_is_kept(plan):
    figures = run(replace(plan, kept=0, settings=replace(plan.settings, prior=0.0)))
    assert "prior" not in json.loads((plan.out / "log.jsonl").read_text())
    assert not any(isinstance(event, Stage) and event.name == "prior" for event in figures)


def test_a_character_keeps_twice_its_pictures_and_the_forecast_counts_them(tmp_path):
    lesson = Lesson("Bobo", tuple(str(tmp_path / f"{n}.png") for n in range(5)), str(tmp_path / "out"))
    made = make_plan(lesson, SPECS["mini"])
    assert (made.kept, made.settings.prior) == (10, 1.0)
    said = session.require(open_folder(MINI), SPECS["mini"].size, made.settings, 100, made.kept)[1]
    assert "First it paints 10 pictures of what it knows." in said
    without = make_plan(replace(lesson, kept=0), SPECS["mini"])
    assert (without.kept, without.settings.prior) == (0, 0.0)
    assert "First" not in session.require(open_folder(MINI), SPECS["mini"].size, without.settings, 100)[1]


def test_half_of_the_pictures_show_whom_one_says():
    wishes = prior.list_wishes(36, "a small dog", SPECS["flux2-klein-4b"])
    assert len(set(wishes)) == 36
    assert sum("small dog" in wish.prompt for wish in wishes if wish.start is None) == 9
    assert all(wish.start == number - 1 for number, wish in enumerate(wishes) if number % 2)
    assert [wish.start for wish in prior.list_wishes(3, "", SPECS["flux1-dev"])] == [None] * 3
    for model in ("selfflow-imagenet", "flux1-canny-dev"):
        with pytest.raises(RequestError, match="words alone"):
            prior.list_wishes(3, "", SPECS[model])


@pytest.mark.sweep
def test_notes_say_where_the_pictures_are(plan):
    assert any(str(plan.out / "prior") in event.text for event in run(plan) if isinstance(event, Note))
