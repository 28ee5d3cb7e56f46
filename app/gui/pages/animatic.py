"""The animatic: the board played in time with its sound, captions and camera moves, in a window of its own; there its
timing is set, the sound chosen, and what the camera sees drawn.
"""

from bisect import bisect_right
from functools import partial
from itertools import accumulate

import numpy as np
from msgspec.structs import replace
from PySide6.QtCore import QElapsedTimer, Qt, QTimer
from PySide6.QtGui import QCloseEvent, QKeyEvent, QShortcut
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QSlider, QVBoxLayout, QWidget

from mlx_model.errors import FluxLocalError

from ...board import commands
from ...board.camera import MOVES, Camera, Frame, moves, propose_way
from ...board.data import Board, Panel, Sound, numbers
from ...sound.clip import FILTER, Clip, look_at, measure_peaks
from ...sound.player import Player
from ..document.document import Document
from ..document.storing import in_background
from ..kit import icons
from ..kit.fields import choice
from ..kit.measures import GAP, TIGHT, WIDE
from ..kit.messages import choose_file
from ..kit.placing import size_window
from ..kit.turns import beside
from ..kit.widgets import as_action, as_title, button, describe, icon_button, label, row
from ..kit.words import in_window
from .stage import Stage
from .timing import PEAKS, Timing

TICK = 16  # ms; the clock decides what is shown, not the number of ticks
NO_PEAKS = np.empty(0, np.float32)
DRAWN = "drawn"  # no name of a move: beside them in the box
AGAIN = 120  # ms after the last leap: the sound goes on from there


