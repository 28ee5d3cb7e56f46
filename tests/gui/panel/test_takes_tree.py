"""Takes as a history: their tree, choosing, starring, comparing, deleting, copying, dragging out, saving."""

import time
from datetime import datetime

import pytest
from msgspec.structs import replace
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QInputDialog, QMenu

from app.base.words import say_moment
from app.board import commands
from app.board.data import Picture, Take
from app.gui.document import picture_drag
from app.gui.panel.branches import break_lines, grow, name_take
from app.gui.panel.takes_tree import TakesTree, spots_of
from app.models import helpers
from mlx_model.errors import RequestError
from tests.gui.panel_board import add_take, shown_panel

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


@pytest.fixture
def tree(document, ids, qtbot):
    made = TakesTree(document)
    made.show_panel(ids()[0])
    document.changed.connect(lambda old, new: made.refresh())
    qtbot.addWidget(made)
    made.resize(320, 400)
    for number in (1, 2, 3):
        add_take(document, ids()[0], number)
    made.show()
    return made


def current(tree) -> int:
    return [take.id for take in tree.panel.takes].index(tree.panel.current) + 1


def some(name: str, parent: str | None = None) -> Take:
    return Take(name, Picture("0" * 64, 1, 1), "", "", "", 0, parent=parent, number="abcdefgh".find(name) + 1)


def test_each_take_stands_below_what_it_was_made_from():
    rows = grow([some("a"), some("b", "a"), some("c"), some("d", "a"), some("e", "b")])
    assert [(row.take.id, row.number, row.parent, row.lanes) for row in rows] == [
        ("a", 1, 0, ()), ("b", 2, 1, (True,)), ("e", 5, 2, (True, False)), ("d", 4, 1, (False,)), ("c", 3, 0, ()),
    ]  # fmt: skip


def test_the_menu_of_a_take_opens_beside_it(tree, qtbot):
    tree.move(450, 100)
    row = tree.visualItemRect(tree.item(1))
    tree.customContextMenuRequested.emit(row.center())
    menu = tree.findChild(QMenu)
    qtbot.waitUntil(menu.isVisible)
    assert not menu.geometry().intersects(QRect(tree.viewport().mapToGlobal(row.topLeft()), row.size()))
    menu.close()


def test_a_take_made_from_another_panel_names_it(document, ids, qtbot):
    start = add_take(document, ids()[0], 1)
    new = document.continue_from(ids()[0])
    document.do("Add", commands.add_take(document.board, new, replace(start, id="made", parent=start.id)))
    made = TakesTree(document)
    qtbot.addWidget(made)
    made.show_panel(new)
    item = made.item(0)
    assert "made from panel 1A" in item.data(Qt.ItemDataRole.AccessibleTextRole)
    assert "Made from the picture of panel 1A" in item.toolTip()
    document.do("Move", commands.move_panels(document.board, [ids()[0]], document.board.scenes[0].id, 2))
    made.refresh()
    assert "made from panel 1C" in made.item(0).data(Qt.ItemDataRole.AccessibleTextRole)


def test_parents_that_are_gone_or_run_in_a_circle_lose_no_take():
    rows = grow([some("a", "b"), some("b", "a"), some("c", "c"), some("d", "nobody")])
    assert [(row.take.id, row.depth) for row in rows] == [("a", 0), ("b", 1), ("c", 0), ("d", 0)]


def test_a_take_is_called_by_its_words_and_its_time():
    take = replace(some("a"), instruction="make it night")
    assert name_take(take) == "make it night"
    assert name_take(replace(take, note="the best")) == "the best"
    assert name_take(some("a")) == "imported"
    now = datetime.fromisoformat("2026-11-25T15:00:00").astimezone()
    moments = ("2026-11-25T09:05:00", "2026-11-03T09:05:00", "2025-11-03T09:05:00", "never", "0001-01-01T00:00+00:00")
    assert [say_moment(made, now) for made in moments][:4] == ["09:05", "3 Nov 09:05", "3 Nov 2025", ""]


def test_words_take_two_lines_and_then_an_ellipsis(tree):
    metrics = tree.fontMetrics()
    width = metrics.horizontalAdvance("make it night and")
    assert break_lines("make it night and rainy", metrics, width) == ["make it night and", "rainy"]
    lines = break_lines("make it night and " * 4, metrics, width)
    assert (len(lines), lines[1][-1]) == (2, "…")
    assert break_lines("W" * 80, metrics, width)[0][-1] == "…"


