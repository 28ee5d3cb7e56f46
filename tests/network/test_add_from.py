"""`models add --from` against a hub on this machine: what a folder lacks is fetched, and nothing else."""

import os

import pytest

from tests.converters.checkpoints import single_file
from tests.network.conftest import MODEL, REPO
from tests.network.hub_server import sha256

pytestmark = pytest.mark.network
LARGE = "transformer/diffusion_pytorch_model.safetensors"


def fill_cache(home, files, names):
    """Files of the repository in the Hugging Face cache, as huggingface_hub lays them out."""
    root = home.parent / "hf" / "hub" / f"models--{REPO.replace('/', '--')}"
    for name in names:
        blob, link = root / "blobs" / sha256(files[name]), root / "snapshots" / ("a" * 40) / name
        for folder in (blob.parent, link.parent):
            folder.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(files[name])
        link.symlink_to(os.path.relpath(blob, link.parent))
    return root.parent


def count_files(hub):
    return {name for name in hub.repos[REPO] if hub.files(name)}


def test_only_what_is_missing_is_fetched(flux_local, hub, home, tmp_path):
    source = single_file(tmp_path / "models")
    for path in (source.parent / "vae", source.parent / "tokenizer"):
        for file in path.iterdir():
            file.unlink()
    told = flux_local.add("--from", str(source.parent))
    assert told.code == 3
    assert "--download-missing" in told.err
    assert f"{REPO} (vae)" in told.err
    assert count_files(hub) == set()
    run = flux_local.add("--from", str(source.parent), "--download-missing")
    assert run.code == 0, run.err
    assert {name.split("/")[0] for name in count_files(hub)} == {"vae", "tokenizer"}
    assert (home / "models" / MODEL / "model.json").is_file()
    assert not any((home / "downloads").iterdir())


def test_half_of_it_in_the_cache(flux_local, hub, home, files):
    """What is there is used, the rest fetched: by a plain add, and by naming the cache."""
    cache = fill_cache(home, files, [name for name in files if not name.startswith(("vae", "text_encoder"))])
    run = flux_local.add("--from", str(cache), "--download-missing")
    assert run.code == 0, run.err
    assert {name.split("/")[0] for name in count_files(hub)} == {"vae", "text_encoder"}
    run = flux_local.add("--force")
    assert run.code == 0, run.err
    assert not hub.files(LARGE)
    assert "are in the Hugging Face cache" in run.notes()


def test_a_hub_that_is_away_and_a_cache_that_is_whole(flux_local, home, files):
    fill_cache(home, files, files)
    run = flux_local.add(HF_ENDPOINT="http://127.0.0.1:9")
    assert run.code == 0, run.err
    assert "can't be reached. All of it is in the Hugging Face cache" in run.notes()
