"""Several processes that mlx.launch has started for a test."""

import subprocess
import time
from collections.abc import Callable

import psutil

PATIENCE = 60  # seconds


def lose_one(launcher: subprocess.Popen, is_under_way: Callable[[], bool]) -> None:
    """Kill one process of the launcher's once they work: the others end, with the reason and without a traceback."""
    while not is_under_way():
        assert launcher.poll() is None
        time.sleep(0.2)
    ranks = psutil.Process(launcher.pid).children(recursive=True)
    ranks[-1].kill()
    said, _ = launcher.communicate(timeout=PATIENCE)
    assert "exited with code -9" in said
    assert "Cancelled" not in said, "nobody did"
    assert "Traceback" not in said
    assert not psutil.wait_procs(ranks, timeout=10)[1]
