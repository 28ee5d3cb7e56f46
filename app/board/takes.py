"""How a picture becomes a take: one that a job has made, one that comes from outside."""

import dataclasses
from datetime import UTC, datetime

from msgspec.structs import replace

from ..engine.jobs import Job
from .data import Picture, Take, new_id

IMPORTED = "imported"


def make_take(job: Job, picture: Picture, seed: int | None, seconds: float) -> Take:
    """The take that `job` has made in `seconds`, with the seed that it ran with (None: the request's).

    `picture` has the bytes that the run wrote: the mark that a model made it, and the request without the paths of this
    machine (metadata.hide_paths). The take's own request has them.
    """
    request = job.request if seed is None else dataclasses.replace(job.request, seed=seed)
    picture = replace(picture, name=f"{job.label}.png")
    return Take(new_id(), picture, request.to_json(), request.model, _now(), request.seed or 0, seconds)


def import_take(picture: Picture, note: str = IMPORTED) -> Take:
    """A picture from outside, which has no request; `note` says where it is from."""
    return Take(new_id(), picture, "", "", _now(), 0, note=note)


def _now() -> str:
    """ISO 8601, UTC, in whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")
