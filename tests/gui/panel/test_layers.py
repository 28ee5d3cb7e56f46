"""What lies on a panel's picture: dropped onto it, kept by the board, seen on nothing else; onion skin; the menu."""

from functools import partial

import pytest
from msgspec.structs import replace
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication

from app.board import commands
from app.board.data import Source
from app.board.picture import Placed
from app.gui.canvas.hand import Touch
from app.gui.panel.canvas_menu import Parts, menu_of_held, menu_of_picture
from tests.gui.first_user import drag
from tests.gui.panel_board import add_take, drawn, shown_panel


@pytest.fixture
def view(document, ids, qtbot):
    return shown_panel(document, ids()[1], qtbot)


def texts(menu):
    return [action.text() for action in menu.actions() if action.text()]


def test_a_picture_dropped_onto_one_lies_there_and_the_edit_starts_from_it(view, document, ids, picture_file):
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(picture_file("sofa.png", "yellow")))])
    canvas = view.stage.canvas
    assert not canvas.placing, "there is nothing to lay it on"
    take = add_take(document, ids()[1], 3)
    assert canvas.placing
    canvas.dropped.emit(mime, QPointF(48, 27))
    one = view.panel.placed[0]
    assert (one.x, one.y, one.picture.name) == (0.25, 0.25, "sofa")
    assert (view.panel.takes, view.panel.source) == ((take,), Source("take", take=take.id))
    assert (view.stage.tool, canvas.arranger.held) == ("place", 0)
    QApplication.clipboard().setMimeData(mime)
    QTest.keySequence(canvas, QKeySequence.StandardKey.Paste)
    assert (view.panel.placed[1].x, len(view.panel.takes)) == (0.5, 1), "with that tool it is pasted onto the picture"
    document.undo()
    document.undo()
    assert view.panel.placed == ()
    assert canvas.arranger.items == ()


def test_the_drop_fields_are_two_where_a_picture_can_be_laid(view, document, ids):
    canvas = view.stage.canvas
    assert not canvas.places_at(QPointF(50, 50))
    add_take(document, ids()[1], 3)
    assert canvas.places_at(QPointF(50, 50))
    assert not canvas.places_at(QPointF(50, canvas.height() - 5))


def test_it_is_seen_on_what_it_lies_on_and_not_on_the_result(view, document, ids):
    start = add_take(document, ids()[1], 3)
    placed = (Placed(drawn(document, 9)),)
    document.do("Place", commands.set_panel(document.board, ids()[1], source=Source("take"), placed=placed))
    assert view.stage.canvas.arranger.items == placed
    assert "1 layer" in view.edit.placed_words.text()
    result = replace(add_take(document, ids()[1], 4), parent=start.id)
    document.do("Start", commands.set_panel(document.board, ids()[1], source=Source("take", take=start.id),
                                            placed=placed))  # fmt: skip
    assert view.panel.current == result.id
    assert view.stage.canvas.arranger.items == ()
    view.stage.set_tool("place")
    assert view.stage.canvas.arranger.items == placed
    assert view.stage.canvas.caption == "Start: take 1"
    view.edit.remove_placed.click()
    assert view.panel.placed == ()


def test_a_click_on_a_tool_leaves_the_keys_to_the_canvas(view, document, ids, picture_file):
    take = add_take(document, ids()[1], 3)
    placed = (Placed(drawn(document, 9)),)
    document.do(
        "Place", commands.set_panel(document.board, ids()[1], source=Source("take", take=take.id), placed=placed)
    )
    view.stage.set_tool("place")
    view.stage.canvas.arranger.hold(0)
    view.stage.canvas.setFocus()
    for bar in (view.stage.strip.place_bar, view.stage.bar):
        for tool in bar.findChildren(QAbstractButton):
            assert tool.focusPolicy() == Qt.FocusPolicy.TabFocus, tool.accessibleName()
    QTest.mouseClick(view.stage.strip.place_bar.tools[2], Qt.MouseButton.LeftButton)
    assert view.stage.canvas.hasFocus()
    QTest.keyClick(view.stage.canvas, Qt.Key.Key_Delete)
    assert view.panel.placed == ()


def test_strokes_go_onto_one_sheet_and_over_what_was_placed_since(view, document, ids, qtbot):
    add_take(document, ids()[1], 3)
    view.stage.set_tool("paint")
    brush = view.stage.laying.brush

    def stroke(x):
        brush.press(Touch(QPointF(x, 20)))
        brush.release()
        document.settle()

    stroke(20)
    stroke(60)
    assert [one.painted for one in view.panel.placed] == [True]
    view.stage.laying.place([drawn(document, 9)])
    stroke(90)
    assert [one.painted for one in view.panel.placed] == [True, False, True]
    view.stage.laying.clear_paint()
    assert [one.painted for one in view.panel.placed] == [True, False]


def test_undo_of_a_stroke_shows_the_sheet_before_at_once(view, document, ids, monkeypatch):
    add_take(document, ids()[1], 3)
    view.stage.set_tool("paint")
    laying, brush = view.stage.laying, view.stage.laying.brush
    for x in (20, 60, 100):
        brush.press(Touch(QPointF(x, 20)))
        brush.release()
        document.settle()
    monkeypatch.setattr(laying, "_pixmaps", None)
    document.undo()
    document.undo()
    assert laying.arranger.items == view.panel.placed != ()
    document.redo()
    assert laying.arranger.items == view.panel.placed


