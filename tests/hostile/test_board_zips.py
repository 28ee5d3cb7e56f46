"""Zips that say they are boards: traversal, bombs, twins, links, lies. None writes anything but a whole board."""

import hashlib
import io
import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from app.board import commands
from app.board.data import Member, Picture, Settings, Take, new_board, new_id
from app.fluxboard import archive as board_zip
from app.fluxboard import codec, disk
from app.fluxboard.archive import export_zip, import_zip
from app.fluxboard.file import BoardFile
from mlx_model.errors import BoardError
from mlx_model.request import Lora, Mask, Reference, Request, from_json

PNG = disk.encode_png(np.zeros((8, 8, 3), np.uint8)).data
SHA = hashlib.sha256(PNG).hexdigest()
BOARD = msgspec.json.encode(
    commands.add_member(new_board("shared"), Member(new_id(), "gull", pictures=(Picture(SHA, 8, 8),)))
)
GOOD = {"board.json": BOARD, f"blobs/{SHA}.png": PNG}


def zipped(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes], kind=zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return path


def imported(tmp_path: Path, *entries, **options) -> BoardFile:
    return import_zip(zipped(tmp_path / "x.zip", *entries, **options), tmp_path / "in" / "b")


@pytest.fixture(autouse=True)
def nothing_outside(tmp_path):
    """Whatever happens, at most one new thing is in the folder of the target, and nothing anywhere else."""
    (tmp_path / "in").mkdir()
    (tmp_path / "canary").write_text("mine")
    yield
    assert {path.name for path in tmp_path.iterdir()} <= {"in", "canary", "x.zip", "out.zip"}
    assert {path.name for path in (tmp_path / "in").iterdir()} <= {"b.fluxboard"}
    assert (tmp_path / "canary").read_text() == "mine"


def test_a_good_one_comes_in_with_or_without_a_folder(tmp_path):
    for top in ("", "My film.fluxboard/"):
        with imported(tmp_path, *((top + name, data) for name, data in GOOD.items())) as file:
            assert file.board.title == "shared"
            assert [file.damage(member.pictures[0]) for member in file.board.cast] == [""]
            export_zip(file, tmp_path / "out.zip")
            made = file.path
        again = import_zip(tmp_path / "out.zip", tmp_path / "in" / "c")
        assert again.board == file.board
        again.close()
        for path in (made, again._path):
            shutil.rmtree(path)
        (tmp_path / "out.zip").unlink()


def test_what_finder_adds_is_passed_over(tmp_path):
    extra = [("__MACOSX/b.fluxboard/._board.json", b"x"), ("b.fluxboard/.DS_Store", b"x"), ("b.fluxboard/lock", b"x")]
    extra += [("b.fluxboard/history/20260101-000000-000000.json", b"{"), ("b.fluxboard/blobs/", b"")]
    with imported(tmp_path, *extra, *((f"b.fluxboard/{name}", data) for name, data in GOOD.items())) as file:
        assert file.board.title == "shared"
        assert file.restore_points() == []


EVIL = [
    "../evil.txt",
    "blobs/../../evil.txt",
    "/tmp/evil.txt",
    "..\\evil.txt",
    "C:\\evil.txt",
    "blobs/" + "a" * 63 + ".png",
    f"blobs/{SHA.upper()}.png",
    f"blobs/{SHA}.PNG",
    f"blobs/x/{SHA}.png",
    "evil.py",
    "BOARD.JSON",
    "board.json/x",
    "a/board.json.exe",
    "blobs/CON.png",
    "b\u202egnp.exe",
    "./evil",
    f"./blobs/{SHA}.png",
]


@pytest.mark.parametrize("name", EVIL)
def test_a_name_that_is_no_part_of_a_board_refuses_all(tmp_path, name):
    with pytest.raises(BoardError, match=r"no part of a board|one board"):
        imported(tmp_path, *GOOD.items(), (name, b"evil"))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", list(GOOD))
