"""Exit codes and messages; a refused or broken run leaves nothing behind."""

import errno
import os
from pathlib import Path

import pytest

from app.base import paths
from mlx_model.errors import Advice
from tests.cli.scripted_pipeline import EDITOR, FakePipeline, events, run

# errors and exit codes

BAD = {
    "unknown model": (2, ("generate", "x", "-m", "nope"), "no model called nope"),
    "not installed": (3, ("generate", "x", "-m", "flux2-klein-9b"), "flux-local models add flux2-klein-9b"),
    "not a model": (3, ("generate", "x", "-m", "."), "model.json"),
    "no prompt": (2, ("generate",), "Say what"),
    "empty prompt": (2, ("generate", "  "), "empty"),
    "no picture": (2, ("edit", "-p", "x"), "picture"),
    "no instruction": (2, ("edit", "room.png"), "-p PROMPT"),
    "missing picture": (2, ("edit", "gone.png", "-p", "x"), "gone.png"),
    "eleven": (2, ("edit", *["room.png"] * 11, "-p", "x"), "up to 10"),
    "unknown mention": (2, ("edit", "room.png", "-p", "@cat"), "@cat"),
    "steps": (2, ("generate", "x", "--steps", "0"), "out of range"),
    "words for steps": (2, ("generate", "x", "--steps", "many"), "valid whole number"),
    "guidance": (2, ("generate", "x", "--guidance", "7"), "no guidance"),
    "negative": (2, ("generate", "x", "--negative", "fog"), "negative"),
    "seed": (2, ("generate", "x", "--seed", "-1"), "out of range"),
    "strength": (2, ("edit", "room.png", "-p", "x", "--strength", "2"), "out of range"),
    "strength of nothing": (2, ("enlarge", "room.png", "--strength", "0"), "0<x<=1"),
    "convert a picture": (3, ("convert", "room.png", "-o", "out"), ".safetensors, .gguf, .pt or .pth"),
    "mask of another shape": (2, ("edit", "chair.png", "-p", "x", "--mask", "mask.png"), "another shape"),
    "noise": (2, ("generate", "x", "--noise", "gone.safetensors"), "gone.safetensors"),
    "format": (2, ("generate", "x", "-o", "out.psd"), ".png"),
    "no folder": (2, ("generate", "x", "-o", "no/out.png"), "no folder"),
    "again without request": (2, ("edit", "--again", "room.png"), "carries no request"),
    "unknown command": (2, ("paint",), "No such command"),
    "convert nothing": (2, ("convert", "gone", "-o", "out"), "gone"),
    "info": (2, ("models", "info", "nope"), "nope"),
    "verify": (2, ("models", "verify", "nope"), "nope"),
    "remove": (3, ("models", "remove", "flux2-klein-9b", "--yes"), "not installed"),
    "add twice": (2, ("models", "add", EDITOR), "--force"),
    "licence": (3, ("models", "add", "flux2-klein-9b"), "--accept-licence"),
}


@pytest.mark.parametrize("case", BAD)
def test_refusals_have_exit_codes_and_open_nothing(case):
    code, words, said = BAD[case]
    result = run(*words, code=code)
    assert said in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert FakePipeline.opened == []


@pytest.mark.parametrize("case", ["not installed", "missing picture", "steps", "words for steps", "format", "licence"])
def test_with_json_a_failure_is_an_event(case):
    code, words, said = BAD[case]
    result = run(*words, "--json", code=code)
    failed = events(result)[-1]
    assert type(failed).__name__ == "Failed"
    assert said in f"{failed.message} {failed.hint}"
    assert said in result.stderr


def test_with_json_the_advice_is_there_for_others_to_word():
    failed = events(run("generate", "x", "-m", "flux2-klein-9b", "--json", code=3))[-1]
    assert (failed.code, failed.hint) == ("NotInstalled", "Add it with: flux-local models add flux2-klein-9b")
    assert failed.advice == Advice("add_model", {"name": "flux2-klein-9b"})


def test_will_not_fit(monkeypatch):
    from mlx_model import memory

    small = memory.Machine("toy", 2**31, 2**31, 1, False, 0.1)
    monkeypatch.setattr(memory, "machine", lambda openblas=False: small)
    result = run("edit", "room.png", "-p", "x", "--size", "1024x1024", code=4)
    assert "What would fit" in result.stderr
    assert FakePipeline.opened == []


def test_full_disk_is_said_before_the_run(monkeypatch):
    monkeypatch.setattr(paths, "free_bytes", lambda path: 1000)
    assert "no room" in run("generate", "x", code=4).stderr
    assert FakePipeline.opened == []


def test_disk_that_fills_while_writing(monkeypatch):

    from mlx_model import files

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "sync", full)
    before = sorted(os.listdir())
    result = run("generate", "x", "-o", "out.png", "--size", "64x64", code=4)
    assert "disk is full" in result.stderr
    assert sorted(os.listdir()) == before
    assert FakePipeline.closed == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_that_can_not_be_written(machine):
    (machine / "locked").mkdir(mode=0o500)
    run("generate", "x", "-o", "locked/out.png", code=2)


def test_folder_that_the_system_refuses(monkeypatch):
    import builtins

    plain = builtins.open

    def refuse(file, mode="r", *args, **options):
        if "x" in mode:
            raise PermissionError(13, "Permission denied")
        return plain(file, mode, *args, **options)

    monkeypatch.setattr(builtins, "open", refuse)
    assert "Permission denied" in run("generate", "x", "-o", "out.png", code=2).stderr
    assert FakePipeline.opened == []


@pytest.mark.parametrize("as_json", [True, False])
def test_ctrl_c_closes_the_run_and_leaves_nothing(monkeypatch, as_json):
    monkeypatch.setattr(FakePipeline, "interrupt", 2)
    before = sorted(os.listdir())
    result = run("generate", "x", "-o", "out.png", "--size", "64x64", *["--json"] * as_json, code=130)
    assert "Cancelled" in result.stderr
    assert sorted(os.listdir()) == before
    assert FakePipeline.closed == 1
    if as_json:
        assert type(events(result)[-1]).__name__ == "Cancelled"


def test_a_run_that_fails(monkeypatch):
    monkeypatch.setattr(FakePipeline, "fail", 3)
    result = run("generate", "x", "-o", "out.png", "--size", "64x64", "--json", code=5)
    assert events(result)[-1].code == "NotFinite"
    assert not Path("out.png").exists()


def test_our_own_faults_show_a_traceback_and_say_so(monkeypatch):
    monkeypatch.setattr(FakePipeline, "_events", lambda *a: 1 / 0)
    result = run("generate", "x", "--size", "64x64", code=5)
    assert "ZeroDivisionError" in result.stderr
    assert "fault in Flux Local" in result.stderr
