"""The package: what is kept, found again, refused and put right."""

import itertools
import json
import os
import re
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
import send2trash
from PIL import Image

from app.board import commands
from app.board.data import Member, Panel, PanelReference, Picture, Source, Take, new_board, new_id
from app.fluxboard import codec, earlier, lock
from app.fluxboard.file import BoardFile
from mlx_model.errors import BoardError, BoardLocked
from tests.app.pictures.test_images import huge_png

PIXELS = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)


@pytest.fixture
def file(tmp_path):
    made = BoardFile.create(tmp_path / "film.fluxboard", new_board("film"))
    yield made
    made.close()


def titled(file: BoardFile, title: str):
    return commands.set_board(file.board, title=title)


def with_member(board, picture: Picture):
    return commands.add_member(board, Member(new_id(), "gull", pictures=(picture,)))


def reopened(file: BoardFile, **options) -> BoardFile:
    path = file.path
    file.close()
    return BoardFile.open(path, **options)


# Saving and opening


def test_what_was_saved_is_there(file):
    picture = file.put_picture(PIXELS, "gull.png")
    board = with_member(file.board, picture)
    file.save(board)
    with reopened(file) as again:
        assert (again.board, again.recovered, again.repairs, again.read_only) == (board, "", [], False)
        assert np.array_equal(np.asarray(Image.open(again.picture_path(picture.sha256))), PIXELS)
    assert sorted(os.listdir(again._path)) == ["blobs", "board.json", "history"]


def test_create_never_replaces(file, tmp_path):
    with pytest.raises(BoardError, match="is there already"):
        BoardFile.create(file.path, new_board())
    (tmp_path / "x.fluxboard").write_text("mine")
    with pytest.raises(BoardError):
        BoardFile.create(tmp_path / "x", new_board())
    assert (tmp_path / "x.fluxboard").read_text() == "mine"
    with pytest.raises(BoardError):
        BoardFile.create(tmp_path / "no" / "where", new_board())
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_a_closed_file_refuses(file):
    file.close()
    file.close()
    with pytest.raises(BoardError, match="closed"):
        file.save(file.board)
    with pytest.raises(BoardError, match="closed"):
        file.put_picture(PIXELS)


def test_a_board_that_could_not_be_read_again_is_not_saved(file):
    bad = msgspec.structs.replace(file.board, fps=0)
    with pytest.raises(BoardError, match="0 frames"):
        file.save(bad)
    with reopened(file) as again:
        assert again.board.fps == 24


@pytest.mark.parametrize("where", ["missing", "file", "empty"])
def test_what_is_no_board_is_told(tmp_path, where):
    path = tmp_path / "b.fluxboard"
    if where == "file":
        path.write_text("x")
    elif where == "empty":
        path.mkdir()
    with pytest.raises(BoardError, match=r"not a board|There is no"):
        BoardFile.open(path)
    assert not (path / "lock").exists()


