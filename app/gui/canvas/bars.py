"""The row above the picture: tools on the left, compare and zoom on the right."""

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup, QColor, QIcon, QPixmap, QResizeEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QColorDialog,
    QHBoxLayout,
    QMenu,
    QSlider,
    QToolButton,
    QWidget,
)

from ..kit.theme import GAP
from ..kit.widgets import OneLine, PushButton, ToolButton, describe, icon_button, key_text, label
from .canvas import Canvas
from .layers import GROUNDS

TOOLS = (
    ("move", "Look", "hand", "Move the picture; at full view drag it out of the window"),
    ("brush", "Mask brush", "brush", "Paint what the next run may change. Alt erases, [ and ] resize"),
    ("eraser", "Mask eraser", "eraser", "Take away from the mask"),
    ("rectangle", "Mask a rectangle", "rectangle", "Drag over what may change. Alt takes away, handles resize"),
    ("ellipse", "Mask an ellipse", "ellipse", "Drag over what may change. Alt takes away, handles resize"),
    ("lasso", "Mask a region", "lasso", "Draw round what may change. Alt takes it away"),
)
LAYER_TOOLS = (
    ("place", "Place pictures", "layers", "Lay pictures on this one, move, scale and turn them before the next run"),
    ("paint", "Paint", "paint", "A rough brush in colour, for the model to work out"),
)


