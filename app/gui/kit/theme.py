"""How the window looks: two palettes of neutral greys with one accent, following the system or the user's choice."""

from dataclasses import dataclass, fields

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from . import icons
from .style_sheet import style_sheet

GAP = 8  # the unit of all spacing
RADIUS = 8
SCHEMES = ("system", "light", "dark")


@dataclass(frozen=True)
class Colours:
    """Pictures are judged against these: every surface is a grey without a hue."""

    window: str  # behind everything
    canvas: str  # behind pictures
    surface: str  # cards, fields
    raised: str  # hover, buttons
    line: str
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
    window="#1e1e1f", canvas="#171718", surface="#29292b", raised="#353538", line="#434347", text="#f0f0f1",
    muted="#a9a9af", accent="#6ea8ff", accent_hover="#8ab9ff", on_accent="#0b1526", selection="#2f4a75",
    danger="#ff8378", good="#5ccf94", warning="#f0b95a",
)  # fmt: skip
LIGHT = Colours(
    window="#f4f4f5", canvas="#e6e6e8", surface="#ffffff", raised="#ebebed", line="#cfcfd4", text="#1b1b1d",
    muted="#5d5d64", accent="#1d5fd1", accent_hover="#174eb0", on_accent="#ffffff", selection="#cfe0fd",
    danger="#b3261e", good="#17713f", warning="#8a5a00",
)  # fmt: skip


class Theme(QObject):
    """The colours in force. Views that paint by hand read `colours` and repaint on `changed`."""

    changed = Signal()

    def __init__(self):
        super().__init__()
        self.colours, self.scheme = LIGHT, "system"
        self._connected = False

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
        if app.style().name() != "fusion":
            app.setStyle("fusion")
        app.setPalette(palette(self.colours))
        app.setStyleSheet(style_sheet({f.name: getattr(self.colours, f.name) for f in fields(self.colours)}))
        icons.recolour(self.colours)
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
        made.setColor(QPalette.ColorGroup.Disabled, name, mixed(c.text, c.window, 0.42))
    return made


def mixed(over: str, under: str, share: float) -> QColor:
    """`share` of `over` and the rest of `under`."""
    a, b = QColor(over), QColor(under)
    parts = [round(x * share + y * (1 - share)) for x, y in zip(a.getRgb()[:3], b.getRgb()[:3], strict=True)]
    return QColor(*parts)


def font(points: float = 0, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
    """The application's font, larger or smaller by `points`."""
    made = QFont(QApplication.font())
    made.setPointSizeF(max(7.0, made.pointSizeF() + points))
    made.setWeight(weight)
    return made