def test_twins_are_refused(tmp_path, name):
    with pytest.raises(BoardError, match=r"twice|one board"):
        imported(tmp_path, *GOOD.items(), (name, GOOD[name]))


def test_two_boards_or_none(tmp_path):
    with pytest.raises(BoardError, match="one board"):
        imported(tmp_path, ("a/board.json", BOARD), ("b/board.json", BOARD))
    with pytest.raises(BoardError, match="one board"):
        imported(tmp_path, (f"blobs/{SHA}.png", PNG))
    with pytest.raises(BoardError, match="one board"):
        imported(tmp_path)


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_devices_are_refused(tmp_path, mode):
    entry = zipfile.ZipInfo(f"blobs/{SHA}.png")
    entry.external_attr = (mode | 0o777) << 16
    with pytest.raises(BoardError, match="not a file"):
        imported(tmp_path, ("board.json", BOARD), (entry, b"/etc/passwd"))


def test_a_picture_that_is_not_what_its_name_says(tmp_path):
    with pytest.raises(BoardError, match="changed or damaged"):
        imported(tmp_path, ("board.json", BOARD), (f"blobs/{SHA}.png", PNG[:-1]))


def test_bytes_that_are_no_picture_are_refused_even_with_the_right_hash(tmp_path):
    evil = b"#!/bin/sh\n" * 10
    sha256 = hashlib.sha256(evil).hexdigest()
    board = BOARD.replace(SHA.encode(), sha256.encode())
    with pytest.raises(BoardError, match="is text"):
        imported(tmp_path, ("board.json", board), (f"blobs/{sha256}.png", evil))


def test_a_missing_picture_is_for_board_check_to_tell(tmp_path):
    with imported(tmp_path, ("board.json", BOARD)) as file:
        assert "missing" in file.damage(file.board.cast[0].pictures[0])


def test_bombs(tmp_path, monkeypatch):
    with pytest.raises(BoardError, match="200 times its size"):
        imported(tmp_path, ("board.json", BOARD), (f"blobs/{SHA}.png", bytes(20 << 20)))
    with pytest.raises(BoardError, match="200 times its size"):
        imported(tmp_path, ("board.json", b" " * (60 << 20)))
    monkeypatch.setattr(board_zip, "MAX_TOTAL", 1000)
    with pytest.raises(BoardError, match="too large"):
        imported(tmp_path, *GOOD.items(), (f"blobs/{'a' * 64}.png", bytes(2000)))
    monkeypatch.setattr(board_zip, "MAX_ENTRIES", 10)
    with pytest.raises(BoardError, match="too large"):
        imported(tmp_path, *GOOD.items(), *((f"blobs/{number:064x}.png", b"") for number in range(20)))


def test_sizes_that_lie_read_no_more_than_the_limit(tmp_path, monkeypatch):
    """A directory entry that says 10 bytes for data that unpacks to 50 MB."""
    data = bytearray(zipped(tmp_path / "x.zip", ("board.json", bytes(50 << 20))).read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 10)
    (tmp_path / "x.zip").write_bytes(bytes(data))
    with pytest.raises(BoardError):
        import_zip(tmp_path / "x.zip", tmp_path / "in" / "b")


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_packings_are_refused(tmp_path, kind):
    with pytest.raises(BoardError, match="unknown way"):
        imported(tmp_path, *GOOD.items(), kind=kind)


def test_encrypted_is_refused(tmp_path):
    data = bytearray(zipped(tmp_path / "x.zip", *GOOD.items()).read_bytes())
    for magic, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        data[data.index(magic) + flags] |= 1
    (tmp_path / "x.zip").write_bytes(bytes(data))
    with pytest.raises(BoardError, match="encrypted"):
        import_zip(tmp_path / "x.zip", tmp_path / "in" / "b")


