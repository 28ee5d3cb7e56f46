"""The picture's side of the panel view: canvas with its bars, what is shown on it and compared with."""

from functools import partial
from typing import Literal

import numpy as np
from PySide6.QtCore import QMimeData, Signal
from PySide6.QtGui import QImage, QPixmap, QResizeEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from mlx_model.errors import FluxLocalError, Hint
from mlx_model.geometry import Size

from ...board import commands
from ...board.data import Board, Picture, Source, Take, numbers, pictures
from ...board.panel_job import read_request
from ...board.seen import mask_size, source_picture
from ..canvas import mask as masks
from ..canvas.bars import CanvasBar, MaskBar
from ..canvas.canvas import Canvas
from ..document import picture_drag
from ..document.document import Document
from ..document.forecast import PanelModel
from ..document.panel_part import PanelPart
from ..document.pixmaps import read_mask
from ..kit.theme import GAP
from .branches import name_file
from .run_card import RunCard

Tool = Literal["move", "eraser", "brush", "rectangle", "ellipse", "lasso"]
NAMED = 4  # members of the cast that an empty panel names


def invitation(board: Board) -> str:
    """What an empty panel says: what to do, and who could be in the picture."""
    names = [f"@{member.name}" for member in board.cast]
    more = " …" if len(names) > NAMED else ""
    cast = f"Type @ to bring in the cast: {', '.join(names[:NAMED])}{more}"
    if not names:
        cast = "Characters and places that you add under Cast can be mentioned with @."
    return f"Say below what this panel shows, and press Render.\n{cast}\nOr drop a picture here."


