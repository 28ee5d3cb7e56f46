"""Draws assets/icons/document.icns, the icon of a board in Finder, from document.svg: python -m bundle.icons"""

import os
from pathlib import Path

from PIL import Image

ICONS = Path(__file__).resolve().parents[1] / "assets" / "icons"
SIDE = 1024


def main() -> None:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtGui import QGuiApplication, QImage, QPainter
    from PySide6.QtSvg import QSvgRenderer

    application = QGuiApplication([])
    image = QImage(SIDE, SIDE, QImage.Format.Format_RGBA8888)
    image.fill(0)
    painter = QPainter(image)
    QSvgRenderer(str(ICONS / "document.svg")).render(painter)
    painter.end()
    Image.frombytes("RGBA", (SIDE, SIDE), bytes(image.constBits())).save(ICONS / "document.icns")
    del application


if __name__ == "__main__":
    main()