def test_the_folder_may_be_moved_while_it_is_open(file, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    file.path.rename(tmp_path / "elsewhere" / "other.fluxboard")
    BoardFile.create(tmp_path / "film.fluxboard", new_board("another in its place")).close()
    picture = file.put_picture(PIXELS)
    file.save(with_member(titled(file, "moved"), picture))
    assert file.path == tmp_path / "elsewhere" / "other.fluxboard"
    assert file.picture_path(picture.sha256).parent.parent == file.path
    with reopened(file) as again:
        assert again.board.title == "moved"
    with BoardFile.open(tmp_path / "film.fluxboard") as other:
        assert other.board.title == "another in its place"


def test_a_deleted_folder_is_told_and_can_be_closed(file):
    import shutil

    shutil.rmtree(file.path)
    with pytest.raises(BoardError, match="no longer there") as caught:
        file.save(titled(file, "x"))
    assert "copy" in caught.value.hint
    file.note(file.board)
    file.close()


def test_what_somebody_else_wrote_meanwhile_becomes_a_restore_point(file):
    foreign = codec.encode(titled(file, "from the other Mac"))
    (file.path / "board.json").write_bytes(foreign)
    file.save(titled(file, "mine"))
    points = file.restore_points()
    assert file.restore(points[0]).title == "from the other Mac"
    with reopened(file) as again:
        assert again.board.title == "mine"


def test_a_read_only_folder_opens_for_reading(file, monkeypatch):
    path, real = file.path, os.open
    file.close()

    def read_only(name, flags, *rest, **more):
        if flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied", str(name))
        return real(name, flags, *rest, **more)

    monkeypatch.setattr(lock.os, "open", read_only)
    with BoardFile.open(path) as again:
        assert again.read_only
        assert again.board.title == "film"
        again.note(again.board)
        with pytest.raises(BoardError, match="for reading only") as caught:
            again.save(again.board)
        assert "copy" in caught.value.hint


def test_a_copy_has_the_pictures_of_its_board_only(file, tmp_path):
    used, unused = file.put_picture(PIXELS), file.put_picture(PIXELS + 1)
    file.save(with_member(file.board, used))
    with file.copy_to(tmp_path / "copy") as copy:
        assert copy.board == file.board
        assert copy.picture_path(used.sha256).is_file()
        with pytest.raises(BoardError):
            copy.picture_path(unused.sha256)
    with pytest.raises(BoardError, match="there already"):
        file.copy_to(file.path)


# The journal and recovery


def crash(file: BoardFile) -> Path:
    path = file.path
    file._lock.drop()
    os.close(file._descriptor)
    file._descriptor = -1
    return path


def test_changes_after_the_last_save_are_recovered(file):
    file.save(titled(file, "saved"))
    file.note(titled(file, "unsaved"))
    with BoardFile.open(crash(file)) as again:
        assert again.board.title == "unsaved"
        assert "recovered" in again.recovered
        assert again.restore(again.restore_points()[0]).title == "saved"
    with BoardFile.open(again._path) as clean:
        assert (clean.board.title, clean.recovered) == ("unsaved", "")


def test_an_outdated_journal_is_not_recovered(file):
    """Killed between the new board.json and the removal of the journal."""
    file.note(titled(file, "older"))
    journal = (file.path / "journal").read_bytes()
    file.save(titled(file, "newer"))
    (file.path / "journal").write_bytes(journal)
    with BoardFile.open(crash(file)) as again:
        assert (again.board.title, again.recovered) == ("newer", "")


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "noise", "magic"])
def test_a_broken_journal_is_passed_over(file, harm):
    file.note(titled(file, "unsaved"))
    path = file.path / "journal"
    data = bytearray(path.read_bytes())
    if harm == "flipped":
        data[-20] ^= 1
    harmed = {"cut": data[:-5], "flipped": data, "empty": b"", "noise": b"\xff\n" * 99, "magic": b"x" + data}[harm]
    path.write_bytes(bytes(harmed))
    with BoardFile.open(crash(file)) as again:
        assert (again.board.title, again.recovered) == ("film", "")


def test_a_number_out_of_all_bounds_is_told_where_the_board_goes_back(file):
    file.save(titled(file, "two"))
    file.save(titled(file, "three"))
    path = crash(file)
    whole = (path / "board.json").read_text("utf-8")
    harmed = re.sub(r'("seconds": ?)[\d.]+', r"\g<1>" + "9" * 400, whole, count=1)
    assert harmed != whole
    (path / "board.json").write_text(harmed, "utf-8")
    with BoardFile.open(path) as again:
        assert "a number in it is out of all bounds" in again.recovered


@pytest.mark.parametrize("harm", [b"", b"{", b"\0" * 500, None])
def test_a_damaged_board_json_is_set_aside_for_the_journal_or_the_last_restore_point(file, harm):
    file.save(titled(file, "two"))
    file.save(titled(file, "three"))  # restore point: film
    path = crash(file)
    path.joinpath("board.json").unlink() if harm is None else path.joinpath("board.json").write_bytes(harm)
    with BoardFile.open(path) as again:
        assert again.board.title == "film"
        assert "damaged or missing" in again.recovered
    if harm is not None:
        assert (path / "board-damaged.json").read_bytes() == harm
    with BoardFile.open(path) as clean:
        assert (clean.board.title, clean.recovered) == ("film", "")


def test_the_journal_is_newer_than_any_restore_point(file):
    file.save(titled(file, "two"))
    file.note(titled(file, "noted"))
    path = crash(file)
    (path / "board.json").write_bytes(b"{")
    with BoardFile.open(path) as again:
        assert again.board.title == "noted"


def test_reading_changes_nothing_even_where_something_was_recovered(file):
    file.note(titled(file, "unsaved"))
    path = crash(file)
    before = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
    with BoardFile.open(path, write=False) as again:
        assert (again.board.title, again.read_only) == ("unsaved", True)
    assert {p: p.read_bytes() for p in path.rglob("*") if p.is_file()} == before


# Restore points


def test_points_are_made_every_five_minutes_not_at_every_save(file, monkeypatch):
    for number in range(5):
        file.save(titled(file, str(number)))
    assert len(file.restore_points()) == 1
    monkeypatch.setattr(earlier, "MINUTES", 0)
    file.save(titled(file, "5"))
    assert len(file.restore_points()) == 2


