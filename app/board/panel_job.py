"""Which model renders a panel, at what size, and whether it fits; how a panel becomes a job, and its picture a take.

No Qt, no mlx. `resolve` answers the first two, once a job: its Choice is what the forecast, the request, the job and
through it the worker go by.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import structs
from msgspec.structs import replace

from mlx_model.boxes import add_boxes
from mlx_model.errors import RequestError
from mlx_model.foreign import parse_json
from mlx_model.geometry import Size
from mlx_model.memory import Forecast
from mlx_model.request import MAX_SEED, Lora, Mask, Reference, Request, check, size_of_shape
from mlx_model.shortcuts import computes_regions, gains_from_cache
from mlx_model.specs import ModelSpec
from mlx_model.store.folder import Folder

from ..engine import running
from ..engine.jobs import Job
from ..models import library, loras
from .data import Adapter, Board, Panel, Picture, Source, Take, Taught, new_id
from .mentions import Names, compile_prompt
from .picture import Placed
from .regions import list_worded
from .seen import Seen, find_mask, look, names, see, source_picture


class Choice(NamedTuple):
    """What renders a panel: the model, opened, and the size of the picture."""

    model: library.Model
    size: Size

    @property
    def folder(self) -> Folder:
        return self.model.folder

    @property
    def spec(self) -> ModelSpec:
        """The sizes of this folder, which a fine-tune doesn't share with the row of SPECS."""
        return self.folder.spec


def resolve(board: Board, panel: Panel, default: str | None = None) -> Choice:
    """The panel's model, else the board's, else `default` (a name or a folder), else the library's default one.

    Raises NotInstalled, LayoutError, RequestError (no such model, a shape that it can't make).
    """
    return choose_size(board, panel, library.find(name_model(board, panel, default)))


def name_model(board: Board, panel: Panel, default: str | None = None) -> str | None:
    """The name or folder of the model that resolve opens; None: the library's default one."""
    return panel.settings.model or board.model or default


def choose_size(board: Board, panel: Panel, model: library.Model) -> Choice:
    """The panel's own size, else the board's shape at the model's number of pixels. Raises RequestError past 8:1."""
    settings = panel.settings
    if settings.width and settings.height:
        return Choice(model, Size(settings.width, settings.height))
    return Choice(model, size_of_shape(*board.aspect, model.folder.spec))


def choose_step_cache(panel: Panel, spec: ModelSpec) -> float | None:
    """The panel's, where the model takes so many steps that it gains something."""
    steps = spec.steps if panel.settings.steps is None else panel.settings.steps
    return panel.settings.step_cache if gains_from_cache(steps) else None


def choose_region(mask: Mask | None, panel: Panel, spec: ModelSpec) -> bool:
    """Whether only what the mask repaints is computed: the panel asks for it, and the model can."""
    return panel.settings.region and mask is not None and computes_regions(spec)


def require_memory(board: Board, panel: Panel, choice: Choice) -> Forecast:
    """What a run of the panel needs. Raises WillNotFit where this machine can't hold it."""
    shown = see(board, panel)
    known = find_taught(board, shown, choice.model.name)
    sizes = [one.size for one in shown if one.size and not is_known(one, known)]
    adapters, seen_at = list_loras(board, panel, known), running.choose_reference_size(choice.spec)
    cache = choose_step_cache(panel, choice.spec)
    return running.require_room(choice.folder, choice.size, sizes, loras=adapters, seen_at=seen_at, step_cache=cache)


def find_taught(board: Board, shown: Sequence[Seen], model: str) -> dict[str, Taught]:
    """By the member's id, how a model calls those of `shown` that it was taught. What is not in the library counts
    no more: the picture speaks then."""
    members = {member.id: member for member in board.cast}
    found: dict[str, Taught] = {}
    for one in shown:
        for taught in members[one.member].taught if one.member and one.member in members else ():
            if taught.model == model and loras.find(taught.lora):
                found[one.member or ""] = taught
    return found


def is_known(one: Seen, known: Mapping[str, Taught]) -> bool:
    """Whether the model is told of the member by a word alone: it was taught it, or the cast has no picture of it yet.

    A picture that the artist gave stays one.
    """
    return one.kind == "cast" and (one.member in known or one.picture is None)


def list_loras(board: Board, panel: Panel, known: Mapping[str, Taught]) -> tuple[Lora, ...]:
    """The panel's LoRAs, else the board's, and what was taught, as files of the library.

    Raises RequestError for one that is not there.
    """
    found = []
    named = name_loras(board, panel)
    words = [Adapter(one.lora, one.strength) for one in known.values()]
    for one in (*named, *(word for word in words if word.name not in {other.name for other in named})):
        path = loras.find(one.name)
        if path is None:
            raise RequestError(f"The LoRA {one.name} is not in the library.", "Add it under LoRAs, or take it off.")
        found.append(Lora(str(path), one.strength, loras.digest_of(path)))
    return tuple(found)


