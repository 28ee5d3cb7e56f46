"""How FLUX.3 runs: its padded prompt, its references, its flow map. Called by pipeline.py, found by name.

Source: diffusers 0.42 modular_pipelines/flux3, after black-forest-labs/flux-3-image-klein src/flux3/pipeline.py.
Axis letters: T text tokens, R reference tokens, C latent channels.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import mlx.core as mx
import numpy as np

from ..events import Note
from .latents import Grid, reference_size, text_ids
from .latents_flux3 import MU, image_ids, pad_tokens, reference_canvas, reference_ids
from .pictures import resize_and_crop
from .references import References, fingerprint
from .sampler import Velocity, guided, timesteps

if TYPE_CHECKING:
    from ..request import Reference, Request
    from .pipeline import Pipeline


def encode_text(pipe: Pipeline, prompt: str) -> mx.array:
    """(1, T, width), T a multiple of 80: the transformer sees the padding."""
    tokens = pipe.tokenizer.ids(prompt)
    ids, real, positions = pad_tokens(tokens, pipe.tokenizer.pad_id, pipe.spec.max_tokens)
    return pipe.component("text_encoder")(mx.array(ids), mx.array(real), positions)


def encode_references(pipe: Pipeline, request: Request) -> Generator[Note, None, References | None]:
    """A single picture whole, its rims filled up; several at most a megapixel each, cropped."""
    latents, grids, multiple = [], [], pipe.spec.size_multiple
    alone = len(request.references) == 1
    for reference in request.references:
        encoded, used, (width, height) = (_whole if alone else _cropped)(pipe, reference)
        latents.append(encoded)
        grids.append((height // multiple, width // multiple))
        if used != reference.pixels.shape[1::-1]:
            yield Note(pipe.resized(reference, used))
    return References(mx.concatenate(latents, axis=1), grids) if latents else None


def _whole(pipe: Pipeline, reference: Reference):
    """Latents, the size (width, height) at which the picture is used, and that of the canvas around it."""
    canvas = reference_canvas(*reference.pixels.shape[1::-1])
    used, whole = (canvas.width, canvas.height), (canvas.canvas_width, canvas.canvas_height)
    make = lambda: pipe.encode_pixels(canvas.fill(resize_and_crop(reference.pixels, used, used)))  # noqa: E731
    return pipe.encoded.get((fingerprint(reference.pixels), canvas), make), used, whole


def _cropped(pipe: Pipeline, reference: Reference):
    """Latents, and twice the size at which the picture is used."""
    cap = pipe.spec.reference_pixels[1]
    size = reference_size(*reference.pixels.shape[1::-1], cap, pipe.spec.size_multiple)
    return pipe.picture_latents(reference.pixels, size[:2], size[2:]), size[2:], size[2:]


def schedule(pipe: Pipeline, request: Request, tokens: int) -> np.ndarray:
    """(steps + 1,) times from 1 to 0, the same for every size."""
    return timesteps(request.steps, MU)


def velocity(
    pipe: Pipeline, request: Request, grid: Grid, texts: list[mx.array], references: References | None, times
) -> Velocity:
    """The guided velocity as a function of (latents, step); a flow map is also told where the step goes."""
    model, conditions = pipe.transformer, []
    joined = None if references is None else references.latents.astype(model.dtype)
    pictures = [image_ids(grid), reference_ids(references.grids if references else [])]
    for text in texts:  # prompts are of different lengths
        rope = model.rope(np.concatenate([text_ids(text.shape[1]), *pictures]))
        conditions.append(model.condition(text.astype(model.dtype), rope, joined))
    now, then = model.time_features(times[:-1]), model.time_features(times[1:])

    def one(condition, latents: mx.array, i: int) -> mx.array:
        target = then[i : i + 1] if model.params.flow_map else None
        return model(latents, now[i : i + 1], condition, target)

    return guided(one, conditions, request.guidance)
