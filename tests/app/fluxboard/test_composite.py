"""Pictures that lie on another: where they come to lie, how they are turned, mirrored, faded; what is outside."""

import numpy as np
import pytest
from PIL import Image

from app.board import commands
from app.board.data import Take, new_board
from app.board.picture import Placed
from app.fluxboard.check import problems
from app.fluxboard.composite import compose, lay
from app.fluxboard.file import BoardFile
from app.pictures.images import open_picture

RED, BLUE = (255, 0, 0, 255), (0, 0, 255, 255)


def sheet(width=200, height=100):
    return Image.new("RGBA", (width, height), "white")


def halves(width=40, height=20):
    """Red on the left, blue on the right."""
    made = Image.new("RGBA", (width, height), RED)
    made.paste(BLUE, (width // 2, 0, width, height))
    return made


def laid(**where):
    made = sheet()
    lay(made, halves(), Placed(None, **where))
    return made


def test_it_lies_with_its_middle_there_and_as_wide_as_said():
    made = laid(x=0.5, y=0.5, width=0.4)  # 80 x 40 pixels
    assert made.getpixel((65, 35)) == RED
    assert made.getpixel((135, 65)) == BLUE
    assert [made.getpixel(at) for at in ((55, 50), (145, 50), (100, 25), (100, 75))] == [(255,) * 4] * 4


def test_it_is_turned_clockwise_and_mirrored():
    turned = laid(x=0.5, y=0.5, width=0.4, angle=90.0)
    assert turned.getpixel((100, 20)) == RED  # what was left is above
    assert turned.getpixel((100, 80)) == BLUE
    assert laid(x=0.5, y=0.5, width=0.4, flipped=True).getpixel((65, 50)) == BLUE


def test_it_is_seen_through_and_may_lie_outside():
    red, green, _, _ = laid(x=0.5, y=0.5, width=0.4, opacity=0.5).getpixel((70, 50))
    assert red == 255
    assert 120 <= green <= 135
    assert laid(x=5.0, y=0.5, width=0.4).tobytes() == sheet().tobytes()


def test_much_smaller_it_is_the_mean_of_its_pixels():
    noise = np.random.default_rng(0).integers(0, 2, (400, 400), np.uint8) * 255
    layer = Image.fromarray(np.dstack([noise, noise, noise, np.full_like(noise, 255)]))
    made = sheet()
    lay(made, layer, Placed(None, 0.5, 0.5, 0.1))
    seen = np.asarray(made)[45:55, 95:105, 0].astype(int)
    assert abs(seen.mean() - 127) < 20
    assert seen.std() < 30


def test_the_composite_is_a_picture_of_the_board_no_larger_than_a_mask(tmp_path):
    with BoardFile.create(tmp_path / "a", new_board()) as file:
        ground = file.put_picture(np.full((100, 3000, 3), 255, np.uint8))
        clear = np.zeros((70, 100, 4), np.uint8)
        clear[:, 50:] = RED
        layer = file.put_picture(clear)
        made = compose(file, ground, [Placed(layer, 0.5, 0.5, 0.1)])
        pixels = open_picture(file.picture_path(made.sha256))
    assert (made.width, made.height) == (2048, 68) == pixels.shape[1::-1]
    assert tuple(pixels[34, 1024 + 50]) == (255, 0, 0)
    assert tuple(pixels[34, 1024 - 50]) == (255, 255, 255), "what is clear hides nothing"


def test_a_lost_picture_is_told_also_where_it_lies_on_another_or_both_together_are_kept(tmp_path):
    with BoardFile.create(tmp_path / "a", new_board()) as file:
        ground, layer, both = (file.put_picture(np.full((64, 64, 3), value, np.uint8)) for value in (1, 2, 3))
        take = Take("t", ground, "", "", "2026-01-01T00:00:00Z", 0, placed=(Placed(layer),), composite=both)
        file.save(commands.add_take(file.board, next(file.board.panels()).id, take))
        for lost in (layer, both):
            file.picture_path(lost.sha256).unlink()
        assert [(one.where, "lost" in one.what) for one in problems(file)][:2] == [("1A", True)] * 2


def test_what_can_t_be_pixels_is_refused(tmp_path):
    with BoardFile.create(tmp_path / "a", new_board()) as file, pytest.raises(ValueError, match="H, W, 4"):
        file.put_picture(np.zeros((70, 70, 2), np.uint8))
