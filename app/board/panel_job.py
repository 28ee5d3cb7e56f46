"""How a panel of a board becomes a job: plain data, no Qt, no mlx."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from msgspec import structs

from mlx_model.errors import RequestError
from mlx_model.request import Mask, Reference, Request, check
from mlx_model.specs import ModelSpec
from mlx_model.store.folder import open_folder

from ..base.shapes import size_of_shape
from ..engine.jobs import Job
from ..models import library
from .data import Board, Panel, Picture, Source, new_id, numbers
from .mentions import compile_prompt
from .seen import Seen, names, seen, source_picture


def panel_job(
    board: Board,
    panel_id: str,
    picture_path: Callable[[str], Path],
    model: ModelSpec | str | None = None,
    *,
    seed: int | None = None,
    instruction: str | None = None,
    slot: str | None = None,
    previews: bool = True,
) -> Job:
    """The job that makes a new take of a panel; `picture_path` gives the file of a picture's sha256.

    The prompt is the panel's, then the board's style; mentions become "image N" (or what the model calls it) by
    the order of `seen`.
    `model` is a spec, a model's name or a folder; None: the panel's, else the board's, else the default model. With an
    `instruction` the panel's current take is edited by it, whatever the panel's own prompt and source are. `seed`
    None: the panel's where it is locked, else a new one.
    Raises RequestError (nothing to start from, unknown mention, too many references ...), NotInstalled, LayoutError.
    """
    panel, label = board.panel(panel_id), numbers(board)[panel_id]
    name, spec = _model(model if model is not None else panel.settings.model or board.model)
    if instruction is not None:
        own = panel.source.kind == "take"
        panel = structs.replace(panel, prompt=instruction, source=Source("take"), mask=panel.mask if own else None)
    if not panel.prompt.strip():
        raise RequestError(f"Panel {label} has no prompt.", "Say what the picture should show.")
    shown, source = _pictures(board, panel, label), source_picture(board, panel)
    width, height = _size(board, panel, spec)
    request = Request(
        name,
        prompt=compile_prompt(_text(panel.prompt, board.style), names(shown), spec.mention),
        width=width,
        height=height,
        steps=panel.settings.steps,
        guidance=panel.settings.guidance,
        seed=_seed(panel) if seed is None else seed,
        references=tuple(_reference(one, picture_path) for one in shown),
        mask=_mask(panel, source, picture_path),
        strength=panel.settings.strength if source else None,
    )
    return Job(new_id(), label, check(request, spec), name, panel_id, slot, previews, instruction)


def _model(model: ModelSpec | str | None) -> tuple[str, ModelSpec]:
    """The name that a request records (a path where the name finds another folder) and the facts of the model."""
    if isinstance(model, ModelSpec):
        return model.name, model
    folder = open_folder(library.resolve(model))
    return library.name_of(folder), folder.spec


def _text(prompt: str, style: str) -> str:
    """What is asked for, then the style of the board."""
    prompt, style = prompt.strip(), style.strip()
    if not style:
        return prompt
    return f"{prompt} {style}" if prompt[-1] in ".!?…,;:" else f"{prompt}. {style}"


def _pictures(board: Board, panel: Panel, label: str) -> tuple[Seen, ...]:
    """What the model sees. Raises RequestError where a picture of it is missing."""
    if panel.source.kind != "blank":
        _check_source(board, panel, label)
    shown = seen(board, panel)
    for one in shown:
        if one.picture is None:
            hint = "Give the cast member a picture, or leave the @ out."
            raise RequestError(f"@{one.name} has no picture yet.", hint)
    return shown


def _check_source(board: Board, panel: Panel, label: str) -> None:
    if source_picture(board, panel):
        return
    if panel.source.kind == "take":
        raise RequestError(f"Panel {label} has no picture to change yet.", "Make one first: start from blank.")
    number = numbers(board).get(panel.source.panel or "")
    if number is None:
        message = f"The panel that panel {label} continues from is no longer there."
        raise RequestError(message, "Choose another panel to continue from, or start from blank.")
    raise RequestError(f"Panel {label} continues from panel {number}, which has no picture yet.", "Make it first.")


def _reference(one: Seen, picture_path: Callable[[str], Path]) -> Reference:
    sha256 = one.picture.sha256
    return Reference(str(picture_path(sha256)), one.name, one.role, sha256)


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
