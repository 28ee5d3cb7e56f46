"""The board view: rows and places, keyboard, editing, dragging both ways, states, menus."""

import pytest
from PySide6.QtCore import QEvent, QMimeData, QObject, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QContextMenuEvent, QDropEvent, QFont, QImage, QKeyEvent, QMouseEvent, QPixmap, QRegion
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QPushButton

from app.board import commands
from app.board.data import numbers
from app.board.panel_job import import_take
from app.gui.board import paint
from app.gui.board.layout import CAPTION, MARGIN, SLIM, lay_out
from app.gui.board.model import PANELS, list_origins
from app.gui.window.dialogs import InstructionDialog, say_reach


@pytest.fixture
def grid(window):
    return window.board.grid


@pytest.fixture
def here(window):
    return [panel.id for panel in window.document.board.panels()]


def now(window):
    return [panel.id for panel in window.document.board.panels()]


def drop(grid, mime: QMimeData, point: QPoint) -> None:
    """What the window system does: enter, move, drop."""
    event = QDropEvent(
        QPointF(point), Qt.DropAction.CopyAction | Qt.DropAction.MoveAction, mime, Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    grid.dragMoveEvent(event)
    grid.dropEvent(event)


def cell(grid, panel_id: str):
    return grid.visualRect(grid.model().index(grid.model().row_of(panel_id)))


def spot(grid, panel_id: str, share: float) -> QPoint:
    rect = cell(grid, panel_id)
    return QPoint(rect.left() + round(rect.width() * share), rect.center().y() - 20)


def urls(*paths) -> QMimeData:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return mime


def ids_mime(*ids) -> QMimeData:
    mime = QMimeData()
    mime.setData(PANELS, "\n".join(ids).encode())
    return mime


# Layout


def test_cells_share_the_width_and_keep_the_pictures_shape():
    made = lay_out(["heading", *["panel"] * 5, "add"], 980, 230, (16, 9))
    first, second, fifth = made.rects[1], made.rects[2], made.rects[5]
    assert made.columns == 3
    assert second.left() - first.right() == MARGIN + 1
    assert made.rects[3].right() <= 980 - MARGIN
    assert first.height() - CAPTION == round(first.width() * 9 / 16)
    assert fifth.top() > first.bottom()
    assert made.rects[6].top() == fifth.top()  # there is room beside the fifth


def test_a_place_to_add_that_begins_a_line_is_slim_unless_the_scene_is_empty():
    full = lay_out(["heading", *["panel"] * 3, "add"], 980, 230, (16, 9))
    empty = lay_out(["heading", "add"], 980, 230, (16, 9))
    assert full.rects[-1].height() == SLIM
    assert empty.rects[-1].height() > SLIM


def test_upright_pictures_do_not_grow_without_end():
    made = lay_out(["heading", "panel"], 1000, 230, (9, 16))
    assert made.rects[1].height() < 1.4 * made.rects[1].width() + CAPTION


def test_no_two_rows_overlap_and_every_point_finds_its_row():
    made = lay_out((["heading"] + ["panel"] * 7 + ["add"]) * 4, 900, 200, (4, 3))
    for row, rect in enumerate(made.rects):
        assert made.at(rect.center()) == row
        assert not any(rect.intersects(other) for other in made.rects[:row])


# Rows and keys


def test_rows_are_headings_panels_and_a_place_to_add(grid, here):
    assert [row.kind for row in grid.model().rows] == ["heading", "panel", "panel", "panel", "add"]
    assert [row.number for row in grid.model().rows[1:4]] == ["1A", "1B", "1C"]


def test_what_a_screen_reader_hears(grid, window, here, engine):
    text = grid.model().index(1).data(Qt.ItemDataRole.AccessibleTextRole)
    assert text == "Panel 1A, a gull at the beach, no picture yet"
    window.document.render(here[:1])
    engine.fail("Out of memory.")
    assert "failed, Out of memory." in grid.model().index(1).data(Qt.ItemDataRole.AccessibleTextRole)


def test_the_first_arrow_shows_where_the_keys_stand(window, grid, here, qtbot):
    """On a board that was opened by mouse nothing is held, and the first Right went to the second panel."""
    grid.clearSelection()
    grid.keyboard = False
    grid.setCurrentIndex(grid.model().index(1))
    grid.clearSelection()
    qtbot.keyClick(grid, Qt.Key.Key_Right)
    assert grid.list_selected() == (here[0],)
    qtbot.keyClick(grid, Qt.Key.Key_Right)
    assert grid.list_selected() == (here[1],)


def test_what_a_panel_continues_and_what_no_model_made_are_said_below_it(window, here, picture_file, monkeypatch):
    document = window.document
    new = document.continue_from(here[0])
    picture = document.import_picture(picture_file("drawn.png", "red"))
    document.do("Import", commands.add_take(document.board, here[0], import_take(picture, "sample art")))
    origins = {panel.id: list_origins(document.board, panel) for panel in document.board.panels()}
    assert (origins[here[0]], origins[new]) == (["sample art"], ["continues 1A"])
    shown = []
    monkeypatch.setattr(paint, "draw_words", lambda *words: shown.append(words[-1]))
    window.board.grid.viewport().grab()
    assert {"sample art", "continues 1A"} <= set(shown)


def test_arrows_walk_return_opens_space_looks(grid, window, here, qtbot):
    grid.setFocus()
    grid.select(here[:1])
    qtbot.keyClick(grid, Qt.Key.Key_Right)
    assert grid.list_selected() == (here[1],)
    qtbot.keyClick(grid, Qt.Key.Key_Left)
    qtbot.keyClick(grid, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert grid.list_selected() == (here[0], here[1])
    with qtbot.waitSignal(grid.peek_wanted) as looked:
        qtbot.keyClick(grid, Qt.Key.Key_Space)
    assert looked.args == [here[1]]
    grid.opened.disconnect()
    with qtbot.waitSignal(grid.opened) as opened:
        qtbot.keyClick(grid, Qt.Key.Key_Return)
    assert opened.args == [here[1]]


def test_shift_alone_as_the_first_of_a_shortcut_changes_no_selection(grid, here):
    shift, control = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
    grid.setFocus()
    grid.select((here[0], here[2]))
    for key, held in (
        (Qt.Key.Key_Shift, shift),
        (Qt.Key.Key_Control, control | shift),
        (Qt.Key.Key_Shift, control | shift),
    ):
        QTest.keyClick(grid, key, held)
    assert grid.list_selected() == (here[0], here[2])


def test_up_and_down_keep_the_column(window, qtbot):
    grid, document = window.board.grid, window.document
    board = commands.add_scene(document.board, heading="NEXT")
    for _ in range(3):
        board = commands.add_panel(board, board.scenes[1].id)
    document.do("More", board)
    second_row = [panel.id for panel in document.board.scenes[1].panels]
    grid.setFocus()
    grid.select((now(window)[1],))
    for _ in range(3):
        qtbot.keyClick(grid, Qt.Key.Key_Down)
    assert grid.current_panel() is None or grid.current_panel() in second_row
    grid.select((second_row[2],))
    qtbot.keyClick(grid, Qt.Key.Key_Home)
    assert grid.currentIndex().row() == 0
    qtbot.keyClick(grid, Qt.Key.Key_End)
    assert grid.currentIndex().row() == grid.model().rowCount() - 1
    grid.select((second_row[2],))
    qtbot.keyClick(grid, Qt.Key.Key_Escape)
    assert grid.list_selected() == ()


def test_open_panel_on_a_heading_opens_the_first_panel_of_its_scene(window, qtbot):
    grid, document = window.board.grid, window.document
    board = commands.add_scene(document.board, heading="NEXT")
    document.do("More", commands.add_panel(board, board.scenes[1].id))
    first, second = (scene.panels[0].id for scene in document.board.scenes)
    grid.select((second,))
    qtbot.keyClick(grid, Qt.Key.Key_Home)
    for row, panel in ((0, first), (grid.model().row_of(second) - 1, second)):
        grid.setCurrentIndex(grid.model().index(row))
        assert grid.current_panel() is None
        assert window.actions_.made["open_panel"].isEnabled()
        window.actions_.made["open_panel"].trigger()
        assert window.open_panel_id() == panel
        window.go("board")
        grid.clearSelection()


def test_the_bar_over_the_board_stands_still_while_the_words_of_render_change(window):
    start = window.board.start
    for words in ("Render", "Render 3 New", "Render 1 Panel", "Render 12 Panels", "Render 240 Panels"):
        start.setText(words)
        assert start.sizeHint().width() <= start.minimumWidth(), words


def test_the_place_to_add_adds_with_mouse_and_key(grid, window, qtbot):
    count = len(now(window))
    rect = grid.visualRect(grid.model().index(4))
    qtbot.mouseClick(grid.viewport(), Qt.MouseButton.LeftButton, pos=rect.center())
    assert len(now(window)) == count + 1
    assert grid.list_selected() == (now(window)[-1],)
    grid.setCurrentIndex(grid.model().index(grid.model().rowCount() - 1))
    qtbot.keyClick(grid, Qt.Key.Key_Return)
    assert len(now(window)) == count + 2


def press_again(window, place: QPoint) -> None:
    """The second press of a double click, as the window system brings it."""
    handle, left = window.windowHandle(), Qt.MouseButton.LeftButton
    where = QPointF(place), QPointF(handle.mapToGlobal(place))
    for kind, held in ((QEvent.Type.MouseButtonDblClick, left), (QEvent.Type.MouseButtonRelease, Qt.MouseButton(0))):
        QApplication.sendEvent(handle, QMouseEvent(kind, *where, left, held, Qt.KeyboardModifier.NoModifier))


def test_the_second_press_of_a_double_click_does_nothing_on_the_page_that_the_first_one_brought(
    window, grid, here, qtbot
):
    """Such as one on a card of Home."""
    left, add = Qt.MouseButton.LeftButton, grid.visualRect(grid.model().index(4)).center()
    for place in (spot(grid, here[0], 0.5), add):
        window.go("home")
        window.go("board")  # the first click
        press_again(window, grid.viewport().mapTo(window, place))
    assert window.open_panel_id() is None
    assert now(window) == here
    qtbot.mouseClick(grid.viewport(), left, pos=add)
    assert len(now(window)) == len(here) + 1
    qtbot.mouseDClick(grid.viewport(), left, pos=spot(grid, here[0], 0.5))
    assert window.open_panel_id() == here[0]
    window.page("panel").edit.render_bar.button.setEnabled(True)
    qtbot.mouseDClick(window.page("panel").edit.render_bar.button, left)
    assert window.document.runs.busy() == 0


def test_letters_lead_nowhere_from_a_panel(grid, here, qtbot):
    """From an empty one they went to the tile that adds one, by whose words they were looked for."""
    grid.select(here[:1])
    grid.setFocus()
    before = grid.currentIndex()
    qtbot.keyClicks(grid, "add")
    assert grid.currentIndex() == before


def test_captions_and_headings_are_edited_in_place(grid, window, here, qtbot):
    grid.select(here[:1])
    grid.setFocus()
    qtbot.keyClick(grid, Qt.Key.Key_F2)
    editor = QApplication.focusWidget()
    assert editor is not grid
    qtbot.keyClicks(editor, "The gull waits")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    assert window.document.board.panel(here[0]).action == "The gull waits"
    grid.setCurrentIndex(grid.model().index(0))
    qtbot.keyClick(grid, Qt.Key.Key_Return)
    editor = QApplication.focusWidget()
    assert editor.x() - grid.visualRect(grid.currentIndex()).x() < 24, "what it replaces stood before it"
    qtbot.keyClicks(editor, "INT. BAR")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.document.board.scenes[0].heading == "INT. BAR")
    window.document.undo()
    assert window.document.board.scenes[0].heading == ""


def test_zoom_keeps_the_middle_and_has_limits(grid, qtbot):
    before = grid.layout_.columns
    grid.set_cell(10_000)
    assert grid.layout_.columns == 1
    grid.set_cell(1)
    assert grid.layout_.columns > before


# Dragging


def test_panels_are_moved_in_front_of_another_and_to_the_end(grid, window, here):
    drop(grid, ids_mime(here[2]), spot(grid, here[0], 0.2))
    assert now(window) == [here[2], here[0], here[1]]
    drop(grid, ids_mime(here[2]), spot(grid, here[1], 0.8))
    assert now(window) == here
    drop(grid, ids_mime(here[0], here[1]), grid.visualRect(grid.model().index(4)).center())
    assert now(window) == [here[2], here[0], here[1]]
    window.document.undo()
    assert now(window) == here


def test_panels_are_moved_into_another_scene(grid, window, here):
    window.document.do("Add Scene", commands.add_scene(window.document.board))
    heading = grid.model().rows.index(next(r for r in grid.model().rows if r.number == "2" and r.kind == "heading"))
    drop(grid, ids_mime(here[0]), grid.visualRect(grid.model().index(heading)).center())
    assert [panel.id for panel in window.document.board.scenes[1].panels] == [here[0]]


def test_after_a_drag_no_panel_is_lit_where_it_began(grid, here, monkeypatch):
    QTest.mouseMove(grid.viewport(), cell(grid, here[1]).center())
    grid.hovered = grid.model().row_of(here[1])
    grid.select(here[1:2])
    monkeypatch.setattr(grid.dropping, "start", lambda panels: None)
    grid.startDrag(Qt.DropAction.MoveAction)
    assert grid.hovered == -1


def test_pictures_from_finder_become_panels_between_and_fill_or_join_where_they_fall(grid, window, here, picture_file):
    one, two = picture_file("one.png", (1, 2, 3)), picture_file("two.png", (4, 5, 6))
    drop(grid, urls(one, two), spot(grid, here[1], 0.05))
    ids = now(window)
    assert ids[0] == here[0]
    assert ids[3:] == here[1:]
    assert [window.document.board.panel(panel).take.picture.name for panel in ids[1:3]] == ["one", "two"]
    drop(grid, urls(one), spot(grid, here[1], 0.5))
    panel = window.document.board.panel(here[1])
    assert (panel.take.picture.name, panel.source.kind, panel.references) == ("one", "take", ())
    drop(grid, urls(two), spot(grid, here[1], 0.5))
    panel = window.document.board.panel(here[1])
    assert [reference.picture.name for reference in panel.references] == ["two"]
    assert len(panel.takes) == 1


def test_a_refused_file_leaves_the_board_as_it_is_and_says_why(grid, window, here, tmp_path):
    bad = tmp_path / "notes.txt"
    bad.write_text("no picture")
    before = window.document.board
    drop(grid, urls(bad), spot(grid, here[0], 0.05))
    assert window.document.board is before
    assert "notes.txt" in window.toasts.title.text()


def test_takes_are_dragged_out_as_files_with_speaking_names(grid, window, here, engine, picture_file):
    window.document.render(here[:1])
    engine.done(picture_file(colour=(9, 8, 7)))
    mime = grid.dropping.mime(tuple(here[:2]))
    (url,) = mime.urls()
    assert url.fileName() == "Harbour 1A.png"
    assert QImage(url.toLocalFile()).pixelColor(3, 3).getRgb()[:3] == (9, 8, 7)


# States and actions


def test_an_empty_panel_asks_for_what_it_has_to_be_told(window, here):
    from app.gui.board.paint import words_of_empty

    board = window.document.board
    board = commands.add_panel(board, board.scenes[0].id)
    assert words_of_empty(board.scenes[0].panels[-1]).endswith("what it shows")
    board = commands.continue_from(board, here[0], "new")
    assert words_of_empty(board.panel("new")).endswith("what changes")


def test_a_panel_that_waits_still_says_what_it_will_show(grid, window, here, engine, monkeypatch):
    window.document.do("Say", lambda board: commands.set_panel(board, here[1], prompt="a fox at sea"))
    window.document.render(here[:2])
    assert window.document.panel_state(here[1]).state == "queued"
    painted, paint_words = [], paint._words
    monkeypatch.setattr(paint, "_words", lambda *given: (painted.append(given[2]), paint_words(*given)))
    grid.grab()
    assert "a fox at sea" in painted


def test_the_rows_follow_the_job(grid, window, here, engine, picture_file):
    from app.gui.board.paint import running_words

    window.document.render(here)
    engine.step(3, 8, left=65)
    assert running_words(window.document.panel_state(here[0])) == "3 of 8, 1 min 5 s left"
    engine.preview(picture_file("preview.png"))
    assert window.document.panel_state(here[0]).preview.endswith("preview.png")
    assert window.document.panel_state(here[1]).state == "queued"
    assert not grid.grab().isNull()
    engine.done(picture_file())
    assert window.document.panel_state(here[1]).state == "running"


def test_the_render_button_says_what_it_would_render(window, here, engine, picture_file, qtbot):
    view = window.board
    assert view.start.text() == "Render 3 New"
    view.grid.select(here[:2])
    assert view.start.text() == "Render 2 Panels"
    view.grid.select(())
    view.start.click()
    assert [job.panel for job in engine.submitted] == here
    qtbot.waitUntil(lambda: not view.start.isEnabled())


@pytest.mark.first_case
@pytest.mark.parametrize(
    ("action", "changes"),
    [("duplicate", 1), ("delete", -1), ("continue_from", 1), ("add_panel", 1), ("add_scene", 1)],
)
def test_actions_change_the_board_and_undo_takes_them_back(window, here, action, changes):
    window.board.grid.select(here[1:2])
    before = window.document.board
    window.actions_[action].trigger()
    assert len(now(window)) == 3 + changes
    window.actions_["undo"].trigger()
    assert window.document.board == before


def test_move_by_keyboard_within_and_over_scenes(window, here):
    document, grid = window.document, window.board.grid
    board = commands.add_scene(document.board)
    document.do("Add Scene", board)
    grid.select(here[1:2])
    window.actions_["later"].trigger()
    assert now(window) == [here[0], here[2], here[1]]
    window.actions_["later"].trigger()
    assert [panel.id for panel in document.board.scenes[1].panels] == [here[1]]
    window.actions_["earlier"].trigger()
    assert now(window) == [here[0], here[2], here[1]]
    assert len(document.board.scenes[0].panels) == 3
    assert grid.list_selected() == (here[1],)


def test_apply_to_all_asks_once_and_edits_every_panel_with_a_picture(window, here, engine, picture_file, monkeypatch):
    window.document.render(here[:2])
    engine.done(picture_file("a.png"))
    engine.done(picture_file("b.png", (1, 1, 1)))
    monkeypatch.setattr(InstructionDialog, "ask", lambda dialog: "make it night")
    window.board.grid.select(here)
    window.actions_["apply_to_all"].trigger()
    assert [(job.panel, job.request.prompt) for job in engine.submitted[2:]] == [
        (here[0], "make it night"), (here[1], "make it night"),
    ]  # fmt: skip


def test_apply_to_all_with_one_panel_chosen_means_all_and_says_who_is_left_out(
    window, here, engine, picture_file, monkeypatch
):
    said = []

    def answer(dialog):
        said.extend(one.text() for kind in (QLabel, QPushButton) for one in dialog.findChildren(kind))
        return "make it night"

    window.document.render(here[:2])
    engine.done(picture_file("a.png"))
    engine.done(picture_file("b.png", (1, 1, 1)))
    monkeypatch.setattr(InstructionDialog, "ask", answer)
    for chosen, words in ((here[:1], "Apply to All…"), (here[1:], "Apply to 2 Panels…"), (here, "Apply to 3 Panels…")):
        window.board.grid.select(chosen)
        assert window.actions_["apply_to_all"].text() == words
    window.board.grid.select(here[:1])
    window.actions_["apply_to_all"].trigger()
    assert [job.panel for job in engine.submitted[2:]] == here[:2]
    number = numbers(window.document.board)[here[2]]
    assert "Render 2 Panels" in said
    assert "all 2 panels that have a picture" in said[0]
    assert said[0].endswith(f"Left out, with no picture to change: {number}.")
    board = window.document.board
    assert say_reach(board, here[:2]).startswith("Change the 2 panels that are selected by")


def test_a_right_click_shows_the_menu_of_what_lies_there(window, grid, here):
    def menu_at(point: QPoint) -> list[str]:
        QApplication.sendEvent(
            grid.viewport(),
            QContextMenuEvent(QContextMenuEvent.Reason.Mouse, point, grid.viewport().mapToGlobal(point)),
        )
        menu = QApplication.activePopupWidget()
        words = [action.text() for action in menu.actions()]
        menu.close()
        return words

    grid.select(here[:1])
    assert "Open Panel" in menu_at(spot(grid, here[0], 0.5))
    shown = menu_at(QPoint(grid.viewport().width() - 2, grid.viewport().height() - 2))
    assert {"Add Panel", "Paste", "Import into This Board…", "Select All Panels"} <= {*shown}
    assert not {"Open Panel", "Delete"} & {*shown}
    assert grid.list_selected() == ()
    heading = grid.visualRect(grid.model().index(0)).center()
    QTest.mouseClick(grid.viewport(), Qt.MouseButton.RightButton, pos=heading)
    assert "Delete Scene" in menu_at(heading)
    count = len(window.document.board.scenes[0].panels)
    window.actions_["add_scene"].trigger()
    grid.verticalScrollBar().setValue(0)
    QTest.mouseClick(grid.viewport(), Qt.MouseButton.RightButton, pos=heading)
    menu_at(heading)
    window.actions_["add_panel"].trigger()
    assert len(window.document.board.scenes[0].panels) == count + 1, "the scene that was clicked on"


def test_words_on_an_empty_panel_are_cut_only_where_they_do_not_fit(window):
    text = "@Anna, a tired waitress, wipes the counter. @Leo comes in from the rain."
    family = paint._font(paint.TEXT, QFont.Weight.Normal).family()
    for width in range(200, 500):
        assert paint._cut(text, family, paint.TEXT, width, 9).split() == text.split(), width


def test_render_with_one_selected_touches_only_that_panel(window, here, engine, picture_file):
    window.document.render(here[:1])
    engine.done(picture_file())
    before = window.document.board
    window.board.grid.select(here[:1])
    window.actions_["render"].trigger()
    engine.done(picture_file("again.png", (3, 3, 3)))
    after = window.document.board
    assert [len(panel.takes) for panel in after.panels()] == [2, 0, 0]
    assert list(after.panels())[1:] == list(before.panels())[1:]


def test_copy_and_paste_of_panels_and_of_pictures(window, here, engine, picture_file, qtbot):
    window.document.render(here[:1])
    engine.done(picture_file())
    window.board.grid.select(here[:1])
    window.actions_["copy"].trigger()
    assert QApplication.clipboard().mimeData().hasImage()
    window.actions_["paste"].trigger()
    assert len(now(window)) == 4
    QApplication.clipboard().setImage(QImage(str(picture_file("other.png", (7, 7, 7)))))
    window.board.grid.select(here[:1])
    window.actions_["paste"].trigger()
    assert window.document.board.panel(now(window)[1]).take.picture.name == "pasted"
    QApplication.clipboard().clear()


def test_selection_survives_a_change_of_rows(window, here):
    window.board.grid.select(here[2:])
    window.document.do("Delete", commands.remove_panels(window.document.board, here[:1]))
    assert window.board.grid.list_selected() == (here[2],)


def test_a_button_that_its_own_press_ends_gives_the_keys_to_the_panels_not_to_the_style(window, engine, qtbot):
    window.show()
    view = window.board
    view.start.setFocus()
    qtbot.keyClick(view.start, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: not view.start.isEnabled())
    assert window.focusWidget() is view.grid
    view.outdated.show()
    view.outdated.setFocus()
    view._show_outdated()
    assert (view.outdated.isVisible(), window.focusWidget()) == (False, view.grid)


def test_return_ends_the_title_and_the_style(window, qtbot):
    for field, words in ((window.board.title, "The Gull"), (window.board.style_line, "ink")):
        field.setFocus()
        field.setText(words)
        qtbot.keyClick(field, Qt.Key.Key_Return)
        assert window.focusWidget() is window.board.grid
    assert (window.document.board.title, window.document.board.style) == ("The Gull", "ink")


def test_a_held_return_opens_nothing_again(grid, window, here):
    grid.select(here[:1])
    held = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Return, Qt.KeyboardModifier.NoModifier, "\r", True)
    QApplication.sendEvent(grid, held)
    assert window.open_panel_id() is None


