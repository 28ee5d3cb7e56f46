"""How long a brush move, its release and a repaint of the panel view's canvas take: python -m tests.bench.canvas."""

import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QPointF
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QApplication

from app.gui.canvas import mask as masks
from app.gui.canvas.canvas import Canvas

SIDES, MOVES = (1024, 2048, 4096), 60


def seconds(act: Callable[[], object]) -> float:
    """How long `act` took."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def measure(app: QApplication, side: int) -> tuple[float, float, float]:
    """Seconds of a move (median), of the release and of a full repaint, with a brush of a tenth of the picture."""
    canvas, picture = Canvas(), QPixmap(side, side)
    picture.fill("red")
    canvas.resize(924, 640)
    canvas.show()
    canvas.set_picture(picture, side, side)
    canvas.painter.load(masks.blank((side, side)))
    canvas.painter.radius = side / 20
    canvas.set_masking(True)
    canvas.painter.begin(QPointF(0.2 * side, 0.5 * side))

    def move(step: int) -> None:
        canvas.painter.move(QPointF((0.2 + 0.01 * step) * side, 0.5 * side))
        app.processEvents()

    moves = [seconds(lambda step=step: move(step)) for step in range(MOVES)]
    return statistics.median(moves), seconds(canvas.painter.finish), seconds(canvas.repaint)


def main() -> None:
    app = QApplication.instance() or QApplication([])
    for side in SIDES:
        move, release, repaint = (1000 * value for value in measure(app, side))
        print(f"{side} x {side}: a move {move:.1f} ms, the release {release:.1f} ms, a full repaint {repaint:.1f} ms")


if __name__ == "__main__":
    main()
