"""The picture's side of the panel view: canvas with its bars, what is shown on it and compared with."""

from collections.abc import Iterable
from typing import Literal

from PySide6.QtCore import QMimeData, QPoint, QPointF, Signal
from PySide6.QtGui import QImage, QPixmap, QResizeEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from mlx_model.errors import FluxLocalError, Hint

from ...base.words import say_count
from ...board.data import Panel, Picture, Take, numbers
from ...board.seen import find_ground
from ..canvas.bars import CanvasBar
from ..canvas.canvas import Canvas
from ..canvas.holding import Holder
from ..canvas.mask_painter import Tool as MaskTool
from ..canvas.tool_bars import MASKS, ToolStrip
from ..document import picture_drag
from ..document.document import Document
from ..document.forecast import PanelModel
from ..document.panel_part import PanelPart
from ..kit.measures import TIGHT
from ..kit.messages import choose_files
from ..prompt.menu import FILES
from .boxing import Boxing
from .branches import name_file, name_take
from .laying import Laying
from .masking import Masking
from .onion import Onion
from .posing import Posing
from .render_bar import RunCard
from .starts import find_start

Tool = Literal["move", "eraser", "brush", "rectangle", "ellipse", "lasso", "place", "rub", "paint", "pose", "boxes"]
LAYERS = ("place", "rub", "paint")
SHAPES: dict[str, MaskTool] = {"rectangle": "rectangle", "ellipse": "ellipse", "lasso": "lasso"}
NAMED = 4  # members of the cast that an empty panel names


