"""Downloads from several repositories: what a model's own lacks, what is optional, what is installed already."""

from types import SimpleNamespace

import huggingface_hub
import pytest

from converters import download as module
from converters.download import download
from mlx_model.errors import LicenceNotAccepted, NotInstalled
from mlx_model.events import Note
from mlx_model.specs import SPECS
from tests.converters.test_download import hub_error, sibling

SELFFLOW, REDUX, SCHNELL = (SPECS[name] for name in ("selfflow-imagenet", "flux1-redux-dev", "flux1-schnell"))
VAE = {"config.json": b"{}", "diffusion_pytorch_model.safetensors": bytes(99), "diffusion_pytorch_model.bin": b"z"}
REPOS = {
    "Hila/Self-Flow": {"selfflow_imagenet256.pt": b"PK", "other.pt": b"PK", "README.md": b"x"},
    "stabilityai/sd-vae-ft-ema": VAE,
    "madebyollin/taef1": VAE,
    REDUX.repo: {"image_embedder/a.safetensors": b"a", "image_encoder/b.safetensors": b"b", "model_index.json": b"{1}"},
    SPECS["flux1-dev"].repo: {"transformer/t.safetensors": b"t", "text_encoder_2/u.safetensors": b"u"},
    SCHNELL.repo: {"transformer/t.safetensors": b"t", "flux1-schnell.safetensors": b"s"},
}


@pytest.fixture
def hub(monkeypatch):
    """What was asked for, as (repository, file); a repository in `gone` has left."""
    asked, gone = [], set()

    def model_info(repo, files_metadata):
        if repo in gone:
            raise hub_error(huggingface_hub.errors.RepositoryNotFoundError, 404)
        return SimpleNamespace(sha=f"sha of {repo}", siblings=[sibling(n, c) for n, c in REPOS[repo].items()])

    def fetch(repo, name, revision, local_dir, force_download, tqdm_class):
        assert revision == f"sha of {repo}"
        asked.append((repo, name))
        (local_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (local_dir / name).write_bytes(REPOS[repo][name])

    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: SimpleNamespace(model_info=model_info))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(module, "POLL", 0.01)
    return SimpleNamespace(asked=asked, gone=gone)


def there(place):
    return {p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file() and p.name != module.RECORD}


def test_the_autoencoder_comes_from_another_repository(hub, tmp_path):
    """And of pickles only the file that the row names."""
    list(download(SELFFLOW, tmp_path, consent=True))
    assert there(tmp_path) == {
        "selfflow_imagenet256.pt",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    }
    hub.asked.clear()
    list(download(SELFFLOW, tmp_path, consent=True))
    assert hub.asked == []


def test_what_redux_shares_with_an_installed_model_is_left_out(hub, tmp_path):
    list(download(REDUX, tmp_path / "whole", consent=True))
    own = {"image_embedder/a.safetensors", "image_encoder/b.safetensors"}
    shared = {"transformer/t.safetensors", "text_encoder_2/u.safetensors"}
    tiny = {"tiny_autoencoder/config.json", "tiny_autoencoder/diffusion_pytorch_model.safetensors"}
    assert there(tmp_path / "whole") == own | shared | tiny
    list(download(REDUX, tmp_path / "part", consent=True, without=["flux1-dev"]))
    assert there(tmp_path / "part") == own | tiny


def test_an_optional_repository_may_be_gone_and_another_not(hub, tmp_path):
    hub.gone |= {"madebyollin/taef1", "stabilityai/sd-vae-ft-ema"}
    events = list(download(SCHNELL, tmp_path / "a"))
    assert next(event.text for event in events if isinstance(event, Note)).startswith("madebyollin/taef1 is left out")
    assert there(tmp_path / "a") == {"transformer/t.safetensors"}
    with pytest.raises(LicenceNotAccepted, match="stabilityai/sd-vae-ft-ema"):
        list(download(SELFFLOW, tmp_path / "b", consent=True))


def test_offline_what_lies_in_two_repositories_needs_the_download(hub, tmp_path, monkeypatch):
    list(download(SELFFLOW, tmp_path / "in", consent=True))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert list(download(SELFFLOW, tmp_path / "in", consent=True))[-1].path == str(tmp_path / "in")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(tmp_path / "cache"))
    with pytest.raises(NotInstalled):
        list(download(SELFFLOW, tmp_path / "elsewhere", consent=True))
