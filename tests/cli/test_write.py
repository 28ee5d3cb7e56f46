"""`write` and `--write`: who writes, what is told where nobody does, and where FLUX.3 needs it."""

import json
import sys
from pathlib import Path

import pytest

from app.base import paths
from app.cli import run as running
from app.cli.write import Asked, find_spec, write_out
from app.fluxboard.file import BoardFile
from app.models import writers
from app.pictures.images import read_request
from mlx_model.errors import NotInstalled, RequestError
from mlx_model.run.write import Writer
from mlx_model.specs import SPECS
from mlx_model.store.writer_folder import RECORD
from tests.cli.scripted_pipeline import install, run
from tests.tiny_language import save_outside

FLUX3 = SPECS["flux3-image-klein"]


@pytest.fixture
def said(monkeypatch):
    """Every writer opens, and says what it was asked with its folder's name."""
    heard = []

    class Scripted:
        def __init__(self, folder):
            self.folder = folder

        def write(self, words, references=(), changes=False, seed=0, as_json=False):
            heard.append((self.folder.name, words, tuple(references), changes, seed))
            yield from ()
            return f"{words}, in long words"

    monkeypatch.setattr(Writer, "open", lambda folder, usable: Scripted(folder))
    return heard


def add(name):
    folder = paths.writers() / name
    folder.mkdir(parents=True)
    (folder / RECORD).write_text('{"bits": 8, "files": {}}')
    return folder


def test_flux3_writes_with_its_own_and_others_with_what_is_there(said):
    add("qwen3-4b"), add("flux3-writer")
    assert run("write", "a fox", "-m", FLUX3.name).stdout.strip() == "a fox, in long words"
    run("write", "a fox", "-m", "flux2-klein-base-4b")
    run("write", "a fox", "--writer", "flux3-writer", "--change", "--reference", "@1 (fox)", "--seed", "3")
    assert [name for name, *_ in said] == ["flux3-writer", "qwen3-4b", "flux3-writer"]
    assert said[-1][1:] == ("a fox", ("@1 (fox)",), True, 3)


def test_without_one_the_way_to_it_is_told():
    told = run("write", "a fox", "-m", FLUX3.name, code=3)
    assert "flux-local models add flux3-writer" in told.stderr
    told = run("write", "a fox", "--writer", "mistral-small", code=3)
    assert "flux-local models add mistral-small" in told.stderr
    with pytest.raises(NotInstalled):
        write_out(Asked("a fox", (), False, 0), None, find_spec("flux2-dev"), None)


def test_a_folder_is_remembered_where_nothing_writes_yet(said, tmp_path):
    first, second = save_outside(tmp_path / "first"), save_outside(tmp_path / "second")
    run("write", "a fox", "--writer", str(first))
    assert writers.find_writer() == first
    run("write", "a fox", "--writer", str(second))
    assert [name for name, *_ in said] == ["first", "second"]
    assert writers.find_writer() == first


def test_a_folder_given_once_takes_no_added_one_s_place(said, tmp_path):
    add("qwen3-4b")
    run("write", "a fox", "--writer", str(save_outside(tmp_path / "mine")))
    assert said[-1][0] == "mine"
    assert writers.find_writer().name == "qwen3-4b"


def test_which_one_writes_is_seen_chosen_and_left_to_the_program(tmp_path):
    assert "prompts go to the models as they are" in run("models", "writer").stderr
    added, mine = add("qwen3-4b"), save_outside(tmp_path / "mine")
    assert run("models", "writer").stdout.strip() == str(added)
    assert run("models", "writer", str(mine)).stdout.strip() == str(mine)
    assert writers.find_writer() == mine
    assert "no language model" in run("models", "writer", str(tmp_path), code=3).stderr
    mine.rename(tmp_path / "elsewhere")
    told = run("models", "writer")
    assert (told.stdout.strip(), f"{mine} was chosen" in told.stderr) == (str(added), True)
    told = json.loads(run("models", "writer", "--json").stdout)
    assert told == {"writer": str(added), "chosen": str(mine)}
    assert run("models", "writer", "--automatic").stdout.strip() == str(added)
    assert writers.read_choice() is None
    run("models", "writer", "qwen3-4b", "--automatic", code=2)


def test_a_folder_whose_answer_can_t_be_used_is_not_remembered(said, tmp_path, monkeypatch):
    class Refusing:
        def write(self, *asked):
            yield from ()
            raise RequestError("It lost @fox.")

    monkeypatch.setattr(Writer, "open", lambda folder, usable: Refusing())
    run("write", "a fox", "--writer", str(save_outside(tmp_path / "mine")), code=2)
    assert writers.find_writer() is None


def test_a_few_words_for_flux3_are_told_to_be_few():
    (told,) = running._tell_need(FLUX3, "a fox")
    assert "--write" in told
    assert f"models add {FLUX3.writer}" in told
    add(FLUX3.writer)
    (told,) = running._tell_need(FLUX3, "a fox")
    assert "models add" not in told
    assert running._tell_need(FLUX3, "a fox in deep snow " * 20) == []


def test_the_run_says_so_and_not_where_the_words_were_written_out(said, tmp_path):
    add("qwen3-4b")
    install(FLUX3.name, 1)
    words = ("a panda", "-m", FLUX3.name, "--steps", "1", "--size", "64x64", "-o", str(tmp_path / "out.png"), "--json")
    notes = [one["text"] for one in events(run("generate", *words)) if one["event"] == "note"]
    assert any("generic pictures" in text for text in notes)
    notes = [one["text"] for one in events(run("generate", *words, "--write")) if one["event"] == "note"]
    assert not any("generic pictures" in text for text in notes)
    assert "Written out: a panda, in long words" in notes


