"""A board from somebody else, with links in it: nothing at their other end is read, written, moved or deleted."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from app.board import commands
from app.board.data import Panel, new_board, new_id, pictures
from app.board.panel_job import import_take
from app.cli.group import cli
from app.fluxboard import archive, disk, earlier
from app.fluxboard.file import BoardFile
from app.interchange.formats import export_board
from mlx_model.errors import BoardError, FluxLocalError

PIXELS = np.full((64, 64, 3), 90, np.uint8)
SECRET = "a" * 64
MINE = {
    "treasure.txt": b"mine",
    ".board.json.aaaaaaaa.partial": b"half of mine",
    ".journal.partial": b"mine too",
    f"{SECRET}.png": b"my picture",
    "20200101-000000-000000.json": b"my notes of that day",
}
FILES = ("lock", "journal", "board.json", ".journal.partial", ".board.json.partial", "history/x.json", "blob")
HARD = ("lock", "journal", "blob")
FOLDERS = ("blobs", "history", "lock", "journal")


@pytest.fixture
def mine(tmp_path):
    """A folder of the person's, outside of the board."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, data in MINE.items():
        (folder / name).write_bytes(data)
    return folder


def contents(folder: Path) -> dict:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def board(tmp_path):
    """A closed board with a panel, a take and a restore point."""
    with BoardFile.create(tmp_path / "from-them", new_board("film")) as file:
        take = import_take(file.put_picture(PIXELS))
        scene = file.board.scenes[0].id
        board = commands.add_panel(file.board, scene, panel=Panel(new_id(), takes=(take,), current=take.id))
        file.save(board)
        file.save(commands.set_board(board, title="second"), point=True)
        return file.path


def plant(board: Path, name: str, target: Path, hard: bool = False) -> Path:
    """Put a link to `target` in the place of a file or folder of the board."""
    place = next((board / "blobs").iterdir()) if name == "blob" else board / name
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    if hard:
        os.link(target, place)
    else:
        place.symlink_to(target)
    return place


def use(board: Path, tmp_path: Path) -> None:
    """Whatever writes to a board, once; what is refused is told in words."""
    picture = tmp_path / "given.png"
    picture.write_bytes(disk.encode_png(PIXELS + 1).data)
    (tmp_path / "new.edl").write_text("TITLE: x\n\n001  1A  V  C  00:00:00:00 00:00:01:00 00:00:00:00 00:00:01:00\n")
    for words in (
        ("add", board, "a gull", "-r", picture),
        ("set", board, "1", "-p", "two gulls"),
        ("cast", board, "gull", picture),
        ("check", board),
        ("import", tmp_path / "new.edl", "--onto", board),
        ("export", board, "-f", "png", "-o", tmp_path / "frames"),
        ("export", board, "-o", tmp_path / "out.zip"),
        ("remove", board, "1"),
    ):
        done = CliRunner().invoke(cli, ["board", *map(str, words)])
        assert done.exit_code in (0, 2), (words, done.output)


def use_as_the_window_does(board: Path) -> None:
    with BoardFile.open(board) as file:
        picture = file.put_picture(PIXELS + 2)
        file.note(commands.set_board(file.board, title="typed"))
        file.save(commands.set_board(file.board, title="saved"), point=True)
        for point in file.restore_points():
            file.restore(point)
        assert file.picture_path(picture.sha256).parent == file.path / "blobs"
        for path in (*(one.path for one in file.restore_points()), *file.list_unused_blobs()):
            assert path.resolve().is_relative_to(board.resolve())


@pytest.mark.first_case
@pytest.mark.parametrize(("name", "hard"), [*((name, False) for name in FILES), *((name, True) for name in HARD)])
def test_a_file_of_the_board_is_a_link_to_one_of_mine(board, mine, tmp_path, name, hard):
    plant(board, name, mine / "treasure.txt", hard)
    use(board, tmp_path)
    with_board = contents(mine)
    if name != "board.json":  # without that there is no board to show
        use_as_the_window_does(board)
    assert with_board == contents(mine) == MINE


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_the_board_is_a_link_to_one_of_mine(board, mine, tmp_path, name):
    plant(board, name, mine)
    use(board, tmp_path)
    assert contents(mine) == MINE
    use_as_the_window_does(board)
    assert contents(mine) == MINE


@pytest.mark.parametrize("name", ["journal", ".journal.partial"])
def test_what_is_typed_is_not_written_through_a_link(board, mine, name):
    with BoardFile.open(board) as file:
        plant(board, name, mine / "treasure.txt")
        file.note(commands.set_board(file.board, title="typed"))
    assert contents(mine) == MINE


@pytest.mark.parametrize("name", ["lock", "journal", ".journal.partial"])
def test_a_link_that_leads_nowhere_makes_no_file_there(board, tmp_path, name):
    plant(board, name, tmp_path / "new.txt")
    use_as_the_window_does(board)
    assert not (tmp_path / "new.txt").exists()


