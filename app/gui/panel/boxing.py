"""The boxes of a panel: from the board onto the canvas, and back as changes of the board; words are typed there."""

from PySide6.QtCore import QObject, QPointF, QRect, QSize, QSizeF

from ...base.words import say_count
from ...board.data import Panel
from ...board.regions import list_worded
from ...board.seen import see
from ..canvas.boxes import WORDLESS, BoxDrawer
from ..canvas.canvas import Canvas
from ..document.document import Document
from ..document.forecast import PanelModel
from ..document.panel_part import PanelPart
from ..kit.widgets import describe
from ..prompt.completion import MentionField

LEAST, HEIGHT, EDGE = 200, 30, 4  # pixels: the field's width and height, and its way from the box's corner


class Boxing(PanelPart, QObject):
    """Shows what is to be where in one panel's picture, and keeps what is done to it."""

    def __init__(self, document: Document, canvas: Canvas, parent: QObject):
        super().__init__(parent)
        self.document, self.canvas, self.drawer = document, canvas, BoxDrawer()
        self.field = MentionField(canvas, document)
        self.field.setPlaceholderText(WORDLESS)
        describe(self.field, "Words of the box", "What is to be there; @ mentions a picture, Return keeps it")
        self.drawer.committed.connect(self._keep)
        self.drawer.words_asked.connect(self.write)
        self.field.taken.connect(self.drawer.set_words)
        self.field.closed.connect(canvas.setFocus)

    def show_panel(self, panel_id: str) -> None:
        self.field.close_field()
        self.drawer.hold(-1)
        super().show_panel(panel_id)

    def refresh(self) -> None:
        """Show the board as it is, unless a hand is at it."""
        if not self.panel_id or self.drawer.busy:
            return
        shown = (self.panel.boxes, self.canvas.view.picture.toTuple())
        if shown != self._shown:
            self._shown = shown
            self.drawer.show_items(self.panel.boxes, QSizeF(self.canvas.view.picture))

    def write(self) -> None:
        """Type into the box that is held, where it is."""
        one = self.drawer.one
        if one is None:
            return
        box, view = self.drawer.frame(one), self.canvas.view
        corner = view.to_widget(box.topLeft()) + QPointF(EDGE, EDGE)
        width = max(LEAST, round(box.width() * view.scale) - 2 * EDGE)
        self.field.mentions.set_context(self.document.board, see(self.document.board, self.panel))
        self.field.begin(one.words, QRect(corner.toPoint(), QSize(width, HEIGHT)))

    def _keep(self, what: str, merge: str) -> None:
        self.change(what, f"{merge} {self.panel_id}" if merge else None, boxes=self.drawer.items)


def tell_boxes(panel: Panel, model: PanelModel) -> tuple[str, bool]:
    """What is said of a panel's boxes, "" without any; False where not all of them count."""
    if not panel.boxes:
        return "", True
    if not (model.spec and model.spec.boxes):
        return f"{model.subject} reads no boxes: not used", False
    worded = len(list_worded(panel.boxes))
    told, silent = say_count(worded, "box", "boxes"), len(panel.boxes) - worded
    return (f"{told}, {silent} without words", False) if silent else (told, True)
