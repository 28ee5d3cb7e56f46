"""The row of the mask: size and edge of the brush, what to do with the whole mask. Shown while masking."""

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPixmap
from PySide6.QtWidgets import QColorDialog, QHBoxLayout, QLabel, QPushButton, QSlider, QWidget

from ..kit.buttons import describe, tool
from ..kit.theme import GAP
from ..kit.widgets import label
from .canvas import Canvas

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
        self.size = self._slider(row, "Size", "Brush size, [ and ]", self._set_size)
        self.edge = self._slider(row, "Soft edge", "How softly the brush ends", self._set_edge)
        self.edge.setValue(round(self.painter.edge * STEPS))
        row.addSpacing(GAP)
        for name, icon, hint, act in (
            ("Invert mask", "invert", "Change what was kept, keep what was changed", self.painter.invert),
            ("Feather mask", "feather", "Soften all its borders a little", self.painter.feather),
            ("Clear mask", "clear", "Mark nothing", self.remove_asked.emit),
        ):
            button = tool(name, icon, hint, self)
            button.clicked.connect(act)
            row.addWidget(button)
        self.tint = tool("Mask colour", "picture", "How the mask is shown; the result is the same", self)
        self.tint.clicked.connect(self._choose_tint)
        row.addWidget(self.tint)
        row.addStretch(1)
        self.note: QLabel = label("Only what you paint will change", "muted")
        row.addWidget(self.note)
        self.done = QPushButton("Done", self)
        describe(self.done, "Leave the mask", "Back to looking; the mask stays")
        row.addWidget(self.done)
        canvas.brush_resized.connect(self.show_size)
        self._show_tint()

    def _slider(self, row: QHBoxLayout, name: str, hint: str, act) -> QSlider:
        slider = QSlider(Qt.Orientation.Horizontal, self)
        slider.setRange(0, STEPS)
        slider.setFixedWidth(96)
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
        with QSignalBlocker(self.size):
            self.size.setValue(round(STEPS * min(1.0, self.painter.radius / self._largest()) ** 0.5))

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
