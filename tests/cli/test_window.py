"""The window from the command line: refused with a reason where Qt would abort; opens, stops on signals."""

import os
import signal
import subprocess
import sys
import time

import pytest

from app.base import paths
from app.board.data import new_board
from app.cli import window
from app.fluxboard.file import BoardFile
from tests.cli.scripted_pipeline import ROOT, run


def started(tmp_path, **environment):
    variables = {**os.environ, "FLUX_LOCAL_HOME": str(tmp_path / "home"), "HOME": str(tmp_path), **environment}
    variables = {name: value for name, value in variables.items() if value}
    return subprocess.Popen([sys.executable, "-m", "app"], cwd=ROOT, env=variables, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux may have no display")
def test_without_a_display_it_says_so(tmp_path):
    process = started(tmp_path, DISPLAY="", WAYLAND_DISPLAY="", QT_QPA_PLATFORM="")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "no display" in said


def test_a_missing_library_is_named_with_the_packages(tmp_path, monkeypatch):
    monkeypatch.setattr(window.sys, "platform", "linux")
    monkeypatch.setattr(window, "plugin", lambda: tmp_path / "libqxcb.so")
    with pytest.raises(window.NoWindow) as refused:
        window.check({"DISPLAY": ":0"})
    assert "libqxcb.so" in refused.value.message
    assert "libxcb-cursor0" in refused.value.hint


def test_the_path_of_a_board_opens_it(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(window, "open_window", lambda path=None: opened.append(path) or 0)
    monkeypatch.chdir(tmp_path)
    BoardFile.create(tmp_path / "film.fluxboard", new_board("film")).close()
    for told in ("film.fluxboard", "film.fluxboard/", str(tmp_path / "film.fluxboard")):
        run(told)
    assert opened == [str(tmp_path / "film.fluxboard")] * 3
    (tmp_path / "film.fluxboard.zip").write_bytes(b"PK")
    run("film.fluxboard.zip")
    assert opened[-1] == str(tmp_path / "film.fluxboard.zip")
    assert "There is no board" in run("gone.fluxboard", code=2).stderr
    (tmp_path / "empty.fluxboard").touch()
    assert "is a file; a board is a folder" in run("empty.fluxboard", code=2).stderr
    assert "No such command" in run("film", code=2).stderr
    desktop = (paths.ASSETS / "flux-local.desktop").read_text("utf-8")
    assert "Exec=flux-local %f\n" in desktop


@pytest.mark.first_case
@pytest.mark.parametrize("one", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_opens_on_the_sample_and_ends_politely(tmp_path, one):
    process = started(tmp_path, QT_QPA_PLATFORM="offscreen")
    board = tmp_path / "home" / "boards" / "The Gull Goes Out.fluxboard"
    settings = tmp_path / "home" / "settings.json"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not settings.exists():
        time.sleep(0.1)
    assert (board / "board.json").exists()
    time.sleep(1)
    process.send_signal(one)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert not (board / "journal").exists()


@pytest.mark.sweep
@pytest.mark.parametrize("one", [signal.SIGTERM, signal.SIGHUP])
def test_it_ends_politely_also_while_it_starts(tmp_path, one):
    process = started(tmp_path, QT_QPA_PLATFORM="offscreen")
    home = tmp_path / "home"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list((tmp_path / "home").glob("*/*.fluxboard")):
        time.sleep(0.005)
    process.send_signal(one)
    _, said = process.communicate(timeout=60)
    assert process.returncode in (0, 130), said
    assert "Traceback" not in said
    assert home.exists()
