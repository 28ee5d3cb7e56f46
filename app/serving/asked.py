"""What a program asks for, and how it becomes jobs of the queue: checked as the command line checks it."""

from __future__ import annotations

import dataclasses
import secrets
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from mlx_model.enlarging import FACTORS, find_words
from mlx_model.errors import FluxLocalError, RequestError
from mlx_model.helpers import find_enlarger
from mlx_model.memory import machine
from mlx_model.request import MAX_SEED, Mask, Request, check, demand, parse_size
from mlx_model.specs import SPECS
from mlx_model.store.folder import Folder, open_folder
from mlx_model.store.writer_folder import check_writer
from mlx_model.writing import compose_messages

from ..board.mentions import compile_prompt
from ..engine import running
from ..engine.jobs import Draft, Job
from ..models import helpers, library, writers
from ..pictures import inputs

MOST = 10  # pictures of one request
FROM_PROGRAM = "program"  # what the queue calls such a job
ADVICE = {  # what a program can do, or ask its person for; other advice names our buttons and options
    "add_depth": "Add depth-anything-v2-small in Flux Local first.",
    "add_model": "Add {name} in Flux Local first.",
    "add_model_again": "Add {name} in Flux Local again.",
    "install_part": 'An installation with pip has it after: pip install "flux-local-studio[{name}]"',
    "write_again": "Another seed gives another answer.",
}


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
    own_words: str = ""  # that the prompt was written out of, for the record


@dataclass(frozen=True)
class AskedWords:
    """Words to be written out; see mlx_model/writing.py. `model`: what they are for."""

    prompt: str = ""
    model: str | None = None
    change: bool = False
    references: tuple[str, ...] = ()
    seed: int = 0
    as_json: bool = False


@dataclass(frozen=True)
class AskedSize:
    """A picture to be enlarged `by` 2 or 4; `quick`: by a small network that draws nothing of its own."""

    picture: Path
    by: int = 2
    quick: bool = False
    model: str | None = None
    prompt: str = ""
    strength: float | None = None
    steps: int | None = None
    seed: int = 0


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
        own_words=unicodedata.normalize("NFC", asked.own_words),
    )


def make_words_job(asked: AskedWords) -> Job:
    """Its result is a text. Raises RequestError, NotInstalled, LayoutError, WillNotFit."""
    name = library.resolve(asked.model) if asked.model and asked.model not in SPECS else None
    spec = open_folder(name).spec if name else SPECS[asked.model] if asked.model else None
    if asked.as_json and (asked.change or (spec and not spec.structured)):
        raise RequestError("Nobody reads JSON here.", "Leave as_json out.")
    words = unicodedata.normalize("NFC", asked.prompt)
    compose_messages(words, asked.references, asked.change)
    folder, usable = writers.pick(None, spec, machine().usable), machine().usable
    check_writer(folder, usable)
    draft = Draft(words, str(folder), asked.references, asked.change, asked.seed, asked.as_json)
    request = Request(asked.model or "", prompt=words)
    return Job(secrets.token_hex(8), FROM_PROGRAM, request, "", previews=False, words=words, draft=draft)


def make_size_job(asked: AskedSize) -> Job:
    """The job of an enlarged picture. Raises RequestError, NotInstalled, WillNotFit."""
    if asked.by not in FACTORS:
        raise RequestError(f"A picture can't be enlarged {asked.by} times.", "Say 2 or 4.")
    row, reference = demand(find_enlarger(asked.by)), inputs.load_reference(asked.picture, [])
    if asked.quick:
        if asked.model or asked.prompt or asked.strength or asked.steps or asked.seed:
            raise RequestError("A quick way paints nothing: it takes no model, words or numbers.", "Leave them out.")
        helpers.resolve(row)
        request = helpers.prepare(Request(row.name, references=(reference,), enlarge=asked.by))
        return Job(secrets.token_hex(8), FROM_PROGRAM, request, "", previews=False)
    folder = open_folder(library.resolve(asked.model or None))
    request = Request(
        library.name_of(folder),
        prompt=unicodedata.normalize("NFC", asked.prompt) or find_words(folder.spec),
        references=(reference,),
        enlarge=asked.by,
        strength=asked.strength,
        steps=asked.steps,
        seed=asked.seed,
    )
    request = check(request, folder.spec)
    running.require_memory(folder, request)
    return _make_job(request, folder)


def _make_job(request: Request, folder: Folder) -> Job:
    return Job(secrets.token_hex(8), FROM_PROGRAM, request, str(folder.path), previews=False, words=request.prompt)


def say_error(error: FluxLocalError) -> str:
    """The error in words, with what to do about it."""
    hint = error.hint
    told = hint if isinstance(hint, str) else ADVICE.get(hint.code, "").format(**hint.values)
    return f"{error.message} {told}".strip()
