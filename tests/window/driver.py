"""Drives the real program: a screen of its own (Xvfb), a window manager, keys and mouse by xdotool."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("Xvfb", "openbox", "xdotool")
PATIENCE = 30.0  # seconds for something to come true on a busy machine
LOST = 1.0  # seconds: a window that goes with the press takes the release along


class Screen:
    """An X server with a window manager."""

    def __init__(self, size: tuple[int, int] = (1280, 800)):
        read, write = os.pipe()
        self.size = size
        form = f"{size[0]}x{size[1]}x24"
        self.server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", form, "-nolisten", "tcp", "-r"],  # no key repeats itself
            pass_fds=(write,), stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(write)
        with os.fdopen(read) as numbers:
            self.name = f":{numbers.readline().strip()}"
        self.environment = {**os.environ, "DISPLAY": self.name, "QT_QPA_PLATFORM": "xcb"}
        self.manager = subprocess.Popen(
            ["openbox"], env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def close(self) -> None:
        for process in (self.manager, self.server):
            process.terminate()
            process.wait(10)


class Window:
    """The running program. `home` is its FLUX_LOCAL_HOME, new and empty unless given."""

    def __init__(self, screen: Screen, home: Path, board: Path | None = None):
        self.screen, self.home = screen, home
        self.log = home / "stderr.txt"
        home.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp())
        self._socket = folder / "probe"
        environment = {
            **screen.environment, "FLUX_LOCAL_HOME": str(home), "HOME": str(home), "XDG_RUNTIME_DIR": str(folder),
            "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "QT_LOGGING_RULES": "qt.qpa.*=false",
        }  # fmt: skip
        words = [sys.executable, "-P", "-m", "tests.window.probe", str(self._socket), *([str(board)] if board else [])]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(words, env=environment, cwd=ROOT, stderr=log, stdout=log)
        try:
            self.wait(self._connect, "the window to come up")
            self.wait(lambda: self.ask("document is not None and window.isActiveWindow()"), "a board to be open")
            self.began = self.ask("[name for name, button in window.places.items() if button.isChecked()]")
            self.ask("window.go('board')")  # the first run begins on Home
        except BaseException:
            self.process.kill()  # nobody gets to know it: it would stand on the screen of all tests after it
            self.process.wait()
            raise

    def _connect(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the program ended by itself: {self.said()}")
        try:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(self._socket))
        except OSError:
            connection.close()
            return False
        self._connection, self._stream = connection, connection.makefile("rw")
        return True

    # What can be seen

    def question(self, name: str, *arguments: Any) -> Any:
        self._stream.write(json.dumps([name, arguments]) + "\n")
        self._stream.flush()
        answer = json.loads(self._stream.readline() or '{"error": "the program ended"}')
        if "error" in answer:
            raise AssertionError(f"{answer['error']}\n{self.said()}")
        return answer["value"]

    def ask(self, code: str) -> Any:
        """The value of an expression in the program (tests/window/probe.py)."""
        return self.question("ask", code)

    def find(self, name: str, kind: str = "") -> dict[str, Any]:
        """The one visible thing that is called `name`, or shows these words. The last one found is on top."""
        self.wait(lambda: self._found(name, kind), f"{name!r} to be shown")
        return self._found(name, kind)[-1]

    def find_at(self, name: str, kind: str = "") -> tuple[int, int]:
        """The middle of it."""
        return middle(self.find(name, kind)["rect"])

    def _found(self, name: str, kind: str) -> list[dict[str, Any]]:
        seen = self.question("widgets")
        exact = [w for w in seen if name in (w["name"], w["text"]) and kind in w["class"]]
        return exact or [w for w in seen if name in w["text"] and kind in w["class"]]

    def shows(self, words: str) -> bool:
        return bool(self._found(words, ""))

    def wait(self, true: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
        """Until `true()` is; fails after `seconds`."""
        end = time.monotonic() + seconds
        while not (value := true()):
            assert time.monotonic() < end, f"waited in vain for {what}; it shows {self._words()}\n{self.said()}"
            time.sleep(0.05)
        return value

    def _words(self) -> list[str]:
        return [w["text"] or w["name"] for w in self.question("widgets")] if hasattr(self, "_stream") else []

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def picture(self, path: Path) -> None:
        """What is on the screen, as a PNG."""
        assert self.ask(f"window.screen().grabWindow(0).save({str(path)!r})")

    def panel(self, number: int) -> list[int]:
        """The rectangle of a panel of the board (counted from 0) on the screen."""
        return self.ask(
            "(lambda rect: place(grid.viewport(), rect))(grid.visualRect(grid.model().index("
            f"grid.model().row_of([one.id for one in board.panels()][{number}]), 0)))"
        )

    def order(self) -> list[str]:
        """The captions of the board's panels."""
        return self.ask("[panel.words or panel.dialogue or panel.action or panel.id for panel in board.panels()]")

    def selected(self) -> list[int]:
        """Which panels are selected, counted from 0."""
        return self.ask("[i for i, panel in enumerate(board.panels()) if panel.id in grid.list_selected()]")

    # Hands

    def hands(self, *words: str | int) -> None:
        """What xdotool does, until the window has acted on it: also a busy one, whose events wait."""
        before, ends = self.question("heard"), count_ends([str(word) for word in words])
        self._xdotool(*words)
        until = time.monotonic() + LOST
        while self.question("heard") < before + ends and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.05)
        self.question("focus")

    def _xdotool(self, *words: str | int) -> None:
        subprocess.run(["xdotool", *map(str, words)], env=self.screen.environment, check=True)

    def press(self, *keys: str) -> None:
        """Such as ctrl+e, Return, shift+Right."""
        for key in keys:
            self.hands("key", "--clearmodifiers", key)

    def leave(self, *words: str | int) -> None:
        """Do with xdotool what ends the program, and see it end."""
        self._xdotool(*words)
        self.wait(lambda: self.process.poll() is not None, "the end")

    def type(self, text: str) -> None:
        self.hands("type", "--clearmodifiers", "--delay", 15, text)

    def tab_to(self, name: str, most: int = 90) -> None:
        """Tab until that has the keys."""
        for _ in range(most):
            if (self.question("focus") or {}).get("name") == name:
                return
            self.press("Tab")
        raise AssertionError(f"Tab does not come to {name!r}")

    def answer(self, path: Path) -> None:
        """Type a path into Qt's file dialog; Return. On a busy machine the list of completions takes the first one."""
        before = self._standing()
        self.press("ctrl+a")
        self.type(str(path))
        self.press("Return")
        time.sleep(0.5)
        if self._standing() == before:
            self.press("Return")

    def _standing(self) -> tuple[list[str], str]:
        """Which windows there are, and what has the keys."""
        return self.question("windows"), (self.question("focus") or {}).get("name", "")

    def click(self, where: str | tuple[int, int], button: int = 1, times: int = 1, keys: str = "") -> None:
        """On a thing by its name, or at a point of the screen; `keys` are held meanwhile."""
        x, y = where if isinstance(where, tuple) else self.find_at(where)
        held = (["keydown", keys], ["keyup", keys]) if keys else ([], [])
        self.hands("mousemove", x, y, *held[0], "click", "--repeat", times, "--delay", 60, button, *held[1])

    def choose(self, text: str) -> None:
        """An entry of the menu bar, by mouse."""
        title = self.ask(
            f"[m.text() for m in window.menuBar().actions() if {text!r} in [a.text() for a in m.menu().actions()]][0]"
        )
        self.click(self.find_at(title.replace("&", ""), "entry"))
        self.click(self.find_at(text.replace("&", ""), "entry"))

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """With the left button, in steps as a hand moves."""
        self.hands("mousemove", *start, "mousedown", 1)
        for i in range(1, 11):
            x, y = (round(a + (b - a) * i / 10) for a, b in zip(start, end, strict=True))
            self.hands("mousemove", x, y)
        self.hands("mouseup", 1)

    def close(self) -> None:
        """Quit as a person does; end what does not go by itself."""
        if self.process.poll() is None:
            self._xdotool("key", "--clearmodifiers", "ctrl+q")
        for end in (self.process.terminate, self.process.kill):
            try:
                self.process.wait(10)
                break
            except subprocess.TimeoutExpired:
                end()
        self.process.wait()
        self._stream.close()
        self._connection.close()
        shutil.rmtree(self._socket.parent, ignore_errors=True)


def count_ends(words: list[str]) -> int:
    """How many keys and buttons xdotool lets go, at least: of text one for each letter, of drags the last."""
    if "key" in words:
        return len(words[-1].split("+"))
    if "type" in words:
        return len(words[-1])
    repeat = words.index("--repeat") + 1 if "--repeat" in words else None
    return int(words[repeat]) if repeat else sum(word in ("click", "mouseup") for word in words)


def middle(rect: list[int]) -> tuple[int, int]:
    x, y, width, height = rect
    return x + width // 2, y + height // 2
