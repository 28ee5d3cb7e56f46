"""The sound of an MP4: from the board's start on, silent where there is none, as long as the film."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from mlx_model.errors import FluxLocalError

from ..sound.clip import BLOCK, Clip, look_at, read_from
from .job import Job, list_entries

if TYPE_CHECKING:
    import av
    from av.audio.stream import AudioStream

RATE = 48_000  # what video has
NOT_THERE = "The board's sound is missing or damaged: the film is silent."
SOME = "The film is silent: the board's sound runs through all of its panels, and not all were chosen."


def add_sound(container: "av.container.OutputContainer", job: Job) -> Callable[[Fraction], None]:
    """A stream of AAC in the container, where the board has sound; what writes all of it up to a moment, in seconds.

    It is to be called as the film goes on, so that picture and sound lie side by side in the file.
    """
    clip = _find(job)
    if clip is None or job.board.sound is None:
        return lambda end: None
    stream = container.add_stream("aac", rate=RATE, layout="stereo")
    writer = _Writer(container, stream, clip, job.board.sound.start, Fraction(job.frames) / job.board.rate)
    return writer.write


def _find(job: Job) -> Clip | None:
    sound = job.board.sound
    if sound is None:
        return None
    if len(job.entries) < len(list_entries(job.board)):
        job.notes.append(SOME)
        return None
    try:
        return look_at(job.picture_path(sound.sha256))
    except FluxLocalError:
        job.notes.append(NOT_THERE)
        return None


class _Writer:
    """`length`: of the film, in seconds; what is longer is cut."""

    def __init__(
        self,
        container: "av.container.OutputContainer",
        stream: "AudioStream",
        clip: Clip,
        start: float,
        length: Fraction,
    ):
        from av.audio.resampler import AudioResampler

        self.container, self.stream, self.clip, self.length = container, stream, clip, length
        self._blocks = _list_blocks(clip, start, int(length * clip.rate))
        self._resampler = AudioResampler(format="fltp", layout="stereo", rate=RATE)
        self._read = 0  # samples of the clip's rate

    def write(self, end: Fraction) -> None:
        while self._read < end * self.clip.rate and (block := next(self._blocks, None)) is not None:
            self._encode(block)
        if end >= self.length:
            for frame in self._resampler.resample(None):
                self.container.mux(self.stream.encode(frame))
            self.container.mux(self.stream.encode(None))

    def _encode(self, block: np.ndarray) -> None:
        from av import AudioFrame

        frame = AudioFrame.from_ndarray(np.ascontiguousarray(block.T), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = self.clip.rate, self._read, Fraction(1, self.clip.rate)
        self._read += len(block)
        for made in self._resampler.resample(frame):
            self.container.mux(self.stream.encode(made))


def _list_blocks(clip: Clip, start: float, length: int) -> Iterator[np.ndarray]:
    """(n, 2) float32, `length` samples in all: silence before the start and behind the end."""
    left = length
    for block in read_from(clip, -start):
        yield block[:left]
        left -= len(block)
        if left <= 0:
            return
    while left > 0:
        yield np.zeros((min(BLOCK, left), 2), np.float32)
        left -= BLOCK
