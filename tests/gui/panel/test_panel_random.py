"""Random work in the panel view, undone to the start and done again."""

import random

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from app.board.data import PanelReference, new_id
from app.board.panel_job import panel_job
from app.board.seen import look, see
from mlx_model.errors import RequestError
from mlx_model.specs import SPECS
from tests.app.models.made_models import choose
from tests.gui.panel_board import add_member, add_take, drawn, shown_panel

LEFT, NONE, ALT = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.AltModifier
TEN = SPECS["flux2-klein-4b"]


def type_words(view, dice):
    QTest.keyClicks(view.edit.text, dice.choice(["night ", "@gull ", "@1 ", "@hat ", "x", "@zz "]))


def rub_out(view, dice):
    for _ in range(dice.randint(1, 6)):
        QTest.keyClick(view.edit.text, Qt.Key.Key_Backspace)


def add_picture(view, dice):
    number = dice.randint(60, 80)
    reference = PanelReference(new_id(), drawn(view.document, number), "prop", dice.choice(["hat", "coat", "bar"]))
    view.side.tray.add([reference])


def reorder(view, dice):
    tiles = view.side.tray.tiles
    if tiles:
        QTest.keyClick(dice.choice(tiles), dice.choice([Qt.Key.Key_Left, Qt.Key.Key_Right]), ALT)


def remove(view, dice):
    movable = [tile for tile in view.side.tray.tiles if tile.movable]
    if movable:
        QTest.keyClick(dice.choice(movable), Qt.Key.Key_Delete)


def change_start(view, dice):
    edit = view.edit
    way = dice.choice([edit.to_change, edit.to_make, edit.from_other, edit.start])
    if way is edit.start and edit.start.count():
        edit.start.activated.emit(dice.randrange(edit.start.count()))
    elif way is not edit.start and way.isVisible():
        way.click()


def paint(view, dice):
    tool = dice.choice(["brush", "eraser", "rectangle", "lasso"])
    view.stage.set_tool(tool)
    if view.stage.tool == tool and not view.stage.canvas.picture.isNull():
        canvas, points = view.stage.canvas, [QPoint(dice.randint(50, 600), dice.randint(100, 500)) for _ in range(4)]
        QTest.mousePress(canvas, LEFT, NONE, points[0])
        for point in points:
            QTest.mouseMove(canvas, point)
        QTest.mouseRelease(canvas, LEFT, NONE, points[-1])


def mask_command(view, dice):
    if view.stage.tool != "move":
        painter = view.stage.canvas.painter
        dice.choice([painter.invert, painter.feather, view.edit.clear_mask])()


def choose_take(view, dice):
    view.side.takes.setCurrentRow(dice.randrange(max(1, view.side.takes.count())))


def settings(view, dice):
    side = view.side.settings
    dice.choice([lambda: side.steps.setValue(dice.randint(0, 9)), side.dice.click, side.lock.click])()


def shot(view, dice):
    view.side.shot.seconds.setValue(dice.randint(1, 9))
    view.side.shot.camera["angle"].activated.emit(dice.randrange(4))


WORK = (type_words, type_words, rub_out, add_picture, reorder, remove, change_start, paint, paint, mask_command,
        choose_take, settings, shot)  # fmt: skip


def agrees(view):
    """What is on the screen is what the board says and what the model would get."""
    document, panel = view.document, view.panel
    assert view.edit.text.text() == getattr(panel, panel.words_field)
    start, edit = look(document.board).find_start(panel), view.edit
    assert edit.to_make.isChecked() == (panel.source.kind == "blank")
    assert edit.to_change.isChecked() + edit.from_other.isChecked() + edit.to_make.isChecked() == 1
    assert not edit.to_change.isChecked() or panel.take in (None, start), "what is seen is what is changed"
    if panel.source.kind != "blank":
        assert view.edit.start.currentData() == panel.source
    shown = see(document.board, panel)
    assert [tile.seen for tile in view.side.tray.tiles] == list(shown)
    assert [tile.number for tile in view.side.tray.tiles] == list(range(1, len(shown) + 1))
    if view.stage.tool != "move" and panel.mask is None:
        assert view.stage.canvas.painter.is_blank
    try:
        choice = choose(document.board, view.panel_id, TEN)
        job = panel_job(document.board, view.panel_id, document.picture_path, choice)
    except RequestError:  # such as a mention of nothing
        return
    assert [one.sha256 for one in job.request.references] == [one.picture.sha256 for one in shown]


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(3))
def test_random_work_is_undone_to_the_start_and_done_again(document, ids, qtbot, seed):
    dice = random.Random(seed)
    for number in (1, 2):
        add_take(document, ids()[0], number)
    add_take(document, ids()[1], 3, (160, 160))
    add_member(document, "gull")
    view = shown_panel(document, ids()[0], qtbot)
    qtbot.waitUntil(lambda: not view.stage.canvas.picture.isNull())
    before = len(document.history.boards())
    start = document.board
    for _ in range(80):
        dice.choice(WORK)(view, dice)
        agrees(view)
    end, steps = document.board, len(document.history.boards()) - before
    assert steps > 20
    for _ in range(steps):
        document.undo()
        agrees(view)
    assert document.board == start
    for _ in range(steps):
        document.redo()
    assert document.board == end
    agrees(view)