def name_loras(board: Board, panel: Panel) -> tuple[Adapter, ...]:
    """By their names: the panel's own, else the board's."""
    return board.loras if panel.settings.loras is None else panel.settings.loras


def instruct(panel: Panel, instruction: str | None) -> Panel:
    """The panel as an instruction renders it: an edit of its current take, whatever its own words and source are."""
    if instruction is None:
        return panel
    start = panel.find_take(panel.source.take) or panel.take
    mask = panel.mask if panel.source.kind == "take" and start == panel.take else None
    return structs.replace(panel, instruction=instruction, source=Source("take"), mask=mask, placed=(),
                           boxes=())  # fmt: skip


FOLLOW = {  # what is said of a reference of that role
    "pose": "Whoever is in the picture takes the pose drawn in {}; nothing else is taken from it.",
    "edges": "All outlines follow the edges drawn in {}; its colours are not used.",
    "depth": "The space follows the depth map {}, in which near is white and far is black; its colours are not used.",
    "layout": "Everything stands where {} shows it, as large as there; its colours and style are not used.",
}
Compose = Callable[[Picture, tuple[Placed, ...]], Picture]  # a ground and what lies on it -> both as one picture


class Laid(NamedTuple):
    """What lay on the picture that a job changes, and both as one picture, which is its first."""

    placed: tuple[Placed, ...] = ()
    composite: Picture | None = None


def panel_job(
    board: Board,
    panel_id: str,
    picture_path: Callable[[str], Path],
    choice: Choice | None = None,
    *,
    seed: int | None = None,
    instruction: str | None = None,
    slot: str | None = None,
    previews: bool = True,
    compose: Compose | None = None,
) -> Job:
    """The job that makes a new take of a panel; `picture_path` gives the file of a picture's sha256.

    The prompt is the panel's words, then the board's style; mentions become "image N" (or what the model calls it) by
    the order of `see`.
    `choice` None: as resolve answers. `instruction`: see instruct. `seed` None: the panel's where it is locked, else a
    new one. The job's model is the folder of the choice, the request's its name. What is placed on the start is only
    part of it where `compose` can put both together, which takes a while: who asks whether it would run needs none.
    Raises RequestError (nothing to start from, unknown mention, too many references ...) and what resolve raises.
    """
    panel, label = instruct(board.panel(panel_id), instruction), look(board).numbers[panel_id]
    choice = choice or resolve(board, panel)
    spec, (width, height) = choice.spec, choice.size
    if not panel.words.strip():
        raise _no_words(panel, label)
    known = find_taught(board, see(board, panel), choice.model.name)
    shown, source = _pictures(board, panel, label), source_picture(board, panel)
    laid, mask = _lay(panel, source, compose), _mask(board, panel, picture_path)
    pictures = [_show_laid(one, laid) for one in shown if not is_known(one, known)]
    request = Request(
        choice.model.name,
        prompt=_compile(board, panel, shown, _call(shown, known, spec), spec),
        own_words=panel.own_words.strip() if panel.written_out else "",
        width=width,
        height=height,
        steps=panel.settings.steps,
        guidance=panel.settings.guidance,
        seed=further_seed(panel, 0) if seed is None else seed,
        references=tuple(_reference(one, one.picture, picture_path) for one in pictures if one.picture),
        mask=mask,
        strength=panel.settings.strength if source else None,
        loras=list_loras(board, panel, known),
        reference_size=running.choose_reference_size(spec),
        step_cache=choose_step_cache(panel, spec),
        region=choose_region(mask, panel, spec),
    )
    folder, start = str(choice.folder.path), look(board).find_start(panel)
    words, start_id = panel.own_words.strip(), start.id if start else None
    made = new_id(), label, check(request, spec), folder, panel_id, slot, previews, instruction, words, start_id, laid
    return Job(*made)


def _compile(board: Board, panel: Panel, shown: Sequence[Seen], called: list[str], spec: ModelSpec) -> str:
    """The words for the model; then what it is to follow in pictures that are there for that, and what is in boxes."""
    known = Names(names(shown), offered=[member.name for member in board.cast])
    prompt = compile_prompt(_describe(board, panel), known, called)
    for one, name in zip(shown, called, strict=True):
        if spec.follows and one.kind == "reference" and one.role in FOLLOW:
            prompt = _join(prompt, FOLLOW[one.role].format(name))
    return _add_boxes(prompt, panel, known, shown, called) if spec.boxes else prompt