class CanvasBar(QWidget):
    """Buttons for one canvas."""

    tool_chosen = Signal(str)
    compare_toggled = Signal(bool)
    onion_toggled = Signal(bool)

    def __init__(self, canvas: Canvas, parent: QWidget | None = None):
        super().__init__(parent)
        self.canvas = canvas
        row = self._row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        self.tools: dict[str, QToolButton] = {}
        self._add_tools(row)
        row.addStretch(1)
        self._add_compare(row)
        row.addSpacing(GAP)
        self._add_zoom(row)
        canvas.zoomed.connect(self._show_zoom)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where there is little room, what wheel and keys do as well goes first."""
        super().resizeEvent(event)
        spare = (*self.zooms[:3:2], self.ground)
        gap = self._row.spacing()
        missing = sum(gap + one.sizeHint().width() for one in spare if not one.isVisibleTo(self))
        missing += self._row.minimumSize().width() - self.width()
        for one in spare:
            one.setVisible(missing <= 0)
            missing -= gap + one.sizeHint().width()

    def _add_tools(self, row: QHBoxLayout) -> None:
        group = QButtonGroup(self)
        for key, name, icon, hint in (*TOOLS, *LAYER_TOOLS):
            if key == LAYER_TOOLS[0][0]:
                row.addSpacing(GAP // 2)
            button = icon_button(name, icon, hint, partial(self.tool_chosen.emit, key), checkable=True)
            group.addButton(button)
            row.addWidget(button)
            self.tools[key] = button
        self.tools["move"].setChecked(True)

    def set_narrow(self, narrow: bool) -> None:
        """Leave out what keys, the wheel and the menu of the picture do as well."""
        for button in (self.hold, self.ground, self.zooms[0], self.zooms[2]):
            button.setVisible(not narrow)

    def set_tool(self, key: str) -> None:
        """Show a tool as chosen."""
        self.tools[key].setChecked(True)

    def set_masks(self, can: bool, why_not: str = "") -> None:
        """Whether a mask can be painted."""
        for key, name, _, hint in TOOLS[1:]:
            self.tools[key].setEnabled(can)
            describe(self.tools[key], name, hint if can else why_not)

    def set_layers(self, can: bool, why_not: str = "") -> None:
        """Whether something can be placed and painted."""
        for key, name, _, hint in LAYER_TOOLS:
            self.tools[key].setEnabled(can)
            describe(self.tools[key], name, hint if can else why_not)

    def _add_compare(self, row: QHBoxLayout) -> None:
        self.compare = icon_button(
            "Compare", "compare", "Before and after side by side, with a slider (C)", checkable=True
        )
        self.compare.toggled.connect(self.compare_toggled)
        self.onion = icon_button("Onion skin", "onion", "The panel before shines through (O)", checkable=True)
        self.onion.toggled.connect(self.onion_toggled)
        self.hold = icon_button("Show before while pressed", "eye", "Or hold B on the picture")
        self.hold.pressed.connect(lambda: self.canvas.set_holding(True))
        self.hold.released.connect(lambda: self.canvas.set_holding(False))
        self.ground = icon_button("Ground", "ground", "What lies behind the picture")
        self.ground.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu, group = QMenu(self), QActionGroup(self)
        for name in GROUNDS:
            action = QAction(name, menu, checkable=True, checked=name == self.canvas.ground)
            action.triggered.connect(lambda _=False, name=name: self.canvas.set_ground(name))
            group.addAction(action)
            menu.addAction(action)
        self.ground.setMenu(menu)
        for button in (self.onion, self.compare, self.hold, self.ground):
            row.addWidget(button)

    def set_before(self, there: bool) -> None:
        """Whether there is something to compare with."""
        self.compare.setEnabled(there)
        self.hold.setEnabled(there)

    def set_picture(self, there: bool) -> None:
        """Whether there is something to look at more closely."""
        for button in self.zooms:
            button.setEnabled(there)
        self._show_zoom(self.canvas.view.zoom)

    def _add_zoom(self, row: QHBoxLayout) -> None:
        smaller = icon_button("Zoom out", "zoom_out", "-", lambda: self.canvas.zoom_by(-1))
        larger = icon_button("Zoom in", "zoom_in", "+", lambda: self.canvas.zoom_by(1))
        self.zoom = ToolButton()  # what has its parent earlier comes first for Tab
        self.zoom.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.zoom.setMinimumWidth(58)
        self.zoom.clicked.connect(self.canvas.actual_size)
        self.fit = icon_button("Fit", "fit", "The whole picture (0)", self.canvas.fit)
        self.zooms = (smaller, self.zoom, larger, self.fit)
        for button in self.zooms:
            row.addWidget(button)
        self._show_zoom(self.canvas.view.zoom)

    def _show_zoom(self, zoom: float) -> None:
        percent = f"{100 * zoom:.0f} %" if self.zoom.isEnabled() else "–"
        self.zoom.setText(percent)
        describe(
            self.zoom, f"Zoom {percent}", f"Click for 100 %: one pixel on one pixel of the screen ({key_text('1')})"
        )


STEPS = 100  # of the size slider; its scale is quadratic, as small brushes need finer steps
LARGEST = 0.25  # brush radius as a share of the picture's longer side
TINTS = ("#FF3B6B", "#2D7DFF", "#19C37D", "#FFD400")


class MaskBar(QWidget):
    """Works on the canvas's MaskPainter."""

    remove_asked = Signal()

    def __init__(self, canvas: Canvas, parent: QWidget | None = None):
        super().__init__(parent)
        self.canvas, self.painter = canvas, canvas.painter
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GAP // 2)
        self.brush = self._slider(row, "Size", "Brush size, [ and ]", self._set_size)
        self.edge = self._slider(row, "Soft edge", "How softly what is painted ends", self._set_edge)
        self.edge.setValue(round(self.painter.edge * STEPS))
        row.addSpacing(GAP)
        for name, icon, hint, act in (
            ("Invert mask", "invert", "Change what was kept, keep what was changed", self.painter.invert),
            ("Feather mask", "feather", "Soften all its borders a little", self.painter.feather),
            ("Clear mask", "clear", "Mark nothing", self.remove_asked.emit),
        ):
            row.addWidget(icon_button(name, icon, hint, act))
        self.tint = icon_button(
            "Mask colour", "picture", "How the mask is shown; the result is the same", self._choose_tint
        )
        row.addWidget(self.tint)
        row.addStretch(1)
        row.addWidget(OneLine("Only what you paint will change", "muted"))
        self.done = PushButton("Done", self)
        describe(self.done, "Leave the mask", "Back to looking; the mask stays")
        row.addWidget(self.done)
        canvas.brush_resized.connect(self.show_size)
        self._show_tint()

    def _slider(self, row: QHBoxLayout, name: str, hint: str, act: Callable[[int], None]) -> QSlider:
        slider = QSlider(Qt.Orientation.Horizontal, self)
        slider.setRange(0, STEPS)
        slider.setMinimumWidth(40)
        slider.setMaximumWidth(96)
        describe(slider, name, hint)
        words = label(name, "muted")
        words.setBuddy(slider)
        row.addWidget(words)
        row.addWidget(slider)
        row.addSpacing(GAP // 2)
        slider.valueChanged.connect(act)
        return slider

    def _largest(self) -> float:
        return LARGEST * max(self.canvas.view.picture.width(), self.canvas.view.picture.height(), 4.0)

    def _set_size(self, value: int) -> None:
        self.painter.radius = max(0.5, self._largest() * (value / STEPS) ** 2)
        self.canvas.update()

    def _set_edge(self, value: int) -> None:
        self.painter.edge = value / STEPS

    def show_size(self) -> None:
        """The slider follows the brush."""
        with QSignalBlocker(self.brush):
            self.brush.setValue(round(STEPS * min(1.0, self.painter.radius / self._largest()) ** 0.5))

    def suit(self) -> None:
        """A brush of a size that suits the picture: a twentieth of its longer side."""
        self.painter.radius = self._largest() / (20 * LARGEST)
        self.show_size()

    def _choose_tint(self) -> None:
        """The next of the ready colours; with Shift any colour."""
        from PySide6.QtWidgets import QApplication

        if QApplication.keyboardModifiers() & Qt.KeyboardModifier.ShiftModifier:
            chosen = QColorDialog.getColor(self.painter.tint, self, "Colour of the Mask")
        else:
            names = [tint.lower() for tint in TINTS]
            now = self.painter.tint.name()
            chosen = QColor(TINTS[(names.index(now) + 1) % len(TINTS) if now in names else 0])
        if chosen.isValid():
            self.painter.set_tint(chosen)
            self._show_tint()

    def _show_tint(self) -> None:
        swatch = QPixmap(18, 18)
        swatch.fill(self.painter.tint)
        self.tint.setIcon(QIcon(swatch))