def test_restoring_keeps_what_was_there(file):
    file.save(titled(file, "second"))
    first = file.restore(file.restore_points()[-1])
    assert first.title == "film"
    file.save(first)
    assert "second" in [file.restore(point).title for point in file.restore_points()]


@pytest.mark.sweep
def test_twenty_are_kept_close_together_lately_and_far_apart_long_ago(tmp_path):
    history, board = tmp_path / "history", tmp_path / "board.json"
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(500):
        board.unlink(missing_ok=True)  # as a save does: never into the file that a restore point may be
        board.write_text(str(number))
        earlier.keep(history, board, now=start + timedelta(minutes=6 * number))
    points = earlier.list_points(history)
    assert len(points) == earlier.KEPT
    texts = [int(point.path.read_text()) for point in points]
    assert texts[:4] == [499, 498, 497, 496]
    assert texts[-1] == 0
    gaps = [a - b for a, b in itertools.pairwise(texts)]
    assert sum(gaps[:6]) <= 8
    assert max(gaps) <= 250
    assert sum(gaps[-6:]) > 10 * sum(gaps[:6])


def test_a_clock_that_was_set_back_stops_no_save(file):
    file.save(titled(file, "a"))
    future = file.path / "history" / "20991231-235959-000000.json"
    file.restore_points()[0].path.rename(future)
    file.save(titled(file, "b"))
    assert len(file.restore_points()) == 2


def test_strange_files_in_history_are_no_points(file):
    for name in ("x.json", "20261340-000000-000000.json", ".DS_Store"):
        (file.path / "history" / name).write_text("{}")
    assert file.restore_points() == []


def test_a_damaged_restore_point_is_told(file):
    file.save(titled(file, "x"))
    point = file.restore_points()[0]
    point.path.write_text("{")
    with pytest.raises(BoardError, match="The restore point of"):
        file.restore(point)


# Pictures


def test_a_picture_is_kept_once_and_png_bytes_as_they_are(file):
    png = Path(file.path / "x.png")
    Image.fromarray(PIXELS).save(png)
    first, second = file.put_picture(png.read_bytes(), "a.png"), file.put_picture(png.read_bytes(), "b.png")
    assert (first.sha256, first.width, first.height, second.name) == (second.sha256, 8, 8, "b.png")
    assert file.picture_path(first.sha256).read_bytes() == png.read_bytes()
    assert file.put_picture(PIXELS[..., 0]).width == 8