class PanelStage(PanelPart, QWidget):
    """Shows one panel's picture, and turns what is painted and dropped on it into changes of the board.

    `model` is the one that the panel is rendered with, to be set before show_panel and refresh.
    """

    retry_asked = Signal()
    settings_asked = Signal()
    keep_asked = Signal()
    dismissed = Signal()
    dropped = Signal()  # a picture, which is the panel's now
    compared_changed = Signal(str)  # the id of the take that the picture is compared with, "" for none

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document, self.model = document, PanelModel()
        self._preview = 0  # counts what was asked for
        self.tool: Tool = "move"
        self.compared = ""  # id of a take
        self._loaded: tuple[str, tuple[int, int]] | None = None  # the mask on the canvas: (its picture, its size)
        self.canvas = Canvas(picture_drag.has_pictures)
        self.bar, self.mask_bar = CanvasBar(self.canvas), MaskBar(self.canvas)
        self.card = RunCard(self.canvas)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GAP // 2)
        self.canvas.set_invitation(invitation(document.board))
        column.addWidget(self.mask_bar)
        column.addWidget(self.canvas, 1)
        self.mask_bar.setContentsMargins(GAP, 0, GAP, 0)
        self.mask_bar.hide()
        self._connect()

    def _connect(self) -> None:
        canvas, painter = self.canvas, self.canvas.painter
        canvas.dropped.connect(self._drop)
        canvas.drag_wanted.connect(self._drag_out)
        canvas.copy_asked.connect(self._copy_take)
        canvas.compare_asked.connect(self.bar.compare.click)
        painter.committed.connect(self._keep_mask)
        self.bar.tool_chosen.connect(self.set_tool)
        self.bar.compare_toggled.connect(canvas.set_comparing)
        self.mask_bar.done.clicked.connect(lambda: self.set_tool("move"))
        self.mask_bar.remove_asked.connect(self._clear_mask)
        canvas.clear_asked.connect(self._clear_mask)
        self.card.acted.connect(self._card_acted)
        self.card.dismissed.connect(self.dismissed)
        self.document.picture_ready.connect(self.show_pictures)
        self.document.preview_read.connect(self._show_preview)

    def show_panel(self, panel_id: str) -> None:
        """Another panel, seen whole."""
        self.panel_id = panel_id
        self._preview += 1
        self.canvas.set_preview(QPixmap())
        self._loaded = None
        self.bar.compare.setChecked(False)
        self.set_tool("move")
        self.compared = ""
        self.refresh()
        self.canvas.fit()

    def refresh(self) -> None:
        if self.compared and self.panel.find_take(self.compared) is None:
            self._set_compared("")
        self._allow_masks()
        self.show_pictures()

    def _allow_masks(self) -> None:
        why_not = ""
        if not (self.model.spec and self.model.spec.mask):
            why_not = f"{self.model.subject} can't repaint under a mask"
        elif self.base() is None:
            why_not = "There is no picture yet to paint a mask on"
        self.bar.set_masks(not why_not, why_not)
        if why_not and self.tool != "move":
            self.set_tool("move")

    # What is shown

    def base(self) -> Picture | None:
        """What a mask is painted on: another panel's picture where that is the start, else what is shown.

        A mask that is there already shows on the picture that it was painted on.
        """
        panel, start = self.panel, source_picture(self.document.board, self.panel)
        shown = None if panel.mask or panel.source.kind == "panel" else self._take_picture()
        return shown or start or self._take_picture()

    def _take_picture(self) -> Picture | None:
        return self.panel.take.picture if self.panel.take else None

    def to_show(self) -> Picture | None:
        """While masking what the mask is painted on, else the take, else what the panel starts from."""
        return self.base() if self.tool != "move" else self._take_picture() or self.base()

    def show_pictures(self) -> None:
        """Put the pictures of the board on the canvas."""
        if not self.panel_id:
            return
        picture, (before, tags) = self.to_show(), self._before()
        pixmap = self.document.pixmap(picture.sha256) if picture else QPixmap()
        self.canvas.set_picture(pixmap, *((picture.width, picture.height) if picture else self._frame()))
        if tags != self.canvas.tags:
            self.canvas.tags = tags
            self.canvas.update()
        self.canvas.set_before(self.document.pixmap(before.sha256) if before else QPixmap())
        self.bar.set_before(before is not None)
        self.bar.set_picture(picture is not None or not self.canvas.preview.isNull())
        if self.tool != "move":
            self._load_mask()

    def _frame(self) -> tuple[int, int]:
        """The size of the picture to come."""
        try:
            if self.model.spec:
                return self.model.choose(self.document.board, self.panel).size
        except FluxLocalError:  # a shape that this model can't make; the forecast says so
            pass
        return self.document.board.aspect

    def _before(self) -> tuple[Picture | None, tuple[str, str]]:
        """What to compare with, and what to call both: a chosen take, what the take was made from, the take before."""
        panel, take = self.panel, self.panel.take
        places = {one.id: place for place, one in enumerate(panel.takes, 1)}
        running = not self.canvas.preview.isNull()
        now = "Now" if running or take is None else f"Take {places[take.id]}"
        if self.compared in places and (running or take is None or self.compared != take.id):
            other = panel.takes[places[self.compared] - 1]
            return other.picture, (f"Take {places[other.id]}", now)
        if take is None or running:
            return self.to_show() if take else None, ("Before", "Now")
        start = self._start_of(take)
        if start:
            return start, ("Start", now)
        if places[take.id] > 1:
            return panel.takes[places[take.id] - 2].picture, (f"Take {places[take.id] - 1}", now)
        return None, ("Before", "Now")

    def _start_of(self, take: Take) -> Picture | None:
        """The first picture of the request that made a take, where this board still has it."""
        references = read_request(take).get("references")
        first = references[0] if isinstance(references, list) and references else None
        wanted = first.get("sha256", "") if isinstance(first, dict) else ""
        found = (picture for picture in pictures(self.document.board) if picture.sha256 == wanted)
        return next(found, None) if wanted else None

    def compare_with(self, take_id: str) -> None:
        """Compare the current take, whichever is chosen, with this one; "" ends it."""
        self._set_compared(take_id)
        self.show_pictures()
        self.bar.compare.setChecked(bool(take_id))

    def _set_compared(self, take_id: str) -> None:
        self.compared = take_id
        self.compared_changed.emit(take_id)

    def show_preview(self, path: str | None) -> None:
        """The picture in the making, from a file; None takes it away. Of two the later is shown."""
        self._preview += 1
        if path:
            self.document.read_preview(path, self._preview)
        else:
            self._show_preview(self._preview, QImage())

    def _show_preview(self, number: int, image: QImage) -> None:
        if number == self._preview:
            self.canvas.set_preview(QPixmap.fromImage(image))
            self.show_pictures()

    # Mask

    def set_tool(self, tool: Tool) -> None:
        """ "move", or one of the tools of the mask."""
        self.tool = tool
        masking = tool != "move"
        painter = self.canvas.painter
        painter.tool = "brush" if tool == "move" or tool == "eraser" else tool  # mypy narrows by ==
        painter.erasing = tool == "eraser"
        self.bar.set_tool(tool)
        self.mask_bar.setVisible(masking)
        self.canvas.set_masking(masking)
        if masking:
            self.bar.compare.setChecked(False)
        if self.panel_id:
            self.show_pictures()

    def _load_mask(self) -> None:
        """The panel's mask onto the canvas, unless it is there already."""
        base, mask = self.base(), self.panel.mask
        size = mask_size(base) if base else Size(1, 1)
        wanted = (mask.sha256 if mask else "", size)
        if wanted == self._loaded or self.canvas.painter.busy:
            return
        if self._loaded is None or self._loaded[1] != wanted[1]:
            self.mask_bar.suit()
        drawn = self._read_mask(mask, size) if mask else masks.blank(size)
        self.canvas.painter.load(drawn, size.width / base.width if base else 1.0)
        self._loaded = wanted

    def _read_mask(self, mask: Picture, size: tuple[int, int]) -> np.ndarray:
        """Blank where its file is missing or no picture, which a run tells."""
        try:
            return masks.resize(read_mask(self.document.picture_path(mask.sha256)), size)
        except FluxLocalError:
            return masks.blank(size)

    def _keep_mask(self, what: str) -> None:
        """One gesture is one change of the board, made once the mask is stored."""
        painter, panel_id = self.canvas.painter, self.panel_id
        if painter.is_blank:
            self.document.settle()
            self._use_mask(what, panel_id, painter.mask.shape, None)
        else:
            stored = partial(self._follow_storing, what, panel_id, painter.mask.shape)
            self.document.store(painter.mask.copy(), "mask", stored)

    def _follow_storing(self, what: str, panel_id: str, shape: tuple[int, int], picture: Picture | None) -> None:
        """Where the disk refused it, the canvas goes back to the mask that the board has."""
        if picture:
            self._use_mask(what, panel_id, shape, picture)
        elif panel_id == self.panel_id:
            self._loaded = None
            self.show_pictures()

    def _use_mask(self, what: str, panel_id: str, shape: tuple[int, int], picture: Picture | None) -> None:
        """The panel starts from what the mask was painted on."""
        if all(panel.id != panel_id for panel in self.document.board.panels()):  # deleted meanwhile
            return

        def change(board: Board) -> Board:
            panel = board.panel(panel_id)
            if panel.mask is None and panel.take and panel.source.kind != "panel" and panel.source != Source("take"):
                board = commands.set_panel(board, panel_id, source=Source("take"))
            return commands.set_mask(board, panel_id, picture)

        if panel_id == self.panel_id:
            self._loaded = (picture.sha256 if picture else "", (shape[1], shape[0]))
        self.document.do(what, change)

    def _clear_mask(self) -> None:
        self.document.settle()
        if self.panel.mask is None:
            return
        self.document.do("Clear Mask", lambda board: commands.set_mask(board, self.panel_id, None))

    # In and out

    def _drop(self, mime: QMimeData) -> None:
        """Dropped pictures become takes: the panel's picture, to be changed or continued from."""
        panel_id, found = self.panel_id, picture_drag.pictures_in(mime, self.document)
        if picture_drag.fill_panel(self.document, panel_id, found):
            self.dropped.emit()

    def _copy_take(self) -> None:
        if take := self.panel.take:
            picture_drag.copy(self.document, take.picture, name_file(self.document.board, self.panel, take))

    def _drag_out(self) -> None:
        take = self.panel.take
        if take:
            title = name_file(self.document.board, self.panel, take)
            picture_drag.drag_out(self.canvas, self.document, take.picture, title)

    def title(self) -> str:
        """Such as 1A."""
        return numbers(self.document.board)[self.panel_id]

    # The card

    def say_failed(self, reason: str, hint: Hint, misfit: bool = False) -> None:
        """Why the last run failed; where the settings do not fit the machine, they are what the button leads to."""
        self._card = self.settings_asked if misfit else self.retry_asked
        self.card.say(reason, hint, "Change Settings" if misfit else "Try Again")

    def say_live(self, seconds: float) -> None:
        """A live result is on the canvas."""
        self._card = self.keep_asked
        self.card.say("Live result", f"Made in {seconds:.1f} s. Keep it, or go on changing.", "Keep as Take", good=True)

    def hush(self) -> None:
        self.card.hide()

    def _card_acted(self) -> None:
        self._card.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.card.place()
