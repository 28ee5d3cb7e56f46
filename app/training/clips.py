"""A folder of pictures, video clips and sounds with captions, as what trains one network for all of them.

    DATA/dog.png  DATA/dog.txt       a picture and its caption
    DATA/walk.mp4 DATA/walk.txt      a clip: its first second, without its sound (.gif, .mov, .webm ... too)
    DATA/rain.wav DATA/rain.txt      a sound: its first second (.flac, .mp3 ... too), as one channel

Every fault of the folder is found before the first step, and all are told together.
"""

from collections.abc import Callable, Generator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from app.base.words import say_count
from app.pictures import images
from app.pictures.kinds import ENDINGS
from app.sound.clip import look_at, read_start
from mlx_model.errors import Advice, FluxLocalError, RequestError
from mlx_model.events import Event, Note, Stage, Step
from mlx_model.geometry import Size
from mlx_model.run.pictures import covering_size, resize_and_crop
from mlx_model.run.tokenize import PromptTokenizer
from mlx_model.training.joint import WORDS, Clip, Sizes
from mlx_model.training.patches import FILMED, HEARD, Codec

from .dataset import list_files, read_caption, tell_faults

if TYPE_CHECKING:
    from av.container import InputContainer

FILMS = (".gif", ".mp4", ".mov", ".m4v", ".webm", ".mkv")
SOUNDS = (".wav", ".flac", ".mp3", ".ogg", ".aiff", ".aif")
QUIET, LOUD = 1e-4, 10.0  # the loudest sample of what is silence, and of any sound; 1 is as loud as it is played


class Found(NamedTuple):
    """A file and its caption, not opened yet."""

    name: str
    path: Path
    kind: str
    caption: str


def kind_of(path: Path) -> str:
    """image, video or audio, by the name's ending."""
    ending = path.suffix.lower()
    return "video" if ending in FILMS else "audio" if ending in SOUNDS else "image"


def read_folder(data: Path, faults: list[str]) -> list[Found]:
    """What `data` holds, sorted by name. Raises RequestError where that is nothing."""
    if not data.is_dir():
        what = f"{data} is no folder" if data.exists() else f"There is no {data}"
        raise RequestError(f"{what}.", "Give a folder of pictures, clips and sounds.")
    found = list(_list_files(data, faults))
    if not found and not faults:
        raise RequestError(
            f"{data} holds no pictures, clips or sounds.", "Put some in it, each with a .txt of the same name."
        )
    return found


def _list_files(data: Path, faults: list[str]) -> Iterator[Found]:
    for path in list_files(data, (*FILMS, *SOUNDS, *ENDINGS), faults):
        name = str(path.relative_to(data))
        yield Found(name, path, kind_of(path), read_caption(path, name, faults) or "")


def open_clips(data: Path, sizes: Sizes, words: PromptTokenizer) -> Generator[Event, None, dict[str, list[Clip]]]:
    """Every example by its kind, in the order of `sizes`. Raises RequestError with all faults together."""
    faults: list[str] = []
    found, cut = read_folder(data, faults), 0
    if any(one.kind == "video" for one in found) and find_spec("av") is None:
        raise RequestError("Clips are read by a part that is not installed.", Advice("install_part", {"name": "video"}))
    yield Stage("verify", data.name, len(found))
    opened: dict[str, list[Clip]] = {kind: [] for kind in sizes.codecs}
    for number, one in enumerate(found, 1):
        try:
            tokens = sizes.codecs[one.kind].encode(open_clip(one.path, one.kind, sizes.codecs[one.kind]))
        except FluxLocalError as error:
            faults.append(f"{one.name}: {error.message}")
        else:
            clip, left = _join_words(tokens, one.caption, words)
            opened[one.kind].append(clip)
            cut += left > 0
        yield Step(number, len(found), 0.0, 0.0)
    tell_faults(data, faults)
    kinds = {kind: clips for kind, clips in opened.items() if clips}
    yield Note(f"{', '.join(say_count(len(clips), NAMES[kind]) for kind, clips in kinds.items())}.")
    if cut:
        yield Note(f"{say_count(cut, 'caption')} of more than {WORDS} tokens: the rest is left out.")
    return kinds