def test_the_title_and_the_shape(window, qtbot):
    view = window.board
    view.title.setFocus()
    view.title.selectAll()
    qtbot.keyClicks(view.title, "The Gull")
    qtbot.keyClick(view.title, Qt.Key.Key_Return)
    assert window.document.board.title == "The Gull"
    view.aspect.setCurrentText("1:1")
    view.aspect.activated.emit(view.aspect.currentIndex())
    assert window.document.board.aspect == (1, 1)
    assert "The Gull" in window.windowTitle()


def test_an_empty_board_says_what_to_do(window):
    document = window.document
    document.do("Delete Scene", commands.remove_scene(document.board, document.board.scenes[0].id))
    assert window.board.stack.currentIndex() == 1
    window.actions_["add_panel"].trigger()
    assert window.board.stack.currentIndex() == 0
    assert len(now(window)) == 1


@pytest.mark.parametrize("panels", range(1, 13))
def test_every_point_of_every_cell_finds_it_whatever_comes_last(panels):
    made = lay_out(["heading", *["panel"] * panels, "add"], 1200, 220, (1, 1))
    for row, rect in enumerate(made.rects):
        for point in (rect.topLeft(), rect.center(), rect.bottomRight()):
            assert made.at(point) == row


# The style, and what is out of date


def test_the_style_of_the_board_is_seen_and_written_there(window):
    line = window.board.style_line
    line.setFocus()
    QTest.keyClicks(line, "ink, soft light")
    QTest.keyClick(line, Qt.Key.Key_Return)
    assert window.document.board.style == "ink, soft light"
    window.document.undo()
    line.clearFocus()
    window.document.do("Style", commands.set_board(window.document.board, style="watercolour"))
    assert line.text() == "watercolour"


