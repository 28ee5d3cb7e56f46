"""What a large board costs the window: python -m tests.bench.board_speed [PANELS]."""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from app.board import commands
from app.board.data import Board, Panel, PanelReference, Picture, Scene, Take, new_id
from app.board.history import History
from app.fluxboard import codec
from app.fluxboard.file import BoardFile
from mlx_model.request import Reference, Request

TAKES, REFERENCES, REPEAT = 4, 3, 9


def large_board(count: int) -> Board:
    """Scenes of 20 panels, each with references and takes that have real requests."""
    shot = Picture("a" * 64, 1024, 576, "shot.png")
    folder = "/Users/somebody/film.fluxboard/blobs"
    references = tuple(Reference(f"{folder}/{n:064}.png", f"r{n}", "", f"{n:064}") for n in range(REFERENCES))
    request = Request("flux2-klein-4b", "a gull in a bar " * 8, 1024, 576, references=references).to_json()

    def panel() -> Panel:
        takes = tuple(Take(new_id(), shot, request, "flux2-klein-4b", "2026-01-01T00:00:00Z", 7) for _ in range(TAKES))
        refs = tuple(PanelReference(new_id(), shot, name=f"r{number}") for number in range(REFERENCES))
        return Panel(new_id(), "a gull in a bar " * 8, references=refs, takes=takes, current=takes[-1].id)

    scenes = tuple(Scene(new_id(), panels=tuple(panel() for _ in range(20))) for _ in range(count // 20))
    return codec.decode(codec.encode(Board(new_id(), scenes=scenes)))[0]


def best(work: Callable[[], object]) -> float:
    """Milliseconds, the best of REPEAT."""
    times = []
    for _ in range(REPEAT):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def main(count: int) -> None:
    board, title = large_board(count), iter(range(10**6))
    panel = list(board.panels())[count // 2]
    history = History(board)

    def typed(text: str) -> Board:
        return commands.set_panel(board, panel.id, prompt=text)

    for number in range(500):
        history.do("Type", commands.set_panel(history.board, panel.id, prompt=str(number)))
    take = panel.takes[0]
    with tempfile.TemporaryDirectory() as place, BoardFile.create(Path(place) / "b", board) as file:
        pixels = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8)
        rows = {
            "one command (typing)": lambda: typed(str(next(title))),
            "a take into 500 steps of history": lambda: history.add_take(panel.id, replace(take, id=new_id())),
            "save": lambda: file.save(typed(str(next(title)))),
            "note (journal)": lambda: file.note(typed(str(next(title)))),
            "read and check": lambda: codec.decode((file.path / "board.json").read_bytes()),
            "put_picture 1280x720": lambda: file.put_picture(pixels + np.uint8(next(title))),
        }
        size = (file.path / "board.json").stat().st_size
        print(f"{count} panels, {TAKES} takes and {REFERENCES} references each: board.json {size / 1e6:.1f} MB")
        for name, work in rows.items():
            print(f"{name:34} {best(work):8.1f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
