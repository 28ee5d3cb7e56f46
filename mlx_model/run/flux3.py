"""How FLUX.3 runs: its padded prompt, its references, its flow map. Called by pipeline.py, found by name.

Source: diffusers 0.42 modular_pipelines/flux3, after black-forest-labs/flux-3-image-klein src/flux3/pipeline.py.
Axis letters: T text tokens, R reference tokens, C latent channels.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TYPE_CHECKING, Literal

import mlx.core as mx
import numpy as np

from ..events import Note
from ..geometry import MULTIPLE, Canvas, Grid, Size, reference_canvas, reference_size
from ..request import demand
from .latents import grid_ids, text_ids
from .pictures import resize_and_crop
from .references import References
from .sampler import Velocity, guide, timesteps

if TYPE_CHECKING:
    from ..nets import flux3, text_qwen3
    from ..nets.ops import Walk
    from ..request import Reference, Request
    from .pipeline import Pipeline

MU = math.log(6.93)  # a constant shift of the schedule, whatever the size
ROPE_SCALE = 0.5  # of rows and columns
PAD_MULTIPLE, PAD_POSITION = 80, 1  # the transformer sees the padding: how long it is belongs to the recipe


def encode_text(pipe: Pipeline, prompt: str) -> mx.array:
    """(1, T, width), T a multiple of 80: the transformer sees the padding."""
    tokens = pipe.tokenizer.ids(prompt)
    ids, real, positions = pad_tokens(tokens, pipe.tokenizer.pad_id, pipe.spec.max_tokens)
    encoder: text_qwen3.TextEncoder = pipe.component("text_encoder")
    return encoder(mx.array(ids), mx.array(real), positions)


def encode_references(pipe: Pipeline, request: Request) -> Generator[Note, None, References | None]:
    """A single picture whole, its rims filled up; several cropped; each at most a megapixel if no more is asked for."""
    latents, grids, multiple = [], [], pipe.spec.size_multiple
    encode = _encode_whole if len(request.references) == 1 else _encode_cropped
    caps = pipe.spec.limit_references(request.reference_size).reference_pixels
    for reference in request.references:
        encoded, used, whole = encode(pipe, reference, caps[encode is _encode_cropped])
        latents.append(encoded)
        grids.append(whole.grid(multiple))
        if used != Size.of(demand(reference.pixels)):
            yield pipe.note_size(reference, used)
    return References(mx.concatenate(latents, axis=1), grids) if latents else None


def _encode_whole(pipe: Pipeline, reference: Reference, cap: int) -> tuple[mx.array, Size, Size]:
    """Latents, the size at which the picture is used, and that of the canvas around it."""
    pixels = demand(reference.pixels)
    canvas = reference_canvas(Size.of(pixels), cap)
    used, whole = canvas
    return pipe.encode_pixels(fill_canvas(canvas, resize_and_crop(pixels, used, used))), used, whole


def _encode_cropped(pipe: Pipeline, reference: Reference, cap: int) -> tuple[mx.array, Size, Size]:
    """Latents, and twice the size at which the picture is used."""
    pixels = demand(reference.pixels)
    resized, cropped = reference_size(Size.of(pixels), cap, pipe.spec.size_multiple)
    return pipe.picture_latents(pixels, resized, cropped), cropped, cropped


def schedule(pipe: Pipeline, request: Request, tokens: int) -> np.ndarray:
    """(steps + 1,) times from 1 to 0, the same for every size."""
    return timesteps(demand(request.steps), MU)


def velocity(
    pipe: Pipeline,
    request: Request,
    grid: Grid,
    texts: list[mx.array],
    references: References | None,
    times: np.ndarray,
) -> Velocity:
    """The guided velocity as a function of (latents, step); a flow map is also told where the step goes."""
    model: flux3.Transformer = pipe.transformer
    conditions: list[flux3.Condition] = []
    joined = None if references is None else references.latents.astype(model.dtype)
    pictures = [pipe.choose(image_ids(grid)), reference_ids(references.grids if references else [])]
    for text in texts:  # prompts are of different lengths
        rope = model.rope(np.concatenate([text_ids(text.shape[1]), *pictures]))
        first = conditions[0] if conditions else None
        conditions.append(model.condition(text.astype(model.dtype), rope, joined, first))
    now, then = model.time_features(times[:-1]), model.time_features(times[1:])
    targets = [then[i : i + 1] if model.params.flow_map else None for i in range(len(now))]
    steering = [model.steer(now[i : i + 1], target) for i, target in enumerate(targets)]
    mx.eval(conditions, steering)  # once for all steps

    def one(condition: flux3.Condition, image: mx.array, i: int) -> Walk:
        return model.walk(image, steering[i], condition)

    guided = guide(one, conditions, demand(request.guidance), cache=pipe.step_cache)
    return lambda latents, i: guided(model.begin(latents, steering[i], conditions[0]), i)


def image_ids(grid: Grid, reference: int | None = None) -> np.ndarray:
    """(rows * columns, 4): (0, row / 2, column / 2, 0); reference r, counted from 0, has -(1 + r) at the end."""
    ids = grid_ids(grid).astype(np.float64)
    ids[:, 1:3] *= ROPE_SCALE
    ids[:, 3] = 0 if reference is None else -(1 + reference)
    return ids


def reference_ids(grids: list[Grid]) -> np.ndarray:
    """Ids of all references one after the other: (sum of rows * columns, 4)."""
    parts = [image_ids(grid, number) for number, grid in enumerate(grids)]
    return np.concatenate(parts) if parts else np.zeros((0, 4))


def pad_tokens(ids: list[int], pad_id: int, cap: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens of a prompt -> ids (1, L) int32, real (1, L) bool, positions (L,): L is the next multiple of 80.

    Padding goes right, and all of it stands at position 1, as in training.
    """
    ids = ids[:cap]
    length = min(-(-len(ids) // PAD_MULTIPLE) * PAD_MULTIPLE, cap)
    real = np.arange(length) < len(ids)
    padded = np.array([ids + [pad_id] * (length - len(ids))], np.int32)
    return padded, real[None], np.where(real, np.arange(length), PAD_POSITION)


def fill_canvas(canvas: Canvas, pixels: np.ndarray) -> np.ndarray:
    """Resized pixels (H, W, 3) -> the canvas, its rims filled with their reflection."""
    used, whole = canvas
    right, bottom = whole.width - used.width - canvas.left, whole.height - used.height - canvas.top
    mode: Literal["reflect", "symmetric"] = "reflect" if min(used) > MULTIPLE else "symmetric"
    return np.pad(pixels, ((canvas.top, bottom), (canvas.left, right), (0, 0)), mode=mode)
