"""Folders that may not be read, disks that take nothing, names of nobody: told before the work, and nothing lost."""

import errno
import json
import os
from pathlib import Path

import click
import pytest
from PIL import Image
from safetensors.numpy import load_file

from app.cli.group import COMMANDS, cli
from app.fluxboard import disk, lock
from app.fluxboard.file import BoardFile
from tests.cli.scripted_pipeline import EDITOR, FakePipeline, events, run


def raising(number, name="/private/thing"):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number), name)

    return fail


@pytest.fixture
def day():
    """A board with two panels."""
    run("board", "new", "day")
    run("board", "add", "day", "a gull", "a dog")
    return Path("day.fluxboard")


@pytest.mark.parametrize("home", ["a" * 5000, "~nobodyatall/models"])
@pytest.mark.parametrize("words", [("models", "path"), ("doctor",), ("generate", "x"), ("models", "list", "--json")])
def test_a_home_that_can_not_be(monkeypatch, home, words):
    monkeypatch.setenv("FLUX_LOCAL_HOME", home)
    assert "Traceback" not in run(*words, code=2).stderr


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EROFS])
def test_what_the_system_refuses_is_named(monkeypatch, number):
    monkeypatch.setattr(Path, "iterdir", raising(number))
    said = run("models", "list", code=2).stderr
    assert f"/private/thing can't be used: {os.strerror(number)}" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("words", [("edit", "", "-p", "x"), ("generate", "x", "-o", ""), ("board", "show", "")])
def test_a_name_that_is_empty(words):
    assert "The name is empty" in run(*words, code=2).stderr


def test_a_folder_that_is_not_there_is_called_one():
    assert "There is no folder" in run("generate", "x", "-o", "out/", code=2).stderr


@pytest.mark.parametrize("size", [(5000, 70), (70, 5000)])
def test_a_picture_that_is_too_thin_is_refused_before_the_model_is_opened(size):
    Image.new("RGB", size).save("thin.png")
    assert "Crop it" in run("edit", "thin.png", "-p", "x", code=2).stderr
    assert FakePipeline.opened == []


def test_a_size_that_is_too_large_says_how_to_ask_for_another():
    assert "--size 1024x1024" in run("generate", "x", "--size", "4096x4096", code=2).stderr


def test_latents_are_said_where_they_went_and_never_share_a_name_with_the_picture():
    words = ("generate", "x", "-o", "out.png", "--size", "64x64", "--save-latents", "l.safetensors")
    run(*words)
    assert "l-2.safetensors" in run(*words).stderr
    assert load_file("l-2.safetensors")["latents"].shape == (4, 128)
    assert "End it in" in run("generate", "x", "-o", "a.png", "--save-latents", "a.png", code=2).stderr


def test_nothing_is_written_into_the_model(tmp_path):
    folder = tmp_path / "home" / "models" / EDITOR
    for words in (("--save-latents", str(folder / "transformer" / "1.safetensors"), "--force"), ("-o", str(folder))):
        assert "inside the model" in run("generate", "x", "-m", EDITOR, *words, code=2).stderr


@pytest.mark.parametrize("words", [("edit", "room.png", "--bogus"), ("nope",), ("board", "nope")])
def test_with_json_every_refusal_is_an_event(words):
    assert type(events(run(*words, "--json", code=2))[-1]).__name__ == "Failed"


def test_the_formats_are_json_too():
    for words in (("--json", "--formats"), ("--formats", "--json")):
        named = json.loads(run("board", "export", *words).stdout)["formats"]
        assert {"pdf", "zip"} <= {one["name"] for one in named}


def test_a_new_board_on_a_full_disk_leaves_nothing(monkeypatch):
    monkeypatch.setattr(lock, "_write", raising(errno.ENOSPC))
    assert "day.fluxboard could not be written" in run("board", "new", "day", code=4).stderr
    assert [path.name for path in Path.cwd().iterdir() if "day" in path.name] == []


def test_a_board_that_can_not_be_written_is_not_rendered(day, monkeypatch):
    monkeypatch.setattr(disk, "lock", lambda *_: None)
    assert "no take could be kept" in run("board", "render", "day", code=2).stderr
    assert FakePipeline.opened == []


