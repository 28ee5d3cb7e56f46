"""A board on several machines: what stands for ssh starts the worker here, in another home."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from msgspec import structs
from PIL import Image

from app.board.data import Board, Member, Panel, Scene, Settings, Source
from app.cli.board import render
from app.cli.board.fleet import Fleet
from app.engine import machines
from app.engine.far_worker import Arrivals
from app.engine.machines import command_for
from app.engine.protocol import Happened, Piece, ProtocolError, cut_file, line, raw
from app.fluxboard.file import BoardFile
from mlx_model.errors import RequestError
from mlx_model.request import Reference
from mlx_model.store.folder import sha256_of

QUICK = Settings(steps=2, width=64, height=64)
ROOT = Path(__file__).resolve().parents[3]
SSH = """#!/bin/sh
while [ "$1" != "--" ]; do shift; done
host=$2; shift 3
echo "Welcome to $host"
case $host in silent*) exec sleep 60;; esac
case $host in wrapped*) sleep 61.25; exit;; esac
case $host in strange*) echo '{{"is":"ready","pid":1}}'; echo '{{"is":"news"}}'; exec sleep 60;; esac
case $host in newer*) echo '{{"is":"ready","pid":1}}'; read order
  echo '{{"is":"happened","job":"a","what":{{"event":"dream"}}}}'; exec sleep 60;; esac
case $host in empty*) echo '{{"is":"ready","pid":1}}'; read order
  echo '{{"is":"happened","job":"a","what":{{"event":"done","seconds":1.0,"path":"a.png"}}}}'; exec sleep 60;; esac
