"""The engine with a real process: everything that can go wrong there ends one job with its reason, and goes on."""

import inspect
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from app.engine.engine import Engine, Patience
from app.engine.jobs import Job
from app.pictures.images import open_picture, read_request
from mlx_model.errors import Advice
from mlx_model.events import Done, Failed, Step
from mlx_model.request import Request
from tests.app.fake_engine import FakeEngine

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = [sys.executable, str(Path(__file__).with_name("faulty_worker.py"))]
QUICK = Patience(start=20, beat=2.5, cancel=1.0, grace=1.0, restarts=(0.05, 0.05, 0.05))
WAIT = 30_000


@pytest.fixture
def start(qapp, tmp_path, monkeypatch):
    """Makes engines with the scripted worker, and ends them."""
    monkeypatch.setenv("FLUX_LOCAL_HOME", str(tmp_path / "home"))
    made = []

    def make(words=SCRIPT, patience=QUICK):
        made.append(Engine(None, words, patience))
        return made[-1]

    yield make
    for engine in made:
        engine.shutdown()
        engine.deleteLater()


@pytest.fixture(scope="module")
def shared(qapp, tmp_path_factory):
    """One engine for the tests that leave it as they found it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLUX_LOCAL_HOME", str(tmp_path_factory.mktemp("home")))
        engine = Engine(None, SCRIPT, QUICK)
        yield engine
        engine.shutdown()
        engine.deleteLater()


@pytest.fixture
def events(shared):
    """What the shared engine says during a test: (job id, event)."""
    heard = []
    listen = shared.happened.connect(lambda job_id, event: heard.append((job_id, event)))
    yield heard
    shared.happened.disconnect(listen)


@pytest.fixture
def ended(shared):
    """The jobs of the shared engine that end during a test, in order."""
    heard = []
    listen = shared.finished.connect(heard.append)
    yield heard
    shared.finished.disconnect(listen)


def python(code):
    return [sys.executable, "-c", code]


def job(name, prompt="a fox", **options):
    return Job(name, name, Request("mini", prompt=prompt, seed=5, width=64, height=64), "mini", **options)


def run(qtbot, engine, *jobs):
    """Submit and wait until all are over; their states."""
    for each in jobs:
        engine.submit(each)
    over(qtbot, engine, *(each.id for each in jobs))
    return [engine.job(each.id) for each in jobs]


def over(qtbot, engine, *names):
    qtbot.waitUntil(lambda: all(engine.job(name).over for name in names), timeout=WAIT)


def test_a_job_is_done_with_its_picture_and_its_request(qtbot, shared, events):
    [state] = run(qtbot, shared, job("a"))
    assert (state.state, state.seed, state.reason, state.step, state.total) == ("done", 5, "", 4, 4)
    assert open_picture(state.result).shape == (64, 64, 3)
    assert read_request(state.result).prompt == "a fox"
    assert [event.step for _, event in events if isinstance(event, Step)] == [1, 2, 3, 4]
    assert Path(state.preview).is_file()
    assert isinstance(events[-1][1], Done)


def test_jobs_run_in_their_order_in_one_process_once_it_is_not_paused(qtbot, shared, ended):
    names = ["order1", "order2", "order3"]
    run(qtbot, shared, job("order0"))
    pid = shared.worker_pid
    shared.pause()
    for name in names:
        shared.submit(job(name))
    shared.move("order3", 0)
    qtbot.wait(200)
    assert [state.id for state in shared.jobs() if not state.over] == ["order3", "order1", "order2"]
    shared.resume()
    over(qtbot, shared, *names)
    assert ended == ["order0", "order3", "order1", "order2"]
    assert shared.worker_pid == pid


# deaths

BROKEN = {
    "import mlxx": "A part of Flux Local is missing",
    "import os; os.abort()": "SIGABRT",
    "import time; time.sleep(60)": "did not get ready",
}
DEATHS = {
    "abort at load": ("OutOfMemory", "ran out of memory: [METAL] Command buffer execution failed"),
    "abort at step 2": ("OutOfMemory", "Insufficient Memory"),
    "crash at decode": ("WorkerDied", "ended by SIGABRT"),
    "kill at load": ("WorkerDied", "The system ended it"),
    "kill at step 3": ("WorkerDied", "The system ended it"),
    "exit at step 1": ("WorkerDied", "died"),
    "stop at step 2": ("WorkerDied", "stopped answering"),
    "garbage at step 2": ("WorkerDied", "can't be understood"),
    "json at step 2": ("WorkerDied", "can't be understood"),
    "event at step 2": ("WorkerDied", "can't be understood"),
    "endless at step 2": ("WorkerDied", "can't be understood"),
    "half at step 2": ("WorkerDied", "died"),
}


@pytest.mark.first_case
@pytest.mark.parametrize("fault", DEATHS)
def test_a_death_fails_its_job_and_a_fresh_worker_does_the_next(qtbot, shared, events, fault):
    name, (code, reason) = fault.replace(" ", "-"), DEATHS[fault]
    before, broken, after = run(qtbot, shared, job(f"{name}-0"), job(name, fault), job(f"{name}-2"))
    assert (before.state, broken.state, after.state) == ("done", "failed", "done")
    assert broken.code == code
    assert reason in broken.reason
    assert broken.hint
    assert [job_id for job_id, event in events if isinstance(event, Failed)] == [name]
    assert Path(before.result).is_file()


@pytest.mark.parametrize(("fault", "code"), [("fail at step 2", "NotFinite"), ("bug at step 2", "ZeroDivisionError")])
def test_an_error_of_the_run_fails_its_job_and_the_worker_lives(qtbot, shared, fault, code):
    [broken] = run(qtbot, shared, job(f"{code}-1", fault))
    pid = shared.worker_pid
    [fine] = run(qtbot, shared, job(f"{code}-2"))
    assert (broken.state, broken.code, fine.state) == ("failed", code, "done")
    assert shared.worker_pid == pid


def test_what_does_not_fit_is_said_before_it_starts(qtbot, start):
    engine = start([*SCRIPT, "tiny"])
    [state] = run(qtbot, engine, job("a", "crash at load"))
    assert (state.state, state.code) == ("failed", "WillNotFit")
    assert "needs about" in state.reason
    assert state.hint == Advice("choose_smaller_model")
    assert engine.worker == "ready"


def test_what_a_library_prints_goes_to_the_log(qtbot, shared):
    [state] = run(qtbot, shared, job("prints", "print at step 2"))
    assert state.state == "done"
    assert "what a library prints" in shared._process.log.read_text()


@pytest.mark.first_case
@pytest.mark.parametrize("code", BROKEN)
def test_a_worker_that_never_gets_ready_is_tried_four_times(qtbot, start, code):
    states, seconds = [], 0.6 if "sleep" in code else 20
    engine = start(python(code), patience=Patience(start=seconds, grace=0.2, restarts=(0.05, 0.05, 0.05)))
    engine.worker_state.connect(states.append)
    [first] = run(qtbot, engine, job("a"))
    assert (first.state, first.code) == ("failed", "WorkerDied")
    assert BROKEN[code] in first.reason
    assert states.count("starting") == 4
    assert states[-1] == "failed"


def test_a_program_that_is_not_there(qtbot, start):
    engine = start(words=["/nowhere/flux-local", "worker"])
    [state] = run(qtbot, engine, job("a"))
    assert "could not be started" in state.reason


@pytest.mark.sweep
def test_after_giving_up_the_others_wait_and_another_try_helps(qtbot, start):
    engine = start(python("exit(3)"))
    engine.submit(job("a"))
    engine.submit(job("b"))
    qtbot.waitUntil(lambda: engine.worker == "failed", timeout=WAIT)
    assert (engine.job("a").state, engine.job("b").state) == ("failed", "waiting")
    engine._process.words = SCRIPT  # mended
    engine.resume()
    over(qtbot, engine, "b")
    assert engine.job("b").state == "done"


@pytest.mark.sweep
def test_four_crashes_in_a_row_stop_the_queue_and_a_new_job_starts_it(qtbot, start):
    engine = start()
    for name in "abcd":
        engine.submit(job(name, "crash at step 1"))
    engine.submit(job("e"))
    over(qtbot, engine, *"abcd")
    assert engine.worker == "failed"
    qtbot.wait(300)
    assert engine.job("e").state == "waiting"
    run(qtbot, engine, job("f"))
    assert engine.job("e").state == "done"


def test_a_death_without_work_is_mended_by_the_next_job(qtbot, start):
    engine = start()
    run(qtbot, engine, job("a"))
    os.kill(engine.worker_pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: engine.worker == "stopped", timeout=WAIT)
    assert run(qtbot, engine, job("b"))[0].state == "done"


# cancelling


def test_cancel_waiting_and_running(qtbot, start):
    engine, over_ = start(), []
    engine.finished.connect(over_.append)
    engine.submit(job("a", "slow"))
    engine.submit(job("b"))
    engine.submit(job("c"))
    qtbot.waitUntil(lambda: engine.job("a").step == 1, timeout=WAIT)
    engine.cancel("b")
    engine.cancel("a")
    assert engine.job("a").cancelling
    assert engine.job("b").state == "cancelled"
    over(qtbot, engine, "a", "c")
    assert (engine.job("a").state, engine.job("c").state) == ("cancelled", "done")
    assert engine.job("a").step <= 2
    assert over_ == ["b", "a", "c"]


@pytest.mark.sweep
@pytest.mark.parametrize("place", ["load", "step 2", "decode"])
def test_a_step_that_does_not_end_is_cancelled_by_ending_the_worker(qtbot, start, place):
    engine = start()
    engine.submit(job("a", f"linger at {place}"))
    qtbot.waitUntil(lambda: engine.worker == "busy", timeout=WAIT)
    qtbot.wait(300)
    engine.cancel("a")
    engine.submit(job("b"))
    over(qtbot, engine, "a", "b")
    assert (engine.job("a").state, engine.job("b").state) == ("cancelled", "done")


@pytest.mark.sweep
def test_cancel_storm(qtbot, start):
    engine, over_ = start(), []
    engine.finished.connect(over_.append)
    for number in range(100):
        engine.submit(job(f"j{number}", "slow"))
        engine.cancel(f"j{number}")
        if number % 3:
            qtbot.wait(5)
    assert run(qtbot, engine, job("last"))[0].state == "done"
    assert sorted(over_) == sorted([f"j{number}" for number in range(100)] + ["last"])
    assert engine._queue.running is None


def test_cancel_all(qtbot, start):
    engine = start()
    for name in "abc":
        engine.submit(job(name, "slow"))
    qtbot.waitUntil(lambda: engine.job("a").state == "running", timeout=WAIT)
    engine.cancel_all()
    engine.cancel_all()
    over(qtbot, engine, *"abc")
    assert {engine.job(name).state for name in "abc"} == {"cancelled"}


@pytest.mark.sweep
def test_in_live_mode_the_latest_wins(qtbot, start):
    engine = start()
    engine.submit(job("batch", "slow"))
    engine.submit(job("other"))
    over_ = []
    engine.finished.connect(over_.append)
    for number in range(20):
        engine.submit(job(f"live{number}", "slow", slot="panel"))
        qtbot.wait(20)
    over(qtbot, engine, "live19", "batch", "other")
    assert engine.job("live19").state == "done"
    assert all(engine.job(f"live{number}").state == "cancelled" for number in range(19))
    assert "newer" in engine.job("live3").reason
    assert over_.index("live19") < over_.index("other")


def test_in_live_mode_a_running_job_is_replaced_too(qtbot, start):
    engine = start()
    engine.submit(job("one", "slow", slot="panel"))
    qtbot.waitUntil(lambda: engine.job("one").step == 1, timeout=WAIT)
    [two] = run(qtbot, engine, job("two", slot="panel"))
    assert two.state == "done"
    assert (engine.job("one").state, engine.job("one").reason) == ("cancelled", "Replaced by a newer one.")


def test_what_leaves_its_slot_is_replaced_by_no_newer_one(start):
    engine = start()
    engine.pause()
    for name in ("one", "two"):
        engine.submit(job(name, slot="panel"))
    engine.release("two")
    engine.release("one")  # is over already
    engine.submit(job("three", slot="panel"))
    assert [(one.id, one.job.slot) for one in engine.jobs() if not one.over] == [("three", "panel"), ("two", None)]
    assert engine.job("one").job.slot == "panel"


def test_ids_are_used_once_and_are_names(start):
    engine = start()
    engine.pause()
    engine.submit(job("a"))
    for bad in ("a", "../a", ""):
        with pytest.raises(ValueError, match=r"twice|no id"):
            engine.submit(job(bad))


# ending


def test_shutdown_ends_the_worker_cancels_jobs_and_removes_their_files(qtbot, start):
    engine, over_ = start(), []
    engine.finished.connect(over_.append)
    run(qtbot, engine, job("done"))
    engine.submit(job("a", "slow"))
    engine.submit(job("b"))
    qtbot.waitUntil(lambda: engine.job("a").step == 1, timeout=WAIT)
    pid, folder = engine.worker_pid, engine._folder
    assert folder.is_dir()
    engine.shutdown()
    assert not psutil.pid_exists(pid)
    assert not folder.exists()
    assert over_ == ["done", "a", "b"]
    assert engine.worker == "stopped"


@pytest.mark.first_case
@pytest.mark.parametrize("fault", ["linger at step 2", "stop at step 2"])
def test_shutdown_does_not_wait_for_ever(qtbot, start, fault):
    engine = start()
    engine.submit(job("a", fault))
    qtbot.waitUntil(lambda: engine.job("a").step == 1, timeout=WAIT)
    pid = engine.worker_pid
    engine.shutdown()
    assert not psutil.pid_exists(pid)


@pytest.mark.sweep
def test_the_worker_ends_with_the_window_s_process(tmp_path):
    """Killed, the window closes nothing; the end of the pipe must be enough."""
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}]\n"
        "from PySide6.QtCore import QCoreApplication\n"
        "from app.engine.engine import Engine\n"
        "from tests.app.engine.test_engine import SCRIPT, job\n"
        "app = QCoreApplication([])\n"
        "engine = Engine(None, SCRIPT)\n"
        "engine.happened.connect(lambda *_: (print(engine.worker_pid, flush=True)))\n"
        "engine.submit(job('a', 'slow'))\n"
        "app.exec()\n"
    )
    environment = {**os.environ, "FLUX_LOCAL_HOME": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as window:
        worker = psutil.Process(int(window.stdout.readline()))
        window.kill()
    worker.wait(10)


def test_the_window_s_side_never_loads_mlx():
    code = (
        "import sys, app.engine.engine, app.board.panel_job, app.models.library; "
        "print([m for m in sys.modules if m.split('.')[0] == 'mlx'])"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_scripted_engine_has_the_interface_of_the_real_one(qapp):
    real = {name for name in vars(Engine) if not name.startswith("_")}
    fake = {name for name in dir(FakeEngine()) if not name.startswith("_")}
    assert real - fake == set()
    for name in real:
        if inspect.isfunction(vars(Engine)[name]):
            signatures = [inspect.signature(getattr(kind, name)).parameters for kind in (FakeEngine, Engine)]
            assert list(signatures[0]) == list(signatures[1])