def test_what_continues_a_replaced_picture_is_told_and_rendered_by_one_click(window, here, engine, picture_file):
    document, outdated = window.document, window.board.outdated
    document.render(here[:1])
    engine.done(picture_file("one.png", "red"))
    new = document.continue_from(here[0])
    document.do("Edit", commands.set_panel(document.board, new, instruction="make it night"))
    document.render([new])
    engine.done(picture_file("two.png", "navy"))
    assert not outdated.isVisible()
    document.render(here[:1])
    engine.done(picture_file("three.png", "blue"))
    model = window.board.grid.model()
    assert (outdated.isVisible(), outdated.text()) == (True, "Render 1 Out of Date")
    spoken = model.index(model.row_of(new)).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken.endswith("out of date")
    QTest.mouseClick(outdated, Qt.MouseButton.LeftButton)
    assert [job.panel for job in engine.submitted][-1] == new
    engine.done(picture_file("four.png", "black"))
    assert not outdated.isVisible()
    assert document.panel(new).take.parent == document.panel(here[0]).current


@pytest.fixture
def chain(window, here, engine, picture_file):
    """Three panels, each continuing the one before, all rendered; then the first one anew."""
    document, names = window.document, [here[0]]
    document.render(names)
    engine.done(picture_file("0.png", "red"))
    for number in (1, 2):
        names.append(document.continue_from(names[-1]))
        document.do("Edit", commands.set_panel(document.board, names[-1], instruction="make it night"))
        document.render(names[-1:])
        engine.done(picture_file(f"{number}.png", (number, 0, 0)))
    document.render(names[:1])
    engine.done(picture_file("new.png", "blue"))
    return names


