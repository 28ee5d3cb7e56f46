"""The board as a file: for reading only, zipped, locked by another machine, with pictures that nothing uses."""

import json

import pytest
from PIL import Image
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QMessageBox

from app.base import settings
from app.board import commands
from app.board.data import new_board
from app.fluxboard.archive import export_zip
from app.fluxboard.file import BoardFile
from app.gui.document.document import Document
from app.gui.kit.messages import sure
from app.gui.pages.queue_view import job_words
from app.gui.window import board_commands, window_commands
from mlx_model.events import Note
from tests.gui.panel_board import add_take, drawn


def test_a_board_for_reading_only_says_so_and_the_window_asks_before_changes_are_lost(window, tmp_path, monkeypatch):
    BoardFile.create(tmp_path / "shown", new_board("Shown")).close()
    opened = BoardFile.open
    monkeypatch.setattr(BoardFile, "open", lambda path, **_: opened(path, write=False))
    assert window.session.open(tmp_path / "shown.fluxboard")
    assert window.toasts.title.text() == "shown.fluxboard is open for reading only."
    assert "Save a Copy" in window.toasts.hint.text()
    window.toasts.hide()
    document, asked = window.document, []
    document.do("Rename", commands.set_board(document.board, title="Mine"))
    assert document.save() is False
    assert "changes are not saved" in window.toasts.title.text()
    monkeypatch.setattr(window.commands, "sure_to_lose", lambda: asked.append(1) or len(asked) > 1)
    assert not window.close()
    assert window.close()


def test_a_board_that_is_moved_while_it_is_open_is_news_stays_on_home_and_is_opened_next_time(window, tmp_path):
    moved = tmp_path / "elsewhere.fluxboard"
    window.document.file.path.rename(moved)
    window.document.do("Rename", commands.set_board(window.document.board, title="Mine"))
    assert window.document.save()
    assert window.toasts.title.text() == f"The board is now {moved}."
    assert window.toasts.shown[0].property("tone") != "danger"
    assert window.session.list_boards()[0] == (str(moved), "Mine")
    second = tmp_path / "second.fluxboard"
    moved.rename(second)
    assert window.close()
    assert settings.load().recent[0] == str(second)


def test_a_board_in_the_trash_is_trouble_and_not_opened_next_time(window, tmp_path):
    (tmp_path / "Trash").mkdir()
    before = window.session.settings.recent
    window.document.file.path.rename(tmp_path / "Trash" / "harbour.fluxboard")
    window.document.look_around()
    assert "in the Trash" in window.toasts.title.text()
    assert window.close()
    assert settings.load().recent == before


def test_a_zip_goes_out_and_comes_back_as_the_same_board(window, tmp_path, monkeypatch, qtbot):
    document = window.document
    add_take(document, next(document.board.panels()).id, 3)
    to = str(tmp_path / "for you.zip")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (to, ""))
    window.actions_["share"].trigger()
    qtbot.waitUntil(lambda: window.toasts.title.text() == "Saved for you.zip.")
    assert window.session.open_or_import(to)
    assert window.document is not document
    assert [one.takes for one in window.document.board.panels()] == [one.takes for one in document.board.panels()]
    assert window.document.file.missing() == 0


def test_a_zipped_board_is_proposed_by_a_name_that_desktops_know_and_opens_from_there(window, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *words: asked.append(words[2]) or ("", ""))
    window.actions_["share"].trigger()
    assert asked[0].endswith(".fluxboard.zip")
    made = export_zip(window.session.document.file, tmp_path / "mine.fluxboard.zip")
    before = window.session.document
    window.session.open_named(str(made))
    assert window.session.document is not before
    assert window.session.document.board.title == before.board.title


def test_a_zip_that_is_none_is_told(window, tmp_path):
    (tmp_path / "x.zip").write_text("no zip")
    before = window.document
    assert not window.session.import_board(str(tmp_path / "x.zip"))
    assert window.document is before
    assert window.toasts.isVisible()