@pytest.mark.parametrize("name", ["lock", "journal"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_gives_way(board, name, make):
    make(board / name)
    use_as_the_window_does(board)
    with BoardFile.open(board) as file:
        assert file.board.title == "saved"


def test_the_pictures_of_a_linked_folder_are_not_thrown_away(board, mine, monkeypatch):
    gone = []
    monkeypatch.setattr("send2trash.send2trash", gone.append)
    plant(board, "blobs", mine)
    with BoardFile.open(board) as file:
        assert any("blobs" in text and "not followed" in text for text in file.repairs)
        assert file.move_unused_to_trash() == gone == []


def test_a_linked_picture_is_not_read(board, mine, tmp_path):
    secret = mine / "treasure.png"
    secret.write_bytes(disk.encode_png(PIXELS + 7).data)
    blob = plant(board, "blob", secret)
    with BoardFile.open(board) as file:
        [picture] = set(pictures(file.board))
        assert "link" in file.damage(picture)
        with pytest.raises(BoardError, match="is a link"):
            file.picture_path(picture.sha256)
        done = export_board("png", file.board, file.picture_path, tmp_path / "frames")
        assert all(path.read_bytes() != secret.read_bytes() for path in done.path.iterdir())
        with pytest.raises(BoardError, match="can't be exported"):
            archive.export_zip(file, tmp_path / "out.zip")
        with file.copy_to(tmp_path / "copy") as copy:
            assert copy.missing() == 1
        file.put_picture(PIXELS)  # the picture that belongs there takes the link's place
        assert not blob.is_symlink()
        assert file.damage(picture) == ""
    assert secret.read_bytes() == disk.encode_png(PIXELS + 7).data


def test_a_hard_linked_picture_is_read_as_backups_make_them(board, tmp_path):
    copy = tmp_path / "backup.fluxboard"
    shutil.copytree(board, copy, copy_function=os.link)
    with BoardFile.open(copy) as file:
        assert file.missing() == 0
    use_as_the_window_does(copy)
    with BoardFile.open(board) as file:
        assert file.board.title == "second"


def test_a_backup_of_an_open_board_does_not_open_it_twice(board, tmp_path):
    """A second name for the lock, as cp -al makes one, must not let a second writer in."""
    with BoardFile.open(board):
        os.link(board / "lock", tmp_path / "lock-of-the-backup")
        with pytest.raises(BoardError, match="open already"):
            BoardFile.open(board)


def send_by_git(board: Path, place: Path) -> Path:
    made = place / "repository"
    shutil.copytree(board, made / board.name, symlinks=True)
    run = lambda *words: subprocess.run(["git", *words], check=True, capture_output=True)  # noqa: E731
    run("-C", made, "init", "-q")
    run("-C", made, "add", "-Af")
    run("-C", made, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x")
    run("clone", "-q", made, place / "clone")
    return place / "clone" / board.name


def send_by_tar(board: Path, place: Path) -> Path:
    with tarfile.open(place / "board.tar", "w") as packed:
        packed.add(board, board.name)
    subprocess.run(["tar", "-xf", place / "board.tar", "-C", place], check=True)
    return place / board.name


def send_by_cp(board: Path, place: Path) -> Path:
    subprocess.run(["cp", "-a" if sys.platform == "linux" else "-R", board, place], check=True)
    return place / board.name


def send_by_rsync(board: Path, place: Path) -> Path:
    if not shutil.which("rsync"):
        pytest.skip("no rsync here")
    subprocess.run(["rsync", "-a", board, place], check=True)
    return place / board.name


def send_by_unzip(board: Path, place: Path) -> Path:
    """As Finder and unzip unpack: symbolic links are made."""
    for root, folders, files in os.walk(board):
        for name in (*folders, *files):
            source = Path(root) / name
            target = place / board.name / source.relative_to(board)
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_symlink():
                target.symlink_to(os.readlink(source))
            elif source.is_file():
                shutil.copyfile(source, target)
    return place / board.name


SENT = [send_by_git, send_by_tar, send_by_cp, send_by_rsync, send_by_unzip]


@pytest.mark.first_case
@pytest.mark.parametrize("send", SENT, ids=lambda send: send.__name__)
@pytest.mark.parametrize("names", [("lock", "journal", "blob"), ("blobs", "history", ".journal.partial")])
def test_however_it_was_sent(board, mine, tmp_path, send, names):
    for name in names:
        plant(board, name, mine if name in ("blobs", "history") else mine / "treasure.txt")
    place = tmp_path / "received"
    place.mkdir()
    got = send(board, place)
    use(got, tmp_path)
    use_as_the_window_does(got)
    assert contents(mine) == MINE


@pytest.mark.parametrize("name", ["board.json", f"blobs/{SECRET}.png", "lock", "history"])
def test_a_zip_with_a_link_in_it(board, mine, tmp_path, name):
    with BoardFile.open(board) as file:
        archive.export_zip(file, tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "b.zip") as good, zipfile.ZipFile(tmp_path / "bad.zip", "w") as bad:
        top = good.namelist()[0].partition("/")[0]
        for entry in good.infolist():
            if entry.filename != f"{top}/{name}":
                bad.writestr(entry, good.read(entry))
        link = zipfile.ZipInfo(f"{top}/{name}")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        bad.writestr(link, str(mine / "treasure.txt"))
    try:
        with archive.import_zip(tmp_path / "bad.zip", tmp_path / "got") as file:
            use_as_the_window_does_open(file)
    except FluxLocalError:
        assert not (tmp_path / "got.fluxboard").exists()
    assert contents(mine) == MINE


def use_as_the_window_does_open(file: BoardFile) -> None:
    links = [path for path in file.path.rglob("*") if path.is_symlink()]
    assert links == []
    file.save(commands.set_board(file.board, title="saved"), point=True)


def test_a_restore_point_of_a_linked_board_json_is_not_made(board, mine):
    """os.link would give the link itself a second name, under which it would be read later."""
    with BoardFile.open(board) as file:
        plant(board, "board.json", mine / "treasure.txt")
        file.save(commands.set_board(file.board, title="over it"), point=True)
        assert [point for point in file.restore_points() if point.path.is_symlink()] == []
    assert not (board / "board.json").is_symlink()
    assert json.loads((board / "board.json").read_text())["title"] == "over it"
    assert earlier.list_points(board / "history")
    assert contents(mine) == MINE
