"""The board in motion, every panel for as long as it lasts: animated GIF and WebP, and MP4 with camera moves, the
board's sound and the words burnt in below (which needs the extra "video": av).
"""

from collections.abc import Iterator
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from PySide6.QtGui import QColor, QFont, QImage, QPainter

from mlx_model.errors import RequestError
from mlx_model.files import write_new
from mlx_model.geometry import Size

from ..board.camera import Frame, find_way, look_through, moves
from . import typeset
from .job import Entry, Job
from .soundtrack import add_sound
from .typeset import Line, Run, Style, break_lines, measure_height
from .values import clean, clean_line

if TYPE_CHECKING:
    import av

GIF_LONGEST = 65_535  # hundredths of a second that a frame can last
ENCODERS = ("libx264", "h264_videotoolbox", "libopenh264", "mpeg4")  # the first that av was built with
QUALITY = {"libx264": {"crf": "18", "preset": "veryfast", "tune": "stillimage"}}
GROUND, WORDS, QUIET = "#101012", "#f4f4f5", "#a8a8ae"
LARGEST = 4.0  # times the size of the film: what is held of a picture that the camera comes near to
LINES = 3  # of words that a caption bar has room for
BT709 = 1  # in ffmpeg's lists of primaries, transfer curves and matrices


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
    if job.board.sound or any(moves(entry.panel.camera) for entry in job.entries):
        job.notes.append("Camera moves and sound are in an MP4 only.")
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


def export(job: Job, width: int, captions: bool) -> Path:
    """H.264 at the board's rate, BT.709, one frame for every frame of the board."""
    application = typeset.ensure_application()
    picture = job.choose_size(width)
    bar = _measure_bar(picture) if captions else 0
    # By its name: through a Python file av prints tracebacks on a full disk.
    path = write_new(job.out, lambda handle: _encode(job, handle.name, picture, bar), job.force)
    del application
    return path


def _encode(job: Job, name: str, picture: Size, bar: int) -> None:
    import av

    with av.open(name, "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = _add_stream(container, job.board.rate, picture, bar)
        sound = add_sound(container, job)
        strange: set[str] = set()
        for entry in job.walk():
            for number, frame in _film(job, entry, picture, bar, strange):
                frame.pts = number
                container.mux(stream.encode(frame))
            sound(Fraction(entry.start + entry.frames) / job.board.rate)
        container.mux(stream.encode())
    typeset.note_strange(strange, job.notes)


def _film(job: Job, entry: Entry, picture: Size, bar: int, strange: set[str]) -> "Iterator[tuple[int, av.VideoFrame]]":
    """Each frame of the board that the panel stands for, with its number; one that does not move is made once."""
    words = [_draw_bar(entry, Size(picture.width, bar), _choose_type_size(picture), strange)] if bar else []
    camera, large = entry.panel.camera, _open_large(job, entry, picture)
    frame = None
    for place in range(entry.frames):
        if frame is None or moves(camera):
            seen = look_through(camera, place / max(1, entry.frames - 1))
            frame = _convert_frame(np.concatenate([_cut(large, seen, picture), *words]), job.board.rate)
        yield entry.start + place, frame


def _open_large(job: Job, entry: Entry, picture: Size) -> Image.Image:
    """The panel on its black frame, as many times larger as the camera comes near and the picture has pixels for."""
    nearest, take = min(frame.width for frame in find_way(entry.panel.camera)), entry.panel.take
    sharpest = take.picture.width / picture.width if take else 1.0
    scale = max(1.0, min(1 / nearest, sharpest, LARGEST))
    return job.draw_frame(entry, Size(*(round(side * scale) for side in picture)))


def _cut(image: Image.Image, seen: Frame, size: Size) -> np.ndarray:
    """(H, W, 3) uint8 of `size`: what the camera sees of the image."""
    if seen == Frame() and image.size == size:
        return np.asarray(image)
    half = seen.width / 2
    left, top = max(0.0, seen.x - half) * image.width, max(0.0, seen.y - half) * image.height
    right, bottom = min(1.0, seen.x + half) * image.width, min(1.0, seen.y + half) * image.height
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC, box=(left, top, right, bottom)))


def _add_stream(container: "av.container.OutputContainer", rate: Fraction, picture: Size, bar: int) -> "av.VideoStream":
    import av

    name = next((name for name in ENCODERS if name in av.codecs_available), None)
    if name is None:
        raise RequestError("The package av on this computer has no encoder for MP4.", "Install another build of av.")
    stream = container.add_stream(name, rate=rate, options=QUALITY.get(name, {}))
    assert isinstance(stream, av.VideoStream)  # what all ENCODERS make
    stream.width, stream.height, stream.pix_fmt = picture.width, picture.height + bar, "yuv420p"
    stream.time_base = stream.codec_context.time_base = 1 / rate
    context = stream.codec_context
    context.color_primaries = context.color_trc = context.colorspace = BT709
    return stream


def _convert_frame(pixels: np.ndarray, rate: Fraction) -> "av.VideoFrame":
    """YUV by BT.709; without saying so the conversion takes BT.601, and reds and greens shift."""
    import av

    frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(
        format="yuv420p",
        src_colorspace="ITU709",
        dst_colorspace="ITU709",
        src_color_range="JPEG",
        dst_color_range="MPEG",
    )
    frame.time_base = 1 / rate
    return frame


def _measure_bar(picture: Size) -> int:
    return 2 * round(_choose_type_size(picture) * (LINES + 1.2) * typeset.LEADING / 2)


def _choose_type_size(picture: Size) -> float:
    """Type size in pixels: readable on a phone, at most 1/22 of the width."""
    return max(10.0, min(picture.width / 36, picture.height / 16))


def _draw_bar(entry: Entry, size: Size, pixels: float, strange: set[str]) -> np.ndarray:
    """Number on the left, dialogue (or else action) in the middle."""
    image = QImage(size.width, size.height, QImage.Format.Format_RGB888)
    image.fill(QColor(GROUND))
    points, edge = pixels * 72 / image.logicalDpiY(), pixels
    number = break_lines([Run(entry.number, Style(points * 0.8, QUIET, QFont.Weight.DemiBold))], size.width, image)
    words = _fit_words(entry, points, size.width - 2 * edge - 2 * (number[0].width + edge), image, strange)
    painter = QPainter(image)
    try:
        typeset.draw(number, painter, edge, (size.height - measure_height(number)) / 2)
        y = (size.height - measure_height(words)) / 2
        for one in words:
            one.draw(painter, (size.width - one.width) / 2, y)
            y += one.height
    finally:
        painter.end()
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(size.height, image.bytesPerLine())
    return rows[:, : 3 * size.width].reshape(size.height, size.width, 3).copy()


def _fit_words(entry: Entry, points: float, width: float, image: QImage, strange: set[str]) -> list[Line]:
    """As large as LINES lines allow; what is too long even at two thirds of the size is cut with an ellipsis."""
    text = clean(entry.panel.dialogue, 1000).strip() or clean_line(entry.panel.action, 1000)
    for size in (points, points * 0.82, points * 0.67):
        lines = break_lines([Run(text, Style(size, WORDS))], width, image, strange=strange)
        if measure_height(lines) <= LINES * points * typeset.LEADING * image.logicalDpiY() / 72 + 1:
            return lines
    while text and measure_height(lines) > LINES * points * typeset.LEADING * image.logicalDpiY() / 72 + 1:
        text = text[: int(len(text) * 0.93)].rstrip()
        lines = break_lines([Run(f"{text}…", Style(points * 0.67, WORDS))], width, image)
    return lines
