"""The animatic: timing by dragged edges and keys, its sound, what the camera sees."""

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from app.board.camera import Camera, Frame
from app.sound.player import NO_LIBRARY
from tests.app.sound.test_sound import write as write_sound


class Heard:
    """A player without a device: what it was asked to play, and from when."""

    problem, asked = "", ()

    def start(self, clip, at):
        self.asked = (*self.asked, (clip.path.suffix, round(at, 2)))
        return 0.05

    def stop(self):
        self.asked = (*self.asked, "stop")


@pytest.fixture
def animatic(window, qtbot):
    from app.gui.pages.animatic import Animatic

    made = Animatic(window.document)
    made.player = Heard()
    qtbot.addWidget(made)
    made.show()
    return made


def test_a_sound_whose_file_is_gone_is_told_and_not_waited_for(window, tmp_path, animatic):
    document = window.document
    sound = document.file.put_sound(write_sound(tmp_path / "song.ogg"))
    document.picture_path(sound.sha256).unlink()
    animatic._set_sound(sound)
    assert animatic.said.text().startswith("The sound is missing.")
    assert list(animatic.timing.peaks) == []  # nothing is read: the strip does not say so
    animatic._set_sound(None)
    assert animatic.said.text() == ""


def test_the_sound_plays_in_step_and_is_moved_and_removed_with_undo(window, qtbot, monkeypatch, tmp_path, animatic):
    from app.gui.pages import animatic as module

    path = write_sound(tmp_path / "song.ogg", seconds=3)
    monkeypatch.setattr(module, "choose_file", lambda *_: str(path))
    QTest.mouseClick(animatic.sound, Qt.MouseButton.LeftButton)
    document, timing = window.document, animatic.timing
    assert (document.board.sound.name, document.board.sound.start) == ("song.ogg", 0)
    qtbot.waitUntil(lambda: timing.peaks is not None)
    assert timing.peaks[:20].max() < 0.1 < timing.peaks[30:].max()
    animatic.seek(1000)
    animatic.toggle()
    assert animatic.player.asked[-1] == (".ogg", 1.0)
    animatic.toggle()
    assert animatic.player.asked[-1] == "stop"
    y = timing.height() - 10
    before = QPoint(200, y)
    QTest.mousePress(timing, Qt.MouseButton.LeftButton, pos=before)
    QTest.mouseMove(timing, before + QPoint(100, 0))
    QTest.mouseRelease(timing, Qt.MouseButton.LeftButton, pos=before + QPoint(100, 0))
    moved = 100 / timing.width() * animatic.total / 1000
    assert document.board.sound.start == pytest.approx(moved, abs=0.03)
    QTest.mouseClick(animatic.no_sound, Qt.MouseButton.LeftButton)
    assert document.board.sound is None
    document.undo()
    document.undo()
    assert document.board.sound.start == 0
    path.write_bytes(b"no sound")
    QTest.mouseClick(animatic.sound, Qt.MouseButton.LeftButton)
    assert "is no sound" in animatic.said.text()
    assert document.board.sound.name == "song.ogg"


