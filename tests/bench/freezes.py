"""How long the window's event loop stands still, story by story, under Xvfb: python -m tests.bench.freezes

Prints the longest wait between two beats by the clock, the most work of the window's thread between two beats, and of a
process beside it the longest wait and how much slower than alone it worked (the machine's part). None may be over
LIMIT: by the clock where the machine was quiet, else by the work, which says so. Exit code 1 where one is. `--where`
shows what it was at.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tests.bench.window import large_board
from tests.window.driver import ROOT, Screen, Window, middle

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


def drop(path: str) -> None:
    """In the program: a file is dropped on the board, as a file manager does."""
    from PySide6.QtCore import QMimeData, QPointF, Qt, QTimer, QUrl
    from PySide6.QtGui import QDropEvent
    from PySide6.QtWidgets import QApplication

    window = next(top for top in QApplication.topLevelWidgets() if type(top).__name__ == "MainWindow")
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(path)])
    flags = Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    drop.event = QDropEvent(QPointF(200, 200), *flags)  # type: ignore[attr-defined]  # until it was handled
    drop.mime = mime  # type: ignore[attr-defined]
    QTimer.singleShot(0, lambda: window.pages["board"].grid.dropEvent(drop.event))


def drop_and_wait(window: Window, path: Path) -> None:
    before = window.ask("len(list(board.panels()))")
    window.ask(f"__import__('tests.bench.freezes', fromlist=['drop']).drop({str(path)!r})")
    window.wait(lambda: window.ask("len(list(board.panels()))") > before, "the picture to be on the board", 120)
    time.sleep(1)


def open_typed(window: Window, path: Path) -> None:
    window.press("ctrl+o")
    window.wait(lambda: len(window.question("windows")) > 1, "the dialog")
    window.type(str(path))
    window.press("Return")
    window.wait(lambda: window.ask("str(document.file.path)") == str(path), "the board")
    time.sleep(1)


def open_panel(window: Window) -> None:
    window.press("Home")
    window.click(middle(window.panel(0)), times=2)
    window.wait(lambda: window.ask("window.pages['panel'].isVisible()"), "the panel")
    time.sleep(0.5)


def change_theme(window: Window) -> None:
    window.press("ctrl+comma")
    window.wait(lambda: len(window.question("windows")) > 1, "the settings")
    window.click(window.find_at("Appearance", "ChoiceField"))
    window.press("Down", "Return")
    time.sleep(0.5)
    window.press("Escape")
    time.sleep(0.5)


def scroll(window: Window) -> None:
    window.press("ctrl+1")
    window.hands("mousemove", 700, 500)
    for _ in range(30):
        window.hands("click", "--repeat", 10, "--delay", 15, 5)
    time.sleep(0.5)


def render(window: Window) -> None:
    window.press("ctrl+1")
    window.click(middle(window.panel(0)))
    takes = "len(next(board.panels()).takes)"
    before = window.ask(takes)
    window.press("ctrl+r")
    window.wait(lambda: window.ask(takes) > before, "the picture", 300)
    time.sleep(0.5)


def export(window: Window) -> None:
    window.press("ctrl+e")
    window.wait(lambda: "Export" in window.question("windows"), "the export dialog")
    window.press("Return")
    window.wait(lambda: len(window.question("windows")) > 1 and "Export" not in window.question("windows"), "where to")
    window.press("ctrl+a")
    window.type(str(window.home / "out.pdf"))
    window.press("Return")
    window.wait(lambda: window.shows("Exported "), "the PDF", 120)


def stories(folder: Path) -> Iterator[tuple[str, Callable[[Window], object]]]:
    """In the order in which they are driven, on one program that starts for the first time."""
    photo, large = folder / "photo.jpg", folder / "large.jpg"
    small = Image.fromarray(np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8))
    for path, size in ((photo, (4000, 3000)), (large, (8000, 6000))):
        small.resize(size, Image.Resampling.BICUBIC).save(path, quality=85)
    board = large_board(folder)
    yield "first start", lambda window: time.sleep(2)
    yield "first panel of a session", open_panel
    yield "theme", change_theme
    yield "cast", lambda window: window.press("ctrl+2")
    yield "models", lambda window: window.press("ctrl+3")
    yield "queue", lambda window: window.press("ctrl+4")
    yield "back to the board", lambda window: window.press("ctrl+1")
    yield "photo of 12 megapixels dropped", lambda window: drop_and_wait(window, photo)
    yield "JPEG of 8000x6000 dropped", lambda window: drop_and_wait(window, large)
    yield "render", render
    yield "export", export
    yield "open 1,000 panels", lambda window: open_typed(window, board)
    yield "scroll 1,000 panels", scroll
    yield "panel of the large board", open_panel


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
    act(window)
    clock, work, places = window.question("longest_wait")
    beside, slow = control.look()
    good, note = judge(clock, work, slow)
    numbers = f"{clock:8.0f}{work:8.0f}{beside:8.0f}{slow:8.1f} x"
    print(f"{name:34}{numbers}   {'' if good else 'TOO LONG '}{note}", flush=True)
    if where and max(clock, work) > LIMIT / 2:
        print("\n".join(f"    {one}" for one in places))
    return good


def main() -> int:
    screen, control, where = Screen(), Control(), "--where" in sys.argv
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; ms")
    print(f"{'':34}{'clock':>8}{'work':>8}{'beside':>8}{'slower':>10}")
    with tempfile.TemporaryDirectory() as place:
        window = Window(screen, Path(place) / "home")
        try:
            if where:
                window.question("watch")
            good = [measure(window, control, name, act, where) for name, act in stories(Path(place))]
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