def test_a_board_that_takes_nothing_any_more_ends_the_render(day, monkeypatch):
    monkeypatch.setattr(BoardFile, "put_picture", lambda *_: disk.read(Path("gone")))
    assert "gone can't be read" in run("board", "render", "day", code=2).stderr
    assert len(FakePipeline.requests) == 1


def test_when_no_panel_could_be_rendered_none_is_said_to_have_its_take(day):
    run("board", "set", "day", "1A", "-p", "@nobody")
    run("board", "set", "day", "1B", "-p", "@nobody")
    said = run("board", "render", "day", code=2).stderr
    assert "2 of 2" in said
    assert "The others" not in said


def test_nothing_to_render_is_said(day):
    run("board", "render", "day")
    assert "nothing to render" in run("board", "render", "day", "--missing").stderr


def test_an_export_stays_out_of_the_board_and_force_means_the_zip_too(day):
    assert "inside the board" in run("board", "export", "day", "-o", "day.fluxboard/x", "-f", "png", code=2).stderr
    assert "no name to export to" in run("board", "export", "day", "-o", "/", "-f", "png", code=2).stderr
    for words, name in (((), "day.zip"), (("--force",), "day.zip"), ((), "day-2.zip")):
        assert Path(run("board", "export", "day", "-o", "day.zip", *words).stdout.strip()).name == name


@pytest.mark.parametrize("name", [".", "..", "/"])
def test_a_board_needs_a_name(name):
    assert "no name for a board" in run("board", "new", name, code=2).stderr
    assert "no name for a board" in run("board", "import", ".", "-o", name, code=2).stderr


def test_a_board_in_no_folder():
    assert "There is no folder" in run("board", "new", "gone/day", code=2).stderr


def test_a_board_is_not_imported_and_a_zip_has_no_options(day):
    assert "is a board already" in run("board", "import", "day.fluxboard", code=2).stderr
    assert "the whole board" in run("board", "export", "day", "-o", "x.zip", "--panels", "1A", code=2).stderr
    assert "is no number" in run("board", "set", "day", "1A", "--seconds", "nan", code=2).stderr


def test_a_pipe_is_no_zip():
    os.mkfifo("pipe.zip")
    assert "is not a file" in run("board", "import", "pipe.zip", code=2).stderr


def test_what_would_command_the_terminal_is_not_printed(day):
    run("board", "set", "day", "1A", "-p", "\x1b[2J @dog")
    for words in (("list",), ("show",), ("show", "1A"), ("check",), ("render",)):
        result = run("board", words[0], "day", *words[1:], code=2 if words[0] in ("check", "render") else 0)
        assert "\x1b[2J" not in result.stdout + result.stderr
    assert "\x1b" not in run("generate", "x", "-m", "\x1b[31mred", code=2).stderr


def test_an_export_says_how_far_it_is(day):
    said = events(run("board", "export", "day", "-o", "day.gif", "--json"))
    steps = [one.step for one in said if type(one).__name__ == "Step"]
    assert steps == sorted(steps)
    assert steps[-1] == 100


def test_a_zip_that_can_not_be_unpacked_names_where_it_should_go(day, monkeypatch):
    run("board", "export", "day", "-o", "day.zip")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "mkdir", raising(errno.EROFS))
        assert "new.fluxboard can't be used" in run("board", "import", "day.zip", "-o", "new", code=2).stderr


def test_the_built_in_model_has_one_size_in_memory():
    assert "4 bits" not in run("models", "info", "mini").stdout
    assert "4 bits" in run("models", "info", EDITOR).stdout


def test_home_is_understood_in_every_option_also_where_no_shell_has(tmp_path, monkeypatch):
    from app.cli.options import FILE

    monkeypatch.setenv("HOME", str(tmp_path))
    assert FILE.convert("~/a.png", None, None) == str(tmp_path / "a.png")
    commands = [cli.get_command(None, name) for name in COMMANDS]
    every = [one for command in commands for one in (command, *getattr(command, "commands", {}).values())]
    paths = [param for command in every for param in command.params if isinstance(param.type, click.Path)]
    assert len(paths) > 20
    assert [param.name for param in paths if param.type is not FILE] == []
