"""Pictures, video clips and sounds as sequences of tokens, without a trained autoencoder: nothing is lost.

Pixels go into space-time patches. Sound goes through the modified discrete cosine transform (Princen and Bradley 1986;
the frames of a clip overlap by half and close to a ring, so that it is orthonormal), is pressed together by the square
root as hearing does, and is cut into patches of frames and bands. Axis letters: F frames, H rows, W columns, S samples,
N tokens, C numbers of a token.
"""

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

Places = tuple[int, int, int]  # tokens along time, rows or bands, columns

FILMED, HEARD = 8, 8000  # frames and samples a second


class Pixels(NamedTuple):
    """Clips (F, H, W, 3) uint8; a picture is a clip of one frame. `patch`: frames, and pixels of either side."""

    frames: int
    side: int
    patch: tuple[int, int]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a clip."""
        return (self.frames, self.side, self.side, 3)

    @property
    def places(self) -> Places:
        deep, wide = self.patch
        return self.frames // deep, self.side // wide, self.side // wide

    @property
    def width(self) -> int:
        """C."""
        deep, wide = self.patch
        return deep * wide * wide * 3

    def encode(self, clip: np.ndarray) -> np.ndarray:
        """(F, H, W, 3) uint8 -> (N, C) float32 in [-1, 1]."""
        (deep, wide), (t, r, c) = self.patch, self.places
        cut = clip.reshape(t, deep, r, wide, c, wide, 3).transpose(0, 2, 4, 1, 3, 5, 6)
        tokens: np.ndarray = cut.reshape(t * r * c, self.width).astype(np.float32) / 127.5 - 1
        return tokens

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """Inverse of encode; what lies beyond black and white is cut."""
        (deep, wide), (t, r, c) = self.patch, self.places
        cut = tokens.reshape(t, r, c, deep, wide, wide, 3).transpose(0, 3, 1, 4, 2, 5, 6).reshape(self.shape)
        pixels: np.ndarray = np.rint((np.clip(cut, -1, 1) + 1) * 127.5).astype(np.uint8)
        return pixels


class Bands(NamedTuple):
    """Sizes of Sound: bands of a frame, frames of a clip, and of both those of a patch."""

    bands: int
    frames: int
    patch: tuple[int, int]  # frames, bands


class Sound:
    """Clips (S,) float32 of -1 to 1, one channel."""

    def __init__(self, sizes: Bands) -> None:
        self.sizes = sizes

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a clip."""
        return (self.sizes.bands * self.sizes.frames,)

    @property
    def places(self) -> Places:
        deep, wide = self.sizes.patch
        return self.sizes.frames // deep, self.sizes.bands // wide, 1

    @property
    def width(self) -> int:
        """C."""
        return self.sizes.patch[0] * self.sizes.patch[1]

    @cached_property
    def waves(self) -> np.ndarray:
        """(2 bands, bands) float64: the windowed cosines of a frame."""
        bands = self.sizes.bands
        n, k = np.arange(2 * bands)[:, None], np.arange(bands)
        window = np.sin(np.pi / (2 * bands) * (n + 0.5))
        waves: np.ndarray = window * np.sqrt(2 / bands) * np.cos(np.pi / bands * (n + 0.5 + bands / 2) * (k + 0.5))
        return waves

    def encode(self, clip: np.ndarray) -> np.ndarray:
        """(S,) -> (N, C) float32."""
        bands, frames, (deep, wide) = self.sizes
        parts = clip.astype(np.float64).reshape(frames, bands)
        heard = np.concatenate([parts, np.roll(parts, -1, axis=0)], axis=1) @ self.waves  # (frames, bands)
        pressed = np.sign(heard) * np.sqrt(np.abs(heard))
        cut = pressed.reshape(frames // deep, deep, bands // wide, wide).transpose(0, 2, 1, 3)
        tokens: np.ndarray = cut.reshape(-1, self.width).astype(np.float32)
        return tokens

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """Inverse of encode, to rounding; what is louder than 1 is cut."""
        bands, frames, (deep, wide) = self.sizes
        cut = tokens.astype(np.float64).reshape(frames // deep, bands // wide, deep, wide).transpose(0, 2, 1, 3)
        pressed = cut.reshape(frames, bands)
        parts = (np.sign(pressed) * pressed**2) @ self.waves.T  # (frames, 2 bands)
        clip = parts[:, :bands] + np.roll(parts[:, bands:], 1, axis=0)
        sound: np.ndarray = np.clip(clip.reshape(-1), -1, 1).astype(np.float32)
        return sound


Codec = Pixels | Sound


def describe(codec: Codec) -> dict[str, Any]:
    """What a run records of it."""
    return {"shape": list(codec.shape), "places": list(codec.places), "width": codec.width}
