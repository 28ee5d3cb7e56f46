"""What artists drop: folders, boards, scripts, large pictures, onto a board with and without panels."""

import shutil
import time

import pytest
from PIL import Image
from PySide6.QtCore import QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog

from app.board import commands
from app.board.data import new_board
from app.fluxboard.file import BoardFile
from app.gui.document import open_board as document_module
from app.gui.document import storing
from app.gui.document.storing import in_background, read_picture
from app.gui.kit.messages import ReadingDialog
from tests.gui.board.test_board_view import drop, now, spot, urls


@pytest.fixture
def folder(tmp_path):
    """Pictures named as people name them, with what else lies in a folder."""
    made = tmp_path / "day one"
    made.mkdir()
    for name in ("shot 10.png", "shot 2.png", "shot 1.png"):
        Image.new("RGB", (96, 64), (len(name), 5, 5)).save(made / name)
    (made / "notes.txt").write_text("none of it")
    (made / "._shot 1.png").write_text("what Macs leave")
    return made


def dropped(widget, mime) -> bool:
    """Drop on the middle of any widget; whether it was accepted."""
    middle = QPoint(widget.width() // 2, widget.height() // 2)
    given = (mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    enter = QDragEnterEvent(middle, Qt.DropAction.CopyAction, *given)
    widget.dragEnterEvent(enter)
    if enter.isAccepted():
        widget.dropEvent(QDropEvent(QPointF(middle), Qt.DropAction.CopyAction, *given))
    return enter.isAccepted()


def names(board) -> list[str]:
    return [panel.take.picture.name for panel in board.panels() if panel.take]


def test_a_folder_dropped_on_the_board_gives_its_pictures_as_people_count(window, folder):
    grid, before = window.board.grid, now(window)
    drop(grid, urls(folder), spot(grid, before[1], 0.05))
    assert names(window.document.board) == ["shot 1", "shot 2", "shot 10"]
    assert now(window)[0] == before[0]
    assert now(window)[4:] == before[1:]
    window.document.undo()
    assert now(window) == before


def test_a_folder_without_pictures_says_so(window, tmp_path):
    grid, board = window.board.grid, window.document.board
    (tmp_path / "empty").mkdir()
    drop(grid, urls(tmp_path / "empty"), spot(grid, now(window)[0], 0.05))
    assert window.document.board is board
    assert "empty" in window.toasts.title.text()


def test_the_empty_board_takes_what_it_asks_for(window, folder):
    document = window.document
    document.do("Delete", commands.remove_scene(document.board, document.board.scenes[0].id))
    assert not window.board.grid.isVisible()
    assert dropped(window.board, urls(folder))
    assert names(document.board) == ["shot 1", "shot 2", "shot 10"]
    document.undo()
    assert not document.board.scenes


def test_a_dropped_board_is_opened_and_a_dropped_script_becomes_one(window, tmp_path, qtbot):
    grid, first = window.board.grid, window.document
    with BoardFile.create(tmp_path / "Other", new_board("Other")) as other:
        path = other.path
    drop(grid, urls(path), spot(grid, now(window)[0], 0.5))
    qtbot.waitUntil(lambda: window.document.board.title == "Other")
    script = tmp_path / "Pier.fountain"
    script.write_text("INT. PIER - DAY\n\nA gull lands.\n")
    assert dropped(window.board, urls(script))
    qtbot.waitUntil(lambda: "PIER" in window.document.board.scenes[0].heading)
    assert first.board.panels()


def test_a_folder_is_imported_from_the_menu(window, folder, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    window.actions_["import_folder"].trigger()
    assert names(window.document.board) == ["shot 1.png", "shot 2.png", "shot 10.png"]
    assert window.document.board.title == "day one"


@pytest.mark.sweep
def test_the_window_lives_while_a_large_picture_is_read_and_keys_wait(window, picture_file, monkeypatch, qtbot):
    """Timers, previews and painting go on; a key that is pressed meanwhile comes after the drop."""
    ticks, said, order = [], [], []

    def slow(file, source, name):
        time.sleep(0.7)
        end = time.monotonic() + 20
        while len(ticks) <= 40 and time.monotonic() < end:
            time.sleep(0.01)
        return read_picture(file, source, name)

    monkeypatch.setattr(document_module, "read_picture", slow)
    timer = QTimer(interval=10)
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    timer.timeout.connect(lambda: said.extend(one.words.text() for one in reading_dialogs()))
    timer.start()
    document = window.document
    pictures = document.import_pictures([picture_file(f"{name}.png") for name in "abc"])
    order.append(len(pictures))
    timer.stop()
    assert order == [3]
    assert len(ticks) > 40
    assert {"Reading picture 1 of 3", "Reading picture 3 of 3"} <= set(said)
    assert reading_dialogs() == []


def reading_dialogs():
    return [one for one in QApplication.topLevelWidgets() if isinstance(one, ReadingDialog) and one.isVisible()]


def test_a_drop_of_far_too_many_pictures_can_be_stopped(window, picture_file, monkeypatch, qtbot):
    """What was read till then is there; the rest is left alone, and that is said."""
    read = []

    def slow(file, source, name):
        read.append(source)
        time.sleep(0.05)
        return read_picture(file, source, name)

    monkeypatch.setattr(document_module, "read_picture", slow)
    monkeypatch.setattr(storing, "WORTH_WORDS", 20)
    stopper = QTimer(interval=10)
    stopper.timeout.connect(lambda: [QTest.keyClick(one, Qt.Key.Key_Escape) for one in reading_dialogs()])
    stopper.start()
    sources = [picture_file("a.png")] * 300
    pictures = window.document.import_pictures(sources)
    stopper.stop()
    assert 0 < len(pictures) == len(read) < 20
    assert window.toasts.title.text() == f"Stopped after {len(pictures)} of 300 pictures."
    assert window.document.import_pictures(sources[:1])


def test_a_take_that_comes_while_a_picture_is_read_is_kept(window, engine, picture_file, monkeypatch):
    document, ids = window.document, now(window)
    document.render(ids[:1])

    def slow(file, source, name):
        time.sleep(0.3)
        return read_picture(file, source, name)

    QTimer.singleShot(100, lambda: engine.done(picture_file("take.png")))
    monkeypatch.setattr(document_module, "read_picture", slow)
    window.open_panel(ids[1])
    window.pages["panel"].stage.drop(urls(picture_file("dropped.png")), None)
    assert document.board.panel(ids[0]).take is not None
    assert document.board.panel(ids[1]).take.picture.name == "dropped"


def test_what_a_task_raises_comes_out_and_no_pointer_stays_busy(qapp):
    def fails(item):
        time.sleep(0.1)
        raise ZeroDivisionError(item)

    with pytest.raises(ZeroDivisionError):
        in_background(fails, [1])
    assert qapp.overrideCursor() is None
    assert in_background(str, []) == []


# What else a first look stumbled over


def test_the_built_in_model_offers_the_shape_that_it_knows(window, qtbot):
    view, document = window.board, window.document
    view.show_model("mini", True)
    assert document.board.aspect == (16, 9)
    assert view.square.isVisible()
    QTest.mouseClick(view.square, Qt.MouseButton.LeftButton)
    assert document.board.aspect == (1, 1)
    assert not view.square.isVisible()
    document.undo()
    assert view.square.isVisible()
    view.show_model("flux2-klein-4b", False)
    assert not view.square.isVisible()


def test_a_misfit_leads_to_the_settings(window, monkeypatch):
    from app.gui.document.forecast import Forecast

    too_much = Forecast("Needs about 90 GB of 16 GB memory.", "Try a smaller size.", False)
    for module in ("app.gui.document.document", "app.gui.panel.edit_bar"):
        monkeypatch.setattr(f"{module}.forecast", lambda *_: too_much)
    window.open_panel(now(window)[0])
    page = window.pages["panel"]
    page.edit.refresh()
    assert page.edit.change_settings.isVisible()
    page.side.tabs.setCurrentIndex(1)
    page.render_panel()
    assert not page.stage.card.isVisible(), "it would say once more what the line below the words says"
    QTest.mouseClick(page.edit.change_settings, Qt.MouseButton.LeftButton)
    assert page.side.tabs.currentIndex() == 0
    assert page.side.settings.fold.isChecked()
    assert page.side.settings.size_box.isVisible()


def test_a_picture_deleted_between_drop_and_read_is_told_and_the_others_come(window, folder, monkeypatch):
    """Whoever drops may be a browser that tidies up, or a synchronising folder."""
    grid = window.board.grid
    real, gone = document_module.read_picture, folder / "shot 2.png"

    def read(file, source, name):
        gone.unlink(missing_ok=True)
        return real(file, source, name)

    monkeypatch.setattr(document_module, "read_picture", read)
    drop(grid, urls(*sorted(folder.glob("*.png"))), spot(grid, now(window)[1], 0.05))
    assert "shot 2" not in names(window.document.board)
    assert {"shot 1", "shot 10"} <= set(names(window.document.board))
    assert "shot 2.png" in window.toasts.title.text() + window.toasts.hint.text()


def test_a_folder_deleted_between_drop_and_read_is_told(window, folder):
    grid, board = window.board.grid, window.document.board
    given = urls(folder)
    shutil.rmtree(folder)
    drop(grid, given, spot(grid, now(window)[0], 0.05))
    assert window.document.board is board
    assert folder.name in window.toasts.title.text()
