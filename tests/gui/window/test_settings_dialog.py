"""The program's settings: which writer is remembered is seen there and changed, which helpers are here is seen."""

import json
import shutil

import pytest
from PySide6.QtWidgets import QFileDialog

from app.base import paths, settings
from app.gui.window.settings_dialog import ANY_WRITER, OTHER_WRITER, SettingsDialog
from app.models import helpers, writers
from mlx_model.helpers import DEPTH
from mlx_model.store.writer_folder import RECORD
from tests.tiny_language import save_outside


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FLUX_LOCAL_HOME", str(tmp_path / "home"))


def make_writer(folder):
    save_outside(folder)
    (folder / RECORD).write_text(json.dumps({"bits": 8, "files": {}}))
    return folder


def open_dialog(qtbot):
    dialog = SettingsDialog(settings.Settings(), lambda _: None)
    qtbot.addWidget(dialog)
    return dialog


def take(dialog, text):
    dialog.writer.setCurrentIndex(dialog.writer.findText(text))
    dialog.writer.activated.emit(dialog.writer.currentIndex())


def test_a_writer_is_chosen_and_left_to_the_program_again(qtbot, tmp_path, monkeypatch):
    added, mine = make_writer(paths.writers() / "qwen3-4b"), make_writer(tmp_path / "mine")
    dialog = open_dialog(qtbot)
    assert (dialog.writer.currentText(), writers.find_writer()) == (ANY_WRITER, added)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(mine))
    take(dialog, OTHER_WRITER)
    assert (dialog.writer.currentText(), writers.find_writer()) == ("mine", mine)
    assert dialog.writes.text().startswith("mine writes")
    take(dialog, ANY_WRITER)
    assert (writers.read_choice(), writers.find_writer()) == (None, added)


def test_a_folder_that_can_t_write_is_told_and_the_choice_stays(qtbot, tmp_path, monkeypatch):
    writers.choose_writer(make_writer(tmp_path / "mine"), 2**40)
    dialog = open_dialog(qtbot)
    for given in (str(tmp_path), ""):  # no language model; no folder after all
        monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_, given=given: given)
        take(dialog, OTHER_WRITER)
        assert (dialog.writer.currentText(), writers.read_choice()) == ("mine", tmp_path / "mine")
        assert ("no language model" in dialog.writes.text()) == bool(given)


def test_one_that_is_not_there_now_is_said_and_what_none_means(qtbot, tmp_path):
    writers.choose_writer(make_writer(tmp_path / "mine"), 2**40)
    shutil.rmtree(tmp_path / "mine")
    dialog = open_dialog(qtbot)
    assert dialog.writer.currentText() == "mine (not there now)"
    assert "prompts go to the models as they are" in dialog.writes.text()


def test_helpers_that_are_here_are_said(qtbot):
    helpers.folder(DEPTH).mkdir(parents=True)
    (helpers.folder(DEPTH) / helpers.FILE).touch()
    assert f"{DEPTH.title}: installed; Swin2SR 2×: not installed" in open_dialog(qtbot).helpers.text()
