"""Clips to tokens and back: nothing is lost, and every token stands for its own part of the clip."""

import numpy as np
import pytest

from mlx_model.training.patches import Bands, Pixels, Sound

VIDEO, SOUND = Pixels(4, 16, (2, 8)), Sound(Bands(16, 8, (2, 8)))


@pytest.mark.parametrize("codec", [Pixels(1, 16, (1, 8)), VIDEO])
def test_pixels_come_back_to_the_bit(codec):
    clip = np.random.default_rng(0).integers(0, 256, codec.shape).astype(np.uint8)
    tokens = codec.encode(clip)
    assert tokens.shape == (np.prod(codec.places), codec.width)
    assert (tokens.min(), tokens.max()) == (-1, 1)
    assert np.array_equal(codec.decode(tokens), clip)


def test_a_sound_comes_back_and_none_of_it_is_counted_twice():
    """Over the ring's seam too, and as loud as it was: the transform is orthonormal."""
    clip = np.random.default_rng(0).uniform(-1, 1, SOUND.shape).astype(np.float32)
    tokens = SOUND.encode(clip)
    assert tokens.shape == (np.prod(SOUND.places), SOUND.width)
    assert np.abs(SOUND.decode(tokens) - clip).max() < 1e-6
    assert np.sum(tokens.astype(float) ** 4) == pytest.approx(np.sum(clip.astype(float) ** 2), rel=1e-5)


def test_a_token_is_its_place_in_the_film():
    clip = np.zeros(VIDEO.shape, np.uint8)
    clip[2, 3, 9] = 255  # the second pair of frames, the first row of patches, the second column
    changed = np.flatnonzero((VIDEO.encode(clip) != -1).any(1))
    assert changed.tolist() == [np.ravel_multi_index((1, 0, 1), VIDEO.places)]


def test_a_high_tone_is_in_the_upper_bands_and_a_late_one_in_later_frames():
    seconds = np.arange(SOUND.shape[0])
    tone = np.sin(2 * np.pi * 0.4 * seconds) * (seconds > 96)  # 0.8 of the highest, in the last quarter
    energy = (SOUND.encode(tone) ** 4).sum(1).reshape(SOUND.places)
    assert energy[:, 1].sum() > 20 * energy[:, 0].sum()
    assert energy[3].sum() > 20 * energy[:2].sum()


def test_noise_beyond_what_can_be_shown_is_cut():
    assert VIDEO.decode(np.full((16, VIDEO.width), 3.0)[: np.prod(VIDEO.places)]).min() == 255
    assert np.abs(SOUND.decode(np.full((8, 16), 9.0))).max() <= 1
