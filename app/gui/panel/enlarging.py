"""The menu that makes a take larger: with new detail by the panel's model, or quickly without any."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from PySide6.QtWidgets import QMenu

from mlx_model.enlarging import FACTORS, find_limit
from mlx_model.errors import FluxLocalError
from mlx_model.geometry import Size
from mlx_model.helpers import find_enlarger
from mlx_model.request import MAX_SIDE, demand

from ...board.data import Panel, Take
from ...board.panel_job import name_model
from ...board.take_job import enlarge_job
from ...engine.jobs import Job
from ...engine.running import require_memory
from ...models import helpers, library
from ..document.document import Document
from ..kit.widgets import as_action


def add_enlarging(menu: QMenu, document: Document, panel: Panel, take: Take) -> None:
    """Twice and four times, each in both ways; a network that is not here is offered."""
    largest = max(take.picture.width, take.picture.height)
    for factor in FACTORS:
        row, given = demand(find_enlarger(factor)), (document, panel, take, factor)
        by_model = menu.addAction(as_action(f"{factor}× With New Detail"), partial(enlarge, *given))
        words, act = f"{factor}× Quickly", partial(enlarge_quickly, *given)
        if not helpers.is_there(row):
            words, act = f"{words}: Get {row.title}…", partial(_ask_for, document, row.name)
        quickly = menu.addAction(as_action(words), act)
        for action in (by_model, quickly):
            action.setEnabled(factor * largest <= MAX_SIDE)


def _ask_for(document: Document, name: str) -> None:
    document.runs.lacking.emit(name)


def enlarge(document: Document, panel: Panel, take: Take, factor: int) -> None:
    """Put a run in line that makes a larger take of it; what can't be done, or only plainly, is told."""

    def make() -> Job:
        model = library.find(name_model(document.board, panel, document.model))
        job = enlarge_job(document.board, panel.id, take.id, factor, document.picture_path, model)
        require_memory(model.folder, job.request)
        if limit := find_limit(model.folder.spec, Size(take.picture.width, take.picture.height)):
            document.message.emit(limit, "A model that edits adds detail: choose one in the panel's Settings.")
        return replace(job, previews=document.previews)

    _submit(document, make)


def enlarge_quickly(document: Document, panel: Panel, take: Take, factor: int) -> None:
    """The same by a small network, beside the model that is kept loaded."""
    _submit(
        document,
        lambda: replace(enlarge_job(document.board, panel.id, take.id, factor, document.picture_path), previews=False),
    )


def _submit(document: Document, make: Callable[[], Job]) -> None:
    document.settle()
    try:
        job = make()
    except FluxLocalError as error:
        document.tell(error)
        return
    document.runs.submit(job)
