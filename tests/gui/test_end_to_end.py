"""The window with the real engine and the built-in model: three panels, a worker killed in the middle, an edit."""

import os
import signal

import pytest

from app import commands
from app.board_file import BoardFile
from app.engine import Engine
from app.gui.main_window import MainWindow
from app.gui.session import Session

LONG = 150_000  # ms, on a busy machine


@pytest.fixture
def real(qtbot, board_file, tmp_path):
    path = board_file.path
    board_file.close()
    session = Session(Engine())
    window = MainWindow(session)
    qtbot.addWidget(window)
    window.show()
    window.commands.sure_to_quit = lambda busy: True
    session.start(str(path))
    yield window
    session.close()


@pytest.mark.timeout(900)
def test_three_panels_a_killed_worker_an_edit_and_the_board_opened_again(real, qtbot):
    document, session, path = real.document, real.session, real.document.file.path
    ids = [panel.id for panel in document.board.panels()]
    real.board.render.click()
    qtbot.waitUntil(lambda: document.board.panel(ids[0]).take is not None, timeout=LONG)
    qtbot.waitUntil(lambda: document.panel_state(ids[1]).preview is not None, timeout=LONG)
    os.kill(session.engine._process.pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: document.panel_state(ids[1]).state == "failed", timeout=LONG)
    assert document.panel_state(ids[1]).reason
    qtbot.waitUntil(lambda: document.board.panel(ids[2]).take is not None, timeout=LONG)
    document.render([ids[1]])
    qtbot.waitUntil(lambda: document.board.panel(ids[1]).take is not None, timeout=LONG)
    new = document.continue_from(ids[2])
    document.do("Edit", commands.set_panel(document.board, new, prompt="make it night"))
    document.render([new])
    qtbot.waitUntil(lambda: document.board.panel(new).take is not None, timeout=LONG)
    real.close()
    with BoardFile.open(path) as again:
        assert [len(panel.takes) for panel in again.board.panels()] == [1, 1, 1, 1]
        assert again.recovered == ""
