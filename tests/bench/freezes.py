"""How long the window's event loop stands still, story by story, under Xvfb: python -m tests.bench.freezes

Prints the longest wait between two beats by the clock, the most work of the window's thread between two beats, and of a
process beside it the longest wait and how much slower than alone it worked (the machine's part). None may be over
LIMIT: by the clock where the machine was quiet, else by the work, which says so. Exit code 1 where one is. `--where`
shows what it was at; words choose the stories that have one of them in their name, which then must be able to begin.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.stories import prepare, stories
from tests.window.driver import ROOT, Screen, Window

LIMIT = 100.0  # ms
QUIET = 1.3  # times as long as alone may a process beside it take for its work
BESIDE = """
import select, sys, time
late, slow = [], []
while True:
    start = time.perf_counter()
    asked = select.select([sys.stdin], [], [], 0.15)[0]
    late.append(1000 * (time.perf_counter() - start) - 150)
    start, work = time.perf_counter(), time.thread_time()
    while time.thread_time() - work < 0.03:
        pass
    slow.append((time.perf_counter() - start) / 0.03)
    if asked:
        if not sys.stdin.readline():
            break
        print(max(late), sorted(slow)[len(slow) // 2], flush=True)
        late, slow = [], []
"""


class Control:
    """A process beside the window that waits, and now and then works for 30 ms.

    What it is kept waiting for is the machine. On a busy one a sleeper is woken at once, and only work takes longer.
    """

    def __init__(self) -> None:
        words = [sys.executable, "-c", BESIDE]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def look(self) -> tuple[float, float]:
        """Its longest wait in ms, and how many times as long as alone its work took; since the last look."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        late, slow = self.process.stdout.readline().split()
        return float(late), float(slow)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


def judge(clock: float, work: float, slow: float) -> tuple[bool, str]:
    """Whether a story is good, and by what that was seen."""
    if slow < QUIET or clock <= LIMIT:
        return clock <= LIMIT, ""
    return work <= LIMIT, "judged by work: the machine was busy"


def measure(window: Window, control: Control, name: str, act: Callable[[Window], object], where: bool) -> bool:
    """Drive one story and print its line; whether it is good."""
    control.look()
    if name != "first start":
        window.question("longest_wait")
    failed = try_to(act, window)
    clock, work, places = window.question("longest_wait")
    beside, slow = control.look()
    good, note = judge(clock, work, slow)
    numbers = f"{clock:8.0f}{work:8.0f}{beside:8.0f}{slow:8.1f} x"
    print(f"{name:34}{numbers}   {'' if good else 'TOO LONG '}{note}", flush=True)
    if where and max(clock, work) > LIMIT / 2:
        print("\n".join(f"    {one}" for one in places))
    return good and not failed


def try_to(act: Callable[[Window], object], window: Window) -> bool:
    """Drive a story; whether it could not be driven to its end, which is printed."""
    try:
        act(window)
    except AssertionError as error:
        print(f"    {error}", flush=True)
        window.press("Escape")
        return True
    return False


def main() -> int:
    screen, control, where = Screen(), Control(), "--where" in sys.argv
    named = [word for word in sys.argv[1:] if not word.startswith("-")]
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; ms")
    print(f"{'':34}{'clock':>8}{'work':>8}{'beside':>8}{'slower':>10}")
    with tempfile.TemporaryDirectory() as place:
        prepare(Path(place), Path(place) / "home")
        window = Window(screen, Path(place) / "home")
        try:
            if where:
                window.question("watch")
            told = [story for story in stories(Path(place)) if not named or any(name in story[0] for name in named)]
            good = [measure(window, control, name, act, where) for name, act in told]
            said, start = "" if where else window.said(), time.perf_counter()
        finally:
            window.close()
            control.close()
            screen.close()
        print(f"{'closed after':34}{1000 * (time.perf_counter() - start):8.0f}")
    print(said, end="")
    return 0 if all(good) and not said else 1


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