def test_a_picture_that_waits_for_a_disk_has_not_failed(window, here, monkeypatch):
    chips = []
    monkeypatch.setattr(paint, "_chip", lambda _, box, text, colour: chips.append(text))
    window.document.runs.fail(here[0], "The picture of panel 1A is made, but not stored.", "", held=True)
    window.board.grid.viewport().grab()
    assert chips == [paint.HELD]
    spoken = window.board.grid.model().index(1, 0).data(Qt.ItemDataRole.AccessibleTextRole)
    assert "not stored" in spoken
    assert "failed" not in spoken.casefold()


def test_a_whole_chain_is_rendered_by_one_click_each_from_the_new_picture_of_the_one_before(
    window, engine, picture_file, chain, qtbot
):
    document, outdated = window.document, window.board.outdated
    assert outdated.text() == "Render 2 Out of Date"
    QTest.mouseClick(outdated, Qt.MouseButton.LeftButton)
    assert [document.panel_state(one).state for one in chain] == ["done", "running", "queued"]
    qtbot.waitUntil(outdated.isHidden)
    engine.done(picture_file("second.png", "green"))
    assert engine.running.job.panel == chain[2]
    engine.done(picture_file("third.png", "yellow"))
    assert document.panel(chain[2]).take.parent == document.panel(chain[1]).current
    assert document.runs.busy() == 0
    qtbot.waitUntil(outdated.isHidden)


