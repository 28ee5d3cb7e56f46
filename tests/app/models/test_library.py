"""What is installed and what a name means."""

import json
import os

import pytest

from app.base import paths
from app.models import library
from mlx_model.errors import Advice, FluxLocalError, ModelError, NotInstalled, RequestError
from mlx_model.specs import SPECS
from mlx_model.store.folder import write_manifest

REAL = next(name for name, spec in SPECS.items() if spec.repo)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FLUX_LOCAL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(paths, "mini", lambda: tmp_path / "assets" / "mini")
    return tmp_path / "home"


def install(folder, model=REAL, when=None):
    """A converted folder with nothing in its components."""
    spec = SPECS[model]
    folder.mkdir(parents=True)
    families = {"transformer": spec.family, "text_encoder": spec.text_family, "autoencoder": "autoencoder"}
    parts = {role: {"family": name, "params": {}, "files": {}, "parameters": 0} for role, name in families.items()}
    write_manifest(folder, model, parts, {}, source={}, licence="", plan="q8", dtype="bfloat16")
    if when:
        os.utime(folder / "model.json", (when, when))
    return folder


def test_home_is_movable(home):
    assert paths.models() == home / "models"


def test_home_follows_the_system(monkeypatch):
    monkeypatch.delenv("FLUX_LOCAL_HOME")
    assert "Flux Local" in str(paths.home())
    assert paths.home().is_absolute()


def test_nothing_installed():
    assert library.list_installed() == []
    with pytest.raises(NotInstalled) as none:
        library.default()
    assert none.value.hint == library.ADD_ONE
    with pytest.raises(NotInstalled) as missing:
        library.resolve(REAL)
    assert missing.value.hint == Advice("add_model", {"name": REAL})


def test_found_by_name_path_and_folder_name(home, tmp_path):
    inside = install(paths.models() / "my-8bit")
    outside = install(tmp_path / "elsewhere")
    assert library.resolve(REAL) == inside
    assert library.resolve("my-8bit") == inside
    assert library.resolve(str(outside)) == outside
    assert [(m.name, m.plan, m.problem) for m in library.list_installed()] == [(REAL, "q8", "")]


def test_unknown_names_and_wrong_folders(tmp_path):
    with pytest.raises(RequestError, match="no model called nope"):
        library.resolve("nope")
    with pytest.raises(NotInstalled, match=r"model\.json"):
        library.find(str(tmp_path))


def test_default_is_the_first_real_model_then_the_built_in(tmp_path):
    built_in = install(paths.mini())
    assert library.default() == built_in
    assert library.list_installed()[-1].built_in
    second = install(paths.models() / "b", when=2_000)
    assert library.default() == second
    first = install(paths.models() / "c", when=1_000)
    assert library.default() == first


def test_a_bad_folder_is_listed_with_its_problem_and_never_the_default():
    bad = paths.models() / "bad"
    bad.mkdir(parents=True)
    (bad / "model.json").write_text(json.dumps({"schema": 99, "model": REAL}))
    (paths.models() / "garbage").mkdir()
    (paths.models() / "garbage" / "model.json").write_bytes(b"\xff\0")
    (paths.models() / ".partial").mkdir()
    found = {model.path.name: model for model in library.list_installed()}
    assert set(found) == {"bad", "garbage"}
    assert all(model.problem for model in found.values())
    with pytest.raises(NotInstalled):
        library.default()
    assert library.resolve(REAL) == bad  # so that opening it says what is wrong


def test_remove_goes_to_the_trash(monkeypatch):
    folder, trash = install(paths.models() / REAL), []
    monkeypatch.setattr("send2trash.send2trash", trash.append)
    assert library.remove(REAL) == folder
    assert trash == [str(folder)]


def test_remove_never_deletes(monkeypatch):
    def broken(_path):
        raise OSError("no trash here")

    folder = install(paths.models() / REAL)
    monkeypatch.setattr("send2trash.send2trash", broken)
    with pytest.raises(ModelError, match="no trash here"):
        library.remove(REAL)
    assert folder.is_dir()


def test_the_built_in_model_stays():
    install(paths.mini())
    with pytest.raises(RequestError, match="built-in"):
        library.remove(str(paths.mini()))


def test_errors_have_hints():
    with pytest.raises(FluxLocalError) as caught:
        library.resolve("nope")
    assert REAL in caught.value.hint
