"""The edges of a photo as FLUX.1 Canny was trained on them; the only file that uses OpenCV, which is an extra."""

import numpy as np

from ..errors import Advice, RequestError

LOW, HIGH = 50, 200  # of the gradient: black-forest-labs/flux src/flux/modules/image_embedders.py, CannyImageEncoder


def canny(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (H, W, 3) uint8, edges white on black. Raises RequestError where OpenCV is not installed."""
    try:
        import cv2
    except ImportError as error:
        raise RequestError("Finding the edges of a photo needs OpenCV.", Advice("draw_edges_yourself")) from error
    return np.repeat(cv2.Canny(np.ascontiguousarray(pixels), LOW, HIGH)[..., None], 3, axis=-1)
