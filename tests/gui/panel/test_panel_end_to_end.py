"""The panel view with the real worker and the built-in model: make, change by words, repaint under a mask, continue."""

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from app.board import commands
from app.board.data import Settings, Source
from app.engine.engine import Engine
from app.gui.document.document import Document
from app.gui.panel.enlarging import enlarge
from tests.gui.panel_board import shown_panel

LEFT, NONE, CONTROL = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier
SMALL = Settings(steps=2, width=64, height=64)
PATIENCE = 120_000  # ms; a run takes a second on an idle machine


@pytest.fixture
def view(board_file, qtbot):
    engine = Engine()
    document = Document(board_file, engine)
    first = next(document.board.panels()).id
    document.do("Small", commands.set_panel(document.board, first, prompt="", settings=SMALL))
    made = shown_panel(document, first, qtbot)
    made.activateWindow()
    yield made
    made.hide()
    document.close()
    engine.shutdown()


def run(view, qtbot, words: str) -> np.ndarray:
    """Type, press Ctrl+Enter and wait for the take; its pixels (H, W, 3)."""
    before = len(view.panel.takes)
    view.edit.text.setFocus()
    view.edit.text.selectAll()
    QTest.keyClicks(view.edit.text, words)
    QTest.keyClick(view.edit.text, Qt.Key.Key_Return, CONTROL)
    qtbot.waitUntil(lambda: len(view.panel.takes) > before or view.stage.card.isVisible(), timeout=PATIENCE)
    assert not view.stage.card.isVisible(), view.stage.card.message.text()
    return pixels(view)


def pixels(view) -> np.ndarray:
    path = view.document.picture_path(view.panel.take.picture.sha256)
    return np.asarray(Image.open(path).convert("RGB"), dtype=int)


def test_make_change_repaint_continue_undo(view, qtbot):
    document, first = view.document, view.panel_id
    made = run(view, qtbot, "a beach, day")
    view.edit.start.set_source(Source("take"))
    changed = run(view, qtbot, "make it night")
    assert changed.mean() != made.mean()
    view.stage.set_tool("rectangle")
    canvas = view.stage.canvas
    qtbot.waitUntil(lambda: canvas.preview.isNull())
    corner, middle = canvas.view.rect().topLeft().toPoint() - QPoint(4, 4), canvas.rect().center()
    QTest.mousePress(canvas, LEFT, NONE, corner)
    QTest.mouseMove(canvas, middle)
    QTest.mouseRelease(canvas, LEFT, NONE, middle)
    assert view.panel.mask
    repainted = run(view, qtbot, "make it sunset")
    assert [take.parent for take in view.panel.takes] == [None, *(take.id for take in view.panel.takes[:2])]
    assert view.panel.source == Source("take", take=view.panel.takes[1].id)  # the same edit is tried from there again
    difference = np.abs(repainted - changed).sum(axis=2)
    assert difference[:28, :28].mean() > 0
    assert difference[40:, 40:].max() == 0
    new = document.continue_from(first)
    view.show_panel(new)
    run(view, qtbot, "move the scene to the beach")
    assert len(document.board.panel(first).takes) == 3
    while document.history.can_undo:
        document.undo()
    assert len(document.board.panel(first).takes) == 3  # no undo loses a take
    while document.history.can_redo:
        document.redo()
    assert len(document.board.panel(new).takes) == 1


@pytest.mark.sweep
def test_a_take_is_enlarged(view, qtbot):
    run(view, qtbot, "a beach, day")
    first = view.panel.takes[0]
    enlarge(view.document, view.panel, first, 2)
    qtbot.waitUntil(lambda: len(view.panel.takes) > 1 or view.stage.card.isVisible(), timeout=PATIENCE)
    large = view.panel.take
    assert (large.picture.width, large.picture.height) == (128, 128)
    assert (large.parent, large.instruction) == (first.id, "enlarged 2×")
    assert view.panel.prompt == "a beach, day"