case $host in wrong*) echo '{{"is":"ready","pid":1}}'; read order; cat "{home}/sent"; exec sleep 60;; esac
case $host in gone*) echo "ssh: Could not resolve hostname $host" >&2; exit 255;; esac
export FLUX_LOCAL_HOME="{home}/$host"
exec "{python}" -P -m app "$@"
"""
OPTIONS = {"panels": "", "model": None, "missing": False, "count": 1, "seed": 3, "instruction": None, "cache": False,
           "low_memory": False, "machine": (), "step_cache": None}  # fmt: skip


@pytest.fixture
def film(tmp_path, monkeypatch):
    """A board of three panels, of which the last goes on from the first."""
    home = tmp_path / "homes"
    (script := tmp_path / "bin" / "ssh").parent.mkdir()
    script.write_text(SSH.format(home=home, python=sys.executable))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FLUX_LOCAL_HOME", str(home / "here"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    panels = (
        Panel("one", "@robot on the beach", settings=QUICK),
        Panel("two", "a panda in the snow", settings=QUICK),
        Panel("three", "make it night", settings=QUICK, source=Source("panel", "one")),
    )
    board = Board("b", aspect=(1, 1), scenes=(Scene("s", panels=panels),))
    with BoardFile.create(tmp_path / "film.fluxboard", board) as file:
        robot = file.put_picture((ROOT / "assets/examples/robot.png").read_bytes(), "robot")
        file.save(structs.replace(board, cast=(Member("robot", "robot", pictures=(robot,)),)))
    return tmp_path / "film.fluxboard"


def render_on(film, *places, **options):
    render.render_panels(str(film), OPTIONS | options | {"machine": places}, True)


def said(capfd):
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def takes(film):
    with BoardFile.open(film) as file:
        return [panel.take.picture.sha256 for panel in file.board.panels() if panel.take]


@pytest.mark.sweep
def test_two_machines_make_what_one_makes(film, capfd):
    render_on(film, "mini.local", "gone.local")
    events = said(capfd)
    stages = [event["detail"] for event in events if event.get("name") == "panel"]
    assert {detail.partition(" on ")[2] for detail in stages} == {"this machine", "mini.local"}
    assert any("gone.local can't be used: ssh: Could not resolve" in event.get("text", "") for event in events)
    two = takes(film)
    render.render_panels(str(film), OPTIONS, True)
    assert takes(film) == two
    assert len(two) == 3
    assert not list((film.parent / "homes" / "mini.local").rglob("*.png"))


@pytest.mark.sweep
def test_a_machine_that_never_answers_is_told(film, capfd, monkeypatch):
    monkeypatch.setattr(machines, "HARDLY", 0.1)
    render_on(film, "silent.local", "wrapped.local")
    assert "silent.local had not answered when the last panel was done." in [e.get("text") for e in said(capfd)]
    assert len(takes(film)) == 3
    assert not [one.pid for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == ["sleep", "61.25"]]


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("place", "said_there"),
    [("strange.local", '{"is":"news"}'), ("newer.local", '{"event":"dream"}'), ("empty.local", "there is no picture")],
)
def test_what_a_machine_says_wrongly_costs_its_panel_the_time_alone(film, capfd, place, said_there):
    """Of another version perhaps, or no machine of ours at all."""
    render_on(film, place)
    (lost,) = (text for event in said(capfd) if " is lost: " in (text := event.get("text", "")))
    assert lost.startswith(f"{place} is lost: It said something that can't be understood: ")
    assert lost.endswith(said_there)
    assert len(takes(film)) == 3


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("side", "told"), [(0, "what it sent as a picture is none"), (80, "a picture of 80x80, 64x64 was asked for")]
)
def test_bytes_that_are_not_the_picture_asked_for_cost_its_panel_the_time_alone(film, capfd, side, told):
    """Though they arrive as they were sent."""
    (sent := film.parent / "homes" / "sent").parent.mkdir(exist_ok=True)
    Image.new("RGB", (side or 1, side or 1)).save(file := film.parent / "a.png")
    if not side:
        file.write_text("only words")
    done = Happened("a", raw('{"event":"done","seconds":1.0,"path":"a.png"}'))
    sent.write_bytes(b"".join(map(line, (*cut_file(file, sha256_of(file)), done))))
    render_on(film, "wrong.local")
    notes = [event.get("text", "") for event in said(capfd)]
    assert f"wrong.local is lost: It said something that can't be understood: {told}" in notes
    assert any(note.endswith("waits for another machine.") for note in notes)
    assert len(takes(film)) == 3


@pytest.mark.sweep
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_machine_costs_its_panel_the_time_alone(film, capfd, monkeypatch, how):
    monkeypatch.setattr(machines, "BEAT", 3.0)
    start_one = Fleet._start

    def start(self, machine, task):
        start_one(self, machine, task)
        if machine.name == "mini.local":
            for process in psutil.Process(machine._process.pid).children(recursive=True) or [machine._process]:
                os.kill(process.pid, how)

    monkeypatch.setattr(Fleet, "_start", start)
    render_on(film, "mini.local", count=3)
    told = [event.get("text", "") for event in said(capfd)]
    assert any(text.startswith("mini.local is lost: ") for text in told)
    assert any(text.endswith("waits for another machine.") for text in told)
    assert len(takes(film)) == 3


@pytest.mark.sweep
def test_a_machine_with_other_weights_is_not_used(film, capfd, monkeypatch):
    order = Fleet._order

    def with_others(self, machine, job, folder):
        run = order(self, machine, job, folder)
        return structs.replace(run, weights="others") if machine.name == "mini.local" else run

    monkeypatch.setattr(Fleet, "_order", with_others)
    render_on(film, "mini.local")
    told = " ".join(event.get("text", "") for event in said(capfd))
    assert "mini.local can't render this board: Its weights of mini are others" in told
    assert len(takes(film)) == 3


@pytest.mark.sweep
def test_ctrl_c_ends_all(film):
    words = ("board", "render", str(film), "--count", "50", "--machine", "mini.local")
    process = subprocess.Popen([sys.executable, "-m", "app", *words], stderr=subprocess.PIPE, text=True)
    while "mini.local" not in process.stderr.readline():
        pass
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not psutil.wait_procs(family, timeout=10)[1]


@pytest.mark.parametrize("place", ["", "-oProxyCommand=x", "a b", "host;rm", "host:fl ux", "host:$(x)", "host:-x y"])
def test_what_is_no_machine_is_refused(place):
    with pytest.raises(RequestError, match="no machine that ssh can reach"):
        command_for(place)


def test_a_machine_without_ssh_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RequestError, match="ssh, which is not installed"):
        command_for("mini.local")


def test_places():
    assert command_for("me@mini.local:/opt/flux-local")[-4:] == ["me@mini.local", "/opt/flux-local", "worker", "--far"]
    assert command_for("10.0.0.2")[-3:] == ["flux-local", "worker", "--far"]


def test_files_arrive_whole_or_not_at_all(tmp_path):
    (file := tmp_path / "a.png").write_bytes(os.urandom(2_500_000))
    digest, arrivals = sha256_of(file), Arrivals(tmp_path / "there")
    pieces = list(cut_file(file, digest))
    assert [piece.last for piece in pieces] == [False, False, True]
    for piece in pieces:
        arrivals.add(piece)
    assert arrivals.whole[digest].read_bytes() == file.read_bytes()
    for bad in (
        Piece("0" * 64, "a.png", b"x", True),
        Piece(digest, "../a.png", b"x", True),
        Piece("1" * 64, "", b"", True),
    ):
        with pytest.raises(ProtocolError):
            Arrivals(tmp_path / bad.sha256[:3] / "else").add(bad)
    (tmp_path / "full").touch()  # no folder can be made in it
    full = Arrivals(tmp_path / "full")
    for piece in pieces:
        full.add(piece)
    with pytest.raises(OSError, match="full"):
        full.find(Reference(str(file), "a", sha256=digest))
    (empty := tmp_path / "empty").touch()
    assert [piece.data for piece in cut_file(empty, "e")] == [b""]
