"""Text into lines of a width, by Qt, which finds a font for every script that this computer has one for.

The only file here, with pdf.py and animatic.py, that imports QtGui; no widgets. Works in any thread and without a
display.
"""

from typing import NamedTuple

from PySide6.QtCore import QCoreApplication, QPointF, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QGuiApplication,
    QImage,
    QPagedPaintDevice,
    QPainter,
    QTextCharFormat,
    QTextLayout,
    QTextLine,
    QTextOption,
)

from mlx_model.errors import RequestError

FAMILIES = [
    "Helvetica Neue", "Inter", "Source Sans 3", "Segoe UI", "Noto Sans", "Liberation Sans", "DejaVu Sans Condensed",
    "DejaVu Sans", "Noto Color Emoji", "Apple Color Emoji",
]  # fmt: skip
LEADING = 1.22  # line height over font size where the font's own is looser
INK, SOFT, FAINT = "#1c1c1e", "#6a6a70", "#a4a4aa"
Device = QPagedPaintDevice | QImage


class Style(NamedTuple):
    """Font size in points; `weight` as in QFont."""

    points: float
    colour: str = INK
    weight: int = QFont.Weight.Normal
    italic: bool = False


class Run(NamedTuple):
    text: str
    style: Style


class Line(NamedTuple):
    """One line of a paragraph, in units of the device; `layout` owns it and has to live as long."""

    layout: QTextLayout
    line: QTextLine
    height: float
    gap: float  # above, where it is not the first of a block

    @property
    def width(self) -> float:
        return self.line.naturalTextWidth()

    def draw(self, painter: QPainter, x: float, y: float) -> None:
        """With its top at y."""
        top = y + (self.height - self.line.height()) / 2
        self.line.draw(painter, QPointF(x - self.line.x(), top - self.line.y()))


def ensure_application() -> QCoreApplication:
    """Fonts need an application object: the window's own, or for the command line one without a display.

    The caller keeps what is returned until it has drawn.
    """
    running = QCoreApplication.instance()
    if running is None:
        return QGuiApplication(["flux-local", "-platform", "offscreen"])
    if not isinstance(running, QGuiApplication):
        raise RequestError("Text can't be drawn in this process.", "Export from the window or the command line.")
    return running


def make_font(style: Style) -> QFont:
    made = QFont()
    made.setFamilies(FAMILIES)
    made.setPointSizeF(style.points)
    made.setWeight(QFont.Weight(style.weight))
    made.setItalic(style.italic)
    made.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    return made


def break_lines(
    runs: list[Run], width: float, device: Device, gap: float = 0.0, strange: set[str] | None = None
) -> list[Line]:
    """`runs` one after the other, broken at words (inside them where one is too long) to `width` device units.

    `gap` goes above the first line. Characters without a font are added to `strange`.
    """
    text = "".join(run.text for run in runs)
    if not text.strip():
        return []
    layout = QTextLayout(text.replace("\n", "\u2028"), make_font(runs[0].style), device)
    layout.setTextOption(_make_option())
    layout.setFormats(_list_formats(runs))
    lines = _break_layout(layout, width)
    if strange is not None:
        strange |= _find_missing(layout)
    size = max(run.style.points for run in runs) * device.logicalDpiY() / 72
    return [
        Line(
            layout,
            line,
            max(size * LEADING, line.height()) if line.height() > size * 1.6 else size * LEADING,
            gap * (i == 0),
        )
        for i, line in enumerate(lines)
    ]


def _make_option() -> QTextOption:
    option = QTextOption()
    option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
    option.setTextDirection(Qt.LayoutDirection.LayoutDirectionAuto)
    option.setUseDesignMetrics(True)
    return option


def _list_formats(runs: list[Run]) -> list[QTextLayout.FormatRange]:
    ranges, start = [], 0
    for run in runs:
        found = QTextLayout.FormatRange()
        # QTextLayout counts in UTF-16
        found.start, found.length = start, len(run.text.encode("utf-16-le")) // 2
        found.format = QTextCharFormat()
        found.format.setFont(make_font(run.style))
        found.format.setForeground(QColor(run.style.colour))
        ranges.append(found)
        start += found.length
    return ranges


def _break_layout(layout: QTextLayout, width: float) -> list[QTextLine]:
    lines = []
    layout.beginLayout()
    while (line := layout.createLine()).isValid():
        line.setLineWidth(width)
        lines.append(line)
    layout.endLayout()
    return lines


def _find_missing(layout: QTextLayout) -> set[str]:
    text, found = layout.text().encode("utf-16-le"), set()
    for run in layout.glyphRuns(-1, -1, QTextLayout.GlyphRunRetrievalFlag.RetrieveAll):
        for glyph, place in zip(run.glyphIndexes(), run.stringIndexes(), strict=False):
            if glyph == 0:
                found.add(text[2 * place : 2 * place + 4].decode("utf-16-le", "ignore")[:1])
    return {character for character in found if character.isprintable() and not character.isspace()}


def measure_height(lines: list[Line]) -> float:
    """Of lines below each other; the gap above the first does not count."""
    return sum(line.height + line.gap for line in lines) - (lines[0].gap if lines else 0.0)


def draw(lines: list[Line], painter: QPainter, x: float, y: float) -> float:
    """From y down; where the next thing may begin."""
    for number, line in enumerate(lines):
        y += line.gap if number else 0.0
        line.draw(painter, x, y)
        y += line.height
    return y


def note_strange(strange: set[str], notes: list[str]) -> None:
    """Say which characters came out as boxes."""
    if strange:
        some = " ".join(sorted(strange)[:12])
        notes.append(f"No font on this computer has {some}: boxes are printed instead. Install a font of that script.")
