"""Windows without a screen; a home of their own; a board on disk and a scripted engine."""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
import pytest
from PySide6.QtGui import QGuiApplication

from app.board import commands
from app.board.data import new_board
from app.fluxboard.file import BoardFile
from tests.app.fake_engine import FakeEngine


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Nothing of the person who runs the tests is read or written."""
    monkeypatch.setenv("FLUX_LOCAL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session", autouse=True)
def empty_clipboard():
    """What Python made must not lie there once Python has ended: the process would end with a fault."""
    yield
    if QGuiApplication.instance():
        QGuiApplication.clipboard().clear()


@pytest.fixture
def engine(qapp):
    return FakeEngine()


@pytest.fixture
def picture_file(tmp_path):
    """A function that writes a PNG of one colour and gives its path."""
    from PIL import Image

    def write(name: str = "gull.png", colour=(90, 140, 200), size=(160, 90)):
        path = tmp_path / name
        Image.new("RGB", size, colour).save(path)
        return path

    return write


@pytest.fixture
def board_file(tmp_path):
    """A package with one scene of three panels that have prompts."""
    board = new_board("Harbour")
    first = next(board.panels())
    board = commands.set_panel(board, first.id, prompt="a gull at the beach")
    for words in ("a dog in a bar", "a robot in the city"):
        board = commands.add_panel(board, board.scenes[0].id)
        board = commands.set_panel(board, list(board.panels())[-1].id, prompt=words)
    file = BoardFile.create(tmp_path / "harbour", board)
    yield file
    file.close()


@pytest.fixture
def document(qapp, board_file, engine):
    from app.gui.document.document import Document

    made = Document(board_file, engine)
    yield made
    made.close()


@pytest.fixture
def ids(document):
    """The panels' ids in order, as they are now."""
    return lambda: [panel.id for panel in document.board.panels()]


@pytest.fixture
def session(qapp, engine, tmp_path, board_file):
    """A session that shows the board of three panels; new boards go to a folder of the test."""
    import msgspec

    from app.gui.window.session import Session

    path = board_file.path
    board_file.close()
    made = Session(engine)
    made.settings = msgspec.structs.replace(made.settings, folder=str(tmp_path / "boards"))
    made.path = path
    yield made
    made.close()


@pytest.fixture
def window(qtbot, session):
    """The window with that board."""
    from app.gui.kit.theme import theme
    from app.gui.window.main_window import MainWindow

    theme.apply("dark")
    made = MainWindow(session)
    qtbot.addWidget(made, before_close_func=_give_up)
    made.resize(1280, 800)
    with qtbot.waitExposed(made):
        made.show()
    session.open_named(str(session.path))
    return made


def _give_up(window):
    """Nobody answers what a window asks when it is closed after its test."""
    window.session.engine.cancel_all()
    window.commands.sure_to_lose = lambda: True


def pixels(colour=(200, 80, 60), size=(64, 36)) -> np.ndarray:
    """(H, W, 3) uint8 of one colour."""
    return np.broadcast_to(np.array(colour, np.uint8), (size[1], size[0], 3)).copy()
