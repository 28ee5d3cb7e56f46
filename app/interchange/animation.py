"""Animated GIF and WebP: every panel for as long as it lasts."""

from collections.abc import Iterator
from fractions import Fraction
from math import floor
from pathlib import Path

from PIL import Image

from mlx_model.files import write_new

from .job import Job

GIF_LONGEST = 65_535  # hundredths of a second that a frame can last


def export_gif(job: Job, width: int) -> Path:
    """256 colours a picture, dithered; times in hundredths of a second, as GIF has them."""
    lengths = _list_lengths(job, 100)
    if max(lengths) > GIF_LONGEST:
        job.notes.append("A GIF shows a picture for 655 seconds at most: longer panels were shortened.")
    times = [10 * min(max(1, length), GIF_LONGEST) for length in lengths]
    frames = (frame.quantize(256) for frame in _draw_frames(job, width))
    return _write(job, frames, "GIF", duration=times, disposal=1)


def export_webp(job: Job, width: int) -> Path:
    """Full colour; times in milliseconds."""
    return _write(job, _draw_frames(job, width), "WEBP", duration=_list_lengths(job, 1000), quality=85, method=4)


def _draw_frames(job: Job, width: int) -> Iterator[Image.Image]:
    size = job.choose_size(width)
    return (job.draw_frame(entry, size) for entry in job.walk())


def _write(job: Job, frames: Iterator[Image.Image], kind: str, **settings: object) -> Path:
    first = next(frames)
    options = {"save_all": True, "append_images": frames, "loop": 0, **settings}
    return write_new(job.out, lambda handle: first.save(handle, kind, **options), job.force)


def _list_lengths(job: Job, rate: int) -> list[int]:
    """In `rate` units a second: the borders are rounded, so that the sum stays exact."""
    return [_place_border(e.start + e.frames, rate, job) - _place_border(e.start, rate, job) for e in job.entries]


def _place_border(frame: int, rate: int, job: Job) -> int:
    return floor(frame * rate / job.board.rate + Fraction(1, 2))
