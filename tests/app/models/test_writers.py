"""Which writer is used for which model, and what is told of those that can be added."""

import json

import pytest

from app.base import paths
from app.models import writers
from mlx_model.errors import LayoutError, ModelError, NotInstalled
from mlx_model.memory import GIB, Machine
from mlx_model.specs import SPECS
from mlx_model.store.folder import sha256_of
from mlx_model.store.writer_folder import RECORD, check_writer
from tests.tiny_language import save_outside

HERE = Machine("M4", 16 * GIB, 16 * GIB, 10, True, 4.6)
FLUX3, KLEIN, DEV = (SPECS[name] for name in ("flux3-image-klein", "flux2-klein-4b", "flux1-dev"))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FLUX_LOCAL_HOME", str(tmp_path / "home"))


def add(name):
    """As `models add` leaves it."""
    folder = save_outside(paths.writers() / name)
    files = {file.name: {"bytes": file.stat().st_size, "sha256": sha256_of(file)} for file in folder.iterdir()}
    (folder / RECORD).write_text(json.dumps({"name": name, "bits": 8, "files": files}))
    return folder


def choose(tmp_path):
    return writers.choose_writer(save_outside(tmp_path / "mine"), HERE.usable)


def test_flux3_takes_its_own_before_the_chosen_one_and_others_the_chosen_one(tmp_path):
    assert writers.find_writer(FLUX3) is None
    own, mine = add("flux3-writer"), choose(tmp_path)
    assert writers.find_writer(FLUX3) == own
    assert writers.find_writer(KLEIN) == writers.find_writer(DEV) == writers.find_writer() == mine


def test_without_a_chosen_one_a_model_takes_its_own_encoder_then_any():
    add("flux3-writer")
    encoder = add("qwen3-4b")
    assert writers.find_writer(KLEIN) == encoder
    assert writers.find_writer(DEV).parent == paths.writers()


def test_a_half_written_one_is_none_and_names_are_found(tmp_path):
    (paths.writers() / "qwen3-8b").mkdir(parents=True)
    assert writers.find_writer() is None
    with pytest.raises(NotInstalled) as missing:
        writers.pick("qwen3-8b", None, HERE.usable)
    assert missing.value.hint.values == {"name": "qwen3-8b"}
    with pytest.raises(NotInstalled) as none:
        writers.pick(None, KLEIN, HERE.usable)
    assert none.value.hint.values == {"name": KLEIN.writer}
    added = add("mistral-small")
    assert writers.pick("mistral-small", None, HERE.usable) == added


def test_a_changed_file_is_told_and_a_damaged_one_by_its_hash():
    folder = add("qwen3-4b")
    entry = {one["name"]: one for one in writers.catalogue(HERE)}["qwen3-4b"]
    assert (entry["installed"][0]["plan"], entry["installed"][0]["problem"]) == ("8bit", "")
    assert writers.verify("qwen3-4b") == folder
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-1] + b"\1")
    with pytest.raises(ModelError, match="damaged"):
        writers.verify("qwen3-4b")
    (folder / "model.safetensors").write_bytes(b"")
    assert "missing or altered" in writers.catalogue(HERE)[1]["installed"][0]["problem"]
    (folder / RECORD).write_text("[]")
    assert "damaged" in writers.catalogue(HERE)[1]["installed"][0]["problem"]


@pytest.mark.parametrize("damage", [b"", b"no weights at all", b"\xff" * 100])
def test_a_damaged_folder_is_told_with_what_to_do_and_not_remembered(tmp_path, damage):
    folder = save_outside(tmp_path / "mine")
    (folder / "model.safetensors").write_bytes(damage)
    with pytest.raises(LayoutError, match=str(folder)) as told:
        writers.choose_writer(folder, HERE.usable)
    assert told.value.hint == "Download it again."
    assert writers.read_choice() is None


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"bits": 8, "files": {"model.safetensors": {"bytes": 1}}}'])
def test_an_added_one_whose_record_is_broken_says_so_before_it_is_opened(record):
    folder = add("qwen3-4b")
    (folder / RECORD).write_text(record)
    with pytest.raises(LayoutError, match=f"{folder} is not whole") as told:
        check_writer(writers.pick("qwen3-4b", None, HERE.usable), HERE.usable)
    assert told.value.hint.values == {"name": "qwen3-4b", "path": str(folder)}


def test_removing_goes_to_the_trash(monkeypatch):
    folder, trash = add("qwen3-4b"), []
    monkeypatch.setattr("send2trash.send2trash", trash.append)
    assert writers.remove("qwen3-4b") == folder
    assert trash == [str(folder)]
    with pytest.raises(NotInstalled):
        writers.remove("qwen3-8b")


def test_facts_forecast_memory_at_all_bits():
    row = {one["name"]: one for one in writers.catalogue(HERE)}["flux3-writer"]
    assert row["fits"]["4"]
    assert not row["fits"]["16"]
    assert row["licence"]["name"] == "Apache-2.0"
    assert row["does"]["writes"]
