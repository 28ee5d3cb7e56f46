"""What a clock that jumps, a machine without a network card and a disk that refuses do to a board."""

import errno
import json
import os
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.board import commands
from app.board.data import new_board
from app.fluxboard import earlier, lock
from app.fluxboard.file import BoardFile
from mlx_model.errors import BoardError, FluxLocalError

START = datetime(2026, 1, 1, tzinfo=UTC)


def make_points(folder: Path, times: list[datetime]) -> list[int]:
    """A state at each time, numbered; those that are kept, as listed."""
    history, board = folder / "history", folder / "board.json"
    for number, now in enumerate(times):
        board.unlink(missing_ok=True)
        board.write_text(str(number))
        earlier.keep(history, board, always=True, now=now)
    return [int(point.path.read_text()) for point in earlier.list_points(history)]


JUMPS = {
    "back by years and right again": (15, [timedelta(days=-20_000)], 1),
    "back for good": (15, [timedelta(days=-400)], 1000),
    "ahead for a moment": (15, [timedelta(days=27_000)], 1),
    "ahead for good": (15, [timedelta(days=400)], 1000),
    "back to the same moments": (15, [timedelta(minutes=-60)], 1000),
}


@pytest.mark.first_case
@pytest.mark.parametrize("name", JUMPS)
def test_points_are_in_the_order_in_which_they_were_made(tmp_path, name):
    at, [jump], length = JUMPS[name]
    times = [START + timedelta(minutes=6 * n) + (jump if at <= n < at + length else timedelta()) for n in range(40)]
    kept = make_points(tmp_path, times)
    assert kept == sorted(kept, reverse=True)
    assert len(kept) == earlier.KEPT
    assert kept[: earlier.NEWEST] == [39, 38, 37]
    assert kept[-1] == 0


def test_a_moment_of_a_wrong_clock_does_not_cost_the_points_before_it(tmp_path):
    """A clock that starts in 1970 made all points before it look equally old, and they went one after the other."""
    right = [START + timedelta(minutes=6 * n) for n in range(60)]
    wrong = [*right[:30], datetime(1970, 1, 1, tzinfo=UTC), *right[31:]]
    (tmp_path / "right").mkdir()
    (tmp_path / "wrong").mkdir()
    usual, kept = make_points(tmp_path / "right", right), make_points(tmp_path / "wrong", wrong)
    assert len([n for n in kept if n < 30]) >= len([n for n in usual if n < 30]) - 2


def test_a_clock_at_random_loses_neither_the_newest_nor_the_order(tmp_path):
    dice = random.Random(11)
    times = [START + timedelta(seconds=dice.uniform(-1e9, 1e9)) for _ in range(60)]
    kept = make_points(tmp_path, times)
    assert kept[:3] == [59, 58, 57]
    assert kept == sorted(kept, reverse=True)
    assert len(kept) == earlier.KEPT


def test_what_was_saved_last_comes_back_where_the_clock_was_set_back(tmp_path, monkeypatch):
    with BoardFile.create(tmp_path / "film", new_board("first")) as file:
        path = file.path
        file.save(commands.set_board(file.board, title="second"), point=True)
        [first] = (path / "history").iterdir()
        first.rename(path / "history" / first.name.replace("2026", "2099"))  # made while the clock was ahead
        file.save(commands.set_board(file.board, title="third"), point=True)
    (path / "board.json").write_text("{")
    with BoardFile.open(path) as file:
        assert file.board.title == "second"  # the last state that had been replaced; "first" is older


def test_points_of_earlier_versions_are_there_and_older(tmp_path):
    history = tmp_path / "history"
    history.mkdir()
    (history / "20250101-120000-999999.json").write_text("old")
    (history / "20250102-120000-000000.json").write_text("newer")
    (history / f"20250102-120000-000000-{10**14}.json").write_text("not ours")
    (tmp_path / "board.json").write_text("now")
    earlier.keep(history, tmp_path / "board.json", now=datetime(2020, 1, 1, tzinfo=UTC))
    texts = [point.path.read_text() for point in earlier.list_points(history)]
    assert texts[0] == "now"
    assert texts[-1] == "old"