@pytest.mark.first_case
@pytest.mark.parametrize(("command", "count"), [("render", 1), ("four", 4)])
def test_chosen_panels_that_continue_each_other_are_rendered_in_turn(
    window, engine, picture_file, chain, command, count
):
    """As on the command line: none starts from the picture that is about to be replaced."""
    document = window.document
    window.board.grid.select([chain[2], chain[1]])
    window.run(command)
    assert [document.panel_state(one).state for one in chain] == ["done", "running", "queued"]
    for number in range(count):
        assert engine.running.job.panel == chain[1]
        engine.done(picture_file(f"second {number}.png", (number, 99, 0)))
    for number in range(count):
        assert engine.running.job.panel == chain[2]
        engine.done(picture_file(f"third {number}.png", (number, 0, 99)))
    assert document.panel(chain[2]).take.parent == document.panel(chain[1]).current
    assert document.runs.busy() == 0


def test_a_panel_waits_for_the_one_that_it_continues_whoever_asked_for_that(window, engine, picture_file, chain):
    document = window.document
    document.render(chain[1:2])
    window.open_panel(chain[2])
    window.page("panel").render_panel()
    assert [job.panel for job in engine.submitted][-1] == chain[1]
    assert document.panel_state(chain[2]).state == "queued"
    engine.done(picture_file("second.png", "green"))
    engine.done(picture_file("third.png", "yellow"))
    assert document.panel(chain[2]).take.parent == document.panel(chain[1]).current


