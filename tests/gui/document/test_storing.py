"""Large pictures are stored by another thread, and nothing that is asked for meanwhile misses them."""

import shutil
import threading
import time

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog

from app.board import commands
from app.board.picture import Placed
from app.fluxboard.file import BoardFile
from app.gui.document import pixmaps, storing
from app.gui.panel.view import PanelView
from app.gui.window import window_commands
from app.pictures.images import read_request, save_picture
from mlx_model.errors import DiskFull
from mlx_model.request import Request
from tests.gui.panel_board import add_take, drawn, shown_panel


@pytest.fixture
def large(tmp_path):
    """A finished picture whose file is too large for the window's thread."""
    noise = np.random.default_rng(1).integers(0, 256, (256, 256, 3), np.uint8)
    path = tmp_path / "result.png"
    Image.fromarray(noise).save(path)
    assert path.stat().st_size > pixmaps.SMALL_FILE
    return path


@pytest.fixture
def gate(monkeypatch):
    """Holds the storing thread until it is set; `threads` are the names of those that read pictures."""
    gate, read = threading.Event(), storing.keep_picture
    gate.threads = []

    def waiting(*arguments):
        gate.threads.append(threading.current_thread().name)
        assert gate.wait(20)
        return read(*arguments)

    monkeypatch.setattr(storing, "keep_picture", waiting)
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


def test_the_last_preview_stays_until_the_take_is_there(document, engine, ids, large, gate, picture_file, qtbot):
    view = PanelView(document)
    qtbot.addWidget(view)
    view.show()
    view.show_panel(ids()[0])
    document.render(ids()[:1])
    engine.preview(picture_file("preview.png"), 3)
    engine.done(large)
    assert not view.stage.canvas.preview.isNull()
    assert document.panel_state(ids()[0]).preview.endswith("preview.png")
    gate.set()
    document.settle()
    assert view.stage.canvas.preview.isNull()


def test_of_two_previews_that_are_read_the_later_is_shown(document, ids, large, picture_file, qtbot):
    view = PanelView(document)
    qtbot.addWidget(view)
    view.show_panel(ids()[0])
    view.stage.show_preview(str(large))
    assert view.stage.canvas.preview.isNull()
    view.stage.show_preview(None)
    document.settle()
    assert view.stage.canvas.preview.isNull()
    view.stage.show_preview(str(large))
    document.settle()
    assert view.stage.canvas.preview.width() == 256


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
    view = shown_panel(document, ids()[0], qtbot)
    qtbot.waitUntil(lambda: not view.stage.canvas.picture.isNull())
    view.stage.set_tool("rectangle")
    canvas, none = view.stage.canvas, Qt.KeyboardModifier.NoModifier
    centre = canvas.rect().center()
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, none, centre)
    QTest.mouseMove(canvas, centre + QPoint(60, 40))
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, none, centre + QPoint(60, 40))
    assert view.panel.mask is None  # it is on its way
    view.render_panel()
    assert view.panel.mask
    assert engine.submitted[0].request.mask.sha256 == view.panel.mask.sha256
    document.undo()
    view.stage.set_tool("brush")
    assert view.panel.mask is None
    assert view.stage.canvas.painter.is_blank


def test_a_take_that_the_disk_refuses_is_held_until_there_is_room(document, engine, ids, picture_file, monkeypatch):
    """Told once, shown at the panel, and nobody has to render it again."""
    told, over, first = [], [], ids()[0]
    document.lasting.connect(lambda *words: told.append(words))
    document.mended.connect(over.append)
    put = document.file.put_picture
    monkeypatch.setattr(document.file, "put_picture", full)
    document.render([first])
    engine.done(picture_file())
    assert not document.ensure_saved()
    assert document.troubles.texts[engine.jobs()[-1].id] == told[0][0]
    assert document.store_again(first)
    assert told == [
        ("The picture of panel 1A is made, but not stored. The disk is full.", "Make room. It is held until then.")
    ]
    assert document.panel_state(first).state == "failed"
    monkeypatch.setattr(document.file, "put_picture", put)
    assert document.store_again(first)
    assert len(document.panel(first).takes) == 1
    assert document.panel_state(first).state == "done"
    assert over == [told[0][0]]
    assert document.ensure_saved()
    assert not document.store_again(first)