def invitation(document: Document, panel: Panel | None = None) -> str:
    """What a panel without a picture says: what to do, and who could be in it; or that its take's is missing."""
    if panel and panel.take and document.is_lost(panel.take.picture):
        told = f"The picture of take {panel.take.number} is missing or damaged."
        return f"{told}\nPut its file back and open the board again, or render again."
    board = document.board
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
    dismissed = Signal()
    dropped = Signal()  # a picture, which is the panel's now
    menu_asked = Signal(QPoint, bool)  # of what can be done with the picture: see Canvas
    compared_changed = Signal(str)  # the id of the take that the picture is compared with, "" for none

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document, self.model = document, PanelModel()
        self._preview = 0  # counts what was asked for
        self.tool: Tool = "move"
        self.compared = ""  # id of a take
        self.canvas = Canvas(picture_drag.has_pictures)
        self.bar = CanvasBar(self.canvas)
        self.laying, self.masks = Laying(document, self.canvas, self), Masking(document, self.canvas, self)
        self.posing, self.boxing = Posing(document, self.canvas, self), Boxing(document, self.canvas, self)
        self.strip = ToolStrip(self.canvas, self.laying.brush, self.posing.poser, self.boxing.drawer)
        self._hands = {"place": self.canvas.arranger, "paint": self.laying.brush, "rub": self.laying.brush,
                       "pose": self.posing.poser, "boxes": self.boxing.drawer}  # fmt: skip
        column = QVBoxLayout(self)
        self.card, self.onion = RunCard(self), Onion(document, self.canvas)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(TIGHT)
        self.canvas.set_invitation(invitation(document))
        self.strip.add_beside(self.onion)
        column.addWidget(self.strip)
        column.addWidget(self.canvas, 1)
        self._connect()
        self._connect_layers()

    def _connect(self) -> None:
        canvas = self.canvas
        canvas.dropped.connect(self.drop)
        canvas.drag_wanted.connect(self._drag_out)
        canvas.copy_asked.connect(self._copy_take)
        canvas.compare_asked.connect(self.bar.compare.click)
        self.bar.tool_chosen.connect(self.set_tool)
        self.bar.compare_toggled.connect(self._show_comparison)
        self.strip.done.connect(self.step_back)
        self.strip.mask_bar.remove_asked.connect(self.masks.clear)
        self.masks.resized.connect(self.strip.mask_bar.suit)
        canvas.clear_asked.connect(self.masks.clear)
        self.card.acted.connect(self._card_acted)
        self.card.dismissed.connect(self.dismissed)
        self.document.picture_ready.connect(self.show_pictures)
        self.document.preview_read.connect(self._show_preview)

    def _connect_layers(self) -> None:
        self.strip.place_bar.add_asked.connect(self.choose_pictures)
        self.strip.place_bar.cut_asked.connect(self.laying.remove_ground)
        for asked in (self.strip.place_bar.erase_asked, self.canvas.arranger.erase_asked):
            asked.connect(self.rub)
        self.laying.brush.left.connect(self.step_back)
        self.strip.paint_bar.clear_asked.connect(self.laying.clear_paint)
        self.canvas.menu_asked.connect(self.menu_asked)
        self.canvas.onion_asked.connect(self.bar.onion.click)
        self.bar.onion_toggled.connect(self.onion.set_on)
        self.onion.closed.connect(lambda: self.bar.onion.setChecked(False))

    def show_panel(self, panel_id: str) -> None:
        """Another panel, seen whole."""
        self.panel_id = self.onion.panel_id = panel_id
        self.laying.visible = False
        self.laying.show_panel(panel_id)
        self.masks.show_panel(panel_id)
        self.posing.show_panel(panel_id)
        self.boxing.show_panel(panel_id)
        self._preview += 1
        self.canvas.set_preview(QPixmap())
        self.bar.compare.setChecked(False)
        self.set_tool("move")
        self.compared = ""
        self.refresh()
        self.canvas.fit()

    def refresh(self) -> None:
        if self.compared and self.panel.find_take(self.compared) is None:
            self._set_compared("")
        self._allow_masks()
        self._allow_layers()
        self._allow_guides()
        self.show_pictures()

    def _allow_masks(self) -> None:
        why_not = ""
        if not (self.model.spec and self.model.spec.mask):
            why_not = f"{self.model.subject} can't repaint under a mask"
        elif self.base() is None:
            why_not = "There is no picture yet to paint a mask on"
        self._allow(MASKS, why_not)

    def _allow(self, tools: Iterable[str], why_not: str) -> None:
        """Offer these tools, or say why not and leave the one of them that is chosen."""
        self.bar.allow(tools, why_not)
        if why_not and self.tool in tools:
            self.set_tool("move")

    def _allow_layers(self) -> None:
        why_not = ""
        if not self.model.limit:
            why_not = f"{self.model.subject} can't change pictures"
        elif self.base() is None:
            why_not = "There is no picture yet to lay anything on"
        self._allow(LAYERS, why_not)
        self.canvas.placing = not why_not

    def _allow_guides(self) -> None:
        limit, why_not = self.model.limit, ""
        if not limit:
            why_not = f"{self.model.subject} can't look at pictures"
        elif not self.posing.has_room(limit):
            why_not = f"{self.model.subject} looks at {say_count(limit, 'picture')} at most. Remove one first"
        self._allow(("pose",), why_not)
        self.strip.pose_bar.show_model(self.model.subject, bool(self.model.spec and self.model.spec.follows))
        reads = bool(self.model.spec and self.model.spec.boxes)
        self.bar.offer_boxes(reads)
        self._allow(("boxes",), "" if reads else f"{self.model.subject} reads no boxes")

    # What is shown

    def base(self) -> Picture | None:
        """What a mask and placed pictures lie on: what is shown, unless some lie on the start already."""
        ground = self._find_ground()
        return ground.picture if ground else None

    def _find_ground(self) -> Take | None:
        return find_ground(self.document.board, self.panel, layers=not self.masking)

    def _take_picture(self) -> Picture | None:
        return self.panel.take.picture if self.panel.take else None

    def to_show(self) -> Picture | None:
        """While something is laid on it what that lies on, else the take, else what the panel starts from."""
        laid = self.masking or self.tool in LAYERS
        return self.base() if laid else self._take_picture() or self.base()

    def show_pictures(self) -> None:
        """Put the pictures of the board on the canvas."""
        if not self.panel_id:
            return
        picture, (before, tags) = self.to_show(), self._before()
        pixmap = self.document.pixmap(picture.sha256) if picture else QPixmap()
        if picture and self.document.is_lost(picture):
            pixmap = QPixmap()
            self.canvas.set_invitation(invitation(self.document, self.panel))
        self.canvas.set_picture(pixmap, *((picture.width, picture.height) if picture else self._frame()))
        if tags != self.canvas.tags:
            self.canvas.tags = tags
            self.canvas.update()
        self.canvas.set_before(self.document.pixmap(before.sha256) if before else QPixmap())
        self.onion.refresh()
        self._show_layers(picture)
        self.bar.set_before(before is not None)
        self.bar.set_picture(picture is not None or not self.canvas.preview.isNull())
        take = self.panel.take
        made = f"Take {take.number}  ·  {name_take(take)}" if take else ""
        self.strip.seen.setText(made if self.canvas.preview.isNull() else "Not a take yet")
        acts = self.masks.acts_on(picture)
        if self.masking or acts:
            self.masks.load()
        self.canvas.set_masked(acts)
        self.posing.refresh()
        self.boxing.refresh()

    @property
    def holder(self) -> Holder | None:
        """The chosen tool, where it holds things that lie on the picture."""
        hand = self._hands.get(self.tool)
        return hand if isinstance(hand, Holder) else None

    @property
    def masking(self) -> bool:
        """One of the tools of the mask is chosen."""
        return self.tool in MASKS

    def _show_layers(self, shown: Picture | None) -> None:
        """What is placed is only seen on what it lies on; that this isn't the current take is said."""
        panel, ground = self.panel, self._find_ground()
        self.laying.visible = bool(ground and shown == ground.picture)
        self.laying.refresh()
        elsewhere = (self.masking or self.tool in LAYERS) and ground and panel.take and ground.id != panel.take.id
        own = panel.find_take(ground.id) if ground else None
        start = f"Start: take {own.number}" if own else "Start: another panel's picture"
        self.canvas.set_caption(start if elsewhere else "")

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
        running = not self.canvas.preview.isNull()
        now = "Now" if running or take is None else f"Take {take.number}"
        other = panel.find_take(self.compared)
        if other and (running or take is None or other.id != take.id):
            return other.picture, (f"Take {other.number}", now)
        if take is None or running:
            return self.to_show() if take else None, ("Before", "Now")
        if start := find_start(self.document.board, take):
            return start, ("Start", now)
        if earlier := panel.takes[: panel.takes.index(take)]:
            return earlier[-1].picture, (f"Take {earlier[-1].number}", now)
        return None, ("Before", "Now")

    def compare_with(self, take_id: str) -> None:
        """Compare the current take, whichever is chosen, with this one; "" ends it."""
        self._set_compared(take_id)
        self.show_pictures()
        self.bar.compare.setChecked(bool(take_id))

    def _show_comparison(self, on: bool) -> None:
        """A take that was chosen for it is marked as long as it lasts."""
        self.canvas.set_comparing(on)
        if self.compared and not on:
            self._set_compared("")
            self.show_pictures()

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

    def rub(self) -> None:
        """Erase what lies on the picture."""
        self.set_tool("rub")

    def step_back(self) -> bool:
        """Lay the tool away, or else end the comparison; whether there was something."""
        under_way = self.tool != "move" or self.bar.compare.isChecked()
        if self.tool != "move":
            self.set_tool("place" if self.tool == "rub" else "move")
        else:
            self.bar.compare.setChecked(False)
        return under_way

    def set_tool(self, tool: Tool) -> None:
        """ "move", one of the tools of the mask, or one that lays something on the picture."""
        again, self.tool = self.tool == tool, tool
        painter, self.laying.brush.rubbing = self.canvas.painter, tool == "rub"
        painter.tool, painter.erasing = SHAPES.get(tool, "brush"), tool == "eraser"
        self.bar.set_tool(tool)
        self.strip.set_tool(tool)
        self.canvas.set_masking(self.masking)
        self.canvas.set_hand(self._hands.get(tool))
        if tool != "move":
            self.bar.compare.setChecked(False)
        if self.panel_id:
            self.show_pictures()
        if tool in self._hands:
            self._take_hand(again)

    def _take_hand(self, again: bool) -> None:
        """The keys go to the picture, unless arrows go along the tools; what is placed on top is held."""
        button = self.bar.tools.get(self.tool)
        if again or button is None or button.underMouse() or not button.hasFocus():
            self.canvas.setFocus()
        if self.holder and self.holder.one is None:
            self.holder.hold_next(-1)
        elif not (self.holder or again):
            (self.strip.rub_bar if self.tool == "rub" else self.strip.paint_bar).suit()

    def pose(self, reference_id: str) -> None:
        """Pose the figures of one of the panel's references."""
        self.posing.open(reference_id)
        self.set_tool("pose")

    # In and out

    def drop(self, mime: QMimeData, at: QPointF | None) -> None:
        """Dropped pictures are laid on this one, at a point of it, or become takes: the panel's picture."""
        panel_id, found = self.panel_id, picture_drag.pictures_in(mime, self.document)
        if at is not None:
            self.lay(found, at)
        elif picture_drag.fill_panel(self.document, panel_id, found):
            self.dropped.emit()

    def lay(self, found: list[Picture], at: QPointF | None = None) -> None:
        """Lay pictures on what is seen, to be moved and scaled there."""
        if found:
            self.set_tool("place")
            self.laying.place(found, at)

    def choose_pictures(self) -> None:
        """Lay pictures from files on what is seen."""
        if paths := choose_files(self, "Place Pictures", FILES):
            self.lay(self.document.import_pictures(paths))

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

    def hush(self) -> None:
        self.card.hide()

    def _card_acted(self) -> None:
        self._card.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.card.place()
