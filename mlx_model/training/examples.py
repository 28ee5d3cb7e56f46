"""What a model learns from: a request and the picture that it should have made, encoded once and kept on the disk.

Encoders and autoencoder are needed only here: they go before the transformer comes. Axis letters: N image tokens,
C latent channels of a token.
"""

import hashlib
import json
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from ..events import Event, Note, Stage, Step
from ..geometry import Grid, Size
from ..request import Request, check
from ..run.pictures import covering_size
from ..run.pipeline import Pipeline
from ..run.references import References
from .loop import save_arrays

BUCKET_STEP = 64  # pixels by which the sides of buckets differ, as in the trainers of this field
MAX_ASPECT = 2.5  # of a bucket; what is longer is cropped


class Example(NamedTuple):
    """`request`: prompt or class, references with their pixels, and the size of the example's bucket."""

    request: Request
    pixels: np.ndarray  # (H, W, 3) uint8 of the picture that should come out


class Source(NamedTuple):
    """An example on the disk: what tells it from every other, and how it is opened."""

    name: str
    key: str  # of its files' contents, its words and its size
    prompt: str
    label: int | None
    size: Size
    open: Callable[[], Example]


class Features(NamedTuple):
    """An example as the transformer sees it."""

    latents: mx.array  # (1, N, C) float32
    text: Any  # what the family's encode_text gives; the class where a model takes classes
    references: Any  # what the family's encode_references gives
    grid: Grid


def choose_bucket(size: Size, area: int, multiple: int) -> Size:
    """The bucket of a picture: sides in steps of 64 px (or of a token, for small models), about `area` pixels.

    Of all such sizes the one whose shape is nearest to the picture's, then the largest.
    """
    step = multiple if area < 256 * BUCKET_STEP else max(multiple, BUCKET_STEP)
    aspect = min(MAX_ASPECT, max(1 / MAX_ASPECT, size.width / size.height))
    widths = range(step, int((area * MAX_ASPECT) ** 0.5) + step, step)
    buckets = [Size(width, area // width // step * step) for width in widths if area // width >= step]
    return min(buckets, key=lambda one: (abs(np.log(one.width / one.height / aspect)), -one.area))


class Store:
    """Encoded examples in a folder, by what they are made from; a damaged file is made again."""

    def __init__(self, folder: Path, model: str) -> None:
        self.folder, self.model = folder, model

    def get(self, kind: str, key: str, make: Callable[[], Any]) -> Any:
        """The value of `key`, arrays in tuples, from the disk or made now."""
        path = self.folder / f"{hashlib.sha256(f'{self.model} {kind} {key}'.encode()).hexdigest()[:32]}.{kind}"
        try:
            return _read(path)
        except (OSError, ValueError, KeyError, RuntimeError):
            value = make()
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(path, value)
            return value


def encode_all(pipe: Pipeline, sources: Sequence[Source], store: Store, drops: bool) -> Generator[Event, None, None]:
    """Fill the store with every example's features: all texts, then all pictures. `drops`: with the empty prompt."""
    yield Stage("text", total=len(sources))
    if pipe.spec.takes_text:
        prompts = list(dict.fromkeys([source.prompt for source in sources] + ([""] if drops else [])))
        for prompt in prompts:
            text_of(pipe, store, prompt)
    pipe.unload("text_encoder", "pooled_encoder")
    yield Stage("references", total=len(sources))
    for number, source in enumerate(sources, 1):
        pictures: list[Event] = []
        pictures_of(pipe, store, source, pictures)
        yield from pictures
        yield Step(number, len(sources), 0.0, 0.0)
    pipe.unload("autoencoder", "image_encoder", "image_embedder")


def features_of(pipe: Pipeline, store: Store, source: Source, prompt: str | None = None) -> Features:
    """The features of an example, from the store; `prompt` in place of its own."""
    latents, references = pictures_of(pipe, store, source, [])
    words = source.prompt if prompt is None else prompt
    text = text_of(pipe, store, words) if pipe.spec.takes_text else source.label
    return Features(latents, text, references, source.size.grid(pipe.spec.size_multiple))


def text_of(pipe: Pipeline, store: Store, prompt: str) -> Any:
    """What the encoders make of a prompt."""
    return store.get("text", prompt, partial(pipe.family.encode_text, pipe, prompt))


def pictures_of(pipe: Pipeline, store: Store, source: Source, notes: list[Event]) -> tuple[mx.array, Any]:
    """Latents of the picture, and the references as the family's velocity takes them."""
    latents, references = store.get("pictures", source.key, partial(_encode, pipe, source, notes))
    return latents, references


def _encode(pipe: Pipeline, source: Source, notes: list[Event]) -> tuple[mx.array, Any]:
    example = source.open()
    request = check(example.request, pipe.spec)
    size = request.size
    latents = pipe.picture_latents(example.pixels, covering_size(Size.of(example.pixels), size), size)
    events = pipe.family.encode_references(pipe, request)
    while True:
        try:
            note = next(events)
            notes.append(Note(f"{source.name}: {note.text}"))
        except StopIteration as end:
            pipe.encoded.clear()
            return latents.astype(mx.float32), end.value


def _write(path: Path, value: Any) -> None:
    arrays: dict[str, mx.array] = {}
    plan = json.dumps(_describe(value, arrays))
    save_arrays(path, arrays or {"none": mx.zeros(1)}, {"plan": plan}, lasting=False, inside=path.parents[1])


def _read(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(path)
    loaded: Any = mx.load(str(path), format="safetensors", return_metadata=True)
    arrays, metadata = loaded
    value = _restore(json.loads(metadata["plan"]), arrays)
    mx.eval(list(arrays.values()))
    return value


def _describe(value: Any, arrays: dict[str, mx.array]) -> Any:
    """A value of arrays, numbers, tuples and named tuples as JSON; its arrays are put into `arrays`."""
    if isinstance(value, mx.array):
        arrays[str(len(arrays))] = value
        return {"array": str(len(arrays) - 1)}
    if isinstance(value, tuple | list):
        kind = type(value).__name__ if hasattr(value, "_fields") else "tuple"
        return {kind: [_describe(item, arrays) for item in value]}
    return value


def _restore(plan: Any, arrays: dict[str, mx.array]) -> Any:
    if not isinstance(plan, dict):
        return plan
    ((kind, items),) = plan.items()
    if kind == "array":
        return arrays[items]
    values = [_restore(item, arrays) for item in items]
    return tuple(values) if kind == "tuple" else _kinds()[kind](*values)


def _kinds() -> dict[str, Any]:
    """The named tuples that features are made of."""
    from ..run.flux1 import Pictures

    return {"References": References, "Pictures": Pictures}
