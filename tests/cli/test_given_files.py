"""What a run was given is never overwritten, under whatever name and by whichever output."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from safetensors.numpy import save_file

from app.base import paths
from app.cli.group import cli
from app.engine import running
from app.pictures import images
from mlx_model import files
from tests.converters.checkpoints import single_file


def flux(*words) -> tuple[int, str]:
    done = CliRunner().invoke(cli, [str(word) for word in words])
    return done.exit_code, done.output


@pytest.fixture
def given(machine):
    """Everything that a run can be given, in the work folder; its bytes."""
    save_file({"x.lora_A.weight": np.ones((2, 2), np.float32)}, "style.safetensors")
    save_file({"noise": np.zeros((4, 128), np.float32)}, "noise.safetensors")
    assert flux("edit", "room.png", "-p", "night", "--seed", "1", "-o", "made.png")[0] == 0
    return {path.name: path.read_bytes() for path in machine.iterdir() if path.is_file()}


def unharmed(given: dict) -> bool:
    return {name: Path(name).read_bytes() for name in given} == given


EDIT = ("edit", "room.png", "chair.png", "-p", "night", "--force")
RUNS = {
    "the picture": (*EDIT, "-o", "room.png"),
    "a reference": (*EDIT, "-o", "chair.png"),
    "another spelling": (*EDIT, "-o", "../work/./room.png"),
    "the mask": (*EDIT, "--mask", "mask.png", "-o", "mask.png"),
    "again": ("edit", "--again", "made.png", "--force", "-o", "made.png"),
    "what again was made of": ("edit", "--again", "made.png", "--force", "-o", "room.png"),
    "the second of a count": ("edit", "room-2.png", "-p", "night", "--force", "--count", "2", "-o", "room.png"),
    "noise as latents": (*EDIT, "--noise", "noise.safetensors", "--save-latents", "noise.safetensors", "-o", "x.png"),
    "generate again": ("generate", "--again", "made.png", "--force", "-o", "made.png"),
}


INTO_A_BOARD = {
    "a picture of it": (*EDIT, "-o", "film.fluxboard/blobs/one.png"),
    "through a link": (*EDIT, "-o", "link/blobs/one.png"),
    "new latents": (*EDIT, "-o", "x.png", "--save-latents", "film.fluxboard/x.safetensors"),
    "previews": (*EDIT, "-o", "x.png", "--preview", "film.fluxboard/previews"),
    "a model": ("convert", "style.safetensors", "-o", "film.fluxboard/model", "--force"),
    "a training run": ("train", ".", "-m", "mini", "-o", "film.fluxboard/run"),
    "a lesson": ("train", "character", "Bobo", "room.png", "-m", "mini", "-o", "film.fluxboard/run"),
}


@pytest.mark.parametrize("name", INTO_A_BOARD)
def test_nothing_but_boards_writes_into_a_board(given, name):
    board = Path("film.fluxboard")
    assert flux("board", "new", board)[0] == 0
    shutil.copy("room.png", board / "blobs" / "one.png")
    os.symlink("film.fluxboard", "link")
    before = {path: path.read_bytes() for path in board.rglob("*") if path.is_file()}
    code, said = flux(*INTO_A_BOARD[name])
    assert code == 2, said
    assert "inside the board film.fluxboard" in said
    assert {path: path.read_bytes() for path in board.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("kept", ["models", "loras"])
@pytest.mark.parametrize("option", ["--save-latents", "-o", "--preview"])
def test_nothing_is_put_over_other_models_and_loras(given, kept, option, tmp_path):
    """Weights of a model that does not even run now are as dear as those of the one that does."""
    own = getattr(paths, kept)() / "other"
    own.mkdir(parents=True)
    file = own / ("00001.png" if option == "-o" else "00001.safetensors")
    file.write_bytes(b"weights")
    output = () if option == "-o" else ("-o", "x.png")
    code, said = flux(*EDIT, *output, option, file if option != "--preview" else own)
    assert (code, file.read_bytes()) == (2, b"weights"), said
    assert f"inside the folder of the {'models' if kept == 'models' else 'LoRAs'}" in said
    assert sorted(one.name for one in own.iterdir()) == [file.name]


OTHERS = {
    "an export": ("board", "export", "film.fluxboard", "-f", "png", "--force", "-o"),
    "a zip": ("board", "export", "film.fluxboard", "-f", "zip", "--force", "-o"),
    "a training run": ("train", "set", "-m", "mini", "-o"),
    "a lesson": ("train", "character", "Bobo", "room.png", "-m", "mini", "-o"),
    "a model": ("convert", "style.safetensors", "--force", "-o"),
}


@pytest.mark.first_case
@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("kept", ["models", "loras", "downloads"])
@pytest.mark.parametrize("name", OTHERS)
def test_no_command_writes_among_what_is_kept(board, name, kept, there):
    own = getattr(paths, kept)() / "other"
    if there:
        own.mkdir(parents=True, exist_ok=True)
        (own / "001_1A.png").write_bytes(b"weights")
    before = sorted(own.parent.rglob("*"))
    code, said = flux(*OTHERS[name], own / "new")
    assert code == 2, said
    assert f"inside the folder of the {'LoRAs' if kept == 'loras' else kept}" in said
    assert sorted(own.parent.rglob("*")) == before


def test_a_converted_model_may_have_its_place_among_the_models(machine):
    source = single_file(machine / "source")
    assert flux("convert", source, "-o", paths.models() / "comics")[0] == 0
    assert (paths.models() / "comics" / "model.json").is_file()


@pytest.mark.parametrize("name", RUNS)
def test_no_output_is_an_input(given, name):
    shutil.copy("room.png", "room-2.png")
    code, said = flux(*RUNS[name])
    assert (code, unharmed(given)) == (2, True), said
    assert "one of the files you gave" in said or name == "noise as latents"


@pytest.mark.parametrize("link", [os.link, os.symlink], ids=["hard", "symbolic"])
@pytest.mark.parametrize("as_input", [True, False])
def test_links_are_the_same_file(given, link, as_input):
    link(Path("room.png").absolute(), "other.png")
    source, out = ("other.png", "room.png") if as_input else ("room.png", "other.png")
    assert flux("edit", source, "-p", "night", "--force", "-o", out)[0] == 2
    assert unharmed(given)


def test_a_preview_takes_another_name_than_a_picture_that_was_given(given, machine):
    (machine / "steps").mkdir()
    first = machine / "steps" / "out-1-step-01.png"
    shutil.copy("room.png", first)
    before = first.read_bytes()
    code, said = flux("edit", first, "-p", "night", "--seed", "1", "--force", "--preview", "steps", "-o", "out.png")
    assert code == 0, said
    assert first.read_bytes() == before
    assert (machine / "steps" / "out-1-step-01-2.png").is_file()


def test_at_the_last_moment_a_given_file_is_still_spared(tmp_path):
    """The rule holds where the file is written too: between the check and the end of a run an hour may pass."""
    (tmp_path / "a.png").write_bytes(b"mine")
    made = files.write_new(tmp_path / "a.png", lambda h: h.write(b"new"), True, given=[str(tmp_path / "a.png")])
    assert (made.name, (tmp_path / "a.png").read_bytes()) == ("a-2.png", b"mine")
    pixels = np.zeros((64, 64, 3), np.uint8)
    made = images.save_picture(pixels, tmp_path / "a.png", None, True, given=[str(tmp_path / "a.png")])
    assert (made.name, (tmp_path / "a.png").read_bytes()) == ("a-3.png", b"mine")
    assert "given" in running.Output.__dataclass_fields__


def test_a_disk_that_does_not_tell_a_from_A(tmp_path, monkeypatch):
    (tmp_path / "Room.png").write_bytes(b"1")
    real = os.path.samefile
    monkeypatch.setattr(os.path, "samefile", lambda a, b: real(str(a).replace("rOOM", "Room"), b))
    assert files.is_one_of(tmp_path / "rOOM.png", [str(tmp_path / "Room.png")])


# Boards


@pytest.fixture
def board(given):
    assert flux("board", "new", "film.fluxboard")[0] == 0
    assert flux("board", "add", "film.fluxboard", "a gull", "-r", "room.png")[0] == 0
    return Path("film.fluxboard")


def contents(folder: Path) -> dict:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.first_case
@pytest.mark.parametrize("where", ["board.json", "x.pdf", "blobs", "history/x.pdf", "../film.fluxboard/x.pdf"])
@pytest.mark.parametrize("kind", ["pdf", "png", "zip"])
def test_no_export_over_the_board(board, where, kind):
    before = contents(board)
    os.symlink(board, "alias")
    for place in (board / where, Path("alias") / where):
        code, said = flux("board", "export", board, "-f", kind, "--force", "-o", place)
        assert (code, "inside the board" in said) == (2, True), said
    assert contents(board) == before


# Conversions


@pytest.mark.first_case
@pytest.mark.parametrize("what", ["source", "companions", "lora"])
def test_a_model_that_is_made_of_what_it_would_replace(given, machine, what):
    source = single_file(machine / "source")
    assert flux("convert", source, "-o", "model")[0] == 0
    shutil.copy(source, "model/inside.safetensors")
    shutil.copy("style.safetensors", "model/style.safetensors")
    words = {
        "source": ("model/inside.safetensors", "--companions", source.parent),
        "companions": (source, "--companions", "model"),
        "lora": (source, "--lora", "model/style.safetensors"),
    }
    before = contents(Path("model"))
    code, said = flux("convert", *words[what], "-o", "model", "--force")
    assert (code, "never overwrites" in said) == (2, True), said
    assert contents(Path("model")) == before


@pytest.mark.parametrize("text", ["{}", "[1]", '{"schema": 1}', '{"scenes": []}', "not json"])
def test_force_does_not_replace_a_folder_that_has_a_model_json_of_another_program(machine, text):
    source = single_file(machine / "source")
    (machine / "photos").mkdir()
    (machine / "photos" / "model.json").write_text(text)
    (machine / "photos" / "a.jpg").write_bytes(b"mine")
    code, said = flux("convert", source, "-o", "photos", "--force")
    assert (code, "is not replaced" in said) == (2, True), said
    assert (machine / "photos" / "a.jpg").read_bytes() == b"mine"
    assert (machine / "photos" / "model.json").read_text() == text


def test_force_leaves_what_is_not_of_the_model(machine):
    source = single_file(machine / "source")
    assert flux("convert", source, "-o", "model")[0] == 0
    Path("model/notes.txt").write_text("mine")
    Image.new("RGB", (8, 8)).save("model/tokenizer/photo.png")
    code, said = flux("convert", source, "-o", "model", "--force", "--bits", "8")
    assert code == 0, said
    assert Path("model/notes.txt").read_text() == "mine"
    assert Path("model/tokenizer/photo.png").is_file()
    assert json.loads(Path("model/model.json").read_text())["plan"] == "q8"
    assert sorted(path.name for path in machine.iterdir() if path.name.startswith((".", "model"))) == ["model"]