def test_the_window_does_not_close_on_changes_that_no_disk_takes(window, monkeypatch):
    document, asked = window.document, []
    monkeypatch.setattr(window_commands, "ask", lambda *words: asked.append(1) or words[-1])
    save = document.file.save
    monkeypatch.setattr(document.file, "save", full)
    document.do("Rename", commands.set_board(document.board, title="Last words"))
    assert not window.close()
    assert asked == [1]
    assert window.toasts.title.text() == "The disk is full."
    monkeypatch.setattr(document.file, "save", save)
    assert window.close()
    assert asked == [1]
    assert window.toasts.title.text() == ""


def test_a_board_whose_folder_is_gone_can_still_be_copied(window, picture_file, tmp_path, monkeypatch):
    document = window.document
    add_take(document, next(document.board.panels()).id, 3)
    document.save()
    shutil.rmtree(document.file.path)
    to = str(tmp_path / "rescued.fluxboard")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (to, ""))
    window.board_commands.copy_as()
    assert window.document.board == document.board
    assert window.toasts.hint.text() == "1 picture could not be copied: gone."


def test_try_again_in_the_queue_asks_the_board_that_the_job_is_of(session, window, engine, picture_file):
    document = window.document
    first = next(document.board.panels()).id
    add_take(document, first, 3)
    document.apply_to_all([first], "make it night")
    engine.fail("No.")
    failed = engine.jobs()[-1].id
    session.again(failed)
    assert engine.running.job.instruction == "make it night"
    session.new()  # the first board is still open behind it
    session.again(failed)
    assert [job.panel for job in engine.submitted] == [first] * 3
    engine.cancel_all()
    session.again(failed)
    assert "not on a board that is open" in window.toasts.title.text()


def full(*_):
    raise DiskFull("The disk is full.", "Make room.")


def test_a_full_disk_is_told_and_the_board_stays_as_it_was(document, monkeypatch, qtbot):
    told, kept = [], []
    monkeypatch.setattr(document.file, "put_picture", full)
    document.message.connect(lambda *words: told.append(words))
    document.store(np.ones((1024, 1024), np.uint8), "mask", kept.append)
    document.settle()
    assert (told, kept) == ([("The disk is full.", "Make room.")], [None])


def test_a_mask_that_the_disk_refuses_is_not_shown_as_if_it_were_there(document, ids, monkeypatch, qtbot):
    add_take(document, ids()[0], 3)
    view = PanelView(document)
    qtbot.addWidget(view)
    view.show_panel(ids()[0])
    view.stage.set_tool("brush")
    monkeypatch.setattr(document.file, "put_picture", full)
    view.stage.canvas.painter.load(np.full((108, 192), 200, np.uint8))
    view.stage.canvas.painter.committed.emit("Paint Mask")
    assert view.panel.mask is None
    assert view.stage.canvas.painter.is_blank


def test_a_take_holds_the_bytes_that_the_run_wrote(document, engine, ids, tmp_path):
    """Decoded and encoded again it would lose the mark that a model made it."""
    pixels = np.full((64, 64, 3), 90, np.uint8)
    result = save_picture(pixels, tmp_path / "result.png", asked := Request("mini", "a gull").to_json())
    document.render(ids()[:1])
    engine.done(result)
    take = document.panel(ids()[0]).take
    blob = document.picture_path(take.picture.sha256)
    assert blob.read_bytes() == result.read_bytes()
    assert b"trainedAlgorithmicMedia" in blob.read_bytes()
    assert read_request(blob).to_json() == asked
    assert take.picture.name == "1A.png"


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_what_is_no_picture_is_told_and_not_held(document, engine, ids, tmp_path, data):
    told = []
    document.message.connect(lambda *words: told.append(words))
    (tmp_path / "result.png").write_bytes(data)
    document.render(ids()[:1])
    engine.done(tmp_path / "result.png")
    assert len(told) == 1
    assert document.panel(ids()[0]).takes == ()
    assert not document.store_again(ids()[0])


def test_the_window_lives_while_pictures_are_put_together(document, ids, monkeypatch, qtbot):
    ground, sofa = add_take(document, ids()[0], 3), drawn(document, 9)
    beats, timer = [], QTimer(interval=5)
    timer.timeout.connect(lambda: beats.append(1))
    timer.start()
    put = document.file.put_picture

    def wait(*given):
        """The picture is kept once the window has lived for a while beside it."""
        end = time.monotonic() + 30
        while len(beats) <= 5 and time.monotonic() < end:
            time.sleep(0.005)
        return put(*given)

    monkeypatch.setattr(document.file, "put_picture", wait)
    made = document.compose(ground.picture, (Placed(sofa),))
    assert (made.width, made.height) == (192, 108)
    assert len(beats) > 5
