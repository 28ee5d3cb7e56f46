"""Where the source stands on the canvas, with its mask, for every pair of sizes."""

import numpy as np
import pytest

from mlx_model.geometry import Size
from mlx_model.request import Mask, Reference, Request
from mlx_model.run.latents import composite, place
from mlx_model.run.masked import mark_cells
from mlx_model.run.pictures import centre

SOURCE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
MASK = np.zeros((40, 60), np.float32)
MASK[10:20, 30:50] = 1


def request(**options):
    options = {"width": 60, "height": 40, "references": (Reference(pixels=SOURCE),)} | options
    return Request("mini", "x", **options)


def test_at_its_own_size_nothing_is_scaled():
    placed = place(request(mask=Mask(pixels=MASK)), Size(64, 48))
    assert placed.pixels.shape == (48, 64, 3)
    assert np.array_equal(placed.pixels[4:44, 2:62], SOURCE)
    assert np.array_equal(placed.mask[4:44, 2:62], MASK)
    assert np.array_equal(placed.pixels[:4, 2:62], np.repeat(SOURCE[:1], 4, axis=0))  # continued from the edge
    assert np.array_equal(centre(placed.pixels, Size(60, 40)), SOURCE)


@pytest.mark.parametrize("size", [(120, 80), (120, 60), (60, 80), (30, 20)])
def test_source_and_mask_are_scaled_and_cropped_alike(size):
    """A white patch in the picture and the same patch in the mask stay together."""
    pixels = np.repeat((255 * MASK).astype(np.uint8)[..., None], 3, axis=-1)
    given = request(mask=Mask(pixels=MASK), references=(Reference(pixels=pixels),), width=size[0], height=size[1])
    placed = place(given, Size(*size))
    assert placed.pixels.shape == (size[1], size[0], 3)
    picture, mask = placed.pixels[..., 0] > 127, placed.mask > 0.5
    assert mask.any()
    assert (picture != mask).mean() < 0.03


def test_new_ground_is_repainted_and_the_source_is_not():
    placed = place(request(outpaint=(3, 5, 1, 0), width=64, height=45), Size(64, 48))
    assert np.array_equal(placed.pixels[6:46, 3:63], SOURCE)  # one row of rim above, then five of new ground
    inner = np.pad(np.zeros((40, 60)), ((5, 0), (3, 1)), constant_values=1)
    assert np.array_equal(placed.mask, np.pad(inner, ((1, 2), (0, 0)), mode="edge"))


def test_composite():
    made = np.full((40, 60, 3), 7, np.uint8)
    assert composite(request(), made) is made
    mixed = composite(request(mask=Mask(pixels=MASK / 2)), made)
    assert np.array_equal(mixed[MASK == 0], SOURCE[MASK == 0])
    assert np.abs(mixed[MASK == 1] - (SOURCE[MASK == 1] / 2 + 3.5)).max() <= 0.5


def test_a_cell_that_the_mask_touches_is_repainted():
    mask = np.zeros((16, 24), np.float32)
    mask[7, 8:10] = 0.25, 1
    assert mark_cells(mask, 8).tolist() == [[0, 1, 0], [0, 0, 0]]
