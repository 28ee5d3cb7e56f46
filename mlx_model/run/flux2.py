"""How FLUX.2 runs: its prompt, its references, its schedule and its velocity. Called by pipeline.py, found by name.

Source: black-forest-labs/flux2 src/flux2/sampling.py.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import mlx.core as mx
import numpy as np

from ..events import Note
from ..geometry import Grid, Size, reference_size
from ..nets.ops import Walk, timestep_features
from ..request import demand
from .latents import grid_ids, reference_ids, text_ids
from .references import References, fingerprint
from .sampler import Velocity, empirical_mu, guide, timesteps

if TYPE_CHECKING:
    from ..nets import flux2
    from ..request import Request
    from .pipeline import Pipeline


def encode_text(pipe: Pipeline, prompt: str) -> mx.array:
    """(1, T, width)."""
    ids, real = pipe.tokenizer(prompt)
    features: mx.array = pipe.component("text_encoder")(mx.array(ids), mx.array(real))
    return features


def encode_references(pipe: Pipeline, request: Request) -> Generator[Note, None, References | None]:
    """Each at the reference implementation's size, with a Note where that is not its own."""
    latents, grids, multiple = [], [], pipe.spec.size_multiple
    cap = pipe.spec.limit_references(request.reference_size).reference_pixels[0 if len(request.references) == 1 else 1]
    for reference in request.references:
        own = Size.of(demand(reference.pixels))
        resized, cropped = reference_size(own, cap, multiple)
        latents.append(pipe.picture_latents(demand(reference.pixels), resized, cropped))
        grids.append(cropped.grid(multiple))
        if cropped != own:
            yield pipe.note_size(reference, cropped)
    return References(mx.concatenate(latents, axis=1), grids) if latents else None


def schedule(pipe: Pipeline, request: Request, tokens: int) -> np.ndarray:
    """(steps + 1,) times from 1 to 0."""
    steps = demand(request.steps)
    return timesteps(steps, empirical_mu(tokens, steps) if pipe.spec.mu is None else pipe.spec.mu)


def velocity(
    pipe: Pipeline,
    request: Request,
    grid: Grid,
    texts: list[mx.array],
    references: References | None,
    times: np.ndarray,
) -> Velocity:
    """The guided velocity as a function of (latents, step); all that is the same in every step is prepared here."""
    model: flux2.Transformer = pipe.transformer
    given = conditions(pipe, request, grid, texts, references)
    features = timestep_features(times[:-1])
    guidance = timestep_features([demand(request.guidance)]) if model.params.guidance_embed else None
    steering = [model.steer(features[i : i + 1], guidance) for i in range(len(features))]
    mx.eval(steering)  # once for all steps, both prompts and all that blocks share

    def one(condition: flux2.Condition, latents: mx.array, i: int) -> Walk:
        return model.walk(latents, steering[i], condition)

    return guide(one, given, demand(request.guidance), cache=pipe.step_cache)


def conditions(
    pipe: Pipeline, request: Request, grid: Grid, texts: list[mx.array], references: References | None
) -> list[flux2.Condition]:
    """What stays the same over all steps, for each text; the order of tokens is [text, image, references]."""
    model: flux2.Transformer = pipe.transformer
    ids, joined, bank = [text_ids(texts[0].shape[1]), pipe.choose(grid_ids(grid))], None, None
    if references is not None and pipe.spec.reference_bank:
        bank = _bank(pipe, request, references)
    elif references is not None:
        ids.append(reference_ids(references.grids))
        joined = references.latents.astype(model.dtype)
    rope = model.rope(np.concatenate(ids))
    return [model.condition(text.astype(model.dtype), rope, joined, bank) for text in texts]


def _bank(pipe: Pipeline, request: Request, references: References) -> flux2.Bank:
    """K and V of the references, kept across runs: they depend on nothing else."""
    key = (
        tuple(fingerprint(demand(reference.pixels)) for reference in request.references),
        tuple(references.grids),
        request.reference_size,  # of pictures cropped to one size it tells how large they were before
        pipe.adapted,
    )

    model: flux2.Transformer = pipe.transformer
    make = lambda: model.reference_bank(references.latents, model.rope(reference_ids(references.grids)))  # noqa: E731
    bank: flux2.Bank = pipe.banks.get(key, make, model.bank_bytes(references.latents.shape[1]))
    return bank