class Animatic(QWidget):
    """Space plays and pauses, arrows go from panel to panel, the slider scrubs, comma and full stop change a length."""

    def __init__(self, document: Document, start: str | None = None, parent: QWidget | None = None):
        super().__init__(parent, Qt.WindowType.Window)
        self.document, self.player = document, Player()
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.panels: list[Panel] = []
        self.ends: list[int] = []  # ms
        self.numbers: dict[str, str] = {}
        self.at = 0  # ms
        self.clip: Clip | None = None
        self.stage, self.timing = Stage(document), Timing(document)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName("Time")
        self.slider.sliderMoved.connect(self.seek)
        self.slider.actionTriggered.connect(lambda _: self.seek(self.slider.sliderPosition()))
        self._clock, self._from = QElapsedTimer(), 0
        self._timer = QTimer(self, interval=TICK)
        self._timer.timeout.connect(self._tick)
        self._sound_again = QTimer(self, singleShot=True, interval=AGAIN)
        self._sound_again.timeout.connect(self._start_sound)
        self._lay_out()
        self.arrows = [QShortcut(key, self, partial(self.step, way)) for key, way in WAYS]  # before the slider's own
        for key, way in ((Qt.Key.Key_Comma, -1), (Qt.Key.Key_Period, 1)):
            QShortcut(key, self, partial(self.lengthen_by, way))
        for keys, act in (("Ctrl+Z", document.undo), ("Ctrl+Shift+Z", document.redo)):  # the menus' are the board's
            QShortcut(keys, self, act)
        self.stage.framed.connect(self._draw_camera)
        self.stage.left.connect(lambda: self.camera.setChecked(False))
        self.timing.sought.connect(self.seek)
        self.timing.lengthened.connect(self._lengthen)
        self.timing.shifted.connect(self._shift_sound)
        document.changed.connect(self._follow)
        self._follow(None, document.board)
        self.stage.setFocus()
        self.seek(self._start_of(start))

    @property
    def total(self) -> int:
        return self.ends[-1] if self.ends else 0

    @property
    def playing(self) -> bool:
        return self._timer.isActive()

    @property
    def panel(self) -> Panel | None:
        """The one that is on."""
        return self.panels[self._place()] if self.panels else None

    def _lay_out(self) -> None:
        self.play_button = icon_button("Play", "play", "Play or pause (space)", self.toggle)
        self.time = label("0:00.0", "muted")
        self.time.setMinimumWidth(120)
        back = icon_button("Previous panel", "back", act=lambda: self.step(-1))
        on = icon_button("Next panel", "forward", act=lambda: self.step(1))
        first = row(self.play_button, back, on, self.slider, self.time)
        first.setContentsMargins(WIDE, GAP, WIDE, TIGHT)
        second = self._second_row()
        second.setContentsMargins(WIDE, TIGHT, WIDE, WIDE)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addWidget(self.stage, 1)
        box.addLayout(first)
        box.addWidget(self.timing)
        box.addLayout(second)
        self.said = label(tone="warning", wrap=True)
        self.said.setContentsMargins(WIDE, 0, WIDE, WIDE)
        self.said.hide()
        box.addWidget(self.said)
        room = self.screen().availableSize()
        size_window(self, max(1040, room.width() * 3 // 5), max(760, room.height() * 3 // 4))

    def _second_row(self) -> QHBoxLayout:
        self.captions = QCheckBox("Captions")
        self.captions.setChecked(True)
        self.captions.toggled.connect(self._show_captions)
        self.camera = button("Camera", lambda: None, "camera")
        self.camera.setCheckable(True)
        describe(self.camera, "Camera", "Draw what the camera sees first and last in this panel")
        self.camera.toggled.connect(self._turn_camera)
        self.move_ = choice("Move", "How the camera moves in this panel", self._choose_move)
        for move in MOVES:
            self.move_.addItem(as_action(move.capitalize() or "No move"), move)
        self.sound = button("Add Sound…", self.choose_sound, "sound")
        describe(self.sound, "Add Sound", "One file of music, voices or noise under the whole board")
        self.no_sound = button("Remove Sound", lambda: self._set_sound(None), "close", "quiet")
        return row(self.camera, self.move_, WIDE, self.sound, self.no_sound, None, self.captions)

    # The board

    def _follow(self, old: Board | None, board: Board) -> None:
        """What is shown is the board as it is now, at the same moment of the same panel."""
        self.setWindowTitle(as_title(f"{board.title} – Animatic"))
        self.panels, self.numbers = list(board.panels()), numbers(board)
        self.ends = [round(1000 * end) for end in accumulate(panel.seconds for panel in self.panels)]
        self.slider.setRange(0, self.total)
        self.timing.show_panels(self.panels, self.ends, self.numbers)
        if old is None or old.sound != board.sound:
            self._follow_sound(old.sound if old else None, board.sound)
        self.at = min(self.at, self.total)
        self._show()

    def _follow_sound(self, old: Sound | None, sound: Sound | None) -> None:
        self.no_sound.setVisible(sound is not None)
        self.sound.setText("Change Sound…" if sound else "Add Sound…")
        peaks = self.timing.peaks
        if sound is None or old is None or old.sha256 != sound.sha256:
            peaks = self._open_sound(sound)
        self.timing.show_sound(peaks, sound.start if sound else 0.0, (sound.name or "Sound") if sound else "")
        if self.playing:
            self._sound_again.start()

    def _open_sound(self, sound: Sound | None) -> np.ndarray | None:
        """Its peaks where they are known: of none there are none, others are measured beside, a second for a song."""
        self.clip = None
        self._say("")
        if sound is None:
            return None
        try:
            self.clip = clip = look_at(self.document.picture_path(sound.sha256))
        except FluxLocalError as error:
            self._say_error(error)
            return NO_PEAKS
        beside().do(self, lambda: measure_peaks(clip, PEAKS), lambda peaks: self._show_peaks(sound.sha256, peaks))
        return None

    def _show_peaks(self, sha256: str, peaks: object) -> None:
        sound = self.document.board.sound
        if sound and sound.sha256 == sha256:
            self.timing.show_sound(peaks, sound.start, sound.name or "Sound")  # type: ignore[arg-type]

    def choose_sound(self) -> None:
        """One file under the whole board; what can't be used is told here."""
        path = choose_file(self, "Add Sound", FILTER)
        self.play_button.setFocus()  # space is to play it, not to choose another
        if not path:
            return
        try:
            read = in_background(self.document.file.put_sound, [path])  # none where it was stopped
        except FluxLocalError as error:
            self._say_error(error)
            return
        self._say("")
        for sound in read:
            self._set_sound(sound)

    def _say_error(self, error: FluxLocalError) -> None:
        self._say(f"{error.message} {in_window(error.hint)}".strip())

    def _say(self, words: str) -> None:
        """Whole, below everything, however narrow the window is."""
        self.said.setText(words)
        self.said.setVisible(bool(words))

    def _set_sound(self, sound: Sound | None) -> None:
        words = "Add Sound" if sound else "Remove Sound"
        self.document.do(words, lambda board: commands.set_board(board, sound=sound))

    def _shift_sound(self, start: float) -> None:
        if sound := self.document.board.sound:
            moved = replace(sound, start=start)
            self.document.do("Move Sound", lambda board: commands.set_board(board, sound=moved), "move sound")

    def _lengthen(self, panel_id: str, seconds: float) -> None:
        change = partial(commands.set_panel, panel_id=panel_id, seconds=seconds)
        self.document.do("Change Length", change, f"length {panel_id}")

    def lengthen_by(self, frames: int) -> None:
        """The panel that is on, longer or shorter by so many frames."""
        if panel := self.panel:
            rate = float(self.document.board.rate)
            self._lengthen(panel.id, max(1, round(panel.seconds * rate) + frames) / rate)

    def _set_camera(self, camera: Camera, merge: str | None = None) -> None:
        if panel := self.panel:
            self.document.do("Camera", partial(commands.set_panel, panel_id=panel.id, camera=camera), merge)

    def _draw_camera(self, end: str, frame: Frame) -> None:
        if panel := self.panel:
            begin, last = propose_way(panel.camera)
            begin, last = (frame, last) if end == "begin" else (begin, frame)
            self._set_camera(replace(panel.camera, begin=begin, end=last), f"camera {panel.id} {end}")

    def _choose_move(self, place: int) -> None:
        """Another move goes its own way: what was drawn for the one before is given up."""
        if (panel := self.panel) and self.move_.itemData(place) != DRAWN:
            self._set_camera(replace(panel.camera, move=self.move_.itemData(place), begin=None, end=None))

    def _turn_camera(self, on: bool) -> None:
        if on and self.playing:
            self.toggle()
        for arrow in self.arrows:
            arrow.setEnabled(not on)  # they move the frame then
        self.stage.draw_camera(on)
        if on:
            self.stage.setFocus()

    # Time

    def toggle(self) -> None:
        """Play from here (from the start, where it has ended), or pause."""
        if self.playing:
            self._stop()
        elif self.total:
            self.camera.setChecked(False)
            self.at = 0 if self.at >= self.total else self.at
            self._timer.start()
            self._start_sound()
            self._show_button()

    def _start_sound(self) -> None:
        """Sound and clock begin together: as much later as the sound is heard."""
        if not self.playing:
            return
        delay, sound = 0.0, self.document.board.sound
        if self.clip and sound:
            delay = self.player.start(self.clip, self.at / 1000 - sound.start)
            self._say(self.player.problem)
        else:
            self.player.stop()
        self._from = self.at - round(1000 * delay)
        self._clock.restart()

    def seek(self, ms: int) -> None:
        """Show what is on at `ms`."""
        self.at = max(0, min(self.total, ms))
        if self.playing:
            self._from = self.at
            self._clock.restart()
            self.player.stop()
            self._sound_again.start()
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

    def closeEvent(self, event: QCloseEvent) -> None:
        self._stop()
        super().closeEvent(event)

    def _start_of(self, panel_id: str | None) -> int:
        place = next((i for i, panel in enumerate(self.panels) if panel.id == panel_id), 0)
        return self.ends[place - 1] if place else 0

    def _place(self) -> int:
        return min(len(self.panels) - 1, bisect_right(self.ends, self.at))

    def _tick(self) -> None:
        self.at = max(0, self._from + self._clock.elapsed())
        if self.at >= self.total:
            self.at = self.total
            self._stop()
        self._show()

    def _stop(self) -> None:
        self._timer.stop()
        self._sound_again.stop()
        self.player.stop()
        self._show_button()

    def _show_button(self) -> None:
        icons.dress(self.play_button, "pause" if self.playing else "play")
        self.play_button.setAccessibleName("Pause" if self.playing else "Play")

    def _show(self) -> None:
        self.time.setText(f"{_clock(self.at)} of {_clock(self.total)}")
        if not self.slider.isSliderDown():
            self.slider.setValue(self.at)
        self.timing.show_time(self.at)
        if self.panels:
            panel, place = self.panels[self._place()], self._place()
            begin = self.ends[place - 1] if place else 0
            share = (self.at - begin) / max(1, 1000 * panel.seconds)
            if panel is not self.stage.panel:
                self._look_ahead()
            if panel is not self.stage.panel or moves(panel.camera):
                self.stage.show_panel(panel, self.numbers[panel.id], share)
            self._name_move(panel.camera)

    def _name_move(self, camera: Camera) -> None:
        """What was drawn goes before the name of a move; the box says so, in words that can't be chosen otherwise."""
        drawn, there = camera.begin is not None or camera.end is not None, self.move_.findData(DRAWN)
        if drawn and there < 0:
            self.move_.addItem("As drawn", DRAWN)
        elif not drawn and there >= 0:
            self.move_.removeItem(there)
        self.move_.setCurrentIndex(max(0, self.move_.findData(DRAWN if drawn else camera.move)))

    def _look_ahead(self) -> None:
        """Decode the next picture before its time comes."""
        following = self.panels[self._place() + 1 : self._place() + 3]
        for panel in following:
            if panel.take:
                self.document.pixmap(panel.take.picture.sha256)

    def _show_captions(self, on: bool) -> None:
        self.stage.captions = on
        self.stage.update()


WAYS = ((Qt.Key.Key_Left, -1), (Qt.Key.Key_Right, 1))


def _clock(ms: int) -> str:
    return f"{ms // 60000}:{ms // 1000 % 60:02d}.{ms // 100 % 10}"
