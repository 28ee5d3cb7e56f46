"""The rows above the picture while a tool works on it: masks, placed pictures, paint, figures, boxes."""

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap, QResizeEvent
from PySide6.QtWidgets import QApplication, QColorDialog, QHBoxLayout, QSlider, QToolButton, QWidget

from ...board.pose import POSES
from ..kit.icons import wear
from ..kit.measures import GAP, TALL_ROW, TIGHT
from ..kit.menus import make_menu
from ..kit.widgets import OneLine, PushButton, button, describe, icon_button, label, leave_keys
from .arranging import TURN, Arranger
from .bars import make_more, use_room
from .boxes import BoxDrawer
from .canvas import Canvas
from .figures import Poser
from .holding import Holder
from .mask_painter import MaskPainter
from .paint_brush import PaintBrush

MASKS = ("brush", "eraser", "rectangle", "ellipse", "lasso")
STEPS = 100  # of a slider
LARGEST = 0.25  # brush radius as a share of the picture's longer side
SIDE = 18  # px of a swatch
TINTS = ("#FF3B6B", "#2D7DFF", "#19C37D", "#FFD400")  # of the mask
READY = {  # of a rough sketch: light and shadow, and the colours of most things
    "Black": "#1b1b1d", "White": "#ffffff", "Grey": "#8a8a8e", "Red": "#d94f30", "Yellow": "#f2c14e",
    "Green": "#4f9d5d", "Blue": "#3f7fbf", "Brown": "#7a5236",
}  # fmt: skip


class ToolBar(QWidget):
    """A row of tools that ends in Done."""

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.line = QHBoxLayout(self)
        self.line.setContentsMargins(0, 0, 0, 0)
        self.line.setSpacing(TIGHT)
        self.done, self.words = PushButton("Done"), OneLine(tone="muted")
        self.spare: list[QWidget] = [self.words]  # what goes first where there is little room
        self.more = make_more(self, lambda: self.spare)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        use_room(self, self.line, self.spare, self.more)

    def add_slider(self, name: str, hint: str, act: Callable[[int], None]) -> QSlider:
        """From 0 to STEPS, with its name before it."""
        slider = QSlider(Qt.Orientation.Horizontal, self)
        slider.setRange(0, STEPS)
        slider.setMinimumWidth(40)
        slider.setMaximumWidth(110)
        describe(slider, name, hint)
        words = label(name, "muted")
        words.setBuddy(slider)
        self.line.addWidget(words)
        self.spare.append(words)
        self.line.addWidget(slider)
        self.line.addSpacing(TIGHT)
        slider.valueChanged.connect(act)
        return slider

    def end(self, words: str, hint: str) -> None:
        """What all of it is for, and the way out."""
        self.line.addStretch(1)
        self.words.setText(words)
        self.line.addWidget(self.words)
        self.line.addWidget(self.more)
        describe(self.done, "Done", hint)
        self.line.addWidget(self.done)
        leave_keys(self)


class HoldBar(ToolBar):
    """Works on a tool that holds one thing at a time: buttons for what is held."""

    def __init__(self, hand: Holder, parent: QWidget | None = None):
        super().__init__(parent)
        self.hand = hand
        self.tools: list[QWidget] = []  # for what is held
        hand.chosen.connect(self.refresh)

    def add_tools(self, *rows: tuple[str, str, str, Callable[[], None]]) -> None:
        """(name, icon, hint, what it does) of each."""
        for row in rows:
            self.tools.append(icon_button(*row))
            self.line.addWidget(self.tools[-1])
        self.spare += self.tools  # keys, handles and the menu do it too

    def end(self, words: str, hint: str) -> None:
        super().end(words, hint)
        self.refresh()

    def refresh(self) -> None:
        """Whether something is held."""
        for one in self.tools:
            one.setEnabled(self.hand.one is not None)


