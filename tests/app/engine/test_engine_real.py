"""The real worker with the built-in model, from a board on disk to its takes; and what the worker itself promises."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from msgspec import structs

from app.board.data import Board, Member, Panel, Scene, Settings, Source, Take
from app.board.panel_job import panel_job
from app.engine import protocol, running
from app.engine.engine import Engine
from app.engine.worker import Worker
from app.fluxboard.file import BoardFile
from app.models import depth, helpers
from app.pictures.images import open_picture, read_request, save_picture
from app.pictures.metadata import hide_paths
from mlx_model.errors import Advice
from mlx_model.events import Loaded, Step
from mlx_model.helpers import find_enlarger
from mlx_model.request import Reference, Request, from_json
from tests.app.models.made_models import make_enlarger

ROOT = Path(__file__).resolve().parents[3]
QUICK = Settings(steps=4, width=64, height=64)
LONG = Settings(steps=200, width=128, height=128)
WAIT = 120_000


@pytest.fixture
def engine(qapp, tmp_path, monkeypatch):
    monkeypatch.setenv("FLUX_LOCAL_HOME", str(tmp_path / "home"))
    engine = Engine()
    yield engine
    engine.shutdown()


@pytest.fixture
def file(tmp_path):
    """A board of three panels with one of the cast, on disk."""
    panels = (
        Panel("one", "a beach at @dog", settings=QUICK),
        Panel("two", "make it night", settings=LONG, source=Source("panel", "one")),
        Panel("three", "@dog in the snow", settings=QUICK),
    )
    board = Board("b", aspect=(1, 1), scenes=(Scene("s", panels=panels),))
    with BoardFile.create(tmp_path / "test.fluxboard", board) as file:
        dog = file.put_picture((ROOT / "assets/examples/dog.png").read_bytes(), "dog")
        file.board = structs.replace(board, cast=(Member("dog", "dog", pictures=(dog,)),))
        yield file


def render(engine, file, panel):
    job = panel_job(file.board, panel, file.picture_path)
    engine.submit(job)
    return job.id


def keep(engine, file, job_id):
    """The result becomes the panel's take, as in the window."""
    state = engine.job(job_id)
    assert state.state == "done", state.reason
    picture = file.put_picture(Path(state.result).read_bytes())
    take = Take(job_id, picture, state.job.request.to_json(), state.job.model, "2026-01-01T00:00:00Z", state.seed)
    scene = file.board.scenes[0]
    panels = tuple(
        structs.replace(each, takes=(*each.takes, take), current=take.id) if each.id == state.job.panel else each
        for each in scene.panels
    )
    file.board = structs.replace(file.board, scenes=(structs.replace(scene, panels=panels),))
    file.save(file.board)


def over(qtbot, engine, *jobs):
    qtbot.waitUntil(lambda: all(engine.job(job).over for job in jobs), timeout=WAIT)


def test_what_to_do_comes_through_the_worker_for_the_window_to_word(qtbot, engine, file):
    job = replace(panel_job(file.board, "one", file.picture_path), model="flux2-klein-4b")
    engine.submit(job)
    over(qtbot, engine, job.id)
    assert engine.job(job.id).hint == Advice("add_model", {"name": "flux2-klein-4b"})


@pytest.mark.sweep
def test_three_panels_with_the_worker_killed_in_the_middle(qtbot, engine, file):
    loads = []
    engine.happened.connect(lambda job, event: loads.append(job) if isinstance(event, Loaded) else None)
    one = render(engine, file, "one")
    over(qtbot, engine, one)
    keep(engine, file, one)
    two, three = render(engine, file, "two"), render(engine, file, "three")
    qtbot.waitUntil(lambda: engine.job(two).step >= 2, timeout=WAIT)
    before, pid = file.board, engine.worker_pid
    os.kill(pid, signal.SIGKILL)
    over(qtbot, engine, two, three)
    assert (engine.job(two).state, engine.job(two).code) == ("failed", "WorkerDied")
    assert file.board == before
    assert engine.worker_pid != pid
    keep(engine, file, three)
    file.board = _with_settings(file.board, "two", QUICK)
    again = render(engine, file, "two")
    over(qtbot, engine, again)
    keep(engine, file, again)
    path = file.path
    file.close()
    with BoardFile.open(path) as reopened:
        takes = [panel.take for panel in reopened.board.panels()]
        shapes = {open_picture(reopened.picture_path(take.picture.sha256)).shape for take in takes}
    assert shapes == {(64, 64, 3)}
    assert [take.id for take in takes] == [one, again, three]


def _with_settings(board, panel_id, settings):
    scene = board.scenes[0]
    panels = tuple(structs.replace(p, settings=settings) if p.id == panel_id else p for p in scene.panels)
    return structs.replace(board, scenes=(structs.replace(scene, panels=panels),))


