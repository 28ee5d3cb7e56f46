"""Jobs and their states, and how a panel of a board becomes a job: plain data, no Qt, no mlx."""

from __future__ import annotations

import dataclasses
import secrets
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from mlx_model.errors import RequestError
from mlx_model.events import Cancelled, Done, Event, Failed, Note, Preview, Stage, Step
from mlx_model.folder import open_folder
from mlx_model.request import Mask, Reference, Request, check
from mlx_model.specs import ModelSpec

from . import library
from .mentions import LIMIT, compile_prompt, find
from .sizes import size_of_shape
from .storyboard import Board, Member, Panel, Picture, new_id, numbers

State = Literal["waiting", "running", "done", "failed", "cancelled"]
OVER: tuple[State, ...] = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Job:
    """One picture to make. `request` names its pictures by path and carries no pixels.

    `model` is a model's name or the path of its folder. Of two jobs with the same `slot` the newer replaces the older,
    waiting or running, and stands in front of the queue: somebody is looking at it (live mode).
    """

    id: str
    label: str
    request: Request
    model: str
    panel: str | None = None
    slot: str | None = None
    previews: bool = True


@dataclass(frozen=True)
class JobState:
    """A job and how far it is. `reason` and `hint` say why it failed or was cancelled; paths are files on disk."""

    job: Job
    state: State = "waiting"
    stage: str = ""  # "text", "references", "denoise", "decode" while it runs
    step: int = 0
    total: int = 0
    left: float | None = None  # seconds, predicted
    cancelling: bool = False  # asked to stop, and will within a step
    preview: str | None = None
    result: str | None = None
    seed: int | None = None
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    code: str = ""  # of the error, see mlx_model/errors.py
    reason: str = ""
    hint: str = ""

    @property
    def id(self) -> str:
        return self.job.id

    @property
    def over(self) -> bool:
        return self.state in OVER

    def after(self, event: Event) -> JobState:
        """The state once `event` has happened."""
        change = dataclasses.replace
        match event:
            case Stage():
                return change(self, stage=event.name, total=event.total or 0, step=0)
            case Step():
                return change(self, step=event.step, total=event.total, left=event.left)
            case Preview():
                return change(self, preview=event.path)
            case Note():
                return change(self, notes=(*self.notes, event.text))
            case Done():
                return change(self, state="done", result=event.path, seed=event.seed, seconds=event.seconds, left=0.0)
            case Failed():
                return change(self, state="failed", code=event.code, reason=event.message, hint=event.hint)
            case Cancelled():
                return change(self, state="cancelled", reason=event.reason)
        return self


class Shown(NamedTuple):
    """A picture that the model looks at for a panel; its place in the list is its number in the prompt.

    `name` is what a mention calls it: "" for the source and for further pictures of one cast member. `reference` is
    the id of the panel's reference, None for the source and for a member that is only mentioned.
    """

    picture: Picture
    name: str = ""
    role: str = ""
    member: str | None = None
    reference: str | None = None


def panel_job(
    board: Board,
    panel_id: str,
    picture_path: Callable[[str], Path],
    model: ModelSpec | str | None = None,
    *,
    seed: int | None = None,
    instruction: str | None = None,
) -> Job:
    """The job that makes a new take of a panel; `picture_path` gives the file of a picture's sha256.

    The prompt is the panel's, then the board's style; mentions become "image N" by the order of `shown_to_model`.
    `model` is a spec, a model's name or a folder; None: the panel's, else the board's, else the default model. With an
    `instruction` the panel's current take is edited by it, whatever the panel's own prompt and source are. `seed`
    None: the panel's where it is locked, else a new one.
    Raises RequestError (nothing to start from, unknown mention, too many references ...), NotInstalled, LayoutError.
    """
    panel, label = board.panel(panel_id), numbers(board)[panel_id]
    name, spec = _model(model if model is not None else panel.settings.model or board.model)
    text = _text(board, panel, instruction)
    if not text:
        raise RequestError(f"Panel {label} has no prompt.", "Say what the picture should show.")
    source = _source(board, panel, label, instruction is not None)
    shown = shown_to_model(board, panel_id, instruction)
    width, height = _size(board, panel, spec)
    request = Request(
        name,
        prompt=compile_prompt(text, [picture.name for picture in shown]),
        width=width,
        height=height,
        steps=panel.settings.steps,
        guidance=panel.settings.guidance,
        seed=_seed(panel) if seed is None else seed,
        references=tuple(_reference(picture, picture_path) for picture in shown),
        mask=_mask(panel, source, picture_path),
        strength=panel.settings.strength if source else None,
    )
    return Job(new_id(), label, check(request, spec), name, panel_id)