class PlaceBar(HoldBar):
    """Works on the canvas's Arranger."""

    add_asked = Signal()
    cut_asked = Signal()  # the ground of what is held is to go
    erase_asked = Signal()  # parts of it are

    def __init__(self, canvas: Canvas, parent: QWidget | None = None):
        super().__init__(canvas.arranger, parent)
        self.arranger = canvas.arranger
        self.add = button("Place Picture…", self.add_asked.emit, "plus")
        describe(self.add, "Place Picture…", "A picture from a file, to be laid on this one; or drop it here")
        self.line.addWidget(self.add)
        self.cut = button("Remove Background", self.cut_asked.emit, "cutout")
        describe(self.cut, "Remove Background", "Of the picture that is held, where it is plain")
        self.erase = icon_button("Erase parts", "eraser", "Of the picture that is held, E", self.erase_asked.emit)
        for one in (self.cut, self.erase):
            self.line.addWidget(one)
        self.line.addSpacing(TIGHT)
        self.opacity = self.add_slider("Opacity", "How much it hides what is below, < and >", self._set_opacity)
        self.tools += [self.cut, self.erase, self.opacity]
        self.add_tools(*self._list_tools(self.arranger))
        self.end("The model sees both as one picture", "Back to looking; what is placed stays")

    def _list_tools(self, arranger: Arranger) -> list[tuple[str, str, str, Callable[[], None]]]:
        return [
            ("Turn left", "turn_left", ", (comma); or drag the round handle", lambda: arranger.turn_held(-TURN)),
            ("Turn right", "turn_right", ". (full stop); with Shift the round handle goes by 15°",
             lambda: arranger.turn_held(TURN)),
            ("Mirror", "mirror", "Left and right, M", arranger.mirror_held),
            ("Bring forward", "up", "Over the next one, Page Up", lambda: arranger.order_held(1)),
            ("Send backward", "down", "Under the one below, Page Down", lambda: arranger.order_held(-1)),
            ("Remove what is held", "trash", "Delete", arranger.remove_held),
        ]  # fmt: skip

    def _set_opacity(self, value: int) -> None:
        self.arranger.set_fields("Change Opacity", "fade", opacity=value / STEPS)

    def refresh(self) -> None:
        """Show what is held."""
        super().refresh()
        one = self.arranger.one
        with QSignalBlocker(self.opacity):
            self.opacity.setValue(round(STEPS * (one.opacity if one else 1.0)))


class PoseBar(HoldBar):
    """Works on a Poser."""

    def __init__(self, canvas: Canvas, poser: Poser, parent: QWidget | None = None):
        super().__init__(poser, parent)
        self.canvas, self.poser = canvas, poser
        self.add = button("Add Figure", self._open_menu, "plus")
        describe(self.add, "Add Figure", "Standing, walking, sitting and others, to be bent at the joints")
        self.line.addWidget(self.add)
        self.line.addSpacing(TIGHT)
        self.add_tools(
            ("Turn left", "turn_left", ", (comma)", lambda: poser.turn_held(-TURN)),
            ("Turn right", "turn_right", ". (full stop)", lambda: poser.turn_held(TURN)),
            ("Mirror", "mirror", "Left and right, M", poser.mirror_held),
            ("Remove this figure", "trash", "Delete", poser.remove_held),
        )
        self.end("", "Back to looking; the pose stays a reference")

    def show_model(self, subject: str, follows: bool) -> None:
        """Say what becomes of a pose with the panel's model."""
        told = "A reference of its own: the model takes the pose"
        self.words.setText(told if follows else f"{subject} has not learned to take a pose")

    def _open_menu(self) -> None:
        menu = make_menu(self)
        for name in POSES:
            menu.addAction(name, partial(self._add_figure, name))
        menu.popup(self.add.mapToGlobal(self.add.rect().bottomLeft()))

    def _add_figure(self, name: str) -> None:
        self.poser.place(name)
        self.canvas.setFocus()


class BoxBar(HoldBar):
    """Works on a BoxDrawer."""

    def __init__(self, drawer: BoxDrawer, parent: QWidget | None = None):
        super().__init__(drawer, parent)
        self.add = button("Add Box", drawer.place, "plus")
        describe(self.add, "Add Box", "In the middle, to be written into; or drag on the picture, with Ctrl in a box")
        self.line.addWidget(self.add)
        self.line.addSpacing(TIGHT)
        self.add_tools(
            ("Words of this box", "pen", "What is to be there, Return", drawer.words_asked.emit),
            ("Remove this box", "trash", "Delete", drawer.remove_held),
        )
        self.end("What a box says will be there", "Back to looking; the boxes stay")


