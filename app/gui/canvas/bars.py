"""The row above the picture: tools on the left, compare and zoom on the right."""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial

from PySide6.QtCore import QSize, Signal
from PySide6.QtGui import QAction, QActionGroup, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QButtonGroup,
    QHBoxLayout,
    QLayout,
    QMenu,
    QToolButton,
    QWidget,
)

from ..kit.measures import GAP, HAIR, TIGHT
from ..kit.menus import let_go, make_menu
from ..kit.widgets import ToolButton, as_action, describe, icon_button, key_text, leave_keys
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
GUIDE_TOOLS = (
    ("pose", "Pose figures", "pose", "Stick figures, bent at their joints; the next picture takes their pose"),
    ("boxes", "Draw boxes", "boxes", "Draw where something is to be, and write into it what"),
)
ZOOM = 68  # px
ROWS = {row[0]: row for row in (*TOOLS, *LAYER_TOOLS, *GUIDE_TOOLS)}


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
        row.setSpacing(HAIR)
        self.tools: dict[str, QToolButton] = {}
        self._add_tools(row)
        row.addStretch(1)
        self._add_compare(row)
        row.addSpacing(GAP)
        self._add_zoom(row)
        self.more = make_more(self, lambda: [one for one in self._spare() if one is not self.hold])  # B does that
        row.addWidget(self.more)
        leave_keys(self)
        canvas.zoomed.connect(self._show_zoom)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._use_room()

    def sizeHint(self) -> QSize:
        """Of all its tools, also those that had no room so far."""
        return QSize(self._find_width(), super().sizeHint().height())

    def find_least(self) -> int:
        """The width of its tools alone, with all else under More."""
        return self._find_width() - sum(_measure(self._row, self._spare()).values()) + _find_width(self._row, self.more)

    def _find_width(self) -> int:
        more = 0 if self.more.isHidden() else _find_width(self._row, self.more)
        return super().sizeHint().width() - more + sum(_find_hidden(self, self._row, self._spare()).values())

    def _spare(self) -> tuple[QWidget, ...]:
        """What keys, the wheel and the menu of the picture do as well goes first."""
        return (*self.zooms[:3:2], self.ground, self.hold, self.zoom, self.onion, self.fit, self.compare)

    def _use_room(self) -> None:
        use_room(self, self._row, self._spare(), self.more)

    def _add_tools(self, row: QHBoxLayout) -> None:
        group = QButtonGroup(self)
        for key, name, icon, hint in ROWS.values():
            if key in (LAYER_TOOLS[0][0], GUIDE_TOOLS[0][0]):
                row.addSpacing(TIGHT)
            button = icon_button(name, icon, hint, partial(self.tool_chosen.emit, key), checkable=True)
            group.addButton(button)
            row.addWidget(button)
            self.tools[key] = button
        self.tools["move"].setChecked(True)

    def set_tool(self, key: str) -> None:
        """Show a tool as chosen."""
        self.tools["place" if key == "rub" else key].setChecked(True)

    def allow(self, keys: Iterable[str], why_not: str) -> None:
        """Whether these tools can be used: "" where they can."""
        for key in (one for one in keys if one in ROWS):
            _, name, _, hint = ROWS[key]
            self.tools[key].setEnabled(not why_not)
            describe(self.tools[key], name, why_not or hint)

    def offer_boxes(self, offered: bool) -> None:
        """Only few models read them."""
        self.tools["boxes"].setVisible(offered)
        self._use_room()

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
        self.ground = icon_button("Background", "ground", "What lies behind the picture")
        self.ground.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu, group = QMenu(self), QActionGroup(self)
        for name in GROUNDS:
            action = QAction(name, menu, checkable=True, checked=name == self.canvas.ground)
            action.triggered.connect(lambda _=False, name=name: self.canvas.set_ground(name))
            group.addAction(action)
            menu.addAction(action)
        self.ground.setMenu(menu)
        menu.aboutToHide.connect(partial(let_go, self.ground))
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
        self.zoom.setMinimumWidth(ZOOM)  # of any number, so that the tools stand still
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


def make_more(bar: QWidget, list_spare: Callable[[], Collection[QWidget]]) -> QToolButton:
    """A button whose menu has what a row hides for want of room; `list_spare` is what may be hidden."""

    def open_menu() -> None:
        menu = make_menu(bar)
        menu.aboutToHide.connect(partial(let_go, more))
        for one in list_spare():
            if isinstance(one, QAbstractButton) and one.isHidden():
                _offer(menu, one)
        menu.popup(more.mapToGlobal(more.rect().bottomLeft()))

    more = icon_button("More", "more", "What has no room in this row", open_menu)
    more.hide()
    return more


def _offer(menu: QMenu, target: QAbstractButton) -> None:
    """What a button does, as an entry: its own menu, and whether it is on."""
    own = target.menu() if isinstance(target, QToolButton) else None
    if own:
        own.setTitle(as_action(target.accessibleName()))
        menu.addMenu(own)
        return
    action = menu.addAction(as_action(target.accessibleName()), target.click)
    action.setEnabled(target.isEnabled())
    action.setCheckable(target.isCheckable())
    action.setChecked(target.isChecked())


def use_room(bar: QWidget, line: QLayout, spare: Collection[QWidget], more: QWidget) -> None:
    """Show as much of a row as there is room for: of `spare` the first go first, buttons into the menu of `more`."""
    room = bar.width() + (0 if more.isHidden() else _find_width(line, more))
    missing = sum(_find_hidden(bar, line, spare).values()) + line.minimumSize().width() - room
    gone = _choose(_measure(line, spare), missing)
    if any(isinstance(one, QAbstractButton) for one in gone):
        gone = _choose(_measure(line, spare), missing + _find_width(line, more))
    for one in spare:
        one.setVisible(one not in gone)
    more.setVisible(any(isinstance(one, QAbstractButton) for one in gone))


def _choose(widths: Mapping[QWidget, int], missing: int) -> list[QWidget]:
    """Those that go so that `missing` px are free."""
    gone = []
    for one, width in widths.items():
        if missing <= 0:
            break
        gone.append(one)
        missing -= width
    return gone


def _find_width(line: QLayout, one: QWidget) -> int:
    return line.spacing() + (one.minimumWidth() or one.minimumSizeHint().width())


def _measure(line: QLayout, spare: Iterable[QWidget]) -> dict[QWidget, int]:
    return {one: _find_width(line, one) for one in spare}


def _find_hidden(bar: QWidget, line: QLayout, spare: Collection[QWidget]) -> dict[QWidget, int]:
    """The width of each that has no room now."""
    return _measure(line, [one for one in spare if not one.isVisibleTo(bar)])
