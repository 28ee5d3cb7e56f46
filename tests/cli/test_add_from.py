"""`models add --from`: what folders of other programs hold, said and converted by the real converter."""

import json
import shutil

import pytest

from app.base import paths
from app.models import library
from mlx_model.memory import say_bytes
from mlx_model.store.folder import open_folder
from tests.cli.scripted_pipeline import run
from tests.converters.formats.test_gguf import FORM
from tests.converters.formats.test_gguf import write as write_gguf
from tests.converters.stored import write
from tests.converters.test_comfy_files import same
from tests.converters.test_folders import comfy, hub
from tests.converters.test_vocabularies import encoder
from tests.converters.tiny import TINY, checkpoint, published

TINY_DEV = TINY["flux1-kontext-dev"]


@pytest.fixture
def place(tmp_path):
    """ComfyUI with FLUX.1 Kontext dev in two forms."""
    root = comfy(tmp_path / "Comfy UI", TINY_DEV, "flux1-dev-kontext")
    file = root / "models" / "unet" / "flux1-kontext-dev-Q8_0.gguf"
    file.parent.mkdir()
    write_gguf(file, "flux", published(TINY_DEV, "transformer"), FORM.Q8_0)
    return root


def add(*words, code=0):
    return run("models", "add", *map(str, words), code=code)


def test_without_a_name_it_is_told_what_is_there(place):
    told = add("--from", place).stdout
    assert "FLUX.1 Kontext dev (flux1-kontext-dev): everything is here" in told
    assert "models/diffusion_models/flux1-dev-kontext.safetensors, 32 bits, 1.3 MB" in told
    assert "not taken: flux1-kontext-dev-Q8_0.gguf (GGUF Q8_0)" in told
    assert f"flux-local models add flux1-kontext-dev --from '{place}'" in told
    assert "FLUX.1 dev (" not in told
    assert "  tokenizer: comfy/text_encoders/t5_tokenizer" in told
    assert "  pooled tokenizer: comfy/sd1_tokenizer" in told
    assert not (paths.models() / "flux1-kontext-dev").exists()


def test_a_tokenizer_inside_a_weight_file_is_told(tmp_path):
    root = comfy(tmp_path / "ComfyUI", TINY["flux2-dev"])
    shutil.rmtree(root / "comfy" / "text_encoders")
    file = root / "models" / "text_encoders" / "some_text_encoder.safetensors"
    write(file, encoder("flux2-dev", tmp_path))
    (file.parent / "config.json").write_text(json.dumps({"text_config": {"head_dim": 8}}))
    told = add("--from", root).stdout
    assert "FLUX.2 dev (flux2-dev): everything is here" in told
    assert "  tokenizer: inside models/text_encoders/some_text_encoder.safetensors" in told


def test_the_same_for_scripts(place):
    (place / "models" / "vae" / "some_autoencoder.safetensors").unlink()
    (place / "models" / "vae" / "cut.safetensors").write_bytes(b"x" * 50)
    *_, line = add("--from", place, "--json").stdout.splitlines()
    told = json.loads(line)
    (model,) = [one for one in told["models"] if "transformer" in one["parts"]]
    assert model["name"] == "flux1-kontext-dev"
    assert list(model["missing"]) == ["autoencoder"]
    assert model["parts"]["text_encoder"]["form"] == "32 bits"
    assert "cut.safetensors" in told["problems"][0]


def test_a_model_is_made_and_runs_without_the_source(place):
    result = add("flux1-kontext-dev", "--from", place, "--bits", 32, "--accept-licence")
    assert "text encoder: models/text_encoders/some_text_encoder.safetensors, 32 bits" in result.stderr
    shutil.rmtree(place)
    same(open_folder(library.resolve("flux1-kontext-dev")), TINY_DEV)


def test_what_is_missing_is_named_with_what_to_do(place):
    shutil.rmtree(place / "models" / "vae")
    result = add("flux1-kontext-dev", "--from", place, "--accept-licence", code=3)
    assert "lacks for FLUX.1 Kontext dev: autoencoder" in result.stderr
    assert "black-forest-labs/FLUX.1-Kontext-dev (vae)" in result.stderr
    assert "--download-missing" in result.stderr


def test_a_dry_run_writes_nothing(place, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    result = add("flux1-kontext-dev", "--from", place, "--dry-run")  # no licence to agree to either
    assert sorted(tmp_path.rglob("*")) == before
    assert result.stdout.startswith("FLUX.1 Kontext dev at 8 bits: reads 2.2 MB, writes ")
    told = json.loads(add("flux1-kontext-dev", "--from", place, "--dry-run", "--json").stdout.splitlines()[-1])
    assert f"writes {say_bytes(told['write_bytes'])}" in result.stdout
    add("flux1-kontext-dev", "--from", place, "--accept-licence")
    made = open_folder(library.resolve("flux1-kontext-dev"))
    weights = sum(part.bytes for part in made.components.values())
    assert told["write_bytes"] == pytest.approx(weights, rel=0.05)  # beyond it are the headers of the files


def test_a_dry_run_of_a_download_asks_nobody(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://no-such-host.invalid")
    assert "downloads 33.7 GB" in add("flux1-dev", "--dry-run").stdout


def test_little_room_is_enough_for_a_little_checkpoint(place, monkeypatch):
    """The published model's size is not asked for."""
    usage = shutil.disk_usage(place)._replace(free=100 * 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    add("flux1-kontext-dev", "--from", place, "--accept-licence")


def test_one_file_and_what_lies_around_it(place, tmp_path):
    """The transformer that is named, not the better one beside it; its companions from ComfyUI's other folders."""
    file, words = place / "models" / "unet" / "flux1-kontext-dev-Q8_0.gguf", ("flux1-kontext-dev", "--from")
    assert f"transformer: {file}, GGUF Q8_0\n" in add(*words, file, "--accept-licence").stderr
    plain = checkpoint(TINY["flux1-dev"], tmp_path / "plain")
    add("flux1-dev", "--from", plain, "--accept-licence", "--bits", 32)
    same(open_folder(library.resolve("flux1-dev")), TINY["flux1-dev"])


@pytest.mark.sweep
@pytest.mark.parametrize("problem", ["no hub", "offline"])
def test_the_hugging_face_cache_will_do_without_the_hub(tmp_path, monkeypatch, problem):
    import huggingface_hub.constants

    repo = "black-forest-labs/FLUX.1-Kontext-dev"
    hub(tmp_path / "cache", TINY_DEV, repo)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DOWNLOAD_TIMEOUT", 1)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    if problem == "offline":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = add("flux1-kontext-dev", "--accept-licence", "--bits", 32)
    assert "Hugging Face cache" in result.stderr
    same(open_folder(library.resolve("flux1-kontext-dev")), TINY_DEV)


def test_neither_a_name_nor_a_place():
    assert "Name a model" in add(code=2).stderr
    assert "does not exist" in add("--from", "nowhere", code=2).stderr