@pytest.mark.sweep
def test_the_picture_carries_the_request_and_is_what_the_command_line_makes(qtbot, engine, file, tmp_path):
    job = panel_job(file.board, "one", file.picture_path, seed=7)
    engine.submit(job)
    over(qtbot, engine, job.id)
    result = engine.job(job.id).result
    assert read_request(result) == from_json(hide_paths(job.request.to_json()))
    assert [Path(one.path).name for one in read_request(result).references] == [
        f"{one.sha256}.png" for one in job.request.references
    ]
    again, asked = tmp_path / "again.png", tmp_path / "asked.png"
    save_picture(open_picture(result), asked, job.request.to_json())
    command_line = [*protocol.command_line("edit"), "--again", str(asked), "-o", str(again)]
    subprocess.run(command_line, check=True, capture_output=True, env=protocol.environment())
    assert (open_picture(again) == open_picture(result)).all()


def test_cancel_within_a_step_and_the_model_stays_loaded(qtbot, engine, file):
    steps, loaded = [], []
    engine.happened.connect(lambda job, event: steps.append((job, event.step)) if isinstance(event, Step) else None)
    engine.happened.connect(lambda job, event: loaded.append(event.seconds) if isinstance(event, Loaded) else None)
    two = structs.replace(file.board.panel("two"), source=Source())
    file.board = structs.replace(file.board, scenes=(Scene("s", panels=(two,)),))
    job = render(engine, file, "two")
    qtbot.waitUntil(lambda: engine.job(job).step >= 2, timeout=WAIT)
    pid, seen = engine.worker_pid, len(steps)
    engine.cancel(job)
    over(qtbot, engine, job)
    assert engine.job(job).state == "cancelled"
    assert len(steps) - seen <= 2  # one on its way through the pipe, one that was being computed
    file.board = _with_settings(file.board, "two", QUICK)
    over(qtbot, engine, render(engine, file, "two"))
    assert engine.worker_pid == pid
    assert loaded[1] < loaded[0]


def test_what_can_not_be_done_is_said_as_the_command_line_says_it(qtbot, engine, file, tmp_path):
    picture = tmp_path / "blob.png"
    picture.write_bytes((ROOT / "assets/examples/dog.png").read_bytes())
    good = panel_job(file.board, "one", lambda sha256: picture)
    picture.write_bytes((ROOT / "assets/examples/robot.png").read_bytes())
    other = panel_job(file.board, "three", file.picture_path)
    jobs = [
        good,
        replace(other, id="gone", model="flux2-klein-4b"),
        replace(other, id="large", request=replace(other.request, width=8000, height=8000)),
    ]
    for job in jobs:
        engine.submit(job)
    over(qtbot, engine, *(job.id for job in jobs))
    codes = [(engine.job(job.id).code, engine.job(job.id).reason) for job in jobs]
    assert [code for code, _ in codes] == ["RequestError", "NotInstalled", "RequestError"]
    assert "damaged" in codes[0][1]
    assert engine.worker == "ready"


# the worker alone


@pytest.fixture
def worker(tmp_path):
    """A started worker that is ready."""
    environment = {**protocol.environment(), "FLUX_LOCAL_HOME": str(tmp_path / "home")}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(protocol.command_line("worker"), env=environment, **pipes) as started:
        assert isinstance(protocol.from_worker(started.stdout.readline()), protocol.Ready)
        yield started
        started.kill()


def send(process, *messages):
    process.stdin.write(b"".join(map(protocol.line, messages)))
    process.stdin.flush()


def long_run(folder):
    request = Request("mini", "a beach", width=128, height=128, steps=200)
    return protocol.Run("a", "mini", protocol.raw(request.to_json()), str(folder))


def until_step(process):
    while b'"step"' not in process.stdout.readline():
        assert process.poll() is None


@pytest.mark.sweep
@pytest.mark.parametrize("way", ["quit", "pipe", "term", "nonsense"])
def test_the_worker_ends_within_a_step(worker, tmp_path, way):
    send(worker, long_run(tmp_path))
    until_step(worker)
    if way == "quit":
        send(worker, protocol.Quit())
    elif way == "pipe":
        worker.stdin.close()
    elif way == "term":
        worker.terminate()
    else:
        worker.stdin.write(b"nonsense\n")
        worker.stdin.flush()
    lines = worker.stdout.read().splitlines()
    assert worker.wait(20) == 0
    assert b'"cancelled"' in lines[-1]
    assert not (tmp_path / "result.png").exists()
    said = worker.stderr.read().decode()
    assert ("ProtocolError" in said) == (way == "nonsense")
    assert "Fatal" not in said


