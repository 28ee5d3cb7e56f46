"""Help, models, doctor, bench."""

import json
import os
import subprocess
import sys

import click
import mlx.core as mx
import pytest

from app.base import paths, settings
from app.base.settings import Settings
from app.cli.group import COMMANDS, cli
from app.models import library
from app.models.benchmark import measure
from app.models.library import disk_bytes, does_line
from mlx_model.events import Done
from mlx_model.languages import LANGUAGES
from mlx_model.specs import SPECS
from mlx_model.store.cache import Cache
from tests.cli.scripted_pipeline import BASE, EDITOR, ROOT, FakePipeline, install, run

# help


def test_alone_opens_the_window(monkeypatch):
    from app.cli import window

    monkeypatch.setattr(window, "open_window", lambda: 7)
    run(code=7)


ALL = [(name,) for name in COMMANDS] + [
    ("models", name) for name in ("list", "info", "add", "verify", "remove", "path")
]
BOARD = ("new", "add", "set", "remove", "move", "cast", "render", "export", "import", "check", "show", "list")
ALL += [("board", name) for name in BOARD]


@pytest.mark.parametrize("words", [(), *ALL], ids=" ".join)
def test_every_command_has_an_example(words):
    text = run(*words, "--help").stdout
    example = text.split("Example:\n")[1]  # a line of its own: click did not wrap it into a paragraph
    assert "\\b" not in text
    assert " ".join(("flux-local", *words)) in example


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_option_says_what_it_does(words):
    command = cli
    for word in words:
        command = command.get_command(click.Context(command), word)
    silent = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert silent == []


def test_help_starts_fast_and_imports_nothing_heavy():
    code = "import sys; from app.cli.group import cli; cli(['--help'], standalone_mode=False); " + (
        "print([m for m in ('numpy', 'mlx', 'PIL', 'huggingface_hub', 'psutil') if m in sys.modules], file=sys.stderr)"
    )
    best = min((timed([sys.executable, "-c", code]) for _ in range(3)), key=lambda one: one[0])
    print(f"--help: {best[0]:.3f} s")
    assert best[1].stderr.strip() == "[]"
    assert best[0] < 1.0


def timed(command):
    """Seconds of processor time, which a busy machine doesn't stretch as it does the clock's."""
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system, done


# models, doctor, convert, bench


def test_models_list_and_info():
    listed = json.loads(run("models", "list", "--json").stdout)["models"]
    assert [entry["name"] for entry in listed] == [*SPECS, *LANGUAGES]
    entry = json.loads(run("models", "info", EDITOR, "--json").stdout)
    assert entry == next(e for e in listed if e["name"] == EDITOR)
    assert entry["does"]["references"] == 10
    assert entry["installed"][0]["plan"] == "q8"
    assert set(entry["memory_bytes"]) == set(entry["fits"]) == {"4", "5", "6", "8", "16"}
    text = run("models", "list").stdout
    assert "predicted" in text
    for entry, lines in zip(listed, text.split("\n\n"), strict=False):
        for said in (entry["name"], entry["licence"]["name"], "memory ", does_line(entry["does"]), entry["advice"]):
            assert said in lines
        assert all(part in lines for part in ("memory 4 bits", "on disk 4 bits", "download")) == bool(entry["repo"])
        assert (", gated" in lines) == entry["licence"]["gated"]
    assert "Apache-2.0" in run("models", "info", EDITOR).stdout


def test_models_verify_looks_at_all_of_them():
    (paths.models() / EDITOR / "model.json").write_text("garbage")
    result = run("models", "verify", code=3)
    assert "1 of 2 models are damaged" in result.stderr
    assert f"{BASE}: good" in result.stdout
    assert "is damaged" in run("models", "verify", EDITOR, code=3).stderr


def test_models_path_verify_remove(monkeypatch):
    assert run("models", "path", EDITOR).stdout.strip() == str(paths.models() / EDITOR)
    assert "good" in run("models", "verify").stdout
    trash = []
    monkeypatch.setattr("send2trash.send2trash", trash.append)
    run("models", "remove", EDITOR, input="n\n", code=1)
    assert trash == []
    run("models", "remove", EDITOR, "--yes")
    assert trash == [str(paths.models() / EDITOR)]


def test_models_add_downloads_converts_and_cleans_up(monkeypatch):
    from converters import convert, download

    calls = []

    def fetch(spec, into, consent=False, without=(), beside=0):
        calls.append((spec.name, into, consent))
        (into / "weights").write_bytes(b"x")
        (into / download.RECORD).write_text(json.dumps({"files": [{"name": "weights", "bytes": 1}]}))
        yield Done(1.0, str(into))

    def turn(source, out, model=None, bits=16, plan=None, companions=None, force=False):
        calls.append((source, out, model, bits))
        yield Done(1.0, str(out))

    monkeypatch.setattr(download, "download", fetch)
    monkeypatch.setattr(convert, "convert", turn)
    result = run("models", "add", "flux2-klein-9b", "--bits", "4", "--accept-licence")
    fetched, out = paths.downloads() / "flux2-klein-9b", paths.models() / "flux2-klein-9b"
    assert calls == [("flux2-klein-9b", fetched, True), (fetched, out, "flux2-klein-9b", 4)]
    assert result.stdout.strip() == str(out)
    assert not fetched.exists()


