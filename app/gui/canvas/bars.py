"""The row above the picture: tools on the left, compare and zoom on the right."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QMenu, QToolButton, QWidget

from ..kit.buttons import describe, key_text, tool
from ..kit.theme import GAP
from .canvas import Canvas
from .layers import GROUNDS

TOOLS = (
    ("move", "Look", "hand", "Move the picture; at full view drag it out of the window"),
    ("brush", "Mask brush", "brush", "Paint what the next run may change. Alt erases, [ and ] resize"),
    ("eraser", "Mask eraser", "eraser", "Take away from the mask"),
    ("rectangle", "Mask a rectangle", "rectangle", "Drag over what may change. Alt takes it away"),
    ("lasso", "Mask a region", "lasso", "Draw round what may change. Alt takes it away"),
)


class CanvasBar(QWidget):
    """Buttons for one canvas."""

    tool_chosen = Signal(str)
    compare_toggled = Signal(bool)

    def __init__(self, canvas: Canvas, parent: QWidget | None = None):
        super().__init__(parent)
        self.canvas = canvas
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        self.tools: dict[str, QToolButton] = {}
        self._add_tools(row)
        row.addStretch(1)
        self._add_compare(row)
        row.addSpacing(GAP)
        self._add_zoom(row)
        canvas.zoomed.connect(self._show_zoom)

    def _add_tools(self, row: QHBoxLayout) -> None:
        group = QButtonGroup(self)
        for key, name, icon, hint in TOOLS:
            button = tool(name, icon, hint, self, checkable=True)
            group.addButton(button)
            row.addWidget(button)
            button.clicked.connect(lambda _=False, key=key: self.tool_chosen.emit(key))
            self.tools[key] = button
        self.tools["move"].setChecked(True)

    def set_tool(self, key: str) -> None:
        """Show a tool as chosen."""
        self.tools[key].setChecked(True)

    def set_masks(self, can: bool, why_not: str = "") -> None:
        """Whether a mask can be painted."""
        for key, name, _, hint in TOOLS[1:]:
            self.tools[key].setEnabled(can)
            describe(self.tools[key], name, hint if can else why_not)

    def _add_compare(self, row: QHBoxLayout) -> None:
        self.compare = tool(
            "Compare", "compare", "Before and after side by side, with a slider (C)", self, checkable=True
        )
        self.compare.toggled.connect(self.compare_toggled)
        self.hold = tool("Show before while pressed", "eye", "Or hold B on the picture", self)
        self.hold.pressed.connect(lambda: self.canvas.set_holding(True))
        self.hold.released.connect(lambda: self.canvas.set_holding(False))
        self.ground = tool("Ground", "ground", "What lies behind the picture", self)
        self.ground.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu, group = QMenu(self), QActionGroup(self)
        for name in GROUNDS:
            action = QAction(name, menu, checkable=True, checked=name == self.canvas.ground)
            action.triggered.connect(lambda _=False, name=name: self.canvas.set_ground(name))
            group.addAction(action)
            menu.addAction(action)
        self.ground.setMenu(menu)
        for button in (self.compare, self.hold, self.ground):
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
        smaller, larger = tool("Zoom out", "zoom_out", "-", self), tool("Zoom in", "zoom_in", "+", self)
        smaller.clicked.connect(lambda: self.canvas.zoom_by(-1))
        larger.clicked.connect(lambda: self.canvas.zoom_by(1))
        self.zoom = QToolButton(self)
        self.zoom.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.zoom.setMinimumWidth(58)
        self.zoom.clicked.connect(self.canvas.actual_size)
        self.fit = tool("Fit", "fit", "The whole picture (0)", self)
        self.fit.clicked.connect(self.canvas.fit)
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
