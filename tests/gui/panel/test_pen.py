"""The pen: words go out to a language model, come back as one undoable change, and nothing typed meanwhile is lost."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QLineEdit, QWidget

from app.base import paths, settings
from app.board import commands
from app.gui.document.forecast import Forecast, PanelModel
from app.gui.panel import edit_bar, pen
from app.models import writers
from app.models.library import Model
from mlx_model.errors import LayoutError
from mlx_model.events import Cancelled, Stage, Step
from mlx_model.specs import SPECS
from mlx_model.store.writer_folder import RECORD
from tests.gui.panel_board import shown_panel
from tests.tiny_language import save_outside

LONG = "A grey gull stands on a wet beach in the evening light."


@pytest.fixture
def folder(tmp_path):
    """Looks like a language model from outside."""
    return save_outside(tmp_path / "Qwen")


@pytest.fixture
def view(document, ids, qtbot, folder):
    writers.choose_writer(folder, 2**40)
    return shown_panel(document, ids()[0], qtbot)


def press(view):
    QTest.mouseClick(view.edit.pen.button, Qt.MouseButton.LeftButton)


def answer(engine, tmp_path, text=LONG):
    (tmp_path / "words.txt").write_text(text)
    engine.done(str(tmp_path / "words.txt"))


def test_words_are_written_out_beside_the_artist_s_own(view, document, engine, tmp_path, folder):
    press(view)
    (job,) = engine.submitted
    assert (job.draft.words, job.draft.folder, job.draft.changes) == ("a gull at the beach", str(folder), False)
    assert not view.edit.pen.button.isEnabled()
    answer(engine, tmp_path)
    assert (view.panel.prompt, view.panel.words) == ("a gull at the beach", LONG)
    assert view.edit.text.toPlainText() == LONG
    assert "a gull at the beach" in view.edit.pen.told.text()
    assert view.edit.pen.button.isEnabled()
    document.undo()
    assert view.panel.words == "a gull at the beach"
    document.redo()
    assert view.panel.words == LONG


def test_one_click_goes_back_to_one_s_own_words_and_another_on(view, document, engine, tmp_path):
    press(view)
    answer(engine, tmp_path)
    for words, named in (("a gull at the beach", "Use What Was Written Out"), (LONG, "Back to My Words")):
        QTest.mouseClick(view.edit.pen.turn, Qt.MouseButton.LeftButton)
        assert view.panel.words == view.edit.text.toPlainText() == words
        assert view.edit.pen.turn.accessibleName() == named


def test_what_was_written_out_is_edited_and_one_s_own_words_stay(view, document, engine, tmp_path):
    press(view)
    answer(engine, tmp_path)
    view.edit.text.setFocus()
    QTest.keyClick(view.edit.text, Qt.Key.Key_End, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClicks(view.edit.text, " No people.")
    assert (view.panel.prompt, view.panel.words) == ("a gull at the beach", f"{LONG} No people.")
    document.undo()
    assert view.panel.words == LONG


def test_both_words_are_recorded_and_the_same_again_is_told(view, document, engine, tmp_path, qtbot, picture_file):
    press(view)
    answer(engine, tmp_path)
    document.render([view.panel_id])
    request = engine.submitted[-1].request
    assert (request.prompt, request.own_words) == (LONG, "a gull at the beach")
    engine.done(picture_file())
    qtbot.waitUntil(lambda: bool(view.panel.takes))
    assert view.edit.render_bar.button.text() == "Render Again"
    assert view.side.take.values["Own words"].text() == "a gull at the beach"
    QTest.mouseClick(view.edit.pen.turn, Qt.MouseButton.LeftButton)
    assert view.edit.render_bar.button.text() == "Render"


def test_words_that_were_not_written_out_are_used_and_that_is_said(view, document, engine, tmp_path):
    press(view)
    answer(engine, tmp_path)
    document.do("Edit", commands.set_panel(document.board, view.panel_id, prompt="a dog"))
    assert view.panel.words == view.edit.text.toPlainText() == "a dog"
    assert "of other words: not used" in view.edit.pen.told.text()
    assert view.edit.pen.turn.isHidden()
    document.undo()
    assert view.panel.words == LONG


def test_how_far_it_is_stands_beside_the_pen_and_it_is_cancelled_there(view, engine):
    press(view)
    pen = view.edit.pen
    assert not pen.stop.isHidden()
    assert "Opening" in pen.told.text()
    engine.say(Stage("load", total=100))
    engine.say(Step(40, 100, 1.0, 1.0))
    assert "40 %" in pen.told.text()
    engine.say(Stage("write", total=600))
    engine.say(Step(34, 600, 1.0, 1.0))
    assert pen.told.text().endswith(" · about 26 words so far")
    engine.cancels = False
    QTest.mouseClick(pen.stop, Qt.MouseButton.LeftButton)
    assert pen.told.text() == "Stopping"
    engine.say(Cancelled())
    assert pen.stop.isHidden()
    assert pen.told.text() == ""
    assert pen.button.isEnabled()
    assert view.panel.written == ()


def test_escape_stops_writing_and_leaves_the_panel_once_more(view, engine, tmp_path):
    left = []
    view.closed.connect(lambda: left.append(True))
    press(view)
    engine.cancels = False
    QTest.keyClick(view.edit.pen.stop, Qt.Key.Key_Escape)
    assert view.edit.pen.told.text() == "Stopping"
    assert left == []
    QTest.keyClick(view.edit.pen.stop, Qt.Key.Key_Escape)
    assert left == [True]
    answer(engine, tmp_path)  # it was ready before it heard
    assert view.panel.written == ()


def test_escape_in_another_panel_leaves_it_and_the_writing_goes_on(view, engine, ids):
    press(view)
    view.show_panel(ids()[1])
    view.edit.text.setFocus()
    QTest.keyClick(view.edit.text, Qt.Key.Key_Escape)
    assert view.edit.pen.told.text() != "Stopping"


def test_once_more_goes_on_from_the_artist_s_own_words(view, engine, tmp_path):
    press(view)
    answer(engine, tmp_path)
    press(view)
    first, second = (job.draft for job in engine.submitted)
    assert second.words == first.words
    assert second.seed != first.seed


def test_what_was_typed_meanwhile_stays(view, engine, tmp_path, qtbot):
    press(view)
    view.edit.text.setFocus()
    view.edit.text.selectAll()
    QTest.keyClicks(view.edit.text, "a dog")
    with qtbot.waitSignal(view.document.message):
        answer(engine, tmp_path)
    assert view.panel.prompt == "a dog"


def test_an_answer_that_can_t_be_used_is_told(view, engine, qtbot):
    press(view)
    with qtbot.waitSignal(view.document.message) as told:
        engine.fail("What the writer made is not used: it lost @fox.")
    assert "lost @fox" in told.args[0]
    assert view.panel.prompt == "a gull at the beach"
    assert view.edit.pen.button.isEnabled()


def test_the_first_time_a_folder_is_asked_for(document, ids, qtbot, engine, folder, monkeypatch, tmp_path):
    view, asked = shown_panel(document, ids()[0], qtbot), []
    monkeypatch.setattr(pen, "ask", lambda _, *words: asked.append(words) or words[3 if len(asked) > 1 else 4])
    press(view)
    assert "has to be on this disk" in asked[0][1]
    for chosen, jobs in (("", 0), (str(tmp_path), 0), (str(folder), 1)):
        monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_, chosen=chosen: chosen)
        press(view)
        assert len(engine.submitted) == jobs
    assert writers.find_writer() == folder
    with pytest.raises(LayoutError):
        writers.choose_writer(tmp_path, 2**40)


@pytest.fixture
def flux3(view, monkeypatch):
    """The panel is rendered with FLUX.3."""
    spec = SPECS["flux3-image-klein"]
    found = Model(SimpleNamespace(spec=spec, path=Path("nowhere")), spec.name)
    view.edit.model = PanelModel(found)
    monkeypatch.setattr(edit_bar, "forecast", lambda *_: Forecast())
    monkeypatch.setattr(edit_bar, "attempt", lambda *_: None)
    view.edit.refresh()
    return view


def test_few_words_are_told_to_be_few_where_the_model_needs_many(flux3, document, engine, tmp_path):
    assert "generic pictures" in flux3.edit.hint.text()
    assert flux3.edit.hint.property("tone") == "warning"
    field = flux3.panel.words_field
    press(flux3)
    answer(engine, tmp_path)  # of few words too
    flux3.edit.refresh()
    assert "generic" not in flux3.edit.hint.text()
    document.do("Edit", commands.set_panel(document.board, flux3.panel_id, **{field: "a gull on a beach " * 10}))
    flux3.edit.refresh()
    assert "generic" not in flux3.edit.hint.text()


def test_flux3_s_own_writer_is_used_without_being_chosen(flux3, engine):
    own = paths.writers() / "flux3-writer"
    own.mkdir(parents=True)
    (own / RECORD).write_text("{}")
    press(flux3)
    assert engine.submitted[0].draft.folder == str(own)


def test_json_is_asked_for_where_it_was_chosen_and_the_model_reads_it(view, engine, monkeypatch):
    settings.save(settings.Settings(json_prompts=True))
    for name in ("flux2-klein-4b", "flux1-dev"):
        view.edit.pen.model = PanelModel(Model(SimpleNamespace(spec=SPECS[name], path=Path("nowhere")), name))
        view.edit.pen._job = ""
        view.edit.pen.ask()
    assert [job.draft.as_json for job in engine.submitted] == [True, False]


@pytest.fixture
def scene_pen(document, folder, qtbot):
    """Of the board's only scene, whose panels are script's: the first has an action too."""
    writers.choose_writer(folder, 2**40)
    first = next(document.board.panels())
    document.do("Edit", commands.set_panel(document.board, first.id, action="A GULL lands."))
    window = QWidget()
    qtbot.addWidget(window)
    return pen.ScenePen(document, window)


def test_a_scene_is_written_out_in_one_step_beside_what_was_there(scene_pen, document, engine, tmp_path):
    before = document.board
    scene_pen.ask(before.scenes[0])
    (job,) = engine.submitted
    assert job.draft.lines == ("a gull at the beach", "a dog in a bar", "a robot in the city")
    assert "A GULL lands." in job.draft.words
    answer(engine, tmp_path, json.dumps([["A grey gull.", ""], ["", "it lost @dog"], ["A tin robot.", ""]]))
    panels = list(document.board.panels())
    assert [panel.words for panel in panels] == ["A grey gull.", "a dog in a bar", "A tin robot."]
    assert [panel.prompt for panel in panels] == list(job.draft.lines)
    assert [panel.action for panel in panels] == ["A GULL lands.", "", ""]
    document.undo()
    assert document.board.scenes == before.scenes


def test_what_was_typed_meanwhile_stays_and_refusals_are_told(scene_pen, document, engine, tmp_path, qtbot):
    scene_pen.ask(document.board.scenes[0])
    third = list(document.board.panels())[2]
    document.do("Edit", commands.set_panel(document.board, third.id, prompt="a cat"))
    with qtbot.waitSignal(document.message) as told:
        answer(engine, tmp_path, json.dumps([["A grey gull.", ""], ["", "It lost @dog."], ["A tin robot.", ""]]))
    assert told.args[0].startswith("2 panels kept the words that were there. It lost @dog.")
    assert [panel.words for panel in document.board.panels()] == ["A grey gull.", "a dog in a bar", "a cat"]


def test_a_scene_without_few_words_asks_nobody(scene_pen, document, engine, qtbot):
    for panel in list(document.board.panels()):
        document.do("Edit", commands.set_panel(document.board, panel.id, prompt="many words " * 30))
    with qtbot.waitSignal(document.message):
        scene_pen.ask(document.board.scenes[0])
    assert engine.submitted == []


def test_a_scene_says_how_far_it_is_and_is_stopped_there_and_by_escape(window, engine, folder):
    writers.choose_writer(folder, 2**40)
    pen, grid, engine.cancels = window.board_commands.scene_pen, window.board.grid, False
    assert not any(part.isVisible() for part in pen.parts())
    for target in (pen.stop, grid, pen.stop):
        pen.ask(window.session.document.board.scenes[0])
        assert pen.told.text() == "Words of 3 panels · Opening the writer"
        for event in (Stage("write", total=600), Step(34, 600, 1.0, 1.0), Stage("write", total=600)):
            engine.say(event)
        assert pen.told.text() == "Words of 3 panels · 2 of 3 · Writing"
        target.setFocus()
        QTest.keyClick(target, Qt.Key.Key_Space if target is pen.stop else Qt.Key.Key_Escape)
        assert pen.told.text() == "Words of 3 panels · 2 of 3 · Stopping"
        engine.say(Cancelled())
        assert not any(part.isVisible() for part in pen.parts())
        assert grid.hasFocus()


def test_escape_in_a_heading_that_is_written_leaves_it_and_the_writing_goes_on(window, engine, folder):
    writers.choose_writer(folder, 2**40)
    pen, grid = window.board_commands.scene_pen, window.board.grid
    pen.ask(window.session.document.board.scenes[0])
    grid.edit(grid.model().index(0, 0))
    field = grid.findChild(QLineEdit)
    QTest.keyClick(field, Qt.Key.Key_Escape)
    assert grid.state() != grid.State.EditingState
    assert not engine.running.cancelling