def test_models_add_uses_what_an_installed_model_shares(monkeypatch):
    """Redux is FLUX.1 dev and an embedder: with dev installed that is not downloaded."""
    from converters import convert, download

    calls = []

    def fetch(spec, into, consent=False, without=(), beside=0):
        assert beside == disk_bytes(spec, 4)
        calls.append(list(without))
        yield Done(1.0, str(into))

    def turn(source, out, model=None, bits=16, plan=None, companions=None, force=False):
        calls.append(companions)
        yield Done(1.0, str(out))

    monkeypatch.setattr(download, "download", fetch)
    monkeypatch.setattr(convert, "convert", turn)
    words = ("models", "add", "flux1-redux-dev", "--bits", "4", "--accept-licence")
    run(*words)
    install("flux1-dev", 1)
    run(*words, "--force")
    assert calls == [[], None, ["flux1-dev"], paths.models() / "flux1-dev"]


def test_doctor():
    found = json.loads(run("doctor", "--json").stdout)
    assert found["backend"] in ("Metal", "CPU")
    assert found["fits"].keys() == SPECS.keys()
    assert [m["name"] for m in found["installed"]] == [EDITOR, BASE]
    text = run("doctor").stdout
    assert "Machine" in text
    assert "Installed  " + EDITOR in text


def test_doctor_shows_and_clears_what_is_kept():
    Cache(paths.cache()).put("a", mx.zeros((1000,)))
    assert json.loads(run("doctor", "--json").stdout)["cache"]["bytes"] > 4000
    assert "4.1 kB of at most 16.0 GB" in run("doctor").stdout
    assert "0 bytes of at most 16.0 GB" in run("doctor", "--clear-cache").stdout
    assert not paths.cache().exists()


@pytest.mark.parametrize("words", [("generate", "x"), ("edit", "room.png", "-p", "x")])
def test_private_pictures_leave_nothing_on_the_disk(words):
    run(*words)
    run(*words, "--no-cache")
    settings.save(Settings(cache=False))
    run(*words)
    assert FakePipeline.cached == [paths.cache(), None, None]


def test_doctor_finds_no_fault_where_only_an_extra_is_missing(monkeypatch):
    monkeypatch.setattr("app.models.doctor._version", lambda name: None if name == "coremltools" else "1.0")
    found = json.loads(run("doctor", "--json").stdout)
    assert found["packages"]["coremltools"] is None
    assert "coremltools" not in json.dumps(found["problems"])


def test_doctor_names_what_is_wrong(monkeypatch):
    (paths.models() / EDITOR / "model.json").write_text("{}")
    monkeypatch.setattr("app.base.blas.preload", lambda: None)
    monkeypatch.setattr("app.base.paths.free_bytes", lambda path: 10**9)
    whats = " ".join(problem["what"] for problem in json.loads(run("doctor", "--json").stdout)["problems"])
    assert "can't be used" in whats
    assert "Little room" in whats
    if sys.platform.startswith("linux"):
        assert "OpenBLAS" in whats


def test_bench(monkeypatch):
    monkeypatch.setattr("app.cli.bench._repeat", lambda task, *_: measure(task))  # else in processes of their own
    found = json.loads(run("bench", "--size", "64x64", "--runs", "2", "--json").stdout)
    assert found["model"] == EDITOR
    assert found["runs"] == 2
    assert found["step_seconds"] == pytest.approx(0.1)
    assert len(FakePipeline.requests) == 2 * 2
    assert len({request.prompt for request in FakePipeline.requests}) == 2
    assert "a step" in run("bench", "--size", "64x64", "--runs", "1").stdout


def test_module_and_script_start(tmp_path):
    for words in (["-m", "app", "--version"], ["-m", "app", "models", "path", "nope"]):
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=ROOT, check=False)
        assert done.returncode == (2 if "nope" in words else 0)
        assert "Traceback" not in done.stderr


def test_library_is_the_one_that_was_set_up():
    assert library.default() == paths.models() / EDITOR


def test_the_built_in_model_is_refused_before_anything_is_asked(machine, monkeypatch):
    place = library.resolve(EDITOR)
    monkeypatch.setattr(paths, "mini", lambda: place)
    said = run("models", "remove", EDITOR, code=2)
    assert "can't be removed" in said.stderr
    assert "Trash?" not in said.output


def test_a_download_asks_on_a_terminal_with_its_size_and_place(machine, monkeypatch):
    from app.cli import add, asking

    asked = []
    monkeypatch.setattr(add.sys, "stdin", type("Terminal", (), {"isatty": lambda self: True})())
    monkeypatch.setattr(
        asking.click, "confirm", lambda text, **_: asked.append(text) or (_ for _ in ()).throw(KeyError)
    )
    spec = SPECS["flux2-klein-9b"]
    options = {
        "source": None,
        "writer": False,
        "force": False,
        "dry_run": False,
        "accept_licence": True,
        "yes": False,
        "as_json": False,
    }
    with pytest.raises(KeyError):
        add.add_model(spec, 8, options)
    assert asked == ["Download it?"]


# Core ML


def test_core_ml_without_its_library_is_told_and_nothing_is_begun(monkeypatch, machine):
    from converters import coreml

    monkeypatch.setitem(sys.modules, "coremltools", None)
    coreml.load_tools.cache_clear()
    said = run("convert", str(ROOT / "assets" / "mini"), "--coreml", "-o", "with", code=2).stderr
    assert 'pip install "flux-local-studio[coreml]"' in said
    assert not (machine / "with").exists()


@pytest.mark.parametrize("words", [("--bits", "8"), ("--plan", "q8"), ("--force",), ("--model", "mini")])
def test_core_ml_changes_no_weights(words):
    assert "--coreml changes no weights" in run("convert", "folder", "--coreml", *words, code=2).stderr


def test_convert_needs_a_place():
    assert "--output DIR" in run("convert", "folder", code=2).stderr
