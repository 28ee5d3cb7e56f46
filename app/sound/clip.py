"""A file of sound: whether it can be used, what it sounds like in blocks, and how loud it is where.

libsndfile reads it, a block at a time: an hour of music never lies in memory.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlx_model.errors import RequestError

ENDINGS = {
    "WAV": ".wav",
    "WAVEX": ".wav",
    "RF64": ".wav",
    "AIFF": ".aiff",
    "FLAC": ".flac",
    "OGG": ".ogg",
    "MP3": ".mp3",
}
NAMES = "WAV, AIFF, FLAC, Ogg or MP3"
FILTER = f"Sound ({' '.join(f'*{ending}' for ending in (*dict.fromkeys(ENDINGS.values()), '.aif', '.oga', '.opus'))})"
MAX_SECONDS, MAX_BYTES, MAX_CHANNELS = 3 * 3600.0, 1 << 30, 8
RATES = range(1000, 768_000 + 1)  # samples a second; no file of sound has fewer or more
BLOCK = 2048  # frames: 46 ms at 44.1 kHz


class Clip(NamedTuple):
    """`frames` are samples of each channel, `rate` of them a second."""

    path: Path
    ending: str
    rate: int
    channels: int
    frames: int

    @property
    def seconds(self) -> float:
        return self.frames / self.rate


def look_at(path: str | Path) -> Clip:
    """What a file holds, by its content. Raises RequestError where it is no sound that can be used."""
    import soundfile  # type: ignore[import-untyped]  # it has no stubs

    path = Path(path)
    refusal = RequestError(f"{path} is no sound that can be used.", f"Save it as {NAMES}.")
    if not path.is_file():  # opening a pipe waits for ever
        raise refusal
    try:
        size = path.stat().st_size
        found = soundfile.info(str(path))
    except (OSError, RuntimeError) as error:  # what libsndfile says is a RuntimeError
        raise refusal from error
    if found.format not in ENDINGS or found.samplerate not in RATES or found.frames <= 0:
        raise refusal
    if size > MAX_BYTES or found.frames > MAX_SECONDS * found.samplerate or found.channels > MAX_CHANNELS:
        raise RequestError(
            f"{path} is too long or large for the sound of a board.", "Up to 3 hours, 1 GB and 8 channels: cut it."
        )
    return Clip(path, ENDINGS[found.format], found.samplerate, found.channels, found.frames)


def read_blocks(clip: Clip, begin: float = 0.0) -> Iterator[np.ndarray]:
    """The sound from `begin` seconds on as (n, 2) float32 of -1 to 1, n up to BLOCK; it ends where the file does.

    One channel is heard on both sides, of more than two the first two. A file that breaks off is silent from there, and
    where it holds no numbers; what is louder than 1, as files of floats may be, is cut there.
    """
    import soundfile

    first = round(max(0.0, begin) * clip.rate)
    if first >= clip.frames:
        return
    try:
        with soundfile.SoundFile(str(clip.path)) as file:
            file.seek(first)
            while len(block := file.read(BLOCK, "float32", always_2d=True)):
                yield np.nan_to_num(block[:, [0, min(1, clip.channels - 1)]], nan=0.0).clip(-1.0, 1.0)
    except (OSError, RuntimeError):
        return


def read_start(clip: Clip, frames: int) -> np.ndarray:
    """(n, channels) float32 as the file has it, numbers or not; n below `frames` where it ends or breaks off before."""
    import soundfile

    try:
        start: np.ndarray = soundfile.read(str(clip.path), frames, dtype="float32", always_2d=True)[0]
    except (OSError, RuntimeError):
        return np.zeros((0, clip.channels), np.float32)
    return start


def read_from(clip: Clip, at: float) -> Iterator[np.ndarray]:
    """As read_blocks; below 0 seconds it is silent that long first."""
    silence = round(max(0.0, -at) * clip.rate)
    while silence > 0:
        yield np.zeros((min(BLOCK, silence), 2), np.float32)
        silence -= BLOCK
    yield from read_blocks(clip, at)


def measure_peaks(clip: Clip, a_second: int = 50) -> np.ndarray:
    """(n,) float32, 0 to 1: the loudest sample of each of `a_second` parts of every second."""
    size = max(1, clip.rate // a_second)
    peaks, rest = [], np.empty(0, np.float32)
    for block in read_blocks(clip):
        loud = np.concatenate([rest, np.abs(block).max(axis=1)])
        whole = len(loud) // size * size
        peaks.append(loud[:whole].reshape(-1, size).max(axis=1))
        rest = loud[whole:]
    last = [rest.max(keepdims=True)] if len(rest) else []
    joined: np.ndarray = np.concatenate([*peaks, *last, np.empty(0, np.float32)])
    return joined