NAMES = {"image": "picture", "video": "clip", "audio": "sound"}


def _join_words(tokens: np.ndarray, caption: str, words: PromptTokenizer) -> tuple[Clip, int]:
    """The example, and how many of its caption's tokens are left out."""
    ids, real = words(caption)
    return Clip(tokens, ids[0], int(real.sum())), words.left_out(caption)


def open_clip(path: Path, kind: str, codec: Codec) -> np.ndarray:
    """What the codec encodes. Raises RequestError for a file that can't be used."""
    return OPEN[kind](path, codec.shape)


def _open_picture(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    return _fit(images.open_picture(path, least=1), shape)[None]


def _fit(pixels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The middle of a picture (H, W, 3), as large as it can be. Raises RequestError for less than is learned of it."""
    size, own = Size(shape[2], shape[1]), Size.of(pixels)
    if own.width < size.width or own.height < size.height:
        raise RequestError(f"it is too small: {own}, {size} are needed", "Leave it out.")
    return resize_and_crop(pixels, covering_size(own, size), size)


def _open_film(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The frames of the first second, FILMED of them."""
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise RequestError("it holds no moving picture", "Leave it out.")
            rate = container.streams.video[0].average_rate
            frames = list(_take_frames(container, shape[0]))
    except (av.FFmpegError, ValueError, OSError) as error:
        raise RequestError("it is no clip that can be read", "Save it as MP4.") from error
    if rate and rate < FILMED:
        raise RequestError(f"it has {float(rate):.3g} frames a second, {FILMED} are needed", "Film it again.")
    if len(frames) < shape[0]:
        needed = shape[0] / FILMED
        raise RequestError(f"it is shorter than {needed:g} second{'s' if needed > 1 else ''}", "Leave it out.")
    return np.stack([_fit(frame, shape) for frame in frames])


def _take_frames(container: "InputContainer", count: int) -> Iterator[np.ndarray]:
    """(H, W, 3) uint8: what is shown at each FILMED-th of a second from the start."""
    first, taken = None, 0
    for frame in container.decode(video=0):
        seconds = frame.time or 0.0
        first = seconds if first is None else first
        while taken < count and seconds - first >= taken / FILMED - 0.5 / FILMED:
            yield frame.to_ndarray(format="rgb24")
            taken += 1
        if taken == count:
            return


def _open_sound(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """(S,) of the first second, the mean of its channels, at HEARD samples a second."""
    clip = look_at(path)
    count = round(shape[0] / HEARD * clip.rate)
    if clip.rate < HEARD:
        raise RequestError(f"it has {clip.rate} samples a second, {HEARD} are needed", "Record it again.")
    if clip.frames < count:
        raise RequestError(f"it is shorter than {shape[0] / HEARD:g} seconds", "Leave it out.")
    samples = read_start(clip, count)
    if len(samples) < count:
        raise RequestError("it breaks off", "Leave it out.")
    if not np.all(np.abs(samples) <= LOUD):  # nan too
        raise RequestError("it holds what are no numbers of a sound, which go from -1 to 1", "Save it again.")
    heard = samples.clip(-1, 1).mean(1)
    if np.abs(heard).max() < QUIET:
        raise RequestError("it is silent", "Leave it out.")
    return _resample(heard, shape[0])


def _resample(heard: np.ndarray, count: int) -> np.ndarray:
    """`count` samples of the same second, without what they have no room for: by its Fourier series."""
    waves = np.fft.rfft(heard)[: count // 2 + 1]
    sound: np.ndarray = np.fft.irfft(waves, count) * (count / len(heard))
    return sound.astype(np.float32)


OPEN: dict[str, Callable[[Path, tuple[int, ...]], np.ndarray]] = {
    "image": _open_picture,
    "video": _open_film,
    "audio": _open_sound,
}