def test_a_model_stays_loaded_until_another_one_another_dtype_a_new_installation_or_it_is_let_go(monkeypatch, tmp_path):
    opened, serving = [], Worker(0, None, None)
    monkeypatch.setattr(running, "open_pipeline", lambda folder, dtype: opened.append((folder.name, dtype)) or object())
    monkeypatch.setattr(running, "clear_cache", lambda: None)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.json").write_text("{}")
    asked = [("one", None), ("one", None), ("two", None), ("two", "float32"), ("two", "float32")]
    first, second, *_ = [serving._open(tmp_path / name, dtype) for name, dtype in asked]
    assert first is second
    os.utime(tmp_path / "two" / "model.json", (1, 1))
    serving._open(tmp_path / "two", "float32")
    assert opened == [("one", None), ("two", None), ("two", "float32"), ("two", "float32")]
    serving._unload()
    serving._open(tmp_path / "two", "float32")
    assert len(opened) == 5


def test_a_mac_is_kept_awake_during_a_run_and_not_longer(monkeypatch, tmp_path):
    helper = tmp_path / "caffeinate"
    helper.write_text('#!/bin/sh\necho "$@" > "$0.said"\nexec sleep 60\n')
    helper.chmod(0o755)
    monkeypatch.setattr(running, "CAFFEINATE", str(helper))
    monkeypatch.setattr(sys, "platform", "darwin")
    me = psutil.Process()
    with running.awake():
        [child] = [each for each in me.children() if "caffeinate" in " ".join(each.cmdline()) or each.name() == "sleep"]
        said = helper.with_name("caffeinate.said")
        while not said.exists() or not said.read_text():
            pass
    assert said.read_text().split() == ["-i", "-w", str(os.getpid())]
    assert not child.is_running()


def test_elsewhere_nothing_is_started(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(running.subprocess, "Popen", lambda *a, **k: pytest.fail("started something"))
    with running.awake():
        pass


def test_a_long_step_of_a_model_that_is_read_from_the_disk_ends_between_two_blocks(monkeypatch, tmp_path):
    """Nothing comes out of the run from the cancel to the end of the step."""
    worker, opened = Worker(0, BytesIO(), None), SimpleNamespace()

    def run(pipeline, *_):
        worker._receive(protocol.Cancel("job", "enough"))
        pipeline.between()
        pytest.fail("the step went on")
        yield

    monkeypatch.setattr(running, "open_pipeline", lambda *_: opened)
    monkeypatch.setattr(running, "run_and_save", run)
    request = Request("mini", "a fox", 64, 64)
    worker._job(protocol.Run("job", "mini", protocol.raw(request.to_json()), str(tmp_path / "out")))
    assert b'"cancelled"' in worker.out.getvalue()
    assert b"enough" in worker.out.getvalue()


def test_the_depth_map_of_a_run_ends_between_two_layers(monkeypatch, tmp_path):
    worker = Worker(0, BytesIO(), None)

    def make(request, spec, notes, maps):
        worker._receive(protocol.Cancel("job", "enough"))
        maps._between()
        pytest.fail("the map went on")

    monkeypatch.setattr(depth, "with_maps", make)
    request = Request("mini", "a fox", 64, 64)
    worker._job(protocol.Run("job", "mini", protocol.raw(request.to_json()), str(tmp_path / "out")))
    assert b"enough" in worker.out.getvalue()


def test_a_small_network_runs_in_the_worker_and_is_cancelled_like_a_run(monkeypatch, tmp_path):
    """Its result is a picture that carries its request; nothing is loaded of a model that paints."""
    monkeypatch.setenv("FLUX_LOCAL_HOME", str(tmp_path / "home"))
    helpers.install(find_enlarger(2), make_enlarger(tmp_path / "net", monkeypatch))
    photo = save_picture(np.full((64, 64, 3), 90, np.uint8), tmp_path / "photo.png", None)
    text = protocol.raw(Request("swin2sr-x2", references=(Reference(str(photo)),), enlarge=2).to_json())
    worker = Worker(0, BytesIO(), None)
    worker._job(protocol.Run("quick", "", text, str(tmp_path / "out"), False))
    assert open_picture(tmp_path / "out" / "result.png").shape == (128, 128, 3)
    assert read_request(tmp_path / "out" / "result.png").model == "swin2sr-x2"
    assert (b'"done"' in worker.out.getvalue(), worker._pipeline) == (True, None)
    worker._receive(protocol.Cancel("again", "enough"))
    worker._job(protocol.Run("again", "", text, str(tmp_path / "again"), False))
    assert b"enough" in worker.out.getvalue()
    assert not (tmp_path / "again" / "result.png").exists()