# The machine


def forget() -> None:
    """As another process knows nothing of what this one found out."""
    if hasattr(lock, "identify_machine"):
        lock.identify_machine.cache_clear()


@pytest.fixture
def no_card(monkeypatch):
    """No network card: uuid.getnode makes up another number in every process, with the multicast bit set."""
    monkeypatch.setattr(lock.uuid, "getnode", lambda: random.getrandbits(48) | 1 << 40)
    forget()
    yield
    forget()


def leave_a_lock(path: Path) -> None:
    """As a crash does."""
    file = BoardFile.open(path)
    file._lock.drop()
    os.close(file._descriptor)
    file._descriptor = -1


@pytest.mark.parametrize("ids", [lock.IDS if hasattr(lock, "IDS") else (), ()], ids=["known", "unknown"])
def test_a_machine_without_a_network_card_knows_its_own_lock(tmp_path, no_card, monkeypatch, ids):
    monkeypatch.setattr(lock, "IDS", ids, raising=False)
    BoardFile.create(tmp_path / "film", new_board()).close()
    leave_a_lock(tmp_path / "film.fluxboard")
    forget()
    BoardFile.open(tmp_path / "film.fluxboard").close()


def test_the_lock_tells_no_address_of_a_network_card(tmp_path):
    with BoardFile.create(tmp_path / "film", new_board()) as file:
        said = json.loads((file.path / "lock").read_text())
    assert said["machine"] != f"{lock.uuid.getnode():x}"
    script = "from app.fluxboard.lock import Owner; print(Owner.me().machine)"
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == said["machine"]


def test_the_lock_of_an_earlier_version_on_this_machine_is_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(lock.uuid, "getnode", lambda: 0x1234567890)
    BoardFile.create(tmp_path / "film", new_board()).close()
    said = {"pid": 1, "host": "me", "machine": "1234567890"}
    (tmp_path / "film.fluxboard" / "lock").write_text(json.dumps(said))
    BoardFile.open(tmp_path / "film.fluxboard").close()
    (tmp_path / "film.fluxboard" / "lock").write_text(json.dumps({**said, "machine": "99"}))
    with pytest.raises(BoardError, match="open on me"):
        BoardFile.open(tmp_path / "film.fluxboard")


@pytest.mark.parametrize("pid", ["9" * 400, "1e999", "-1", "0", str(2**40)])
def test_a_lock_of_an_impossible_process_locks_nothing(tmp_path, monkeypatch, pid):
    def none(*_):
        raise OSError(lock.NO_FLOCK[0], "not supported")

    monkeypatch.setattr(lock.fcntl, "flock", none)
    BoardFile.create(tmp_path / "film", new_board()).close()
    (tmp_path / "film.fluxboard" / "lock").write_text(f'{{"pid": {pid}, "host": "", "machine": ""}}')
    BoardFile.open(tmp_path / "film.fluxboard").close()


# A disk that refuses


CALLS = ("open", "stat", "lstat", "listdir", "read", "fstat", "unlink", "replace")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ENOTDIR, errno.ENAMETOOLONG])
@pytest.mark.parametrize("name", CALLS)
def test_no_error_of_the_system_leaves_open(tmp_path, monkeypatch, name, code):
    """At every single call of that kind while a board is opened, read and closed."""
    BoardFile.create(tmp_path / "film", new_board()).close()
    path, real = tmp_path / "film.fluxboard", getattr(os, name)
    (path / "journal").write_text("x")
    for at in range(40):
        left = [at]

        def fail(*args, left=left, **more):
            left[0] -= 1
            if left[0] == -1:
                raise OSError(code, os.strerror(code))
            return real(*args, **more)

        with monkeypatch.context() as patch:
            patch.setattr(os, name, fail)
            try:
                file = BoardFile.open(path)
            except FluxLocalError as error:
                assert "Errno" not in str(error)  # noqa: PT017
                file = None
        if file:
            file.close()
        if left[0] >= 0:
            break
    BoardFile.open(path).close()  # nothing is locked for good