class BrushBar(ToolBar):
    """With the size of a brush, on a scale that is quadratic, as small brushes need finer steps."""

    def __init__(self, canvas: Canvas, brush: MaskPainter | PaintBrush, share: int, parent: QWidget | None = None):
        """The picture's longer side is `share` times as long as the radius that suits it."""
        super().__init__(parent)
        self.canvas, self.brush, self._share = canvas, brush, share

    def add_size(self) -> None:
        """The slider of the size."""
        self.size_slider = self.add_slider("Size", "Brush size, [ and ]", self._set_size)

    def _largest(self) -> float:
        return LARGEST * max(self.canvas.view.picture.width(), self.canvas.view.picture.height(), 4.0)

    def _set_size(self, value: int) -> None:
        self.brush.radius = max(0.5, self._largest() * (value / STEPS) ** 2)
        self.canvas.update()

    def show_size(self) -> None:
        """The slider follows the brush."""
        with QSignalBlocker(self.size_slider):
            self.size_slider.setValue(round(STEPS * min(1.0, self.brush.radius / self._largest()) ** 0.5))

    def suit(self) -> None:
        """A brush of a size that suits the picture."""
        self.brush.radius = self._largest() / (self._share * LARGEST)
        self.show_size()


class MaskBar(BrushBar):
    """Works on the canvas's MaskPainter."""

    brush: MaskPainter
    remove_asked = Signal()

    def __init__(self, canvas: Canvas, parent: QWidget | None = None):
        super().__init__(canvas, canvas.painter, 20, parent)
        self.add_size()
        self.edge = self.add_slider("Soft edge", "How softly what is painted ends", self._set_edge)
        self.edge.setValue(round(self.brush.edge * STEPS))
        self.line.addSpacing(GAP)
        for name, icon, hint, act in (
            ("Invert mask", "invert", "Change what was kept, keep what was changed", self.brush.invert),
            ("Feather mask", "feather", "Soften all its borders a little", self.brush.feather),
            ("Clear mask", "clear", "Mark nothing", self.remove_asked.emit),
        ):
            self.line.addWidget(icon_button(name, icon, hint, act))
        self.tint = icon_button(
            "Mask colour", "picture", "How the mask is shown; the result is the same", self._choose_tint
        )
        self.line.addWidget(self.tint)
        self.end("Only what you paint will change", "Back to looking; the mask stays")
        canvas.brush_resized.connect(self.show_size)
        self._show_tint()

    def _set_edge(self, value: int) -> None:
        self.brush.edge = value / STEPS

    def _choose_tint(self) -> None:
        """The next of the ready colours; with Shift any colour."""
        if QApplication.keyboardModifiers() & Qt.KeyboardModifier.ShiftModifier:
            chosen = QColorDialog.getColor(self.brush.tint, self, "Colour of the Mask")
        else:
            names = [tint.lower() for tint in TINTS]
            now = self.brush.tint.name()
            chosen = QColor(TINTS[(names.index(now) + 1) % len(TINTS) if now in names else 0])
        if chosen.isValid():
            self.brush.set_tint(chosen)
            self._show_tint()

    def _show_tint(self) -> None:
        wear(self.tint, _swatch(self.brush.tint))


