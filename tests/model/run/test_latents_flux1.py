"""Sizes, position ids, mask channels and the schedule of FLUX.1."""

import mlx.core as mx
import numpy as np
import pytest

from mlx_model.geometry import Size
from mlx_model.run import flux1 as latents
from mlx_model.run.sampler import linear_mu, timesteps
from mlx_model.specs import SPECS
from tests.golden import vectors

KONTEXT = SPECS["flux1-kontext-dev"]
SCHEDULES = vectors("flux1_schedules")["flux1"]


@pytest.mark.parametrize("row", [row for row in SCHEDULES if row["mu"]], ids=lambda row: f"{row['seq']}-{row['steps']}")
def test_schedule(row):
    """The vectors are float32 in 7 digits."""
    assert linear_mu(row["seq"]) == pytest.approx(row["mu"], abs=1e-12)
    assert np.abs(timesteps(row["steps"], linear_mu(row["seq"])) - row["t"]).max() < 3e-7


@pytest.mark.parametrize("row", [row for row in SCHEDULES if row["mu"] is None], ids=lambda row: str(row["steps"]))
def test_schnell_is_not_shifted(row):
    assert np.abs(timesteps(row["steps"], 0.0) - row["t"]).max() < 1e-7


def test_ids():
    assert latents.text_ids(2).tolist() == [[0, 0, 0]] * 2
    assert latents.grid_ids((2, 2)).tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1]]
    assert latents.reference_ids([(1, 2)]).tolist() == [[1, 0, 0], [1, 0, 1]]
    assert latents.reference_ids([]).shape == (0, 3)


def test_several_references_lie_side_by_side():
    ids = latents.reference_ids([(2, 3), (1, 2)])
    assert ids[:, 0].tolist() == [1] * 8
    assert ids[:6].tolist() == latents.grid_ids((2, 3), 1).tolist()
    assert ids[6:].tolist() == [[1, 0, 3], [1, 0, 4]]


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((1000, 1000), (1024, 1024)), ((1920, 1080), (1392, 752)), ((10, 4000), (672, 1568)), ((832, 1248), (832, 1248))],
)
def test_kontext_size(size, wanted):
    assert KONTEXT.choose_preferred(Size(*size)) == wanted
    assert KONTEXT.output_size(np.zeros((size[1], size[0], 3), np.uint8)) == wanted


def test_preferred_sizes_are_mirrored_about_a_megapixel():
    sizes = KONTEXT.preferred_sizes
    assert sorted((h, w) for w, h in sizes) == sorted(sizes)
    assert all(w % 16 == h % 16 == 0 and 0.98e6 < w * h < 1.1e6 for w, h in sizes)
    assert all(KONTEXT.choose_preferred(Size(*size)) == size for size in sizes)


def test_mask_channels():
    """Token channel = (y * 8 + x) * 4 + p * 2 + q for pixel (y, x) of the patch (p, q) inside the token."""
    mask = np.random.default_rng(0).random((32, 48)).astype(np.float32)
    packed = np.array(latents.pack_mask(mask))
    assert packed.shape == (1, 6, 256)
    for row, column, p, q, y, x in [(0, 0, 0, 0, 0, 0), (1, 2, 1, 0, 3, 5), (0, 1, 0, 1, 7, 2), (1, 0, 1, 1, 7, 7)]:
        pixel = mask[row * 16 + p * 8 + y, column * 16 + q * 8 + x]
        assert packed[0, row * 3 + column, (y * 8 + x) * 4 + p * 2 + q] == pixel


def test_fill_channels():
    mask = np.zeros((32, 32), np.float32)
    mask[:16] = 1
    made = latents.fill_channels(mx.full((1, 4, 64), 3.0), mask)
    assert made.shape == (1, 4, 320)
    assert made[0, :, 0].tolist() == [3, 3, 3, 3]
    assert made[0, :, 64:].mean(axis=-1).tolist() == [1, 1, 0, 0]


def test_erase_leaves_grey():
    mask = np.array([[1.0, 0.0]])
    assert latents.erase(mx.full((1, 1, 2, 3), 0.5), mask).tolist() == [[[[0, 0, 0], [0.5, 0.5, 0.5]]]]