@pytest.mark.parametrize("data", [b"", b"GIF89a" * 20, b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_what_is_no_png_is_refused(file, data):
    with pytest.raises(BoardError):
        file.put_picture(data)


def test_a_cut_png_and_a_bomb_are_refused(file, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    with pytest.raises(BoardError, match="cut short"):
        file.put_picture(bytes(data[:-4000]))
    with pytest.raises(BoardError, match="100 megapixels"):
        file.put_picture(huge_png(60_000, 60_000))
    data[16:24] = (60000).to_bytes(4, "big") * 2  # and no checksum for it
    with pytest.raises(BoardError, match=r"damaged or not a picture\."):
        file.put_picture(bytes(data))
    with pytest.raises(ValueError, match="uint8"):
        file.put_picture(PIXELS.astype(np.float32))


def test_a_damaged_blob_is_found_and_mended_by_the_same_picture(file):
    picture = file.put_picture(PIXELS)
    path = file.picture_path(picture.sha256)
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    assert "changed or damaged" in file.damage(picture)
    with reopened(file) as again:
        assert again.put_picture(PIXELS) == picture
        assert (path.read_bytes(), again.damage(picture)) == (good, "")
        path.unlink()
        assert "missing" in again.damage(picture)
        with pytest.raises(BoardError, match="is missing"):
            again.picture_path(picture.sha256)
        again.put_picture(PIXELS)
        assert again.damage(picture) == ""


@pytest.mark.parametrize("name", ["../board", "a" * 63, "A" * 64, "", "/etc/passwd", "a" * 64 + "/../x"])
def test_only_a_hash_becomes_a_path(file, name):
    with pytest.raises(BoardError, match="not the name of a picture"):
        file.picture_path(name)


def test_unused_pictures_go_to_the_trash_only_when_nothing_names_them(file, monkeypatch):
    used, undone, old, unused = (file.put_picture(PIXELS + number) for number in range(4))
    file.save(with_member(file.board, old))
    history = with_member(new_board(), undone)
    monkeypatch.setattr(earlier, "MINUTES", 0)
    file.save(with_member(new_board(), used))
    trashed = []
    monkeypatch.setattr(send2trash, "send2trash", trashed.append)
    assert file.list_unused_blobs([history]) == [file.picture_path(unused.sha256)]
    assert file.move_unused_to_trash([history]) == [file.picture_path(unused.sha256)]
    assert trashed == [str(file.picture_path(unused.sha256))]
    file.restore_points()[0].path.write_text("{")
    assert file.list_unused_blobs() == []


# Two at once


def test_two_windows_can_t_have_it(file):
    with pytest.raises(BoardLocked, match="open already, in this window"):
        BoardFile.open(file.path)
    with BoardFile.open(file.path, write=False) as reader:
        assert reader.read_only
    reopened(file).close()


HOLDER = """
import sys, time
from app.fluxboard.file import BoardFile
file = BoardFile.open(sys.argv[1])
print("open", flush=True)
time.sleep(60)
"""


def test_two_processes_can_t_and_a_killed_one_leaves_no_lock(file):
    path = file.path
    file.close()
    child = subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "open\n"
        with pytest.raises(BoardLocked, match="in another window or program"):
            BoardFile.open(path)
    finally:
        child.kill()
        child.communicate()
    assert (path / "lock").exists()
    with BoardFile.open(path) as again:
        assert not again.read_only
    assert not (path / "lock").exists()


def test_of_many_who_open_at_once_one_gets_it(file):
    path, got, refused = file.path, [], []
    file.close()
    start = threading.Barrier(8)

    def race():
        start.wait()
        try:
            got.append(BoardFile.open(path))
        except BoardLocked as error:
            refused.append(error)

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 7)
    got[0].close()


def test_a_lock_of_another_machine_is_believed_until_told_otherwise(file):
    path = file.path
    file.close()
    (path / "lock").write_text(json.dumps({"pid": 1, "host": "studio", "machine": "abc"}))
    with pytest.raises(BoardLocked, match="open on studio"):
        BoardFile.open(path)
    BoardFile.open(path, anyway=True).close()
    assert not (path / "lock").exists()


@pytest.mark.parametrize("text", ["", "{}", "x", '{"pid": "y"}', "\0" * 9000])
def test_a_lock_file_of_nonsense_locks_nothing(file, text):
    path = file.path
    file.close()
    (path / "lock").write_text(text)
    BoardFile.open(path).close()


def test_without_flock_the_process_that_is_named_decides(file, monkeypatch):
    path = file.path
    file.close()

    def none(*_):
        raise OSError(lock.NO_FLOCK[0], "not supported")

    monkeypatch.setattr(lock.fcntl, "flock", none)
    with BoardFile.open(path), pytest.raises(BoardLocked):
        BoardFile.open(path)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    mine = lock.Owner.me()
    (path / "lock").write_text(json.dumps({"pid": dead.pid, "host": mine.host, "machine": mine.machine}))
    BoardFile.open(path).close()


# board.json from anywhere


PICTURE = {"sha256": "a" * 64, "width": 1, "height": 1}


def plain(**changes) -> dict:
    return {**json.loads(msgspec.json.encode(new_board())), **changes}


def decoded(value) -> tuple:
    return codec.decode(value if isinstance(value, bytes) else json.dumps(value).encode())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "damaged or not a board"),
        (b"null", "not a board"),
        (b"[]", "not a board"),
        (b"{}", "no schema version"),
        (b'{"schema": 1}', "not a board"),
        (b'{"schema": "1"}', "not a board"),
        (b'{"schema": 1e400}', "not a board"),
        (b"[" * 100_000, "not a board"),
        (b'{"a":' * 100_000, "not a board"),
        (b'{"schema": 1, "id": "\xff"}', "not a board"),
        (json.dumps(plain()).encode()[:-10], "damaged"),
        (json.dumps(plain(schema=3)).encode(), "newer version"),
        (json.dumps(plain(schema=0)).encode(), "no schema version"),
        (json.dumps(plain(schema=10**400)).encode(), "board"),
        (json.dumps(plain(fps=float("nan"))).encode(), "not a board"),
        (json.dumps(plain(fps=10**30)).encode(), "board"),
        (json.dumps(plain(extra=1)).encode(), "unknown field"),
        (json.dumps(plain(title="x" * 200_000)).encode(), "100000 characters"),
        (json.dumps(plain(scenes=[{"id": "s"}] * 3000)).encode(), "more than 2000 scenes"),
        (json.dumps(plain(aspect=[1, 0])).encode(), "aspect"),
        (b'{"schema": 1, "x": "' + b"{" * 1_000_001, "too large"),
        (b" " * (64 * 1024 * 1024 + 1), "too large"),
    ],
    ids=range(22),
)
def test_hostile_json_is_refused_with_a_reason(data, said):
    with pytest.raises(BoardError, match=said):
        codec.decode(data)


