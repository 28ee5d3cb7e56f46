"""Downloads against a hub that is played by a test: no network."""

import dataclasses
import hashlib
import json
import os
import sys
import time
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import errors

from converters import download as module
from converters.download import download
from mlx_model.errors import Advice, ConvertError, DiskFull, LicenceNotAccepted, NotInstalled, UnsafeFile
from mlx_model.events import Done, Note, Stage, Step
from mlx_model.specs import SPECS

SPEC = SPECS["flux2-klein-4b"]
FILES = {
    "model_index.json": b'{"_class_name": "Flux2KleinPipeline"}',
    "transformer/a.safetensors": bytes(3_000_000),
    "text_encoder/b.safetensors": bytes(range(256)) * 4000,
    "tokenizer/tokenizer.json": b"{}",
}
IGNORED = {"README.md": b"x", "flux-2-klein-4b.safetensors": b"y", "transformer/evil.bin": b"z", "vae/run.py": b"w"}


def sibling(name, content):
    lfs = name.endswith(".safetensors") and SimpleNamespace(sha256=hashlib.sha256(content).hexdigest())
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return SimpleNamespace(rfilename=name, size=len(content), lfs=lfs or None, blob_id=blob)


class Hub:
    """Plays huggingface_hub: what it serves, what it was asked for, how it fails."""

    def __init__(self):
        self.files = {**FILES, **IGNORED}
        self.asked, self.fail, self.damage = [], None, 0

    def model_info(self, repo, files_metadata):
        assert files_metadata
        if self.fail:
            raise self.fail
        return SimpleNamespace(sha="c0ffee", siblings=[sibling(n, c) for n, c in {**FILES, **IGNORED}.items()])

    def hf_hub_download(self, repo, name, revision, local_dir, force_download, tqdm_class):
        assert (repo, revision) == (SPEC.repo, "c0ffee")
        self.asked.append(name)
        bar = tqdm_class(total=len(self.files[name]), initial=0)
        content = self.files[name]
        for start in range(0, len(content), 1_000_000):
            bar.update(len(content[start : start + 1_000_000]))
        if self.damage:
            self.damage -= 1
            content = content[:-1] + b"?"
        target = local_dir / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


@pytest.fixture
def hub(monkeypatch):
    hub = Hub()
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub.hf_hub_download)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(module, "POLL", 0.01)
    return hub


def offline(monkeypatch, hub):
    def nothing(*_, **__):
        raise errors.LocalEntryNotFoundError("not in the cache")

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", nothing)
    hub.fail = AssertionError("asked the network")


def test_download(hub, tmp_path):
    events = list(download(SPEC, tmp_path / "in"))
    assert sorted(hub.asked) == sorted(FILES)
    for name, content in FILES.items():
        assert (tmp_path / "in" / name).read_bytes() == content
    stage = next(event for event in events if isinstance(event, Stage) and event.name == "download")
    steps = [event for event in events if isinstance(event, Step)]
    assert steps[-1].step == steps[-1].total == stage.total == 5
    assert [step.step for step in steps] == sorted(step.step for step in steps)
    assert events[-1] == dataclasses.replace(events[-1], path=str(tmp_path / "in"))
    assert isinstance(events[-1], Done)


def test_what_is_whole_is_kept(hub, tmp_path):
    list(download(SPEC, tmp_path))
    hub.asked.clear()
    list(download(SPEC, tmp_path))
    assert hub.asked == []
    (tmp_path / "transformer" / "a.safetensors").write_bytes(bytes(2_999_999) + b"x")
    (tmp_path / "model_index.json").write_bytes(b"short")
    list(download(SPEC, tmp_path))
    assert sorted(hub.asked) == ["model_index.json", "transformer/a.safetensors"]


def test_damaged_once(hub, tmp_path):
    hub.damage = 1
    list(download(SPEC, tmp_path))
    assert len(hub.asked) == len(FILES) + 1


def test_damaged_always(hub, tmp_path):
    hub.damage = 99
    with pytest.raises(ConvertError, match=r"model_index\.json arrived damaged"):
        list(download(SPEC, tmp_path))
    assert not (tmp_path / "model_index.json").exists()


def hub_error(kind, status):
    error = kind.__new__(kind)
    Exception.__init__(error, f"{status} Client Error.\nmore")
    error.response = SimpleNamespace(status_code=status, headers={})
    return error


