"""How FLUX.1 runs: two text encoders, and four ways in which a picture enters. Called by pipeline.py, found by name.

Source: black-forest-labs/flux src/flux/sampling.py, modules/conditioner.py, modules/image_embedders.py.
Axis letters: T text tokens, N image tokens, R reference tokens, C latent channels.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import mlx.core as mx
import numpy as np

from ..events import Note
from ..geometry import Grid, Size, reference_size
from ..memory import STEERING
from ..nets.autoencoder import pack
from ..nets.ops import Walk, timestep_features
from ..nets.redux import with_pictures
from ..request import demand
from .pictures import canny, resize, to_signed
from .references import fingerprint
from .sampler import Velocity, guide, linear_mu, timesteps

if TYPE_CHECKING:
    from ..nets import flux1
    from ..nets.image_siglip import ImageEncoder
    from ..nets.redux import ImageEmbedder
    from ..request import Request
    from ..specs import ModelSpec
    from .pipeline import Pipeline

Text = tuple[mx.array, mx.array]  # T5's tokens (1, T, width) and CLIP's pooled vector (1, width)


class Pictures(NamedTuple):
    """What the pictures of a request are to the transformer; each model uses one of these."""

    tokens: mx.array | None = None  # (1, R, C), with the grid of each reference
    grids: tuple[Grid, ...] = ()
    beside: mx.array | None = None  # (1, N, in_channels - C)
    features: tuple[mx.array, ...] = ()  # (1, P, width) each, as further text tokens


def encode_text(pipe: Pipeline, prompt: str) -> Text:
    """The prompt as both encoders see it; T5 attends to its padding, as in training."""
    ids, real = pipe.tokenizer(prompt)
    pooled_ids, _ = pipe.pooled_tokenizer(prompt)
    return pipe.component("text_encoder")(mx.array(ids), mx.array(real)), pipe.component("pooled_encoder")(
        mx.array(pooled_ids)
    )


def schedule(pipe: Pipeline, request: Request, tokens: int) -> np.ndarray:
    """(steps + 1,) times from 1 to 0."""
    return timesteps(demand(request.steps), linear_mu(tokens) if pipe.spec.mu is None else pipe.spec.mu)


def encode_references(pipe: Pipeline, request: Request) -> Generator[Note, None, Pictures]:
    """By what the model takes; a Note where a picture is resized or where more are given than it was trained on."""
    count, trained = len(request.references), pipe.spec.trained_references
    if trained and count > trained:
        yield Note(
            f"{pipe.spec.title} was trained on {trained} picture; {count} go beyond what its authors' code does."
        )
    return (yield from WAYS[pipe.spec.pictures](pipe, request)) if count else Pictures()


def _encode_tokens(pipe: Pipeline, request: Request) -> Generator[Note, None, Pictures]:
    """Kontext: each reference as tokens at its own grid, one after the other."""
    latents, grids, multiple = [], [], pipe.spec.size_multiple
    for reference in request.references:
        pixels = demand(reference.pixels)
        own = Size.of(pixels)
        resized, cropped = _reference_size(
            pipe.spec.limit_references(request.reference_size), own, len(request.references)
        )
        latents.append(pipe.picture_latents(pixels, resized, cropped))
        grids.append(cropped.grid(multiple))
        if cropped != own:
            yield pipe.note_size(reference, cropped)
    return Pictures(mx.concatenate(latents, axis=1), tuple(grids))


def _reference_size(spec: ModelSpec, own: Size, count: int) -> tuple[Size, Size]:
    """(resized, cropped): one picture is squeezed to a preferred size; several share the pixels of one."""
    if count == 1 and spec.preferred_sizes:
        size = spec.choose_preferred(own)
        return size, size
    return reference_size(own, spec.reference_pixels[0] // count, spec.size_multiple)


def _encode_erased(pipe: Pipeline, request: Request) -> Generator[Note, None, Pictures]:
    """Fill: what the mask leaves of the picture, and the mask itself, beside every token."""
    yield from ()
    pixels, mask = pipe.place(request)
    make = lambda: pipe.autoencoder.encode(erase(to_signed(pixels[None]), mask))  # noqa: E731
    latents = pipe.encoded.get((fingerprint(pixels), fingerprint(mask)), make)
    return Pictures(beside=fill_channels(latents.reshape(1, -1, latents.shape[-1]), mask))


def _encode_edges(pipe: Pipeline, request: Request) -> Generator[Note, None, Pictures]:
    """Canny: edges given, or found in the picture at the size of the output."""
    return (yield from _encode_beside(pipe, request, None if request.ready_made else canny))


def _encode_beside(
    pipe: Pipeline, request: Request, change: Callable[[np.ndarray], np.ndarray] | None = None
) -> Generator[Note, None, Pictures]:
    """Depth and Canny: the latents of a map at the output's size, squeezed to it, beside every token."""
    reference, multiple = request.references[0], pipe.spec.size_multiple
    rows, columns = pipe.grid(request)
    size = Size(columns * multiple, rows * multiple)
    pixels = demand(reference.pixels)
    if size != Size.of(pixels):
        yield pipe.note_size(reference, size)
    pixels = resize(pixels, size)
    return Pictures(beside=pipe.encode_pixels(change(pixels) if change else pixels))


