"""What of a model is asked for, kept, left out and refused, against a hub on this machine."""

import dataclasses
import json
import os
import sys

import pytest

from app.cli.say import on_command_line
from converters import download as module
from converters.download import claim, download
from converters.hub import Remote
from mlx_model.errors import Advice, ConvertError, DiskFull, LicenceNotAccepted, NotInstalled, Unreachable, UnsafeFile
from mlx_model.events import Done, Note, Stage, Step
from mlx_model.specs import SPECS
from tests.network.hub_server import COMMIT, Hub

SPEC, SELFFLOW, REDUX, SCHNELL = (
    SPECS[name] for name in ("flux2-klein-4b", "selfflow-imagenet", "flux1-redux-dev", "flux1-schnell")
)
FILES = {
    "model_index.json": b'{"_class_name": "Flux2KleinPipeline"}',
    "transformer/a.safetensors": bytes(3_000_000),
    "text_encoder/b.safetensors": bytes(range(256)) * 4000,
    "tokenizer/tokenizer.json": b"{}",
}
IGNORED = {"README.md": b"x", "flux-2-klein-4b.safetensors": b"y", "transformer/evil.bin": b"z", "vae/run.py": b"w"}
VAE = {"config.json": b"{}", "diffusion_pytorch_model.safetensors": bytes(99), "diffusion_pytorch_model.bin": b"z"}
REPOS = {
    SPEC.repo: {**FILES, **IGNORED},
    "Hila/Self-Flow": {"selfflow_imagenet256.pt": b"PK", "other.pt": b"PK", "README.md": b"x"},
    "stabilityai/sd-vae-ft-ema": VAE,
    "madebyollin/taef1": VAE,
    REDUX.repo: {"image_embedder/a.safetensors": b"a", "image_encoder/b.safetensors": b"b", "model_index.json": b"{1}"},
    SPECS["flux1-dev"].repo: {"transformer/t.safetensors": b"t", "text_encoder_2/u.safetensors": b"u"},
    SCHNELL.repo: {"transformer/t.safetensors": b"t", "flux1-schnell.safetensors": b"s"},
}


@pytest.fixture
def hub():
    made = Hub({repo: dict(files) for repo, files in REPOS.items()})
    yield made
    made.close()


def take_names(hub):
    """The files that were asked for since the last time."""
    names = [one.path.split("/", 5)[-1] for one in hub.asked if "/resolve/" in one.path]
    hub.asked.clear()
    return names


def there(place):
    return {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()} - {module.RECORD}


def test_all_that_the_row_asks_for(hub, here):
    events = list(download(SPEC, here))
    assert sorted(take_names(hub)) == sorted(FILES)
    for name, content in FILES.items():
        assert (here / name).read_bytes() == content
    stage = next(event for event in events if isinstance(event, Stage) and event.name == "download")
    steps = [event for event in events if isinstance(event, Step)]
    assert steps[-1].step == steps[-1].total == stage.total == 5
    assert [step.step for step in steps] == sorted(step.step for step in steps)
    assert events[-1] == Done(events[-1].seconds, str(here))


def test_what_is_whole_is_kept(hub, here):
    list(download(SPEC, here))
    take_names(hub)
    list(download(SPEC, here))
    assert take_names(hub) == []
    (here / "transformer" / "a.safetensors").write_bytes(bytes(2_999_999) + b"x")
    (here / "model_index.json").write_bytes(b"short")
    list(download(SPEC, here))
    assert sorted(take_names(hub)) == ["model_index.json", "transformer/a.safetensors"]


