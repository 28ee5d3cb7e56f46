"""Token layout and position ids of FLUX.2: how pictures become a row of tokens.

Source: black-forest-labs/flux2 src/flux2/sampling.py (prc_img, prc_txt, listed_prc_img).
"""

import numpy as np

from ..geometry import Grid

REFERENCE_TIME = 10  # reference r has time coordinate 10 + 10 r; the picture being made has 0


def text_ids(count: int) -> np.ndarray:
    """(count, 4): (0, 0, 0, i)."""
    ids = np.zeros((count, 4), np.int64)
    ids[:, 3] = np.arange(count)
    return ids


def grid_ids(grid: Grid, time: int = 0) -> np.ndarray:
    """(rows * columns, 4): (time, row, column, 0), row-major."""
    rows, columns = np.indices(grid).reshape(2, -1)
    return np.stack([np.full_like(rows, time), rows, columns, np.zeros_like(rows)], axis=1)


def reference_ids(grids: list[Grid]) -> np.ndarray:
    """Ids of all references one after the other, each on its own grid: (sum of rows * columns, 4)."""
    parts = [grid_ids(grid, REFERENCE_TIME * (1 + number)) for number, grid in enumerate(grids)]
    return np.concatenate(parts) if parts else np.zeros((0, 4), np.int64)