def _encode_features(pipe: Pipeline, request: Request) -> Generator[Note, None, Pictures]:
    """Redux: SigLIP's states of the picture, squeezed to a square, as text tokens."""
    yield from ()
    pictures = [demand(reference.pixels) for reference in request.references]
    features = [pipe.encoded.get((fingerprint(one), "features"), partial(_look, pipe, one)) for one in pictures]
    return Pictures(features=tuple(features))


def _look(pipe: Pipeline, pixels: np.ndarray) -> mx.array:
    encoder: ImageEncoder = pipe.component("image_encoder")
    embedder: ImageEmbedder = pipe.component("image_embedder")
    side = encoder.params.image_size
    return embedder(encoder(to_signed(resize(pixels, Size(side, side), "bicubic")[None])))


WAYS = {
    "tokens": _encode_tokens,
    "erased": _encode_erased,
    "edges": _encode_edges,
    "depth": _encode_beside,
    "features": _encode_features,
}


def velocity(
    pipe: Pipeline, request: Request, grid: Grid, texts: list[Text], pictures: Pictures, times: np.ndarray
) -> Velocity:
    """The velocity as a function of (latents, step); all that is the same in every step is prepared here."""
    scale = demand(request.guidance)
    steering = [_steer(pipe, pooled, times, scale) for _, pooled in texts]  # before the blocks are loaded
    model: flux1.Transformer = pipe.transformer
    conditions = []
    for context, pooled in texts:
        context = with_pictures(context, list(pictures.features))
        ids = (text_ids(context.shape[1]), pipe.choose(grid_ids(grid)), reference_ids(list(pictures.grids)))
        rope = model.rope(np.concatenate(ids))
        conditions.append(model.condition(context, rope, pictures.tokens, pooled=pooled, beside=pictures.beside))
    prepared = list(zip(conditions, steering, strict=True))

    def one(given: tuple[flux1.Condition, list[flux1.Steering]], latents: mx.array, i: int) -> Walk:
        return model.walk(latents, given[1][i], given[0])

    return guide(one, prepared, scale, cache=pipe.step_cache)


def _steer(pipe: Pipeline, pooled: mx.array, times: np.ndarray, guidance: float) -> list[flux1.Steering]:
    """What each time does to the blocks: the same for every seed and picture, so it is kept."""

    def make() -> list[flux1.Steering]:
        model: flux1.Transformer = pipe.component(STEERING if pipe.steers_apart else "transformer")
        told = timestep_features([guidance]) if model.params.guidance_embed else None
        vector = model.vector_in(pooled.astype(model.dtype))
        features = [timestep_features([t]) for t in times[:-1]]
        vectors = [model.time_vector(one, vector, told) for one in features]
        later = "transformer" in pipe.streamed or pipe.group is not None  # a block's weights are there while it works
        return list(map(model.steer_later if later else model.steer, vectors))

    if not pipe.steers_apart:
        return make()
    key = (np.array(pooled.astype(mx.float32)).tobytes(), times.tobytes(), guidance, pipe.adapted)
    made: list[flux1.Steering] = pipe.steering.get(key, make)
    if STEERING not in pipe.stay:
        pipe.unload(STEERING)
    return made


REFERENCE_TIME = 1  # Kontext's picture has time coordinate 1, the one being made 0


def text_ids(count: int) -> np.ndarray:
    """(count, 3): text has no position."""
    return np.zeros((count, 3), np.int64)


def grid_ids(grid: Grid, time: int = 0, left: int = 0) -> np.ndarray:
    """(rows * columns, 3): (time, row, column), row-major, columns counted from `left`."""
    rows, columns = np.indices(grid).reshape(2, -1)
    return np.stack([np.full_like(rows, time), rows, left + columns], axis=1)


def reference_ids(grids: list[Grid]) -> np.ndarray:
    """Ids of Kontext's references: one on its own grid; several side by side, as if they were one wide picture.

    Several go beyond the reference implementation, which takes one.
    """
    lefts = np.cumsum([0, *(columns for _, columns in grids)])
    parts = [grid_ids(grid, REFERENCE_TIME, left) for grid, left in zip(grids, lefts, strict=False)]
    return np.concatenate(parts) if parts else np.zeros((0, 3), np.int64)


def pack_mask(mask: np.ndarray, patch: int = 8) -> mx.array:
    """(H, W) in [0, 1], 1 = repaint -> (1, H/16 * W/16, 4 * patch * patch) float32, unscaled.

    The pixels of every patch become channels, row-major, at the autoencoder's resolution; these are packed as latents.
    """
    rows, columns = mask.shape[0] // patch, mask.shape[1] // patch
    patches = mask.astype(np.float32).reshape(rows, patch, columns, patch).transpose(0, 2, 1, 3)
    packed = pack(mx.array(patches.reshape(1, rows, columns, patch * patch)))
    return packed.reshape(1, -1, packed.shape[-1])


def erase(images: mx.array, mask: np.ndarray) -> mx.array:
    """Pictures (B, H, W, 3) in [-1, 1], grey where `mask` (H, W) says repaint: what Fill's autoencoder is given."""
    return images * mx.array(1 - mask.astype(np.float32))[None, ..., None]


def fill_channels(masked_latents: mx.array, mask: np.ndarray, patch: int = 8) -> mx.array:
    """Latents of the erased picture (1, N, C) and its mask -> (1, N, C + 4 * patch * patch): Fill's `beside`."""
    return mx.concatenate([masked_latents.astype(mx.float32), pack_mask(mask, patch)], axis=-1)
