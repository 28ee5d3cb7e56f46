"""What lies on a panel's picture: dropped onto it, kept by the board, seen on nothing else; onion skin; the menu."""

import io
from functools import partial

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication

from app.board import commands
from app.board.data import Source
from app.board.picture import Placed
from app.gui.canvas.frame import Frame
from app.gui.canvas.hand import Touch
from app.gui.document.pixmaps import read_pixels
from app.gui.panel.canvas_menu import Parts, menu_of_held, menu_of_picture
from app.pictures.images import open_layer, open_picture
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
    assert view.edit.remove_placed.text() == "Remove 1 Layer"
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


def test_what_is_placed_after_a_masked_edit_lies_on_the_picture_that_is_seen(view, document, ids):
    """The tool brought back the picture before the edit, which the mask had been painted on."""
    first, mask = add_take(document, ids()[1], 3), drawn(document, 8)
    document.do("Mask", commands.set_mask(commands.start_from_seen(document.board, ids()[1]), ids()[1], mask))
    edited = add_take(document, ids()[1], 4)
    assert view.panel.source.take == first.id
    for tool in ("place", "paint"):
        view.stage.set_tool(tool)
        assert view.stage.to_show() == edited.picture
        assert view.stage.canvas.caption == ""
    view.stage.lay([drawn(document, 9)])
    assert view.panel.source == Source("take", take=edited.id)
    assert (view.panel.mask, len(view.panel.placed)) == (mask, 1), "it is the same part that one goes on with"
    add_take(document, ids()[1], 5)
    view.stage.set_tool("place")
    assert view.stage.to_show() == edited.picture, "what lies there stays with its start"
    assert view.stage.canvas.caption == "Start: take 2"


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
    mirror = next(one for one in view.stage.strip.place_bar.tools if one.accessibleName() == "Mirror")
    QTest.mouseClick(mirror, Qt.MouseButton.LeftButton)
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


