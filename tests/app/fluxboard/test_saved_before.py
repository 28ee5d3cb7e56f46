"""Boards that people have: one that was saved before opens as it was, and saving it again writes the same bytes."""

import json
import shutil
from fractions import Fraction
from pathlib import Path

import pytest
from msgspec import to_builtins

from app.board import data
from app.board.data import pictures
from app.fluxboard import codec
from app.fluxboard.archive import export_zip, import_zip
from app.fluxboard.file import BoardFile
from mlx_model.errors import BoardError

BOARDS = Path(__file__).resolve().parents[2] / "data" / "boards"


@pytest.mark.parametrize("name", sorted(path.name for path in BOARDS.glob("*.fluxboard")))
def test_a_board_that_was_saved_before_opens_unchanged(name, tmp_path):
    place = Path(shutil.copytree(BOARDS / name, tmp_path / name))
    written = (place / "board.json").read_bytes()
    with BoardFile.open(place) as file:
        assert (file.repairs, file.recovered, file.missing()) == ([], "", 0)
        assert [file.damage(picture) for picture in pictures(file.board)] == [""] * len(list(pictures(file.board)))
        assert codec.encode(file.board) == written
        file.save(file.board)
        export_zip(file, tmp_path / "shared.zip")
        board = file.board
    assert (place / "board.json").read_bytes() == written
    with import_zip(tmp_path / "shared.zip", tmp_path / "again") as again:
        assert [scene.heading for scene in again.board.scenes] == [scene.heading for scene in board.scenes]
        assert again.missing() == 0


def test_it_holds_a_thing_of_every_kind():
    """So that no part of the format is left out of the test above."""
    with BoardFile.open(BOARDS / "harbour.fluxboard", write=False) as file:
        first, second = file.board.panels()
    assert file.board.cast[0].pictures
    assert first.references[0].member == file.board.cast[0].id
    assert (first.references[1].name, first.take.seed, first.takes[1].note) == ("hat", 7, "imported")
    assert (second.source.panel, second.mask.width, second.take) == (first.id, 16, None)
    assert [one.used for one in first.written] == [False]


def test_loras_and_what_a_model_was_taught_are_kept():
    used = data.Settings(loras=(data.Adapter("soft"),))
    none = data.Settings(loras=())  # a panel that takes none of the board's
    panels = tuple(data.Panel(name, settings=one) for name, one in (("p", used), ("q", none), ("r", data.Settings())))
    cast = (data.Member("m", "fox", taught=(data.Taught("mini", "fox-2", "fox"),)),)
    board = data.Board("b", loras=used.loras, cast=cast, scenes=(data.Scene("s", panels=panels),))
    assert codec.decode(codec.encode(board))[0] == board


def test_boards_of_schema_1_lose_nothing(tmp_path):
    """Written by the program of then; the file as it was stays a restore point."""
    place = Path(shutil.copytree(BOARDS / "schema1" / "edits.fluxboard", tmp_path / "edits.fluxboard"))
    written = (place / "board.json").read_bytes()
    before = json.loads(written)
    with BoardFile.open(place, write=False) as file:
        assert file.repairs == [codec.OLDER]
    assert (place / "board.json").read_bytes() == written
    with BoardFile.open(place) as file:
        file.save(file.board)
        after, points = file.board, file.restore_points()
    assert [point.path.read_bytes() for point in points] == [written]
    assert (after.fps, after.rate) == (24000 / 1001, Fraction(24000, 1001))
    assert json.loads((place / "board.json").read_bytes())["fps"] == "24000/1001"
    kept = to_builtins(after)
    for old, new in zip(before["scenes"][0]["panels"], kept["scenes"][0]["panels"], strict=True):
        words = old.pop("prompt")
        assert words in (new["prompt"], new["instruction"])
        assert holds(old, new)
    del before["scenes"], before["schema"]
    assert holds(before, kept)


def test_words_and_takes_of_schema_1_are_told_apart(tmp_path):
    with BoardFile.open(BOARDS / "schema1" / "edits.fluxboard", write=False) as file:
        first, second, third = file.board.panels()
    assert (first.prompt, first.instruction, first.words) == ("", "add a red hat", "add a red hat")
    assert (third.prompt, third.instruction) == ("a quiet harbour", "")
    assert [take.parent for take in first.takes] == [None, "t1", None]  # the third was only shown that picture
    assert [take.instruction for take in first.takes] == [
        "a fox by the sea. ink", "make it night. ink", "a hat like image 1. ink",
    ]  # fmt: skip
    assert second.take.parent == "t2"


def holds(old, new) -> bool:
    """Whether everything in `old` is in `new`, which may hold more."""
    if isinstance(old, dict):
        return all(name in new and holds(value, new[name]) for name, value in old.items())
    if isinstance(old, list):
        return len(old) == len(new) and all(map(holds, old, new))
    return old == new


def test_a_newer_board_is_refused_and_left_alone(tmp_path):
    place = Path(shutil.copytree(BOARDS / "harbour.fluxboard", tmp_path / "newer.fluxboard"))
    newer = (place / "board.json").read_bytes().replace(b'"schema":2', b'"schema":3')
    (place / "board.json").write_bytes(newer)
    with pytest.raises(codec.NewerBoard, match="newer version of Flux Local"):
        BoardFile.open(place)
    assert (place / "board.json").read_bytes() == newer


@pytest.mark.parametrize("rate", ["", "24", "24/0", "-1/1", "1/0x2", "24000/1001 "])
def test_what_is_no_rate_is_refused(rate):
    plain = json.loads((BOARDS / "harbour.fluxboard" / "board.json").read_bytes())
    with pytest.raises(BoardError, match="not a board"):
        codec.decode(json.dumps({**plain, "fps": rate}).encode())
