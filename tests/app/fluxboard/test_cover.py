"""What a board looks like from outside: the first panel's picture, kept small where Quick Look finds it."""

import numpy as np
import pytest
from PIL import Image

from app.board import commands
from app.board.data import new_board
from app.board.panel_job import import_take
from app.fluxboard import cover, file
from app.fluxboard.file import BoardFile

THUMBNAIL = f"{file.LOOK}/{cover.NAME}"


@pytest.fixture
def board(tmp_path):
    with BoardFile.create(tmp_path / "film", new_board("Film")) as made:
        yield made


def give_picture(board, red, width=1600):
    """A take of one colour for the first panel."""
    panel = next(board.board.panels())
    picture = board.put_picture(np.full((900, width, 3), (red, 0, 0), np.uint8))
    board.save(commands.add_take(board.board, panel.id, import_take(picture)))


def look(board):
    with Image.open(board.path / THUMBNAIL) as image:
        return image.size, round(np.asarray(image)[..., 0].mean())


def test_it_shows_the_first_panel_s_picture_and_follows_it(board):
    give_picture(board, 200)
    cover.keep_thumbnail(board)
    assert look(board) == ((512, 288), 200)
    give_picture(board, 90)
    cover.keep_thumbnail(board)
    assert look(board)[1] == 90
    assert cover.find_cover(board.path).read_bytes() != (board.path / THUMBNAIL).read_bytes()


def test_what_is_shown_already_is_neither_read_nor_written(board, monkeypatch):
    give_picture(board, 200)
    cover.keep_thumbnail(board)
    monkeypatch.setattr(cover, "open_small", lambda *_: pytest.fail("it was decoded again"))
    cover.keep_thumbnail(board)


def test_a_board_without_pictures_has_none_and_loses_what_it_had(board):
    cover.keep_thumbnail(board)
    assert not (board.path / THUMBNAIL).exists()
    give_picture(board, 200)
    cover.keep_thumbnail(board)
    panel = next(board.board.panels())
    board.save(commands.remove_take(board.board, panel.id, panel.takes[0].id))
    cover.keep_thumbnail(board)
    assert not (board.path / THUMBNAIL).exists()


def test_nothing_outside_the_board_is_written_through_a_link(board, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (board.path / file.LOOK).symlink_to(tmp_path / "elsewhere")
    give_picture(board, 200)
    cover.keep_thumbnail(board)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_half_written_one_is_swept_when_the_board_is_opened(board):
    (board.path / file.LOOK).mkdir()
    left, path = board.path / file.LOOK / ".Thumbnail.jpg.0123456789abcdef.partial", board.path
    left.write_bytes(b"half")
    board.close()
    BoardFile.open(path).close()
    assert not left.exists()
