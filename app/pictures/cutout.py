"""A picture without its ground: what is plain around the thing in it becomes clear.

The ground is a plane of colour (a wash of light across a backdrop counts as plain) through the pixels of the border, as
most of them have it. What is like it and reached from the border goes; what it encloses stays, such as an eye.
"""

import numpy as np
from PIL import Image, ImageFilter

from mlx_model.errors import Refused

from .images import MIN_SIDE

PLAIN = 0.7  # of the border: a figure may be cut by one edge
LIKE, MOST = 4.0, 24.0  # of 255: how far from the plane a pixel may be where the border is smooth, and at most
NOISE = 5  # times the mean distance of the border from the plane are allowed besides
ROUNDS = 6  # of fitting the plane to what was near it the last time
BAND, AROUND = 2, 2  # pixels from the ground that may be mixed with it; how far from there the pure colour is sought
WHOLE = 0.8  # the share from which on a pixel is all its own
BESIDE = 0.5  # how far a mixture may be from the line between its two colours, as a share of its way from the ground
RING = 30.0  # of 255: how far from the ground what sharpening leaves around a figure may be
LEAST = 0.002  # of the picture: what is to be gone at least, and left


def remove_ground(pixels: np.ndarray) -> np.ndarray:
    """`pixels` (H, W, 4) uint8 without a plain ground, of the same size. Raises Refused where it isn't plain."""
    colour = pixels[..., :3].astype(np.float32)
    clear = pixels[..., 3] == 0
    if _border(clear).mean() > PLAIN:
        raise Refused("The ground of this picture is clear already.", "Erase what is left of it with the eraser.")
    ground, like = _fit_plane(colour, ~clear)
    away = np.abs(colour - ground).max(2)
    if (_border(away) <= like).mean() < PLAIN:
        raise Refused("The ground isn't plain.", "Erase it with the eraser instead.")
    gone = flood((away <= like) | clear)
    if not LEAST <= gone.mean() <= 1 - LEAST:
        raise Refused("This picture is nothing but ground.", "Erase what you don't want with the eraser.")
    return _soften(pixels, ground, away, like, gone)


def find_figure(pixels: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is not clear, as large as a picture has to be."""
    sides = []
    for axis in (0, 1):
        seen = np.flatnonzero(pixels[..., 3].any(axis))
        least, most = min(MIN_SIDE, pixels.shape[1 - axis]), pixels.shape[1 - axis]
        begin, end = int(seen[0]), int(seen[-1]) + 1
        begin = max(0, min(begin, (begin + end - least) // 2, most - least))
        sides.append((begin, max(end, begin + least)))
    (left, right), (top, bottom) = sides
    return left, top, right, bottom


def _border(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values[0], values[-1], values[1:-1, 0], values[1:-1, -1]])


def _fit_plane(colour: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, float]:
    """The ground's colour at every pixel, (H, W, 3), and how far what belongs to it may be from that."""
    height, width = seen.shape
    down, across = (axis.astype(np.float32) for axis in np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j])
    places = np.stack([np.ones_like(across), across, down], 2)
    edge, at, counts = _border(colour), _border(places), _border(seen)
    there = edge[counts]
    plane = np.zeros((3, 3), np.float32)
    plane[0] = np.median(there, 0)
    like = MOST
    for _ in range(ROUNDS):
        off = np.abs(edge - at @ plane).max(1)
        near = counts & (off <= like)
        if near.sum() < len(places[0]) // 4:
            break
        plane = np.linalg.lstsq(at[near], edge[near], rcond=None)[0]
        like = min(MOST, LIKE + NOISE * float(np.abs(edge[near] - at[near] @ plane).mean()))
    return places @ plane, like


def flood(open_: np.ndarray) -> np.ndarray:
    """What of (H, W) bool is reached from the border, not slantwise: whole runs of a row or column at a time."""
    reached = np.zeros_like(open_)
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        reached[edge] = open_[edge]
    count = -1
    while count != (count := int(reached.sum())):
        reached = _spread(_spread(reached, open_).T, open_.T).T
    return reached


def _spread(reached: np.ndarray, open_: np.ndarray) -> np.ndarray:
    """Each run of open pixels along a row is reached where one of it is."""
    walls = np.pad(~open_, ((0, 0), (1, 0)), constant_values=True)[:, : open_.shape[1] + 1]
    runs = np.cumsum(walls.ravel())  # a number for each run, none of which goes on in the next row
    hit = np.bincount(runs, np.pad(reached, ((0, 0), (1, 0))).ravel(), runs[-1] + 1) > 0
    spread: np.ndarray = hit[runs].reshape(walls.shape)[:, 1:] & open_
    return spread


def _soften(pixels: np.ndarray, ground: np.ndarray, away: np.ndarray, like: float, gone: np.ndarray) -> np.ndarray:
    """Pixels beside the ground are mixed with it: each gets the share that is not, and its own colour back.

    What it is mixed with is the pixel near it that is farthest from the ground. Where it doesn't lie between the two,
    as a hair or an outline, the share goes by how far it is from the ground.
    """
    made = pixels.copy()
    made[gone] = 0
    at = np.nonzero(_grow(gone, BAND) & ~gone)
    colour, under = pixels[at][:, :3].astype(np.float32), ground[at]
    toward = pixels[_find_farthest(away, at)][:, :3].astype(np.float32) - under
    share = np.clip(((colour - under) * toward).sum(1) / np.maximum(1.0, (toward**2).sum(1)), 0.0, 1.0)
    beside = np.abs(colour - under - share[:, None] * toward).max(1)
    mixed = beside < like + BESIDE * away[at]
    share = np.where(mixed, share, ((away[at] - like) / RING).clip(0.0, 1.0))
    own = (colour - (1 - share[:, None]) * under) / np.maximum(0.02, share)[:, None]
    alpha = np.minimum(1.0, share / WHOLE) * pixels[at][:, 3]
    made[at] = np.rint(np.column_stack([own.clip(0, 255), alpha])).astype(np.uint8)
    return made


def _find_farthest(away: np.ndarray, at: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Where, of the pixels around each of `at`, the one is that has the most of `away`."""
    rows, columns = at
    best, found = away[at], (rows.copy(), columns.copy())
    for down in range(-AROUND, AROUND + 1):
        for across in range(-AROUND, AROUND + 1):
            row = (rows + down).clip(0, away.shape[0] - 1)
            column = (columns + across).clip(0, away.shape[1] - 1)
            more = away[row, column] > best
            best = np.where(more, away[row, column], best)
            found = np.where(more, row, found[0]), np.where(more, column, found[1])
    return found


def _grow(mask: np.ndarray, by: int) -> np.ndarray:
    blurred: np.ndarray = np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).filter(ImageFilter.BoxBlur(by)))
    return blurred > 0