def layer_of(document, side=64, ground=(250, 250, 250)):
    """A red square on a ground, as a picture of the board."""
    made = np.full((side, side, 3), ground, np.uint8)
    made[side // 4 : -side // 4, side // 4 : -side // 4] = 200, 30, 30
    return document.import_picture(encode(Image.fromarray(made)), "sofa.png")


def encode(image):
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def seen_on(view, document):
    """The panel's picture with all that lies on it, as it is drawn."""
    start = document.pixmap_now(view.stage.base().sha256)
    return read_pixels(view.stage.laying.layer(view.panel, start).toImage())[..., :3].astype(int)


def differ(view, document, ids):
    """How far what is seen and what the model is shown lie apart, of 255: the mean, and the most but for few pixels."""
    document.settle()
    made = document.compose(view.stage.base(), view.panel.placed)
    apart = np.abs(seen_on(view, document) - open_picture(document.picture_path(made.sha256)))
    return apart.mean(), np.percentile(apart, 99.5)


@pytest.mark.parametrize("where", [{}, {"angle": 30.0, "flipped": True}, {"opacity": 0.5, "width": 0.3}])
def test_the_model_is_shown_what_is_seen_of_something_half_clear(view, document, ids, where):
    add_take(document, ids()[1], 3, (192, 108))
    across = np.linspace(0, 255, 80).astype(np.uint8)
    clear = np.zeros((80, 80, 4), np.uint8)
    clear[..., 0], clear[..., 3] = 255, across[None]
    sofa = document.import_picture(encode(Image.fromarray(clear)), "sofa.png")
    view.stage.lay([sofa])
    placed = (replace(view.panel.placed[0], **where),)
    document.do("Move", lambda board: commands.set_panel(board, ids()[1], placed=placed))
    mean, most = differ(view, document, ids)
    assert mean < 2
    assert most < 40


@pytest.mark.parametrize("where", [{}, {"angle": 90.0, "flipped": True, "x": 0.4}])
def test_its_background_goes_in_one_step_and_is_seen_and_shown_without(view, document, ids, where):
    add_take(document, ids()[1], 3, (192, 108))
    view.stage.lay([layer_of(document, 200)])
    document.do("Turn", lambda board: commands.set_panel(board, ids()[1], placed=(
        replace(view.panel.placed[0], **where),)))  # fmt: skip
    was, before = view.panel.placed[0], seen_on(view, document)
    canvas, bar = view.stage.canvas, view.stage.strip.place_bar
    bar.cut.click()
    document.settle()
    one = view.panel.placed[0]
    pixels = open_layer(document.picture_path(one.picture.sha256))
    assert (pixels.shape, pixels[50, 50, 3]) == ((100, 100, 4), 255), "no ground is left around it"
    assert view.stage.laying.arranger.sketch.isNull()
    apart = np.abs(seen_on(view, document) - before)[..., 1]
    red = before[..., 0].astype(int) - before[..., 1] > 100
    assert apart[red].mean() < 12, "what is left lies where it did"
    assert one.picture.name == "sofa.png"
    assert canvas.arranger.held == 0
    assert differ(view, document, ids)[1] < 40
    document.undo()
    assert view.panel.placed == (was,)


def test_what_isn_t_plain_is_told_and_nothing_changes(view, document, ids, qtbot):
    add_take(document, ids()[1], 3, (192, 108))
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    view.stage.lay([document.import_picture(encode(Image.fromarray(noise)), "sofa.png")])
    was = view.panel.placed
    with qtbot.waitSignal(document.message) as told:
        view.stage.strip.place_bar.cut.click()
    assert told.args == ["The ground isn't plain.", "Erase it with the eraser instead."]
    assert view.panel.placed == was


@pytest.mark.parametrize("where", [{}, {"angle": 90.0}, {"flipped": True}, {"width": 1.5, "opacity": 0.7}])
def test_the_eraser_takes_away_what_it_passes_over_however_the_picture_lies(view, document, ids, where):
    add_take(document, ids()[1], 3, (192, 108))
    view.stage.lay([layer_of(document)])
    placed = (replace(view.panel.placed[0], **where),)
    document.do("Move", lambda board: commands.set_panel(board, ids()[1], placed=placed))
    view.stage.canvas.setFocus()
    QTest.keyClick(view.stage.canvas, Qt.Key.Key_E)
    assert view.stage.tool == "rub"
    brush, frame = view.stage.laying.brush, Frame.of(placed[0], view.stage.canvas.arranger.ground)
    at = frame.transform().map(QPointF(0.3 * frame.width, 0.4 * frame.height))
    brush.radius = frame.width / 12
    brush.press(Touch(at))
    brush.release()
    document.settle()
    one = view.panel.placed[0]
    alpha = open_layer(document.picture_path(one.picture.sha256))[..., 3]
    rows, columns = np.nonzero(alpha == 0)
    across = -0.3 if placed[0].flipped else 0.3
    assert (rows.mean() / 64 - 0.5, columns.mean() / 64 - 0.5) == pytest.approx((0.4, across), abs=0.03)
    assert one == replace(placed[0], picture=one.picture)
    assert differ(view, document, ids)[1] < 40
    document.undo()
    assert view.panel.placed == placed
    view.stage.strip.rub_bar.done.click()
    assert (view.stage.tool, view.stage.canvas.arranger.held) == ("place", 0)


def test_a_picture_erased_as_a_whole_is_gone_and_paint_stays_paint(view, document, ids):
    add_take(document, ids()[1], 3, (192, 108))
    view.stage.lay([layer_of(document)])
    view.stage.set_tool("rub")
    brush = view.stage.laying.brush
    brush.radius = 200
    brush.press(Touch(QPointF(96, 54), alt=True))
    brush.release()
    document.settle()
    assert view.panel.placed == ()
    view.stage.set_tool("paint")
    assert not brush.erasing
    brush.press(Touch(QPointF(96, 54)))
    brush.release()
    document.settle()
    assert [one.painted for one in view.panel.placed] == [True]


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
    assert view.stage.strip.isAncestorOf(onion), "nothing of it lies on the picture"
    view.stage.bar.onion.click()
    assert not onion.isVisible()


def test_that_no_panel_is_before_is_said_where_the_onion_skin_is_switched_on(view, document, ids):
    onion = view.stage.onion
    view.stage.bar.onion.click()
    view.show_panel(ids()[0])
    assert not onion.isVisible()
    for _ in range(2):
        view.stage.bar.onion.click()
    assert (onion.isVisible(), onion.words.text()) == (True, "There is no panel before this one")
    view.show_panel(ids()[1])
    view.show_panel(ids()[0])
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
    assert view.edit.keep.isHidden()
    first = lambda: engine.submitted[-1].request.references[0].sha256  # noqa: E731
    qtbot.waitUntil(lambda: first() != start.picture.sha256)
    engine.done(picture_file("painted.png", "yellow"))
    view.keep_live()
    engine.done(picture_file("full.png", "yellow"))
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
