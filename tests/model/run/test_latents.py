"""Reference sizes as the reference implementation has them, and position ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_model.errors import RequestError
from mlx_model.geometry import Size, reference_size
from mlx_model.run.latents import grid_ids, reference_ids, text_ids

MEGAPIXEL = 1024 * 1024


@pytest.mark.parametrize(
    ("size", "cap", "wanted"),
    [
        ((640, 480), MEGAPIXEL, ((640, 480), (640, 480))),
        ((641, 495), MEGAPIXEL, ((641, 495), (640, 480))),  # cropped, not resized
        ((4000, 3000), MEGAPIXEL, ((1182, 886), (1168, 880))),  # rounded down
        ((4000, 3000), 2024 * 2024, ((2337, 1752), (2336, 1744))),
    ],
)
def test_reference_size(size, cap, wanted):
    assert reference_size(Size(*size), cap) == wanted


@pytest.mark.parametrize(("size", "words"), [((63, 200), "too small"), ((100, 900), "long and thin")])
def test_refused(size, words):
    with pytest.raises(RequestError, match=words):
        reference_size(Size(*size), MEGAPIXEL)


@given(st.integers(64, 12000), st.integers(64, 12000))
def test_never_over_the_cap_and_always_a_multiple(width, height):
    if max(width, height) > 8 * min(width, height):
        return
    resized, cropped = reference_size(Size(width, height), MEGAPIXEL)
    assert resized.area <= MEGAPIXEL
    assert cropped.width % 16 == cropped.height % 16 == 0
    assert resized.width - 16 < cropped.width <= resized.width
    assert resized.height - 16 < cropped.height <= resized.height


def test_ids():
    assert text_ids(2).tolist() == [[0, 0, 0, 0], [0, 0, 0, 1]]
    assert grid_ids((2, 2)).tolist() == [[0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 1, 1, 0]]
    assert reference_ids([(1, 2), (1, 1)]).tolist() == [[10, 0, 0, 0], [10, 0, 1, 0], [20, 0, 0, 0]]
    assert reference_ids([]).shape == (0, 4)
