"""What the machine does to a run: a graphics chip that fails, memory and disks that run out, sleep: one job is lost."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from app.engine import protocol
from app.engine.engine import Engine
from app.engine.jobs import Job
from mlx_model.errors import GpuFailed, OutOfMemory, tell_device
from mlx_model.request import Request
from tests.app.engine.test_engine import QUICK, ROOT, job, over, run, shared, start  # noqa: F401

GPU = {
    "gpu timeout": ("GpuFailed", "took too long over one piece of work", "smaller size"),
    "gpu memory": ("OutOfMemory", "ran out of memory", "smaller size"),
    "gpu screen": ("GpuFailed", "held up the screen", "smaller size"),
    "gpu victim": ("GpuFailed", "stopped after a fault", "restart"),
    "gpu ignored": ("GpuFailed", "stopped after a fault", "restart"),
    "gpu hang": ("GpuFailed", "reported a fault", "restart"),
    "gpu address": ("GpuFailed", "reported a fault", "restart"),
}


@pytest.mark.first_case
@pytest.mark.parametrize("fault", GPU)
def test_a_chip_that_fails_kills_the_worker_and_costs_its_job(qtbot, shared, fault):  # noqa: F811
    name, (code, words, hint) = fault.replace(" ", "-"), GPU[fault]
    broken, after = run(qtbot, shared, job(name, f"{fault} at step 2"), job(f"{name}-2"))
    assert (broken.state, after.state) == ("failed", "done")
    assert broken.code == code
    assert words in broken.reason
    assert hint in broken.hint


TOLD = {
    "[METAL] Command buffer execution failed: Caused GPU Timeout Error (00000002:"
    "kIOGPUCommandBufferCallbackErrorTimeout)": GpuFailed,
    "[metal::malloc] Attempting to allocate 99 bytes which is greater than the maximum": OutOfMemory,
    "[malloc_or_wait] Unable to allocate 17179869184 bytes.": OutOfMemory,
    "std::bad_alloc": OutOfMemory,
    "[METAL] Command buffer execution failed: something new": GpuFailed,
}


@pytest.mark.parametrize("text", TOLD)
def test_what_mlx_says_in_the_process_itself_is_told_as_well(text):
    assert type(tell_device(text)) is TOLD[text]


def test_what_is_about_neither_stays_what_it_is():
    assert tell_device("[matmul] Last dimension of first input with shape (2,3) must match") is None


WINDOW = f"""
import sys; sys.path[:0] = [{str(ROOT)!r}]
from PySide6.QtCore import QCoreApplication
from app.engine.engine import Engine
from tests.app.engine.test_engine import QUICK, SCRIPT, job
app = QCoreApplication([])
engine = Engine(None, SCRIPT, QUICK)
def hear(job_id, event):
    print(type(event).__name__, engine.worker_pid, flush=True)
engine.happened.connect(hear)
engine.finished.connect(lambda name: (print(engine.job(name).state, engine.job(name).reason, flush=True), app.quit()))
engine.submit(job("a", "slow"))
app.exec()
engine.shutdown()
"""


@pytest.mark.sweep
@pytest.mark.parametrize("first", ["window", "worker"])
def test_a_run_goes_on_after_the_machine_slept(tmp_path, first):
    """Longer than the patience with a silent worker; whoever wakes first."""
    environment = {**os.environ, "FLUX_LOCAL_HOME": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", WINDOW], stdout=subprocess.PIPE, env=environment, text=True) as window:
        while not (line := window.stdout.readline()).startswith("Step"):
            assert line
        worker = psutil.Process(int(line.split()[1]))
        both = [psutil.Process(window.pid), worker]
        for one in both:
            one.suspend()
        time.sleep(2 * QUICK.beat)
        for one in both if first == "window" else both[::-1]:
            one.resume()
            time.sleep(0.7)
        assert window.communicate(timeout=60)[0].splitlines()[-1].startswith("done")


def test_a_folder_for_results_that_can_not_be_made_fails_its_job_in_words(qtbot, start, tmp_path):  # noqa: F811
    engine = start()
    place, engine._folder = engine._folder, tmp_path / "file" / "jobs"
    (tmp_path / "file").write_text("in the way")
    broken = run(qtbot, engine, job("a"))[0]
    assert (broken.state, broken.code) == ("failed", "RequestError")
    assert "can't be used" in broken.reason
    engine._folder = place
    assert run(qtbot, engine, job("b"))[0].state == "done"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
def test_a_full_disk_for_results_fails_its_job_in_words(qtbot, start, tmp_path):  # noqa: F811
    from tests.hostile.faults.disks import small_disk

    engine = start()
    (tmp_path / "small").mkdir()
    with small_disk(tmp_path / "small", 16) as mounted:
        if not mounted:
            pytest.skip("no disk can be mounted here")
        place, engine._folder = engine._folder, tmp_path / "small" / "jobs"
        with pytest.raises(OSError, match="No space"):
            (tmp_path / "small" / "ballast").write_bytes(bytes(20_000))
        broken = run(qtbot, engine, job("a"))[0]
        assert (broken.state, broken.code) == ("failed", "DiskFull"), broken.reason
        assert "Errno" not in broken.reason
        engine._folder = place
    assert run(qtbot, engine, job("b"))[0].state == "done"


@pytest.mark.sweep
def test_without_room_for_a_log_the_run_goes_on(qtbot, start, tmp_path, monkeypatch):  # noqa: F811
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FLUX_LOCAL_HOME", str(tmp_path / "file"))
    engine = start()
    first, broken, last = run(qtbot, engine, job("a"), job("b", "garbage at step 2"), job("c"))
    assert (first.state, broken.state, last.state) == ("done", "failed", "done")


@pytest.mark.sweep
@pytest.mark.skipif(
    not hasattr(psutil.Process, "rlimit"), reason="the limit of another process can be set on Linux only"
)
def test_memory_that_runs_out_during_a_run_costs_its_job(qtbot, start):  # noqa: F811
    """The real worker with MLX, which gets no more memory from the system in the middle of the work."""
    engine = start(protocol.command_line("worker"))
    assert run(qtbot, engine, job("a"))[0].state == "done"
    worker = psutil.Process(engine.worker_pid)
    limit = worker.memory_info().vms + 2**20
    worker.rlimit(psutil.RLIMIT_AS, (limit, psutil.RLIM_INFINITY))
    request = Request("mini", prompt="a fox", seed=5, width=256, height=256, steps=1)
    engine.submit(Job("b", "b", request, "mini", anyway=True))
    over(qtbot, engine, "b")
    assert engine.job("b").state == "failed"
    assert engine.job("b").code in ("OutOfMemory", "WorkerDied"), engine.job("b").reason
    assert engine.job("b").hint
    if worker.is_running():
        worker.rlimit(psutil.RLIMIT_AS, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
    assert run(qtbot, engine, job("c"))[0].state == "done"


def test_a_worker_that_the_system_ended_is_told_as_that(qtbot, shared):  # noqa: F811
    """As it does on macOS and Linux when memory runs out."""
    [state] = run(qtbot, shared, job("jettisoned", "kill at step 1"))
    assert "The system ended it" in state.reason
    assert signal.SIGKILL.name not in state.reason
    assert isinstance(shared, Engine)
