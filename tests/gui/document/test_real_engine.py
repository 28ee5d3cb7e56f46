"""A board in the window's document, rendered by the real worker with the built-in model."""

import os
import signal
import subprocess
import zipfile

import pytest

from app.board import commands
from app.board.data import PanelReference, Settings
from app.engine import protocol
from app.engine.engine import Engine
from app.fluxboard.archive import export_zip
from app.fluxboard.file import BoardFile

WAIT = 120_000


@pytest.fixture
def engine(qapp):
    engine = Engine()
    yield engine
    engine.shutdown()


def test_three_panels_the_worker_killed_in_the_middle_and_the_board_reopened(qtbot, document):
    engine, said = document.engine, []
    document.message.connect(lambda what, hint: said.append((what, hint)))
    one, two, three = (panel.id for panel in document.board.panels())
    for panel, steps in ((one, 2), (two, 100), (three, 2)):
        settings = Settings(steps=steps, width=64, height=64)
        document.do("Settings", commands.set_panel(document.board, panel, settings=settings))
    document.render([one, two, three])
    qtbot.waitUntil(lambda: document.panel_state(two).step >= 1, timeout=WAIT)
    assert document.panel(one).take is not None
    os.kill(engine.worker_pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: document.panel(three).take is not None, timeout=WAIT)
    assert document.panel_state(two).state == "failed"
    assert "died" in document.panel_state(two).reason
    assert said[-1][1]
    assert document.panel(two).takes == ()
    document.do("Settings", commands.set_panel(document.board, two, settings=Settings(steps=2, width=64, height=64)))
    document.render([two])
    qtbot.waitUntil(lambda: document.panel(two).take is not None, timeout=WAIT)
    while document.history.can_undo:
        document.undo()
    assert all(len(panel.takes) == 1 for panel in document.board.panels())
    path, board = document.file.path, document.board
    document.close()
    with BoardFile.open(path) as again:
        assert again.board == board
        assert all(again.picture_path(panel.takes[0].picture.sha256).is_file() for panel in again.board.panels())


@pytest.mark.sweep
def test_the_window_and_the_command_line_make_the_same_bytes_which_tell_nothing_of_this_machine(
    qtbot, document, picture_file, tmp_path, home
):
    first = next(document.board.panels()).id
    settings, gull = Settings(steps=2, width=64, height=64), document.import_picture(picture_file(size=(96, 64)))
    board = commands.add_reference(document.board, first, PanelReference("r", gull, name="gull"))
    board = commands.set_panel(board, first, settings=settings, seed=5, seed_locked=True, prompt="@gull at sea")
    document.do("Edit", board)
    document.save()
    other = tmp_path / "elsewhere.fluxboard"
    document.file.copy_to(other).close()
    document.render([first])
    qtbot.waitUntil(lambda: document.panel(first).take is not None, timeout=WAIT)
    words = [*protocol.command_line("board"), "render", str(other), "--panels", "1A"]
    subprocess.run(words, check=True, capture_output=True, env=protocol.environment())
    document.save()
    takes = []
    for path in (document.file.path, other):
        with BoardFile.open(path, write=False) as file:
            takes.append(file.board.panel(first).take)
            zipped = export_zip(file, tmp_path / f"{path.stem}.zip")
        with zipfile.ZipFile(zipped) as archive:
            held = b"".join(archive.read(name) for name in archive.namelist())
        assert b"compositeWithTrainedAlgorithmicMedia" in held
        assert b"image 1 at sea" in held
        assert str(tmp_path).encode() not in held
        assert str(home.parent).encode() not in held
    assert takes[0].picture == takes[1].picture
