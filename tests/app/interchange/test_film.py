"""MP4: what the camera does in it, and the board's sound beside it."""

from fractions import Fraction

import numpy as np
import pytest

from app.board import commands
from app.board.camera import Camera, Frame
from app.board.data import Sound, new_board
from app.board.panel_job import import_take
from app.fluxboard.file import BoardFile
from app.interchange.formats import export_board
from tests.app.sound.test_sound import write

av = pytest.importorskip("av")


@pytest.fixture
def file(tmp_path):
    """Two panels of a second at 10 frames a second: a picture that is red on the left and blue on the right."""
    pixels = np.zeros((180, 320, 3), np.uint8)
    pixels[:, :160, 0] = pixels[:, 160:, 2] = 220
    with BoardFile.create(tmp_path / "b", commands.set_board(new_board("b"), fps=10)) as made:
        board = commands.add_panel(made.board, made.board.scenes[0].id)
        for panel in board.panels():
            board = commands.add_take(board, panel.id, import_take(made.put_picture(pixels)))
            board = commands.set_panel(board, panel.id, seconds=1.0)
        made.save(board)
        yield made


def export(file, board, tmp_path, **options):
    return export_board("mp4", board, file.picture_path, tmp_path / "film", width=320, captions=False, **options)


def colours(path):
    """Of each frame the means of red and blue."""
    with av.open(str(path)) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    return [(frame[..., 0].mean(), frame[..., 2].mean()) for frame in frames]


def test_the_camera_goes_from_the_one_frame_to_the_other_and_other_panels_stand(file, tmp_path):
    first = next(file.board.panels())
    camera = Camera("", "", "pan", Frame(0.25, 0.5, 0.5), Frame(0.75, 0.5, 0.5))
    board = commands.set_panel(file.board, first.id, camera=camera)
    seen = colours(export(file, board, tmp_path).path)
    assert len(seen) == 20
    assert seen[0][0] > 190 > 30 > seen[0][1]  # all red, then all blue
    assert seen[9][1] > 190 > 30 > seen[9][0]
    reds = [red for red, _ in seen[:10]]
    assert reds == sorted(reds, reverse=True)
    assert all(80 < red < 140 for red, _ in seen[10:])


@pytest.mark.parametrize(("start", "quiet", "loud"), [(0.0, 0.25, 1.0), (0.5, 0.75, 1.5), (-0.5, 1.75, 0.25)])
def test_the_sound_lies_beside_the_film_from_its_start_on(file, tmp_path, start, quiet, loud):
    sound = file.put_sound(write(tmp_path / "tone.wav", seconds=1.5 if start < 0 else 5, rate=22050))
    board = commands.set_board(file.board, sound=Sound(sound.sha256, "tone", start))
    made = export(file, board, tmp_path)
    assert made.notes == []
    with av.open(str(made.path)) as film:
        assert abs(Fraction(film.duration, av.time_base) - 2) < 0.1
        blocks = [frame.to_ndarray() for frame in film.decode(audio=0)]
    heard = np.concatenate(blocks, axis=1)[0]

    def level(at):
        return np.abs(heard[round((at - 0.1) * 48000) : round((at + 0.1) * 48000)]).max()

    assert level(loud) > 0.3
    assert level(quiet) < 0.05


def test_a_lost_sound_and_chosen_panels_make_a_silent_film_that_says_so(file, tmp_path):
    board = commands.set_board(file.board, sound=Sound("0" * 64))
    assert "missing or damaged" in export(file, board, tmp_path).notes[0]
    some = [next(board.panels()).id]
    made = export(file, board, tmp_path, panels=some)
    assert "not all were chosen" in made.notes[0]
    with av.open(str(made.path)) as film:
        assert not film.streams.audio
    gif = export_board("gif", board, file.picture_path, tmp_path / "film", width=64)
    assert gif.notes == ["Camera moves and sound are in an MP4 only."]