@pytest.mark.parametrize("kind", [errors.GatedRepoError, errors.RepositoryNotFoundError])
def test_gated(hub, tmp_path, kind):
    hub.fail = hub_error(kind, 403)
    with pytest.raises(LicenceNotAccepted) as error:
        list(download(SPEC, tmp_path))
    assert f"https://huggingface.co/{SPEC.repo}" in error.value.hint
    assert "hf auth login" in error.value.hint


def test_consent(hub, tmp_path):
    spec = SPECS["flux2-klein-9b"]
    with pytest.raises(LicenceNotAccepted, match="non-commercial") as error:
        list(download(spec, tmp_path))
    assert error.value.hint == Advice("agree_to_licence", {"url": spec.licence.url})


@pytest.mark.parametrize("failure", [ConnectionError("x"), TimeoutError("x"), errors.LocalEntryNotFoundError("x")])
def test_no_connection(hub, tmp_path, failure):
    hub.fail = failure
    with pytest.raises(ConvertError, match="can't be reached"):
        list(download(SPEC, tmp_path))


def test_server_error(hub, tmp_path):
    hub.fail = hub_error(errors.HfHubHTTPError, 500)
    with pytest.raises(ConvertError, match="500 Client Error"):
        list(download(SPEC, tmp_path))


def test_failure_in_the_transfer(hub, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise ConnectionError("cut")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(ConvertError, match="can't be reached"):
        list(download(SPEC, tmp_path))


def test_disk_full(hub, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(DiskFull):
        list(download(SPEC, tmp_path))
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=5))
    with pytest.raises(DiskFull, match="The download needs"):
        list(download(SPEC, tmp_path))


def test_paths_stay_inside(hub, tmp_path, monkeypatch):
    bad = [sibling("transformer/../../x.safetensors", b"x")]
    monkeypatch.setattr(hub, "model_info", lambda *_, **__: SimpleNamespace(sha="c", siblings=bad))
    with pytest.raises(UnsafeFile, match="outside"):
        list(download(SPEC, tmp_path))


def test_nothing_to_check_by(hub, tmp_path, monkeypatch):
    bare = [SimpleNamespace(rfilename="vae/x.safetensors", size=None, lfs=None, blob_id=None)]
    monkeypatch.setattr(hub, "model_info", lambda *_, **__: SimpleNamespace(sha="c", siblings=bare))
    with pytest.raises(ConvertError, match="no size or hash"):
        list(download(SPEC, tmp_path))


def test_closing_stops_the_transfer(hub, tmp_path, monkeypatch):
    stopped = []

    def endless(repo, name, tqdm_class, **_):
        bar = tqdm_class(total=1, initial=0)
        try:
            for _ in range(1000):
                bar.update(1)
                time.sleep(0.005)
        except BaseException as error:
            stopped.append(error)
            raise

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", endless)
    events = download(SPEC, tmp_path)
    for event in events:
        if isinstance(event, Step):
            break
    events.close()
    end = time.monotonic() + 5
    while not stopped and time.monotonic() < end:
        time.sleep(0.01)
    assert stopped


def test_offline_with_files(hub, tmp_path, monkeypatch):
    list(download(SPEC, tmp_path))
    offline(monkeypatch, hub)
    events = list(download(SPEC, tmp_path))
    assert [type(event) for event in events] == [Note, Done]
    assert events[-1].path == str(tmp_path)
    (tmp_path / "tokenizer" / "tokenizer.json").write_bytes(b"[]")
    with pytest.raises(NotInstalled, match=r"tokenizer\.json"):
        list(download(SPEC, tmp_path))


def test_offline_with_the_cache(hub, tmp_path, monkeypatch):
    offline(monkeypatch, hub)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(tmp_path / "cache"))
    assert list(download(SPEC, tmp_path / "in"))[-1].path == str(tmp_path / "cache")


def test_offline_without_files(hub, tmp_path, monkeypatch):
    offline(monkeypatch, hub)
    with pytest.raises(NotInstalled, match="HF_HUB_OFFLINE"):
        list(download(SPEC, tmp_path))


def test_record_is_no_secret(hub, tmp_path):
    list(download(SPEC, tmp_path))
    record = json.loads((tmp_path / module.RECORD).read_text())
    assert record["commit"] == "c0ffee"
    assert len(record["files"]) == len(FILES)


def test_built_in_model(hub, tmp_path):
    with pytest.raises(ConvertError, match="comes with the app"):
        list(download(SPECS["mini"], tmp_path))


def test_import_is_light():
    """Importing the module must not import huggingface_hub."""
    code = "import sys, converters.download; sys.exit('huggingface_hub' in sys.modules)"
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code]) == 0
