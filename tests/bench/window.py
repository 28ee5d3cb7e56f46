"""Cold start of the window, and frame times of scrolling 1,000 panels: python -m tests.bench.window [runs]

Cold: a new process each time, from its start until the board is painted, first run (sample) and later runs. Frames are
painted offscreen, so they say what the program takes, not what a screen adds.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PANELS, PICTURES = 1000, 60
OPEN = """
import sys, time
start = float(sys.argv[1])
from app.gui.window.start import Application, open_window
app = Application([])
window = open_window(app)
window.session.stand_by()
app.processEvents()
window.grab()
print(time.time() - start, time.process_time(), "mlx" in sys.modules, flush=True)
window.session.close()
"""


def cold(runs: int) -> None:
    """Print the seconds of a first run and of later runs."""
    first, later = [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as home:
            first.append(started(home))
            later.append(started(home))
    for name, times in (("first run, on the sample board", first), ("later, on the last board", later)):
        wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"{name:34} median {wall:.2f} s, {min(t[0] for t in times):.2f} at best; {cpu:.2f} s of processor time")


def started(home: str) -> tuple[float, float]:
    environment = {**os.environ, "FLUX_LOCAL_HOME": home, "HOME": home, "QT_QPA_PLATFORM": "offscreen"}
    command = [sys.executable, "-c", OPEN, str(time.time())]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    wall, cpu, mlx = done.stdout.split()
    assert mlx == "False", "the window loaded mlx"
    return float(wall), float(cpu)


def scrolling() -> None:
    """Print the frame times of scrolling through a board of 1,000 panels with pictures."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtWidgets import QApplication

    from app.gui.kit.theme import theme
    from app.gui.window.main_window import MainWindow
    from app.gui.window.session import Session
    from tests.app.fake_engine import FakeEngine

    with tempfile.TemporaryDirectory() as home:
        os.environ["FLUX_LOCAL_HOME"] = home
        app = QApplication.instance() or QApplication([])
        theme.apply("dark")
        session = Session(FakeEngine())
        window = MainWindow(session)
        window.resize(1280, 800)
        window.show()
        session.open_named(str(large_board(Path(home))))
        grid = window.board.grid
        for name in ("first pass, decoding", "second pass"):
            frames = pass_over(app, grid)
            for what, times in zip(("wall", "processor"), zip(*frames, strict=True), strict=True):
                late, most = sum(frame > 0.016 for frame in times), sorted(times)[int(0.95 * len(times))]
                middle = 1000 * statistics.median(times)
                words = f"{len(times)} frames, median {middle:.1f} ms, 95 % {1000 * most:.1f} ms, over 16 ms: {late}"
                print(f"{name:24} {what:9} {words}")
        session.close()


def pass_over(app, grid) -> list[tuple[float, float]]:
    """Scroll from the top to the end, 60 pixels a frame; (seconds, seconds of this thread's work) of each frame."""
    bar, frames = grid.verticalScrollBar(), []
    for value in range(0, bar.maximum(), 60):
        start, work = time.perf_counter(), time.thread_time()
        bar.setValue(value)
        grid.viewport().repaint()
        app.processEvents()
        frames.append((time.perf_counter() - start, time.thread_time() - work))
    return frames


def large_board(folder: Path) -> Path:
    """A package of 1,000 panels in 20 scenes that share 60 pictures of 1024x576."""
    import numpy as np
    from msgspec.structs import replace

    from app.board.data import Panel, Scene, Take, new_board, new_id
    from app.fluxboard.file import BoardFile

    with BoardFile.create(folder / "large", new_board("Large")) as file:
        random, pictures = np.random.default_rng(0), []
        for _ in range(PICTURES):
            small = random.integers(0, 255, (9, 16, 3), dtype=np.uint8)
            pictures.append(file.put_picture(np.kron(small, np.ones((64, 64, 1), np.uint8))))
        scenes = []
        for scene in range(20):
            panels = []
            for place in range(PANELS // 20):
                take = Take(new_id(), pictures[(scene * 50 + place) % PICTURES], "", "", "2026-01-01T00:00:00", 0)
                words = f"Something happens here, number {place}, and it takes two lines to say what it is."
                panels.append(Panel(new_id(), "a gull at the beach", action=words, takes=(take,), current=take.id))
            scenes.append(Scene(new_id(), f"INT. PLACE {scene} - DAY", tuple(panels)))
        file.save(replace(file.board, scenes=tuple(scenes)))
        return file.path


if __name__ == "__main__":
    cold(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    scrolling()
