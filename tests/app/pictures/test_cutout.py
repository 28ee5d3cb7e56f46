"""The plain ground around a thing goes, the thing stays with smooth edges; what isn't plain is refused."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from app.pictures.cutout import find_figure, flood, remove_ground
from mlx_model.errors import Refused

WHITE, RED = (250, 250, 250), (200, 30, 30)


def opaque(picture):
    return np.asarray(picture.convert("RGBA"))


def sofa(ground=WHITE, size=(160, 120)):
    """A red disc with a hole of the ground's colour in it, with smooth edges."""
    large = Image.new("RGB", (4 * size[0], 4 * size[1]), ground)
    pen = ImageDraw.Draw(large)
    pen.ellipse((160, 80, 480, 400), fill=RED)
    pen.ellipse((280, 200, 360, 280), fill=ground)
    return large.resize(size, Image.Resampling.BOX)


def test_the_ground_is_clear_and_the_thing_stays_as_it_was():
    made = remove_ground(opaque(sofa()))
    assert made.shape == (120, 160, 4)
    assert (made[:15, :, 3].max(), made[60, 10, 3]) == (0, 0)
    assert tuple(made[40, 60]) == (*RED, 255)
    assert tuple(made[60, 80]) == (*WHITE, 255), "what the thing encloses is a part of it"


def test_edges_are_mixed_with_the_ground_no_longer():
    made = remove_ground(opaque(sofa()))
    edge = made[(made[..., 3] > 60) & (made[..., 3] < 250)]
    assert len(edge) > 20
    assert np.abs(edge[:, 1].astype(int) - RED[1]).mean() < 12, "a pale fringe would be seen on another picture"


def test_a_wash_of_light_and_noise_are_plain_too():
    across = np.linspace(200, 235, 160)[None, :, None] + np.linspace(0, 12, 120)[:, None, None]
    noise = np.random.default_rng(0).normal(0, 2.5, (120, 160, 3))
    shown = np.asarray(sofa()).astype(float)
    thing = (np.abs(shown - WHITE).max(2) > 40)[..., None]
    made = remove_ground(opaque(Image.fromarray(np.where(thing, shown, across + noise).clip(0, 255).astype(np.uint8))))
    ground = made[..., 3][~np.asarray(Image.fromarray(thing[..., 0]).convert("L").resize((160, 120))).astype(bool)]
    assert (ground == 0).mean() > 0.9
    assert made[40, 60, 3] == 255


def test_a_white_thing_on_nearly_white_stays():
    picture = Image.new("RGB", (100, 100), (244, 243, 240))
    ImageDraw.Draw(picture).rectangle((30, 30, 70, 70), fill=(255, 255, 255))
    assert remove_ground(opaque(picture))[50, 50, 3] == 255


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.random.default_rng(1).integers(0, 255, (80, 80, 4), np.uint8) | np.uint8([0, 0, 0, 255]), "isn't plain"),
        (np.repeat(np.repeat(np.uint8([[[9, 9, 9, 255]], [[200, 9, 9, 255]]]), 40, 0), 80, 1), "isn't plain"),
        (np.full((80, 80, 4), 255, np.uint8), "nothing but ground"),
        (np.zeros((80, 80, 4), np.uint8), "clear already"),
    ],
)
def test_what_has_no_plain_ground_is_refused_in_words(pixels, words):
    with pytest.raises(Refused, match=words) as told:
        remove_ground(pixels)
    assert "eraser" in str(told.value.hint)


def test_the_flood_goes_round_corners_and_through_no_wall():
    maze = np.array(
        [[c == "." for c in row] for row in ("#######", "..#...#", "#.#.#.#", "#...#.#", "####..#", "#.#####")]
    )
    reached = flood(maze)
    assert reached[4, 4]
    assert reached[5, 1], "from the lower edge"
    maze[3, 2] = False
    assert not flood(maze)[4, 4]


def test_what_is_left_is_found_and_is_no_smaller_than_a_picture_may_be():
    made = np.zeros((200, 300, 4), np.uint8)
    made[30:130, 290:300, 3] = 9
    assert find_figure(made) == (236, 30, 300, 130)
    assert find_figure(made[:, :, :][:50]) == (236, 0, 300, 50)
