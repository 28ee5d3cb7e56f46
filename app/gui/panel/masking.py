"""The mask of what is shown: from the board onto the canvas, and back as changes of the board."""

from functools import partial

import numpy as np
from PySide6.QtCore import QObject, Signal

from mlx_model.errors import FluxLocalError
from mlx_model.geometry import Size

from ...board import commands
from ...board.data import Board, Picture
from ...board.seen import find_ground, find_mask, mask_size, source_picture
from ..canvas import mask as masks
from ..canvas.canvas import Canvas
from ..document.document import Document
from ..document.panel_part import PanelPart
from ..document.pixmaps import read_mask

ALIKE = 0.02  # shapes of pictures: sizes are rounded to what a model makes


class Masking(PanelPart, QObject):
    """Shows one panel's mask while it is painted, and keeps what is done to it."""

    resized = Signal()  # a mask of another size: a brush that suits it is wanted

    def __init__(self, document: Document, canvas: Canvas, parent: QObject):
        super().__init__(parent)
        self.document, self.canvas = document, canvas
        self._loaded: tuple[str, tuple[int, int]] | None = None  # on the canvas: (its picture, its size)
        canvas.painter.committed.connect(self._keep_mask)

    def refresh(self) -> None:
        """What is on the canvas is another panel's."""
        self._loaded = None

    def acts_on(self, shown: Picture | None) -> bool:
        """Whether the next run keeps to the mask, and its border can be shown on this picture, of the start's shape."""
        start = source_picture(self.document.board, self.panel)
        if not (start and shown and find_mask(self.document.board, self.panel)):
            return False
        return abs(shown.width * start.height / (shown.height * start.width) - 1) < ALIKE

    def load(self) -> None:
        """The panel's mask onto the canvas, unless it is there already."""
        ground, mask = find_ground(self.document.board, self.panel), self.panel.mask
        base = ground.picture if ground else None
        size = mask_size(base) if base else Size(1, 1)
        wanted = (mask.sha256 if mask else "", size)
        if wanted == self._loaded or self.canvas.painter.busy:
            return
        if self._loaded is None or self._loaded[1] != wanted[1]:
            self.resized.emit()
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
            self.load()

    def _use_mask(self, what: str, panel_id: str, shape: tuple[int, int], picture: Picture | None) -> None:
        """The panel starts from what the mask was painted on."""
        if all(panel.id != panel_id for panel in self.document.board.panels()):  # deleted meanwhile
            return

        def change(board: Board) -> Board:
            return commands.set_mask(commands.start_from_seen(board, panel_id), panel_id, picture)

        if panel_id == self.panel_id:
            self._loaded = (picture.sha256 if picture else "", (shape[1], shape[0]))
        self.document.do(what, change)

    def clear(self) -> None:
        self.document.settle()
        if self.panel.mask is None:
            return
        self.document.do("Clear Mask", lambda board: commands.set_mask(board, self.panel_id, None))
