"""How the window looks: two palettes of neutral greys with one accent, following the system or the user's choice."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from string import Template

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from . import icons
from .icons import FOLDER, Style
from .measures import name_measures
from .turns import breathe

SCHEMES = ("system", "light", "dark")


@dataclass(frozen=True)
class Colours:
    """Pictures are judged against these: every surface is a grey without a hue."""

    window: str  # behind everything
    canvas: str  # behind pictures
    surface: str  # cards, fields
    raised: str  # hover, buttons
    line: str  # between things
    edge: str  # around what can be pressed or written into; 3:1 on every ground
    text: str
    muted: str  # second lines; 4.5:1 on window and surface
    accent: str
    accent_hover: str
    on_accent: str
    selection: str  # behind selected text and rows
    danger: str
    good: str
    warning: str


DARK = Colours(
    window="#1e1e1f", canvas="#171718", surface="#29292b", raised="#353538", line="#434347", edge="#85858b",
    text="#f0f0f1", muted="#a9a9af", accent="#6ea8ff", accent_hover="#8ab9ff", on_accent="#0b1526", selection="#2f4a75",
    danger="#ff8378", good="#5ccf94", warning="#f0b95a",
)  # fmt: skip
LIGHT = Colours(
    window="#f4f4f5", canvas="#e6e6e8", surface="#ffffff", raised="#ebebed", line="#cfcfd4", edge="#7f7f86",
    text="#1b1b1d", muted="#5d5d64", accent="#1d5fd1", accent_hover="#174eb0", on_accent="#ffffff", selection="#cfe0fd",
    danger="#b3261e", good="#17713f", warning="#8a5a00",
)  # fmt: skip


class Theme(QObject):
    """The colours in force. Views that paint by hand read `colours` and repaint on `changed`."""

    changing, changed = Signal(), Signal()

    def __init__(self) -> None:
        super().__init__()
        self.colours, self.scheme = LIGHT, "system"
        self._connected = self._styled = False

    def apply(self, scheme: str = "system") -> None:
        """Dress the application in "light", "dark" or, with "system", as the system says and keeps saying."""
        self.scheme = scheme
        hints = QGuiApplication.styleHints()
        if not self._connected:
            hints.colorSchemeChanged.connect(self._follow)
            self._connected = True
        wanted = {"light": Qt.ColorScheme.Light, "dark": Qt.ColorScheme.Dark}
        hints.setColorScheme(wanted.get(scheme, Qt.ColorScheme.Unknown))
        self._dress()

    @property
    def dark(self) -> bool:
        return self.colours is DARK

    def _follow(self) -> None:
        if self.scheme == "system":
            self._dress()

    def _dress(self) -> None:
        if self.scheme == "system":
            dark = QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark
        else:
            dark = self.scheme == "dark"
        self.colours = DARK if dark else LIGHT
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        shown = [top for top in app.topLevelWidgets() if top.isVisible()]
        for top in shown:  # it is painted once, when all of it has the new colours
            top.setUpdatesEnabled(False)
        try:
            self._dress_all(app, breathe if shown else lambda: None)
        finally:
            for top in shown:
                with contextlib.suppress(RuntimeError):  # such as a hint that is gone meanwhile
                    top.setUpdatesEnabled(True)
                    # one that was on its way was thrown away, and Qt waits for it before it asks again
                    app.postEvent(top, QEvent(QEvent.Type.UpdateRequest))

    def _dress_all(self, app: QApplication, between: Callable[[], object]) -> None:
        """`between` is done where the event loop can have a turn: nothing is half dressed there."""
        self.changing.emit()
        between()
        if not self._styled:  # each time would dress every widget once more; a style under a sheet has another name
            app.setStyle(Style())
            self._styled = True
        app.setPalette(palette(self.colours))
        app.setStyleSheet("")  # one sheet after another dresses each widget once for every widget above it
        app.setStyleSheet(style_sheet({f.name: getattr(self.colours, f.name) for f in fields(self.colours)}))
        between()
        colours = self.colours
        icons.recolour(colours.text, colours.muted, colours.accent, colours.on_accent)
        self.changed.emit()


theme = Theme()


def palette(c: Colours) -> QPalette:
    """All roles, and the disabled ones dimmer."""
    role = QPalette.ColorRole
    colours = {
        role.Window: c.window, role.WindowText: c.text, role.Base: c.surface, role.AlternateBase: c.window,
        role.Text: c.text, role.Button: c.raised, role.ButtonText: c.text, role.BrightText: c.danger,
        role.ToolTipBase: c.surface, role.ToolTipText: c.text, role.PlaceholderText: c.muted, role.Link: c.accent,
        role.LinkVisited: c.accent, role.Highlight: c.selection, role.HighlightedText: c.text, role.Accent: c.accent,
        role.Light: c.raised, role.Midlight: c.raised, role.Mid: c.line, role.Dark: c.line, role.Shadow: c.canvas,
    }  # fmt: skip
    made = QPalette()
    for name, colour in colours.items():
        made.setColor(name, QColor(colour))
    for name in (role.WindowText, role.Text, role.ButtonText):
        made.setColor(QPalette.ColorGroup.Disabled, name, mix(c.text, c.window, 0.42))
    return made


def mix(over: str, under: str, share: float) -> QColor:
    """`share` of `over` and the rest of `under`."""
    a, b = QColor(over), QColor(under)
    pairs = ((a.red(), b.red()), (a.green(), b.green()), (a.blue(), b.blue()))
    return QColor(*(round(x * share + y * (1 - share)) for x, y in pairs))


def font(size: int, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
    """The application's font in one of the sizes of measures.py, for what is painted by hand."""
    made = QFont(QApplication.font())
    made.setPixelSize(size)
    made.setWeight(weight)
    return made