def test_a_picture_knows_both_words_and_again_makes_the_same(said, tmp_path):
    add("qwen3-4b")
    install(FLUX3.name, 1)
    first, second, third = (tmp_path / f"{name}.png" for name in ("first", "second", "third"))
    short = ("--steps", "1", "--size", "64x64")
    run("generate", "a panda", "-m", FLUX3.name, *short, "--write", "-o", str(first))
    told = run("generate", "--again", str(first), "-o", str(second), "--json")
    assert "generic" not in told.stdout
    one, other = read_request(first), read_request(second)
    assert one == other
    assert (one.prompt, one.own_words) == ("a panda, in long words", "a panda")
    run("generate", "a bear", "--again", str(first), "-o", str(third))
    assert read_request(third).own_words == ""
    assert len(said) == 1
    run("generate", "--again", str(first), "--write", "-o", str(third), "--force")
    assert said[-1][1] == "a panda"


@pytest.mark.parametrize(
    "wrong", [("edit", "nope.png", "-p", "a fox"), ("generate", "a fox", "-o", "x.json"), ("generate", "@nobody")]
)
def test_nothing_is_written_out_for_a_run_that_can_t_be(said, wrong):
    add("qwen3-4b")
    install(FLUX3.name, 1)
    run(*wrong, "--write", "--writer", "qwen3-4b", "-m", FLUX3.name, code=2)
    assert said == []


def events(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_models_add_writer_is_refused_where_there_is_none(monkeypatch):
    told = run("models", "add", "flux1-dev", "--writer", code=2)
    assert "no language model to keep" in told.stderr
    monkeypatch.setitem(sys.modules, "mlx_lm", None)
    told = run("models", "add", "flux2-klein-4b", "--writer", code=2)
    assert 'pip install "flux-local-studio[writer]"' in told.stderr
    assert not paths.downloads().exists()


def test_json_is_refused_where_nobody_reads_it(said):
    add("qwen3-4b")
    told = run("write", "a fox", "--as-json", "-m", FLUX3.name, code=2)
    assert "reads no JSON" in told.stderr
    told = run("write", "a fox", "--as-json", "--change", code=2)
    assert "plain words" in told.stderr
    assert said == []
    run("write", "a fox", "--as-json", "-m", "flux2-klein-4b")
    assert len(said) == 1


def test_a_scene_of_a_board_is_written_out_beside_its_own_words(said, monkeypatch, tmp_path):
    add("qwen3-4b")
    place = str(tmp_path / "day.fluxboard")
    run("board", "new", place)
    run("board", "add", place, "a fox in the snow", "a fox by the fire")
    monkeypatch.setattr(Writer, "open", lambda folder, usable: Scene(), raising=True)
    told = run("board", "write", place, "--json", code=2)
    texts = [one["text"] for one in events(told) if "panel" in one]
    assert texts == ["A fox in the snow, long."]
    assert "1B: kept no fox" in told.stdout
    assert "1 of 2 panels" in told.stdout
    assert "“a fox in the snow”, written out: A fox in the snow, long." in run("board", "list", place).stdout
    first, second = read_panels(place)
    assert (first.prompt, first.words, first.action) == ("a fox in the snow", "A fox in the snow, long.", "")
    assert second.words == "a fox by the fire"
    assert "Written out of “a fox in the snow”: A fox in the snow, long." in run("board", "show", place, "1A").stdout
    run("board", "set", place, "1A", "--own-words")
    assert read_panels(place)[0].words == "a fox in the snow"
    run("board", "set", place, "1A", "--written")
    assert read_panels(place)[0].words == "A fox in the snow, long."
    told = run("board", "set", place, "1A", "-p", "a dog")
    assert "of other words" in told.stderr
    assert read_panels(place)[0].words == "a dog"
    run("board", "set", place, "1B", "--written", code=2)


def test_panels_of_several_scenes_are_written_out_again_by_name(said, monkeypatch, tmp_path):
    add("qwen3-4b")
    place, asked = str(tmp_path / "day.fluxboard"), []

    class Heard:
        def write_scene(self, lines, about, seed=0):
            asked.append((list(lines), seed))
            yield from ()
            return [(f"{line}, {seed}", "") for line in lines]

    monkeypatch.setattr(Writer, "open", lambda folder, usable: Heard())
    run("board", "new", place)
    run("board", "add", place, "a fox", "a dog")
    run("board", "add", place, "a cat", "--new-scene", "INT. HUT")
    run("board", "write", place, "--scene", "1")
    run("board", "write", place, "1B,2A", "--seed", "3")
    assert asked == [(["a fox", "a dog"], 0), (["a dog"], 3), (["a cat"], 3)]
    assert [panel.words for panel in read_panels(place)] == ["a fox, 0", "a dog, 3", "a cat, 3"]
    told = run("board", "write", place, "1B", "--scene", "1", code=2)
    assert "Leave --scene out" in told.stderr


def read_panels(place):
    with BoardFile.open(Path(place), write=False) as file:
        return list(file.board.panels())


class Scene:
    def write_scene(self, lines, about, seed=0):
        assert lines == ["a fox in the snow", "a fox by the fire"]
        assert "a fox by the fire" in about
        yield from ()
        return [("A fox in the snow, long.", ""), ("", "kept no fox.")]