def test_a_newer_board_is_not_replaced_by_an_older_state(file):
    file.save(titled(file, "x"))
    file.note(titled(file, "y"))
    newer = json.dumps(plain(schema=7)).encode()
    path = crash(file)
    (path / "board.json").write_bytes(newer)
    with pytest.raises(BoardError, match=r"newer version of Flux Local \(schema 7\)"):
        BoardFile.open(path)
    assert (path / "board.json").read_bytes() == newer


def test_an_older_schema_is_migrated_and_its_file_kept(file, monkeypatch):
    """A made-up past in which the title was called name, and then panels lay in the board."""

    def scenes(old):
        panels = old.pop("panels")
        return {**old, "scenes": [{"id": "s1", "heading": "", "panels": panels}]}

    def title(old):
        name = old.pop("name")
        return {**old, "title": name}

    monkeypatch.setattr(codec, "SCHEMA", 3)
    monkeypatch.setattr(codec, "MIGRATIONS", [scenes, title])
    old = {"schema": 1, "id": "b", "name": "old film", "panels": [{"id": "p", "prompt": "a gull"}]}
    path = crash(file)
    (path / "board.json").write_text(json.dumps(old))
    with BoardFile.open(path) as again:
        assert (again.board.title, next(again.board.panels()).prompt, again.board.schema) == ("old film", "a gull", 3)
        assert "older version" in again.repairs[0]
        again.save(again.board)
        kept = json.loads(again.restore_points()[0].path.read_text())
    assert kept == old
    with pytest.raises(BoardError, match="schema 1 says"):
        decoded({"schema": 1, "id": "b"})


def test_what_can_be_put_right_is(monkeypatch):
    shot, hat = Picture("a" * 64, 8, 8), Picture("b" * 64, 8, 8)
    take = Take("t", shot, "{}", "mini", "2026-01-01T00:00:00Z", 1)
    reference = PanelReference("r", hat, name="hat", member="gone")
    twin = Panel("p", references=(reference, reference), takes=(take, take), current="lost")
    lost = Panel("q", source=Source("panel", "nowhere"), mask=hat)
    board = commands.add_scene(new_board())
    scenes = (msgspec.structs.replace(board.scenes[0], panels=(twin, twin, lost)),)
    cast = (Member("m", "two words"), Member("m", "Gull", colour="red"), Member("n", "gull"))
    broken = msgspec.structs.replace(board, scenes=scenes, cast=cast)
    mended, repairs = codec.decode(msgspec.json.encode(broken))
    codec.check(mended)
    assert codec.decode(codec.encode(mended)) == (mended, [])
    panels = list(mended.panels())
    assert len({panel.id for panel in panels}) == 3
    assert [panel.take.picture for panel in panels[:2]] == [shot, shot]
    assert [r.picture for r in panels[0].references] == [hat, hat]
    assert [r.name for r in panels[0].references] == ["hat", "hat-2"]
    assert (panels[2].source, panels[2].mask) == (Source(), None)
    assert [member.name for member in mended.cast] == ["two-words", "Gull", "gull-2"]
    for part in ("cast member had an id", "is gone; it starts from nothing", "is called gull-2", "keeps its picture"):
        assert [text for text in repairs if part in text], part


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seconds": 0}, "0.0 seconds"),
        ({"seed": 2**64}, "seed"),
        ({"source": {"kind": "other"}}, "Invalid enum"),
        ({"takes": [{"id": "t"}]}, "missing required field"),
        ({"references": [{"id": str(n), "picture": PICTURE} for n in range(11)]}, "more than 10"),
        ({"mask": {"sha256": "../../x", "width": 1, "height": 1}}, "not a sha256"),
        ({"mask": {"sha256": "a" * 64, "width": 10**6, "height": 10**6}}, "megapixels"),
        ({"settings": {"strength": 0}}, "strength"),
    ],
    ids=range(8),
)
def test_a_panel_of_nonsense_is_refused(change, said):
    board = plain()
    board["scenes"][0]["panels"][0] |= change
    with pytest.raises(BoardError, match=said):
        decoded(board)


def test_a_hundred_thousand_panels_are_refused_quickly():
    board = plain()
    board["scenes"][0]["panels"] = [{"id": str(number)} for number in range(100_000)]
    with pytest.raises(BoardError, match="more than 20000 panels"):
        decoded(board)