SHEET = Template("""
* { outline: 0; }
QWidget { font-size: $letters; }
QToolTip { background: $surface; color: $text; border: 1px solid $line; padding: $tight $gap; }
QMainWindow, QDialog { background: $window; }

QPushButton, QToolButton[kind="button"] {
    background: $raised; color: $text; border: 1px solid $edge; border-radius: $corner;
    padding: $tight_1 $wide_1; min-height: $row;
}
QPushButton:hover, QToolButton[kind="button"]:hover { border-color: $muted; }
QPushButton:pressed, QToolButton[kind="button"]:pressed { background: $line; }
QPushButton:checked { background: $selection; border-color: $accent; }
QPushButton:focus, QToolButton[kind="button"]:focus { border: 2px solid $accent; padding: $tight_2 $wide_2; }
QPushButton:disabled { color: $muted; background: $window; border-color: $line; }
QPushButton[kind="primary"], QDialogButtonBox QPushButton:default {
    background: $accent; color: $on_accent; border-color: $accent; font-weight: 600;
}
QPushButton[kind="primary"]:hover, QDialogButtonBox QPushButton:default:hover {
    background: $accent_hover; border-color: $accent_hover;
}
QPushButton[kind="primary"]:pressed, QDialogButtonBox QPushButton:default:pressed { background: $muted; }
QPushButton[kind="primary"]:focus, QDialogButtonBox QPushButton:default:focus { border: 2px solid $text; }
QPushButton[kind="primary"]:disabled, QDialogButtonBox QPushButton:default:disabled {
    background: $raised; color: $muted; border-color: $line;
}
QPushButton[kind="choice"] { background: transparent; color: $muted; font-weight: 600; min-height: $tall_row; }
QPushButton[kind="choice"]:checked { background: $selection; color: $text; border-color: $accent; }
QPushButton[kind="choice"]:focus { border: 2px solid $text; }
QPushButton[kind="quiet"], QToolButton {
    background: transparent; border: 2px solid transparent; border-radius: $corner;
}
QToolButton { padding: $tight; color: $text; }
QToolButton[kind="swatch"] { padding: 0; }
QToolButton[kind="fold"] { padding: $tight 0; }
QPushButton[kind="quiet"] { padding: $tight_2 $gap_2; }
QPushButton[kind="quiet"]:hover, QToolButton:hover { background: $raised; }
QPushButton[kind="quiet"]:pressed, QToolButton:pressed { background: $line; }
QPushButton[kind="quiet"]:focus, QToolButton:focus { border: 2px solid $accent; }
QToolButton:checked { background: $raised; }
QToolButton::menu-indicator { image: none; }
QPushButton::menu-indicator { image: none; }

QLineEdit, QPlainTextEdit, QTextEdit, QSpinBox, QDoubleSpinBox, QComboBox {
    background: $surface; color: $text; border: 1px solid $edge; border-radius: $corner;
    padding: $tight_1 $gap_1; selection-background-color: $selection; selection-color: $text;
}
QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox { min-height: $row; }
QLineEdit:disabled, QSpinBox:disabled, QDoubleSpinBox:disabled, QComboBox:disabled { border-color: $line; }
QLineEdit:hover, QPlainTextEdit:hover, QTextEdit:hover, QSpinBox:hover, QDoubleSpinBox:hover, QComboBox:hover {
    border-color: $muted;
}
QLineEdit:focus, QPlainTextEdit:focus, QTextEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus {
    border: 2px solid $accent; padding: $tight_2 $gap_2;
}
QSpinBox, QDoubleSpinBox { padding-right: $arrows; max-height: $row; }
QLineEdit[kind="title"] { background: transparent; border: 2px solid transparent; font-size: $heading;
    padding: 0 $tight; font-weight: 600; }
QLineEdit[kind="title"]:hover { border-color: $edge; }
QLineEdit[kind="title"]:focus { background: $surface; border-color: $accent; }
QComboBox { combobox-popup: 0; }
QComboBox::drop-down { border: 0; width: 22px; }
QComboBox::down-arrow, QSpinBox::down-arrow, QDoubleSpinBox::down-arrow {
    image: url($icons/arrow_down.svg); width: 12px; height: 12px;
}
QSpinBox::up-arrow, QDoubleSpinBox::up-arrow { image: url($icons/arrow_up.svg); width: 12px; height: 12px; }
QSpinBox::up-button, QDoubleSpinBox::up-button, QSpinBox::down-button, QDoubleSpinBox::down-button {
    border: 0; background: transparent; width: 22px;
}
QComboBox QAbstractItemView { background: $surface; border: 1px solid $line; selection-background-color: $selection; }
QComboBox QAbstractItemView::item { padding: $tight $gap; min-height: 20px; }

QCheckBox, QRadioButton { spacing: $gap; padding: $hair; border: 2px solid transparent; border-radius: $corner; }
QCheckBox::indicator {
    width: 16px; height: 16px; border: 1px solid $muted; border-radius: $chip; background: $surface;
}
QCheckBox::indicator:hover { border-color: $text; }
QCheckBox::indicator:checked {
    background: $accent; border-color: $accent; image: url($icons/tick_$tick.svg);
}
QCheckBox::indicator:disabled { border-color: $line; }
QCheckBox:focus, QRadioButton:focus { border-color: $accent; }

QMenuBar { background: $window; color: $text; padding: $hair $gap; }
QMenuBar::item { padding: $tight $gap; border-radius: $chip; background: transparent; }
QMenuBar::item:selected { background: $raised; }
QMenu { background: $surface; color: $text; border: 1px solid $line; padding: $tight; }
QMenu::item { padding: $tight $room $tight $wide; border-radius: $chip; min-height: 18px; }
QMenu::item:selected { background: $selection; }
QMenu::item:disabled { color: $muted; }
QMenu::separator { height: 1px; background: $line; margin: $tight $gap; }

QScrollBar:vertical { background: transparent; width: 12px; margin: 0; }
QScrollBar:horizontal { background: transparent; height: 12px; margin: 0; }
QScrollBar::handle { background: $edge; border-radius: $chip; margin: $hair; min-height: 28px; min-width: 28px; }
QScrollBar::handle:hover { background: $muted; }
QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {
    background: transparent; width: 0; height: 0;
}
QListWidget, QTableWidget { background: $surface; border: 1px solid $line; border-radius: $radius; padding: $tight_1; }
QListWidget:focus, QTableWidget:focus { border: 2px solid $accent; padding: $tight_2; }
QListWidget::item, QTableWidget::item { padding: $tight $gap; border-radius: $chip; }
QListWidget::item:selected, QTableWidget::item:selected { background: $selection; color: $text; }
QHeaderView::section {
    background: $surface; color: $muted; border: 0; border-bottom: 1px solid $line; padding: $gap;
}
QTableWidget QHeaderView::section { padding: $gap $wide; }
QSplitter::handle { background: $line; }
QDialogButtonBox { dialogbuttonbox-buttons-have-icons: 0; }
QScrollArea, QAbstractScrollArea#plain { background: transparent; border: 0; padding: 0; }
QScrollArea > QWidget > QWidget#plain { background: transparent; }

QSlider::groove:horizontal { height: 4px; background: $line; border-radius: $hair; }
QSlider::sub-page:horizontal { background: $muted; border-radius: $hair; }
QSlider::handle:horizontal {
    background: $text; width: 14px; height: 14px; margin: -5px 0; border-radius: 7px; border: 0;
}
QSlider::handle:horizontal:focus, QSlider::handle:horizontal:hover { background: $accent; }

QProgressBar { background: $line; border: 0; border-radius: $hair; max-height: 4px; min-height: 4px; }
QProgressBar::chunk { background: $accent; border-radius: $hair; }

QTabBar::tab { padding: $gap $wide; border: 0; border-bottom: 2px solid transparent; color: $muted; }
QTabBar::tab:selected { color: $text; border-bottom-color: $accent; }
QTabBar::tab:focus { background: $raised; }

QLabel#thumb { background: $canvas; border-radius: $chip; }
QFrame#card { background: $surface; border: 1px solid $line; border-radius: $radius; }
QFrame#card[selected="true"] { border: 2px solid $accent; }
QListWidget#popup { background: $surface; border: 1px solid $line; border-radius: $radius; padding: $tight; }
QListWidget#popup::item { border-radius: $chip; padding: $hair; color: $text; }
QListWidget#popup::item:selected { background: $selection; }
QFrame#toast { background: $surface; border: 1px solid $line; border-left: 4px solid $danger; border-radius: $radius; }
QFrame#toast[good="true"] { border-left-color: $accent; }
QFrame#rail { background: $canvas; border: 0; border-right: 1px solid $line; }
QFrame#bar { background: $window; border: 0; border-bottom: 1px solid $line; }
QLabel#heading { font-size: $heading; font-weight: 600; }
QLabel#subheading { font-size: $large; font-weight: 600; }
QLabel[tone="muted"] { color: $muted; }
QLabel[tone="danger"] { color: $danger; }
QLabel[tone="warning"] { color: $warning; }
QLabel[tone="good"] { color: $good; }
QLabel[tone="badge"] {
    background: $raised; color: $text; border-radius: $chip; padding: $hair $gap; font-size: $fine;
}
QToolButton#place { color: $muted; padding: $gap $hair; border-radius: $radius; font-size: $fine; }
QToolButton#place:hover { color: $text; background: $surface; }
QToolButton#place:checked { color: $text; background: $raised; font-weight: 600; }
""")


def style_sheet(colours: dict[str, str]) -> str:
    """The sheet with `colours` (field of Colours -> "#rrggbb") filled in."""
    tick = "dark" if int(colours["on_accent"][1:3], 16) < 128 else "light"
    return SHEET.substitute(colours, **name_measures(), icons=FOLDER.as_posix(), tick=tick)
