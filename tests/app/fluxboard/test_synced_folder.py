"""A board on a network volume or in a synchronised folder: no locks, links or sync, copies, placeholders, absence."""

import errno
import os
import shutil

import numpy as np
import pytest

from app.board import commands
from app.board.data import Member, new_board, new_id
from app.fluxboard import check, earlier, lock
from app.fluxboard.disk import IN_CLOUD
from app.fluxboard.file import BoardFile
from mlx_model import files
from mlx_model.errors import BoardError, BoardLocked, DiskFull

PIXELS = np.full((64, 64, 3), 7, np.uint8)


@pytest.fixture
def path(tmp_path):
    """Of a board with one picture, closed."""
    with BoardFile.create(tmp_path / "film", new_board("first")) as file:
        picture = file.put_picture(PIXELS, "gull.png")
        file.save(commands.add_member(file.board, Member(new_id(), "gull", pictures=(picture,))))
        return file.path


def failing(code):
    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    return fail


def title(path, text):
    with BoardFile.open(path) as file:
        file.save(commands.set_board(file.board, title=text), point=True)
        return [earlier.codec.decode(point.path.read_bytes())[0].title for point in file.restore_points()]


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOTSUP])
def test_a_volume_without_locks_is_guarded_by_the_file_that_says_who(path, monkeypatch, code):
    monkeypatch.setattr(lock.fcntl, "flock", failing(code))
    with BoardFile.open(path) as file:
        assert not file.read_only
        with pytest.raises(BoardLocked):
            BoardFile.open(path)
    assert title(path, "second")[0] == "first"


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_a_volume_without_hard_links_keeps_restore_points_and_takes_new_files(path, monkeypatch, code):
    monkeypatch.setattr(os, "link", failing(code))
    assert title(path, "second")[0] == "first"
    files.write_new(path.parent / "x.txt", lambda handle: handle.write(b"x"))
    assert files.write_new(path.parent / "x.txt", lambda handle: handle.write(b"y")).name == "x-2.txt"
    assert (path.parent / "x.txt").read_bytes() == b"x"


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_volume_that_can_not_sync_is_written_to(path, monkeypatch, code):
    monkeypatch.setattr(os, "fsync", failing(code))
    assert title(path, "second")[0] == "first"


@pytest.mark.parametrize(
    ("code", "kind"), [(errno.EIO, BoardError), (errno.ENOSPC, DiskFull), (errno.EDQUOT, DiskFull)]
)
def test_a_sync_that_fails_is_a_write_that_failed(path, monkeypatch, code, kind):
    """Network disks tell a full server only then."""
    with BoardFile.open(path) as file:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing(code))
            with pytest.raises(kind):
                file.save(commands.set_board(file.board, title="second"))
        assert BoardFile.open(path, write=False).board.title == "first"
        file.save(commands.set_board(file.board, title="second"))


COPIES = [
    "board (Ann's conflicted copy 2026-11-28).json",
    "board 2.json",
    "board.sync-conflict-20261128-120000-ABCDEFG.json",
    "board-Anns-MacBook.json",
]


@pytest.mark.parametrize("name", COPIES)
def test_another_computers_state_is_told_and_left_alone(path, name):
    (path / name).write_text('{"title": "another"}')
    with BoardFile.open(path) as file:
        assert file.board.title == "first"
        assert [name in text for text in file.repairs] == [True]
        assert [problem for problem in check.problems(file) if name in problem.what]
        file.save(commands.set_board(file.board, title="second"))
    assert (path / name).read_text() == '{"title": "another"}'


def test_what_a_board_has_by_itself_is_no_copy(path):
    (path / "board-damaged.json").write_text("x")
    (path / "board-damaged-2.json").write_text("x")
    with BoardFile.open(path) as file:
        assert file.repairs == []


def put_in_cloud(file):
    file.with_name(f".{file.name}.icloud").write_bytes(b"bplist00")
    shutil.copy(file, file.parent.parent / "kept")
    file.unlink()


def test_a_board_that_is_still_in_icloud_is_not_taken_for_a_damaged_one(path):
    title(path, "second")  # there is a restore point to go back to
    put_in_cloud(path / "board.json")
    before = sorted(one.name for one in path.rglob("*"))
    with pytest.raises(BoardError, match="still in iCloud") as error:
        BoardFile.open(path)
    assert error.value.hint == IN_CLOUD
    assert sorted(one.name for one in path.rglob("*")) == before
    shutil.copy(path.parent / "kept", path / "board.json")
    assert BoardFile.open(path, write=False).board.title == "second"


def test_a_picture_that_is_still_in_icloud_is_told_as_that(path):
    [blob] = (path / "blobs").iterdir()
    put_in_cloud(blob)
    with BoardFile.open(path) as file:
        with pytest.raises(BoardError, match="still in iCloud"):
            file.picture_path(blob.stem)
        assert any("still in iCloud" in problem.what for problem in check.problems(file))
        assert file.list_unused_blobs() == []


def test_files_that_vanish_and_come_back(path):
    [blob] = (path / "blobs").iterdir()
    with BoardFile.open(path) as file:
        away = path.parent / "away"
        away.mkdir()
        for one in (blob, path / "board.json"):
            one.rename(away / one.name)
        assert file.missing() == 1
        file.save(commands.set_board(file.board, title="second"))
        (away / blob.name).rename(blob)
        assert file.missing() == 0
        (away / "board.json").replace(path / "board.json")  # a synchronising folder brings back the old state
        file.save(commands.set_board(file.board, title="third"))
    with BoardFile.open(path) as file:
        assert file.board.title == "third"
        assert len(file.restore_points()) >= 1


def test_a_volume_that_goes_away_and_comes_back(path, monkeypatch):
    """Every call fails as on a share whose server is gone; what was not saved is saved later."""
    with BoardFile.open(path) as file:
        with monkeypatch.context() as patch:
            for name in ("open", "stat", "mkdir", "replace"):
                patch.setattr(os, name, failing(errno.EHOSTDOWN))
            with pytest.raises(BoardError) as error:
                file.save(commands.set_board(file.board, title="second"))
            assert "Errno" not in str(error.value)
            file.note(commands.set_board(file.board, title="second"))
        file.save(commands.set_board(file.board, title="second"))
    assert BoardFile.open(path, write=False).board.title == "second"
