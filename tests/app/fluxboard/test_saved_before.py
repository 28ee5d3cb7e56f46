"""Boards that people have: one that was saved before opens as it was, and saving it again writes the same bytes."""

import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from app.board import data
from app.board.data import pictures
from app.fluxboard import codec
from app.fluxboard.archive import export_zip, import_zip
from app.fluxboard.file import BoardFile

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


def test_what_older_programs_do_not_know_is_written_only_where_it_is_used():
    """They refuse a board with a field that they have no name for."""
    board = data.Board("b", scenes=(data.Scene("s", panels=(data.Panel("p"),)),))
    assert b"loras" not in codec.encode(board)
    untaught = replace(board, cast=(data.Member("m", "fox"),))
    assert b"taught" not in codec.encode(untaught)
    taught = replace(board, cast=(data.Member("m", "fox", taught=(data.Taught("mini", "fox-2", "fox"),)),))
    assert codec.decode(codec.encode(taught))[0] == taught
    used = data.Settings(loras=(data.Adapter("soft"),))
    board = data.Board("b", loras=used.loras, scenes=(data.Scene("s", panels=(data.Panel("p", settings=used),)),))
    assert codec.encode(board).count(b"loras") == 2
    assert codec.decode(codec.encode(board))[0] == board
    none = replace(board, scenes=(data.Scene("s", panels=(data.Panel("p", settings=data.Settings(loras=())),)),))
    assert codec.decode(codec.encode(none))[0] == none  # a panel that takes none of the board's