def test_a_click_and_the_arrows_choose(tree, document):
    assert (tree.count(), current(tree), tree.currentRow()) == (3, 3, 2)
    QTest.mouseClick(tree.viewport(), LEFT, NONE, tree.visualItemRect(tree.item(0)).center())
    assert current(tree) == 1
    QTest.keyClick(tree, Qt.Key.Key_Down)
    assert current(tree) == 2
    document.undo()
    assert (current(tree), tree.currentRow()) == (3, 2)


def test_refreshing_chooses_nothing(tree, document):
    told = []
    document.changed.connect(lambda old, new: told.append(new))
    tree.refresh()
    tree.show_panel(tree.panel_id)
    assert told == []


def test_delete_is_undone(tree, document):
    QTest.keyClick(tree, Qt.Key.Key_Delete)
    assert (len(tree.panel.takes), current(tree)) == (2, 2)
    document.undo()
    assert (len(tree.panel.takes), current(tree)) == (3, 3)


def test_a_star_is_given_by_key_and_by_mouse_and_undone(tree, document, qtbot):
    QTest.keyClick(tree, Qt.Key.Key_S)
    assert [take.star for take in tree.panel.takes] == [False, False, True]
    QTest.mouseClick(tree.viewport(), LEFT, NONE, spots_of(tree.visualItemRect(tree.item(0)))["star"].center())
    assert [take.star for take in tree.panel.takes] == [True, False, True]
    assert current(tree) == 3
    document.undo()
    assert [take.star for take in tree.panel.takes] == [False, False, True]
    with qtbot.waitSignal(tree.compare_asked) as asked:
        QTest.mouseClick(tree.viewport(), LEFT, NONE, spots_of(tree.visualItemRect(tree.item(0)))["compare"].center())
    assert asked.args == [tree.panel.takes[0].id]


def test_what_is_asked_for_by_menu(tree, qtbot):
    take = tree.panel.takes[0]
    actions = {action.text(): action for action in tree.menu_for(take).findChildren(QAction) if action.text()}
    for text, signal in (
        ("Start from This Take", tree.source_asked),
        ("Use as Reference", tree.reference_asked),
        ("Add to Cast…", tree.cast_asked),
        ("Save Picture As…", tree.save_asked),
        ("Compare with This Take", tree.compare_asked),
        ("Details and Note", tree.details_asked),
        ("Show File", tree.reveal_asked),
    ):
        with qtbot.waitSignal(signal) as told:
            actions[text].trigger()
        assert told.args == [take.id]


def test_a_take_is_enlarged_as_far_as_it_goes(tree, document, monkeypatch):
    take, jobs = tree.panel.takes[0], []
    monkeypatch.setattr(document.runs, "submit", jobs.append)
    actions = {action.text(): action for action in tree.menu_for(take).findChildren(QAction) if action.text()}
    actions["4× With New Detail"].trigger()
    (job,) = jobs
    assert (job.request.enlarge, job.request.width, job.start) == (4, 4 * take.picture.width, take.id)
    large = replace(take, picture=replace(take.picture, width=4096))
    actions = {action.text(): action for action in tree.menu_for(large).findChildren(QAction) if action.text()}
    assert [actions[f"{factor}× With New Detail"].isEnabled() for factor in (2, 4)] == [True, False]


def test_the_quick_way_to_enlarge_is_offered_and_once_it_is_here_needs_no_model(tree, document, monkeypatch, qtbot):
    take, jobs = tree.panel.takes[0], []
    monkeypatch.setattr(document.runs, "submit", jobs.append)
    actions = {action.text(): action for action in tree.menu_for(take).findChildren(QAction) if action.text()}
    with qtbot.waitSignal(document.runs.lacking) as asked:
        actions["2× Quickly: Get Swin2SR 2×…"].trigger()
    assert asked.args == ["swin2sr-x2"]
    monkeypatch.setattr(helpers, "is_there", lambda row: True)
    actions = {action.text(): action for action in tree.menu_for(take).findChildren(QAction) if action.text()}
    actions["2× Quickly"].trigger()
    (job,) = jobs
    assert (job.request.model, job.request.enlarge, job.model) == ("swin2sr-x2", 2, "")
    assert (job.request.width, job.start) == (2 * take.picture.width, take.id)