def test_a_commit_meanwhile(hub, here):
    """What has not changed is kept, also where half of it is there; what has starts anew."""
    hub.faults.cuts["transformer/a.safetensors"] = [0.5] * 9
    with pytest.raises(Unreachable):
        list(download(SPEC, here))
    old = set((here / ".partial").iterdir())
    assert len(old) == 2
    hub.faults.cuts.clear()
    hub.commit = "d" * 40
    hub.repos[SPEC.repo]["transformer/a.safetensors"] = bytes(2_500_000)
    take_names(hub)
    list(download(SPEC, here))
    assert "model_index.json" not in (names := take_names(hub))
    assert len(names) == 3
    assert not [path for path in old if path.exists()]
    assert json.loads((here / module.RECORD).read_text())["commit"] == "d" * 40


def test_consent(hub, here):
    spec = SPECS["flux2-klein-9b"]
    with pytest.raises(LicenceNotAccepted, match="non-commercial") as error:
        list(download(spec, here))
    assert error.value.hint == Advice("agree_to_licence", {"url": spec.licence.url})
    assert hub.asked == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_listing(hub, here, status):
    hub.faults.answers[""] = [(status, {"X-Error-Code": "GatedRepo"})]
    with pytest.raises(LicenceNotAccepted) as error:
        list(download(SPEC, here))
    said = on_command_line(error.value.hint)
    assert f"{hub.endpoint}/{SPEC.repo}" in said
    assert "hf auth login" in said
    assert not here.exists()


def test_a_repository_that_is_gone(hub, here):
    hub.faults.gone.add(SPEC.repo)
    with pytest.raises(ConvertError, match="is not at http") as error:
        list(download(SPEC, here))
    assert not isinstance(error.value, LicenceNotAccepted)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_hub_in_trouble(hub, here, status):
    hub.faults.answers[""] = [(status, {})]
    with pytest.raises(Unreachable):
        list(download(SPEC, here))
    assert len(hub.asked) == 3
    hub.faults.answers[""] = [(status, {}), (200, {})]
    events = list(download(SPEC, here))
    assert any(isinstance(event, Note) and f"error {status}" in event.text for event in events)


def test_room(hub, here):
    with pytest.raises(DiskFull, match="are free"):
        list(download(SPEC, here, beside=10**18))
    assert take_names(hub) == []
    list(download(SPEC, here, beside=10**6))


@pytest.mark.parametrize("name", ["transformer/../../x.safetensors", "/transformer/x.json", "transformer/..\\x.json"])
def test_paths_stay_inside(hub, here, name, monkeypatch):
    monkeypatch.setitem(hub.repos, SPEC.repo, {name: b"x"})
    with pytest.raises((UnsafeFile, ConvertError), match=r"outside|none of the files"):
        list(download(SPEC, here))


A, B = "a" * 64, "b" * 40


@pytest.mark.parametrize(
    ("size", "sha", "blob"),
    [(None, A, ""), (-1, A, ""), (5, "../../x", ""), (5, None, B[1:]), (5, None, None), ("5", None, B)],
)
def test_what_can_not_be_checked_is_refused(hub, here, size, sha, blob):
    """A hash becomes the name of a file, so it has to be one."""
    bare = {"rfilename": "vae/x.safetensors", "size": size, "blobId": blob}
    large = {"lfs": {"size": 5, "sha256": sha, "pointerSize": 1}} if sha else {}
    hub.faults.portal = json.dumps({"id": SPEC.repo, "sha": COMMIT, "siblings": [{**bare, **large}]}).encode()
    with pytest.raises(ConvertError, match="no size or hash"):
        list(download(SPEC, here))


@pytest.mark.parametrize("page", [b"{}", b"[]", b'{"id": 5}', b'{"id": "a", "siblings": 5, "sha": 1}', b"\xff", b""])
def test_a_listing_that_is_none(hub, here, page):
    hub.faults.portal = page
    with pytest.raises(ConvertError, match=r"something else|none of the files"):
        list(download(SPEC, here))


def test_the_built_in_model(hub, here):
    with pytest.raises(ConvertError, match="comes with the app"):
        list(download(SPECS["mini"], here))


