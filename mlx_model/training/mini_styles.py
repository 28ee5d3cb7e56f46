"""The drawing styles of the built-in model's world: (H, W, 3) uint8 in, the same out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

LUMA = np.array((0.299, 0.587, 0.114), np.float32)


def luminance(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (H, W) float32 from 0 to 1."""
    grey: np.ndarray = pixels @ (LUMA / np.float32(255))
    return grey


def outlines(grey: np.ndarray) -> np.ndarray:
    """(H, W) from 0 to 1: how much a pixel differs from its right and lower neighbours."""
    down = np.abs(np.diff(grey, axis=0, append=grey[-1:]))
    right = np.abs(np.diff(grey, axis=1, append=grey[:, -1:]))
    drawn: np.ndarray = np.clip((down + right) * 3.0, 0, 1)
    return drawn


def between(low: tuple[int, int, int], high: tuple[int, int, int], amount: np.ndarray) -> np.ndarray:
    """(H, W) from 0 to 1 -> (H, W, 3) uint8 between two colours."""
    a, b = np.array(low, np.float32), np.array(high, np.float32)
    mixed: np.ndarray = (a + (b - a) * amount[..., None] + 0.5).astype(np.uint8)
    return mixed


def sketch(pixels: np.ndarray) -> np.ndarray:
    """Dark outlines on light paper, softly shaded."""
    grey = luminance(pixels)
    return between((44, 42, 48), (252, 250, 244), (0.6 + 0.4 * grey) * (1 - 0.9 * outlines(grey)))


def blueprint(pixels: np.ndarray) -> np.ndarray:
    """Light outlines on blue paper."""
    grey = luminance(pixels)
    return between((20, 62, 148), (232, 242, 255), np.maximum(0.3 * grey, 0.95 * outlines(grey)))


def sepia(pixels: np.ndarray) -> np.ndarray:
    """An old brown photograph."""
    return between((52, 32, 18), (250, 230, 190), luminance(pixels))


def noir(pixels: np.ndarray) -> np.ndarray:
    """Black and white with hard contrast."""
    grey = np.clip((luminance(pixels) - 0.5) * 1.6 + 0.5, 0, 1)
    return between((8, 8, 10), (248, 248, 248), grey)


def pixel(pixels: np.ndarray) -> np.ndarray:
    """Squares of 4 x 4 pixels."""
    h, w, _ = pixels.shape
    squares: np.ndarray = pixels.reshape(h // 4, 4, w // 4, 4, 3).mean((1, 3), dtype=np.float32)
    enlarged: np.ndarray = (squares + 0.5).astype(np.uint8).repeat(4, 0).repeat(4, 1)
    return enlarged


PAINT: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sketch": sketch, "blueprint": blueprint, "sepia": sepia, "noir": noir, "pixel": pixel,
}  # fmt: skip
STYLES: tuple[str, ...] = tuple(PAINT)


def apply_style(pixels: np.ndarray, style: str | None) -> np.ndarray:
    """The picture in a style, or as it is."""
    return PAINT[style](pixels) if style else pixels
