"""The figures of a pose: from the board onto the canvas, and back as a reference whose picture is drawn of them."""

from functools import partial
from typing import NamedTuple

from PySide6.QtCore import QObject, QSizeF

from ...board import commands
from ...board.data import Board, PanelReference, Picture, Role, new_id
from ...board.pose import Figure
from ...board.seen import see
from ..canvas.canvas import Canvas
from ..canvas.figures import Poser, draw_pose
from ..document.document import Document
from ..document.panel_part import PanelPart
from ..document.pixmaps import read_pixels

NAME: Role = "pose"  # of the reference, and its role


class Asked(NamedTuple):
    """A change of a pose: `what` and `merge` are Document.do's."""

    what: str
    merge: str | None
    panel_id: str
    reference_id: str
    figures: tuple[Figure, ...]


class Posing(PanelPart, QObject):
    """Shows the figures of one of the panel's references, and keeps what is done to them."""

    def __init__(self, document: Document, canvas: Canvas, parent: QObject):
        super().__init__(parent)
        self.document, self.canvas, self.poser = document, canvas, Poser()
        self.reference_id = ""
        self._storing = 0  # pictures on their way to the disk
        self.poser.committed.connect(self._keep)

    @property
    def reference(self) -> PanelReference | None:
        """The one that is posed: the one that was asked for, else the first that has figures."""
        able = [one for one in self.panel.references if one.figures]
        return next((one for one in able if one.id == self.reference_id), able[0] if able else None)

    def show_panel(self, panel_id: str) -> None:
        self.reference_id = ""
        super().show_panel(panel_id)

    def open(self, reference_id: str) -> None:
        """Pose the figures of this reference from now on."""
        self.reference_id = reference_id
        self.refresh()

    def refresh(self) -> None:
        """Show the board as it is, unless a hand is at it."""
        if not self.panel_id or self.poser.busy or self._storing:
            return
        ground, reference = self.canvas.view.picture, self.reference
        shown = (reference.figures if reference else (), ground.toTuple())
        if shown != self._shown:
            self._shown = shown
            self.poser.show_items(shown[0], QSizeF(ground))

    def has_room(self, limit: int) -> bool:
        """Whether the model, which looks at `limit` pictures, can be given a pose."""
        return self.reference is not None or len(see(self.document.board, self.panel)) < limit

    def _keep(self, what: str, merge: str) -> None:
        """One change of the board, made once the picture is stored."""
        if not (self._storing or self.reference):
            self.reference_id = new_id()
        elif not self._storing and self.reference:
            self.reference_id = self.reference.id
        asked = Asked(what, f"{merge} {self.panel_id}" if merge else None, self.panel_id, self.reference_id,
                      self.poser.items)  # fmt: skip
        if not asked.figures:
            self.document.settle()
            self._use(asked, None)
            return
        self._storing += 1
        pixels = read_pixels(draw_pose(asked.figures, self.canvas.view.picture))[..., :3].copy()
        self.document.store(pixels, NAME, partial(self._follow_storing, asked))

    def _follow_storing(self, asked: Asked, picture: Picture | None) -> None:
        """Where the disk refused it, which is told, the canvas goes back to what the board has."""
        self._storing -= 1
        if picture is None or not self._use(asked, picture):
            self._shown = None
        if asked.panel_id == self.panel_id:
            self.refresh()

    def _use(self, asked: Asked, picture: Picture | None) -> bool:
        """`picture` None: there is no figure left, and no reference."""
        if all(panel.id != asked.panel_id for panel in self.document.board.panels()):  # deleted meanwhile
            return False
        return self.document.do(asked.what, lambda board: put_pose(board, asked, picture), asked.merge)


def put_pose(board: Board, asked: Asked, picture: Picture | None) -> Board:
    """The board with these figures as that reference of the panel; without a picture that is taken away."""
    references = board.panel(asked.panel_id).references
    was = next((one for one in references if one.id == asked.reference_id), None)
    if picture is None:
        return commands.remove_reference(board, asked.panel_id, asked.reference_id) if was else board
    if was is None:
        made = PanelReference(asked.reference_id, picture, NAME, NAME, figures=asked.figures)
        return commands.add_reference(board, asked.panel_id, made)
    same = (was.picture.width, was.picture.height) == (picture.width, picture.height)
    changes = {"picture": picture, "figures": asked.figures, "crop": was.crop if same else None}
    return commands.set_reference(board, asked.panel_id, asked.reference_id, **changes)