def shown_to_model(board: Board, panel_id: str, instruction: str | None = None) -> tuple[Shown, ...]:
    """All pictures in the order of the model, for compiling the prompt and for numbering them on screen.

    First the source picture (where the panel starts from a take), then the panel's references, then the cast members
    that the text mentions and that are not among them, in the order of their mentions, each by its first picture.
    Raises RequestError where the source or the picture of a mentioned member is missing.
    """
    panel, members = board.panel(panel_id), {member.id: member for member in board.cast}
    source = _source(board, panel, numbers(board)[panel_id], instruction is not None)
    shown, named = [Shown(source)] if source else [], set()
    for reference in panel.references:
        member = members.get(reference.member or "")
        name = "" if reference.member in named else member.name if member else reference.name
        if member:
            named.add(member.id)
        shown.append(Shown(reference.picture, name, reference.role, member.id if member else None, reference.id))
    others = [member for member in board.cast if member.id not in named]
    text = _text(board, panel, instruction)
    return (*shown, *(_portrait(member) for member in _mentioned(text, [s.name for s in shown], others)))


def _model(model: ModelSpec | str | None) -> tuple[str, ModelSpec]:
    """The name that a request records (a path where the name finds another folder) and the facts of the model."""
    if isinstance(model, ModelSpec):
        return model.name, model
    folder = open_folder(library.resolve(model))
    return library.name_of(folder), folder.spec


def _text(board: Board, panel: Panel, instruction: str | None) -> str:
    """What is asked for, then the style of the board, in Unicode form NFC; "" where nothing is asked for."""
    asked, style = (panel.prompt if instruction is None else instruction).strip(), board.style.strip()
    if asked and style:
        asked = f"{asked} {style}" if asked[-1] in ".!?…,;:" else f"{asked}. {style}"
    return unicodedata.normalize("NFC", asked)


def _source(board: Board, panel: Panel, label: str, own: bool) -> Picture | None:
    """The picture that the panel starts from. Raises RequestError where it is not made yet or gone."""
    if own or panel.source.kind == "take":
        if panel.take is None:
            raise RequestError(f"Panel {label} has no picture to change yet.", "Make one first: start from blank.")
        return panel.take.picture
    if panel.source.kind == "blank":
        return None
    try:
        other = board.panel(panel.source.panel or "")
    except KeyError as error:
        message = f"The panel that panel {label} continues from is no longer there."
        raise RequestError(message, "Choose another panel to continue from, or start from blank.") from error
    if other.take is None:
        number = numbers(board)[other.id]
        raise RequestError(f"Panel {label} continues from panel {number}, which has no picture yet.", "Make it first.")
    return other.take.picture


def _mentioned(text: str, names: Sequence[str], others: Sequence[Member]) -> list[Member]:
    """Those of `others` that `text` mentions by name, in the order of the mentions; `names` come before theirs."""
    taken = {name.casefold() for name in names}
    others = [member for member in others if member.name.casefold() not in taken]
    # Empty names fill the places up to the largest number, so that no number reaches a member.
    fixed = [*names, *[""] * (LIMIT - len(names))]
    mentions = find(text, [*fixed, *(member.name for member in others)])
    places = [mention.place - len(fixed) - 1 for mention in mentions if mention.place and mention.place > len(fixed)]
    return [others[place] for place in dict.fromkeys(places)]


def _portrait(member: Member) -> Shown:
    if not member.pictures:
        raise RequestError(f"@{member.name} has no picture yet.", "Give the cast member a picture, or leave the @ out.")
    return Shown(member.pictures[0], member.name, member.role, member.id)


def _reference(shown: Shown, picture_path: Callable[[str], Path]) -> Reference:
    sha256 = shown.picture.sha256
    return Reference(str(picture_path(sha256)), shown.name, shown.role, sha256)


def _size(board: Board, panel: Panel, spec: ModelSpec) -> tuple[int, int]:
    """The panel's own size, else the board's shape at the model's default number of pixels."""
    if panel.settings.width and panel.settings.height:
        return panel.settings.width, panel.settings.height
    return size_of_shape(*board.aspect, spec)


def _seed(panel: Panel) -> int:
    return panel.seed if panel.seed_locked else secrets.randbelow(2**32)


def _mask(panel: Panel, source: Picture | None, picture_path: Callable[[str], Path]) -> Mask | None:
    """A mask is painted on the source, so without one, or on another picture, it means nothing."""
    mask = panel.mask
    if mask is None or source is None or (mask.width, mask.height) != (source.width, source.height):
        return None
    return Mask(str(picture_path(mask.sha256)), mask.sha256)