class PaintBar(BrushBar):
    """Works on a PaintBrush."""

    brush: PaintBrush
    clear_asked = Signal()

    def __init__(self, canvas: Canvas, brush: PaintBrush, parent: QWidget | None = None):
        super().__init__(canvas, brush, 32, parent)
        self.colour = icon_button("Colour", "picture", "Any colour; Ctrl and a click takes it from the picture",
                                  self._choose_colour)  # fmt: skip
        self.line.addWidget(self.colour)
        swatches = [self._add_swatch(name, QColor(colour)) for name, colour in READY.items()]
        for one in swatches:
            self.line.addWidget(one)
        self.spare += reversed(swatches[2:])
        self.line.addSpacing(TIGHT)
        self.eraser = icon_button("Eraser", "eraser", "Takes paint away, E", checkable=True)
        self.eraser.clicked.connect(brush.set_erasing)
        self.line.addWidget(self.eraser)
        self.add_size()
        clear = icon_button("Remove paint", "trash", "All that is painted on top", self.clear_asked.emit)
        self.line.addWidget(clear)
        self.end("Rough is enough", "Back to looking; what is painted stays")
        brush.resized.connect(self.show_size)
        brush.dressed.connect(self._dress)
        self._dress()

    def _add_swatch(self, name: str, colour: QColor) -> QToolButton:
        made = icon_button(name, "picture", "Paint with it", lambda: self.brush.set_colour(colour))
        wear(made, _swatch(colour))
        return made

    def _choose_colour(self) -> None:
        chosen = QColorDialog.getColor(self.brush.colour, self, "Colour of the Brush")
        if chosen.isValid():
            self.brush.set_colour(chosen)

    def _dress(self) -> None:
        wear(self.colour, _swatch(self.brush.colour, True))
        self.eraser.setChecked(self.brush.erasing)


class RubBar(BrushBar):
    """Works on a PaintBrush that erases the placed picture that is held."""

    brush: PaintBrush

    def __init__(self, canvas: Canvas, brush: PaintBrush, parent: QWidget | None = None):
        super().__init__(canvas, brush, 24, parent)
        self.line.addWidget(label("Erase parts of the placed picture"))
        self.line.addSpacing(TIGHT)
        self.add_size()
        self.end("Undo brings them back", "Back to placing; what is erased stays away")
        brush.resized.connect(self.show_size)


class ToolStrip(QWidget):
    """What the chosen tool can be set to, else what is seen below. Always as high: the picture keeps its place."""

    done = Signal()  # with the tool

    def __init__(self, canvas: Canvas, brush: PaintBrush, poser: Poser, drawer: BoxDrawer):
        super().__init__()
        self.mask_bar, self.place_bar, self.paint_bar = MaskBar(canvas), PlaceBar(canvas), PaintBar(canvas, brush)
        self.pose_bar, self.box_bar, self.rub_bar = PoseBar(canvas, poser), BoxBar(drawer), RubBar(canvas, brush)
        self._bars: dict[str, ToolBar] = {
            **dict.fromkeys(MASKS, self.mask_bar), "place": self.place_bar, "paint": self.paint_bar,
            "pose": self.pose_bar, "boxes": self.box_bar, "rub": self.rub_bar,
        }  # fmt: skip
        self.seen, self._idle = OneLine(tone="muted"), QWidget()
        self._looking = _lay_row(self._idle)
        self._looking.addWidget(self.seen, 1)
        row = _lay_row(self)
        row.setContentsMargins(GAP, 0, GAP, 0)
        row.addWidget(self._idle)
        for bar in dict.fromkeys(self._bars.values()):
            row.addWidget(bar)
            bar.done.clicked.connect(self.done)
            bar.hide()
        self.setFixedHeight(TALL_ROW)

    def add_beside(self, part: QWidget) -> None:
        """At the end of the row while no tool has it."""
        self._looking.addWidget(part)

    def set_tool(self, tool: str) -> None:
        """The row of this one."""
        chosen = self._bars.get(tool)
        shown = chosen or self._idle
        for part in (self._idle, *self._bars.values()):
            if part is not shown:
                part.hide()  # before the other comes: for two there is no room
        shown.show()


def _lay_row(inside: QWidget) -> QHBoxLayout:
    made = QHBoxLayout(inside)
    made.setContentsMargins(0, 0, 0, 0)
    made.setSpacing(0)
    return made


def _swatch(colour: QColor, current: bool = False) -> QIcon:
    """A square with a thin rim, so that it is seen on any ground; the current one has a broad one."""
    made, rim = QPixmap(SIDE, SIDE), 3 if current else 1
    made.fill(QColor("#808080"))
    painter = QPainter(made)
    painter.fillRect(rim, rim, SIDE - 2 * rim, SIDE - 2 * rim, colour)
    painter.end()
    return QIcon(made)