def test_all_that_is_erased_leaves_no_sheet(view, document, ids):
    add_take(document, ids()[1], 3)
    view.stage.set_tool("paint")
    brush = view.stage.laying.brush
    for erase in (False, True):
        brush.set_erasing(erase)
        brush.radius = 10 + 10 * erase
        brush.press(Touch(QPointF(50, 50)))
        brush.release()
        document.settle()
    assert view.panel.placed == ()


def test_the_onion_skin_is_the_panel_before_and_says_which(view, document, ids):
    onion = view.stage.onion
    view.stage.bar.onion.click()
    assert onion.words.text() == "The panel before has no picture yet"
    assert view.stage.canvas.onion.isNull()
    add_take(document, ids()[0], 5)
    assert onion.words.text() == "Onion skin: panel 1A"
    assert not view.stage.canvas.onion.isNull()
    onion.opacity.setValue(70)
    assert view.stage.canvas.onion_opacity == 0.7
    view.show_panel(ids()[0])
    assert (onion.words.text(), view.stage.canvas.onion.isNull()) == ("There is no panel before this one", True)
    view.stage.bar.onion.click()
    assert not onion.isVisible()


def test_the_menu_has_what_the_panel_can_do_now(view, document, ids):
    parts = Parts(view.stage, view.edit, view.side.takes)
    empty = menu_of_picture(parts)
    assert not {"Delete Take", "Place Picture…", "Paint"} & set(texts(empty))
    add_take(document, ids()[1], 3)
    menu = menu_of_picture(parts)
    assert {"Change This Picture", "Place Picture…", "Paint", "Save Picture As…", "Use as Reference", "Delete Take",
            "Onion Skin"} <= set(texts(menu))  # fmt: skip
    next(one for one in menu.actions() if one.text() == "Paint").trigger()
    assert view.stage.tool == "paint"
    view.stage.lay([drawn(document, 9), drawn(document, 10)])
    view.stage.set_tool("move")
    canvas = view.stage.canvas
    canvas.menu_asked.emit(canvas.mapToGlobal(canvas.view.rect().center().toPoint()), True)
    assert view.stage.tool == "place", "what is clicked is meant, also without its tool"
    QApplication.activePopupWidget().close()
    held = menu_of_held(view.stage)
    next(one for one in held.actions() if one.text() == "Send Backward").trigger()
    assert view.panel.placed[0].picture == drawn(document, 10)


def test_live_is_given_what_was_painted_which_is_seen_until_its_draft(view, document, ids, engine, picture_file, qtbot):
    start = add_take(document, ids()[1], 3, (256, 256))
    document.do("Edit", lambda board: commands.set_panel(board, ids()[1], source=Source("take"), instruction="night"))
    view.edit.render_bar.live.setChecked(True)
    qtbot.waitUntil(lambda: len(engine.submitted) == 1)
    engine.done(picture_file("draft.png", "green"))
    view.stage.set_tool("paint")
    assert not view.stage.canvas.preview.isNull()
    brush = view.stage.laying.brush
    brush.press(Touch(QPointF(50, 50)))
    brush.release()
    document.settle()
    assert view.stage.canvas.preview.isNull()
    assert not view.stage.card.isVisible()
    first = lambda: engine.submitted[-1].request.references[0].sha256  # noqa: E731
    qtbot.waitUntil(lambda: first() != start.picture.sha256)
    engine.done(picture_file("painted.png", "yellow"))
    view.keep_live()
    qtbot.waitUntil(lambda: len(view.panel.takes) == 2)
    take = view.panel.takes[1]
    assert (take.composite.sha256, [one.painted for one in take.placed]) == (first(), [True])


def test_the_start_is_seen_with_what_lies_on_it(view, document, ids, qtbot):
    """In the tray and beside the words, where it says what the model will see; and without it after an undo."""
    add_take(document, ids()[1], 3)
    document.do("Start", commands.set_panel(document.board, ids()[1], source=Source("take")))

    def seen() -> list[str]:
        tile, box = view.side.tray.tiles[0].pixmap, view.edit.start.grab().toImage()
        return [image.pixelColor(image.rect().center()).name() for image in (tile.toImage(), box)]

    qtbot.waitUntil(lambda: len(set(seen())) == 1)
    plain = seen()
    document.do("Place", commands.set_panel(document.board, ids()[1], placed=(Placed(drawn(document, 9)),)))
    qtbot.waitUntil(lambda: plain[0] not in seen())
    document.undo()
    qtbot.waitUntil(lambda: seen() == plain)


def test_a_picture_that_comes_when_the_panel_is_gone_troubles_nobody(view, document, ids, qtbot):
    picture = add_take(document, ids()[0], 3).picture
    view.stage.bar.onion.click()
    document.do("Delete", partial(commands.remove_panels, ids=[view.panel_id]))
    with qtbot.captureExceptions() as raised:
        document.picture_ready.emit(picture.sha256)
    assert raised == []


def test_a_picture_dropped_on_the_words_becomes_a_reference(view, document, ids, picture_file):
    words, before = view.edit.text, view.panel.words
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(picture_file("unicorn.png", "yellow")))])
    drag(words.window(), words.mapTo(words.window(), words.rect().center()), mime)
    assert [one.name for one in view.panel.references] == ["unicorn"]
    assert view.panel.words == before
