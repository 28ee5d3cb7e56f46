"""What is placed and painted on the picture: from the board onto the canvas, and back as changes of the board."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace
from PySide6.QtCore import QObject, QPointF, QRectF, QSizeF, Signal
from PySide6.QtGui import QColor, QImage, QPainter, QPixmap

from mlx_model.errors import FluxLocalError

from ...board import commands
from ...board.data import Board, Panel, Picture
from ...board.picture import Placed
from ...board.rules import FAR
from ...board.seen import MASK_SIDE, find_ground, mask_size
from ..canvas import frame
from ..canvas.arranging import Arranger
from ..canvas.canvas import Canvas
from ..canvas.paint_brush import PaintBrush, Sheet
from ..document.document import Document
from ..document.panel_part import PanelPart
from ..document.pixmaps import Pixmaps, cut_out, make_layer, read_layer, read_pixels
from ..document.storing import in_background

SHARE = 0.4  # of the ground: how large a picture is at first, across or down
REMEMBERED = 4  # sheets as they were after the last strokes: undo shows them at once
PREMULTIPLIED = QImage.Format.Format_ARGB32_Premultiplied


class Laying(PanelPart, QObject):
    """Shows what lies on one panel's picture, and keeps what is done to it."""

    read = Signal()  # a picture that lies there has come

    def __init__(self, document: Document, canvas: Canvas, parent: QObject):
        super().__init__(parent)
        self.document, self.canvas = document, canvas
        self.arranger, self.brush = canvas.arranger, PaintBrush(canvas.arranger, canvas.lead_point)
        self._pixmaps = Pixmaps(document.picture_path, self, read_layer)
        self._painted: dict[str, QPixmap] = {}  # by sha256, so that what was just painted needs no reading
        self._storing = 0  # strokes on their way to the disk
        self._pixmaps.ready.connect(lambda _: self.refresh())
        self._pixmaps.ready.connect(lambda _: self.read.emit())
        self.arranger.committed.connect(self._keep_placed)
        self.brush.open_sheet = self._open_sheet
        self.brush.committed.connect(self._keep_paint)
        self.brush.pick_asked.connect(self._pick_colour)
        self._layered: dict[tuple[object, ...], QPixmap] = {}
        self.visible = False  # whether the picture is shown that all of it lies on

    @property
    def ground(self) -> Picture | None:
        """What is placed and painted on."""
        take = find_ground(self.document.board, self.panel, layers=True)
        return take.picture if take else None

    def show_panel(self, panel_id: str) -> None:
        self.arranger.hold(-1)
        self._drop_sketch()
        super().show_panel(panel_id)

    def refresh(self) -> None:
        """Show the board as it is, unless a hand is at it."""
        if not self.panel_id or self.arranger.busy or self.brush.busy or self._storing:
            return
        ground = self.ground if self.visible else None
        placed = self.panel.placed if ground else ()
        pixmaps = {one.picture.sha256: self._find_pixmap(one.picture) for one in placed}
        shown = (placed, ground, [pixmap.cacheKey() for pixmap in pixmaps.values()])
        if shown == self._shown:
            return
        self._shown = shown
        self._drop_sketch()
        size = QSizeF(ground.width, ground.height) if ground else QSizeF(1, 1)
        self.arranger.show_placed(placed, size, pixmaps)

    def layer(self, panel: Panel, start: QPixmap) -> QPixmap:
        """The start of a panel, at any size, with what lies on it, as the model will see it."""
        take, placed = find_ground(self.document.board, panel, layers=True), panel.placed
        if take is None or not placed or start.isNull():
            return start
        ground = take.picture
        pixmaps = {one.picture.sha256: self._find_pixmap(one.picture) for one in placed}
        key = (start.cacheKey(), placed, *(pixmap.cacheKey() for pixmap in pixmaps.values()))
        if key not in self._layered:
            made, lying = start.copy(), Arranger()
            lying.show_placed(placed, QSizeF(ground.width, ground.height), pixmaps)
            painter = QPainter(made)
            lying.draw_placed(painter, QRectF(made.rect()), 1.0)
            painter.end()
            self._layered = {**dict([*self._layered.items()][1 - REMEMBERED :]), key: made}
        return self._layered[key]

    def _find_pixmap(self, picture: Picture) -> QPixmap:
        return self._painted.get(picture.sha256) or self._pixmaps.get(picture.sha256, MASK_SIDE)

    def _drop_sketch(self) -> None:
        self.arranger.sketch = QImage()

    # Placing

    def place(self, found: Sequence[Picture], at: QPointF | None = None) -> None:
        """Lay pictures on the ground, the first with its middle at a point of that; the last is held."""
        ground = self.ground
        if ground is None or not found:
            return
        middle = at or QPointF(ground.width / 2, ground.height / 2)
        x, y = middle.x() / ground.width, middle.y() / ground.height
        new = tuple(
            Placed(picture, _clamp(x + 0.04 * step), _clamp(y + 0.04 * step), _choose_width(picture, ground))
            for step, picture in enumerate(found)
        )
        placed = (*self.panel.placed, *new)
        if self._put("Place Picture" if len(new) == 1 else "Place Pictures", placed):
            self.arranger.hold(len(placed) - 1)

    def clear(self) -> None:
        """Take away all that is placed and painted."""
        self.document.settle()
        if self.panel.placed:
            self._put("Remove Placed Pictures", ())

    def clear_paint(self) -> None:
        """Take away the uppermost sheet that is painted."""
        self.document.settle()
        place = self._find_sheet()
        if place is not None:
            placed = self.panel.placed
            self._put("Remove Paint", (*placed[:place], *placed[place + 1 :]))

    def _keep_placed(self, what: str, merge: str) -> None:
        self._put(what, self.arranger.items, f"{merge} {self.panel_id}" if merge else None)

    def _put(self, what: str, placed: tuple[Placed, ...], merge: str | None = None) -> bool:
        """Make it a change of the board; where that is refused the canvas goes back to what the board has."""
        panel_id = self.panel_id

        def change(board: Board) -> Board:
            return commands.set_panel(commands.start_from_seen(board, panel_id, layers=True), panel_id, placed=placed)

        done = self.document.do(what, change, merge)
        if not done:
            self._shown = None
            self.refresh()
        return done

    def remove_ground(self) -> None:
        """Of the picture that is held; says why not where it isn't plain. What is left lies where it did."""
        self.arranger.settle()
        self.document.settle()
        one, place, ground = self.arranger.one, self.arranger.held, self.ground
        if one is None or ground is None:
            return
        try:
            path = str(self.document.picture_path(one.picture.sha256))
            (made,) = in_background(partial(cut_out, max_side=MASK_SIDE), [path])
        except FluxLocalError as error:
            self.document.tell(error)
            return
        pixels, part = made
        lying = frame.keep_part(one, QSizeF(ground.width, ground.height), QRectF(*part))
        self._store(Redrawn("Remove Background", self.panel_id, place, lying, make_layer(pixels)), pixels)

    # Painting

    def _find_sheet(self) -> int | None:
        """The uppermost that is painted."""
        painted = [place for place, one in enumerate(self.panel.placed) if is_sheet(one)]
        return painted[-1] if painted else None

    def _open_sheet(self, erase: bool) -> Sheet | None:
        """What a stroke goes on: the sheet on top, else a new one over all; an eraser finds the uppermost sheet."""
        if self.brush.rubbing:
            return self._open_held()
        if not self.arranger.sketch.isNull():
            return self.arranger.sketch_at, self.arranger.sketch
        ground, place = self.ground, self._find_sheet()
        if ground is None or (erase and place is None):
            return None
        if place is None or not (erase or place == len(self.panel.placed) - 1):
            return len(self.panel.placed), _make_sheet(ground)
        return place, self._read(self.panel.placed[place].picture)

    def _open_held(self) -> Sheet | None:
        """The placed picture that is held, to be erased in part."""
        self.document.settle()
        one = self.arranger.one
        return (self.arranger.held, self._read(one.picture)) if one else None

    def _read(self, picture: Picture) -> QImage:
        pixmap = self._painted.get(picture.sha256) or self._pixmaps.get_now(picture.sha256, MASK_SIDE)
        return pixmap.toImage().convertToFormat(PREMULTIPLIED)

    def _keep_paint(self, what: str) -> None:
        """One stroke is one change of the board, made once it is stored."""
        sketch, place = self.arranger.sketch.copy(), self.arranger.sketch_at
        ground, lying = self.ground, self.panel.placed[place : place + 1]
        if ground is None:
            return
        sheet = lying[0] if lying else Placed(replace(ground, name="paint"), width=1.0, painted=True)
        redrawn, pixels = Redrawn(what, self.panel_id, place, sheet, sketch), read_pixels(sketch)
        if pixels[..., 3].any():
            self._store(redrawn, pixels)
        else:
            self.document.settle()
            self._use(redrawn, None)

    def _store(self, redrawn: "Redrawn", pixels: np.ndarray) -> None:
        self._storing += 1
        self.document.store(pixels, redrawn.lying.picture.name, partial(self._follow_storing, redrawn))

    def _follow_storing(self, redrawn: "Redrawn", picture: Picture | None) -> None:
        self._storing -= 1
        if picture:
            self._use(redrawn, picture)
        elif redrawn.panel_id == self.panel_id:  # the disk refused it, which is told
            self._shown = None
            self.refresh()

    def _use(self, redrawn: "Redrawn", picture: Picture | None) -> None:
        """`picture` None: there is nothing left on the sheet."""
        what, panel_id, place, lying, sketch = redrawn
        panel = next((panel for panel in self.document.board.panels() if panel.id == panel_id), None)
        if panel is None or panel_id != self.panel_id:  # deleted, or left, meanwhile
            return
        if picture:
            latest = list(self._painted.items())[1 - REMEMBERED :]
            self._painted = {**dict(latest), picture.sha256: QPixmap.fromImage(sketch)}
        made = (replace(lying, picture=picture),) if picture else ()
        self._shown = None
        if self._put(what, (*panel.placed[:place], *made, *panel.placed[place + 1 :])):
            self.refresh()

    def _pick_colour(self, point: QPointF) -> None:
        self.brush.set_colour(QColor(self.canvas.colour_at(point)))


class Redrawn(NamedTuple):
    """New pixels of what lies at `place` among a panel's placed pictures; `lying` says how."""

    what: str
    panel_id: str
    place: int
    lying: Placed
    sketch: QImage


def is_sheet(one: Placed) -> bool:
    """Whether it can be painted on: it lies exactly on the ground, as the brush left it."""
    return one.painted and one == Placed(one.picture, width=1.0, painted=True)


def _choose_width(picture: Picture, ground: Picture) -> float:
    """As a share of the ground's: SHARE of it across or down, whichever is smaller."""
    down = SHARE * ground.height * picture.width / max(1, picture.height) / ground.width
    return max(0.01, min(SHARE, down))


def _make_sheet(ground: Picture) -> QImage:
    size = mask_size(ground)
    made = QImage(size.width, size.height, PREMULTIPLIED)
    made.fill(0)
    return made


def _clamp(share: float) -> float:
    return min(max(share, -FAR), FAR)