@pytest.mark.parametrize("way", ["Cancel", "Open Anyway", "Open a Copy"])
def test_another_machine_s_lock_can_be_passed_after_a_question(window, tmp_path, monkeypatch, way):
    BoardFile.create(tmp_path / "away", new_board("Away")).close()
    path, asked = tmp_path / "away.fluxboard", []
    (path / "lock").write_text(json.dumps({"pid": 7, "host": "studio", "machine": "elsewhere"}))
    monkeypatch.setattr(
        window_commands, "ask", lambda window, title, text, *ways: asked.append((text, *ways[1:])) or way
    )
    window.session.open(path)
    assert asked == [("away.fluxboard is open on studio.", "Open a Copy", "Open Anyway", "Cancel")]
    assert (window.document.board.title == "Away") == (way != "Cancel")
    assert (window.document.file.path == path) == (way == "Open Anyway")


def test_unused_pictures_go_to_the_trash_after_a_question_and_used_ones_never(window, monkeypatch):
    document, trash = window.document, []
    monkeypatch.setattr("send2trash.send2trash", trash.append)
    monkeypatch.setattr(board_commands, "sure", lambda *_: True)
    window.actions_["tidy"].trigger()
    assert window.toasts.title.text() == "Every picture of this board is in use."
    first = next(document.board.panels()).id
    add_take(document, first, 3)
    document.undo()  # undo can bring it back, so it is used
    loose = drawn(document, 4)
    window.actions_["tidy"].trigger()
    assert [path.rpartition("/")[2] for path in trash] == [f"{loose.sha256}.png"]


def test_scenes_move_from_the_menu(window):
    document = window.document
    document.do("Add", commands.add_panel(*(lambda b: (b, b.scenes[-1].id))(commands.add_scene(document.board))))
    names = [scene.id for scene in document.board.scenes]
    window.board.grid.select((document.board.scenes[1].panels[0].id,))
    window.actions_["scene_later"].trigger()  # it is the last: nothing happens
    assert [scene.id for scene in document.board.scenes] == names
    window.actions_["scene_earlier"].trigger()
    assert [scene.id for scene in document.board.scenes] == names[::-1]
    assert window.board.grid.list_selected() == (document.board.scenes[0].panels[0].id,)


def test_the_queue_says_what_was_done_to_the_artist_s_pictures(document: Document, engine, ids, picture_file):
    document.render(ids()[:1])
    engine.say(Note("sea.png: 4000x3000 is used at 1024x768."))
    engine.done(picture_file())
    assert job_words(engine.jobs()[-1]).endswith("sea.png: 4000x3000 is used at 1024x768.")


def test_what_a_picture_that_was_taken_is_noted_for_is_news_and_what_was_refused_is_trouble(window, tmp_path):
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moves.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "none.png").write_bytes(b"no picture")
    for name, good in (("moves.gif", "true"), ("none.png", "false")):
        window.document.import_pictures([tmp_path / name])
        assert window.toasts.shown[0].property("good") == good, window.toasts.title.text()
        assert name in window.toasts.title.text()


@pytest.mark.parametrize(
    ("key", "name", "answer"), [("Key_Return", "", False), ("Key_Escape", "", False), ("", "Go", True)]
)
def test_a_question_is_plain_text_and_only_its_own_verb_agrees(qtbot, window, key, name, answer):
    def press() -> None:
        box = next(one for one in QApplication.topLevelWidgets() if isinstance(one, QMessageBox) and one.isVisible())
        assert box.textFormat() == Qt.TextFormat.PlainText
        if key:
            QTest.keyClick(box, getattr(Qt.Key, key))
        else:
            next(button for button in box.buttons() if button.text() == name).click()

    QTimer.singleShot(50, press)
    assert sure(window, "Delete", "Delete <b>all</b>?", "Undo brings it back.", "Go") is answer
