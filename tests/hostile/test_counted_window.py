"""Twice as much on a board takes the window about twice as many steps: grid, tray, takes, queue, LoRAs.

Counted in lines of Python and calls, as in test_counted.py: seconds would be the machine's.
"""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from collections.abc import Callable

import pytest
from msgspec.structs import replace
from PySide6.QtCore import QCoreApplication, QEvent

from app.board import commands
from app.board.data import Panel, PanelReference, Picture, Scene, Take, new_board, new_id
from app.fluxboard.file import BoardFile
from app.gui.board.view import BoardView
from app.gui.document.document import Document
from app.gui.pages.queue_view import QueueView
from app.gui.panel.fields import StartBox
from app.gui.panel.takes_tree import TakesTree
from app.gui.prompt.tray import ReferenceTray
from tests.app.fake_engine import FakeEngine
from tests.hostile.test_counted import MOST, count_steps

pytestmark = pytest.mark.sweep

PICTURE = Picture("a" * 64, 64, 64)
Act = Callable[[], object]


def open_board(path, panels: list[Panel]) -> Document:
    board = replace(new_board(), scenes=(Scene(new_id(), "", tuple(panels)),))
    return Document(BoardFile.create(path, board), FakeEngine())


def make_panels(count: int) -> list[Panel]:
    """Each has a picture to show."""
    takes = [Take(new_id(), PICTURE, "", "", "2026-01-01T00:00:00", 0) for _ in range(count)]
    return [Panel(new_id(), "a gull", takes=(take,), current=take.id) for take in takes]


def grid(path, size: int) -> tuple[Document, Act]:
    """Every panel is selected, moved, and the change undone."""
    document = open_board(path, make_panels(size))
    view = BoardView(document, lambda name: None, 0)
    view.resize(1000, 700)

    def act() -> None:
        ids = tuple(panel.id for panel in document.board.panels())
        view.grid.select(ids)
        view.grid.list_selected()
        last = ids[-1]
        document.do("Move", lambda board: commands.move_panels(board, (last,), board.scenes[0].id, 0))
        document.undo()
        view.grid.extend()
        view.grab()

    act.view = view
    return document, act


def render(path, size: int) -> tuple[Document, Act]:
    """All are put in the queue, looked at there, and cancelled."""
    document = open_board(path, make_panels(size))
    queue = QueueView(document.engine)
    queue.resize(800, 600)
    document.engine.pause()

    def act() -> None:
        document.render([panel.id for panel in document.board.panels()])
        queue.refresh()
        document.engine.cancel_all()
        queue.refresh()

    act.view = queue
    return document, act


def states(path, size: int) -> tuple[Document, Act]:
    """What the grid asks while it paints panels that all wait."""
    document = open_board(path, make_panels(size))
    document.engine.pause()
    document.render([panel.id for panel in document.board.panels()])
    return document, lambda: [document.panel_state(panel.id) for panel in document.board.panels()]


def tray(path, size: int) -> tuple[Document, Act]:
    """References in a row, of which the first is taken away and comes back."""
    references = tuple(PanelReference(new_id(), PICTURE, name=f"r{number}") for number in range(size))
    document = open_board(path, [Panel(new_id(), "a gull", references=references)])
    first = next(document.board.panels()).id
    shown = ReferenceTray(document)
    shown.limit = size
    shown.show_panel(first)

    def act() -> None:
        kept = document.board.panel(first).references
        document.do("x", lambda board: commands.set_panel(board, first, references=kept[1:]))
        shown.refresh()
        document.do("x", lambda board: commands.set_panel(board, first, references=kept))
        shown.refresh()

    act.view = shown
    return document, act


def takes(path, size: int) -> tuple[Document, Act]:
    """A tree of takes, of which the first is removed and comes back."""
    made = tuple(Take(new_id(), PICTURE, "", "", "2026-01-01T00:00:00", 0) for _ in range(size))
    document = open_board(path, [Panel(new_id(), "a gull", takes=made, current=made[-1].id)])
    first = next(document.board.panels()).id
    strip = TakesTree(document)
    strip.show_panel(first)

    def act() -> None:
        strip.remove(made[0].id)
        strip.refresh()
        document.undo()
        strip.refresh()

    act.view = strip
    return document, act


def sources(path, size: int) -> tuple[Document, Act]:
    """The list of what a panel can start from."""
    document = open_board(path, make_panels(size))
    box = StartBox(document)
    ids = [panel.id for panel in document.board.panels()]

    def act() -> None:
        box.show_panel(ids[0])
        box.show_panel(ids[-1])

    act.view = box
    return document, act


STORIES = {
    "grid": (grid, 60),
    "render": (render, 30),
    "states": (states, 50),
    "tray": (tray, 5),  # more than ten are refused
    "takes": (takes, 40),
    "sources": (sources, 60),
}


@pytest.mark.parametrize("name", STORIES)
def test_twice_as_much_takes_twice_the_steps(tmp_path, qapp, monkeypatch, name):
    monkeypatch.setenv("FLUX_LOCAL_HOME", str(tmp_path / "home"))
    make, size = STORIES[name]
    steps = []
    for count in (size, 2 * size):
        document, act = make(tmp_path / str(count), count)
        act()  # what is kept from then on
        steps.append(count_steps(act))
        document.close()
        if view := getattr(act, "view", None):
            view.deleteLater()
            QCoreApplication.sendPostedEvents(view, QEvent.Type.DeferredDelete.value)
    assert steps[0] > size
    assert steps[1] < MOST * steps[0]