def test_the_autoencoder_comes_from_another_repository(hub, here):
    """And of pickles only the file that the row names."""
    list(download(SELFFLOW, here, consent=True))
    assert there(here) == {
        "selfflow_imagenet256.pt",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    }
    take_names(hub)
    list(download(SELFFLOW, here, consent=True))
    assert take_names(hub) == []


def test_what_redux_shares_with_an_installed_model_is_left_out(hub, here):
    list(download(REDUX, here / "whole", consent=True))
    own = {"image_embedder/a.safetensors", "image_encoder/b.safetensors"}
    shared = {"transformer/t.safetensors", "text_encoder_2/u.safetensors"}
    tiny = {"tiny_autoencoder/config.json", "tiny_autoencoder/diffusion_pytorch_model.safetensors"}
    assert there(here / "whole") == own | shared | tiny
    list(download(REDUX, here / "part", consent=True, without=["flux1-dev"]))
    assert there(here / "part") == own | tiny


def test_an_optional_repository_may_be_gone_and_another_not(hub, here):
    hub.faults.gone |= {"madebyollin/taef1", "stabilityai/sd-vae-ft-ema"}
    events = list(download(SCHNELL, here / "a"))
    notes = [event.text for event in events if isinstance(event, Note)]
    assert notes[0].startswith("madebyollin/taef1 is left out")
    assert there(here / "a") == {"transformer/t.safetensors"}
    with pytest.raises(ConvertError, match="stabilityai/sd-vae-ft-ema"):
        list(download(SELFFLOW, here / "b", consent=True))


def test_an_optional_repository_is_not_left_out_because_the_hub_is_busy(hub, here):
    hub.faults.answers["madebyollin/taef1"] = [(503, {})]
    with pytest.raises(Unreachable):
        list(download(SCHNELL, here))


@pytest.fixture
def offline(monkeypatch):
    return lambda: monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_offline_with_files(hub, here, offline):
    list(download(SPEC, here))
    offline()
    take_names(hub)
    events = list(download(SPEC, here))
    assert [type(event) for event in events] == [Note, Done]
    assert events[-1].path == str(here)
    (here / "tokenizer" / "tokenizer.json").write_bytes(b"[]")
    with pytest.raises(NotInstalled, match=r"tokenizer\.json"):
        list(download(SPEC, here))
    assert hub.asked == []


def test_offline_what_lies_in_two_repositories(hub, here, offline, tmp_path):
    list(download(SELFFLOW, here, consent=True))
    from huggingface_hub import snapshot_download

    for repo in ("Hila/Self-Flow", "stabilityai/sd-vae-ft-ema"):
        snapshot_download(repo)
    offline()
    hub.asked.clear()
    list(download(SELFFLOW, tmp_path / "new", consent=True))
    assert there(tmp_path / "new") == there(here)
    assert hub.asked == []


def test_offline_without_files(hub, here, offline):
    offline()
    with pytest.raises(NotInstalled, match="HF_HUB_OFFLINE"):
        list(download(SPEC, here))


def test_the_record_is_no_secret(hub, here, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    list(download(SPEC, here))
    text = (here / module.RECORD).read_text()
    assert json.loads(text)["commit"] == COMMIT
    assert len(json.loads(text)["files"]) == len(FILES)
    assert "secret" not in text


def test_a_record_of_before_can_be_read(hub, here, offline):
    """Its fields are those of Remote."""
    list(download(SPEC, here))
    files = json.loads((here / module.RECORD).read_text())["files"]
    assert set(files[0]) == {field.name for field in dataclasses.fields(Remote)}
    assert set(files[0]) == {"name", "bytes", "sha256", "git", "repo", "commit", "into"}


def test_a_folder_is_claimed_once(here):
    with claim(here), pytest.raises(ConvertError, match="being downloaded already"), claim(here):
        pass
    with claim(here):
        pass


def test_import_is_light():
    """Importing the module must not import huggingface_hub."""
    code = "import sys, converters.download; sys.exit('huggingface_hub' in sys.modules)"
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code]) == 0
