"""What a program asks for, and how it becomes jobs of the queue: checked as the command line checks it."""

from __future__ import annotations

import dataclasses
import secrets
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from mlx_model.errors import RequestError
from mlx_model.request import MAX_SEED, Mask, Request, check, parse_size
from mlx_model.store.folder import Folder, open_folder

from ..board.mentions import compile_prompt
from ..engine import running
from ..engine.jobs import Job
from ..models import library
from ..pictures import inputs

MOST = 10  # pictures of one request
FROM_PROGRAM = "program"  # what the queue calls such a job


@dataclass(frozen=True)
class Asked:
    """One request of a program; `pictures` are files, the first is edited; "auto" is the model's own size.

    `mask`: white is repainted.
    """

    prompt: str = ""
    model: str | None = None
    pictures: tuple[Path, ...] = ()
    mask: Path | None = None
    size: str | None = None
    count: int = 1
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    negative: str = ""
    strength: float | None = None


def make_jobs(asked: Asked) -> list[Job]:
    """One job a picture, with seeds that count up.

    Opens the pictures; raises RequestError, NotInstalled, WillNotFit and what a damaged model raises.
    """
    if not 1 <= asked.count <= MOST:
        raise RequestError(f"{asked.count} pictures at once are not possible.", f"Ask for 1 to {MOST}.")
    folder = open_folder(library.resolve(asked.model or None))
    request = check(_fill(asked, folder), folder.spec)
    running.require_memory(folder, request)
    seeds = [(request.seed + number) % (MAX_SEED + 1) for number in range(asked.count)]
    return [_make_job(dataclasses.replace(request, seed=seed), folder) for seed in seeds]


def _fill(asked: Asked, folder: Folder) -> Request:
    """The request before it is checked, its pictures opened."""
    notes: list[str] = []
    references = tuple(inputs.load_reference(path, notes) for path in asked.pictures)
    words = unicodedata.normalize("NFC", asked.prompt)
    if "@" in words:
        words = compile_prompt(words, [reference.name for reference in references], folder.spec.mention)
    size = None if asked.size in (None, "auto") else parse_size(str(asked.size), folder.spec)
    mask: Mask | None = None
    if asked.mask:
        if not references:
            raise RequestError("A mask needs a picture.", "Send the picture too.")
        mask = inputs.load_mask(asked.mask, inputs.pixels_of(references[0]))
    return Request(
        library.name_of(folder),
        prompt=words,
        width=size and size.width,
        height=size and size.height,
        steps=asked.steps,
        guidance=asked.guidance,
        seed=secrets.randbelow(2**32) if asked.seed is None else asked.seed,
        negative=asked.negative,
        references=references,
        mask=mask,
        strength=asked.strength,
    )


def _make_job(request: Request, folder: Folder) -> Job:
    return Job(secrets.token_hex(8), FROM_PROGRAM, request, str(folder.path), previews=False, words=request.prompt)