def _add_boxes(prompt: str, panel: Panel, known: Names, shown: Sequence[Seen], called: list[str]) -> str:
    """Something is new in an edit, whose pictures don't have it."""
    worded = list_worded(panel.boxes)
    words = [compile_prompt(one.words.strip(), known, called) for one in worded]
    placed = zip(words, (one.corners for one in worded), strict=True)
    return add_boxes(prompt, placed, edit=any(one.picture for one in shown))


def _lay(panel: Panel, source: Picture | None, compose: Compose | None) -> Laid:
    if not panel.placed or source is None or compose is None:
        return Laid()
    return Laid(panel.placed, compose(source, panel.placed))


def _show_laid(one: Seen, laid: Laid) -> Seen:
    return replace(one, picture=laid.composite) if laid.composite and one.kind == "source" else one


def _no_words(panel: Panel, label: str) -> RequestError:
    if panel.source.kind == "blank":
        return RequestError(f"Panel {label} has no prompt.", "Say what the picture should show.")
    return RequestError(f"Panel {label} has no instruction.", "Say what is to change in the picture.")


def _call(shown: Sequence[Seen], known: Mapping[str, Taught], spec: ModelSpec) -> list[str]:
    """What the model calls each of `shown`: by its word, by the number of its picture, or by both."""
    called, number = [], 0
    for one in shown:
        taught = known.get(one.member or "")
        if is_known(one, known):
            called.append(taught.word if taught else one.name)
            continue
        number += 1
        called.append(f"{taught.word} ({spec.mention.format(number)})" if taught else spec.mention.format(number))
    return called


def _describe(board: Board, panel: Panel) -> str:
    """What is asked for, where that is, then the style of the board."""
    place = look(board).find_place(panel).replace("@", r"\@") if panel.in_place else ""
    return _join(_join(panel.words.strip(), place), board.style.strip())


def _join(text: str, more: str) -> str:
    if not more:
        return text
    return f"{text} {more}" if text[-1] in ".!?…,;:" else f"{text}. {more}"


def _pictures(board: Board, panel: Panel, label: str) -> tuple[Seen, ...]:
    """What the model sees. Raises RequestError where there is no picture to start from."""
    if panel.source.kind != "blank":
        _check_source(board, panel, label)
    return see(board, panel)


def _check_source(board: Board, panel: Panel, label: str) -> None:
    if source_picture(board, panel):
        return
    if panel.source.kind == "take":
        raise RequestError(f"Panel {label} has no picture to change yet.", "Make one first: start from blank.")
    number = look(board).numbers.get(panel.source.panel or "")
    if number is None:
        message = f"The panel that panel {label} continues from is no longer there."
        raise RequestError(message, "Choose another panel to continue from, or start from blank.")
    raise RequestError(f"Panel {label} continues from panel {number}, which has no picture yet.", "Make it first.")


def _reference(one: Seen, picture: Picture, picture_path: Callable[[str], Path]) -> Reference:
    crop = one.crop.box if one.crop else None
    return Reference(str(picture_path(picture.sha256)), one.name, one.role, picture.sha256, crop=crop)


def further_seed(panel: Panel, number: int) -> int:
    """The seed of the take `number`, counted from 0, of several: a locked one counts up, else it is any."""
    return (panel.seed + number) % (MAX_SEED + 1) if panel.seed_locked else secrets.randbelow(2**32)


def _mask(board: Board, panel: Panel, picture_path: Callable[[str], Path]) -> Mask | None:
    mask = find_mask(board, panel)
    return Mask(str(picture_path(mask.sha256)), mask.sha256) if mask else None


IMPORTED = "imported"


def make_take(job: Job, picture: Picture, seed: int | None, seconds: float) -> Take:
    """The take that `job` has made in `seconds`, with the seed that it ran with (None: the request's).

    `picture` has the bytes that the run wrote: the mark that a model made it, and the request without the paths of this
    machine (metadata.hide_paths). The take's own request has them.
    """
    request = job.request if seed is None else dataclasses.replace(job.request, seed=seed)
    picture = replace(picture, name=f"{job.label}.png")
    made = new_id(), picture, request.to_json(), request.model, _now(), request.seed or 0, seconds
    laid = job.origin if isinstance(job.origin, Laid) else Laid()
    return Take(*made, parent=job.start, instruction=job.words, placed=laid.placed, composite=laid.composite)


def import_take(picture: Picture, note: str = IMPORTED) -> Take:
    """A picture from outside, which has no request; `note` says where it is from."""
    return Take(new_id(), picture, "", "", _now(), 0, note=note)


def read_request(take: Take) -> dict[str, Any]:
    """What a take's request says, which a stranger may have written; {} for none, and for what is no request."""
    try:
        values = parse_json(take.request)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _now() -> str:
    """ISO 8601, UTC, in whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")
