"""Makes the guide's pictures from the real window: python -m tests.guide [--only takes] [--out FOLDER]

Every picture of docs/guide is taken here, by keys and mouse on a screen of its own, with what the built-in model draws;
seeds are drawn from a fixed one, so that the same program makes the same pictures. Needs Xvfb, openbox and xdotool.
"""

import argparse
import io
import os
import tempfile
import time
from pathlib import Path

from PIL import Image

from tests.guide.scenes import SCENES
from tests.window.driver import ROOT, Screen, Window
from tests.window.probe import STEADY

OUT = ROOT / "docs" / "guide" / "pictures"
SIZE = (1280, 800)
QUALITY = 80  # of WebP: letters stay sharp
STILL = 20.0  # seconds for a picture to come to rest


class Film:
    """Where the pictures of one scene go. `folder` is for what the scene needs on the disk."""

    def __init__(self, screen: Screen, folder: Path, out: Path):
        self.screen, self.folder, self.out, self.windows = screen, folder, out, []

    def start(self, board: Path | None = None) -> Window:
        """The program as it starts for the first time, without the pointer in the way."""
        self.windows.append(Window(self.screen, self.folder / "home", board))
        return self.windows[-1]

    def shoot(self, name: str) -> None:
        """The whole window, once nothing in it moves any more."""
        window = self.windows[-1]
        window.hands("mousemove", SIZE[0] - 1, SIZE[1] - 1)
        seen, end = b"", time.monotonic() + STILL
        while (now := self._grab(window)) != seen and time.monotonic() < end:
            seen = now
            time.sleep(0.4)
        self.keep(name, Image.open(io.BytesIO(now)))

    def _grab(self, window: Window) -> bytes:
        path = self.folder / "screen.png"
        window.picture(path)
        return path.read_bytes()

    def keep(self, name: str, picture: Image.Image) -> None:
        path = self.out / f"{name}.webp"
        picture.convert("RGB").save(path, quality=QUALITY, method=6)
        print(f"{path}  {path.stat().st_size // 1000} kB", flush=True)

    def close(self) -> None:
        for window in self.windows:
            window.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--only", default="", help="the name of one scene")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    os.environ[STEADY] = "1"
    screen = Screen(SIZE)
    try:
        for name, scene in SCENES.items():
            if arguments.only in ("", name):
                take_pictures(scene, screen, arguments.out)
    finally:
        screen.close()


def take_pictures(scene, screen: Screen, out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        film = Film(screen, Path(folder), out)
        try:
            scene(film)
        finally:
            film.close()


if __name__ == "__main__":
    main()
