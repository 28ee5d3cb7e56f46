"""flux-local train: what it refuses, before anything is made."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.engine.jobs import Lesson
from app.models import loras
from app.training import character
from app.training.character import make_plan
from mlx_model.events import Stage
from mlx_model.run import pipeline
from mlx_model.specs import SPECS
from tests.cli.scripted_pipeline import run

REAL = pipeline.Pipeline
MINI = str(Path(__file__).parents[2] / "assets" / "mini")


@pytest.fixture
def pictures(tmp_path):
    data = tmp_path / "set"
    data.mkdir()
    for name in ("a", "b"):
        Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 64, 3)).astype(np.uint8)).save(
            data / f"{name}.png"
        )
        (data / f"{name}.txt").write_text(f"a fox {name}")
    return data


def train(data, out, *more, code=0):
    return run("train", str(data), "-m", MINI, "-o", str(out), "--size", "64", "--rate", "0.001", *more, code=code)


def test_what_is_refused(pictures, tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("mine")
    train(pictures, full, "--steps", "1", code=2)
    assert (full / "thesis.txt").read_text() == "mine"
    train(pictures, tmp_path / "none", "--steps", "1", "--resume", code=2)
    assert not (tmp_path / "none").exists()
    (pictures / "b.txt").unlink()
    assert "b.txt" in train(pictures, tmp_path / "out", "--steps", "1", code=2).output


def test_each_fault_of_a_set_stands_on_its_own_line(pictures, tmp_path):
    for name in ("a", "b"):
        (pictures / f"{name}.txt").write_bytes(b"")
    said = train(pictures, tmp_path / "none", "--steps", "1", code=2).stderr.splitlines()
    assert "  a.txt: it is empty" in said
    assert "  b.txt: it is empty" in said


@pytest.mark.sweep
def test_what_is_kept_beside_plain_training(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "Pipeline", REAL)
    mine = tmp_path / "mine"
    pictures.rename(mine)
    (tmp_path / "new").mkdir()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "new" / "dark.png")
    (tmp_path / "new" / "dark.txt").write_text("night")
    given = ("--lora", "--rank", "4", "--steps", "1", "--sample-every", "0", "--prior-data", str(mine))
    train(tmp_path / "new", tmp_path / "out", *given, "--keep", "2")
    assert '"prior": ' in (tmp_path / "out" / "log.jsonl").read_text()
    assert len(list((tmp_path / "out" / "prior").glob("*.png"))) == 2
    (mine / "a.txt").unlink()
    assert "a.txt" in train(tmp_path / "new", tmp_path / "other", *given, code=2).output
    assert not list((tmp_path / "other").iterdir())


@pytest.fixture
def figures(tmp_path):
    folder = tmp_path / "figures"
    folder.mkdir()
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 255, (64, 64, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (folder / "0.txt").write_text("in the snow")
    (folder / "1.txt").write_text("a toy called Bobo")
    return sorted(map(str, folder.glob("*.png")))


def teach(name, pictures, out, *more, code=0):
    given = ("-m", MINI, "-o", str(out), "--size", "64", "--steps", "2", "--rank", "4", "--keep", "0", *more)
    return run("train", "character", name, *pictures, *given, code=code)


def test_a_character_is_taught_and_called_by_its_name(figures, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "Pipeline", REAL)
    made = teach("Bobo", figures, tmp_path / "out", "--sample-every", "0", "--add").output
    result = tmp_path / "out" / "Bobo.safetensors"
    assert sorted((tmp_path / "out").rglob("*.safetensors")) == [result]
    assert "--lora Bobo" in made
    (entry,) = loras.list_loras()
    assert (entry.name, entry.triggers, entry.names) == ("Bobo", ("Bobo",), ("mini",))
    run("generate", "Bobo in the snow", "-m", MINI, "--lora", "Bobo", "--steps", "1", "-o", str(tmp_path / "a.png"))
    teach("Bobo", figures, tmp_path / "out", "--sample-every", "0", "--steps", "3", "--resume")
    assert len((tmp_path / "out" / "log.jsonl").read_text().splitlines()) == 3


def test_what_is_beside_a_picture_becomes_its_caption(figures):
    lesson = Lesson("Bobo", tuple(figures), "out")
    rows = make_plan(lesson, SPECS["mini"]).rows.rows
    assert [row.prompt for row in rows] == ["Bobo in the snow", "a toy called Bobo", "Bobo", "Bobo", "Bobo"]
    said = make_plan(replace(lesson, captions=("the sea", "", "", "", "")), SPECS["mini"]).rows.rows
    assert [row.prompt for row in said] == ["Bobo, the sea", "Bobo", "Bobo", "Bobo", "Bobo"]


@pytest.mark.parametrize(
    ("said", "caption"),
    [
        ("a yellow toy in the snow", "Bobo in the snow"),
        ("a man in a red coat", "Bobo in a red coat"),
        ("A photo of an old man, at night", "A photo of Bobo, at night"),
        ("a drawing of a cat", "A drawing of Bobo"),
        ("the beach at night", "Bobo, the beach at night"),
        ("a toy called Bobo on a table", "a toy called Bobo on a table"),
        ("1girl, red hair", "Bobo, 1girl, red hair"),
        ("", "Bobo"),
    ],
)
def test_words_for_whom_a_picture_shows_give_way_to_the_name(said, caption):
    """Else who it is would be learned as part of those words."""
    assert character.join_caption("Bobo", said) == caption


def test_a_caption_that_gives_way_is_told(figures):
    (Path(figures[0])).with_suffix(".txt").write_text("a yellow toy in the snow")
    notes = make_plan(Lesson("Bobo", tuple(figures), "out"), SPECS["mini"]).rows.notes
    assert notes == ["0.png: “a yellow toy in the snow” is learned as “Bobo in the snow”."]


def test_a_lesson_that_can_not_be_is_refused_before_it_begins(figures, tmp_path):
    out = tmp_path / "out"
    assert "too few" in teach("Bobo", figures[:4], out, code=2).output
    assert "too many" in teach("Bobo", figures * 5, out, code=2).output
    assert "not one word" in teach("Bo bo", figures, out, code=2).output
    (Path(figures[2])).write_bytes(b"no picture")
    assert "2.png" in teach("Bobo", figures, out, code=2).output
    assert not out.exists() or not list(out.iterdir())


def test_a_lesson_that_was_stopped_before_its_first_step_begins(figures, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "Pipeline", REAL)
    lesson = Lesson("Bobo", tuple(figures), str(tmp_path / "out"), steps=1, rank=4, size=64, sample_every=0, kept=0)
    events = character.teach(Path(MINI), lesson)
    next(event for event in events if isinstance(event, Stage) and event.name == "references")
    events.close()
    assert [path.name for path in (tmp_path / "out").glob("*.json")] == ["run.json"]
    *_, done = character.teach(Path(MINI), lesson)
    assert Path(done.path).name == "Bobo.safetensors"
