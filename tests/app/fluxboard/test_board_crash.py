"""Killed, full and broken at every single step of writing: the board opens in a state that somebody saw."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from app.board import commands
from app.board.data import Board, Member, new_board, new_id, pictures
from app.fluxboard import earlier
from app.fluxboard.file import BoardFile
from mlx_model.errors import BoardError, DiskFull
from tests.app.fluxboard.board_moves import MOVES
from tests.app.fluxboard.faulty_disk import BROKEN, FORBIDDEN, FULL, READ_ONLY, Disk, Killed, kill

PIXELS = np.full((8, 8, 3), 7, np.uint8)


def crash(file: BoardFile) -> None:
    """What the end of the process does: locks are let go, nothing is tidied."""
    if file._lock:
        file._lock.drop()
    os.close(file._descriptor)
    file._descriptor = -1


def session(path: Path, seen: list[Board], disk: Disk | None = None, opened: list | None = None) -> None:
    """Create a board, put in pictures, save five states (with notes between), restore one; `seen` is what was there."""
    board = new_board("start")
    seen.append(board)
    file = BoardFile.create(path, board)
    (opened if opened is not None else []).append(file)
    for number in range(5):
        picture = file.put_picture(PIXELS + number, "a.png")
        board = commands.add_member(board, Member(new_id(), f"gull{number}", pictures=(picture,)))
        seen.append(board)
        file.note(board)
        if number != 3:
            file.save(board)
    seen.append(file.restore(file.restore_points()[-1]))
    file.save(seen[-1])
    file.close()


@pytest.fixture(autouse=True)
def points_at_every_save(monkeypatch):
    monkeypatch.setattr(earlier, "MINUTES", 0)


def steps_of_a_session(tmp_path) -> int:
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch)
        session(tmp_path / "counted", [])
    kinds = {name for name, _ in disk.log}
    assert {"open", "write", "fsync", "replace", "link", "unlink", "mkdir", "rename"} <= kinds
    return disk.count


@pytest.mark.sweep
def test_killed_at_every_step(tmp_path):
    steps = steps_of_a_session(tmp_path)
    assert steps > 40
    for at in range(1, steps + 1):
        path, seen, opened = tmp_path / f"{at}.fluxboard", [], []
        with pytest.MonkeyPatch.context() as patch:
            disk = Disk(patch, at, kill)
            with pytest.raises(Killed):
                session(path, seen, disk, opened)
            name = disk.log[-1]
        for file in opened:
            crash(file)
        disk.let_go()
        assert_opens(path, seen, name)


def assert_opens(path: Path, seen: list[Board], name: object) -> None:
    """As a state that was there, at most one save old, with every picture it names; and it can be worked with."""
    if not path.exists():
        assert len(seen) == 1, name  # it was being created
        return
    with BoardFile.open(path) as file:
        assert file.board in seen, name
        saved_before = 2 if len(seen) < 7 else 3
        assert seen.index(file.board) >= len(seen) - saved_before or file.board == seen[-1], name
        assert [picture for picture in pictures(file.board) if file.damage(picture)] == [], name
        assert not list(path.rglob("*.partial")), name
        file.save(commands.set_board(file.board, title="on"))
    with BoardFile.open(path, write=False) as file:
        assert (file.board.title, file.recovered) == ("on", "")


@pytest.mark.parametrize(("fault", "error"), [(FULL, DiskFull), (BROKEN, BoardError), (READ_ONLY, BoardError)])
def test_a_failing_disk_at_every_step_of_a_save(tmp_path, monkeypatch, fault, error):
    """Each operation of put_picture and save fails once: told, the saved state still there, and then it works."""
    file = BoardFile.create(tmp_path / "b", new_board())
    for at in range(1, 100):
        before, board = file.board, commands.set_board(file.board, title=f"title {at}")
        with pytest.MonkeyPatch.context() as patch:
            disk, told = Disk(patch, at, fault), None
            try:
                file.put_picture(PIXELS + at)
                file.save(board)
            except (DiskFull, BoardError) as caught:
                told = type(caught)
        assert told in (error, None)
        kept = BoardFile.open(file.path, write=False)
        assert kept.board in ((before, board) if told else (board,))
        kept.close()
        file.save(board)
        assert file.board == board
        if disk.count < at:
            break
    assert at > 10
    file.close()


def test_forbidden_is_told(tmp_path):
    file = BoardFile.create(tmp_path / "b", new_board())
    with pytest.MonkeyPatch.context() as patch:
        Disk(patch, 1, FORBIDDEN)
        with pytest.raises(BoardError, match="Permission denied"):
            file.put_picture(PIXELS)
    file.close()


def test_a_picture_is_on_the_disk_before_the_board_that_names_it_and_a_save_before_it_returns(tmp_path, monkeypatch):
    file = BoardFile.create(tmp_path / "b", new_board())
    disk = Disk(monkeypatch)
    file.put_picture(PIXELS)
    assert [name for name, _ in disk.log] == ["open", "write", "fsync", "replace", "fsync"]
    disk.log.clear()
    file.save(commands.set_board(file.board, title="x"))
    names = [name for name, _ in disk.log]
    assert names[names.index("write") :] == ["write", "fsync", "replace", "fsync"]


def test_a_save_of_the_same_board_touches_nothing(tmp_path, monkeypatch):
    file = BoardFile.create(tmp_path / "b", new_board())
    disk = Disk(monkeypatch)
    file.save(file.board)
    assert disk.log == []


@pytest.mark.first_case
@pytest.mark.parametrize("seed", range(3))
def test_any_operations_saved_at_any_time_and_killed_anywhere(tmp_path, seed):
    """Random work, noted and saved now and then, killed at a random step, opened again: forty times over."""
    chance = random.Random(seed)
    file, kills = BoardFile.create(tmp_path / "b", new_board()), 0
    while kills < 40:
        seen, saved = [file.board], 0
        with pytest.MonkeyPatch.context() as patch:
            Disk(patch, chance.randrange(1, 60), kill)
            try:
                while True:
                    seen.append(MOVES[chance.choice(sorted(MOVES))](seen[-1], lambda o: chance.choice(list(o))))
                    if chance.random() < 0.5:
                        file.note(seen[-1])
                    if chance.random() < 0.3:
                        file.save(seen[-1])
                        saved = len(seen) - 1
            except Killed:
                kills += 1
        crash(file)
        file = BoardFile.open(tmp_path / "b.fluxboard")
        assert file.board in seen[saved:]
    file.close()


WRITER = """
import sys
from app.board import commands
from app.fluxboard.file import BoardFile
with BoardFile.open(sys.argv[1]) as file:
    print("open", flush=True)
    for number in range(int(file.board.title) + 1, 10**6):
        board = commands.set_board(file.board, title=str(number))
        file.save(board)
        print(number, flush=True)
"""


@pytest.mark.sweep
def test_a_killed_process_leaves_its_last_save_and_no_lock(tmp_path):
    path = BoardFile.create(tmp_path / "b", new_board("-1"))
    path.close()
    last = -1
    for after in (0.05, 0.15, 0.3):
        child = subprocess.Popen([sys.executable, "-c", WRITER, path._path], stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "open\n"
        time.sleep(after)
        child.send_signal(signal.SIGKILL)
        said = [int(line) for line in child.communicate()[0].split()]
        with BoardFile.open(path._path) as file:
            last = said[-1] if said else last
            assert int(file.board.title) - last in (0, 1)
            last = int(file.board.title)
            assert not list(file.path.rglob("*.partial"))