def test_copy_and_drag_carry_pixels_a_named_file_and_the_hash(tree, document):
    QTest.keyClick(tree, "c", Qt.KeyboardModifier.ControlModifier)
    mime, take = QApplication.clipboard().mimeData(), tree.panel.takes[2]
    assert QApplication.clipboard().image().width() == 192
    assert bytes(mime.data(picture_drag.PICTURE).data()).decode() == take.picture.sha256
    (url,) = mime.urls()
    assert url.fileName() == "Harbour 1A take 3.png"
    with open(url.toLocalFile(), "rb") as copied:
        assert copied.read() == document.picture_path(take.picture.sha256).read_bytes()


def test_it_reads_out_takes(tree, document):
    made = replace(some("x", tree.panel.takes[0].id), picture=tree.panel.takes[0].picture, instruction="make it night")
    document.do("Add", commands.add_take(document.board, tree.panel_id, made))
    read = [tree.item(row).data(Qt.ItemDataRole.AccessibleTextRole) for row in range(4)]
    assert read[0].startswith("Take 1, made from words, 25 Nov ")
    assert read[1] == "Take 4, make it night, made from take 1, current"


def test_any_two_takes_are_compared_with_the_keyboard(document, ids, qtbot):
    one, _, three = [add_take(document, ids()[0], number) for number in (1, 2, 3)]
    view = shown_panel(document, ids()[0], qtbot)
    tree = view.side.takes
    QTest.keyClick(tree, Qt.Key.Key_C)
    assert view.stage.canvas.comparing
    QTest.keyClick(tree, Qt.Key.Key_Home)
    assert view.panel.current == one.id
    assert view.stage._before() == (three.picture, ("Take 3", "Take 1"))
    QTest.keyClick(tree, Qt.Key.Key_End)
    QTest.keyClick(tree, Qt.Key.Key_C)
    assert not view.stage.canvas.comparing


def test_a_take_joins_the_cast_under_a_name_of_one_s_own(document, ids, qtbot, monkeypatch):
    take = add_take(document, ids()[0], 1)
    view = shown_panel(document, ids()[0], qtbot)
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("@Mira", True))
    with qtbot.waitSignal(document.noted) as said:
        view.side.takes.cast_asked.emit(take.id)
    assert [(member.name, member.pictures) for member in document.board.cast] == [("Mira", (take.picture,))]
    assert said.args[0] == "@Mira is in the cast."
    view.side.takes.cast_asked.emit(take.id)  # the name is taken: told, and nothing is changed
    assert len(document.board.cast) == 1


def test_a_take_is_saved_where_the_artist_says_but_into_no_board(document, ids, qtbot, monkeypatch, tmp_path):
    take = add_take(document, ids()[0], 1)
    view, told = shown_panel(document, ids()[0], qtbot), []
    document.message.connect(lambda text, hint: told.append(text))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(tmp_path / "night"), ""))
    with qtbot.waitSignal(view.said) as said:
        view.side.takes.save_asked.emit(take.id)
    assert said.args[0] == "Saved night.png."
    assert (tmp_path / "night.png").read_bytes() == document.picture_path(take.picture.sha256).read_bytes()
    view.side.takes.save_asked.emit(take.id)  # nobody was asked whether night.png may be replaced
    assert (tmp_path / "night-2.png").exists()
    with pytest.raises(RequestError):
        picture_drag.save_as(document, take.picture, document.file.path / "blobs" / "night.png")


def test_two_hundred_takes_are_quick(document, ids, qtbot):
    picture = add_take(document, ids()[0], 1).picture
    board, last = document.board, None
    for number in range(200):
        last = replace(some(f"t{number}", last and last.id), picture=picture, instruction=f"edit {number}")
        board = commands.add_take(board, ids()[0], last)
    document.do("Add", board)
    view = shown_panel(document, ids()[0], qtbot)
    assert view.side.takes.count() == 201
    begun = time.thread_time()
    document.do("Add", commands.add_take(document.board, ids()[0], replace(last, id="one more")))
    assert time.thread_time() - begun < 0.2
