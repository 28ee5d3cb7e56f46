"""The panel view as a whole, with a scripted engine."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, Qt
from PySide6.QtGui import QAction, QColor, QContextMenuEvent, QCursor, QKeyEvent, QKeySequence, QPixmap, QShortcut
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QToolButton,
    QWidget,
)

from app.board import commands
from app.board.data import Placed, Source
from app.board.seen import see
from app.gui.board.model import list_origins
from app.gui.canvas.tool_bars import ToolBar
from app.gui.document.picture_drag import mime_of
from app.gui.panel.takes_tree import HEIGHT
from app.gui.panel.view import PanelView
from app.pictures.images import open_mask
from app.pictures.inputs import load_mask
from tests.gui.panel_board import add_member, add_references, add_take, drawn, shown_panel

LEFT, NONE, CONTROL = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def view(document, ids, qtbot):
    made = shown_panel(document, ids()[0], qtbot)
    made.activateWindow()
    qtbot.waitUntil(made.edit.text.hasFocus)
    return made


def shown_name(view, qtbot):
    """Waits until the canvas shows a picture."""
    qtbot.waitUntil(lambda: not view.stage.canvas.picture.isNull())


# Runs


def test_render_shows_progress_the_preview_and_the_take(view, document, engine, ids, picture_file, qtbot):
    bar = view.edit.render_bar
    QTest.keyClick(view.edit.text, Qt.Key.Key_Return, CONTROL)
    assert bar.stack.currentIndex() == 1
    engine.step(3, 16, 12.0)
    assert bar.progress_text.text() == "Step 3 of 16 · 12 s left"
    assert (bar.progress.value(), bar.progress.maximum()) == (3, 16)
    engine.preview(picture_file("preview.png", "green"), 3)
    assert view.stage.canvas.preview.toImage().pixelColor(4, 4).name() == "#008000"
    engine.done(picture_file("result.png", "blue"))
    assert bar.stack.currentIndex() == 0
    assert view.stage.canvas.preview.isNull()
    shown_name(view, qtbot)
    assert view.stage.canvas.picture.toImage().pixelColor(4, 4).name() == "#0000ff"
    assert view.side.takes.count() == 1
    assert bar.button.text() == "Render Again"


def test_with_others_behind_it_a_run_says_how_many_and_no_time_that_is_only_its_own(view, engine):
    bar = view.edit.render_bar
    bar.counts.setCurrentIndex(3)
    QTest.mouseClick(bar.button, LEFT)
    engine.step(2, 4, 0.94)
    assert bar.progress_text.text() == "Step 2 of 4 · 7 more"
    assert bar.progress_text.sizeHint().width() <= bar.progress_text.width()


def test_held_keys_ask_for_one_run(view, engine):
    for _ in range(3):
        held = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Return, CONTROL, "\r", True)
        QApplication.sendEvent(view.edit.text, held)
    assert engine.submitted == []
    assert [one.key().toString() for one in view.findChildren(QShortcut) if not one.autoRepeat()] == ["Ctrl+Return"]


def test_in_the_smallest_window_no_tool_and_no_choice_is_cut_or_lies_on_another(window, qtbot):
    document = window.document
    scene = document.board.scenes[0]
    document.do("Head", commands.set_scene(document.board, scene.id, heading="INT. BAR AT THE OLD HARBOUR - DAY"))
    window.open_panel(next(document.board.panels()).id)
    view = window.page("panel")
    for size in ((1280, 800), (900, 600)):
        window.resize(*size)
        qtbot.waitUntil(lambda size=size: window.size().toTuple() == size)
        QApplication.processEvents()
        edit = view.edit
        for one in (edit.to_change, edit.to_make, edit.place):
            assert one.isVisible()
            assert one.width() >= one.sizeHint().width(), one.text()
        assert edit.place.accessibleName() == "Place: interior, bar at the old harbour, day"
        tools = [one for one in view.stage.bar.findChildren(QToolButton) if one.isVisible()]
        for one, other in pairwise(sorted(tools, key=lambda tool: tool.x())):
            assert one.geometry().right() < other.x(), (one.accessibleName(), other.accessibleName())


def test_a_place_has_the_room_that_the_choices_beside_it_leave(window, qtbot):
    document = window.document
    scene = document.board.scenes[0]
    document.do("Head", commands.set_scene(document.board, scene.id, heading="INT. ZOO OFFICE IN THE OLD TOWN - NIGHT"))
    window.open_panel(next(document.board.panels()).id)
    window.resize(1280, 800)
    qtbot.waitUntil(lambda: window.page("panel").edit.width() > 800)
    assert window.page("panel").edit.place.text() == "interior, zoo office in the old town, night"


def test_what_lies_on_the_picture_is_counted_in_full_where_there_is_little_room(window, qtbot):
    document = window.document
    first, second, *_ = (panel.id for panel in document.board.panels())
    placed = (Placed(add_take(document, second, 3).picture),)
    add_take(document, first, 2)
    source = Source("panel", panel=first)
    document.do("Place", commands.set_panel(document.board, second, placed=placed, source=source))
    window.open_panel(second)
    window.resize(900, 600)
    edit = window.page("panel").edit
    qtbot.waitUntil(lambda: edit.width() < 500 and edit.remove_placed.isVisible())
    assert (edit.from_other.isVisible(), edit.remove_placed.text()) == (True, "Remove 1 Layer")
    assert edit.remove_placed.width() >= edit.remove_placed.sizeHint().width()


def test_a_long_heading_gives_way_before_any_tool_does(window, qtbot):
    """Show before, Background and Zoom in went, and never came back."""
    document = window.document
    scene = document.board.scenes[0]
    document.do("Head", commands.set_scene(document.board, scene.id, heading="INT. BAR AT THE OLD HARBOUR - DAY"))
    window.open_panel(next(document.board.panels()).id)
    bar = window.page("panel").stage.bar
    for boxes in (False, True):
        bar.offer_boxes(boxes)
        for size in ((1280, 800), (860, 540), (1280, 800)):
            window.resize(*size)
            qtbot.waitUntil(lambda size=size: window.size().toTuple() == size)
            QApplication.processEvents()
        lost = [one.accessibleName() for one in bar.findChildren(QToolButton) if not one.isVisible()]
        assert lost == (["Zoom out", "Zoom in"] if boxes else ["Draw boxes", "More"]), "these are under More"


def test_variations_differ_by_seed_and_cancel_takes_all(view, engine):
    bar = view.edit.render_bar
    bar.counts.setCurrentIndex(2)
    QTest.mouseClick(bar.button, LEFT)
    assert len({job.request.seed for job in engine.submitted}) == 4
    assert "3 more" in bar.progress_text.text()
    QTest.mouseClick(bar.cancel, LEFT)
    assert all(job.over for job in engine.jobs())
    assert bar.stack.currentIndex() == 0


def test_a_failure_says_why_and_can_be_tried_again_or_dismissed(view, document, engine, ids):
    document.render(ids()[:1])
    engine.fail("It ran out of memory.", "Make it smaller.")
    card = view.stage.card
    assert card.isVisible()
    assert (card.message.text(), card.hint.text()) == ("It ran out of memory.", "Make it smaller.")
    QTest.mouseClick(card.button, LEFT)
    assert not card.isVisible()
    assert engine.running
    engine.worker_dies()
    QTest.mouseClick(card.close_button, LEFT)
    assert not card.isVisible()
    assert document.panel_state(ids()[0]).state == "empty"


def test_what_cannot_run_says_so_without_a_job(view, document, engine, ids):
    document.do("Edit", commands.set_panel(document.board, ids()[0], prompt="@nobody"))
    QTest.mouseClick(view.edit.render_bar.button, LEFT)
    assert engine.submitted == []
    assert "@nobody" in view.edit.hint.text()
    assert not view.stage.card.isVisible(), "one line says it"


def test_a_button_is_not_lit_once_its_menu_is_closed(view):
    ground = view.stage.bar.ground
    assert ground.accessibleName() == "Background"
    ground.setDown(True)
    ground.setAttribute(Qt.WidgetAttribute.WA_UnderMouse)
    QCursor.setPos(ground.mapToGlobal(ground.rect().bottomRight() + QPoint(60, 60)))
    ground.menu().aboutToHide.emit()
    assert not ground.isDown()
    assert not ground.underMouse()


# The side


def list_cut(page, edge):
    """The words and fields of a page that an edge goes through, by their line where they have several."""
    parts = [one for one in page.findChildren(QWidget) if one.isVisibleTo(page) and one.parentWidget().layout()]
    tops = [(one, one.mapTo(page, QPoint()).y()) for one in parts if not one.layout()]
    lines = [
        (one, top, one.fontMetrics().lineSpacing() if isinstance(one, QLabel) else one.height()) for one, top in tops
    ]
    return [one for one, top, line in lines if top < edge < top + one.height() and (edge - top) % line]


def test_takes_have_the_height_that_the_fields_leave(view, document, ids, qtbot):
    for number in range(6):
        add_take(document, ids()[0], number)
    view.resize(1200, 750)
    side, takes = view.side, view.side.takes
    qtbot.waitUntil(lambda: takes.viewport().height() >= 6 * HEIGHT)
    heading = side.pages.mapTo(side, side.pages.rect().bottomLeft()).y()
    foot = side.settings.summary.mapTo(side, side.settings.summary.rect().bottomLeft()).y()
    assert heading - foot < 24, "nothing stands empty between the two"


@pytest.mark.parametrize("height", [480, 560, 700, 750])
def test_no_page_of_the_side_ends_in_the_middle_of_a_letter(view, document, ids, qtbot, height):
    for number in range(6):
        add_take(document, ids()[0], number)
    view.resize(1200, height)
    for place in range(3):
        view.side.tabs.setCurrentIndex(place)
        QApplication.processEvents()
        page = view.side.pages.widget(place)
        assert list_cut(page.widget(), page.height()) == []
        assert view.side.takes.viewport().height() % HEIGHT == 0


def test_unfolded_settings_begin_with_no_half_of_a_letter(view, document, ids, qtbot):
    add_member(document, "fox")
    document.do("Edit", commands.set_panel(document.board, ids()[0], prompt="@fox"))
    for number in range(6):
        add_take(document, ids()[0], number)
    view.resize(1200, 560)
    view.side.settings.fold.setChecked(True)
    area = view.side.pages.currentWidget()
    qtbot.waitUntil(lambda: area.verticalScrollBar().value() > 0)
    QApplication.processEvents()
    assert list_cut(area.widget(), area.verticalScrollBar().value()) == []


# Masks


def paint(view, start=(300, 250), end=(420, 260)):
    canvas = view.stage.canvas
    QTest.mousePress(canvas, LEFT, NONE, QPoint(*start))
    QTest.mouseMove(canvas, QPoint(*end))
    QTest.mouseRelease(canvas, LEFT, NONE, QPoint(*end))


def test_a_stroke_is_a_grey_blob_of_the_source_s_size_and_one_step(view, document, ids, qtbot):
    first = ids()[0]
    take = add_take(document, first, 3)
    shown_name(view, qtbot)
    QTest.mouseClick(view.stage.bar.tools["brush"], LEFT)
    paint(view)
    panel = view.panel
    assert panel.source == Source("take", take=take.id), "of this take, whichever is chosen later"
    assert (panel.mask.width, panel.mask.height) == (192, 108)
    mask = open_mask(document.picture_path(panel.mask.sha256))
    assert np.array_equal(np.rint(mask * 255), view.stage.canvas.painter.mask)
    assert 0 < mask.mean() < 0.5
    one = panel.mask
    paint(view, (500, 400), (520, 420))
    assert view.panel.mask != one
    document.undo()
    assert view.panel.mask == one
    assert np.array_equal(np.rint(mask * 255), view.stage.canvas.painter.mask)
    document.undo()
    assert (view.panel.mask, view.panel.source) == (None, Source("blank"))
    assert view.stage.canvas.painter.is_blank
    document.redo()
    assert np.array_equal(np.rint(mask * 255), view.stage.canvas.painter.mask)


@pytest.mark.parametrize("data", [None, b"", b"\x89PNG\r\n\x1a\nbroken", b"\x00" * 100])
def test_a_mask_that_is_missing_or_no_picture_is_blank(document, ids, qtbot, data):
    add_take(document, ids()[0], 1)
    mask = drawn(document, 7)
    document.do("Mask", commands.set_panel(document.board, ids()[0], source=Source("take"), mask=mask))
    path = document.picture_path(mask.sha256)
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    view = shown_panel(document, ids()[0], qtbot)
    assert view.panel.mask
    assert view.stage.canvas.painter.mask.max() == 0


def test_a_stroke_counts_while_the_picture_is_still_on_its_way(view, document, ids, monkeypatch):
    monkeypatch.setattr(document, "pixmap", lambda *_: QPixmap())
    add_take(document, ids()[0], 3)
    view.stage.set_tool("rectangle")
    canvas = view.stage.canvas
    assert canvas.picture.isNull()
    dragged = []
    canvas.drag_wanted.connect(lambda: dragged.append(1))
    corner = canvas.view.rect().topLeft().toPoint() - QPoint(4, 4)
    QTest.mousePress(canvas, LEFT, NONE, corner)
    QTest.mouseMove(canvas, canvas.rect().center())
    QTest.mouseRelease(canvas, LEFT, NONE, canvas.rect().center())
    assert not dragged
    assert view.panel.mask
    mask = open_mask(document.picture_path(view.panel.mask.sha256))
    assert (mask[:50, :90].min(), mask[60:, 100:].max()) == (1, 0)


@pytest.mark.sweep
def test_a_mask_on_a_very_large_picture_is_smaller_and_is_used(view, document, engine, ids, qtbot):
    add_take(document, ids()[0], 3, (4100, 2050))
    view.stage.set_tool("rectangle")
    canvas = view.stage.canvas
    assert canvas.painter.mask.shape == (1024, 2048)
    QTest.mousePress(canvas, LEFT, NONE, canvas.view.rect().topLeft().toPoint() - QPoint(4, 4))
    QTest.mouseMove(canvas, canvas.rect().center())
    assert canvas.painter.outline().boundingRect().right() == pytest.approx(2050, abs=10)  # the picture's pixels
    QTest.mouseRelease(canvas, LEFT, NONE, canvas.rect().center())
    qtbot.waitUntil(lambda: view.panel.mask is not None)  # another thread stores it
    assert (view.panel.mask.width, view.panel.mask.height) == (2048, 1024)
    assert (view.edit.masked.text(), view.edit.masked.isChecked()) == ("Only inside the mask", True)
    document.render([ids()[0]])
    request = engine.submitted[-1].request
    loaded = load_mask(request.mask.path, np.zeros((2050, 4100, 3), np.uint8)).pixels
    assert (loaded[:900, :1900].min(), loaded[1150:, 2200:].max()) == (1, 0)  # its edge is soft
    document.undo()
    assert canvas.painter.is_blank
    document.redo()
    assert canvas.painter.mask[:400, :900].min() == 255


def test_the_mask_goes_into_the_request_and_rendering_leaves_the_brush(view, document, engine, ids, qtbot):
    add_take(document, ids()[0], 3)
    shown_name(view, qtbot)
    view.stage.set_tool("rectangle")
    paint(view, (200, 200), (400, 400))
    view.render_panel()
    assert engine.submitted[0].request.mask.sha256 == view.panel.mask.sha256
    assert view.stage.tool == "move"
    QTest.mouseClick(view.edit.masked, LEFT)
    assert view.panel.mask is None


def test_a_mask_that_counts_is_seen_beside_render_on_the_page_and_on_the_board(view, document, ids, qtbot):
    add_take(document, ids()[0], 3)
    shown_name(view, qtbot)
    assert not view.edit.masked.isVisible()
    view.stage.set_tool("rectangle")
    paint(view, (200, 200), (400, 400))
    for size in ((900, 600), (1280, 800)):
        view.resize(*size)
        view.stage.set_tool("place")
        QApplication.processEvents()
        assert (view.edit.masked.isVisible(), view.edit.masked.isChecked()) == (True, True)
        assert view.edit.rect().contains(view.edit.masked.geometry())
    assert list_origins(document.board, view.panel) == ["masked"]
    QTest.mouseClick(view.edit.to_make, LEFT)
    assert (view.edit.masked.accessibleName(), view.edit.masked.isChecked()) == ("The mask is not used", False)
    assert list_origins(document.board, view.panel) == []
    view.edit.masked.setFocus()
    QTest.keyClick(view.edit.masked, Qt.Key.Key_Space)
    assert (view.panel.mask, view.edit.masked.isVisible(), view.edit.text.hasFocus()) == (None, False, True)


def test_without_a_picture_there_is_nothing_to_mask(view, document, ids):
    assert not view.stage.bar.tools["brush"].isEnabled()
    assert "no picture yet" in view.stage.bar.tools["brush"].toolTip()
    add_take(document, ids()[0], 3)
    assert view.stage.bar.tools["brush"].isEnabled()
    view.stage.set_tool("lasso")
    document.undo()
    assert view.stage.tool == "move"


def test_a_mask_is_of_the_picture_that_is_shown(view, document, ids, qtbot):
    other = add_take(document, ids()[1], 8, (160, 160))
    document.do("Start", commands.set_panel(document.board, ids()[0], source=Source("panel", ids()[1])))
    assert view.stage.to_show() == other.picture
    own = add_take(document, ids()[0], 3)
    view.stage.set_tool("brush")
    assert view.stage.to_show() == own.picture, "another picture than the one that was seen"
    paint(view)
    assert (view.panel.mask.width, view.panel.mask.height) == (192, 108)
    assert view.panel.source == Source("take", take=own.id)


def test_a_mask_that_lies_on_the_start_says_which_picture_it_is(view, document, ids, qtbot):
    start = add_take(document, ids()[0], 3)
    view.stage.set_tool("brush")
    paint(view)
    document.do("Start", commands.set_panel(document.board, ids()[0], source=Source("take", take=start.id),
                                            mask=view.panel.mask))  # fmt: skip
    add_take(document, ids()[0], 5)
    assert view.stage.to_show() == start.picture
    assert view.stage.canvas.caption == "Start: take 1"
    view.stage.set_tool("move")
    assert view.stage.canvas.caption == ""


# Comparing


def test_before_is_what_the_take_was_made_from_else_the_take_before(view, document, ids):
    first = ids()[0]
    assert not view.stage.bar.compare.isEnabled()
    one = add_take(document, first, 1)
    assert not view.stage.bar.compare.isEnabled()
    two = add_take(document, first, 2)
    assert view.stage._before()[0] == one.picture
    add_take(document, first, 3, made_from=(two.picture,))
    assert view.stage._before() == (two.picture, ("Start", "Take 3"))
    QTest.keyClick(view.stage.canvas, "c")
    assert view.stage.canvas.comparing
    view.stage.compare_with(one.id)
    assert view.stage._before() == (one.picture, ("Take 1", "Take 3"))


# Fields and undo


def test_undo_and_redo_cover_everything(view, document, ids, qtbot):
    first = ids()[0]
    states = [document.board]
    add_take(document, first, 1)
    states.append(document.board)
    add_references(document, first, "hat", "coat")
    states.append(document.board)
    QTest.mouseClick(view.edit.to_change, LEFT)
    states.append(document.board)
    QTest.keyClick(view.side.tray.tiles[2], Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    states.append(document.board)
    QTest.keyClicks(view.edit.text, " @coat")
    states.append(document.board)
    view.side.settings.steps.setValue(7)
    states.append(document.board)
    view.side.shot.camera["shot"].activated.emit(3)
    states.append(document.board)
    view.stage.set_tool("rectangle")
    paint(view, (200, 200), (400, 400))
    states.append(document.board)
    assert len(set(map(id, states))) == len(states)
    for state in reversed(states[:-1]):
        document.undo()
        assert document.board == state
        assert view.edit.text.text() == getattr(view.panel, view.panel.words_field)
        assert [tile.seen.reference for tile in view.side.tray.tiles if tile.movable] == [
            reference.id for reference in view.panel.references
        ]
    for state in states[1:]:
        document.redo()
        assert document.board == state


def test_settings(view, document, engine, picture_file, ids):
    settings = view.side.settings
    settings.fold.click()
    settings.size_box.setCurrentIndex(settings.size_box.findText("1:1", Qt.MatchFlag.MatchStartsWith))
    settings.size_box.activated.emit(settings.size_box.currentIndex())
    assert (view.panel.settings.width, view.panel.settings.height) == (256, 256)
    settings.steps.setValue(5)
    QTest.keyClicks(settings.seed, "42")
    QTest.keyClick(settings.seed, Qt.Key.Key_Return)
    assert (view.panel.seed, view.panel.seed_locked) == (42, True)
    view.render_panel()
    request = engine.submitted[0].request
    assert (request.width, request.height, request.steps, request.seed) == (256, 256, 5, 42)
    engine.done(picture_file("square.png", size=(128, 128)))
    settings.lock.click()
    assert not view.panel.seed_locked
    settings.lock.click()
    assert (view.panel.seed, view.panel.seed_locked) == (42, True)
    settings.dice.click()
    assert view.panel.seed != 42
    settings.steps.setValue(0)
    assert view.panel.settings.steps is None
    settings.guidance.setValue(3)
    assert view.panel.settings.guidance == 3
    without = replace(settings.model.spec, guidance_kind="none", advice="Write it out.")
    found = settings.model.found
    settings.model = replace(settings.model, found=found._replace(folder=replace(found.folder, spec=without)))
    settings.refresh()
    assert settings.guidance.isHidden()
    assert settings.advice.text() == "Write it out."


def test_a_step_cache_is_off_until_it_is_chosen_and_stands_beside_the_steps(view, engine, picture_file):
    """The built-in model takes 4 steps, in which it gains nothing; a draft has none."""
    settings = view.side.settings
    assert (settings.step_cache.text(), settings.step_cache.isEnabled()) == ("No gain in 4 steps", False)
    settings.steps.setValue(20)
    assert (settings.step_cache.text(), settings.step_cache.isEnabled()) == ("Off", True)
    settings.step_cache.setValue(0.1)
    assert "step cache 0.1" in settings.summary.text()
    view.render_panel()
    assert engine.submitted[0].request.step_cache == 0.1
    engine.done(picture_file("short.png"))
    assert view.side.take.values["Steps"].text() == "20, step cache 0.1"
    settings.step_cache.setValue(0)
    assert view.panel.settings.step_cache is None
    view.side.take.again.click()
    assert view.panel.settings.step_cache == 0.1
    settings.steps.setValue(4)
    assert settings.step_cache.text() == "No gain in 4 steps"
    view.render_panel()
    assert engine.submitted[1].request.step_cache is None


def test_only_what_is_under_the_mask_is_computed_where_that_is_chosen(view, document, ids, engine, picture_file):
    settings = view.side.settings
    assert settings.region.isHidden()
    add_take(document, ids()[0], 3)
    view.change("Start", source=Source("take"), instruction="a hat", mask=view.panel.take.picture)
    assert not settings.region.isHidden()
    settings.region.click()
    view.render_panel()
    assert engine.submitted[0].request.region
    engine.done(picture_file("part.png"))
    assert view.side.take.values["Steps"].text() == "4, only under the mask"
    settings.region.click()
    assert not view.panel.settings.region
    view.side.take.again.click()
    assert (view.panel.settings.region, settings.region.isChecked()) == (True, True)


def test_shot_fields(view, document):
    view.side.tabs.setCurrentIndex(1)
    QTest.keyClicks(view.side.shot.texts["action"], "The gull lands.")
    view.side.shot.seconds.setValue(3.5)
    assert (view.panel.action, view.panel.seconds) == ("The gull lands.", 3.5)
    QTest.keyClick(view.side.shot.texts["action"], "z", CONTROL)
    QTest.keyClick(view.side.shot.texts["action"], "z", CONTROL)
    assert (view.panel.action, view.panel.seconds) == ("", 2.0)
    assert view.side.shot.texts["action"].text() == ""


def test_the_description_is_there_while_an_edit_is_written(view, document, ids):
    one = add_take(document, ids()[0], 1)
    document.do("Describe", commands.set_panel(document.board, ids()[0], prompt="a gull in a bar"))
    view.side.takes.source_asked.emit(one.id)
    QTest.keyClicks(view.edit.text, "make it night")
    view.side.tabs.setCurrentIndex(1)
    description = view.side.shot.texts["prompt"]
    assert description.text() == "a gull in a bar"
    QTest.keyClicks(description, ", seen from afar, ")
    assert (view.panel.instruction, len(view.panel.prompt)) == ("make it night", len("a gull in a bar") + 18)


def test_a_take_tells_all_and_its_note_is_kept(view, document, ids):
    take = add_take(document, ids()[0], 77)
    view.side.tabs.setCurrentIndex(2)
    details = view.side.take
    assert details.values["Seed"].text() == "77"
    assert details.values["Took"].text() == "2.5 s"
    QTest.keyClicks(details.note, "best")
    assert view.panel.take.note == "best"
    view.side.take.again.click()
    assert (view.panel.seed, view.panel.seed_locked, view.panel.settings.steps) == (77, True, 16)
    assert take.id == view.panel.current


def test_a_take_becomes_start_and_reference(view, document, ids):
    one = add_take(document, ids()[0], 1)
    add_take(document, ids()[0], 2)
    view.side.takes.source_asked.emit(one.id)
    assert (view.panel.current, view.panel.source) == (one.id, Source("take"))
    view.side.takes.reference_asked.emit(view.panel.takes[1].id)
    assert view.panel.references[0].picture == view.panel.takes[1].picture
    assert view.edit.to_change.isChecked()


def test_a_dropped_picture_becomes_the_take(view, document, picture_file, qtbot):
    from PySide6.QtCore import QMimeData, QUrl

    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(picture_file("sketch.png", "yellow")))])
    view.stage.canvas.dropped.emit(mime, None)
    assert view.panel.take.note == "imported"
    assert view.edit.to_change.isChecked()
    assert view.edit.text.text() == ""
    assert view.edit.text.hasFocus()
    shown_name(view, qtbot)
    assert view.stage.canvas.picture.toImage().pixelColor(4, 4).name() == "#ffff00"


def test_a_dropped_picture_that_is_a_take_is_chosen_and_no_second_one(view, document, ids):
    first, other = (add_take(document, ids()[0], number) for number in (1, 2))
    assert view.panel.current == other.id
    view.stage.canvas.dropped.emit(mime_of(document, first.picture, "1A"), None)
    assert (len(view.panel.takes), view.panel.current) == (2, first.id)


def test_it_says_beforehand_that_a_run_will_not_fit(view, document, ids, monkeypatch):
    from mlx_model import memory
    from mlx_model.memory import Machine

    assert view.edit.misfit.isHidden()
    small = Machine("tiny", 2**24, 2**24, 1, False, None)
    monkeypatch.setattr(memory, "machine", lambda: small)
    document.do("Edit", commands.set_panel(document.board, ids()[0], notes="x"))
    forecast = view.edit.misfit
    assert forecast.text().startswith("Will not fit.")
    assert forecast.property("tone") == "danger"


# Getting about


def test_other_panels_and_back(view, document, ids, qtbot):
    with qtbot.waitSignal(view.open_panel) as asked:
        QTest.keyClick(view.edit.text, "]", CONTROL)
    assert asked.args == [ids()[1]]
    view.show_panel(ids()[1])
    assert view.number.text() == "Panel 1B"
    assert view.edit.text.text() == "a dog in a bar"
    with qtbot.waitSignal(view.closed):
        QTest.keyClick(view.stage.canvas, Qt.Key.Key_Escape)
    with qtbot.waitSignal(view.closed):
        document.do("Remove", commands.remove_panels(document.board, [ids()[1]]))


def test_escape_ends_a_comparison_before_it_leaves_the_panel(view, document, ids, qtbot):
    add_take(document, ids()[0], 1)
    add_take(document, ids()[0], 2)
    left = []
    view.closed.connect(lambda: left.append(True))
    view.stage.bar.compare.setChecked(True)
    QTest.keyClick(view.stage.canvas, Qt.Key.Key_Escape)
    assert (view.stage.canvas.comparing, left) == (False, [])
    QTest.keyClick(view.stage.canvas, Qt.Key.Key_Escape)
    assert left == [True]


def controls(view):
    kinds = (QAbstractButton, QComboBox, QAbstractSpinBox, QLineEdit, QPlainTextEdit)
    found = [w for kind in kinds for w in view.findChildren(kind)]
    inner = ("qt_spinbox_lineedit", "ScrollLeftButton", "ScrollRightButton")
    return [w for w in found if w.objectName() not in inner and not isinstance(w.parent(), QAbstractSpinBox)]


def test_every_control_has_a_name_and_can_be_reached_by_keys(view, document, ids):
    add_take(document, ids()[0], 1)
    add_references(document, ids()[0], "hat", "coat")
    view.side.settings.fold.click()
    document.do("Start", commands.set_panel(document.board, ids()[0], source=Source("take")))
    for widget in (*controls(view), view.stage.canvas, view.side.takes, *view.side.tray.tiles):
        assert widget.accessibleName() or getattr(widget, "text", str)(), widget
        assert widget.focusPolicy() & Qt.FocusPolicy.TabFocus, widget.accessibleName()


def test_tab_goes_from_the_text_to_render_and_on_through_the_tray(view, document, ids):
    add_references(document, ids()[0], "hat", "coat")
    passed, widget = [], view.edit.text
    for _ in range(12):
        QTest.keyClick(widget, Qt.Key.Key_Tab)
        widget = view.focusWidget()
        passed.append(widget)
    tray = view.side.tray
    wanted: list[QWidget] = [view.edit.render_bar.button, *tray.tiles, tray.add_button, view.side.settings.fold]
    places = [passed.index(one) for one in wanted]
    assert places == sorted(places)


# The edit bar


def test_an_edit_leaves_the_description_and_says_what_it_starts_from(view, document, engine, ids, picture_file):
    edit, first = view.edit, add_take(document, ids()[0], 1)
    assert edit.to_make.isChecked()
    assert not edit.start.isVisible()
    QTest.mouseClick(edit.to_change, LEFT)
    assert edit.text.hasFocus()
    assert (edit.text.text(), edit.start.caption) == ("", "Take 1")
    QTest.keyClicks(edit.text, "make it night")
    assert (view.panel.prompt, view.panel.instruction) == ("a gull at the beach", "make it night")
    QTest.mouseClick(edit.to_make, LEFT)
    QTest.mouseClick(edit.to_make, LEFT)  # once more changes nothing
    assert (edit.to_change.isChecked(), edit.to_make.isChecked()) == (False, True)
    assert edit.text.text() == "a gull at the beach"
    assert document.history.undo_label == "New from Words"
    document.undo()
    assert edit.text.text() == "make it night"
    view.render_panel()
    engine.done(picture_file("night.png", "blue"))
    assert view.panel.take.parent == first.id
    assert (edit.start.caption, edit.render_bar.button.text()) == ("Take 1", "Render Again")


def lit(edit):
    """The one of the three choices that is shown as chosen."""
    choices = (edit.to_change, edit.from_other, edit.to_make)
    (chosen,) = (one.text() for one in choices if one.isVisible() and one.isChecked())
    return chosen


def test_a_look_at_new_from_words_leaves_where_the_change_starts(view, document, engine, ids, picture_file):
    """The panel that this one continues was lost for a take of its own, which had the change already."""
    add_take(document, ids()[1], 1)
    add_take(document, ids()[0], 2)
    document.do("start", lambda board: commands.set_panel(board, ids()[0], source=Source("panel", ids()[1])))
    before = view.panel.source
    QTest.mouseClick(view.edit.to_make, LEFT)
    assert view.edit.from_other.text() == "Start from panel 1B"
    QTest.mouseClick(view.edit.from_other, LEFT)
    assert view.panel.source == before
    QTest.mouseClick(view.edit.to_make, LEFT)
    view.render_panel()
    engine.done(picture_file("new.png", "blue"))
    assert not view.edit.from_other.isVisible()
    QTest.mouseClick(view.edit.to_change, LEFT)
    assert view.panel.source.kind == "take", "what was made from words since is what one wants to change"


def test_again_starts_where_the_last_try_did_and_going_on_is_a_choice(view, document, engine, ids, picture_file):
    edit, first = view.edit, add_take(document, ids()[0], 1)
    QTest.mouseClick(edit.to_change, LEFT)
    assert not edit.from_other.isVisible()
    QTest.keyClicks(edit.text, "make it night")
    for colour in ("blue", "navy"):
        QTest.keyClick(edit.text, Qt.Key.Key_Return, CONTROL)
        engine.done(picture_file(f"{colour}.png", colour))
    one, two = view.panel.takes[1:]
    assert (one.parent, two.parent) == (first.id, first.id)
    assert lit(edit) == "Start from take 1"
    QTest.mouseClick(edit.to_change, LEFT)
    assert (lit(edit), edit.start.caption) == ("Change this picture", "Take 3")
    assert edit.from_other.isVisible(), "back is one click too"
    assert edit.text.textCursor().selectedText() == "make it night"  # what is typed takes its place
    QTest.keyClicks(edit.text, "add a lamp")
    QTest.keyClick(edit.text, Qt.Key.Key_Return, CONTROL)
    engine.done(picture_file("lamp.png", "yellow"))
    assert (view.panel.take.parent, view.panel.take.instruction) == (two.id, "add a lamp")
    document.undo()
    assert view.stage.to_show() == two.picture
    assert lit(edit) == "Change this picture"


def test_another_picture_to_start_from_is_chosen_beside_the_words(view, document, ids):
    other = add_take(document, ids()[1], 8)
    add_take(document, ids()[0], 1)
    QTest.mouseClick(view.edit.to_change, LEFT)
    start = view.edit.start
    assert [start.itemText(row) for row in range(start.count())] == [
        "Take 1: made from words (the picture above)", "Panel 1B",
    ]  # fmt: skip
    QTest.keyClick(start, Qt.Key.Key_Down)
    assert view.panel.source == Source("panel", ids()[1])
    middle = start.rect().center()
    asked = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, middle, start.mapToGlobal(middle))
    QApplication.sendEvent(start, asked)
    assert start.view().isVisible(), "a right click shows what else there is"
    start.hidePopup()
    QTest.keyClicks(view.edit.text, "make it night")
    assert (view.edit.hint.text(), view.edit.hint.property("tone")) == (
        "This starts from panel 1B, not from the picture above", "muted",
    )  # fmt: skip
    assert start.caption == "Panel 1B"
    assert view.side.tray.tiles[0].seen.picture == other.picture
    assert lit(view.edit) == "Start from panel 1B"


def test_what_is_chosen_in_the_history_is_what_a_change_starts_from(view, document, engine, ids, picture_file):
    """An older take was shown while the change, said in small words, went to another one."""
    edit, first = view.edit, add_take(document, ids()[0], 1)
    QTest.mouseClick(edit.to_change, LEFT)
    QTest.keyClicks(edit.text, "make it night")
    view.render_panel()
    engine.done(picture_file("night.png", "blue"))
    assert lit(edit) == "Start from take 1"
    QTest.keyClicks(edit.text, " with a moon")
    assert (edit.hint.text(), edit.hint.property("tone")) == (
        "This starts from take 1, not from the picture above", "warning",
    )  # fmt: skip
    view.side.takes.setCurrentRow(0)
    view.side.takes.setCurrentRow(1)
    assert (lit(edit), edit.start.caption) == ("Change this picture", "Take 2")
    assert "@ mentions" in edit.hint.text()
    document.undo()
    assert (view.panel.take, lit(edit)) == (view.panel.takes[1], "Start from take 1"), "one step, with the start"
    view.side.takes.setCurrentRow(0)
    view.render_panel()
    engine.done(picture_file("moon.png", "navy"))
    assert view.panel.take.parent == first.id


def test_a_mask_on_another_take_survives_a_look_at_the_history(view, document, engine, ids, picture_file):
    first = add_take(document, ids()[0], 1)
    add_take(document, ids()[0], 2)
    view.side.takes.setCurrentRow(0)
    document.do(
        "Mask", lambda board: commands.set_mask(commands.start_from_seen(board, ids()[0]), ids()[0], drawn(document, 9))
    )
    view.side.takes.setCurrentRow(1)
    assert view.panel.mask
    assert view.panel.source.take == first.id
    assert lit(view.edit) == "Start from take 1"


def test_what_continued_another_panel_can_still_change_its_picture(view, document, ids):
    add_take(document, ids()[0], 1)
    view.show_panel(document.continue_from(ids()[0]))
    assert view.edit.to_change.isChecked()
    assert view.edit.start.caption == "Panel 1A"
    QTest.mouseClick(view.edit.to_make, LEFT)
    assert view.panel.source == Source()
    QTest.mouseClick(view.edit.to_change, LEFT)
    assert view.panel.source == Source("panel", ids()[0])
    view.show_panel(ids()[2])
    assert not view.edit.to_change.isEnabled()


def test_showing_changes_nothing_and_many_views_leave_nothing(document, ids, qtbot):
    add_take(document, ids()[0], 1)
    add_member(document, "gull")
    before = document.board
    for panel_id in ids():
        made = PanelView(document)
        qtbot.addWidget(made)
        made.show_panel(panel_id)
        made.side.settings.fold.click()
        for tab in range(3):
            made.side.tabs.setCurrentIndex(tab)
    assert document.board == before


@pytest.mark.parametrize("keys", ["Ctrl+Return"])
def test_shortcuts_are_the_view_s_own(view, keys):
    from PySide6.QtGui import QShortcut

    assert QKeySequence(keys) in [shortcut.key() for shortcut in view.findChildren(QShortcut)]


def test_continue_makes_the_next_panel_and_asks_for_it(view, document, ids, qtbot):
    take = add_take(document, ids()[0], 1)
    with qtbot.waitSignal(view.open_panel) as asked:
        QTest.mouseClick(view.side.go_on, LEFT)
    new = ids()[1]
    assert asked.args == [new]
    view.show_panel(new)
    assert view.panel.source == Source("panel", ids()[0])
    assert view.side.tray.tiles[0].seen.picture == take.picture
    assert view.stage.to_show() == take.picture


def test_delete_in_the_tray_wins_over_the_window_s_delete(view, document, ids, qtbot):
    add_take(document, ids()[0], 1)
    add_references(document, ids()[0], "hat")
    hit = []
    for keys in ("Backspace", "Ctrl+C", "Ctrl+V"):
        action = QAction("Menu", view)
        action.setShortcut(QKeySequence(keys))
        action.triggered.connect(lambda _=False, keys=keys: hit.append(keys))
        view.addAction(action)
    tile = view.side.tray.tiles[0]
    tile.setFocus()
    qtbot.waitUntil(tile.hasFocus)
    QTest.keyClick(view.windowHandle(), Qt.Key.Key_Backspace)
    assert view.panel.references == ()
    for widget in (view.side.takes, view.stage.canvas):
        widget.setFocus()
        qtbot.waitUntil(widget.hasFocus)
        QTest.keyClick(view.windowHandle(), "c", CONTROL)
        assert QApplication.clipboard().image().width() == 192
        QApplication.clipboard().clear()
    QTest.keyClick(view.windowHandle(), "v", CONTROL)  # nothing to paste
    assert hit == []
    view.number.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    view.number.setFocus()
    QTest.keyClick(view.windowHandle(), Qt.Key.Key_Backspace)
    assert hit == ["Backspace"]  # the menu works where no widget wants the key


def test_the_open_panel_tells_its_failures_itself(view, document, engine, ids, qtbot):
    told = []
    document.message.connect(lambda text, hint: told.append(text))
    document.render(ids()[:2])
    engine.fail("No memory.")
    assert told == []
    assert view.stage.card.message.text() == "No memory."
    engine.fail("Nor here.")
    assert told == ["Panel 1B: Nor here."]
    view.hide()
    document.render(ids()[:1])
    engine.fail("Nobody looks.")
    assert told == ["Panel 1B: Nor here.", "Panel 1A: Nobody looks."]


def test_typing_leaves_the_picture_and_the_tray_alone(view, document, ids, qtbot):
    """What does not depend on the text is not painted or read again for every letter."""
    add_take(document, ids()[0], 1)
    add_references(document, ids()[0], "hat", "coat")
    shown_name(view, qtbot)
    painted = []
    for widget in (view.stage.canvas, view.side.takes.viewport(), *view.side.tray.tiles):
        widget.installEventFilter(Painted(widget, painted))
    view.edit.text.setFocus()

    def is_still():
        painted.clear()
        qtbot.wait(50)
        return not painted

    qtbot.waitUntil(is_still)
    QTest.keyClicks(view.edit.text, "night")
    qtbot.wait(50)
    assert painted == []


class Painted(QObject):
    """Records the paint events of a widget."""

    def __init__(self, widget, into):
        super().__init__(widget)
        self.into = into

    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Paint:
            self.into.append(watched)
        return False


def test_the_picture_keeps_its_place_whichever_tool_is_chosen(view, document, ids):
    """A row of settings came above it, and it shrank under the hand."""
    add_take(document, ids()[0], 1)
    canvas = view.stage.canvas
    QTest.qWait(0)
    before = canvas.geometry(), canvas.view.rect()
    for tool in ("brush", "place", "paint", "pose", "move"):
        view.stage.set_tool(tool)
        QApplication.processEvents()
        assert (canvas.geometry(), canvas.view.rect()) == before, tool
    assert view.stage.strip.seen.text() == "Take 1  ·  made from words"


def test_a_mask_is_seen_as_long_as_it_acts(view, document, engine, ids, picture_file, qtbot):
    """After a render nothing showed that the next one would keep to it too."""
    add_take(document, ids()[0], 1)
    canvas, stage = view.stage.canvas, view.stage
    QTest.mouseClick(view.edit.to_change, LEFT)
    stage.set_tool("brush")
    canvas.painter.begin(QPointF(60, 50))
    canvas.painter.finish()
    document.settle()
    stage.set_tool("move")
    assert canvas.masked
    QTest.keyClicks(view.edit.text, "make it night")
    view.render_panel()
    engine.done(picture_file("night.png", "blue", (192, 108)))
    qtbot.waitUntil(lambda: not canvas.picture.isNull())
    assert (canvas.masked, view.panel.take.number) == (True, 2)
    left = min(min(line.x1(), line.x2()) for line in canvas.painter.border())
    at, rect = canvas.grab().toImage(), canvas.view.rect()
    middle = round(rect.top() + rect.height() * 50 / 108)
    row = [at.pixelColor(round(rect.left() + left * rect.width()) + by, middle).red() for by in range(-3, 4)]
    assert max(row) > 200, "a line of the mask's colour on blue"
    QTest.mouseClick(view.edit.to_change, LEFT)
    assert (canvas.masked, view.panel.source.take) == (True, None), "one goes on with the same part"
    QTest.mouseClick(view.edit.from_other, LEFT)
    assert canvas.masked
    QTest.mouseClick(view.edit.masked, LEFT)
    assert not canvas.masked
    document.undo()
    assert canvas.masked
    QTest.mouseClick(view.edit.to_make, LEFT)
    assert not canvas.masked, "a picture from words has no mask"


def test_pictures_of_the_completion_come_when_they_are_read(view, document, ids, qtbot):
    """They stayed squares of a colour for those that no other part of the window had shown."""
    member = add_member(document, "gull")
    QTest.keyClicks(view.edit.text, " @gu")
    item = view.edit.text.mentions._list.item(0)
    wanted = QColor(document.pixmap_now(member.pictures[0].sha256, 112).toImage().pixelColor(0, 0))

    def seen() -> QColor:
        return item.icon().pixmap(28).toImage().pixelColor(4, 4)

    qtbot.waitUntil(lambda: seen() == wanted)


def test_a_box_is_written_into_with_mentions(view, document, ids):
    add_member(document, "gull")
    boxing = view.stage.boxing
    boxing.drawer.place()
    QTest.keyClicks(boxing.field, "a small @gu")
    QTest.keyClick(boxing.field, Qt.Key.Key_Tab)
    assert boxing.field.text() == "a small @gull "
    QTest.keyClicks(boxing.field, "asleep @x")
    QTest.keyClick(boxing.field, Qt.Key.Key_Return)
    assert view.panel.boxes[0].words == "a small @gull asleep @x"
    assert [one.name for one in see(document.board, view.panel)] == ["gull"]


def test_a_row_of_settings_gives_way_in_a_small_window(view, document, ids):
    """Done lay under its neighbours at 900 x 600."""
    add_take(document, ids()[0], 1)
    view.resize(820, 560)
    for tool in ("place", "paint", "brush", "pose"):
        view.stage.set_tool(tool)
        QApplication.processEvents()
        bars = view.stage.strip.findChildren(ToolBar)
        (bar,) = (one for one in bars if one.isVisible())
        assert bar.line.minimumSize().width() <= bar.width(), tool
        assert bar.done.width() >= bar.done.sizeHint().width(), tool
    view.resize(1280, 800)
    QApplication.processEvents()
    assert all(one.isVisible() for one in bar.spare)


@pytest.fixture
def page(window, qtbot):
    """The page of a panel with a picture, in the whole window: alone it would not become that small."""
    first = next(window.document.board.panels()).id
    add_take(window.document, first, 1)
    window.open_panel(first)
    shown = window.page("panel")
    qtbot.waitUntil(lambda: not shown.stage.canvas.picture.isNull())
    return shown


@pytest.mark.parametrize("width", [860, 900, 1000, 1280])
def test_what_has_no_room_above_the_picture_is_in_a_menu(window, page, qtbot, width):
    """Zoom, the ground and what is held back went without a trace."""
    window.resize(width, 600)
    for tool in ("move", "place", "paint"):
        page.stage.set_tool(tool)
        QApplication.processEvents()
        for bar in (page.stage.bar, *(one for one in page.stage.strip.findChildren(ToolBar) if one.isVisible())):
            spare = bar.spare if isinstance(bar, ToolBar) else bar._spare()
            gone = [one.accessibleName() for one in spare if isinstance(one, QAbstractButton) and one.isHidden()]
            assert bar.more.isVisible() == bool(gone)
            listed = list_more(bar.more) if gone else []
            assert listed == [name for name in gone if name != "Show before while pressed"], tool
            assert all(one.geometry().right() <= bar.width() for one in bar.children() if is_seen(one))
    assert page.stage.bar.more.isVisible() == (width < 1280)


def is_seen(one):
    return isinstance(one, QWidget) and one.isVisible()


def open_more(more):
    QTest.mouseClick(more, LEFT)
    (menu,) = (one for one in QApplication.topLevelWidgets() if isinstance(one, QMenu) and one.isVisible())
    return menu


def list_more(more):
    menu = open_more(more)
    words = [action.text() for action in menu.actions()]
    menu.close()
    return words


def test_zoom_is_used_from_the_menu_and_the_tools_stand_beside_the_number(window, page, qtbot):
    bar = page.stage.bar
    window.resize(1280, 800)
    qtbot.waitUntil(lambda: abs(bar.geometry().center().y() - page.number.geometry().center().y()) < 6)
    assert all(one.isVisible() for key, one in bar.tools.items() if key != "boxes")
    window.resize(900, 600)
    qtbot.waitUntil(bar.more.isVisible)
    before, menu = page.stage.canvas.view.zoom, open_more(bar.more)
    next(one for one in menu.actions() if one.text() == "Zoom in").trigger()
    menu.close()
    assert page.stage.canvas.view.zoom > before
