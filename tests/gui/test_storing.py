"""Large pictures are stored by another thread, and nothing that is asked for meanwhile misses them."""

import threading

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from app.board_file import BoardFile
from app.gui import document as document_module
from app.gui.panel_view import PanelView
from mlx_model.errors import DiskFull
from tests.gui.panel_board import add_take


@pytest.fixture
def large(tmp_path):
    """A finished picture whose file is too large for the window's thread."""
    noise = np.random.default_rng(1).integers(0, 256, (256, 256, 3), np.uint8)
    path = tmp_path / "result.png"
    Image.fromarray(noise).save(path)
    assert path.stat().st_size > document_module.SMALL_FILE
    return path


@pytest.fixture
def gate(monkeypatch):
    """Holds the storing thread until it is set; `threads` are the names of those that read pictures."""
    gate, read = threading.Event(), document_module.read_picture
    gate.threads = []

    def waiting(*arguments):
        gate.threads.append(threading.current_thread().name)
        assert gate.wait(20)
        return read(*arguments)

    monkeypatch.setattr(document_module, "read_picture", waiting)
    yield gate
    gate.set()


def test_the_window_goes_on_while_a_take_is_stored(document, engine, ids, large, gate, qtbot):
    document.render(ids()[:1])
    engine.done(large)
    state = document.panel_state(ids()[0])
    assert (state.state, state.stage, document.panel(ids()[0]).takes) == ("running", "decode", ())
    large.unlink()  # the engine lets go of its files when it likes
    told = []
    document.state_changed.connect(told.append)
    gate.set()
    qtbot.waitUntil(lambda: bool(document.panel(ids()[0]).takes))
    assert document.panel_state(ids()[0]).state == "done"
    assert told == [ids()[0]]
    assert threading.current_thread().name not in gate.threads


def test_closing_waits_for_the_take_that_is_being_stored(document, engine, ids, large, gate):
    document.render(ids()[:1])
    engine.done(large)
    threading.Timer(0.05, gate.set).start()
    document.close()
    with BoardFile.open(document.file._path) as file:
        assert len(next(file.board.panels()).takes) == 1
        assert file.recovered == ""


def test_undo_and_continue_wait_for_it(document, engine, ids, large, gate):
    document.render(ids()[:1])
    engine.done(large)
    gate.set()
    new = document.continue_from(ids()[0])
    assert document.panel(new).source.panel == ids()[0]
    assert document.panel(ids()[0]).take
    document.undo()
    assert document.panel(ids()[0]).take
    assert new not in ids()


def test_a_picture_that_is_gone_is_told(document, engine, ids, tmp_path):
    told = []
    document.message.connect(lambda *words: told.append(words))
    document.render(ids()[:1])
    engine.done(tmp_path / "nothing.png")
    assert "can't be read" in told[0][0]
    assert told[0][1] == "Render it again."


def test_a_run_right_after_a_stroke_on_a_large_picture_has_the_mask(document, engine, ids, qtbot):
    add_take(document, ids()[0], 3, (1024, 768))
    view = PanelView(document)
    qtbot.addWidget(view)
    view.resize(1280, 800)
    view.show()
    view.show_panel(ids()[0])
    qtbot.waitUntil(lambda: not view.stage.canvas.picture.isNull())
    view.stage.set_tool("rectangle")
    canvas, none = view.stage.canvas, Qt.KeyboardModifier.NoModifier
    centre = canvas.rect().center()
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, none, centre)
    QTest.mouseMove(canvas, centre + QPoint(60, 40))
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, none, centre + QPoint(60, 40))
    assert view.panel.mask is None  # it is on its way
    view.render()
    assert view.panel.mask
    assert engine.submitted[0].request.mask.sha256 == view.panel.mask.sha256
    document.undo()
    view.stage.set_tool("brush")
    assert view.panel.mask is None
    assert view.stage.canvas.painter.is_blank


def test_a_full_disk_is_told_and_the_board_stays_as_it_was(document, monkeypatch, qtbot):
    def full(*_):
        raise DiskFull("The disk is full.", "Make room.")

    told, kept = [], []
    monkeypatch.setattr(document.file, "put_picture", full)
    document.message.connect(lambda *words: told.append(words))
    document.store(np.ones((1024, 1024), np.uint8), "mask", kept.append)
    document.settle()
    assert (told, kept) == ([("The disk is full.", "Make room.")], [])
