"""The animatic: the board played in time, with captions, in a window of its own."""

from bisect import bisect_right
from functools import partial
from itertools import accumulate

from PySide6.QtCore import QElapsedTimer, QRect, Qt, QTimer
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent, QShortcut
from PySide6.QtWidgets import QCheckBox, QSlider, QVBoxLayout, QWidget

from ...board.data import Panel, numbers
from ..document.document import Document
from ..kit.messages import size_window
from ..kit.theme import font
from ..kit.widgets import as_title, draw_words, icon_button, label, row

TICK = 16  # ms; the clock decides what is shown, not the number of ticks


class Stage(QWidget):
    """The picture of one panel on black, and its words."""

    def __init__(self, document: Document):
        super().__init__()
        self.document, self.number, self.captions = document, "", True
        self.panel: Panel | None = None
        self.setMinimumSize(480, 270)
        self.setAccessibleName("Picture of the animatic")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # first: Space plays, and presses no button
        document.picture_ready.connect(self.update)

    def show_panel(self, panel: Panel, number: str) -> None:
        self.panel, self.number = panel, number
        self.setAccessibleDescription(f"Panel {number}: {panel.action} {panel.dialogue}".strip())
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHints(QPainter.RenderHint.SmoothPixmapTransform | QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(0, 0, 0))
        if self.panel:
            frame = self._frame()
            self._draw_picture(painter, frame, self.panel)
            if self.captions:
                self._draw_caption(painter, frame, self.panel)
        painter.end()

    def _frame(self) -> QRect:
        wide, high = self.document.board.aspect
        scale = min(self.width() / wide, self.height() / high)
        size = (round(wide * scale), round(high * scale))
        return QRect((self.width() - size[0]) // 2, (self.height() - size[1]) // 2, *size)

    def _draw_picture(self, painter: QPainter, frame: QRect, panel: Panel) -> None:
        if panel.take is None:
            painter.fillRect(frame, QColor(42, 42, 44))
            painter.setPen(QColor(160, 160, 165))
            painter.setFont(font(6))
            draw_words(painter, frame, Qt.AlignmentFlag.AlignCenter, f"{self.number}\nno picture yet")
            return
        pixmap = self.document.pixmap(panel.take.picture.sha256)
        if not pixmap.isNull():
            target = pixmap.size().scaled(frame.size(), Qt.AspectRatioMode.KeepAspectRatio)
            corner = frame.center() - QRect(0, 0, target.width(), target.height()).center()
            painter.drawPixmap(QRect(corner, target), pixmap)

    def _draw_caption(self, painter: QPainter, frame: QRect, panel: Panel) -> None:
        text = f"“{panel.dialogue}”" if panel.dialogue else panel.action
        if not text:
            return
        painter.setFont(font(max(1, frame.width() / 180)))
        inner = frame.adjusted(40, 0, -40, -24)
        flags = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignBottom | Qt.TextFlag.TextWordWrap
        box = painter.boundingRect(inner, flags, text).adjusted(-14, -6, 14, 6)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(0, 0, 0, 165))
        painter.drawRoundedRect(box, 6, 6)
        painter.setPen(QColor(255, 255, 255))
        draw_words(painter, inner, flags, text)