def test_nothing_waits_for_a_panel_that_can_not_even_be_put_in_line(window, chain):
    document = window.document
    document.do("Edit", commands.set_panel(document.board, chain[1], instruction=""))
    document.render(chain[1:])
    assert document.panel_state(chain[1]).state == "failed"
    assert document.panel_state(chain[2]).state == "done"
    assert document.runs.busy() == 0


@pytest.mark.first_case
@pytest.mark.parametrize("end", ["fail", "cancel", "cancel the last", "unreadable"])
def test_a_chain_that_breaks_waits_for_nothing(window, engine, chain, end, tmp_path, qtbot):
    document = window.document
    document.render_outdated()
    if end == "fail":
        engine.fail("It broke.")
    elif end == "unreadable":
        engine.done(tmp_path / "nothing.png")
    else:
        document.cancel(chain[2 if end == "cancel the last" else 1])
    assert document.panel_state(chain[2]).state == "done"
    assert document.runs.busy() == (1 if end == "cancel the last" else 0)
    words = f"Render {1 if end == 'cancel the last' else 2} Out of Date"
    qtbot.waitUntil(lambda: window.board.outdated.text() == words)


def test_a_chain_goes_on_behind_another_board(window, engine, picture_file, chain):
    document = window.document
    document.render_outdated()
    window.session.new()
    engine.done(picture_file("second.png", "green"))
    assert engine.running.job.panel == chain[2]
    engine.done(picture_file("third.png", "yellow"))
    assert document not in window.session._all()


