"""What is asked of a take that is there: a larger one, or the same once more."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from mlx_model.enlarging import find_words
from mlx_model.errors import RequestError
from mlx_model.helpers import find_enlarger
from mlx_model.request import Reference, Request, check, demand, from_json

from ..engine.jobs import Job
from ..models import library
from .data import Board, Panel, find_id, new_id
from .seen import look

SEED = 0  # of what is enlarged: always the same, so that one that was stopped finds what it had made


def enlarge_job(
    board: Board,
    panel_id: str,
    take_id: str,
    factor: int,
    picture_path: Callable[[str], Path],
    model: library.Model | None = None,
) -> Job:
    """The job; its take comes from the one that is enlarged. Without a model a small network does it, the quick way.

    `picture_path` gives the file of a picture's sha256. Raises Refused for a take that is gone, RequestError.
    """
    take = find_id(board.panel(panel_id).takes, take_id, "take")
    spec, picture = model.folder.spec if model else demand(find_enlarger(factor)), take.picture
    request = Request(
        model.name if model else spec.name,
        prompt=find_words(spec),
        width=picture.width * factor,
        height=picture.height * factor,
        seed=SEED,
        references=(Reference(str(picture_path(picture.sha256)), sha256=picture.sha256),),
        enlarge=factor,
    )
    label, folder = look(board).numbers[panel_id], str(model.folder.path) if model else ""
    words = f"enlarged {factor}×"
    return Job(new_id(), label, check(request, spec), folder, panel_id, words=words, start=take.id)


def is_repeat(job: Job, panel: Panel) -> bool:
    """Whether the job, made by panel_job without `compose`, would try once more what made the panel's current take.

    Requests are compared whole, so that nothing which a panel may hold one day is forgotten; but a seed only where it
    is locked, and no paths: a board may have been moved.
    """
    shown = panel.take
    if shown is None or (job.start, panel.placed) != (shown.parent, shown.placed):
        return False
    try:
        made = from_json(shown.request)
    except RequestError:  # a picture from outside has none
        return False
    asked = job.request if panel.seed_locked else dataclasses.replace(job.request, seed=made.seed)
    if panel.placed:  # on the same picture as then: both together were what the model saw first
        asked = dataclasses.replace(asked, references=(*made.references[:1], *asked.references[1:]))
    return _hide_places(asked) == _hide_places(made)


def _hide_places(request: Request) -> Request:
    """Without the places of its files on this machine."""
    shown = tuple(dataclasses.replace(one, path="") for one in request.references)
    loras = tuple(dataclasses.replace(one, path="") for one in request.loras)
    mask = dataclasses.replace(request.mask, path="") if request.mask else None
    return dataclasses.replace(request, references=shown, loras=loras, mask=mask)
