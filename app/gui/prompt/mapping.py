"""Depth maps of references: made by the worker, shown in the tray in the photo's place, and looked at either way."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from msgspec.structs import replace
from PySide6.QtCore import QObject

from mlx_model.errors import Refused
from mlx_model.helpers import DEPTH
from mlx_model.request import Reference, Request

from ...board import commands
from ...board.data import Panel, PanelReference, new_id
from ...board.seen import Seen
from ...engine.jobs import Job, JobState
from ...models import helpers
from ..document.document import Document

MAKING = "The depth map of @{} is being made; the queue can cancel it."


@dataclass(frozen=True)
class Asked:
    """Of which picture of a reference a map is wanted."""

    panel_id: str
    reference: PanelReference


class Mapper(QObject):
    """Makes the maps of a tray's references, and says by `tell` that it does.

    `photos` are those of which the photo is looked at.
    """

    def __init__(self, document: Document, tell: Callable[[str], object], parent: QObject):
        super().__init__(parent)
        self.document, self.tell = document, tell
        self.photos: set[str] = set()
        self._asked: dict[str, Asked] = {}  # by the job's id
        self.document.engine.finished.connect(self._finish)

    def show(self, shown: tuple[Seen, ...]) -> tuple[Seen, ...]:
        """With the photo in place of a map where that is wanted: the eye's choice, the model gets the map."""
        return tuple(replace(one, picture=one.photo) if one.reference in self.photos and one.photo else one
                     for one in shown)  # fmt: skip

    def ask(self, panel: Panel, reference_id: str) -> None:
        """Put the job in line, or where nothing makes maps offer its download."""
        if not helpers.is_there(DEPTH):
            self.document.runs.lacking.emit(DEPTH.name)
            return
        self.document.settle()
        reference = next(one for one in panel.references if one.id == reference_id)
        if any(one.reference.id == reference_id for one in self._asked.values()):
            return
        picture, job_id = reference.picture, new_id()
        given = Reference(str(self.document.picture_path(picture.sha256)), sha256=picture.sha256)
        self._asked[job_id] = Asked(panel.id, reference)
        self.tell(MAKING.format(reference.name or picture.name))
        request, label = Request(DEPTH.name, references=(given,)), f"Depth map of {reference.name or picture.name}"
        slot = f"depth {reference_id}"
        self.document.engine.submit(Job(job_id, label, request, "", slot=slot, previews=False))

    def _finish(self, job_id: str) -> None:
        asked = self._asked.pop(job_id, None)
        if asked is None:
            return
        self.tell("")
        state = self.document.engine.job(job_id)
        if state and state.state == "done" and state.result:
            self._use(asked, state)
        elif state and state.state == "failed":
            self.document.message.emit(state.reason, state.hint)

    def _use(self, asked: Asked, state: JobState) -> None:
        """The reference is a depth map from now on, unless it has gone or become another picture meanwhile."""
        made = self.document.import_pictures([state.result or ""], f"{asked.reference.name}-depth")
        if not made:
            return
        try:
            panel = self.document.board.panel(asked.panel_id)
        except Refused:
            return
        now = next((one for one in panel.references if one.id == asked.reference.id), None)
        if now is None or now.picture != asked.reference.picture:
            return
        self.photos.discard(now.id)
        put = partial(commands.set_reference, panel_id=panel.id, reference_id=now.id, map=made[0], role="depth")
        self.document.do("Make Depth Map", put)