def test_a_panel_s_edge_is_dragged_and_keys_change_its_length(window, animatic):
    document, timing = window.document, animatic.timing
    first = document.board.scenes[0].panels[0]
    edge = QPoint(round(timing._x(animatic.ends[0])), 20)
    QTest.mousePress(timing, Qt.MouseButton.LeftButton, pos=edge)
    QTest.mouseMove(timing, edge + QPoint(timing.width() // 6, 0))  # of six seconds
    QTest.mouseRelease(timing, Qt.MouseButton.LeftButton, pos=edge)
    assert document.panel(first.id).seconds == pytest.approx(3, abs=0.05)
    assert animatic.total == sum(round(1000 * panel.seconds) for panel in document.board.panels())
    animatic.activateWindow()
    QTest.keyClick(animatic.stage, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert document.panel(first.id).seconds == 2
    animatic.seek(0)
    QTest.keyClick(animatic.stage, Qt.Key.Key_Period)
    assert document.panel(first.id).seconds == pytest.approx(2 + 1 / 24)
    QTest.keyClick(animatic.stage, Qt.Key.Key_Comma)
    QTest.keyClick(animatic.stage, Qt.Key.Key_Comma)
    assert document.panel(first.id).seconds == pytest.approx(2 - 1 / 24)


def test_the_camera_is_chosen_drawn_by_hand_and_by_keys_and_seen(window, animatic, engine, picture_file):
    document, stage = window.document, animatic.stage
    first = document.board.scenes[0].panels[0].id
    document.render([first])
    engine.done(picture_file())
    animatic.move_.setCurrentIndex(animatic.move_.findData("push in"))
    animatic.move_.activated.emit(animatic.move_.currentIndex())
    assert document.panel(first).camera.move == "push in"
    QTest.mouseClick(animatic.camera, Qt.MouseButton.LeftButton)
    assert stage.drawing
    corner = stage.place("end").topLeft().toPoint()
    middle = stage.place("end").center().toPoint()
    QTest.mousePress(stage, Qt.MouseButton.LeftButton, pos=corner)
    QTest.mouseMove(stage, (corner + middle) / 2)
    QTest.mouseRelease(stage, Qt.MouseButton.LeftButton, pos=corner)
    assert document.panel(first).camera.end.width == pytest.approx(0.35, abs=0.01)
    QTest.keyClick(stage, Qt.Key.Key_Right)
    assert document.panel(first).camera.end.x == pytest.approx(0.51)
    assert animatic.at == 0
    QTest.keyClicks(stage, "b-")
    assert document.panel(first).camera.begin.width == pytest.approx(1 / 1.05)
    QTest.keyClick(stage, Qt.Key.Key_Escape)
    assert not stage.drawing
    assert animatic.isVisible()
    animatic.seek(1990)
    assert stage.share > 0.99
    assert animatic.move_.currentText() == "As drawn"
    animatic.move_.activated.emit(0)
    assert document.panel(first).camera == Camera()
    assert (animatic.move_.currentText(), animatic.move_.findText("As drawn")) == ("No move", -1)


@pytest.mark.parametrize("by_word", [False, True])
def test_both_frames_of_a_new_move_lie_apart_and_are_taken_hold_of(window, animatic, by_word):
    document, stage = window.document, animatic.stage
    first = document.board.scenes[0].panels[0].id
    animatic.camera.click()
    begin, end = stage.place("begin"), stage.place("end")
    assert begin.contains(end), "new, the end is within the beginning"
    assert end.width() < 0.8 * begin.width()
    assert not stage.place_name("begin").intersects(stage.place_name("end"))
    assert document.panel(first).camera == Camera(), "looking at it changes nothing"
    at = (stage.place_name("end") if by_word else end).center().toPoint()
    QTest.mousePress(stage, Qt.MouseButton.LeftButton, pos=at)
    QTest.mouseMove(stage, at + QPoint(round(begin.width() / 20), 0))
    QTest.mouseRelease(stage, Qt.MouseButton.LeftButton, pos=at)
    camera = document.panel(first).camera
    assert (camera.begin, camera.end.width) == (Frame(), 0.7)
    assert camera.end.x == pytest.approx(0.55, abs=0.01)
    corner = begin.topLeft().toPoint()
    QTest.mousePress(stage, Qt.MouseButton.LeftButton, pos=corner)
    QTest.mouseMove(stage, corner + QPoint(round(begin.width() / 4), 0))
    QTest.mouseRelease(stage, Qt.MouseButton.LeftButton, pos=corner)
    assert stage.chosen == "begin"
    assert document.panel(first).camera.begin.width == pytest.approx(0.5, abs=0.02)
    assert document.panel(first).camera.end == camera.end
    at = stage.place("begin").center()
    assert stage.find_at(at) == ("begin", False), "inside of both the smaller"


def test_why_no_sound_is_heard_is_read_whole_in_a_narrow_window(animatic, qtbot):
    animatic.resize(480, 600)
    animatic._say(NO_LIBRARY)
    said = animatic.said
    qtbot.waitUntil(lambda: said.height() >= said.heightForWidth(said.width()) > 0)
    assert said.text() == NO_LIBRARY
    assert said.isVisible()
