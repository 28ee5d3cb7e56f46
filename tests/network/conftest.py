"""The command line as a process of its own against a hub on this machine, with a home and a cache of the test's own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlx_model.specs import SPECS
from tests.network.hub_server import Hub
from tests.network.made import checkpoint_files

ROOT = Path(__file__).parents[2]
MODEL = "flux2-klein-4b"
REPO = SPECS[MODEL].repo
OURS = ("HF_", "HUGGING", "FLUX_LOCAL", "TRANSFORMERS_OFFLINE")


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Name -> content of a tiny checkpoint of MODEL, laid out as its repository is."""
    return checkpoint_files(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def hub(files):
    made = Hub({REPO: dict(files)})
    yield made
    made.close()


@pytest.fixture
def environment(hub, tmp_path):
    """For the processes: the hub, a short patience, a home and a cache of their own, no proxy and no token."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(OURS)}
    kept = {name: value for name, value in kept.items() if not name.lower().endswith("_proxy")}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "FLUX_LOCAL_HOME": str(tmp_path / "home"),
        "HF_HOME": str(tmp_path / "hf"),
        "HF_ENDPOINT": hub.endpoint,
        "HF_HUB_DOWNLOAD_TIMEOUT": "1",
    }


@pytest.fixture
def here(hub, tmp_path, monkeypatch):
    """The same hub for downloads inside this process, with hardly a pause; a folder for what is downloaded."""
    from huggingface_hub import constants, utils

    from converters import hub as asking
    from converters import transfer

    for name in [name for name in os.environ if name.upper().startswith(OURS) or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    values = {
        "ENDPOINT": hub.endpoint,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(tmp_path / "hf" / "hub"),
        "HF_TOKEN_PATH": str(tmp_path / "hf" / "token"),
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DOWNLOAD_TIMEOUT": 1,
    }
    for name, value in values.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setattr(asking, "PAUSE", 0.01)
    monkeypatch.setattr(asking, "BUSY", 0.02)
    monkeypatch.setattr(transfer, "POLL", 0.01)
    yield tmp_path / "in"
    utils.close_session()


class Run:
    """A run of the command line that has ended."""

    def __init__(self, code: int, out: str, err: str):
        self.code, self.out, self.err = code, out, err

    @property
    def events(self) -> list[dict]:
        return [json.loads(line) for line in self.out.splitlines()]

    def notes(self) -> str:
        return "\n".join(event["text"] for event in self.events if event["event"] == "note")


class Command:
    """Starts `flux-local models ...`; what still runs at the end of the test is killed."""

    def __init__(self, environment: dict[str, str]):
        self.environment, self._running = environment, []

    def start(self, *words: str, **more: str) -> subprocess.Popen:
        line = [sys.executable, "-P", "-m", "app", "models", *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        process = subprocess.Popen(line, env={**self.environment, **more}, text=True, **pipes)
        self._running.append(process)
        return process

    def end(self, process: subprocess.Popen, stop: int = 0, timeout: float = 120) -> Run:
        if stop:
            process.send_signal(stop)
        out, err = process.communicate(timeout=timeout)
        return Run(process.returncode, out, err)

    def run(self, *words: str, **more: str) -> Run:
        return self.end(self.start(*words, **more))

    def add(self, *words: str, **more: str) -> Run:
        return self.run("add", MODEL, "--accept-licence", "--json", *words, **more)

    def close(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.communicate()


@pytest.fixture
def flux_local(environment):
    made = Command(environment)
    yield made
    made.close()


@pytest.fixture
def home(environment):
    return Path(environment["FLUX_LOCAL_HOME"])