class Animatic(QWidget):
    """Space plays and pauses, arrows go from panel to panel, the slider scrubs."""

    def __init__(self, document: Document, start: str | None = None, parent: QWidget | None = None):
        super().__init__(parent, Qt.WindowType.Window)
        self.document = document
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(as_title(f"{document.board.title} – Animatic"))
        self.panels = list(document.board.panels())
        self.numbers = numbers(document.board)
        self.ends = [round(1000 * end) for end in accumulate(panel.seconds for panel in self.panels)]
        self.at = 0  # ms
        self.stage = Stage(document)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, self.total)
        self.slider.setAccessibleName("Time")
        self.slider.sliderMoved.connect(self.seek)
        self.slider.actionTriggered.connect(lambda _: self.seek(self.slider.sliderPosition()))
        self.play_button = icon_button("Play", "play", "Play or pause (space)", self.toggle)
        self.time = label("0:00.0", "muted")
        self.time.setMinimumWidth(120)
        self._clock, self._from = QElapsedTimer(), 0
        self._timer = QTimer(self, interval=TICK)
        self._timer.timeout.connect(self._tick)
        self._lay_out()
        for key, way in ((Qt.Key.Key_Left, -1), (Qt.Key.Key_Right, 1)):  # before the slider, which takes them as ms
            QShortcut(key, self, partial(self.step, way))
        self.stage.setFocus()
        self.seek(self._start_of(start))

    @property
    def total(self) -> int:
        return self.ends[-1] if self.ends else 0

    @property
    def playing(self) -> bool:
        return self._timer.isActive()

    def _lay_out(self) -> None:
        captions = QCheckBox("Captions")
        captions.setChecked(True)
        captions.toggled.connect(self._captions)
        back = icon_button("Previous panel", "back", act=lambda: self.step(-1))
        on = icon_button("Next panel", "forward", act=lambda: self.step(1))
        foot = row(self.play_button, back, on, self.slider, self.time, captions)
        foot.setContentsMargins(14, 8, 14, 10)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addWidget(self.stage, 1)
        box.addLayout(foot)
        size_window(self, 960, 620)

    def toggle(self) -> None:
        """Play from here (from the start, where it has ended), or pause."""
        if self.playing:
            self._stop()
        elif self.total:
            self._from = 0 if self.at >= self.total else self.at
            self._clock.start()
            self._timer.start()
            self._show_button()

    def seek(self, ms: int) -> None:
        """Show what is on at `ms`."""
        self.at = max(0, min(self.total, ms))
        if self.playing:
            self._from = self.at
            self._clock.restart()
        self._show()

    def step(self, way: int) -> None:
        """To the start of the neighbouring panel."""
        place = self._place() + way
        if 0 <= place < len(self.panels):
            self.seek(self.ends[place - 1] if place else 0)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Space:
                self.toggle()
            case Qt.Key.Key_Escape:
                self.close()
            case _:
                super().keyPressEvent(event)

    def _start_of(self, panel_id: str | None) -> int:
        place = next((i for i, panel in enumerate(self.panels) if panel.id == panel_id), 0)
        return self.ends[place - 1] if place else 0

    def _place(self) -> int:
        return min(len(self.panels) - 1, bisect_right(self.ends, self.at))

    def _tick(self) -> None:
        self.at = self._from + self._clock.elapsed()
        if self.at >= self.total:
            self.at = self.total
            self._stop()
        self._show()

    def _stop(self) -> None:
        self._timer.stop()
        self._show_button()

    def _show_button(self) -> None:
        from ..kit import icons

        icons.dress(self.play_button, "pause" if self.playing else "play")
        self.play_button.setAccessibleName("Pause" if self.playing else "Play")

    def _show(self) -> None:
        self.time.setText(f"{_clock(self.at)} of {_clock(self.total)}")
        if not self.slider.isSliderDown():
            self.slider.setValue(self.at)
        if self.panels:
            panel = self.panels[self._place()]
            if panel is not self.stage.panel:
                self.stage.show_panel(panel, self.numbers[panel.id])
                self._look_ahead()

    def _look_ahead(self) -> None:
        """Decode the next picture before its time comes."""
        following = self.panels[self._place() + 1 : self._place() + 3]
        for panel in following:
            if panel.take:
                self.document.pixmap(panel.take.picture.sha256)

    def _captions(self, on: bool) -> None:
        self.stage.captions = on
        self.stage.update()


def _clock(ms: int) -> str:
    return f"{ms // 60000}:{ms // 1000 % 60:02d}.{ms // 100 % 10}"