# The rail of scenes


def test_the_board_gives_the_keys_to_its_panels_also_beside_the_rail(window):
    for _ in range(3):
        window.document.do("Add Scene", commands.add_scene)
    window.resize(1280, 800)
    window.go("home")
    window.go("board")
    assert window.board.rail.isVisible()
    assert window.board.grid.hasFocus()


def test_a_panel_is_found_by_its_words_and_chosen_with_keys(window, here):
    rail = window.board.rail
    assert not rail.isVisible()  # one scene is no reason for it
    window.run("find")
    assert rail.field.hasFocus()
    QTest.keyClicks(rail.field, "ROBOT")
    assert [rail.list.item(row).text() for row in range(rail.list.count())] == ["1C  a robot in the city"]
    assert rail.nothing.isHidden()
    QTest.keyClicks(rail.field, "zz")
    assert rail.nothing.isVisible()
    QTest.keyClick(rail.field, Qt.Key.Key_Backspace)
    QTest.keyClick(rail.field, Qt.Key.Key_Backspace)
    assert rail.nothing.isHidden()
    QTest.keyClick(rail.field, Qt.Key.Key_Return)
    assert window.board.grid.list_selected() == (here[2],)
    window.run("find")
    QTest.keyClicks(rail.field, "a ")
    QTest.keyClick(rail.field, Qt.Key.Key_Down)
    QTest.keyClick(rail.field, Qt.Key.Key_Return)
    assert window.board.grid.list_selected() == (here[1],)
    window.run("find")
    QTest.keyClick(rail.field, Qt.Key.Key_Escape)
    assert (rail.isVisible(), rail.field.text(), window.board.grid.hasFocus()) == (False, "", True)


