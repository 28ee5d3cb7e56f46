"""Pause and Continue in the window, with the real command line as its process and a hub on this machine."""

import os
import time

import pytest

from app.base import paths
from mlx_model.specs import SPECS
from tests.network.hub_server import Hub, sha256
from tests.network.made import checkpoint_files

pytestmark = pytest.mark.network

MODEL = "flux2-klein-4b"
LARGE = "transformer/diffusion_pytorch_model.safetensors"


@pytest.fixture
def hub(tmp_path, monkeypatch, home):
    made = Hub({SPECS[MODEL].repo: checkpoint_files(tmp_path / "checkpoint")})
    for name in [name for name in os.environ if name.upper().startswith("HF_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, value in {"HF_ENDPOINT": made.endpoint, "HF_HOME": tmp_path / "hf", "HF_HUB_DOWNLOAD_TIMEOUT": 1}.items():
        monkeypatch.setenv(name, str(value))
    yield made
    made.faults.rate = 0
    made.close()


@pytest.fixture
def card(window, hub, monkeypatch):
    """The model's card in the window, shown; what it asks before gigabytes is agreed to."""
    window.go("models")
    page = window.page("models")
    monkeypatch.setattr(type(page.cards[MODEL]), "agree", lambda card, bits=None: True)
    yield lambda: page.cards[MODEL]
    window.session.downloads.shutdown()


def count_sent(hub):
    return sum(asked.sent for asked in hub.files(LARGE))


def partial(hub):
    return paths.downloads() / MODEL / ".partial" / sha256(hub.find(LARGE))


def pause(qtbot, hub, card):
    """Start slowly, and pause once the large file is on its way."""
    hub.faults.rate = 600_000
    card().get.click()
    qtbot.waitUntil(lambda: count_sent(hub) > 300_000 and "%" in card().words.text(), timeout=60000)
    assert "left" in card().words.text()
    card().pause.click()


def test_pause_stops_and_continue_goes_on(qtbot, hub, card, window):
    pause(qtbot, hub, card)
    assert (card().words.text(), card().pause.text()) == ("Paused", "Continue")
    qtbot.waitUntil(lambda: not window.session.downloads.busy, timeout=30000)
    came = partial(hub).stat().st_size
    time.sleep(0.5)
    assert 0 < came == partial(hub).stat().st_size < len(hub.find(LARGE))
    hub.faults.rate = 0
    card().pause.click()
    qtbot.waitUntil(lambda: bool(card().installed), timeout=120000)
    assert [asked.range for asked in hub.files(LARGE)] == [None, f"bytes={came}-"]
    assert not (paths.downloads() / MODEL).exists()


def test_continue_at_once(qtbot, hub, card, window):
    """Before the paused process has ended: it is waited for, and the next one goes on."""
    pause(qtbot, hub, card)
    assert window.session.downloads.busy
    hub.faults.rate = 0
    card().pause.click()
    assert card().pause.text() == "Pause"
    qtbot.waitUntil(lambda: bool(card().installed), timeout=120000)
    first, second = (asked.range for asked in hub.files(LARGE))
    assert first is None
    assert second.startswith("bytes=")


def test_paused_again_before_it_went_on(qtbot, hub, card, window):
    pause(qtbot, hub, card)
    card().pause.click()
    card().pause.click()
    qtbot.waitUntil(lambda: not window.session.downloads.busy, timeout=30000)
    qtbot.wait(300)
    assert not window.session.downloads.busy
    assert (card().words.text(), card().pause.text()) == ("Paused", "Continue")


def test_a_failed_download_goes_on(qtbot, hub, card, window):
    hub.faults.stalls[LARGE] = 0.5
    card().get.click()
    qtbot.waitUntil(lambda: card().get.text() == "Continue Download", timeout=60000)
    assert "can't be reached" in card().words.text()
    assert "where it stopped" in card().words.text()
    hub.faults.stalls.clear()
    qtbot.waitUntil(lambda: not window.session.downloads.busy, timeout=30000)
    before = len(hub.files(LARGE))
    card().get.click()
    qtbot.waitUntil(lambda: bool(card().installed), timeout=120000)
    assert hub.files(LARGE)[before].range.startswith("bytes=")


def test_the_window_tells_that_the_hub_is_busy(qtbot, hub, card):
    hub.faults.answers[""] = [(429, {"Retry-After": "3"}), (200, {})]
    card().get.click()
    qtbot.waitUntil(lambda: "busy" in card().words.text(), timeout=60000)
    qtbot.waitUntil(lambda: bool(card().installed), timeout=120000)
