"""The real program on a home and a board of somebody else: it starts, shows all pages, takes a drop, and says nothing.

One by one, and many more, these are tried in tests/gui/window/test_strangers.py.
"""

import json
import os
from pathlib import Path

from app.board import commands
from app.board.data import new_board
from app.fluxboard.file import BoardFile
from tests.gui.window.test_strangers import EVIL, LORAS, MODELS, png
from tests.window.driver import middle

LONGEST = 3000.0  # ms of work between two beats of the window: what nobody would call frozen


def fill_home(home: Path) -> None:
    """Settings, models and LoRAs that no program of ours wrote."""
    name = EVIL.replace("/", "")
    for number, content in enumerate(MODELS):
        folder = home / "models" / f"{number}{name}"
        folder.mkdir(parents=True)
        (folder / "model.json").write_bytes(content)
    (home / "loras").mkdir()
    for file, content in LORAS.items():
        (home / "loras" / file).write_bytes(content)
        (home / "loras" / f"{Path(file).stem}.png").write_bytes(png(2**31 - 1, 2**31 - 1))
    os.mkfifo(home / "loras" / "pipe.safetensors")
    said = {"cell": 2**31, "geometry": "A" * 10_000, "recent": ["\0", EVIL], "model": EVIL, "unknown": [[[]]]}
    (home / "settings.json").write_text(json.dumps(said))


def write_board(path: Path) -> Path:
    board = new_board(f"[*]{EVIL}&&")
    first = next(board.panels()).id
    board = commands.set_panel(board, first, prompt=EVIL * 50, action=EVIL, dialogue=EVIL, notes=EVIL)
    with BoardFile.create(path, commands.set_board(board, model=EVIL)) as file:
        return file.path


def test_everything_of_a_stranger_at_once(start, tmp_path):
    fill_home(tmp_path / "home")
    shown = start(write_board(tmp_path / "given"))
    shown.question("longest_wait")
    for key in ("ctrl+2", "ctrl+3", "ctrl+4", "ctrl+5", "ctrl+1"):
        shown.press(key)
    shown.click(middle(shown.panel(0)), times=2)
    shown.wait(lambda: shown.ask("window.open_panel_id()"), "the panel")
    shown.press("Escape", "ctrl+comma")
    shown.wait(lambda: len(shown.question("windows")) > 1, "the settings")
    shown.press("Escape")
    assert shown.question("longest_wait")[1] < LONGEST
    assert not any(mark in title for title in shown.question("windows") for mark in "\x1b\u202e")
    assert not any(mark in one["text"] for one in shown.question("widgets") for mark in "\x1b\u202e"
                   if one["class"] in ("Plain", "OneLine", "entry"))  # fmt: skip