def test_scenes_are_jumped_to(window, here):
    board = window.document.board
    for number in range(12):
        board = commands.add_scene(board, heading=f"EXT. PLACE {number}")
        board = commands.add_panel(board, board.scenes[-1].id)
    window.document.do("Add", board)
    rail, grid = window.board.rail, window.board.grid
    window.resize(860, 800)
    assert not rail.isVisible()  # there is no room
    window.resize(1280, 800)
    assert rail.isVisible()
    assert [rail.list.item(row).text() for row in (0, 8)] == ["1  Untitled scene", "9  EXT. PLACE 7"]
    at = rail.list.visualItemRect(rail.list.item(8)).center()
    QTest.mouseClick(rail.list.viewport(), Qt.MouseButton.LeftButton, pos=at)
    scene = window.document.board.scenes[8]
    assert grid.list_selected() == (scene.panels[0].id,)
    heading = next(place for place, one in enumerate(grid.model().rows) if one.scene == scene.id)
    assert 0 <= grid.visualRect(grid.model().index(heading)).top() <= 40
    window.run("find")
    QTest.keyClicks(rail.field, "place 11")
    assert rail.list.count() == 1
    window.resize(900, 600)
    assert rail.isVisible()  # somebody searches


class Watch(QObject):
    """What is painted anew of the panels."""

    def __init__(self):
        super().__init__()
        self.region = QRegion()

    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Paint:
            self.region += event.region()
        return False


def test_the_frame_of_a_heading_goes_whole_when_the_keys_go_on(window, grid, qtbot):
    """Its upper and lower edges stayed: they lie outside of the row that Qt painted anew."""
    grid.setFocus()
    for key in (Qt.Key.Key_Home, Qt.Key.Key_Up):
        QTest.keyClick(grid, key)
    assert grid.model().rows[grid.currentIndex().row()].kind == "heading"
    rows, watch = [grid.currentIndex()], Watch()
    QApplication.processEvents()
    grid.viewport().installEventFilter(watch)
    QTest.keyClick(grid, Qt.Key.Key_Down)
    rows.append(grid.currentIndex())
    qtbot.waitUntil(lambda: not watch.region.isEmpty())
    seen = grid.viewport().rect()
    rings = [grid.visualRect(row).adjusted(-7, -7, 7, 7).intersected(seen) for row in rows]
    assert [ring for ring in rings if not (QRegion(ring) - watch.region).isEmpty()] == []


def test_the_key_that_renders_beside_the_words_does_what_the_button_says(window, grid, here, qtbot):
    grid.select(here[1:2])
    grid.setFocus()
    qtbot.keyClick(grid, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert [job.job.panel for job in window.session.engine.jobs()] == [here[1]]
    assert window.open_panel_id() is None


def test_return_in_the_search_jumps_and_ends_it(window, grid, here, qtbot):
    window.run("find")
    rail = window.board.rail
    qtbot.keyClicks(rail.field, "robot")
    qtbot.keyClick(rail.field, Qt.Key.Key_Return)
    assert grid.list_selected() == (here[2],)
    assert (rail.isVisible(), rail.field.text(), grid.hasFocus()) == (False, "", True)
    window.run("find")
    qtbot.keyClicks(rail.field, "nobody")
    qtbot.keyClick(rail.field, Qt.Key.Key_Return)
    assert rail.nothing.isVisible()
    rail.list.setFocus()
    qtbot.keyClick(rail.list, Qt.Key.Key_Escape)
    assert (rail.isVisible(), grid.hasFocus()) == (False, True)


def test_a_panel_shows_what_was_seen_until_its_new_picture_is_read(window, here, picture_file, monkeypatch):
    """It went blank each time that one was done."""
    document, grid = window.document, window.board.grid

    def take(colour):
        picture = document.import_picture(picture_file(f"{colour}.png", colour))
        document.do("Import", commands.add_take(document.board, here[0], import_take(picture)))

    def seen():
        at = grid.visualRect(grid.model().index(1, 0)).center()
        return grid.viewport().grab().toImage().pixelColor(at.x(), at.y() - 20).name()

    take("red")
    assert seen() == "#ff0000"
    with monkeypatch.context() as reading:
        reading.setattr(document, "pixmap", lambda *_: QPixmap())
        take("blue")
        assert seen() == "#ff0000"
    assert seen() == "#0000ff"


def test_places_that_the_model_never_learned_are_said_before_they_are_rendered(window, engine, picture_file):
    document, line = window.document, window.board.unlearned
    assert not line.isVisible()
    scene, (first, *_) = document.board.scenes[0].id, document.board.panels()
    board = commands.set_scene(document.board, scene, heading="INT. KITCHEN - DAY")
    document.do("Script", commands.set_panel(board, first.id, in_place=True))
    told = "The built-in model has never learned “kitchen”: another place comes out"
    assert (line.isVisible(), line.text()) == (True, told)
    window.open_panel(first.id)
    page = window.page("panel")
    assert page.edit.hint.text() == told
    assert page.edit.render_bar.button.isEnabled(), "it is no refusal"
    document.render([first.id])
    engine.done(picture_file())
    window.go("board")
    assert not line.isVisible()