def test_a_board_that_is_there_is_not_replaced(tmp_path):
    BoardFile.create(tmp_path / "in" / "b", new_board("mine")).close()
    with pytest.raises(BoardError, match="is there already"):
        imported(tmp_path, *GOOD.items())
    with BoardFile.open(tmp_path / "in" / "b.fluxboard", write=False) as file:
        assert file.board.title == "mine"


@pytest.mark.sweep
def test_any_cut_and_any_flipped_byte_is_a_board_error_or_the_same_board(tmp_path):
    data = zipped(tmp_path / "x.zip", *GOOD.items()).read_bytes()
    chance = np.random.default_rng(7)
    harmed = [data[:size] for size in range(0, len(data), 37)]
    for place in chance.integers(0, len(data), 300):
        harmed.append(data[:place] + bytes([data[place] ^ int(chance.integers(1, 256))]) + data[place + 1 :])
    opened = 0
    for one in harmed:
        (tmp_path / "x.zip").write_bytes(one)
        try:
            file = import_zip(tmp_path / "x.zip", tmp_path / "in" / "b")
        except BoardError:
            continue
        assert file.board == msgspec.json.decode(BOARD, type=type(file.board))
        file.close()
        shutil.rmtree(file._path)
        opened += 1
    assert opened < len(harmed)


def test_noise_is_no_zip(tmp_path):
    for data in (b"", b"PK", b"PK\x05\x06" + bytes(18), zlib.compress(b"x" * 100), io.BytesIO(b"PK" * 999).getvalue()):
        (tmp_path / "x.zip").write_bytes(data)
        with pytest.raises(BoardError):
            import_zip(tmp_path / "x.zip", tmp_path / "in" / "b")
    with pytest.raises(BoardError):
        import_zip(tmp_path / "nothing.zip", tmp_path / "in" / "b")


def test_a_board_with_a_lost_picture_is_not_exported(tmp_path):
    with imported(tmp_path, ("board.json", BOARD)) as file, pytest.raises(BoardError, match="missing"):
        export_zip(file, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


def test_a_shared_board_does_not_say_where_its_owner_keeps_models_and_pictures(tmp_path):
    models = "/Users/anna/Library/Application Support/Flux Local/models"
    sha256 = "ab" * 32
    asked = Request(
        f"{models}/mine", "föx \ud83e \U0001f98a", 64, 64,
        references=(Reference(f"/Users/anna/b.fluxboard/blobs/{sha256}.png", "fox", "prop", sha256),),
        loras=(Lora(f"{models}/ink.safetensors"),), mask=Mask(f"/Users/anna/b.fluxboard/blobs/{sha256}.png", sha256),
    )  # fmt: skip
    with imported(tmp_path, *GOOD.items()) as file:
        picture = file.board.cast[0].pictures[0]
        panel = file.board.scenes[0].panels[0]
        takes = (Take("t1", picture, asked.to_json(), asked.model, "2026-01-01T00:00:00+00:00", 3),
                 Take("t2", picture, "{not json", "mini", "2026-01-01T00:00:00+00:00", 3))  # fmt: skip
        panel = replace(panel, takes=takes, current="t1", settings=Settings(model=f"{models}/mine"))
        scene = replace(file.board.scenes[0], panels=(panel,))
        file.save(replace(file.board, model=f"{models}/mine", scenes=(scene,)))
        export_zip(file, tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        data = next(archive.read(name) for name in archive.namelist() if name.endswith("board.json"))
    assert b"anna" not in data
    shared, _ = codec.decode(data)
    take = shared.scenes[0].panels[0].take
    told = from_json(take.request)
    assert (shared.model, shared.scenes[0].panels[0].settings.model, take.model, told.model) == ("mine",) * 4
    assert told.prompt == asked.prompt
    assert [told.references[0].path, told.mask.path] == [f"blobs/{sha256}.png"] * 2
    assert told.loras[0].path == "ink.safetensors"
