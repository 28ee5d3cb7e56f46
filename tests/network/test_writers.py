"""Language models that write prompts out, from a hub on this machine: their own downloads, and what FLUX.2's brings."""

import json
import shutil

import pytest

from mlx_model.languages import LANGUAGES
from mlx_model.specs import SPECS
from mlx_model.writing import MAKERS
from tests.network.conftest import MODEL, REPO
from tests.network.hub_server import Hub
from tests.tiny_language import save_language

pytest.importorskip("mlx_lm")
pytestmark = pytest.mark.network

OWN = LANGUAGES[SPECS["flux3-image-klein"].writer]
ENCODER = LANGUAGES[SPECS[MODEL].writer]
SIZES = {"hidden_size": 64, "num_hidden_layers": 8, "intermediate_size": 128, "head_dim": 16}


def read(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def hub(files, tmp_path):
    """FLUX.2 klein with a text encoder that is a whole language model; FLUX.3's writer, with code that nobody wants."""
    save_language(tmp_path / "klein" / "text_encoder", tmp_path / "klein" / "tokenizer", **SIZES)
    save_language(tmp_path / "own")
    (tmp_path / "own" / MAKERS).write_text('{"t2i": "Describe."}')
    (tmp_path / "own" / "modeling.py").write_text("raise SystemExit(9)")
    kept = {name: content for name, content in files.items() if not name.startswith(("text_encoder/", "tokenizer/"))}
    made = Hub({REPO: {**kept, **read(tmp_path / "klein")}, OWN.repo: read(tmp_path / "own")})
    yield made
    made.close()


def record(home, row):
    return json.loads((home / "writers" / row.name / "writer.json").read_text())


def test_flux3_s_own_is_added_listed_checked_and_removed(flux_local, home, hub):
    run = flux_local.run("add", OWN.name, "--bits", "4", "--json")
    assert run.code == 0, run.err
    assert record(home, OWN)["bits"] == 4
    assert MAKERS in record(home, OWN)["files"]
    assert not hub.files("modeling.py")
    assert not (home / "downloads" / OWN.name).exists()
    listed = json.loads(flux_local.run("list", "--json").out)["models"]
    assert [one["name"] for one in listed if one["installed"] and one["does"].get("writes")] == [OWN.name]
    assert flux_local.run("verify", OWN.name).code == 0
    again = flux_local.run("add", OWN.name)
    assert (again.code, "installed already" in again.err) == (2, True)
    assert flux_local.run("path", OWN.name).out.strip() == str(home / "writers" / OWN.name)


def test_a_transfer_that_arrives_damaged_leaves_no_writer(flux_local, home, hub):
    hub.faults.damages["model.safetensors"] = 9
    run = flux_local.run("add", OWN.name, "--json")
    assert run.code == 3, run.err
    assert not (home / "writers").exists()


def test_a_model_keeps_its_encoder_in_full_by_one_download(flux_local, home, hub):
    run = flux_local.add("--writer", "--bits", "8")
    assert run.code == 0, run.err
    assert (home / "models" / MODEL / "model.json").is_file()
    config = json.loads((home / "writers" / ENCODER.name / "config.json").read_text())
    assert config["num_hidden_layers"] == SIZES["num_hidden_layers"]  # of which the picture needs six
    assert record(home, ENCODER)["bits"] == 8
    assert len(hub.files("text_encoder/model.safetensors")) == 1
    again = flux_local.add("--writer")
    assert (again.code, f"{ENCODER.title} is here already." in again.notes()) == (0, True)
    assert len(hub.files("text_encoder/model.safetensors")) == 1


def test_the_writer_of_a_model_that_is_here_is_fetched_alone(flux_local, home, hub):
    assert flux_local.add().code == 0
    before = len(hub.asked)
    run = flux_local.add("--writer")
    assert run.code == 0, run.err
    assert record(home, ENCODER)["bits"] == 8
    assert not [one for one in hub.asked[before:] if "transformer/" in one.path]


def test_an_encoder_that_is_no_language_model_leaves_the_model_and_a_word(flux_local, home, hub):
    del hub.repos[REPO]["text_encoder/config.json"]
    run = flux_local.add("--writer")
    assert run.code == 0, run.err
    assert "No writer was kept." in run.notes()
    assert (home / "models" / MODEL / "model.json").is_file()
    assert not (home / "writers" / ENCODER.name).exists()


def test_files_on_this_disk_give_the_writer_too(flux_local, home, hub, tmp_path):
    place = tmp_path / "place"
    for name, content in hub.repos[REPO].items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    before = len(hub.asked)
    run = flux_local.add("--writer", "--from", str(place))
    assert run.code == 0, run.err
    assert record(home, ENCODER)["bits"] == 8
    assert len(hub.asked) == before
    shutil.rmtree(place)
    assert flux_local.run("verify", ENCODER.name).code == 0
